//! `paper`: the runs of one of the five papers, their scores, and a page with its tables, figures and claims beside ours.
//!
//! `cli` is what may be asked for, `work` does it. Results go to stdout, everything else to stderr.
//! Exit codes: 0 done, 1 the world failed, 2 bad usage or configuration, 130 interrupted.

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod cli;
#[cfg(not(target_arch = "wasm32"))]
mod work;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    vae::command::finish(cli::main())
}

/// A browser calls the library instead.
#[cfg(target_arch = "wasm32")]
fn main() {}
