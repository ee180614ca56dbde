//! `train`: one command from a recipe to a trained model and its pictures.
//!
//! `cli` is what may be asked for, `plan` what will be done, as words or JSON; `download` fetches data, `session` is a run
//! and `progress` its bar, `sweep` a grid of runs and `points` what is in it. Results go to stdout, everything else to stderr.
//! Exit codes: 0 done, 1 the world failed, 2 bad usage or configuration, 130 interrupted.

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod cli;
mod device;
#[cfg(not(target_arch = "wasm32"))]
mod download;
#[cfg(not(target_arch = "wasm32"))]
mod memory;
#[cfg(not(target_arch = "wasm32"))]
mod plan;
#[cfg(not(target_arch = "wasm32"))]
mod points;
#[cfg(not(target_arch = "wasm32"))]
mod progress;
#[cfg(not(target_arch = "wasm32"))]
mod session;
#[cfg(not(target_arch = "wasm32"))]
mod sweep;

/// Writes a line to stdout. That nobody listens any more is no reason to stop training.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use say;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use std::io::Write as _;
    session::main().unwrap_or_else(|error| {
        let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(std::io::stderr(), "error: {line}");
        error.downcast_ref::<vae::Error>().map_or(1, vae::Error::exit_code).into()
    })
}

/// A browser calls the library instead.
#[cfg(target_arch = "wasm32")]
fn main() {}
