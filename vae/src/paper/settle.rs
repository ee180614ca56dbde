//! What would settle a claim that the runs leave undecided, and what it costs.

use super::claims::Claim;
use super::claims::verdict::{ClaimResult, Verdict};
use super::scale::{POWER, Scale, channels};
use super::{PaperOptions, PlannedRun};
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
/// decides. More seeds than `SEEDS` settle nothing, because a rule must hold with each.
pub fn settle(
    judged: &ClaimResult,
    paper: &str,
    asked: &PaperOptions,
    plan: &[PlannedRun],
    progress: &dyn Fn(&str, u64) -> Progress,
) -> Option<String> {
    let claim = &judged.claim;
    if judged.verdict != Verdict::Undecided || claim.rule.is_none() {
        return None;
    }
    let runs = distinct(claim);
    let seeds = wanted(&asked.seeds, claim.seeds.max(SEEDS));
    let planned = |run: &str| plan.iter().find(|planned| planned.run == run);
    let seconds = |run: &str| planned(run).and_then(|planned| planned.seconds).unwrap_or(0.0);
    let all: Vec<(&str, Progress)> =
        seeds.iter().flat_map(|&seed| runs.iter().map(move |&run| (run, progress(run, seed)))).collect();
    let is = |which: Progress| move |(_, progress): &&(&str, Progress)| *progress == which;
    let timed = |seconds: f64| match seconds > 0.0 {
        true => format!("{} on two cores", words(seconds)),
        false => "an unknown time".into(),
    };
    let cost = |times: f64| timed(times * all.iter().map(|(run, _)| seconds(run)).sum::<f64>());
    let command = |scale: Scale, set: &[String]| {
        let set = [&asked.set, set].concat();
        let changed = PaperOptions { only: only(&runs, plan), seeds: seeds.clone(), scale, set, ..asked.clone() };
        changed.command(paper)
    };
    let (scale, falling) = (asked.scale, all.iter().any(|run| is(Progress::Falling)(&run)));
    if falling && scale.epochs < 1.0 {
        let epochs = (2.0 * scale.epochs).min(1.0);
        let command = command(Scale { epochs, ..scale }, &[]);
        return Some(format!("`{command}`, in another --out, {}", cost(epochs / scale.epochs)));
    }
    if falling {
        let epochs =
            runs.iter().filter_map(|run| planned(run)).map(|planned| planned.point.config.train.epochs).max()?;
        let command = command(scale, &[format!("train.epochs={}", 2 * epochs)]);
        return Some(format!("`{command}`, in another --out, {}", cost(2.0)));
    }
    let left: f64 = all.iter().filter(is(Progress::NotRun)).map(|(run, _)| seconds(run)).sum();
    if all.iter().any(|run| is(Progress::NotRun)(&run)) {
        return Some(format!("`{}`, {}", command(scale, &[]), timed(left)));
    }
    if claim.quantity == "seconds" {
        return Some(format!(
            "`{} --jobs 1`, in another --out, on a machine without other work, {}",
            command(scale, &[]),
            cost(1.0)
        ));
    }
    let scalable = runs.iter().filter_map(|run| planned(run)).any(|run| !channels(&run.point.config).is_empty());
    if scale.width < 1.0 && scalable {
        let width = (2.0 * scale.width).min(1.0);
        let command = command(Scale { width, ..scale }, &[]);
        let time = cost((width / scale.width).powf(POWER));
        return Some(format!("`{command}`, in another --out, {time}; more seeds of this size would not"));
    }
    Some("nothing of this size: the runs have converged, and a rule must hold with every seed".into())
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

/// The names of a few runs, or the names before their commas if there are many; and those of the runs whose encoders they start from.
fn only(runs: &[&str], plan: &[PlannedRun]) -> Vec<String> {
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
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::paper::{Paper, claims};

    /// What would settle a claim of transfer with seeds 1 and 2, if all runs are this far.
    fn told(id: &str, scale: Scale, progress: Progress) -> String {
        let asked = PaperOptions { seeds: vec![1, 2], scale, ..PaperOptions::default() };
        let plan = Paper::named("transfer").unwrap().plan(&asked, Path::new("runs")).unwrap();
        let claim = claims::of_paper("transfer").unwrap().into_iter().find(|claim| claim.id == id).unwrap();
        let (verdict, why) = (Verdict::Undecided, String::new());
        let judged = ClaimResult { claim, verdict, why, seeds: vec![], settle: None, values: vec![] };
        settle(&judged, "transfer", &asked, &plan, &|_, _| progress).unwrap()
    }

    #[test]
    fn the_command_is_of_the_size_that_helps() {
        let eighth = Scale { epochs: 0.25, width: 0.125 };
        let takes_longer = |scale, progress| told("large-z-takes-longer", scale, progress);
        for (scale, progress, says) in [
            (
                eighth,
                Progress::NotRun,
                "`vae paper transfer --epochs 0.25 --width 0.125 --seeds 1,2 --only random,beta=1,z_dim=10 --only random,beta=1,z_dim=128`, about ",
            ),
            (eighth, Progress::Falling, "`vae paper transfer --epochs 0.5 --width 0.125 --seeds 1,2 --only"),
            (Scale { epochs: 0.7, ..eighth }, Progress::Falling, "--epochs 1 --width 0.125 --seeds"),
            (
                Scale::default(),
                Progress::Falling,
                "`vae paper transfer --seeds 1,2 --only random,beta=1,z_dim=10 --only random,beta=1,z_dim=128 --set train.epochs=100`, in another --out, about",
            ),
            (eighth, Progress::Done, "--epochs 0.25 --width 0.25 --seeds 1,2"),
            (Scale { width: 1.0, ..eighth }, Progress::Done, "nothing of this size: the runs have converged"),
        ] {
            let told = takes_longer(scale, progress);
            assert!(told.contains(says), "{told}");
        }
        let seconds = told("pretraining-takes-no-time", eighth, Progress::Done);
        let runs = "--only classifier --only random,beta=1,z_dim=128 --only pretrained,beta=1,z_dim=128 --jobs 1`";
        assert!(seconds.contains(runs) && seconds.contains("without other work"), "{seconds}");
        // Twice the epochs take twice as long.
        let minutes =
            |told: &str| told.split("about ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
        let [once, twice] =
            [Progress::NotRun, Progress::Falling].map(|progress| minutes(&takes_longer(eighth, progress)));
        assert!((twice / once - 2.0).abs() < 0.1, "{once} and {twice} minutes");
    }
}
