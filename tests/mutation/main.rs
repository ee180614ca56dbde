//! Mutation tests of whole files: finds every place where an operator, a condition or a function's body can be replaced, and
//! shows which replacements no test notices.
//!
//! ```text
//! ./test mutation [--nearest] [--again] FILE…
//! ```
//!
//! All mutants of the files are compiled at once, each behind a switch (`schemata.rs`), in a copy of the repository in the build
//! folder. Mutants that do not compile are dropped. Each test runs once to record which mutants it reaches, and then each
//! mutant is switched on for the tests that reach it, the quickest first, until one fails or hangs. First the crate's own tests
//! are tried, then for the survivors those of other crates; `--nearest` leaves the second part out. `--again` tries only what
//! survived the last time, after tests were added. The survivors that are known to be harmless are in `survivors.txt`.
#![forbid(unsafe_code)]

#[path = "../mutants/copy.rs"]
mod copy;
mod schemata;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use schemata::{File, Mutant};
use serde_json::Value;

/// The tests of a crate: those beside its code, and those of other packages. Arguments of `cargo test`.
#[rustfmt::skip]
const SUITES: [(&str, &str, &[&str], &[&str]); 8] = [
    ("nn/", "nn", &["-p", "tests", "--no-default-features", "--test", "layers", "--test", "engine"], &["-p", "tests", "--test", "oracle"]),
    ("gpu/", "gpu", &["-p", "gpu", "-p", "tests", "--no-default-features", "--test", "device", "--lib"], &["-p", "tests", "--no-default-features", "--test", "ops", "--test", "shaders"]),
    ("vae/core/", "vae/core", &["-p", "vae-core", "--lib"], &["-p", "vae-data", "-p", "vae-run", "-p", "vae-scores", "-p", "vae-figures", "-p", "tests", "--lib", "--test", "oracle", "--test", "hostile", "--test", "runs"]),
    ("vae/data/", "vae/data", &["-p", "vae-data", "--lib"], &["-p", "tests", "--test", "hostile"]),
    ("vae/run/", "vae/run", &["-p", "vae-run", "--lib"], &["-p", "vae-scores", "-p", "vae-figures", "-p", "tests", "--lib", "--test", "oracle", "--test", "runs"]),
    ("vae/figures/", "vae/figures", &["-p", "vae-figures", "--lib"], &["-p", "vae", "--test", "cli"]),
    ("vae/scores/", "vae/scores", &["-p", "vae-scores", "--lib"], &["-p", "tests", "--test", "oracle"]),
    ("vae/", "vae", &["-p", "vae", "--lib"], &["-p", "vae", "--test", "cli"]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Invalid,
    Caught,
    Survived,
}

/// A test, how long it takes, and the mutants that it reaches.
struct Test {
    binary: usize,
    name: String,
    takes: Duration,
    reaches: HashSet<usize>,
}

/// A compiled test program and the folder in which it runs.
struct Binary {
    program: PathBuf,
    folder: PathBuf,
}

fn main() -> Result<ExitCode> {
    let (options, mut paths): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let option = |name: &str| options.iter().any(|option| option == name);
    let usage = "usage: ./test mutation [--nearest] [--again] FILE…, all of one crate";
    ensure!(options.iter().all(|o| o == "--nearest" || o == "--again") && !paths.is_empty(), "{usage}");
    let suite = SUITES.iter().find(|suite| paths[0].starts_with(suite.0));
    let Some(&(folder, root, nearest, others)) = suite else { bail!("no tests are known for {}", paths[0]) };
    ensure!(paths.iter().all(|path| path.starts_with(folder)), "{usage}");

    let lib = format!("{root}/src/lib.rs");
    let mut mutants = Vec::new();
    paths.retain(|path| *path != lib);
    let files: Result<Vec<File>> = paths
        .iter()
        .chain([&lib])
        .map(|path| {
            let source = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
            File::parse(path, source, &mut mutants)
        })
        .collect();
    let files = files?;
    paths.push(lib);
    let [tree, target] = copy::make("mutation", &paths)?;
    let state = target.with_file_name("outcomes.txt");
    let mut outcomes: Vec<Outcome> = mutants.iter().map(|_| Outcome::Survived).collect();
    let known = fs::read_to_string(&state).unwrap_or_default();
    if option("--again") {
        for (outcome, mutant) in outcomes.iter_mut().zip(&mutants) {
            let line = |o: &str| known.contains(&format!("{o} {}: {}\n", mutant.path, mutant.name));
            *outcome = if line("invalid") {
                Outcome::Invalid
            } else if line("caught") {
                Outcome::Caught
            } else {
                Outcome::Survived
            };
        }
    }
    let work = Work { tree, target };
    work.drop_invalid(&files, &mutants, &mut outcomes, root)?;
    let rounds = if option("--nearest") { vec![nearest] } else { vec![nearest, others] };
    for round in rounds {
        if outcomes.contains(&Outcome::Survived) {
            work.round(round, &mutants, &mut outcomes)?;
            save(&state, &known, &mutants, &outcomes, &paths)?;
        }
    }
    Ok(report(&paths, &mutants, &outcomes))
}

fn save(state: &Path, known: &str, mutants: &[Mutant], outcomes: &[Outcome], paths: &[String]) -> Result<()> {
    let ours = |line: &&str| paths.iter().any(|path| line.contains(&format!(" {path}: ")));
    let mut text: String = known.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect();
    for (mutant, outcome) in mutants.iter().zip(outcomes) {
        let outcome = match outcome {
            Outcome::Invalid => "invalid",
            Outcome::Caught => "caught",
            Outcome::Survived => "survived",
        };
        text += &format!("{outcome} {}: {}\n", mutant.path, mutant.name);
    }
    fs::write(state, text).context("writing the outcomes")
}

/// Prints the survivors without a reason, and the table.
fn report(paths: &[String], mutants: &[Mutant], outcomes: &[Outcome]) -> ExitCode {
    let accepted = include_str!("../mutants/survivors.txt");
    let mut unexplained = 0;
    let mut sums = [0; 4];
    let mut table = String::new();
    for path in paths {
        let of = |outcome| {
            mutants.iter().zip(outcomes).filter(move |(m, o)| m.path == **path && **o == outcome).map(|(m, _)| m)
        };
        let [caught, survived] = [Outcome::Caught, Outcome::Survived].map(|outcome| of(outcome).count());
        let mut harmless = 0;
        for mutant in of(Outcome::Survived) {
            if accepted.lines().any(|line| line == format!("{path}: {}", mutant.name)) {
                harmless += 1;
            } else {
                println!("survived  {path}:{}: {}", mutant.line, mutant.name);
                unexplained += 1;
            }
        }
        let counts = [caught + survived, caught, survived, harmless];
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        if caught + survived > 0 {
            table += &format!("| {path} | {} |\n", counts.map(|count| count.to_string()).join(" | "));
        }
    }
    println!("\n| file | mutants | caught | survived | of these explained |\n|---|---|---|---|---|");
    println!("{table}| all | {} |", sums.map(|count| count.to_string()).join(" | "));
    if unexplained == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Work {
    tree: PathBuf,
    target: PathBuf,
}

impl Work {
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).args(["--locked", "--message-format=json"]);
        command.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "none");
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn messages(&self, arguments: &[&str]) -> Result<(bool, Vec<Value>)> {
        let output = self.cargo(arguments).output().context("starting cargo")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
    }

    /// Writes the instrumented files, and drops mutants until they compile.
    fn drop_invalid(&self, files: &[File], mutants: &[Mutant], outcomes: &mut [Outcome], root: &str) -> Result<()> {
        let manifest = format!("{root}/Cargo.toml");
        loop {
            let texts: Vec<_> = files.iter().map(|f| f.instrument(|id| outcomes[id - 1] != Outcome::Invalid)).collect();
            for (file, text) in files.iter().zip(&texts) {
                copy::update(&self.tree.join(&file.path), text.text.as_bytes())?;
            }
            let (built, messages) = self.messages(&["check", "--quiet", "--lib", "--manifest-path", &manifest])?;
            if built {
                let valid = outcomes.iter().filter(|&&o| o != Outcome::Invalid).count();
                eprintln!("{valid} of {} mutants compile", mutants.len());
                return Ok(());
            }
            let mut dropped = BTreeSet::new();
            for error in messages.iter().map(|m| &m["message"]).filter(|m| m["level"] == "error") {
                let mut culprits = BTreeSet::new();
                for span in error["spans"].as_array().into_iter().flatten() {
                    let place = |key: &str| span[key].as_u64().unwrap_or(0) as usize;
                    let name = span["file_name"].as_str().unwrap_or("");
                    let Some(i) = files.iter().position(|f| f.path.ends_with(name) || name.ends_with(&f.path)) else {
                        continue;
                    };
                    let around = |(_, range, _): &&(usize, std::ops::Range<usize>, bool)| {
                        range.start <= place("byte_start") && place("byte_end") <= range.end
                    };
                    // The alternative that contains the error, else everything at the innermost place that does.
                    let inner = texts[i].places.iter().filter(around).min_by_key(|(_, r, whole)| (*whole, r.len()));
                    if let Some((id, range, whole)) = inner {
                        let same = texts[i].places.iter().filter(|(_, other, _)| *whole && other == range);
                        culprits.extend(same.map(|(id, ..)| *id).chain([*id]));
                    }
                }
                if culprits.is_empty() && error["spans"].as_array().is_some_and(|spans| !spans.is_empty()) {
                    eprintln!("no mutant explains: {}", error["rendered"].as_str().unwrap_or(""));
                }
                dropped.extend(culprits);
            }
            ensure!(!dropped.is_empty(), "the instrumented copy in {} does not compile", self.tree.display());
            eprintln!("{} mutants do not compile", dropped.len());
            dropped.into_iter().for_each(|id| outcomes[id - 1] = Outcome::Invalid);
        }
    }

    /// Builds these tests, records what they reach, and tries each mutant that has survived so far.
    fn round(&self, arguments: &[&str], mutants: &[Mutant], outcomes: &mut [Outcome]) -> Result<()> {
        let (built, messages) = self.messages(&[&["test", "--no-run", "--quiet"], arguments].concat())?;
        ensure!(built, "the tests do not compile with the instrumented copy");
        let mut binaries = Vec::new();
        for message in messages.iter().filter(|m| m["profile"]["test"] == true && m["executable"].is_string()) {
            let path = |value: &Value| PathBuf::from(value.as_str().unwrap_or(""));
            let folder = path(&message["manifest_path"]).parent().context("a manifest is in a folder")?.to_owned();
            binaries.push(Binary { program: path(&message["executable"]), folder });
        }
        let tests = self.trace(&binaries)?;
        let alive: Vec<usize> = (1..=mutants.len()).filter(|id| outcomes[id - 1] == Outcome::Survived).collect();
        eprintln!("{} tests, {} mutants", tests.len(), alive.len());
        let done = AtomicUsize::new(0);
        let try_out = |&id: &usize| -> Result<(usize, bool)> {
            let caught = self.catches(&binaries, &tests, id)?;
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            if done % 100 == 0 {
                eprintln!("{done} of {} mutants tried", alive.len());
            }
            Ok((id, caught))
        };
        let tried: Vec<(usize, bool)> = alive.par_iter().with_max_len(1).map(try_out).collect::<Result<_>>()?;
        tried.into_iter().filter(|(_, caught)| *caught).for_each(|(id, _)| outcomes[id - 1] = Outcome::Caught);
        Ok(())
    }

    /// Runs every test once. The quickest come first.
    fn trace(&self, binaries: &[Binary]) -> Result<Vec<Test>> {
        let mut names = Vec::new();
        for (binary, Binary { program, folder }) in binaries.iter().enumerate() {
            let list = Command::new(program).args(["--list", "--format", "terse"]).current_dir(folder).output()?;
            let list = String::from_utf8_lossy(&list.stdout).into_owned();
            names.extend(list.lines().filter_map(|l| l.strip_suffix(": test")).map(|name| (binary, name.to_owned())));
        }
        let run = |(binary, name): &(usize, String)| -> Result<(bool, Test)> {
            let worker = rayon::current_thread_index().unwrap_or(0);
            let file = self.target.with_file_name(format!("trace{worker}.txt"));
            fs::write(&file, "")?;
            let started = Instant::now();
            let traced = ("MUTATION_TRACE", file.display().to_string());
            let passed = self.run(&binaries[*binary], &[name], traced, Duration::from_secs(600))?;
            let takes = started.elapsed();
            let reaches = fs::read_to_string(&file)?.lines().filter_map(|id| id.parse().ok()).collect();
            Ok((passed, Test { binary: *binary, name: name.clone(), takes, reaches }))
        };
        let run: Vec<(bool, Test)> = names.par_iter().with_max_len(1).map(run).collect::<Result<_>>()?;
        for (_, test) in run.iter().filter(|(passed, _)| !passed) {
            eprintln!("left out, because it fails without a mutant: {}", test.name);
        }
        let mut tests: Vec<Test> = run.into_iter().filter(|(passed, _)| *passed).map(|(_, test)| test).collect();
        tests.sort_unstable_by_key(|test| test.takes);
        Ok(tests)
    }

    /// Whether a test fails or hangs with this mutant. Tests run in groups that grow, since most mutants fail the first.
    fn catches(&self, binaries: &[Binary], tests: &[Test], id: usize) -> Result<bool> {
        let mut groups: BTreeMap<(u32, usize), Vec<&Test>> = BTreeMap::new();
        for (i, test) in tests.iter().filter(|test| test.reaches.contains(&id)).enumerate() {
            groups.entry(((i as u32 / 4 + 1).ilog2(), test.binary)).or_default().push(test);
        }
        for ((_, binary), group) in groups {
            let names: Vec<&str> = group.iter().map(|test| test.name.as_str()).collect();
            let limit = Duration::from_secs(10) + 8 * group.iter().map(|test| test.takes).sum::<Duration>();
            if !self.run(&binaries[binary], &names, ("MUTANT", id.to_string()), limit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether these tests pass in time and in 24 GiB of address space.
    fn run(&self, binary: &Binary, names: &[&str], switch: (&str, String), limit: Duration) -> Result<bool> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 25165824; exec nice -n 5 \"$@\"", "sh"]).arg(&binary.program);
        command.args(["--exact", "--quiet"]).args(names);
        command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder).env(switch.0, switch.1);
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("starting a test")?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if started.elapsed() > limit {
                end(&mut child)?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

/// Ends a test that hangs, and the processes that it started.
fn end(child: &mut Child) -> Result<()> {
    Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status().context("ending a test")?;
    child.wait()?;
    Ok(())
}
