//! `vae explore`: the latents of a trained model in a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::load::{LoadOptions, PriorOption, RunOrDemo, warn_of_changes};
use crate::console::warn;
use crate::explore;
use crate::serve::Place;

/// A test parses every line that starts with `  vae explore`.
const EXAMPLES: &str = "\
Examples:
  vae explore runs/quickstart                            a page on 127.0.0.1, opened if there is a display
  vae explore runs/quickstart --port 8080                on this port; a tunnel brings it elsewhere: ssh -L 8080:127.0.0.1:8080 HOST
  vae explore runs/quickstart --host 0.0.0.0             for everybody who reaches this machine; there is no password
  vae explore runs/quickstart --export page              writes a page that needs no server: any web host can show it

  vae explore --demo                                     a trained model inside the program: digits with two latents
  vae explore --demo digits-16                           or digits with 16 latents; cifar10 has small colour pictures

Ctrl-C ends it. Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Shows a trained model's latents in a browser: sliders, drawings, images, interpolations and a map.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunOrDemo,
    #[command(flatten)]
    page: Place,
    /// Write a static page with the model to this folder instead of serving one
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["port", "host", "prior", "demo"])]
    export: Option<PathBuf>,
    /// The folder that web/build wrote, which has the engine of the static page
    #[arg(long, value_name = "FOLDER", default_value = "web/dist", requires = "export")]
    engine: PathBuf,
    #[command(flatten)]
    prior: PriorOption,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let mut run = args.run.load(&args.load)?;
    args.prior.apply(&mut run)?;
    match run.dataset() {
        Ok(_) => warn_of_changes(&run),
        Err(error) => warn(&format!("{error}; the page has no test images and no map")),
    }
    match args.export {
        Some(folder) => explore::export(&run, &folder, &args.engine)?,
        None => explore::serve(run, args.page)?,
    }
    Ok(ExitCode::SUCCESS)
}
