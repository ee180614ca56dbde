//! The results of a paper's runs. `results.md` has the claims, tables and figures with the paper's numbers next to ours, and
//! `claims.json` has the claims for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use vae_core::Result;
use vae_core::learn;
use vae_core::learn::Summary;
use vae_figures::figure::{Curve, overlay};
use vae_scores::Scores;

use super::{Figure, Paper, PaperOptions, PlannedRun, Row, Table, folder};
use crate::console::shell_quote;
use crate::paper::claims::verdict::{ClaimResult, Verdict, evaluate, format_values};
use crate::paper::claims::{self, Claim};
use crate::session::grid::{Grid, epochs};
use crate::session::table::{five_digits, markdown_table};

/// The results of a paper's runs, including runs that have not finished.
pub struct Results<'a> {
    /// The paper.
    pub paper: &'a Paper,
    /// The options.
    pub asked: &'a PaperOptions,
    /// The runs.
    pub plan: &'a [PlannedRun],
    /// The reasons why runs were left out, by folder.
    pub skipped: &'a BTreeMap<String, String>,
}

impl Results<'_> {
    /// Writes both files and the figures of several runs. Returns the verdicts.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn write(&self, grid: &mut Grid) -> Result<Vec<ClaimResult>> {
        let judged = self.judged(grid)?;
        let mut pictures = Vec::new();
        for (i, figure) in self.paper.figures.iter().enumerate() {
            pictures.push(match figure.together {
                true => self.together(figure, &format!("figure-{}.png", i + 1), grid)?,
                false => self.apart(figure, grid),
            });
        }
        let text = self.page(&judged, &pictures, grid);
        grid.folder.write("results.md", text.as_bytes())?;
        let seeds = &self.asked.seeds;
        let claims = json!({ "paper": self.paper.name, "quick": self.asked.quick, "seeds": seeds, "claims": judged });
        grid.folder.write("claims.json", format!("{claims:#}\n").as_bytes())?;
        Ok(judged)
    }

    fn judged(&self, grid: &Grid) -> Result<Vec<ClaimResult>> {
        let measure = |run: &str, seed: u64, quantity: &str| self.measure(grid, run, seed, quantity);
        let evaluate =
            |claim: Claim| evaluate(&self.of_this_size(claim), &self.asked.seeds, self.asked.quick, &measure);
        Ok(claims::of_paper(&self.paper.name)?.into_iter().map(evaluate).collect())
    }

    /// The claim, restricted to the groups whose runs are all part of the requested size.
    fn of_this_size(&self, mut claim: Claim) -> Claim {
        let here = |group: &Vec<String>| group.iter().all(|run| self.plan.iter().any(|planned| planned.run == *run));
        if claim.runs.iter().any(here) {
            claim.runs.retain(here);
        }
        claim
    }

    /// A quantity of a run, or the reason why there is none.
    fn measure(&self, grid: &Grid, run: &str, seed: u64, quantity: &str) -> std::result::Result<f64, String> {
        let planned = self.plan.iter().find(|planned| planned.run == run && planned.seed == seed);
        let planned = planned.ok_or_else(|| format!("{run} is not one of the selected runs"))?;
        if let Some(why) = self.skipped.get(&planned.point.name) {
            return Err(format!("{run} was skipped: {why}"));
        }
        let line = grid.result(&planned.point).ok_or_else(|| format!("{run} has not run"))?;
        if let Some(why) = line.get("failed").and_then(Value::as_str) {
            return Err(format!("{run} diverged with seed {seed}: {why}"));
        }
        let path = grid.path(&planned.point);
        match quantity {
            "best_epoch" => number(line.get("best_epoch")),
            "seconds" => {
                let all = epochs(&path).map_err(|error| error.to_string())?;
                all.iter().filter_map(|epoch| epoch["seconds"].as_f64()).reduce(f64::min) // others may have been slowed by other work
            }
            "parameters" | "trainable_parameters" => {
                let summary = Summary::new(&planned.point.config, &*learn::build(&planned.point.config));
                let trainable = quantity == "trainable_parameters";
                Some(if trainable { summary.trainable_parameters } else { summary.parameters } as f64)
            }
            _ => match line.get("validation").and_then(|validation| validation.get(quantity)) {
                Some(value) => number(Some(value)),
                None => {
                    let scores = Scores::read(&path).map_err(|error| error.to_string())?;
                    let scores = scores.ok_or_else(|| format!("{run} was not scored"))?;
                    let why = scores.missing.iter().find(|missing| missing.name == quantity);
                    if let Some(missing) = why {
                        return Err(format!("{run} has no {quantity}: {}", missing.why));
                    }
                    scores.get(quantity).map(|score| score.value)
                }
            },
        }
        .ok_or_else(|| format!("{run} has no {quantity}"))
    }

    fn page(&self, judged: &[ClaimResult], pictures: &[String], grid: &Grid) -> String {
        let mut text = format!("# {}\n\n", self.paper.title);
        let quick = if self.asked.quick { " --quick" } else { "" };
        let seeds = self.asked.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let given = |flag: &str, values: &[String]| -> String {
            values.iter().map(|value| format!(" {flag} {}", shell_quote(value))).collect()
        };
        let (only, set) = (given("--only", &self.asked.only), given("--set", &self.asked.set));
        let _ = writeln!(text, "`vae paper {}{quick} --seeds {seeds}{only}{set}`\n", self.paper.name);
        if self.asked.quick {
            text.push_str("These are small runs: they use fewer images and epochs than the paper, and narrower models if that is much faster. ");
            let _ = match self.paper.stand_in() {
                Some(stand_in) => writeln!(text, "Instead of {stand_in}.\n"),
                None => writeln!(text, "\n"),
            };
        }
        text.push_str(
            "A verdict is about the direction of a claim. Absolute values depend on the split, the hardware and the length of training.\n\n",
        );
        text.push_str("## Claims\n\n");
        let count = |verdict| judged.iter().filter(|judged| judged.verdict == verdict).count();
        let verdicts = [Verdict::Reproduced, Verdict::Contradicted, Verdict::Corrected, Verdict::NotComparable];
        let counts = verdicts.map(|verdict| format!("{} {verdict}", count(verdict)));
        let _ = writeln!(text, "{} claims: {}.\n", judged.len(), counts.join(", "));
        judged.iter().for_each(|judged| claim(&mut text, judged));
        for table in &self.paper.tables {
            let _ = writeln!(text, "## {}\n\n{}", table.title, self.table(table, grid));
        }
        text.push_str("(The number in brackets is the paper's; the number after an arrow is the corrected one.)\n\n## Figures\n\n");
        for (figure, picture) in self.paper.figures.iter().zip(pictures) {
            let _ = writeln!(text, "### {}\n\n{picture}", figure.of);
        }
        if !self.skipped.is_empty() {
            text.push_str("## Skipped runs\n\n");
            for (run, why) in self.skipped {
                let _ = writeln!(text, "- `{run}`: {why}");
            }
        }
        text
    }

    /// A table with one row per run and seed.
    fn table(&self, table: &Table, grid: &Grid) -> String {
        let head = ["run", "seed"].into_iter().chain(table.columns.iter().map(String::as_str)).map(str::to_owned);
        let mut cells = vec![head.collect::<Vec<_>>()];
        for row in &table.rows {
            for &seed in &self.asked.seeds {
                let value = |quantity: &String| self.cell(row, seed, quantity, grid);
                cells.push(
                    [row.run.clone(), seed.to_string()].into_iter().chain(table.columns.iter().map(value)).collect(),
                );
            }
        }
        markdown_table(&cells)
    }

    fn cell(&self, row: &Row, seed: u64, quantity: &String, grid: &Grid) -> String {
        let ours = self.measure(grid, &row.run, seed, quantity);
        let ours = ours.map_or_else(|_| "–".into(), |x| counted(quantity, x));
        beside(ours, row.printed.get(quantity), row.corrected.get(quantity), quantity)
    }

    /// One figure with the curves of several runs.
    fn together(&self, figure: &Figure, file: &str, grid: &mut Grid) -> Result<String> {
        let mut curves = Vec::new();
        for planned in self.plan.iter().filter(|planned| figure.runs.contains(&planned.run)) {
            if grid.result(&planned.point).is_some_and(|line| line.contains_key("validation")) {
                curves.push(Curve::of_validation(&planned.point.name, &epochs(&grid.path(&planned.point))?));
            }
        }
        if curves.is_empty() {
            return Ok("There is nothing to draw, because none of its runs exists.\n".into());
        }
        grid.folder.write(file, &overlay(&figure.of, &curves).png())?;
        Ok(format!("![{}]({file})\n", figure.of))
    }

    /// One figure per run.
    fn apart(&self, figure: &Figure, grid: &Grid) -> String {
        let mut text = String::new();
        for (run, &seed) in figure.runs.iter().flat_map(|run| self.asked.seeds.iter().map(move |seed| (run, seed))) {
            let file = format!("{}/{}.png", folder(run, seed), figure.draw);
            let _ = match grid.folder.path().join(&file).exists() {
                true => writeln!(text, "![{}: {run}, seed {seed}](<{file}>)\n", figure.of),
                false => writeln!(text, "- `{run}`, seed {seed}: not drawn; `vae draw RUN {}` draws it\n", figure.draw),
            };
        }
        text
    }
}

/// Appends the section of a claim.
fn claim(text: &mut String, judged: &ClaimResult) {
    let claim = &judged.claim;
    let numbered = claim.section.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase());
    let section = format!("{}{}", if numbered { "section " } else { "" }, claim.section);
    let _ = writeln!(text, "### {}: {}\n\n> {} ({section})\n", claim.id, judged.verdict, claim.says);
    let _ = writeln!(text, "{}: {}.", title_case(&judged.verdict.to_string()), judged.why.trim_end_matches('.'));
    if claim.rule.is_some() {
        let _ = writeln!(text, "Rule: {}.\n", claim.rule_words());
        let mut seen: Vec<&String> = Vec::new();
        for run in claim.runs.iter().flatten() {
            if !seen.contains(&run) {
                seen.push(run);
                let ours = format_values(&judged.values, run);
                let cell = beside(ours, claim.printed.get(run), claim.corrected.get(run), &claim.quantity);
                let _ = writeln!(text, "- `{run}`: {cell}");
            }
        }
    }
    text.push('\n');
}

fn title_case(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Our value, followed by the paper's.
fn beside(ours: String, printed: Option<&f64>, corrected: Option<&f64>, quantity: &str) -> String {
    let word = |x: &f64| counted(quantity, *x);
    match (printed, corrected) {
        (None, None) => ours,
        (Some(printed), None) => format!("{ours} ({})", word(printed)),
        (None, Some(corrected)) => format!("{ours} (→ {})", word(corrected)),
        (Some(printed), Some(corrected)) => format!("{ours} ({} → {})", word(printed), word(corrected)),
    }
}

/// Formats a number for its quantity.
fn counted(quantity: &str, x: f64) -> String {
    if claims::is_count(quantity) { format!("{x}") } else { five_digits(x) }
}

/// A number; NaN for the words that stand for it in JSON.
fn number(value: Option<&Value>) -> Option<f64> {
    value.map(|value| value.as_f64().unwrap_or(f64::NAN))
}
