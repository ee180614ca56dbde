//! Tests of `vae-mpi` with several processes on this machine. They need `mpirun`, and are run one after the other by `./test mpi`.
#![forbid(unsafe_code)]

mod faults;
mod same_bytes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A small residual VAE. The last of three steps has fewer images, so that not all of the 12 shards have some.
const SMALL: [&str; 7] = [
    "data.image_size=16",
    "data.limit=64",
    "train.batch_size=24",
    "train.shards=12",
    "train.epochs=2",
    "model.width=2",
    "model.z_dim=3",
];

/// One test at a time: each of them uses all processors.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes that `mpirun` has started, and the folder of their run.
struct Job {
    child: Child,
    out: PathBuf,
    start: Instant,
}

/// The arguments of `mpirun` for `size` processes with these words after `vae-mpi train`.
fn part(size: usize, words: &[&str]) -> Vec<String> {
    command("train", size, words)
}

/// The same for another command.
fn command(name: &str, size: usize, words: &[&str]) -> Vec<String> {
    let head = ["-n".to_owned(), size.to_string(), env!("CARGO_BIN_EXE_vae-mpi").to_owned(), name.to_owned()];
    head.into_iter().chain(words.iter().map(|word| (*word).to_owned())).collect()
}

/// The words for a new run with `SMALL` and these settings.
fn new_run<'a>(out: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let set = SMALL.into_iter().chain(settings.iter().copied()).flat_map(|setting| ["--set", setting]);
    ["--out", out, "--device", "cpu", "--threads", "1", "--no-report"].into_iter().chain(set).collect()
}

impl Job {
    /// Starts parts of a job, each of which may have other words. Their ranks follow one another.
    fn start(out: &Path, parts: &[Vec<String>]) -> Job {
        let mut command = Command::new("mpirun");
        for (i, part) in parts.iter().enumerate() {
            command.args((i > 0).then_some(":")).args(part);
        }
        for (name, value) in [
            ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
            ("OMPI_MCA_hwloc_base_binding_policy", "none"),
            ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
            ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ] {
            command.env(name, value);
        }
        command.env_remove("VAE_MPI_KILLS"); // to the program it would be an unknown key of the configuration
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Job { child: child.expect("mpirun is installed"), out: out.to_owned(), start: Instant::now() }
    }

    /// The process with this rank, once it runs.
    fn process(&self, rank: usize) -> u32 {
        let (variable, out) = (format!("OMPI_COMM_WORLD_RANK={rank}"), self.out.display().to_string());
        loop {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
                let has =
                    |bytes: Vec<u8>, word: &str| bytes.split(|byte| *byte == 0).any(|part| part == word.as_bytes());
                if has(read("environ"), &variable) && has(read("cmdline"), &out) {
                    return entry.file_name().to_string_lossy().parse().unwrap();
                }
            }
            assert!(self.start.elapsed() < Duration::from_secs(60), "rank {rank} does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal to a rank.
    fn signal(&self, rank: usize, signal: &str) {
        let process = self.process(rank).to_string();
        Command::new("kill").args(["-s", signal, &process]).status().expect("kill is installed");
    }

    /// Waits until the run has written a file.
    fn wait_for(&self, name: &str) {
        while !self.out.join(name).exists() {
            assert!(self.start.elapsed() < Duration::from_secs(120), "{name} is not written");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until a file of the run has this many lines. With 0 it waits for the first checkpoint.
    fn wait_for_lines(&self, name: &str, lines: usize) {
        self.wait_for("checkpoints/last.safetensors");
        while fs::read_to_string(self.out.join(name)).unwrap_or_default().lines().count() < lines {
            assert!(self.start.elapsed() < Duration::from_secs(120), "{name} does not get {lines} lines");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end. Returns the exit code, everything that was printed, and the seconds since `since`.
    fn end(self, since: Instant) -> (i32, String, f64) {
        let Output { status, stdout, stderr } = self.child.wait_with_output().expect("mpirun ends");
        let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (status.code().unwrap_or(-1), text, since.elapsed().as_secs_f64())
    }
}

/// Starts or continues a run with `size` processes and waits until it has ended well.
fn run(out: &Path, size: usize, words: &[&str]) -> String {
    let job = Job::start(out, &[part(size, words)]);
    let start = job.start;
    let (code, text, _) = job.end(start);
    assert_eq!(code, 0, "{text}");
    text
}

/// The checkpoints of a run, and its metrics without the times.
fn results(out: &Path) -> [Vec<u8>; 3] {
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let metrics = String::from_utf8(read("metrics.jsonl")).unwrap();
    let metrics: String =
        metrics.lines().map(|line| line.split(",\"seconds\"").next().unwrap().to_owned() + "\n").collect();
    [read("checkpoints/last.safetensors"), read("checkpoints/best.safetensors"), metrics.into_bytes()]
}

#[track_caller]
fn assert_same(out: &Path, expected: &[Vec<u8>; 3], what: &str) {
    for ((found, expected), name) in results(out).iter().zip(expected).zip(["last", "best", "metrics"]) {
        assert!(found == expected, "{what}: {name} differs");
    }
}

/// The lines of an error that this program, and not `mpirun`, has printed.
fn errors(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("error: ")).collect()
}
