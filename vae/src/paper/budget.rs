//! A plan of a paper's runs that fits into a time.
//!
//! The smallest plan has one seed, an eighth of the epochs and an eighth of the channels. If it does not fit, it keeps the runs of the
//! claims that cost least. What time remains goes to more seeds first, because most claims require two, then to epochs, because runs
//! that have not converged decide nothing, and then to channels.

use std::path::Path;

use vae_core::{Error, Result};

use super::claims::{self, Claim};
use super::scale::Scale;
use super::{Paper, PaperOptions, PlannedRun};
use crate::session::duration::words;

/// The shares of epochs and of channels that a plan may have.
const SHARES: [f64; 4] = [0.125, 0.25, 0.5, 1.0];

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The shares of epochs and channels.
    pub scale: Scale,
    /// Whether other images stand in for those that are missing.
    pub stand_in: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The names of the runs.
    pub runs: Vec<String>,
    /// Whether these are all runs of the paper whose images are here.
    pub whole: bool,
    /// The estimated time on two cores.
    pub seconds: f64,
    /// The claims that have a rule, and why this plan cannot decide them, if it cannot.
    pub claims: Vec<(String, Option<String>)>,
}

/// The runs of one seed at one scale, with their times.
struct Runs(Vec<PlannedRun>);

impl Runs {
    fn at(paper: &Paper, asked: &PaperOptions, scale: Scale, out: &Path) -> Result<Runs> {
        let one = PaperOptions { scale, seeds: asked.seeds[..1].to_vec(), ..asked.clone() };
        Ok(Runs(paper.plan(&one, out)?))
    }

    /// The time of these runs; a run of unknown time counts as endless.
    fn seconds(&self, names: &[String]) -> f64 {
        let mine = self.0.iter().filter(|planned| names.contains(&planned.run));
        mine.map(|planned| planned.seconds.unwrap_or(f64::INFINITY)).sum()
    }

    /// The runs, and those whose encoders they start from.
    fn with_encoders(&self, names: &[String]) -> Vec<String> {
        let encoders: Vec<&String> = self
            .0
            .iter()
            .filter(|planned| names.contains(&planned.run))
            .filter_map(|planned| planned.encoder.as_ref())
            .collect();
        let needed = |planned: &&PlannedRun| names.contains(&planned.run) || encoders.contains(&&planned.point.name);
        self.0.iter().filter(needed).map(|planned| planned.run.clone()).collect()
    }
}

/// Returns the plan of a paper that fits into `budget` seconds. `has_images` says whether the images of a run are here.
///
/// # Errors
/// If not even the cheapest claim fits, or a configuration is invalid.
pub fn fit(
    paper: &Paper,
    asked: &PaperOptions,
    budget: f64,
    out: &Path,
    has_images: &dyn Fn(&PlannedRun) -> bool,
) -> Result<Fit> {
    let mut asked = asked.clone();
    let least = Scale { epochs: SHARES[0], width: SHARES[0] };
    let mut runs = Runs::at(paper, &asked, least, out)?;
    if paper.has_stand_in() && !asked.stand_in && !runs.0.iter().all(has_images) {
        asked.stand_in = true;
        runs = Runs::at(paper, &asked, least, out)?;
    }
    let here: Vec<String> =
        runs.0.iter().filter(|planned| has_images(planned)).map(|planned| planned.run.clone()).collect();
    let claims = claims::of_paper(&paper.name)?;
    let names = match !here.is_empty() && runs.seconds(&here) <= budget {
        true => here.clone(),
        false => cheapest(paper, &claims, &runs, &here, budget)?,
    };
    let cost = |count: usize, scale: Scale| -> Result<f64> {
        Ok(count as f64 * Runs::at(paper, &asked, scale, out)?.seconds(&names))
    };
    let fits = |count: usize, scale: Scale| -> Result<bool> { Ok(cost(count, scale)? <= budget) };
    let (mut count, mut scale) = (1, least);
    while count < asked.seeds.len() && fits(count + 1, scale)? {
        count += 1;
    }
    for epochs in SHARES {
        if fits(count, Scale { epochs, ..scale })? {
            scale.epochs = epochs;
        }
    }
    for width in SHARES {
        if fits(count, Scale { width, ..scale })? {
            scale.width = width;
        }
    }
    let decided = |claim: &Claim| {
        let absent = claim.runs.iter().flatten().find(|run| !names.contains(run));
        let images = |run: &String| match here.contains(run) {
            true => format!("{run} does not fit"),
            false => format!("the images of {run} are missing"),
        };
        let few = format!("it requires {} seeds", claim.seeds);
        absent.map(images).filter(|_| claim.quantity != "parameters").or((claim.seeds > count).then_some(few))
    };
    let with_rules = claims.iter().filter(|claim| claim.rule.is_some() && claim.not_comparable.is_none());
    let claims = with_rules.map(|claim| (claim.id.clone(), decided(claim))).collect();
    let seconds = cost(count, scale)?;
    let seeds = asked.seeds[..count].to_vec();
    let whole = names.len() == here.len();
    Ok(Fit { scale, stand_in: asked.stand_in, seeds, runs: names, whole, seconds, claims })
}

/// The runs of the claims that cost least, as many as fit.
fn cheapest(paper: &Paper, claims: &[Claim], runs: &Runs, here: &[String], budget: f64) -> Result<Vec<String>> {
    let needs = |claim: &Claim| -> Option<Vec<String>> {
        let names: Vec<String> = claim.runs.iter().flatten().cloned().collect();
        (!names.is_empty() && claim.quantity != "parameters" && names.iter().all(|run| here.contains(run)))
            .then(|| runs.with_encoders(&names))
    };
    let mut wanted: Vec<Vec<String>> = claims.iter().filter_map(needs).collect();
    wanted.sort_by(|a, b| runs.seconds(a).total_cmp(&runs.seconds(b)));
    let mut chosen: Vec<String> = Vec::new();
    for more in &wanted {
        let both: Vec<String> = runs
            .0
            .iter()
            .map(|planned| &planned.run)
            .filter(|run| chosen.contains(run) || more.contains(run))
            .cloned()
            .collect();
        if runs.seconds(&both) <= budget {
            chosen = both;
        }
    }
    if chosen.is_empty() {
        let least = wanted.first().map_or_else(
            || "no claim has all of its images here; --data-dir names their folder".to_owned(),
            |least| format!("the cheapest claim takes {}", words(runs.seconds(least))),
        );
        return Err(Error::config(format!("--budget: nothing of the paper {} fits: {least}", paper.name)));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::PAPERS;

    fn planned(name: &str, hours: f64) -> Result<Fit> {
        let asked = PaperOptions { seeds: vec![1, 2, 3], ..PaperOptions::default() };
        fit(&Paper::named(name).unwrap(), &asked, hours * 3_600.0, Path::new("out"), &|_| true)
    }

    #[test]
    fn a_plan_fits_its_budget_and_uses_it() {
        for (name, _) in PAPERS {
            let mut before: Option<Fit> = None;
            for hours in [0.5, 2.0, 6.0, 24.0, 100.0, 10_000.0] {
                let Ok(plan) = planned(name, hours) else {
                    assert!(before.is_none(), "{name}: {hours} h is more than what fitted");
                    continue;
                };
                assert!(plan.seconds <= hours * 3_600.0 && plan.seconds > 0.0, "{name}: {hours} h: {plan:?}");
                if let Some(before) = &before {
                    assert!(plan.runs.len() >= before.runs.len(), "{name}: {hours} h has fewer runs");
                    let count = |fit: &Fit| fit.claims.iter().filter(|(_, why)| why.is_none()).count();
                    assert!(count(&plan) >= count(before), "{name}: {hours} h decides fewer claims");
                }
                before = Some(plan);
            }
            let most = before.expect("a plan");
            assert_eq!((most.scale, most.seeds.len(), most.whole), (Scale::default(), 3, true), "{name}");
            assert!(most.claims.iter().all(|(_, why)| why.is_none()), "{name}: {:?}", most.claims);
        }
    }

    /// Time goes to seeds, then to epochs, then to channels.
    #[test]
    fn seeds_come_first() {
        let mut last = (0, 0.0, 0.0);
        let mut seen = Vec::new();
        for hours in [1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 30.0, 45.0, 60.0, 100.0, 400.0] {
            let Ok(plan) = planned("transfer", hours) else { continue };
            if !plan.whole {
                continue;
            }
            let level = (plan.seeds.len(), plan.scale.epochs, plan.scale.width);
            assert!(level.1 == SHARES[0] || level.0 == 3, "{hours} h: more epochs before more seeds: {level:?}");
            assert!(level.2 == SHARES[0] || level.1 == 1.0, "{hours} h: more channels before more epochs: {level:?}");
            if level != last {
                seen.push(level);
            }
            last = level;
        }
        assert!(seen.len() >= 5, "{seen:?}");
    }

    #[test]
    fn a_small_budget_keeps_the_cheapest_claims_with_their_encoders() {
        let plan = planned("transfer", 0.5).unwrap();
        assert!(!plan.whole && plan.seeds == [1], "{plan:?}");
        let pretrained = plan.runs.iter().any(|run| run.starts_with("pretrained") || run.starts_with("frozen"));
        assert!(!pretrained || plan.runs.contains(&"classifier".to_owned()), "{plan:?}");
        let (yes, no): (Vec<_>, Vec<_>) = plan.claims.iter().partition(|(_, why)| why.is_none());
        assert!(!yes.is_empty() && !no.is_empty(), "{plan:?}");
        let error = planned("pegasus", 0.001).unwrap_err().to_string();
        assert!(
            error.contains("--budget: nothing of the paper pegasus fits: the cheapest claim takes about"),
            "{error}"
        );
    }

    #[test]
    fn missing_images_have_a_stand_in_or_leave_their_claims_undecided() {
        let asked = PaperOptions { seeds: vec![1, 2, 3], ..PaperOptions::default() };
        let drawn = |planned: &PlannedRun| planned.point.config.data.kind == vae_core::config::DataKind::Shapes;
        let plan = fit(&Paper::named("tc").unwrap(), &asked, 1e7, Path::new("out"), &drawn).unwrap();
        assert!(plan.stand_in && plan.whole && plan.runs.iter().all(|run| run.contains("vae,")), "{plan:?}");
        assert!(plan.claims.iter().all(|(_, why)| why.is_none()), "{plan:?}");
        let error = fit(&Paper::named("mnist").unwrap(), &asked, 1e7, Path::new("out"), &|_| false).unwrap_err();
        assert!(error.to_string().contains("--data-dir"), "{error}");
    }
}
