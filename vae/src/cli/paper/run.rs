//! Every run to its end, with its scores and figures; then the page.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use vae_core::config::ModelKind;
use vae_figures::gallery;
use vae_run::Folder;
use vae_scores::{Options, Scores};

use crate::cli::load;
use crate::console::{eprint_line, warn};
use crate::device::Chosen;
use crate::paper::claims::verdict::ClaimResult;
use crate::paper::results::Results;
use crate::paper::{Paper, PaperOptions, PlannedRun, folder};
use crate::say;
use crate::session::duration;
use crate::session::grid::Grid;
use crate::session::jobs::Jobs;
use crate::session::{RunOptions, catch_signals, interrupted};

/// Samples and test images that are scored.
const IMAGES: usize = 1024;
/// With --quick.
const QUICK_IMAGES: usize = 256;

/// The runs of a paper.
pub(super) struct Work<'a> {
    pub(super) paper: &'a Paper,
    pub(super) asked: &'a PaperOptions,
    pub(super) plan: &'a [PlannedRun],
    /// The places of the runs that are trained now.
    pub(super) here: &'a [usize],
    /// No run is started that would end after so many seconds.
    pub(super) budget: Option<f64>,
    /// The runs that are trained at the same time.
    pub(super) jobs: Jobs,
}

/// What the runs that are trained at the same time share.
struct Shared {
    grid: Grid,
    skipped: BTreeMap<String, String>,
    clock: Clock,
}

/// The time that runs take here: the estimate for two cores, corrected by the runs that have ended.
struct Clock {
    start: Instant,
    /// What the runs that were trained since then should have taken.
    estimated: f64,
    spent: f64,
}

impl Clock {
    fn start() -> Clock {
        Clock { start: Instant::now(), estimated: 0.0, spent: 0.0 }
    }

    /// The time of a run that is estimated at so many seconds.
    fn corrected(&self, seconds: f64) -> f64 {
        if self.estimated > 0.0 { seconds * self.spent / self.estimated } else { seconds }
    }

    fn add(&mut self, estimated: Option<f64>, spent: f64) {
        if let Some(estimated) = estimated {
            self.estimated += estimated;
            self.spent += spent;
        }
    }
}

/// Does what is left to do of the runs in these places of the plan.
pub(super) fn run(work: Work, grid: Grid, chosen: &Chosen) -> Result<ExitCode> {
    let Work { paper, asked, plan, here, jobs, .. } = work;
    catch_signals()?;
    jobs.words().iter().for_each(|words| say!("{words}"));
    // Other runs start from the encoders of classifiers, or are scored with them.
    let classifies = |at: &usize| plan[*at].point.config.model.kind == ModelKind::Classifier;
    let (first, rest): (Vec<usize>, Vec<usize>) = here.iter().copied().partition(classifies);
    let order: Vec<usize> = first.iter().chain(&rest).copied().collect();
    let shared = Mutex::new(Shared { grid, skipped: BTreeMap::new(), clock: Clock::start() });
    let phase = |numbers: Range<usize>| {
        let jobs = jobs.at_most(numbers.len());
        jobs.for_each(numbers, |i| one(&Work { jobs, ..work }, &order, i, &shared, chosen))
    };
    let ended = phase(0..first.len())? && phase(first.len()..order.len())?;
    let Shared { mut grid, skipped, .. } = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !ended && interrupted() {
        return Ok(stopped(plan, &grid));
    }
    let judged = Results { paper, asked, plan, skipped: &skipped }.write(&mut grid)?;
    tell(&judged, &grid);
    Ok(ExitCode::SUCCESS)
}

/// Does what is left to do of one run. Returns whether others are to follow.
fn one(work: &Work, order: &[usize], i: usize, shared: &Mutex<Shared>, chosen: &Chosen) -> Result<bool> {
    let Work { paper, asked, plan, jobs, budget, .. } = *work;
    let planned = &plan[order[i]];
    let name = &planned.point.name;
    let place = format!("run {} of {}: {name}", i + 1, order.len());
    if interrupted() {
        return Ok(false);
    }
    let mut now = lock(shared);
    let path = now.grid.path(&planned.point);
    if now.grid.result(&planned.point).is_some() {
        say!("{place}, already done");
    } else if let Some(why) = planned.missing() {
        match now.skipped.iter().find(|(_, known)| **known == why) {
            Some((first, _)) => eprint_line(&format!("warning: {place} is skipped for the same reason as {first}")),
            None => eprint_line(&format!("warning: {place} is skipped: {why}")),
        }
        now.skipped.insert(name.clone(), why);
        return Ok(true);
    } else {
        let Shared { grid, clock, .. } = &*now;
        let left = order[i..].iter().map(|&at| &plan[at]).filter(|later| grid.result(&later.point).is_none());
        let left = clock.corrected(left.filter_map(|later| later.seconds).sum());
        let next = clock.corrected(planned.seconds.unwrap_or(0.0)) * jobs.count() as f64;
        if budget.is_some_and(|budget| clock.start.elapsed().as_secs_f64() + next > budget) {
            eprint_line(&format!("the budget is used up; {} are left, and --resume goes on", duration::words(left)));
            return Ok(false);
        }
        drop(now);
        let start = format!("{place}, {} left", duration::words(left));
        let before = Instant::now();
        let Some(line) = jobs.train(&start, &planned.point, &path, chosen, RunOptions::default())? else {
            return Ok(false);
        };
        now = lock(shared);
        now.grid.add(line)?;
        now.clock.add(planned.seconds, before.elapsed().as_secs_f64() / jobs.count() as f64);
    }
    let failed = now.grid.result(&planned.point).is_none_or(|line| line.contains_key("failed"));
    let extractor = paper.extractor.as_ref().map(|run| now.grid.folder.path().join(folder(run, planned.seed)));
    drop(now);
    if !failed {
        jobs.label(name, || measure(paper, asked, planned, &path, extractor, chosen))?;
    }
    Ok(true)
}

fn lock<'a>(shared: &'a Mutex<Shared>) -> MutexGuard<'a, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the verdicts.
pub(super) fn tell(judged: &[ClaimResult], grid: &Grid) {
    say!("");
    let width = judged.iter().map(|judged| judged.claim.id.len()).max().unwrap_or(0);
    judged.iter().for_each(|judged| say!("{:width$}  {}: {}", judged.claim.id, judged.words(), judged.why));
    say!("\n{0}/results.md, {0}/claims.json", grid.folder.path().display());
}

/// Scores a run that did not diverge, if the paper has a score, and draws the figures that the paper has of it, unless both are there. The
/// classifier in the folder `extractor` extracts features for some of the scores.
fn measure(
    paper: &Paper,
    asked: &PaperOptions,
    planned: &PlannedRun,
    path: &Path,
    extractor: Option<PathBuf>,
    chosen: &Chosen,
) -> Result<()> {
    let config = &planned.point.config;
    if config.model.kind == ModelKind::Classifier {
        return Ok(());
    }
    let images = if asked.quick { QUICK_IMAGES } else { IMAGES };
    let extractor = extractor.filter(|run| run.join("checkpoints").exists());
    // Scores from before there was an extractor lack what it is for.
    let whole = |scores: &Scores| extractor.is_none() || scores.get("frechet_distance").is_some();
    let scored =
        !paper.needs_scores()? || Scores::read(path)?.is_some_and(|scores| scores.images == images && whole(&scores));
    let wanted = |name: &str| {
        let mut figures = paper.figures.iter().filter(|figure| !figure.together && figure.runs.contains(&planned.run));
        figures.any(|figure| figure.draw == name) && !path.join(format!("{name}.png")).exists()
    };
    // Kept results have no weights; what they lack stays missing.
    if !path.join("checkpoints").exists() || scored && !paper.figures.iter().any(|figure| wanted(&figure.draw)) {
        return Ok(());
    }
    let run = load::open(path, config.clone(), chosen)?;
    let mut files = Folder::open_unlocked(path);
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
