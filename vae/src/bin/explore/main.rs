//! `explore`: the latents of a trained model, in a browser.
//! Exit codes: 0 done, 1 the world failed, 2 bad usage.

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
