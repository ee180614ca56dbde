//! The command line, and what is done about it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use vae::command::{self, Where};
use vae::explore;
use vae::serve::Place;

/// What to try.
const EXAMPLES: &str = "\
Examples:
  explore runs/quickstart                            a page on 127.0.0.1, opened if there is a display
  explore runs/quickstart --port 8080                on this port; a tunnel brings it elsewhere: ssh -L 8080:127.0.0.1:8080 HOST
  explore runs/quickstart --host 0.0.0.0             for everybody who reaches this machine; there is no password

Ctrl-C ends it. Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Shows a trained model's latents in a browser: sliders, images, moves, blends and a map.
#[derive(Debug, Parser)]
#[command(name = "explore", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The folder of the run
    run: PathBuf,
    #[command(flatten)]
    page: Place,
    #[command(flatten)]
    place: Where,
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    let (_, mut runs) = cli.place.open(&[&cli.run])?;
    explore::serve(runs.remove(0), cli.page)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_help_are_understood() {
        let examples: Vec<&str> = EXAMPLES.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert_eq!(examples.len(), 3);
        for example in examples {
            let words = example.split("  ").next().unwrap_or_default().split(' ').map(Into::into);
            assert!(command::parse::<Cli>(words).unwrap().is_some(), "{example}");
        }
    }
}
