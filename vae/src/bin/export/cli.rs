//! The command line, and what is done about it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use vae::{Error, command, export, say};

/// Every line that starts with `  export` is run by a test.
const EXAMPLES: &str = "\
Examples:
  export runs/quickstart --out model.safetensors                     all of it, by our names
  export runs/quickstart --part encoder --out encoder.safetensors    torchvision's names, and the heads mu and logvar
  export runs/quickstart/checkpoints/last.safetensors --out last.safetensors --check check.safetensors
                                                                     and images, and what comes of them here

In PyTorch: model.load_state_dict(safetensors.torch.load_file(\"model.safetensors\"))
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Writes a run's weights for PyTorch.
#[derive(Debug, Parser)]
#[command(name = "export", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// A run's folder, whose best epoch is taken, or a checkpoint
    #[arg(value_name = "RUN|FILE")]
    run: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = Part::Model)]
    part: Part,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write four random images and what the model makes of them, to compare with elsewhere
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    Encoder,
    Decoder,
    Model,
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    let part = match cli.part {
        Part::Encoder => export::Part::Encoder,
        Part::Decoder => export::Part::Decoder,
        Part::Model => export::Part::Model,
    };
    if cli.check.as_ref() == Some(&cli.out) {
        return Err(
            Error::config(format!("{}: --out and --check name it twice; name two files", cli.out.display())).into()
        );
    }
    if let Some(path) = [Some(&cli.out), cli.check.as_ref()].into_iter().flatten().find(|path| path.exists()) {
        return Err(Error::config(format!("{}: is there already; name another file", path.display())).into());
    }
    let file = export::checkpoint_of(&cli.run)?;
    let config = export::config(&file)?;
    let mut files = vec![(cli.out, export::part(&config, &file, part)?)];
    if let Some(check) = cli.check {
        files.push((check, export::outputs(&config, &file)?));
    }
    for (path, bytes) in files {
        export::write_new(&path, &bytes)?;
        say!("{}  {:.1} kB", path.display(), bytes.len() as f64 / 1e3);
    }
    Ok(ExitCode::SUCCESS)
}
