//! Every run to its end, with its scores and figures; then the page.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use vae_figures::gallery;
use vae_run::Folder;
use vae_scores::{Options, Scores};

use crate::cli::load;
use crate::console::{eprint_line, warn};
use crate::device::Chosen;
use crate::paper::results::Results;
use crate::paper::{Paper, PaperOptions, PlannedRun, folder};
use crate::say;
use crate::session::grid::Grid;
use crate::session::{RunOptions, catch_signals, interrupted};

/// Samples and test images that are scored.
const IMAGES: usize = 1024;
/// With --quick.
const QUICK_IMAGES: usize = 256;

/// Does what is left to do of the runs in these places of the plan.
pub(super) fn run(
    paper: &Paper,
    asked: &PaperOptions,
    plan: &[PlannedRun],
    here: &[usize],
    mut grid: Grid,
    chosen: &Chosen,
) -> Result<ExitCode> {
    catch_signals()?;
    let mut skipped = BTreeMap::new();
    for (i, &at) in here.iter().enumerate() {
        let planned = &plan[at];
        let place = format!("run {} of {}: {}", i + 1, here.len(), planned.point.name);
        if interrupted() {
            return Ok(stopped(plan, &grid));
        }
        if grid.result(&planned.point).is_some() {
            say!("{place}, already done");
        } else if let Some(why) = planned.missing() {
            eprint_line(&format!("warning: {place} is skipped: {why}"));
            skipped.insert(planned.point.name.clone(), why);
            continue;
        } else {
            say!("{place}\n");
            if !grid.run(&planned.point, chosen, RunOptions::default())? {
                return Ok(stopped(plan, &grid));
            }
            say!("");
        }
        measure(paper, asked, planned, &grid, chosen)?;
    }
    let judged = Results { paper, asked, plan, skipped: &skipped }.write(&mut grid)?;
    say!("");
    let width = judged.iter().map(|judged| judged.claim.id.len()).max().unwrap_or(0);
    judged.iter().for_each(|judged| say!("{:width$}  {}: {}", judged.claim.id, judged.verdict, judged.why));
    say!("\n{0}/results.md, {0}/claims.json", grid.folder.path().display());
    Ok(ExitCode::SUCCESS)
}

/// Scores a run and draws the figures that the paper has of it, unless both are there.
fn measure(paper: &Paper, asked: &PaperOptions, planned: &PlannedRun, grid: &Grid, chosen: &Chosen) -> Result<()> {
    let (path, config) = (grid.path(&planned.point), &planned.point.config);
    let failed = grid.result(&planned.point).is_none_or(|line| line.contains_key("failed"));
    if failed || !config.model.is_vae() {
        return Ok(());
    }
    let images = if asked.quick { QUICK_IMAGES } else { IMAGES };
    let extractor = paper.extractor.as_ref().map(|run| grid.folder.path().join(folder(run, planned.seed)));
    let extractor = extractor.filter(|run| run.join("checkpoints").exists());
    // Scores from before there was an extractor lack what it is for.
    let whole = |scores: &Scores| extractor.is_none() || scores.get("frechet_distance").is_some();
    let scored = Scores::read(&path)?.is_some_and(|scores| scores.images == images && whole(&scores));
    let wanted = |name: &str| {
        let mut figures = paper.figures.iter().filter(|figure| !figure.together && figure.runs.contains(&planned.run));
        figures.any(|figure| figure.draw == name) && !path.join(format!("{name}.png")).exists()
    };
    if scored && !paper.figures.iter().any(|figure| wanted(&figure.draw)) {
        return Ok(());
    }
    let run = load::open(&path, config.clone(), chosen)?;
    let mut files = Folder::open_unlocked(&path);
    if !scored {
        let scores = vae_scores::evaluate(&run, &Options { images, extractor, inception: None, ..Options::default() })?;
        scores.warnings.iter().for_each(|words| warn(words));
        scores.write(&mut files)?;
    }
    for drawing in gallery::standard(&run)?.into_iter().filter(|drawing| wanted(&drawing.name)) {
        drawing.write(&mut files)?;
    }
    Ok(())
}

fn stopped(plan: &[PlannedRun], grid: &Grid) -> ExitCode {
    let done = grid.done(plan.iter().map(|planned| &planned.point));
    eprint_line(&format!(
        "interrupted: {done} of {} runs are done; run the same command again to continue",
        plan.len()
    ));
    ExitCode::from(130)
}
