//! What a paper prints: a row for each of its tables and figures, with its numbers and ours, the scale of our runs, and the verdicts
//! of the claims that it makes, or the reason why there is nothing to compare.

use serde::Deserialize;
use vae_core::config::Config;

use super::claims::verdict::ClaimResult;
use super::scale::channels;

/// A table or figure of a paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printed {
    /// Its number, such as `Figure 2`, or a name in small letters if the paper gives it none.
    pub of: String,
    /// Its subject.
    pub shows: String,
    /// The claims that it makes.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The beginning of the heading of our figure.
    pub figure: Option<String>,
    /// The beginning of the heading of our table.
    pub table: Option<String>,
    /// The numbers that it prints, where no claim or table has them.
    pub numbers: Option<String>,
    /// Why there is nothing to compare.
    pub none: Option<String>,
}

impl Printed {
    /// The verdicts of its claims, as words.
    pub fn verdicts(&self, judged: &[ClaimResult]) -> String {
        let mine = judged.iter().filter(|judged| self.claims.contains(&judged.claim.id));
        let words: Vec<String> = mine.map(|judged| format!("`{}`: {}", judged.claim.id, judged.words())).collect();
        match (&self.none, words.is_empty()) {
            (Some(why), true) => why.clone(),
            (Some(why), false) => format!("{}; {why}", words.join(", ")),
            (None, true) => "no claim rests on it alone".into(),
            (None, false) => words.join(", "),
        }
    }
}

/// What a run was, and what it is in the paper.
pub struct Size<'a> {
    /// The configuration of the run.
    pub ours: &'a Config,
    /// The configuration of the paper.
    pub paper: &'a Config,
    /// The training images of the paper's run, if only the files tell them.
    pub told: Option<usize>,
    /// The epochs that the run was trained for.
    pub epochs: usize,
    /// The seed.
    pub seed: u64,
}

/// The scale of runs in words: images, epochs, channels of the first layer, and seeds, each against the paper's.
pub fn scale_words(sizes: &[Size]) -> String {
    if sizes.is_empty() {
        return "no run".into();
    }
    let range = |values: Vec<usize>| match (values.iter().min(), values.iter().max()) {
        (Some(least), Some(most)) if least != most => format!("{}–{}", thousands(*least), thousands(*most)),
        (Some(only), _) => thousands(*only),
        _ => "?".into(),
    };
    let of = |ours: fn(&Size) -> Option<usize>, paper: fn(&Size) -> Option<usize>| {
        (range(sizes.iter().filter_map(ours).collect()), range(sizes.iter().filter_map(paper).collect()))
    };
    let told = |name: &str, (ours, paper): (String, String)| match ours == paper {
        true if ours == "1" => format!("1 {}", name.trim_end_matches('s')),
        true => format!("{ours} {name}"),
        false => format!("{ours} of {paper} {name}"),
    };
    let images = of(|size| size.ours.train_images(), |size| size.paper.train_images().or(size.told));
    let epochs = of(|size| Some(size.epochs), |size| Some(size.paper.train.epochs));
    let width = of(|size| channels(size.ours).first().copied(), |size| channels(size.paper).first().copied());
    let mut seeds: Vec<u64> = sizes.iter().map(|size| size.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds = match seeds.len() {
        1 => "1 seed".into(),
        many => format!("{many} seeds"),
    };
    let mut words = vec![told("images", images), told("epochs", epochs)];
    if width.1 != "?" {
        words.push(told("channels", width));
    }
    words.push(seeds);
    words.join(", ")
}

fn thousands(number: usize) -> String {
    crate::session::plan::with_thousands(number)
}
