//! The file `timing.json`: the seconds that each epoch took, the device, and the version of the program. They are in a
//! file of their own, because the metrics are identical for every run of a configuration and times are not.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vae_core::train::Timing;
use vae_core::{Error, Result};

/// The name of the file.
pub(crate) const TIMING: &str = "timing.json";

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// The version of the program.
    pub version: String,
    /// The git commit of the working copy that contains the program, if there is one.
    pub commit: Option<String>,
    /// The device of the latest epoch.
    pub device: String,
    /// The number of CPU threads in the latest epoch.
    pub threads: usize,
    /// The sum over all epochs in `epochs`, in seconds.
    pub total: Timing,
    /// The epochs in order. Epochs whose times are unknown are missing.
    pub epochs: Vec<EpochTiming>,
}

/// The seconds of an epoch. If the epoch was interrupted, only the time since the run was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochTiming {
    /// The number of the epoch, counted from 1.
    pub epoch: usize,
    /// The seconds of each kind of work.
    #[serde(flatten)]
    pub timing: Timing,
}

impl Timings {
    /// Returns the timings of a run before its first epoch, on a device with this name.
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

    /// Reads the timings of a run. Returns `None` if the run has no such file.
    ///
    /// # Errors
    /// Returns an error if the file exists but cannot be read or parsed.
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

    /// Adds the times of the first `epochs` epochs of a resumed run. If the file is missing or damaged, only these
    /// times are lost.
    pub(crate) fn resume(&mut self, run: &Path, epochs: usize) {
        let before = Timings::read(run).ok().flatten().map_or_else(Vec::new, |before| before.epochs);
        before.iter().filter(|of| of.epoch <= epochs).for_each(|of| self.add(of.epoch, of.timing));
    }

    /// Adds the times of an epoch that has ended.
    pub(crate) fn add(&mut self, epoch: usize, timing: Timing) {
        self.total.add(&timing);
        self.epochs.push(EpochTiming { epoch, timing });
    }

    /// Returns the bytes of the file.
    pub(crate) fn json(&self) -> Vec<u8> {
        let json = serde_json::to_string_pretty(self).expect("numbers and words");
        format!("{json}\n").into_bytes()
    }
}

/// Returns the checked-out commit of the git working copy that contains a file. `.git/HEAD` contains either the commit
/// or the name of a branch. The commit of a branch is in the file of the branch or in `packed-refs`.
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
    fn a_resumed_run_keeps_the_times_of_its_earlier_epochs() {
        let dir = tempfile::tempdir().unwrap();
        let timing = |forward| Timing { forward, ..Timing::default() };
        let mut first = Timings::new("cpu");
        assert_eq!(Timings::read(dir.path()).unwrap(), None);
        (1..=3).for_each(|epoch| first.add(epoch, timing(epoch as f64)));
        fs::write(dir.path().join(TIMING), first.json()).unwrap();
        assert_eq!(Timings::read(dir.path()).unwrap().unwrap(), first);
        let mut second = Timings::new("another");
        second.resume(dir.path(), 2);
        second.add(3, timing(5.0));
        assert_eq!((second.epochs.len(), second.total.forward, second.device.as_str()), (3, 8.0, "another"));
        fs::write(dir.path().join(TIMING), "{}").unwrap();
        let error = Timings::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("timing.json: does not contain the times of a run"), "{error}");
        let mut third = Timings::new("cpu");
        third.resume(dir.path(), 2);
        assert_eq!(third.epochs, []);
    }

    #[test]
    fn a_commit_is_found_in_each_way_that_git_stores_it() {
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
        for other in ["something else\n", "abc123\n", &format!("{}\n", "x".repeat(40))] {
            head(other);
            assert_eq!(commit(&program), None);
        }
    }
}
