//! `export`: from a run to a file that PyTorch loads. What it writes is told in `vae::export`.
//! Exit codes: 0 done, 1 the world failed, 2 bad usage.

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
mod command;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use std::io::Write as _;
    match command::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(std::io::stderr(), "error: {line}");
            error.exit_code().into()
        }
    }
}

/// A browser calls the library instead.
#[cfg(target_arch = "wasm32")]
fn main() {}
