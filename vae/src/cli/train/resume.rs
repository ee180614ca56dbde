//! `--resume RUN`: what a run in its folder says of itself, and what may be different from now on.

use std::path::Path;

use anyhow::Result;
use vae_core::Error;
use vae_core::config::{Config, DeviceChoice, Settings};
use vae_run::ResumedRun;

use super::args::{Args, read_text};
use crate::console::{eprint_line, shell_quote};
use crate::device::Chosen;
use crate::session::grid;

/// A run that goes on.
pub(super) struct Resumed {
    pub(super) config: Config,
    pub(super) past: ResumedRun,
    /// What it was computed on so far.
    device: DeviceChoice,
}

impl Resumed {
    /// Reads the folder of a run, and refuses what its configuration cannot become.
    pub(super) fn read(args: &Args, run: &Path) -> Result<Resumed> {
        for (given, flag) in [
            (args.recipe.is_some(), "--recipe (VAE_RECIPE)"),
            (args.out.is_some(), "--out (VAE_OUT)"),
            (args.init.is_some(), "--init"),
            (args.init_encoder.is_some(), "--init-encoder"),
            (!args.sweep.is_empty(), "--sweep"),
        ] {
            if given {
                let why = "takes the folder, the configuration and the weights from the run that it continues";
                return Err(Error::config(format!("--resume {why}; leave out {flag}")).into());
            }
        }
        if !run.is_dir() {
            return Err(Error::config(format!(
                "--resume {}: this is not the folder of a run; name one",
                run.display()
            ))
            .into());
        }
        if grid::is_grid(run) {
            let folder = shell_quote(&run.display().to_string());
            let what = "this is the folder of a sweep, which goes on when its command is given again";
            return Err(Error::config(format!("--resume {folder}: {what} with --out {folder}")).into());
        }
        let past = ResumedRun::read(run)?;
        let (config, device) = configuration(args, run)?;
        past.check(&config)?;
        Ok(Resumed { config, past, device })
    }

    /// Warns of another device: its numbers are near those of the first, and not the same.
    pub(super) fn compare(&self, chosen: &Chosen) {
        let (before, now) = (self.device, chosen.choice());
        if before != now {
            eprint_line(&format!(
                "warning: the run used the {before} so far and continues on the {now}: the result will not equal bit for bit \
                 that of an uninterrupted run"
            ));
        }
    }
}

/// The configuration in the folder with what the command line lays over it, and the device in the folder.
fn configuration(args: &Args, run: &Path) -> Result<(Config, DeviceChoice)> {
    let path = run.join("config.toml");
    let name = path.display().to_string();
    let text = read_text(&name).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    let mut settings = Settings::default();
    settings.file(&text, &name)?;
    let before = settings.clone().resolve()?;
    args.apply_to(&mut settings)?;
    let mut config = settings.resolve()?;
    // Where it began is history: whatever is said of that now changes nothing.
    (config.model.init, config.model.init_encoder) = (before.model.init, before.model.init_encoder);
    Ok((config, before.device))
}

/// The command that continues the run in this folder, as a shell takes it.
pub(super) fn command(run: &Path) -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_else(|| "train".into());
    // The program `train` takes no such word: it was started as `vae train`.
    let subcommand = if words.next().is_some_and(|word| word == "train") { " train" } else { "" };
    format!("{}{subcommand} --resume {}", shell_quote(&program), shell_quote(&run.display().to_string()))
}
