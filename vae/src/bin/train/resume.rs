//! `--resume RUN`: what a run in its folder says of itself, and what may be different from now on.

use std::path::Path;

use anyhow::Result;
use vae::Error;
use vae::command::quoted;
use vae::config::{Config, DeviceChoice, Settings};
use vae::device::Chosen;
use vae::run::Past;

use crate::cli::{Cli, read_text};
use vae::session::eprint_line;

/// A run that goes on.
pub(crate) struct Resumed {
    pub(crate) config: Config,
    pub(crate) past: Past,
    /// What it was computed on so far.
    device: DeviceChoice,
}

impl Resumed {
    /// Reads the folder of a run, and refuses what its configuration cannot become.
    pub(crate) fn read(cli: &Cli, run: &Path) -> Result<Resumed> {
        for (given, flag) in [
            (cli.recipe.is_some(), "--recipe (VAE_RECIPE)"),
            (cli.out.is_some(), "--out (VAE_OUT)"),
            (cli.init.is_some(), "--init"),
            (cli.init_encoder.is_some(), "--init-encoder"),
            (!cli.sweep.is_empty(), "--sweep"),
        ] {
            if given {
                let why = "takes folder, configuration and weights from the run that goes on";
                return Err(Error::config(format!("--resume {why}: leave out {flag}")).into());
            }
        }
        if !run.is_dir() {
            return Err(Error::config(format!("--resume {}: is no folder of a run", run.display())).into());
        }
        let past = Past::read(run)?;
        let (config, device) = configuration(cli, run)?;
        past.check(&config)?;
        Ok(Resumed { config, past, device })
    }

    /// Warns of another device: its numbers are near those of the first, and not the same.
    pub(crate) fn compare(&self, chosen: &Chosen) {
        let (before, now) = (self.device, chosen.choice());
        if before != now {
            eprint_line(&format!(
                "warning: the run was computed on the {before} so far and goes on on the {now}: it will not be bit for bit \
                 what it would have been"
            ));
        }
    }
}

/// The configuration in the folder with what the command line lays over it, and the device in the folder.
fn configuration(cli: &Cli, run: &Path) -> Result<(Config, DeviceChoice)> {
    let path = run.join("config.toml");
    let name = path.display().to_string();
    let text = read_text(&name).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    let mut settings = Settings::default();
    settings.file(&text, &name)?;
    let before = settings.clone().resolve()?;
    cli.lay_over(&mut settings)?;
    let mut config = settings.resolve()?;
    // Where it began is history: whatever is said of that now changes nothing.
    (config.model.init, config.model.init_encoder) = (before.model.init, before.model.init_encoder);
    Ok((config, before.device))
}

/// The command that goes on with the run in this folder, as a shell takes it.
pub(crate) fn command(run: &Path) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "train".into());
    format!("{} --resume {}", quoted(&program), quoted(&run.display().to_string()))
}
