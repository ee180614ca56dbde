//! `evaluate`: what a run that `train` has left is worth, in numbers. `cli` is what may be asked for, and the table.

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
