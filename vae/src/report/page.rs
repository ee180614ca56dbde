//! The page of a report: fills the template in `assets/report/` with tables and charts. Names of runs, classes and files are
//! untrusted: everything is escaped except what this module writes itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::value::{Serde, Value as Safe};
use minijinja::{AutoEscape, Environment, HtmlEscape, context};
use serde::Serialize;
use vae_core::objective::{number, part_label, part_unit};
use vae_core::train::{Epoch, Timing};
use vae_figures::gallery::Drawing;
use vae_run::loss_unit;

use super::chart::{Chart, Series, bars, lines};
use super::settings::differences;
use super::{FILE, RunReport};

/// A table row: a heading, and one cell per run.
#[derive(Serialize)]
struct Row {
    heading: String,
    note: String,
    cells: Vec<Safe>,
}

/// A figure on the page.
#[derive(Serialize)]
struct Figure {
    title: String,
    shown: Safe,
}

/// Larger SVGs (plots of thousands of points) are replaced by PNGs. In bytes.
const LARGEST_SVG: usize = 150_000;

/// Figures that the page draws itself.
const OWN: [&str; 2] = ["curves", "kl"];

/// What the page shows of one run.
#[derive(Serialize)]
struct Shown<'a> {
    told: &'a RunReport,
    latents: Option<Chart>,
    figures: Vec<Figure>,
}

/// Returns the report of these runs as HTML.
///
/// # Panics
/// If `runs` is empty.
pub fn page(runs: &[RunReport]) -> String {
    assert!(!runs.is_empty(), "a report of no run");
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.add_template(FILE, include_str!("../../assets/report/page.html")).expect("a template of ours");
    templates.add_filter("number", |x: f64| cell(x));
    let configs: Vec<_> = runs.iter().map(|run| run.config.clone()).collect();
    let shown = |told| Shown { told, latents: latents(told), figures: figures(told) };
    let json = serde_json::to_string(runs).expect("numbers and words").replace('<', "\\u003c");
    let page = templates.get_template(FILE).and_then(|template| {
        template.render(context! {
            style => Safe::from_safe_string(include_str!("../../assets/report/page.css").into()),
            script => Safe::from_safe_string(include_str!("../../assets/report/page.js").into()),
            json => Safe::from_safe_string(json),
            title => title(runs),
            version => env!("CARGO_PKG_VERSION"),
            runs => Serde(runs.iter().map(shown).collect::<Vec<_>>()),
            differences => Serde(differences(&configs)),
            curves => Serde(curves(runs)),
            epochs => Serde(if runs.len() == 1 { epochs(&runs[0]) } else { Vec::new() }),
            columns => Serde(columns(&runs[0])),
            scores => Serde(scores(runs)),
            times => Serde(times(runs)),
        })
    });
    page.expect("a template of ours")
}

fn title(runs: &[RunReport]) -> String {
    match runs {
        [run] => run.name.clone(),
        runs => format!("{} runs", runs.len()),
    }
}

/// A table cell that shows a number to a few digits and has all of them in the tag.
fn cell(x: f64) -> Safe {
    let all = number(x);
    let all = all.as_str().map_or_else(|| all.to_string(), str::to_owned);
    let some = if x.is_finite() { digits(x) } else { all.clone() };
    Safe::from_safe_string(format!("<data value=\"{all}\">{some}</data>"))
}

fn cell_or_none(x: Option<f64>) -> Safe {
    x.map_or_else(|| Safe::from("–"), cell)
}

/// Formats integers with commas between thousands, and other numbers to four digits.
fn digits(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        let digits = format!("{}", x.abs());
        let thousands: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
        return format!("{}{}", if x < 0.0 { "−" } else { "" }, thousands.join(","));
    }
    if x.abs() < 1e-4 {
        return format!("{x:.2e}");
    }
    let decimals = (3.0 - x.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{x:.decimals$}")
}

/// The names of the parts of a run's loss.
fn parts(run: &RunReport) -> Vec<&'static str> {
    run.history.first().map_or_else(Vec::new, |epoch| epoch.train.parts.iter().map(|&(name, _)| name).collect())
}

/// One chart for the total loss, one for each part, and one for the error. With one run they show training and validation, with
/// several runs the validation of each.
fn curves(runs: &[RunReport]) -> Vec<Chart> {
    let mut names = vec!["total"];
    for part in runs.iter().flat_map(parts) {
        if !names.contains(&part) {
            names.push(part);
        }
    }
    let of = |losses: &vae_core::objective::Losses, name: &str| match name {
        "total" => losses.total,
        _ => losses.part(name).unwrap_or(f64::NAN),
    };
    let series =
        |run: &RunReport, pick: &dyn Fn(&Epoch) -> f64| run.history.iter().map(|e| (e.epoch, pick(e))).collect();
    let mut charts = Vec::new();
    for name in names {
        let all: Vec<Series> = match runs {
            [run] => vec![
                ("training".into(), series(run, &|epoch| of(&epoch.train, name))),
                ("validation".into(), series(run, &|epoch| of(&epoch.validation.losses, name))),
            ],
            runs => runs
                .iter()
                .map(|run| (run.name.clone(), series(run, &|epoch| of(&epoch.validation.losses, name))))
                .collect(),
        };
        let unit = if name == "total" { loss_unit(&runs[0].config) } else { part_unit(name) };
        charts.push(lines(&part_label(name), unit, &all));
    }
    let error = |epoch: &Epoch| epoch.validation.mse.unwrap_or(f64::NAN);
    let all: Vec<Series> = runs.iter().map(|run| (run.name.clone(), series(run, &error))).collect();
    if all.iter().flat_map(|(_, points)| points).any(|(_, y)| y.is_finite()) {
        let all = if runs.len() == 1 { vec![("validation".to_owned(), all[0].1.clone())] } else { all };
        charts.push(lines("error of z = μ", "mean squared error of a pixel in [0, 1]", &all));
    }
    charts
}

/// The headings of the table of epochs.
fn columns(run: &RunReport) -> Vec<String> {
    let halves = ["training", "validation"].iter();
    let losses = halves.flat_map(|half| {
        std::iter::once("total").chain(parts(run)).map(move |part| format!("{half} {}", part_label(part)))
    });
    losses.chain(["MSE", "learning rate", "seconds", "images per second"].map(str::to_owned)).collect()
}

fn epochs(run: &RunReport) -> Vec<Row> {
    let row = |epoch: &Epoch| {
        let halves = [&epoch.train, &epoch.validation.losses].into_iter();
        let losses = halves.flat_map(|losses| {
            std::iter::once(Some(losses.total)).chain(parts(run).into_iter().map(|part| losses.part(part)))
        });
        let more =
            [epoch.validation.mse, Some(epoch.learning_rate), Some(epoch.seconds), Some(epoch.images_per_second)];
        let heading = epoch.epoch.to_string();
        Row { heading, note: String::new(), cells: losses.chain(more).map(cell_or_none).collect() }
    };
    run.history.iter().map(row).collect()
}

/// The rows of all scores that at least one run has.
fn scores(runs: &[RunReport]) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for score in runs.iter().flat_map(|run| &run.scores.scores) {
        if !names.contains(&score.name.as_str()) {
            names.push(&score.name);
        }
    }
    let row = |name: &str| {
        let all: Vec<_> = runs.iter().map(|run| run.scores.get(name)).collect();
        let one = all.iter().flatten().next().expect("a run has it");
        let unit = if one.unit.is_empty() { String::new() } else { format!(", {}", one.unit) };
        let cells = all.iter().map(|score| cell_or_none(score.map(|score| score.value))).collect();
        Row { heading: format!("{}{unit}", score_words(name)), note: one.of.clone(), cells }
    };
    names.into_iter().map(row).collect()
}

/// Seconds by kind of work, each with a bar whose length is its share of the total.
fn times(runs: &[RunReport]) -> Vec<Row> {
    if runs.iter().all(|run| run.timing.is_none()) {
        return Vec::new();
    }
    let note = |kind: &str| match kind {
        "data" => "waiting for images to be prepared",
        "forward" => "the model and its loss",
        "backward" => "gradients",
        "optimiser" => "gradient check, Adam, moving average",
        "reading" => "waiting for the device to finish",
        "validation" => "the validation images, after each epoch",
        _ => "progress, logs, checkpoints",
    };
    let row = |(i, kind): (usize, &&str)| {
        let part = |run: &RunReport| match &run.timing {
            None => Safe::from("–"),
            Some(timing) => {
                let (seconds, all) = (timing.total.seconds()[i], timing.total.sum());
                let share = (100.0 * seconds / all.max(1e-9)).round();
                Safe::from_safe_string(format!(
                    "{} <span class=\"share\" style=\"--part:{share}%\"></span>",
                    cell(seconds)
                ))
            }
        };
        Row { heading: (*kind).to_owned(), note: note(kind).into(), cells: runs.iter().map(part).collect() }
    };
    Timing::KINDS.iter().enumerate().map(row).collect()
}

/// The chart of the KL of each latent.
fn latents(run: &RunReport) -> Option<Chart> {
    let per_dim = &run.epoch()?.validation.kl_per_dim;
    (!per_dim.is_empty()).then(|| bars("KL of each latent", "nats", "latent", per_dim))
}

/// The figures of a run, without those that the page draws itself. A plot is included as SVG, with tooltips, unless it is too
/// large.
fn figures(run: &RunReport) -> Vec<Figure> {
    let figure = |drawing: &Drawing| {
        let svg = drawing.svg.as_ref().filter(|svg| svg.len() <= LARGEST_SVG && svg.starts_with("<svg "));
        let alt = HtmlEscape(&drawing.alt);
        let shown = svg.map_or_else(
            || {
                let png = &drawing.png;
                let (width, height) = (header(png, 16), header(png, 20));
                let data = BASE64.encode(png);
                format!(
                    "<img src=\"data:image/png;base64,{data}\" alt=\"{alt}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\">"
                )
            },
            |svg| svg.replacen("<svg ", &format!("<svg aria-label=\"{alt}\" "), 1),
        );
        Figure { title: drawing.title.clone(), shown: Safe::from_safe_string(shown) }
    };
    run.figures.iter().filter(|drawing| !OWN.contains(&drawing.name.as_str())).map(figure).collect()
}

/// Reads a number from a PNG's header: the width at byte 16, the height at byte 20.
fn header(png: &[u8], at: usize) -> u32 {
    png.get(at..at + 4).map_or(0, |bytes| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// A score's name in words: `dw_kl_exact` becomes "DW-KL exact".
fn score_words(name: &str) -> String {
    const SHORT: [&str; 10] = ["mse", "psnr", "ssim", "kid", "kl", "mi", "tc", "mig", "sap", "dci"];
    let word = |word: &str| match word {
        "frechet" => "Fréchet".to_owned(),
        "laplacian" => "Laplacian".to_owned(),
        "mws" | "mss" => format!("({word})"),
        short if SHORT.contains(&short) => short.to_uppercase(),
        word => word.to_owned(),
    };
    name.replace("dw_kl", "DW-KL").split('_').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_on_the_page_and_complete_in_the_tag() {
        let told = [1.0 / 3.0, 12345.678, 16.0, -0.00001234, 0.0, 99.991, 23_910_275.0, -1000.0].map(digits);
        assert_eq!(told, ["0.3333", "12346", "16", "-1.23e-5", "0", "99.99", "23,910,275", "−1,000"]);
        assert_eq!(cell(1.0 / 3.0).to_string(), "<data value=\"0.3333333333333333\">0.3333</data>");
        assert_eq!(cell(f64::INFINITY).to_string(), "<data value=\"inf\">inf</data>");
    }
}
