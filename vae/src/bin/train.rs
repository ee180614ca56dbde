//! The program `train`, which is `vae train`. See `vae::cli`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    vae::cli::train_main(std::env::args_os())
}
