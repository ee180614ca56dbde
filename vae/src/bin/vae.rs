//! The program `vae`, with one subcommand for each task. See `vae::cli`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    vae::cli::main(std::env::args_os())
}
