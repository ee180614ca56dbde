//! Fuzz tests of file readers: each reads 20,000 mutated files and a set of malicious files.
//!
//! A reader must accept a file or return one line that names the file and the error. It must not panic, use more memory than
//! the size of the file justifies, or take long. Mutations depend only on `LAWS_SEED` (default 1) and the number of the file.
#![forbid(unsafe_code)]

mod bombs;
mod corpus;
mod mutate;
mod readers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use readers::{READERS, Reader};
use reference::law::draws;

const MUTANTS: u64 = 20_000;

/// A reader that needs more processor time is in a loop. The slowest of these files needs a tenth of this.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processor time of this thread, to which other work on the machine does not add. Only Linux tells it without unsafe code;
/// elsewhere this is the clock's time.
fn processor_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let nanoseconds = || std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok();
    nanoseconds().map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// A temporary folder, in memory if the system has a memory file system.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("hostile-").tempdir_in(place).expect("a folder for files")
}

/// Reads a file. `Err` describes a violation; `Ok` contains the errors that the reader returned. Memory is counted for this thread
/// alone, because other tests run at the same time.
fn tried(reader: &Reader, bytes: &[u8], dir: &Path) -> Result<Vec<String>, String> {
    let (start, mut outcome) = (processor_time(), None);
    let memory = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes, dir))).ok();
    });
    let (took, held) = (processor_time().saturating_sub(start), memory.bytes_max as usize);
    let Some(said) = outcome else { return Err("it panics".into()) };
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    if let Some(line) = said.iter().find(|line| !readers::is_clear(line)) {
        return Err(format!("it says {line:?}"));
    }
    let allowed = reader.memory[0] * bytes.len() + reader.memory[1];
    if held > allowed {
        return Err(format!("it holds {held} bytes where {allowed} are allowed"));
    }
    if took > PATIENCE {
        return Err(format!("it needs {took:?} of processor time"));
    }
    Ok(said)
}

/// Gives a reader its valid files, their mutations, and the malicious files.
#[track_caller]
fn hold(name: &str) {
    let reader = READERS.iter().find(|reader| reader.name == name).expect("a reader of this name");
    let dir = folder();
    let sources = corpus::sources(name);
    for (i, source) in sources.iter().enumerate() {
        let whole = (source.finish)(source.bytes.clone());
        (reader.read)(&whole, dir.path()); // initialises what is created once
        assert_eq!(tried(reader, &whole, dir.path()), Ok(Vec::new()), "{name}, whole file {i}");
    }
    for (what, bytes) in bombs::of(name) {
        let told = tried(reader, &bytes, dir.path()).unwrap_or_else(|wrong| panic!("{name}, {what}: {wrong}"));
        assert!(!told.is_empty(), "{name} takes {what}");
    }
    let mut taken = 0;
    for (case, mut rng) in draws(MUTANTS).enumerate() {
        let [one, other] = [0, 1].map(|_| &sources[rng.below(sources.len())]);
        let bytes = (one.finish)(mutate::mutant(&mut rng, &one.bytes, &other.bytes, corpus::words(name)));
        match tried(reader, &bytes, dir.path()) {
            Ok(told) => taken += u64::from(told.is_empty()),
            Err(wrong) => panic!("{name}, mutant {case} of {} bytes: {wrong}", bytes.len()),
        }
    }
    println!("{name}: {taken} of {MUTANTS} mutants are taken");
    assert!(taken < MUTANTS, "{name} takes everything");
}

macro_rules! readers {
    ($($name:ident),+) => {
        $(#[test] fn $name() { hold(stringify!($name)); })+

        #[test]
        fn every_reader_is_held() {
            assert_eq!(READERS.map(|reader| reader.name), [$(stringify!($name)),+]);
        }
    };
}

readers!(
    idx, amat, cifar10, stl10, dsprites, npz, mat, voc, celeba, picture, config, state, encoder, info, tar, tar_gz
);

/// A reader is charged for what it holds itself, and not for what another thread holds meanwhile.
#[test]
fn memory_is_counted_for_the_thread_that_reads() {
    fn hold_much() -> Vec<u8> {
        std::hint::black_box(vec![1; 64 << 20])
    }
    fn itself(_: &[u8], _: &Path) -> Vec<vae::Error> {
        drop(hold_much());
        Vec::new()
    }
    fn another(_: &[u8], _: &Path) -> Vec<vae::Error> {
        drop(std::thread::spawn(hold_much).join().expect("memory"));
        Vec::new()
    }
    let told = [itself, another].map(|read| {
        let reader = Reader { name: "none", read, memory: [0, 1 << 20] };
        tried(&reader, b"", Path::new("."))
    });
    assert_eq!(told, [Err("it holds 67108864 bytes where 1048576 are allowed".into()), Ok(Vec::new())]);
}

/// A reader is charged for the time that it computes, and not for the time that it waits.
#[test]
#[cfg(target_os = "linux")]
fn time_is_that_of_the_processor() {
    let before = processor_time();
    std::thread::sleep(Duration::from_millis(300));
    let waited = processor_time() - before;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) && processor_time() - before < Duration::from_millis(300) {}
    let computed = processor_time() - before;
    assert!(waited < Duration::from_millis(100) && computed >= Duration::from_millis(300), "{waited:?}, {computed:?}");
}

/// Writes the valid and the malicious files to `fuzz/corpus`, as a starting point for `cargo fuzz`.
#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_corpus() {
    for reader in READERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(reader.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let whole = corpus::sources(reader.name).into_iter().map(|source| (source.finish)(source.bytes));
        for (i, bytes) in whole.chain(bombs::of(reader.name).into_iter().map(|(_, bytes)| bytes)).enumerate() {
            if bytes.len() <= 1 << 16 {
                std::fs::write(folder.join(format!("{i:02}")), bytes).expect("a file");
            }
        }
    }
}
