//! Mutation tests of whole files: finds every place where an operator, a condition or a function's body can be replaced, and
//! shows which replacements no test notices.
//!
//! ```text
//! ./test mutation [--nearest] [--quick] [--again] FILE…
//! ```
//!
//! All mutants of the files are compiled at once, each behind a switch (`schemata.rs`), in a copy of the repository in the build
//! folder. Mutants that do not compile are dropped. Each test runs once to record which mutants it reaches, and then each
//! mutant is switched on for the tests that reach it, the quickest first, until one fails or hangs. First the crate's own tests
//! are tried, then for the survivors those of other crates; `--nearest` leaves the second part out, and `--quick` all tests
//! that need more than 5 seconds. `--again` tries only what survived the last time, after tests were added. The survivors that are
//! known to be harmless are in `survivors.txt`.
//!
//! A test hangs if it needs far more processor time than without a mutant. Other work on the machine does not add to that time,
//! so it does not change the outcome. As many tests run at once as the machine has cores, each on one thread.
#![forbid(unsafe_code)]

#[path = "../mutants/copy.rs"]
mod copy;
mod schemata;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use schemata::{File, Mutant};
use serde_json::Value;

/// The tests of a crate: those beside its code, and those of other packages. Arguments of `cargo test`.
#[rustfmt::skip]
const SUITES: [(&str, &str, &[&str], &[&str]); 9] = [
    ("nn/", "nn", &["-p", "tests", "--no-default-features", "--features=gpu", "--test", "layers", "--test", "engine"], &["-p", "tests", "--test", "oracle"]),
    ("gpu/", "gpu", &["-p", "gpu", "-p", "tests", "--no-default-features", "--features=gpu", "--test", "device", "--test", "process", "--lib"], &["-p", "tests", "--no-default-features", "--features=gpu", "--test", "ops", "--test", "shaders"]),
    ("vae/core/", "vae/core", &["-p", "vae-core", "--lib"], &["-p", "vae-data", "-p", "vae-run", "-p", "vae-scores", "-p", "vae-figures", "-p", "tests", "--lib", "--test", "oracle", "--test", "hostile", "--test", "runs"]),
    ("vae/data/", "vae/data", &["-p", "vae-data", "--lib"], &["-p", "tests", "--test", "hostile"]),
    ("vae/run/", "vae/run", &["-p", "vae-run", "--lib"], &["-p", "vae-scores", "-p", "vae-figures", "-p", "tests", "--lib", "--test", "oracle", "--test", "runs"]),
    ("vae/figures/", "vae/figures", &["-p", "vae-figures", "--lib"], &["-p", "vae", "--test", "cli"]),
    ("vae/scores/", "vae/scores", &["-p", "vae-scores", "--lib"], &["-p", "tests", "--test", "oracle"]),
    ("vae/explore/", "vae/explore", &["-p", "vae-explore", "--lib"], &["-p", "vae", "--test", "cli"]),
    ("vae/", "vae", &["-p", "vae", "--lib"], &["-p", "vae", "--test", "cli"]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Untried,
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
    let usage = "usage: ./test mutation [--nearest] [--quick] [--again] FILE…, all of one crate";
    let known = |option: &String| ["--nearest", "--quick", "--again"].contains(&option.as_str());
    ensure!(options.iter().all(known) && !paths.is_empty(), "{usage}");
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
    let log = target.with_file_name("outcomes.txt");
    let mut outcomes: Vec<Outcome> = mutants.iter().map(|_| Outcome::Untried).collect();
    if option("--again") {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let known: HashMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(o, m)| (m, o)).collect();
        for (outcome, mutant) in outcomes.iter_mut().zip(&mutants) {
            *outcome = match known.get(&*mutant.to_string()) {
                Some(&"invalid") => Outcome::Invalid,
                Some(&"caught") => Outcome::Caught,
                Some(&"survived") => Outcome::Survived,
                _ => Outcome::Untried,
            };
        }
    }
    let longest = Duration::from_secs(if option("--quick") { 5 } else { 300 });
    let work = Work { tree, target, log, longest };
    work.drop_invalid(&files, &mutants, &mut outcomes, root)?;
    let rounds = if option("--nearest") { vec![nearest] } else { vec![nearest, others] };
    for round in rounds {
        if !outcomes.iter().any(|o| matches!(o, Outcome::Untried | Outcome::Survived)) {
            break;
        }
        work.round(round, &mutants, &mut outcomes)?;
    }
    Ok(report(&paths, &mutants, &outcomes))
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
            if accepted.lines().any(|line| line == mutant.to_string()) {
                harmless += 1;
            } else {
                println!("survived  {path}:{}: {}", mutant.line, mutant.name);
                unexplained += 1;
            }
        }
        for line in accepted.lines().filter(|line| line.starts_with(&format!("{path}: "))) {
            if !of(Outcome::Survived).any(|mutant| line == mutant.to_string()) {
                println!("survivors.txt lists what did not survive: {line}");
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
    /// A line for each outcome; the last one of a mutant counts.
    log: PathBuf,
    /// The processor time that a test may need without a mutant.
    longest: Duration,
}

impl Work {
    fn record(&self, outcome: &str, mutant: &Mutant) -> Result<()> {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(&self.log)?;
        log.write_all(format!("{outcome} {mutant}\n").as_bytes()).context("writing an outcome")
    }

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
                let (mut culprits, mut inside) = (BTreeSet::new(), BTreeSet::new());
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
                    let within = |(_, range, _): &&(usize, std::ops::Range<usize>, bool)| {
                        place("byte_start") <= range.start && range.end <= place("byte_end")
                    };
                    let found: BTreeSet<_> = texts[i].places.iter().filter(within).map(|(id, ..)| *id).collect();
                    if inside.is_empty() || !found.is_empty() && found.len() < inside.len() {
                        inside = found;
                    }
                }
                if culprits.is_empty() {
                    culprits = inside; // such as those of a constant, which cannot contain a switch
                }
                if culprits.is_empty() && error["spans"].as_array().is_some_and(|spans| !spans.is_empty()) {
                    eprintln!("no mutant explains: {}", error["rendered"].as_str().unwrap_or(""));
                }
                dropped.extend(culprits);
            }
            ensure!(!dropped.is_empty(), "the instrumented copy in {} does not compile", self.tree.display());
            eprintln!("{} mutants do not compile", dropped.len());
            for id in dropped {
                outcomes[id - 1] = Outcome::Invalid;
                self.record("invalid", &mutants[id - 1])?;
            }
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
        let of = |wanted| (1..=mutants.len()).filter(|id| outcomes[id - 1] == wanted).collect::<Vec<_>>();
        let alive = [of(Outcome::Untried), of(Outcome::Survived)].concat();
        eprintln!("{} tests, {} mutants", tests.len(), alive.len());
        let (next, tried) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let worker = |_: rayon::BroadcastContext<'_>| -> Result<()> {
            while let Some(&id) = alive.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mutant = &mutants[id - 1];
                let caught = self.catches(&binaries, &tests, id, mutant)?;
                self.record(if caught { "caught" } else { "survived" }, mutant)?;
                let mut tried = tried.lock().expect("no worker panics");
                tried.push((id, if caught { Outcome::Caught } else { Outcome::Survived }));
                if tried.len() % 50 == 0 {
                    eprintln!("{} of {} mutants tried", tried.len(), alive.len());
                }
            }
            Ok(())
        };
        rayon::broadcast(worker).into_iter().collect::<Result<()>>()?;
        tried.into_inner().expect("no worker panics").into_iter().for_each(|(id, outcome)| outcomes[id - 1] = outcome);
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
            let passed = self.run(&binaries[*binary], &[name], traced, self.longest)?;
            let takes = started.elapsed();
            let reaches = fs::read_to_string(&file)?.lines().filter_map(|id| id.parse().ok()).collect();
            Ok((passed, Test { binary: *binary, name: name.clone(), takes, reaches }))
        };
        let run: Vec<(bool, Test)> = names.par_iter().with_max_len(1).map(run).collect::<Result<_>>()?;
        for (_, test) in run.iter().filter(|(_, test)| test.takes > Duration::from_secs(10)) {
            eprintln!("{:.1} s: {}", test.takes.as_secs_f64(), test.name);
        }
        for (_, test) in run.iter().filter(|(passed, _)| !passed) {
            eprintln!("left out, because it fails or takes too long without a mutant: {}", test.name);
        }
        let mut tests: Vec<Test> = run.into_iter().filter(|(passed, _)| *passed).map(|(_, test)| test).collect();
        tests.sort_unstable_by_key(|test| test.takes);
        Ok(tests)
    }

    /// Whether a test fails or hangs with this mutant. First come the tests of its module, then all others. They run in groups
    /// that grow, since most mutants fail the first.
    fn catches(&self, binaries: &[Binary], tests: &[Test], id: usize, mutant: &Mutant) -> Result<bool> {
        let module = mutant.path.split("/src/").last().unwrap_or("").trim_end_matches(".rs").trim_end_matches("/mod");
        let module = format!("{}::", module.replace('/', "::"));
        let reaching = || tests.iter().filter(|test| test.reaches.contains(&id));
        let of_module = |test: &&Test| test.name.starts_with(&module);
        let mut groups: BTreeMap<(u32, usize), Vec<&Test>> = BTreeMap::new();
        for (i, test) in reaching().filter(of_module).chain(reaching().filter(|test| !of_module(test))).enumerate() {
            groups.entry(((i as u32 / 3 + 1).ilog2(), test.binary)).or_default().push(test);
        }
        for ((_, binary), group) in groups {
            let names: Vec<&str> = group.iter().map(|test| test.name.as_str()).collect();
            let limit = Duration::from_secs(5) + 8 * group.iter().map(|test| test.takes).sum::<Duration>();
            if !self.run(&binaries[binary], &names, ("MUTANT", id.to_string()), limit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether these tests pass with this much processor time and 24 GiB of address space. A deadlock needs no processor time,
    /// so there is a limit on the clock's time too, which is long enough for a machine with much other work.
    fn run(&self, binary: &Binary, names: &[&str], switch: (&str, String), limit: Duration) -> Result<bool> {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -v 25165824; ulimit -t $0; exec \"$@\""]);
        command.arg(limit.as_secs_f64().ceil().to_string()).arg(&binary.program);
        command.args(["--exact", "--quiet"]).args(names).env("RUST_TEST_THREADS", "1").env("RAYON_NUM_THREADS", "1");
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
            if started.elapsed() > 12 * limit {
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
