//! `report`: one HTML file that tells what came of a run, or of several. `cli` is what may be asked for.

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod cli;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    vae::command::finish(cli::main())
}

/// A browser calls the library instead.
#[cfg(target_arch = "wasm32")]
fn main() {}
