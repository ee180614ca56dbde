//! `vae paper`: the runs of one of the five papers, their scores, and a page that compares tables, figures and claims.

mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vae_core::Error;
use vae_run::Folder;

use super::load::LoadOptions;
use crate::device;
use crate::paper::claims;
use crate::paper::{PAPERS, Paper, PaperOptions, PlannedRun};
use crate::say;
use crate::session::grid::Grid;
use crate::session::memory;
use crate::session::points::Point;

/// A test runs every line that starts with `  vae paper`, with --dry-run.
const EXAMPLES: &str = "\
Examples:
  vae paper --list                                          the five papers, and how long their runs take
  vae paper mnist --quick                                   minutes, on the digits inside the program
  vae paper transfer --quick --data-dir data --seeds 1,2    every run with two seeds: small differences want that
  vae paper tc --quick --dry-run                            the runs, what is done and what is missing
  vae paper mnist --quick --only dense                      the runs whose names begin so; the others later, by the same --out
  vae paper residual --quick --set train.epochs=2           any key of every run

Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted: the same command goes on from there.";

/// Trains the models of a paper, scores them, and writes a page that compares tables, figures and claims.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The paper: transfer, tc, mnist, residual or pegasus
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Show the papers
    #[arg(long)]
    list: bool,
    /// Small runs that take minutes: fewer images and epochs, narrower models
    #[arg(long)]
    quick: bool,
    /// The folder of its runs and its page [default: runs/paper-NAME, or runs/paper-NAME-quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    load: LoadOptions,
    /// Seeds, every run with each
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// Only runs whose names begin so; may be given many times
    #[arg(long, value_name = "POINT")]
    only: Vec<String>,
    /// Set one key of every run, for example train.epochs=2; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Check everything and show what would be done, but train nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    claims::all()?;
    let Some(name) = args.name.as_ref().filter(|_| !args.list) else { return list() };
    let paper = Paper::named(name)?;
    let asked = args.asked()?;
    let out = args.folder(name)?;
    let plan = paper.plan(&asked, &out)?;
    let here = args.chosen_only(&plan)?;
    let choice = plan[0].point.config.device;
    let chosen = device::choose(choice, device::start_threads(args.load.threads)?)?;
    if chosen.computes_in_memory() {
        let available = memory::available();
        for planned in here.iter().map(|&i| &plan[i]) {
            let checked = planned.point.config.check_memory(available);
            checked.map_err(|error| Error::config(format!("{}: {error}", planned.run)))?;
        }
    }
    let points: Vec<&Point> = plan.iter().map(|planned| &planned.point).collect();
    let grid = Grid::open(Folder::prepare(&out)?, points)?;
    if args.dry_run {
        show(&paper, &asked, &plan, &here, &grid)?;
        return Ok(ExitCode::SUCCESS);
    }
    run::run(&paper, &asked, &plan, &here, grid, &chosen)
}

impl Args {
    fn asked(&self) -> Result<PaperOptions> {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        if let Some(twice) = seeds.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::config(format!("--seeds: {} is given twice; remove one", twice[0])).into());
        }
        let flags = [("data.dir", &self.load.data_dir, "--data-dir"), ("device", &self.load.device, "--device")];
        let given = flags.into_iter().filter_map(|(key, value, flag)| Some((key.into(), value.clone()?, flag)));
        for key in ["seed", "device", "data.dir", "model.init_encoder"] {
            if self.set.iter().any(|set| set.split('=').next().is_some_and(|given| given.trim() == key)) {
                return Err(Error::config(format!(
                    "--set {key}: the paper sets this key itself; use --seeds, --device or --data-dir instead"
                ))
                .into());
            }
        }
        Ok(PaperOptions {
            quick: self.quick,
            seeds,
            settings: given.collect(),
            set: self.set.clone(),
            only: self.only.clone(),
        })
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        match &self.out {
            Some(out) if out.as_os_str().is_empty() => {
                Err(Error::config("--out: the name is empty; name a folder").into())
            }
            Some(out) => Ok(out.clone()),
            None => Ok(Path::new("runs").join(format!("paper-{name}{}", if self.quick { "-quick" } else { "" }))),
        }
    }

    /// The places of the runs that --only leaves.
    fn chosen_only(&self, plan: &[PlannedRun]) -> Result<Vec<usize>> {
        if let Some(none) = self.only.iter().find(|only| !plan.iter().any(|run| run.point.name.starts_with(*only))) {
            let mut names: Vec<&str> = plan.iter().map(|planned| planned.run.as_str()).collect();
            names.dedup();
            let names = names.join(" ");
            return Err(Error::config(format!(
                "--only {none}: no run has a name that begins with this; the names are {names}"
            ))
            .into());
        }
        let wanted =
            |run: &PlannedRun| self.only.is_empty() || self.only.iter().any(|only| run.point.name.starts_with(only));
        Ok((0..plan.len()).filter(|&i| wanted(&plan[i])).collect())
    }
}

/// The papers: runs, claims and time.
fn list() -> Result<ExitCode> {
    for (name, _) in PAPERS {
        let paper = Paper::named(name)?;
        let told = |quick: bool| -> Result<String> {
            let plan =
                paper.plan(&PaperOptions { quick, seeds: vec![1], ..PaperOptions::default() }, Path::new("runs"))?;
            let runs = if plan.len() == 1 { "run" } else { "runs" };
            Ok(format!("{} {runs}, {}", plan.len(), duration(&plan.iter().collect::<Vec<_>>())))
        };
        let (claims, full, quick) = (claims::of_paper(name)?.len(), told(false)?, told(true)?);
        say!("{name:8}  {}\n          {claims} claims; full runs: {full}; --quick: {quick}", paper.title);
    }
    say!("\nThese times are for training on two cores, without scores. A GPU or more cores take less.");
    Ok(ExitCode::SUCCESS)
}

fn show(paper: &Paper, asked: &PaperOptions, plan: &[PlannedRun], here: &[usize], grid: &Grid) -> Result<()> {
    say!("{}: {}", paper.name, paper.title);
    if let Some(stand_in) = paper.stand_in().filter(|_| asked.quick) {
        say!("instead of {stand_in}");
    }
    let runs: Vec<&PlannedRun> = here.iter().map(|&i| &plan[i]).collect();
    let width = runs.iter().map(|run| run.point.name.len()).max().unwrap_or(0);
    for run in &runs {
        let told = match (grid.result(&run.point), run.missing_images()) {
            (Some(_), _) => "already done".into(),
            (None, Some(why)) => why,
            (None, None) => duration(&[run]),
        };
        say!("  {:width$}  {told}", run.point.name);
    }
    let claims = claims::of_paper(&paper.name)?.len();
    say!(
        "\n{} runs, {} without scores; {claims} claims. Nothing was trained, because of --dry-run.",
        runs.len(),
        duration(&runs)
    );
    Ok(())
}

/// How long runs train on two cores.
fn duration(runs: &[&PlannedRun]) -> String {
    let seconds: f64 = runs.iter().filter_map(|run| run.seconds).sum();
    match seconds {
        0.0..5_400.0 => format!("about {:.0} min", (seconds / 60.0).max(1.0)),
        5_400.0..172_800.0 => format!("about {:.0} h", seconds / 3_600.0),
        _ => format!("about {:.0} days", seconds / 86_400.0),
    }
}
