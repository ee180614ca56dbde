//! `train`: one command from a recipe to a trained model and its pictures.
//!
//! `cli` is what may be asked for; `download` fetches data, `session` is a run, `resume` one that goes on, `sweep` a grid of
//! runs. What these have in common with `paper` is `vae::session`. Results go to stdout, everything else to stderr.
//! Exit codes: 0 done, 1 the world failed, 2 bad usage or configuration, 130 interrupted.

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod cli;
#[cfg(not(target_arch = "wasm32"))]
mod download;
#[cfg(not(target_arch = "wasm32"))]
mod resume;
#[cfg(not(target_arch = "wasm32"))]
mod session;
#[cfg(not(target_arch = "wasm32"))]
mod sweep;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    vae::command::finish(session::main())
}

/// A browser calls the library instead.
#[cfg(target_arch = "wasm32")]
fn main() {}
