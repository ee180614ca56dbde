//! `vae`: all commands of this package, as subcommands. See `vae::cli`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    vae::cli::main(std::env::args_os())
}
