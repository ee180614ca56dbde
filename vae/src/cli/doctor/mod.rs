//! `vae doctor`: why the samples of a run are bad, as far as its configuration, losses and scores tell.

mod rules;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use vae_core::config::Reduction;
use vae_core::objective::Losses;
use vae_run::{LoadedRun, hint_against_collapse};
use vae_scores::Options;

use super::load::LoadOptions;
use crate::say;
use rules::{Facts, Finding};

/// A test runs every line that starts with `  vae doctor`.
const EXAMPLES: &str = "\
Examples:
  vae doctor runs/quickstart                 what is wrong with a run, from what one sees to what to do
  vae doctor runs/quickstart --images 1024   the same from more test images

docs/my-samples-are-bad.md explains each finding, and what to look at yourself.
Exit codes: 0 done, whatever was found; 1 failed, 2 bad usage or configuration.";

/// Looks for the reason why a run's samples are bad: divergence, collapse, too little training, blur, holes between the codes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// Samples to draw, and test images to take at most
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=50_000))]
    images: u32,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = args.load.load(&args.run)?;
    let options = Options { images: args.images as usize, nll_images: 2, nll_samples: 1, ..Options::default() };
    let scores = vae_scores::evaluate(&run, &options)?;
    let facts = facts(&run, scores.scores.iter().map(|score| (score.name.clone(), score.value)).collect());
    let findings = rules::diagnose(&facts);
    say!("{}\n", run.title());
    say!("{}", described(&findings, &args.run.display().to_string()));
    Ok(ExitCode::SUCCESS)
}

/// What the rules look at.
fn facts(run: &LoadedRun, scores: std::collections::BTreeMap<String, f64>) -> Facts {
    let config = &run.predictor.config;
    // What an epoch can be compared by with another one.
    let loss = |losses: &Losses| match config.loss.kind.total_is_comparable() {
        true => losses.total,
        false => losses.part("reconstruction").unwrap_or(losses.total),
    };
    Facts {
        is_vae: config.model.is_vae(),
        losses: run.history.iter().map(|epoch| loss(&epoch.validation.losses)).collect(),
        epochs_wanted: config.train.epochs,
        kl: run.history.last().and_then(|epoch| epoch.validation.losses.part("kl")).or(scores.get("kl").copied()),
        takes_means: config.loss.reduction == Reduction::Mean,
        effective_beta: config.effective_beta(),
        against_collapse: hint_against_collapse(&config.loss),
        kl_weight: config.kl_weight_hint(),
        scores,
    }
}

/// The findings as text: what one sees, why, and what to do. RUN in a command is the run's folder.
fn described(findings: &[Finding], run: &str) -> String {
    if findings.is_empty() {
        let look = format!("vae report {run}");
        return format!("nothing wrong was found; look at the samples: {look}");
    }
    let line = |finding: &Finding| {
        let look = finding.look.replace("RUN", run);
        let cure = finding.cure.replace("RUN", run);
        format!("{}\n  why   {}\n  look  {look}\n  cure  {cure}", finding.symptom, finding.evidence)
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_the_folder_of_the_run() {
        assert_eq!(described(&[], "a/b"), "nothing wrong was found; look at the samples: vae report a/b");
        let finding = |symptom| Finding {
            symptom,
            evidence: "RUN has it".into(),
            look: "vae draw RUN kl",
            cure: "vae fit-prior RUN".into(),
        };
        let one = "  why   RUN has it\n  look  vae draw a/b kl\n  cure  vae fit-prior a/b";
        assert_eq!(described(&[finding("x"), finding("y")], "a/b"), format!("x\n{one}\n\ny\n{one}"));
    }
}
