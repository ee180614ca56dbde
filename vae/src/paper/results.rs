//! The results of a paper's runs. `results.md` has the claims, tables and figures with the paper's numbers next to ours, and
//! `claims.json` has the claims for programs.

mod means;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use vae_core::Result;
use vae_core::learn;
use vae_core::learn::Summary;
use vae_figures::figure::{Curve, Plot, overlay};
use vae_scores::Scores;

use super::printed::{Printed, Size, scale_words};
use super::settle::{Progress, settle};
use super::tradeoff::trade_off;
use super::{Figure, Paper, PaperOptions, PlannedRun, Row, TRADE_OFF, Table, folder};
use crate::paper::claims::convergence::unsettled;
use crate::paper::claims::verdict::{ClaimResult, Lack, Measured, VERDICTS, evaluate, format_values};
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

/// The results with their folder, and the runs as the paper has them.
struct View<'a> {
    results: &'a Results<'a>,
    grid: &'a Grid,
    /// The runs at the paper's size, with one seed.
    full: Vec<PlannedRun>,
}

impl Results<'_> {
    /// Writes both files and the figures of several runs. Returns the verdicts.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn write(&self, grid: &mut Grid) -> Result<Vec<ClaimResult>> {
        let mut pictures = Vec::new();
        for (i, figure) in self.paper.figures.iter().enumerate() {
            pictures.push(match figure.together {
                true => self.together(figure, &format!("figure-{}.png", i + 1), grid)?,
                false => self.apart(figure, grid),
            });
        }
        let whole = PaperOptions { seeds: vec![1], ..PaperOptions::default() };
        let view = View { results: self, grid, full: self.paper.plan(&whole, Path::new("runs"))? };
        let judged = view.judged()?;
        let text = view.page(&judged, &pictures);
        let seeds = &self.asked.seeds;
        let claims = json!({ "paper": self.paper.name, "quick": self.asked.quick, "seeds": seeds, "claims": judged });
        grid.folder.write("results.md", text.as_bytes())?;
        grid.folder.write("claims.json", format!("{claims:#}\n").as_bytes())?;
        Ok(judged)
    }

    /// One figure with the curves of several runs.
    fn together(&self, figure: &Figure, file: &str, grid: &mut Grid) -> Result<String> {
        let plot = match figure.draw == TRADE_OFF {
            true => {
                let view = View { results: self, grid, full: Vec::new() };
                let value = |run: &str, seed: u64, quantity: &str| view.value(run, seed, quantity).ok();
                trade_off(&figure.of, &figure.runs, &self.asked.seeds, &figure.against, &value)
            }
            false => self.curves(figure, grid)?,
        };
        let Some(plot) = plot else {
            return Ok("There is nothing to draw, because none of its runs exists.\n".into());
        };
        grid.folder.write(file, &plot.png())?;
        Ok(format!("![{}]({file})\n", figure.of))
    }

    /// The validation losses over the epochs.
    fn curves(&self, figure: &Figure, grid: &Grid) -> Result<Option<Plot>> {
        let mut curves = Vec::new();
        for planned in self.plan.iter().filter(|planned| figure.runs.contains(&planned.run)) {
            if grid.result(&planned.point).is_some_and(|line| line.contains_key("validation")) {
                curves.push(Curve::of_validation(&planned.point.name, &epochs(&grid.path(&planned.point))?));
            }
        }
        Ok((!curves.is_empty()).then(|| overlay(&figure.of, &curves)))
    }

    /// One figure per run, of the first seed that has one.
    fn apart(&self, figure: &Figure, grid: &Grid) -> String {
        let mut text = String::new();
        for run in &figure.runs {
            let file = |seed: &u64| format!("{}/{}.png", folder(run, *seed), figure.draw);
            let drawn = self.asked.seeds.iter().find(|seed| grid.folder.path().join(file(seed)).exists());
            let _ = match drawn {
                Some(seed) => writeln!(text, "![{}: {run}, seed {seed}](<{}>)\n", figure.of, file(seed)),
                None => writeln!(text, "- `{run}`: not drawn; `vae draw RUN {}` draws it\n", figure.draw),
            };
        }
        text
    }
}

impl Measured for View<'_> {
    fn value(&self, run: &str, seed: u64, quantity: &str) -> std::result::Result<f64, Lack> {
        if ["parameters", "trainable_parameters"].contains(&quantity) {
            return self.count(run, quantity).ok_or_else(|| Lack::NoValue(format!("{run} is not a run of this paper")));
        }
        let planned = self.planned(run, seed);
        let planned = planned.ok_or_else(|| Lack::NotRun(format!("{run} is not one of the selected runs")))?;
        if let Some(why) = self.results.skipped.get(&planned.point.name) {
            return Err(Lack::NotRun(format!("{run} was skipped: {why}")));
        }
        let line = self.grid.result(&planned.point);
        let line = line.ok_or_else(|| Lack::NotRun(format!("{run} has not run with seed {seed}")))?;
        if let Some(why) = line.get("failed").and_then(Value::as_str) {
            return Err(Lack::NoValue(format!("{run} diverged with seed {seed}: {why}")));
        }
        let path = self.grid.path(&planned.point);
        let found = match (quantity, line.get("validation").and_then(|validation| validation.get(quantity))) {
            ("best_epoch", _) => number(line.get("best_epoch")),
            ("seconds", _) => {
                let all = epochs(&path).map_err(|error| Lack::NoValue(error.to_string()))?;
                all.iter().filter_map(|epoch| epoch["seconds"].as_f64()).reduce(f64::min) // others may have been slowed by other work
            }
            (_, Some(value)) => number(Some(value)),
            (_, None) => score(&path, run, quantity).map_err(Lack::NoValue)?,
        };
        found.ok_or_else(|| Lack::NoValue(format!("{run} has no {quantity}")))
    }

    fn unsettled(&self, run: &str, seed: u64) -> Option<String> {
        let planned = self.planned(run, seed)?;
        let all = epochs(&self.grid.path(&planned.point)).ok()?;
        let losses: Vec<f64> =
            all.iter().map(|epoch| epoch["validation"]["total"].as_f64().unwrap_or(f64::NAN)).collect();
        unsettled(&losses).map(|why| format!("{run} with seed {seed}: {why}"))
    }
}

/// A score of a run, or the reason why it has none.
fn score(path: &Path, run: &str, name: &str) -> std::result::Result<Option<f64>, String> {
    let scores = Scores::read(path).map_err(|error| error.to_string())?;
    let scores = scores.ok_or_else(|| format!("{run} was not scored"))?;
    match scores.missing.iter().find(|missing| missing.name == name) {
        Some(missing) => Err(format!("{run} has no {name}: {}", missing.why)),
        None => Ok(scores.get(name).map(|score| score.value)),
    }
}

impl View<'_> {
    fn planned(&self, run: &str, seed: u64) -> Option<&PlannedRun> {
        self.results.plan.iter().find(|planned| planned.run == run && planned.seed == seed)
    }

    /// The run as the paper has it.
    fn of_paper(&self, run: &str) -> Option<&PlannedRun> {
        self.full.iter().find(|planned| planned.run == run)
    }

    /// The parameters of the paper's model, which need no training.
    fn count(&self, run: &str, quantity: &str) -> Option<f64> {
        let config = &self.of_paper(run)?.point.config;
        let summary = Summary::new(config, &*learn::build(config));
        let trainable = quantity == "trainable_parameters";
        Some(if trainable { summary.trainable_parameters } else { summary.parameters } as f64)
    }

    fn judged(&self) -> Result<Vec<ClaimResult>> {
        let (asked, plan, name) = (self.results.asked, self.results.plan, &self.results.paper.name);
        // Small runs leave claims open that runs of the paper's size would settle.
        let whole = PaperOptions { seeds: asked.seeds.clone(), ..PaperOptions::default() };
        let progress = |run: &str, seed: u64| match self.planned(run, seed) {
            Some(planned) if self.grid.result(&planned.point).is_none() => Progress::NotRun,
            Some(_) if self.unsettled(run, seed).is_some() => Progress::Falling,
            Some(_) => Progress::Done,
            None => Progress::NotRun,
        };
        let evaluate = |claim: Claim| {
            let mut judged = evaluate(&self.of_this_size(claim), &asked.seeds, asked.quick, self);
            judged.settle = match asked.quick {
                false => settle(&judged, name, asked, plan, &progress),
                true => settle(&judged, name, &whole, &self.full, &|_, _| Progress::NotRun),
            };
            judged
        };
        Ok(claims::of_paper(&self.results.paper.name)?.into_iter().map(evaluate).collect())
    }

    /// The claim, restricted to the groups whose runs are all part of the requested size.
    fn of_this_size(&self, mut claim: Claim) -> Claim {
        let here =
            |group: &Vec<String>| group.iter().all(|run| self.results.plan.iter().any(|planned| planned.run == *run));
        if claim.runs.iter().any(here) {
            claim.runs.retain(here);
        }
        claim
    }

    /// The sizes of those of these runs that have ended.
    fn sizes(&self, runs: &[&String]) -> Vec<Size<'_>> {
        let of = |planned: &'_ PlannedRun| {
            let line = self.grid.result(&planned.point)?;
            let (ours, whole) = (&self.planned(&planned.run, planned.seed)?.point.config, self.of_paper(&planned.run)?);
            let epochs = line.get("epochs").and_then(Value::as_u64)? as usize;
            Some(Size { ours, paper: &whole.point.config, told: whole.images, epochs, seed: planned.seed })
        };
        self.results.plan.iter().filter(|planned| runs.contains(&&planned.run)).filter_map(of).collect()
    }

    fn page(&self, judged: &[ClaimResult], pictures: &[String]) -> String {
        let Results { paper, asked, skipped, .. } = self.results;
        let mut text = format!("# {}\n\n", paper.title);
        let _ = writeln!(text, "`{}`\n", asked.command(&paper.name));
        if asked.quick {
            let whole = if paper.text.is_some() { "the comparison" } else { "the paper" };
            let _ = write!(
                text,
                "These are small runs: they use fewer images and epochs than {whole}, and narrower models if that is much faster. "
            );
        }
        if let Some(stand_in) = paper.stand_in(asked) {
            let _ = writeln!(text, "Instead of {stand_in}.\n");
        }
        match &paper.text {
            Some(words) => {
                let _ = writeln!(text, "{words}\n\n`vae paper` wrote this page from the runs in this folder.\n");
            }
            None => self.claims(&mut text, judged),
        }
        for table in &paper.tables {
            let _ = writeln!(text, "## {}\n\n{}", table.title, self.table(table));
        }
        if paper.text.is_none() {
            text.push_str(
                "(The number in brackets is the paper's; the number after an arrow is the corrected one.)\n\n",
            );
        }
        if !pictures.is_empty() {
            text.push_str("## Figures\n\n");
        }
        for (figure, picture) in paper.figures.iter().zip(pictures) {
            let _ = writeln!(text, "### {}\n\n{picture}", figure.of);
        }
        if !skipped.is_empty() {
            text.push_str("## Skipped runs\n\n");
            for (run, why) in *skipped {
                let _ = writeln!(text, "- `{run}`: {why}");
            }
        }
        text
    }

    /// What a paper has before its tables: how to read the page, what the paper prints, and the verdicts on its claims.
    fn claims(&self, text: &mut String, judged: &[ClaimResult]) {
        text.push_str(
            "`vae paper` wrote this page from the runs in this folder; `vae paper NAME --judge` writes it again. A verdict is about the \
             direction of a claim. Absolute values depend on the split, the hardware and the length of training. A run whose \
             validation loss still falls by more than 1 % an epoch has not converged, and decides no claim about final losses. \
             Times are for two cores.\n\n",
        );
        let count = |verdict| judged.iter().filter(|judged| judged.verdict == verdict).count();
        let counts = VERDICTS.map(|verdict| format!("{} {verdict}", count(verdict)));
        let _ = writeln!(text, "{} claims: {}.\n", judged.len(), counts.join(", "));
        let _ = writeln!(text, "## What the paper prints\n\n{}", self.printed(judged));
        text.push_str("## Claims\n\n");
        judged.iter().for_each(|judged| claim(text, judged));
    }

    /// A row for each table and figure of the paper.
    fn printed(&self, judged: &[ClaimResult]) -> String {
        let head = [
            "in the paper",
            "it shows",
            "printed → ours",
            "our runs, of the paper's size",
            "verdict, or why there is none",
        ];
        let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
        for printed in &self.results.paper.printed {
            let runs = self.runs_of(printed, judged);
            let sizes = self.sizes(&runs);
            let scale = if runs.is_empty() { "–".into() } else { scale_words(&sizes) };
            let compared = self.compared(printed, judged, sizes.is_empty());
            let verdicts = printed.verdicts(judged);
            let _ = writeln!(text, "| {} | {} | {compared} | {scale} | {verdicts} |", printed.of, printed.shows);
        }
        text
    }

    /// The runs that a table or figure of the paper is about.
    fn runs_of<'v>(&'v self, printed: &Printed, judged: &'v [ClaimResult]) -> Vec<&'v String> {
        let paper = self.results.paper;
        let claims = judged.iter().filter(|judged| printed.claims.contains(&judged.claim.id));
        let of_claims = claims.flat_map(|judged| judged.claim.runs.iter().flatten());
        let begins = |title: &str, with: &Option<String>| with.as_ref().is_some_and(|with| title.starts_with(with));
        let figures = paper.figures.iter().filter(|figure| begins(&figure.of, &printed.figure));
        let tables = paper.tables.iter().filter(|table| begins(&table.title, &printed.table));
        let of_tables = tables.flat_map(|table| table.rows.iter().map(|row| &row.run));
        let mut runs: Vec<&String> =
            of_claims.chain(figures.flat_map(|figure| &figure.runs)).chain(of_tables).collect();
        runs.sort();
        runs.dedup();
        runs
    }

    /// The paper's numbers beside ours, or where our table or figure is.
    fn compared(&self, printed: &Printed, judged: &[ClaimResult], empty: bool) -> String {
        let mut parts: Vec<String> = printed.numbers.iter().cloned().collect();
        if printed.table.is_some() {
            parts.push("in the table below".into());
        }
        for judged in judged.iter().filter(|judged| printed.claims.contains(&judged.claim.id)) {
            let claim = &judged.claim;
            for (run, value) in claim.printed.iter().filter(|_| printed.table.is_none()) {
                let ours = format_values(&judged.values, run, &claim.quantity);
                parts.push(format!("{} of `{run}`: {} → {ours}", claim.quantity, counted(&claim.quantity, *value)));
            }
        }
        if printed.figure.is_some() && !empty {
            parts.push("our figure is below".into());
        }
        if parts.is_empty() { "no number is printed".into() } else { parts.join("; ") }
    }

    /// A table with one row per run and seed, or one per run.
    fn table(&self, table: &Table) -> String {
        if table.mean {
            return self.means(table);
        }
        // A run at a smaller width has fewer parameters, which the paper does not print.
        let title = |quantity: &String| match quantity.as_str() {
            "parameters" | "trainable_parameters" => format!("{quantity} of the paper's model"),
            other => other.to_owned(),
        };
        let head = ["run", "seed"].map(str::to_owned).into_iter().chain(table.columns.iter().map(title));
        let mut cells = vec![head.collect::<Vec<_>>()];
        for row in &table.rows {
            for &seed in &self.results.asked.seeds {
                let value = |quantity: &String| self.cell(row, seed, quantity);
                cells.push(
                    [row.run.clone(), seed.to_string()].into_iter().chain(table.columns.iter().map(value)).collect(),
                );
            }
        }
        markdown_table(&cells)
    }

    fn cell(&self, row: &Row, seed: u64, quantity: &String) -> String {
        let ours = self.value(&row.run, seed, quantity);
        let ours = ours.map_or_else(|_| "–".into(), |x| counted(quantity, x));
        beside(ours, row.printed.get(quantity), row.corrected.get(quantity), quantity)
    }
}

/// Appends the section of a claim.
fn claim(text: &mut String, judged: &ClaimResult) {
    let claim = &judged.claim;
    let numbered = claim.section.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase());
    let section = format!("{}{}", if numbered { "section " } else { "" }, claim.section);
    let _ = writeln!(text, "### {}: {}\n\n> {} ({section})\n", claim.id, judged.words(), claim.says);
    let _ = writeln!(text, "{}: {}.", title_case(&judged.words()), judged.why.trim_end_matches('.'));
    if let Some(settle) = &judged.settle {
        let _ = writeln!(text, "What would settle it: {settle}.");
    }
    if claim.rule.is_some() {
        let _ = writeln!(text, "Rule: {}.\n", claim.rule_words());
        let mut seen: Vec<&String> = Vec::new();
        for run in claim.runs.iter().flatten() {
            if !seen.contains(&run) {
                seen.push(run);
                let ours = format_values(&judged.values, run, &claim.quantity);
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
