//! The page of a report: fills the template in `assets/report/` with tables and charts. Names of runs, classes and files are
//! untrusted: everything is escaped except what this module writes itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::value::{Serde, Value as Safe};
use minijinja::{AutoEscape, Environment, HtmlEscape, context};
use serde::Serialize;
use vae_core::objective::{part_label, part_unit};
use vae_core::train::{Epoch, Timing};
use vae_figures::figure::{PageFigure, Style};
use vae_figures::gallery::Drawing;
use vae_figures::map;
use vae_run::loss_unit;

use super::chart::{Chart, Series, bars, lines};
use super::scores::ScoreTables;
use super::settings::differences;
use super::table::{Row, cell, cell_or_none};
use super::{FILE, RunReport};

/// A figure on the page.
#[derive(Serialize)]
struct Figure {
    title: String,
    shown: Safe,
}

/// The styles of the lines of one run.
const TRAINING: usize = 0;
const VALIDATION: usize = 1;
/// Figures that the page draws itself.
const OWN: [&str; 2] = ["curves", "kl"];

/// What the page shows of one run.
#[derive(Serialize)]
struct Shown<'a> {
    told: &'a RunReport,
    latents: Option<Chart>,
    figures: Vec<Figure>,
    map: Vec<Still>,
}

/// A picture of the map of two latents: it is of the weights after so many epochs.
#[derive(Serialize)]
struct Still {
    epoch: usize,
    alt: String,
    png: Safe,
}

/// Returns the report of these runs as HTML. Each entry of `seeds` is a table over the seeds of a sweep: its cells, row by row, the
/// titles first.
///
/// # Panics
/// If `runs` is empty.
pub fn page(runs: &[RunReport], seeds: &[Vec<Vec<String>>]) -> String {
    assert!(!runs.is_empty(), "a report of no run");
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.add_template(FILE, include_str!("../../assets/report/page.html")).expect("a template of ours");
    templates.add_filter("number", |x: f64| cell(x));
    let configs: Vec<_> = runs.iter().map(|run| run.config.clone()).collect();
    let shown =
        |told| Shown { told, latents: latents(told), figures: figures(told, runs.len() == 1), map: stills(told) };
    let json = serde_json::to_string(runs).expect("numbers and words").replace('<', "\\u003c");
    let page = templates.get_template(FILE).and_then(|template| {
        template.render(context! {
            style => Safe::from_safe_string(format!("{}{}", include_str!("../../assets/report/page.css"), series_on_dark())),
            script => Safe::from_safe_string(include_str!("../../assets/report/page.js").into()),
            json => Safe::from_safe_string(json),
            title => title(runs),
            version => env!("CARGO_PKG_VERSION"),
            runs => Serde(runs.iter().map(shown).collect::<Vec<_>>()),
            differences => Serde(differences(&configs)),
            seeds => Serde(seeds),
            curves => Serde(curves(runs)),
            epochs => Serde(if runs.len() == 1 { epochs(&runs[0]) } else { Vec::new() }),
            columns => Serde(columns(&runs[0])),
            scores => Serde(ScoreTables::new(runs)),
            times => Serde(times(runs)),
        })
    });
    page.expect("a template of ours")
}

/// Rules that give the series of figures, which are drawn for white paper, their colours on a dark page.
fn series_on_dark() -> String {
    let mut colours: Vec<[String; 2]> = Vec::new();
    for both in (0..Style::COUNT).map(|k| Style::number(k).colours()) {
        if !colours.contains(&both) {
            colours.push(both);
        }
    }
    let rule = |[light, dark]: &[String; 2]| {
        ["fill", "stroke"].map(|part| format!("  .picture [{part}=\"{light}\"] {{ {part}: {dark}; }}\n")).concat()
    };
    format!("@media (prefers-color-scheme: dark) {{\n{}}}\n", colours.iter().map(rule).collect::<String>())
}

fn title(runs: &[RunReport]) -> String {
    match runs {
        [run] => run.name.clone(),
        runs => format!("{} runs", runs.len()),
    }
}

/// The names of the parts of a run's loss.
fn parts(run: &RunReport) -> Vec<&'static str> {
    run.history.first().map_or_else(Vec::new, |epoch| epoch.train.parts.iter().map(|&(name, _)| name).collect())
}

/// A line for each of several runs, each with a style of its own.
fn of_runs(runs: &[RunReport], points: &dyn Fn(&RunReport) -> Vec<(usize, f64)>) -> Vec<Series> {
    let series = |(style, run): (usize, &RunReport)| Series { name: run.name.clone(), style, points: points(run) };
    runs.iter().enumerate().map(series).collect()
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
        let validation = |epoch: &Epoch| of(&epoch.validation.losses, name);
        let all: Vec<Series> = match runs {
            [run] => {
                let training = series(run, &|epoch| of(&epoch.train, name));
                vec![
                    Series { name: "training".into(), style: TRAINING, points: training },
                    Series { name: "validation".into(), style: VALIDATION, points: series(run, &validation) },
                ]
            }
            runs => of_runs(runs, &|run| series(run, &validation)),
        };
        let unit = if name == "total" { loss_unit(&runs[0].config) } else { part_unit(name) };
        charts.push(lines(&part_label(name), unit, &all));
    }
    let error = |epoch: &Epoch| epoch.validation.mse.unwrap_or(f64::NAN);
    let all = match runs {
        [run] => vec![Series { name: "validation".into(), style: VALIDATION, points: series(run, &error) }],
        runs => of_runs(runs, &|run| series(run, &error)),
    };
    if all.iter().flat_map(|series| &series.points).any(|(_, y)| y.is_finite()) {
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
        Row { heading, note: String::new(), better: "", cells: losses.chain(more).map(cell_or_none).collect() }
    };
    run.history.iter().map(row).collect()
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
        "communication" => "adding up gradients with other processes, and waiting for them",
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
        Row { heading: (*kind).to_owned(), note: note(kind).into(), better: "", cells: runs.iter().map(part).collect() }
    };
    Timing::KINDS.iter().enumerate().map(row).collect()
}

/// The chart of the KL of each latent.
fn latents(run: &RunReport) -> Option<Chart> {
    let per_dim = &run.epoch()?.validation.kl_per_dim;
    (!per_dim.is_empty()).then(|| bars("KL of each latent", "nats", "latent", per_dim))
}

/// The map of two latents after some of the epochs.
fn stills(run: &RunReport) -> Vec<Still> {
    let still = |(epoch, png): &(usize, Vec<u8>)| Still {
        epoch: *epoch,
        alt: map::words(*epoch),
        png: Safe::from_safe_string(BASE64.encode(png)), // which has slashes
    };
    run.map.iter().map(still).collect()
}

/// The figures of a run, without those that the page draws itself. In a report of one run the captions do not repeat its name.
fn figures(run: &RunReport, alone: bool) -> Vec<Figure> {
    let figure = |drawing: &Drawing| {
        let PageFigure { svg, tiles } = &drawing.page;
        let svg = match tiles.is_empty() {
            true => svg.clone(),
            false => svg.replacen(PageFigure::TILES, &format!("data:image/png;base64,{}", BASE64.encode(tiles)), 1),
        };
        let alt = HtmlEscape(&drawing.alt);
        let shown = svg.replacen("<svg ", &format!("<svg aria-label=\"{alt}\" "), 1);
        let of_run = format!("{}, {}: ", run.name, run.weights);
        let title = drawing.title.strip_prefix(&of_run).filter(|_| alone).map_or(drawing.title.clone(), sentence_case);
        Figure { title, shown: Safe::from_safe_string(shown) }
    };
    run.figures.iter().filter(|drawing| !OWN.contains(&drawing.name.as_str())).map(figure).collect()
}

/// Begins words with a capital letter, unless they begin with a single letter, as in "t-SNE".
fn sentence_case(words: &str) -> String {
    let mut letters = words.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_alphabetic) => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_of_a_figure_has_a_colour_on_a_dark_page() {
        let rules = series_on_dark();
        for [light, dark] in (0..Style::COUNT).map(|k| Style::number(k).colours()) {
            for part in ["fill", "stroke"] {
                let rule = format!("[{part}=\"{light}\"] {{ {part}: {dark}; }}");
                assert_eq!(rules.matches(&rule).count(), 1, "{rule}");
            }
        }
    }

    #[test]
    fn captions_begin_with_a_capital_letter() {
        let cases = ["random draws", "t-SNE of", "Laplacian", "über", ""].map(sentence_case);
        assert_eq!(cases, ["Random draws", "t-SNE of", "Laplacian", "Über", ""]);
    }
}
