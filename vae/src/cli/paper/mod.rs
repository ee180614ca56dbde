//! `vae paper`: the runs of one of the five papers, or of a comparison of models, their scores, and a page of tables, figures and claims.

mod list;
mod planning;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vae_core::Error;
use vae_core::config::Config;
use vae_data::memory;
use vae_run::Folder;

use super::load::LoadOptions;
use crate::device;
use crate::paper::claims;
use crate::paper::results::Results;
use crate::paper::scale::Scale;
use crate::paper::state::{PLAN, State};
use crate::paper::{Paper, PaperOptions, PlannedRun};
use crate::say;
use crate::session::duration;
use crate::session::grid::Grid;
use crate::session::jobs::Jobs;
use crate::session::points::Point;

/// A test runs every line that starts with `  vae paper`, with --dry-run.
const EXAMPLES: &str = "\
Examples:
  vae paper --list                                          the five papers, and how long their runs take
  vae paper models --seeds 1,2,3                            every kind of model on the same digits: one table
  vae paper mnist --quick                                   minutes, on the digits inside the program
  vae paper transfer --quick --data-dir data --seeds 1,2    every run with two seeds: small differences want that
  vae paper tc --quick --dry-run                            the runs, what is done and what is missing
  vae paper mnist --quick --only dense                      the runs whose names begin so; the others later, by the same --out
  vae paper residual --quick --set train.epochs=2           any key of every run
  vae paper tc --budget 6h --dry-run                        what fits into six hours, and which claims that can decide
  vae paper tc --stand-in --epochs 0.3 --width 0.25 --seeds 1,2 --dry-run      a share of the paper's epochs and channels

Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted: the same command goes on from there.";

/// Trains the models of a paper, scores them, and writes a page that compares tables, figures and claims.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The paper: transfer, tc, mnist, residual or pegasus; or a comparison: models, disentanglement or recipes
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Show the papers: what they cost, and what is settled
    #[arg(long)]
    list: bool,
    /// Plan the runs that fit into this time, such as 90min, 6h or 2d: seeds first, then epochs, then channels
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with_all = ["quick", "only", "epochs", "width", "judge"])]
    budget: Option<f64>,
    /// Go on with the runs in --out as they were asked for
    #[arg(long, conflicts_with_all = ["quick", "only", "set", "seeds", "epochs", "width", "stand_in", "judge"])]
    resume: bool,
    /// Write the page of the runs in --out again, and train nothing
    #[arg(long, conflicts_with_all = ["quick", "only", "set", "seeds", "epochs", "width", "stand_in", "dry_run"])]
    judge: bool,
    /// Use the images that stand in for the paper's, where it has such
    #[arg(long, conflicts_with = "quick")]
    stand_in: bool,
    /// The share of the paper's epochs, above 0 and up to 1
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "quick")]
    epochs: Option<f64>,
    /// The share of the paper's channels, above 0 and up to 1
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "quick")]
    width: Option<f64>,
    /// Small runs that take minutes: fewer images and epochs, narrower models
    #[arg(long)]
    quick: bool,
    /// The folder of its runs and its page [default: runs/paper-NAME, or runs/paper-NAME-quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    load: LoadOptions,
    /// Train so many runs at the same time, each with its share of the threads [default: as many as threads and memory allow; 1 on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// Seeds, every run with each [default: 1; with --budget as many of 1, 2 and 3 as fit]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
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

fn share(words: &str) -> Result<f64, String> {
    let number = words.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "it must be a number above 0 and up to 1".into())
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    claims::all()?;
    let Some(name) = args.name.as_ref().filter(|_| !args.list) else { return list::list() };
    let paper = Paper::named(name)?;
    let mut asked = args.asked()?;
    let out = args.folder(name)?;
    let state = State::read(&out, name)?;
    if args.judge || args.resume {
        let state = state.ok_or_else(|| {
            Error::config(format!(
                "{}: has no {PLAN}, so there is nothing to go on with; name the folder with --out",
                out.display()
            ))
        })?;
        state.restore(&mut asked);
    } else if let Some(budget) = args.budget {
        planning::plan(&paper, &mut asked, budget, &out, state.as_ref())?;
    }
    let mut plan = paper.plan(&asked, &out)?;
    if args.judge {
        return judge(&paper, &asked, &plan, &out);
    }
    plan.sort_by_key(|planned| planned.seed); // so that an interrupted paper has whole seeds
    let here = chosen_only(&asked, &plan)?;
    let choice = plan[0].point.config.device;
    let chosen = device::choose(choice, device::start_threads(args.load.threads)?)?;
    if chosen.computes_in_memory() {
        let available = memory::available();
        for planned in here.iter().map(|&i| &plan[i]) {
            let checked = planned.point.config.check_memory(available, 1);
            checked.map_err(|error| Error::config(format!("{}: {error}", planned.run)))?;
        }
    }
    let points: Vec<&Point> = plan.iter().map(|planned| &planned.point).collect();
    let mut grid = Grid::open(Folder::prepare(&out)?, points)?;
    if args.dry_run {
        show(&paper, &asked, &plan, &here, &grid)?;
        return Ok(ExitCode::SUCCESS);
    }
    grid.folder.write(PLAN, State::of(name, &asked).text().as_bytes())?;
    let left: Vec<&Config> = here
        .iter()
        .map(|&at| &plan[at].point)
        .filter(|point| grid.result(point).is_none())
        .map(|point| &point.config)
        .collect();
    let jobs = Jobs::new(args.jobs, &left, &chosen)?;
    let work = run::Work { paper: &paper, asked: &asked, plan: &plan, here: &here, budget: args.budget, jobs };
    run::run(work, grid, &chosen)
}

/// Writes the page of the runs in a folder.
fn judge(paper: &Paper, asked: &PaperOptions, plan: &[PlannedRun], out: &Path) -> Result<ExitCode> {
    let mut grid = Grid::open(Folder::prepare(out)?, [])?;
    let judged = Results { paper, asked, plan, skipped: &BTreeMap::new() }.write(&mut grid)?;
    run::tell(&judged, &grid);
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn asked(&self) -> Result<PaperOptions> {
        let mut seeds = match (&self.seeds[..], self.budget) {
            ([], None) => vec![1],
            ([], Some(_)) => vec![1, 2, 3],
            (given, _) => given.to_vec(),
        };
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
            scale: Scale { epochs: self.epochs.unwrap_or(1.0), width: self.width.unwrap_or(1.0) },
            stand_in: self.stand_in,
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
}

/// The places of the runs that --only leaves.
fn chosen_only(asked: &PaperOptions, plan: &[PlannedRun]) -> Result<Vec<usize>> {
    if let Some(none) = asked.only.iter().find(|only| !plan.iter().any(|run| run.point.name.starts_with(*only))) {
        let mut names: Vec<&str> = plan.iter().map(|planned| planned.run.as_str()).collect();
        names.dedup();
        let names = names.join(" ");
        return Err(Error::config(format!(
            "--only {none}: no run has a name that begins with this; the names are {names}"
        ))
        .into());
    }
    let wanted =
        |run: &PlannedRun| asked.only.is_empty() || asked.only.iter().any(|only| run.point.name.starts_with(only));
    Ok((0..plan.len()).filter(|&i| wanted(&plan[i])).collect())
}

fn show(paper: &Paper, asked: &PaperOptions, plan: &[PlannedRun], here: &[usize], grid: &Grid) -> Result<()> {
    say!("{}: {}", paper.name, paper.title);
    if let Some(stand_in) = paper.stand_in(asked) {
        say!("instead of {stand_in}");
    }
    let runs: Vec<&PlannedRun> = here.iter().map(|&i| &plan[i]).collect();
    let width = runs.iter().map(|run| run.point.name.len()).max().unwrap_or(0);
    let mut skipped = BTreeMap::new();
    for run in &runs {
        let told = match (grid.result(&run.point), run.missing_images()) {
            (Some(_), _) => "already done".into(),
            (None, Some(why)) => match skipped.get(&why) {
                Some(first) => format!("skipped for the same reason as {first}"),
                None => {
                    skipped.insert(why.clone(), &run.point.name);
                    format!("skipped: {why}")
                }
            },
            (None, None) => time(&[run]),
        };
        say!("  {:width$}  {told}", run.point.name);
    }
    let claims = claims::of_paper(&paper.name)?.len();
    say!(
        "\n{} runs, {} without scores; {claims} claims. Nothing was trained, because of --dry-run.",
        runs.len(),
        time(&runs)
    );
    Ok(())
}

/// How long runs train on two cores.
fn time(runs: &[&PlannedRun]) -> String {
    duration::words(runs.iter().filter_map(|run| run.seconds).sum())
}
