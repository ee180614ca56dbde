//! `vae export`: the weights of a run, in a file that PyTorch loads. `vae_run::export` describes the format.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use vae_core::Error;
use vae_run::checkpoint_of;
use vae_run::export;
use vae_run::write_new;

use crate::console::warn;
use crate::say;

/// A test runs every line that starts with `  vae export`.
const EXAMPLES: &str = "\
Examples:
  vae export runs/quickstart --out model.safetensors                     all of it, by our names
  vae export runs/quickstart --out digits.safetensors --with-module      and digits.py: load(path) encodes and decodes pixels
  vae export runs/quickstart --part encoder --out encoder.safetensors    torchvision's names, and the heads mu and logvar
  vae export runs/quickstart/checkpoints/last.safetensors --out last.safetensors --check check.safetensors
                                                                     and images, and what comes of them here

In PyTorch: import digits; model = digits.load(\"digits.safetensors\")
With a model of your own: model.load_state_dict(safetensors.torch.load_file(\"model.safetensors\"))
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Writes a run's weights to a file that PyTorch loads.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A run's folder, whose best epoch is taken, or a checkpoint
    #[arg(value_name = "RUN|FILE")]
    run: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = Part::Model)]
    part: Part,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write a PyTorch module next to the weights, named like them with the extension .py
    #[arg(long)]
    with_module: bool,
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

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let part = match args.part {
        Part::Encoder => export::Part::Encoder,
        Part::Decoder => export::Part::Decoder,
        Part::Model => export::Part::Model,
    };
    let module = args.with_module.then(|| args.out.with_extension("py"));
    if module.is_some() && part != export::Part::Model {
        return Err(Error::config("--with-module: the module needs the whole model; leave out --part").into());
    }
    let paths = [("--out", Some(&args.out)), ("--check", args.check.as_ref()), ("--with-module", module.as_ref())];
    for (i, (option, path)) in paths.iter().enumerate() {
        if let Some((other, _)) = paths[..i].iter().find(|(_, other)| path.is_some() && other == path) {
            let path = path.expect("it equals another").display();
            return Err(
                Error::config(format!("{path}: {other} and {option} name the same file; choose two files")).into()
            );
        }
    }
    if let Some(path) = paths.iter().filter_map(|(_, path)| *path).find(|path| path.exists()) {
        return Err(Error::config(format!("{}: exists already; choose another file", path.display())).into());
    }
    let file = checkpoint_of(&args.run)?;
    let (config, data) = export::contents(&file)?;
    if data.is_none() && module.is_some() {
        let what = "was written by an older version and does not say how images become model input, which --with-module \
                    needs; leave it out, or train the run again";
        return Err(Error::file(&file, what).into());
    }
    if data.is_none() {
        warn(&format!(
            "{}: written by an older version, so the exported metadata do not say how images become model input",
            file.display()
        ));
    }
    let mut files = vec![(args.out, export::part(&config, data.as_ref(), &file, part)?)];
    if let Some(check) = args.check {
        files.push((check, export::example_outputs(&config, data.as_ref(), &file)?));
    }
    if let Some(module) = module {
        files.push((module, export::pytorch::module(&config).into_bytes()));
    }
    for (path, bytes) in files {
        write_new(&path, &bytes)?;
        say!("{}  {:.1} kB", path.display(), bytes.len() as f64 / 1e3);
    }
    Ok(ExitCode::SUCCESS)
}
