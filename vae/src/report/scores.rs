//! The tables of scores. The first has a few scores that most readers want, and says for each whether higher or lower values are
//! better. The second has all others, and the third those whose estimate is biased or saturated, with the reason.

use serde::Serialize;

use super::RunReport;
use super::table::{Row, cell_or_none};

/// The scores of the first table, in its order.
const FIRST: [&str; 9] =
    ["accuracy", "mse", "mse_mean_image", "r2", "ssim", "log_likelihood", "frechet_distance", "kid", "mig"];
/// The scores of which lower or higher values are better.
const LOWER: [&str; 11] = [
    "total",
    "reconstruction",
    "cross_entropy",
    "mse",
    "bits_per_dim",
    "nll",
    "frechet_distance",
    "frechet_distance_reconstructions",
    "kid",
    "kid_reconstructions",
    "label_histogram",
];
const HIGHER: [&str; 14] = [
    "accuracy",
    "r2",
    "psnr",
    "ssim",
    "log_likelihood",
    "two_stage_recognised",
    "two_stage_taught",
    "mig",
    "sap",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "beta_vae_score",
    "factor_vae_score",
];

/// The rows of the three tables.
#[derive(Serialize)]
pub(super) struct ScoreTables {
    first: Vec<Row>,
    more: Vec<Row>,
    misleading: Vec<Row>,
}

impl ScoreTables {
    /// The scores that at least one run has. A score is misleading if it is so for one of the runs.
    pub(super) fn new(runs: &[RunReport]) -> ScoreTables {
        let Names { first, sound, misleading } = names(runs);
        let more = sound.iter().filter(|name| !first.contains(name)).map(|name| row(runs, name, None));
        ScoreTables {
            more: more.collect(),
            first: first.iter().map(|name| row(runs, name, None)).collect(),
            misleading: misleading.iter().map(|name| row(runs, name, caveat(runs, name))).collect(),
        }
    }
}

/// The names of the scores that at least one run has.
struct Names<'a> {
    first: Vec<&'a str>,
    /// All that are not misleading, with the first ones.
    sound: Vec<&'a str>,
    misleading: Vec<&'a str>,
}

fn names(runs: &[RunReport]) -> Names<'_> {
    let mut names: Vec<&str> = Vec::new();
    for score in runs.iter().flat_map(|run| &run.scores.scores) {
        if !names.contains(&score.name.as_str()) {
            names.push(&score.name);
        }
    }
    let (misleading, sound): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| caveat(runs, name).is_some());
    let mut first: Vec<&str> = FIRST.into_iter().filter(|name| sound.contains(name)).collect();
    if first.len() < 3 && sound.contains(&"total") {
        first.push("total");
    }
    Names { first, sound, misleading }
}

/// Why a score is misleading for one of the runs.
fn caveat<'a>(runs: &'a [RunReport], name: &str) -> Option<&'a str> {
    let mut caveats = runs.iter().filter_map(|run| run.scores.get(name)).map(|score| score.caveat.as_str());
    caveats.find(|caveat| !caveat.is_empty())
}

/// The names of the scores of these runs that most readers want.
pub fn first_scores(runs: &[RunReport]) -> Vec<String> {
    names(runs).first.into_iter().map(str::to_owned).collect()
}

fn row(runs: &[RunReport], name: &str, caveat: Option<&str>) -> Row {
    let all: Vec<_> = runs.iter().map(|run| run.scores.get(name)).collect();
    let one = all.iter().flatten().next().expect("a run has it");
    let unit = if one.unit.is_empty() { String::new() } else { format!(", {}", one.unit) };
    let cells = all.iter().map(|score| cell_or_none(score.map(|score| score.value))).collect();
    let better = match name {
        name if LOWER.contains(&name) => "↓",
        name if HIGHER.contains(&name) => "↑",
        _ => "",
    };
    Row { heading: format!("{}{unit}", words(name)), note: caveat.unwrap_or(&one.of).into(), better, cells }
}

/// A score's name in words: `dw_kl_exact` becomes "DW-KL exact".
fn words(name: &str) -> String {
    const SHORT: [&str; 10] = ["mse", "psnr", "ssim", "kid", "kl", "mi", "tc", "mig", "sap", "dci"];
    match name {
        "mse_mean_image" => return "MSE of the mean image".into(),
        "r2" => return "R²".into(),
        _ => {}
    }
    let word = |word: &str| match word {
        "frechet" => "Fréchet".to_owned(),
        "laplacian" => "Laplacian".to_owned(),
        "mws" | "mss" => format!("({word})"),
        short if SHORT.contains(&short) => short.to_uppercase(),
        word => word.to_owned(),
    };
    name.replace("dw_kl", "DW-KL").split('_').map(word).collect::<Vec<_>>().join(" ")
}
