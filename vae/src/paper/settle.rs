//! What would settle a claim that the runs leave undecided, and what it costs.

use super::PlannedRun;
use super::claims::Claim;
use super::claims::verdict::{ClaimResult, Verdict};
use crate::session::duration::words;

/// The fewest seeds that decide a claim without a mark.
const SEEDS: usize = 2;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has not ended.
    NotRun,
    /// It has ended and has not converged.
    Falling,
    /// It has converged.
    Done,
}

/// Returns what would settle the claim: the command, and the time on two cores. `None` for a claim that is decided, or that no run
/// decides.
pub fn settle(
    judged: &ClaimResult,
    paper: &str,
    seeds: &[u64],
    plan: &[PlannedRun],
    progress: &dyn Fn(&str, u64) -> Progress,
) -> Option<String> {
    let claim = &judged.claim;
    if judged.verdict != Verdict::Undecided || claim.rule.is_none() {
        return None;
    }
    let runs = distinct(claim);
    let wanted = wanted(seeds, claim.seeds.max(SEEDS));
    let seconds = |run: &str| plan.iter().find(|planned| planned.run == run).and_then(|planned| planned.seconds);
    let all: Vec<(&str, Progress)> = wanted
        .iter()
        .flat_map(|&seed| runs.iter().map(move |&run| (run, seed)))
        .map(|(run, seed)| (run, progress(run, seed)))
        .collect();
    let cost = |which: Progress| -> f64 {
        all.iter().filter(|(_, is)| *is == which).filter_map(|(run, _)| seconds(run)).sum()
    };
    let (left, falling) = (cost(Progress::NotRun), all.iter().any(|(_, is)| *is == Progress::Falling));
    let missing = all.iter().any(|(_, is)| *is == Progress::NotRun);
    let command = |seeds: &[u64]| {
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        format!("`vae paper {paper}{} --seeds {}`", only(&runs, plan), seeds.join(","))
    };
    let timed = |seconds: f64| if seconds > 0.0 { words(seconds) } else { "an unknown time".into() };
    Some(match (missing, falling) {
        (true, false) => format!("{}, {} on two cores", command(&wanted), timed(left)),
        (true, true) | (false, true) => {
            let longer = left + 2.0 * cost(Progress::Falling) + 2.0 * cost(Progress::Done);
            format!("{} with twice the epochs, in another --out: {} on two cores", command(&wanted), timed(longer))
        }
        (false, false) => {
            let next = wanted.iter().max().map_or(1, |last| last + 1);
            let more: Vec<u64> = wanted.iter().copied().chain([next, next + 1]).collect();
            let each: f64 = runs.iter().filter_map(|run| seconds(run)).sum();
            format!("{}: two more seeds are {} on two cores", command(&more), timed(2.0 * each))
        }
    })
}

/// The runs of a claim, each once.
fn distinct(claim: &Claim) -> Vec<&str> {
    let mut runs: Vec<&str> = Vec::new();
    for run in claim.runs.iter().flatten() {
        if !runs.contains(&run.as_str()) {
            runs.push(run);
        }
    }
    runs
}

/// The seeds that were asked for, and as many more as are wanted.
fn wanted(seeds: &[u64], count: usize) -> Vec<u64> {
    let mut all = seeds.to_vec();
    let new = (1..).filter(|seed| !seeds.contains(seed)).take(count.saturating_sub(seeds.len()));
    all.extend(new);
    all
}

/// `--only` for a few runs, or for the names before their commas if there are many; and for the runs whose encoders they start from.
fn only(runs: &[&str], plan: &[PlannedRun]) -> String {
    let mine = plan.iter().filter(|planned| runs.contains(&planned.run.as_str()));
    let encoders = mine.filter_map(|planned| planned.encoder.as_deref());
    let whole = |run: &'_ str| run.split(',').next().unwrap_or(run).to_owned();
    let mut names: Vec<String> = Vec::new();
    let wanted =
        encoders.map(whole).chain(runs.iter().map(|run| if runs.len() > 4 { whole(run) } else { (*run).to_owned() }));
    for name in wanted {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.iter().map(|name| format!(" --only {name}")).collect()
}
