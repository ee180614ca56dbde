//! `vae paper NAME --budget TIME`: what fits, and which claims that can decide.

use std::path::Path;

use anyhow::Result;
use vae_core::Error;

use crate::paper::budget::{Fit, fit};
use crate::paper::state::{PLAN, State};
use crate::paper::{Paper, PaperOptions, PlannedRun};
use crate::say;
use crate::session::duration::words;

/// Plans the runs that fit into `budget` seconds, and tells the plan. `there` is the state of the folder of the runs.
pub(super) fn plan(
    paper: &Paper,
    asked: &mut PaperOptions,
    budget: f64,
    out: &Path,
    there: Option<&State>,
) -> Result<()> {
    let has_images = |planned: &PlannedRun| planned.missing_images().is_none();
    let found = fit(paper, asked, budget, out, &has_images)?;
    asked.scale = found.scale;
    asked.stand_in = found.stand_in;
    asked.seeds.clone_from(&found.seeds);
    // A whole name, so that z_dim=1 does not mean z_dim=16 too.
    asked.only = if found.whole { Vec::new() } else { found.runs.iter().map(|run| format!("{run},seed")).collect() };
    if there.is_some_and(|there| *there != State::of(&paper.name, asked)) {
        let words = format!(
            "{}: its {PLAN} is of other runs; --resume goes on with those, or name another --out",
            out.display()
        );
        return Err(Error::config(words).into());
    }
    tell(paper, &found, budget);
    Ok(())
}

fn tell(paper: &Paper, fit: &Fit, budget: f64) {
    let percent = |share: f64| format!("{:.3}", share).trim_end_matches('0').trim_end_matches('.').to_owned();
    say!(
        "{}: {} of {}: {} runs with {} seeds, {} of the paper's epochs, {} of its channels",
        paper.name,
        words(fit.seconds),
        words(budget),
        fit.runs.len(),
        fit.seeds.len(),
        percent(fit.scale.epochs),
        percent(fit.scale.width),
    );
    let can: Vec<&str> = fit.claims.iter().filter(|(_, why)| why.is_none()).map(|(id, _)| id.as_str()).collect();
    say!(
        "claims that these runs can decide, if they converge: {}",
        if can.is_empty() { "none".into() } else { can.join(", ") }
    );
    for (id, why) in &fit.claims {
        why.iter().for_each(|why| say!("  not {id}: {why}"));
    }
    say!("");
}
