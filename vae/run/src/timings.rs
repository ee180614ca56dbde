//! `timing.json`: where the seconds of each epoch went, on what, by which program. Apart from the metrics, which are the same for
//! every run of a configuration.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vae_core::train::Timing;
use vae_core::{Error, Result};

/// The file's name.
pub(crate) const TIMING: &str = "timing.json";

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The version of the program.
    pub version: String,
    /// The commit of the working copy that the program lies in, if it lies in one.
    pub commit: Option<String>,
    /// What computed the latest epoch.
    pub device: String,
    /// Threads of the CPU that did.
    pub threads: usize,
    /// Seconds of all these epochs.
    pub total: Timing,
    /// In their order; those that ended before times were kept are not there.
    pub epochs: Vec<EpochTiming>,
}

/// Seconds of an epoch; of one that was interrupted, since it went on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochTiming {
    /// Counted from 1.
    pub epoch: usize,
    /// By kind of work.
    #[serde(flatten)]
    pub timing: Timing,
}

impl Timings {
    /// Before the first epoch, on a device of this name.
    pub(crate) fn new(device: &str) -> Timings {
        Timings {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: std::env::current_exe().ok().and_then(|program| commit(&program)),
            device: device.into(),
            threads: rayon::current_num_threads(),
            total: Timing::default(),
            epochs: Vec::new(),
        }
    }

    /// Those of a run, if it has any.
    ///
    /// # Errors
    /// If the file is there and cannot be read as such.
    pub fn read(run: &Path) -> Result<Option<Timings>> {
        let path = run.join(TIMING);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
        let timings = serde_json::from_str(&text);
        timings
            .map(Some)
            .map_err(|error| Error::file(&path, format!("does not contain the times of a run ({error}); remove it")))
    }

    /// Goes on after so many epochs of a run. A file that is lost or damaged costs the times before, and nothing else.
    pub(crate) fn go_on(&mut self, run: &Path, epochs: usize) {
        let before = Timings::read(run).ok().flatten().map_or_else(Vec::new, |before| before.epochs);
        before.iter().filter(|of| of.epoch <= epochs).for_each(|of| self.add(of.epoch, of.timing));
    }

    /// An epoch has ended.
    pub(crate) fn add(&mut self, epoch: usize, timing: Timing) {
        self.total.add(&timing);
        self.epochs.push(EpochTiming { epoch, timing });
    }

    /// The file's bytes.
    pub(crate) fn json(&self) -> Vec<u8> {
        let json = serde_json::to_string_pretty(self).expect("numbers and words");
        format!("{json}\n").into_bytes()
    }
}

/// The commit that the working copy around a file stands at, as git's own files say it: `.git/HEAD` names it, or a branch
/// whose file or whose line in `packed-refs` does.
fn commit(inside: &Path) -> Option<String> {
    let git = inside.ancestors().map(|folder| folder.join(".git")).find(|git| git.is_dir())?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let found = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(branch) => fs::read_to_string(git.join(branch)).ok().or_else(|| {
            let packed = fs::read_to_string(git.join("packed-refs")).ok()?;
            packed.lines().find_map(|line| Some(line.strip_suffix(branch)?.trim().to_owned()))
        })?,
    };
    let found = found.trim();
    (found.len() >= 40 && found.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_keeps_the_times_of_the_epochs_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let timing = |forward| Timing { forward, ..Timing::default() };
        let mut first = Timings::new("cpu");
        assert_eq!(Timings::read(dir.path()).unwrap(), None);
        (1..=3).for_each(|epoch| first.add(epoch, timing(epoch as f64)));
        fs::write(dir.path().join(TIMING), first.json()).unwrap();
        assert_eq!(Timings::read(dir.path()).unwrap().unwrap(), first);
        let mut second = Timings::new("another");
        second.go_on(dir.path(), 2);
        second.add(3, timing(5.0));
        assert_eq!((second.epochs.len(), second.total.forward, second.device.as_str()), (3, 8.0, "another"));
        fs::write(dir.path().join(TIMING), "{}").unwrap();
        let told = Timings::read(dir.path()).unwrap_err().to_string();
        assert!(told.contains("timing.json: does not contain the times of a run"), "{told}");
        let mut third = Timings::new("cpu");
        third.go_on(dir.path(), 2);
        assert_eq!(third.epochs, []);
    }

    #[test]
    fn a_commit_is_found_however_git_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let (git, program) = (dir.path().join(".git"), dir.path().join("target/release/train"));
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        let [one, two, three] = ["1", "2", "3"].map(|digit| digit.repeat(40));
        let head = |text: &str| fs::write(git.join("HEAD"), text).unwrap();
        head(&format!("{one}\n"));
        assert_eq!(commit(&program), Some(one));
        head("ref: refs/heads/main\n");
        assert_eq!(commit(&program), None);
        fs::write(git.join("packed-refs"), format!("# pack-refs\n{two} refs/heads/main\n")).unwrap();
        assert_eq!(commit(&program), Some(two));
        fs::write(git.join("refs/heads/main"), format!("{three}\n")).unwrap();
        assert_eq!(commit(&program), Some(three));
        head("something else\n");
        assert_eq!(commit(&program), None);
    }
}
