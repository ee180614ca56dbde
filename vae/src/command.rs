//! What the commands of this package have in common: one line for whatever goes wrong, and the exit code that it deserves.
//!
//! Results go to stdout, everything else to stderr. 0 done, 1 the world failed, 2 bad usage or configuration.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::ErrorKind;
use clap::{Args, Parser};
use vae_core::config::Config;
use vae_core::{Error, Result};
use vae_run::LoadedRun;
use vae_run::loaded;

use crate::device::{self, Chosen};

/// Where the images of a trained run are, and what to compute on: of every command that opens one.
#[derive(Clone, Debug, Default, Args)]
pub struct Where {
    /// The folder that holds the data files [default: the run's]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<String>,
    /// Where to compute: auto, cpu or gpu [default: as the run]
    #[arg(long, value_name = "DEVICE", global = true)]
    pub device: Option<String>,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub threads: Option<u64>,
}

impl Where {
    /// Opens runs, all on one device: that of the first, unless another was asked for.
    ///
    /// # Errors
    /// If one of them cannot be opened; see [`loaded::open`].
    pub fn open<P: AsRef<Path>>(&self, runs: &[P]) -> Result<(Chosen, Vec<LoadedRun>)> {
        let (chosen, configs) = self.configured(runs)?;
        let opened =
            runs.iter().zip(configs).map(|(run, config)| LoadedRun::open(run.as_ref(), config, chosen.device.clone()));
        let mut opened = opened.collect::<Result<Vec<_>>>()?;
        opened.iter_mut().zip(loaded::distinct_names(runs)).for_each(|(run, name)| run.name = name);
        Ok((chosen, opened))
    }

    /// The device of runs, and their configurations, for who opens them one after the other.
    ///
    /// # Errors
    /// If one of them is no run, or the device is not there.
    pub fn configured<P: AsRef<Path>>(&self, runs: &[P]) -> Result<(Chosen, Vec<Config>)> {
        let flags =
            [("data.dir", self.data_dir.as_deref(), "--data-dir"), ("device", self.device.as_deref(), "--device")];
        let configs = runs.iter().map(|run| loaded::configuration(run.as_ref(), &flags)).collect::<Result<Vec<_>>>()?;
        let choice = configs.first().ok_or_else(|| Error::config("name the folder of a run"))?.device;
        Ok((device::choose(choice, device::start_threads(self.threads)?)?, configs))
    }
}

/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on [`say!`](crate::say) says nothing, and there is no progress; warnings, errors and [`answer`]s are still told.
pub fn hush() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether somebody asked for silence.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a line to stdout, unless the command is to be quiet. That nobody listens any more is no reason to stop working.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        if !$crate::command::is_quiet() {
            $crate::command::answer(&format!($($words)*));
        }
    };
}

/// Writes a line to stdout, quiet or not: what a command was asked for.
pub fn answer(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Tells the user what to mind, on stderr.
pub fn warn(words: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {words}");
}

/// What the user asked for by these words, the program's name first; None if it was help or the version, which are printed.
///
/// # Errors
/// What clap says, on one line.
pub fn parse<Cli: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<Option<Cli>> {
    gpu::prepare_process(); // every program comes here first
    let error = match Cli::try_parse_from(words) {
        Ok(cli) => return Ok(Some(cli)),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return Ok(None);
    }
    // clap explains over several lines, then shows the usage; what it says before that, and its tip, fit on one.
    let text = error.to_string();
    let before_usage = text.split("\n\nUsage:").next().unwrap_or_default();
    let words =
        before_usage.replace("For more information, try '--help'.", "").replace("error: ", "").replace("tip: ", "; ");
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ;", ";");
    Err(Error::config(format!("{line}; try --help")))
}

/// Ends a command: an error becomes a line on stderr, and its exit code.
pub fn finish(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(std::io::stderr(), "error: {line}");
        error.downcast_ref::<Error>().map_or(1, Error::exit_code).into()
    })
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_a_folder_s_name_as_it_is() {
        assert_eq!(["runs/a=1,b", "my run", "it's", ""].map(quoted), ["runs/a=1,b", "'my run'", "'it'\\''s'", "''"]);
    }
}
