//! Mutation tests: changes the code in one place at a time and shows that a test fails.
//!
//! ```text
//! cargo run -p tests --bin mutants [NAME…]      only those whose name or path contains one of these
//! ```
//!
//! Works on a copy of the repository (the files that git tracks or would track) in the build folder. First the tests must pass
//! on the unchanged copy. Then each mutant of `list.txt` is applied and the tests run again. A mutant is *caught* if a test
//! fails or hangs. One that does not compile, or whose original text is gone, is *invalid*: it proves nothing and must be
//! corrected. At the end a changed comment must survive, which shows that the mutants were caught because of their mutations.
#![forbid(unsafe_code)]

mod copy;
mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use list::Mutant;

/// Tests that run longer than this hang.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Caught,
    Survived,
    Invalid,
}

fn main() -> Result<ExitCode> {
    let filters: Vec<String> = std::env::args().skip(1).collect();
    let mut mutants = list::read().map_err(anyhow::Error::msg)?;
    mutants.retain(|m| filters.is_empty() || filters.iter().any(|f| m.name.contains(f) || m.path.contains(f)));
    ensure!(!mutants.is_empty(), "no mutant's name or path contains {}", filters.join(" or "));

    let copy = Copy::make()?;
    for mutant in &mutants {
        mutant.apply(&copy.source(mutant)?).map_err(anyhow::Error::msg)?;
    }
    println!("the laws on the unchanged copy, in {} …", copy.tree.display());
    let mut targets: Vec<&[&str]> = mutants.iter().map(|m| laws(m).everything).collect();
    targets.sort_unstable();
    targets.dedup();
    for everything in targets {
        ensure!(copy.build(everything)?, "the copy does not compile; see {}", copy.log().display());
        ensure!(copy.test(everything)?, "the laws do not hold before anything is broken; see {}", copy.log().display());
    }

    let mut outcomes = Vec::new();
    for (i, mutant) in mutants.iter().enumerate() {
        let started = Instant::now();
        let outcome = copy.try_out(mutant)?;
        let text = match outcome {
            Outcome::Caught => "caught",
            Outcome::Survived => "SURVIVED",
            Outcome::Invalid => "INVALID",
        };
        let seconds = started.elapsed().as_secs();
        println!("{:>3}/{} {text:<8} {seconds:>4} s  {:<34} {}", i + 1, mutants.len(), mutant.name, mutant.breaks);
        outcomes.push(outcome);
    }
    let harmless = Mutant {
        name: "harmless".into(),
        breaks: "nothing, and must survive".into(),
        path: "tensor/src/lib.rs".into(),
        original: "//! f32 tensors".into(),
        replacement: "//! Tensors of f32".into(),
    };
    ensure!(copy.try_out(&harmless)? == Outcome::Survived, "a changed comment was caught: something else is broken");

    let count = |outcome| outcomes.iter().filter(|&&o| o == outcome).count();
    if count(Outcome::Invalid) > 0 {
        println!("{} did not compile: mend them in tests/mutants/list.txt", count(Outcome::Invalid));
    }
    println!("{} of {} mutants caught", count(Outcome::Caught), mutants.len());
    Ok(if count(Outcome::Caught) == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Arguments of `cargo test` that select tests.
struct Laws {
    /// The tests closest to the mutant's file, which run first.
    nearest: Vec<String>,
    /// All tests that can catch the mutant.
    everything: &'static [&'static str],
}

/// Tests of the crates below the models. They run without compiling the models.
#[rustfmt::skip]
const FLOORS: &[&str] =
    &["--no-default-features", "--features=gpu", "--test", "ops", "--test", "engine", "--test", "layers", "--test", "device"];
/// Laws of models, training and runs, and the tests beside them.
const MODELS: &[&str] = &["-p", "vae-core", "-p", "vae-run", "--lib", "--test", "oracle", "--test", "runs"];
/// Laws of the readers of files, and the tests beside them.
const READERS: &[&str] = &["-p", "vae-core", "-p", "vae-data", "--lib", "--test", "hostile"];
/// Laws of runs that have ended: of what is exported, and of runs without their images.
const RUNS: &[&str] = &["-p", "vae", "--test", "cli", "--", "export::", "self_contained::"];
/// Laws of images in memory and of measures of images, in the tests beside them.
const CORE: &[&str] = &["-p", "vae-core", "--lib", "--", "nearest_neighbours::", "image_quality::", "luma::"];
/// Laws of scores, in the tests beside them.
const SCORES: &[&str] = &["-p", "vae-scores", "--lib"];
/// Laws of figures, in the tests beside them.
const FIGURES: &[&str] = &["-p", "vae-figures", "--lib"];
/// Laws of commands, of what they print, and of the pages that they serve.
#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "-p", "vae", "--lib", "--test", "cli", "--",
    "claims::", "explore::", "live::", "cli_flags::", "profile::", "serve::", "tensorboard::", "verdict::",
    "points::", "sweep_table::", "a_full_standard_output",
];

fn laws(mutant: &Mutant) -> Laws {
    let path = mutant.path.as_str();
    let stem = Path::new(path).file_stem().map_or("", |stem| stem.to_str().unwrap_or(""));
    let floors = |test: &str, filter: &str| {
        let nearest =
            ["--no-default-features", "--features=gpu", "--test", test, "--", filter].map(str::to_owned).to_vec();
        Laws { nearest, everything: FLOORS }
    };
    match path.split('/').next() {
        _ if path.contains("/nearest_neighbours.rs") || path.contains("/image_quality/") => {
            Laws { nearest: Vec::new(), everything: CORE }
        }
        _ if path.starts_with("vae/data/src/")
            || path == "vae/core/src/config/sizes.rs"
            || path.starts_with("vae/core/src/data/")
            || path == "vae/core/src/error.rs" =>
        {
            Laws { nearest: Vec::new(), everything: READERS }
        }
        _ if path == "nn/src/state.rs" => Laws { everything: READERS, ..floors("layers", "state::") },
        _ if path.starts_with("vae/scores/src/") => Laws { nearest: Vec::new(), everything: SCORES },
        _ if path.starts_with("vae/figures/src/") => Laws { nearest: Vec::new(), everything: FIGURES },
        _ if path.starts_with("vae/run/src/") => {
            Laws { nearest: RUNS.iter().map(|&word| word.to_owned()).collect(), everything: MODELS }
        }
        _ if path.starts_with("vae/src/") => Laws { nearest: Vec::new(), everything: COMMANDS },
        Some("vae") => Laws { nearest: Vec::new(), everything: MODELS },
        Some("nn") => floors("layers", ""),
        Some("shaders") => match stem {
            "tile" => floors("ops", "matmul::"),
            "math" => floors("ops", "unary::"),
            "grid" => floors("device", ""),
            _ => floors("ops", &format!("{stem}::")),
        },
        _ if path.contains("/ops/") => floors("ops", &format!("{stem}::")),
        Some("autograd") => floors("engine", ""),
        _ if path.ends_with("/random.rs") => floors("ops", "random::"),
        _ if ["/cpu/conv", "/cpu/window", "winograd"].iter().any(|part| path.contains(part)) => floors("ops", "conv"),
        _ if path.ends_with("/cpu/channels.rs") => floors("ops", "batch_norm::"),
        _ if path.ends_with("/cpu/elementary.rs") => floors("ops", "unary::"),
        _ if path.ends_with("/cpu/sums.rs") => floors("ops", "reduce::"),
        _ if path.ends_with("/cpu/box_muller.rs") => floors("ops", "random::"),
        _ if path.contains("/cpu/") => floors("ops", "matmul::"),
        _ => floors("engine", ""),
    }
}

/// A copy of the repository, where mutants are applied.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make() -> Result<Copy> {
        let [tree, target] = copy::make("mutants", &[])?;
        Ok(Copy { tree, target })
    }

    fn log(&self) -> PathBuf {
        self.target.join("mutants.log")
    }

    fn source(&self, mutant: &Mutant) -> Result<String> {
        let path = self.tree.join(&mutant.path);
        fs::read_to_string(&path).with_context(|| format!("reading {} for {mutant}", path.display()))
    }

    /// Applies a mutant, runs the tests, and restores the file.
    fn try_out(&self, mutant: &Mutant) -> Result<Outcome> {
        let source = self.source(mutant)?;
        let path = self.tree.join(&mutant.path);
        fs::write(&path, mutant.apply(&source).map_err(anyhow::Error::msg)?)?;
        let outcome = self.run_tests(&laws(mutant));
        fs::write(&path, source)?;
        outcome
    }

    fn run_tests(&self, laws: &Laws) -> Result<Outcome> {
        if !laws.nearest.is_empty() {
            let nearest: Vec<&str> = laws.nearest.iter().map(String::as_str).collect();
            if !self.build(&nearest)? {
                return Ok(Outcome::Invalid);
            }
            if !self.test(&nearest)? {
                return Ok(Outcome::Caught);
            }
        }
        if !self.build(laws.everything)? {
            return Ok(Outcome::Invalid);
        }
        Ok(if self.test(laws.everything)? { Outcome::Survived } else { Outcome::Caught })
    }

    /// Whether these tests compile.
    fn build(&self, which: &[&str]) -> Result<bool> {
        let targets: Vec<&str> = which.iter().copied().take_while(|argument| *argument != "--").collect();
        self.cargo(&[&targets[..], &["--no-run"]].concat(), Duration::MAX)
    }

    /// Whether these tests pass. One that hangs does not.
    fn test(&self, which: &[&str]) -> Result<bool> {
        self.cargo(which, PATIENCE)
    }

    fn cargo(&self, arguments: &[&str], patience: Duration) -> Result<bool> {
        fs::create_dir_all(&self.target)?;
        let log = fs::File::create(self.log())?;
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["test", "-p", "tests", "--locked"])
            .args(arguments)
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            // Each build is tested once, so compiling must be fast.
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // so that a hanging test can be ended with its children
        let mut child = command.spawn().context("starting cargo")?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if started.elapsed() > patience {
                end(&mut child)?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Ends cargo and the tests that it started.
fn end(child: &mut std::process::Child) -> Result<()> {
    if cfg!(unix) {
        let group = format!("-{}", child.id());
        let status = Command::new("kill").args(["-KILL", "--", &group]).status().context("ending a law that hangs")?;
        if !status.success() {
            bail!("could not end the process group {group}");
        }
    } else {
        child.kill()?;
    }
    child.wait()?;
    Ok(())
}
