//! The folder of a run. A file is there whole or not at all: it is written beside its place as `NAME.part`, flushed to the disk
//! and renamed; what was there before stays until then. Only those that grow, a line at a time, may end in a torn line.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use vae_core::{Error, Result};

/// The lines of all epochs.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The lines of steps, with `train.log_steps`.
pub(crate) const STEPS: &str = "steps.jsonl";
/// The weights of the epoch with the lowest validation loss.
pub const BEST: &str = "checkpoints/best.safetensors";
/// The checkpoint from which a run goes on.
pub const LAST: &str = "checkpoints/last.safetensors";
/// How `config.toml` of a run begins.
pub(crate) const CONFIG_HEAD: &str = "# A run of train";

/// What a file is called before it is whole.
const PART: &str = ".part";

/// The folder of one run, which no other process trains in.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Folders that were made for it, innermost first; they go again unless a file is written.
    made: Vec<PathBuf>,
    _lock: Option<File>,
}

impl Folder {
    /// Makes the folder, or takes one that holds no run, and sees that files can be written in it. A run that was ended by
    /// force before its first checkpoint is none.
    ///
    /// # Errors
    /// If it holds a run, another process trains in it, or files cannot be written there.
    pub fn prepare(path: &Path) -> Result<Folder> {
        let is_ours = |text: String| text.starts_with(CONFIG_HEAD);
        let config = path.join("config.toml");
        let foreign = config.exists() && !fs::read_to_string(&config).is_ok_and(is_ours);
        if foreign || [METRICS, LAST, BEST].iter().any(|name| path.join(name).exists()) {
            return Err(Error::config(format!(
                "{}: contains a run already; continue it with --resume, or name another folder with --out",
                path.display()
            )));
        }
        let made = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut folder = Folder { path: path.to_owned(), made: made.map(Path::to_owned).collect(), _lock: None };
        let cannot =
            |error| Error::file(path, format!("no run can be written there: {error}; name another folder with --out"));
        fs::create_dir_all(path).map_err(cannot)?;
        tempfile::tempfile_in(path).map_err(cannot)?;
        folder._lock = lock(path)?;
        folder.remove_parts()?;
        Ok(folder)
    }

    /// Takes the folder of a run that is to go on.
    ///
    /// # Errors
    /// If another process trains in it, or what is half written cannot be removed.
    pub fn open(path: &Path) -> Result<Folder> {
        let folder = Folder { path: path.to_owned(), made: Vec::new(), _lock: lock(path)? };
        folder.remove_parts()?;
        Ok(folder)
    }

    /// Removes what a killed process left half written.
    fn remove_parts(&self) -> Result<()> {
        for (name, _) in self.files().into_iter().filter(|(name, _)| name.ends_with(PART)) {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
        }
        Ok(())
    }

    /// The folder of a run to add pictures to, even while it is trained: nothing is locked.
    pub fn of_run(path: &Path) -> Folder {
        Folder { path: path.to_owned(), made: Vec::new(), _lock: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, whole. A folder that is gone is not made again: it may come back.
    ///
    /// # Errors
    /// If it cannot be written; what was there before is as it was.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.made.clear();
        let path = self.path.join(name);
        let part = self.path.join(format!("{name}{PART}"));
        let parent = path.parent().unwrap_or(&self.path);
        let written = || -> std::io::Result<()> {
            if parent != self.path && !parent.exists() {
                fs::create_dir(parent)?;
            }
            let mut file = File::create(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            #[cfg(unix)]
            File::open(parent)?.sync_all()?; // the new name, too, survives a power cut
            Ok(())
        };
        written().map_err(|error| {
            let _ = fs::remove_file(&part); // the disk may be full
            Error::file(&path, format!("cannot be written: {error}"))
        })
    }

    /// The files in it, by name, and their sizes.
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        for prefix in ["", "checkpoints"] {
            for entry in fs::read_dir(self.path.join(prefix)).into_iter().flatten().flatten() {
                if let Some(data) = entry.metadata().ok().filter(fs::Metadata::is_file) {
                    files.push((Path::new(prefix).join(entry.file_name()).display().to_string(), data.len()));
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Holds a folder for this process, where the system can.
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::file(path, "another process is training there; wait until it ends"))
        }
        _ => Ok(Some(folder)),
    }
}

/// A run's checkpoint: the file itself, or of a run's folder the best epoch's, else the last one's.
///
/// # Errors
/// If neither is there.
pub fn checkpoint_of(place: &Path) -> Result<PathBuf> {
    if !place.is_dir() {
        return Ok(place.to_owned()); // whether it can be read is seen when it is
    }
    let files = ["best", "last"].map(|name| place.join(format!("checkpoints/{name}.safetensors")));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Error::file(
            place,
            "contains neither checkpoints/best.safetensors nor last.safetensors; name a run's folder or a checkpoint",
        )
    })
}

/// Writes a file that is not there yet, whole or not at all.
///
/// # Errors
/// If it is there, or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = beside(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        Ok(())
    };
    written().map_err(|error| Error::file(path, format!("cannot be written: {error}")))
}

/// A file to write before it gets its name; readable by whom the user's umask lets, not by the user alone.
fn beside(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_folder_goes_again_and_a_used_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        drop(Folder::prepare(&path).unwrap());
        assert!(!dir.path().join("a").exists());
        let mut folder = Folder::prepare(&path).unwrap();
        folder.write(LAST, b"1").unwrap();
        drop(folder);
        assert!(path.join(LAST).exists());
        assert_eq!(Folder::prepare(&path).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn files_are_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        folder.write("a", b"old").unwrap();
        folder.write("a", b"new").unwrap();
        fs::write(dir.path().join("b.part"), b"half").unwrap();
        drop(folder);
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(folder.files(), [("a".to_owned(), 3)]);
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
    }

    #[test]
    fn a_run_that_never_had_a_checkpoint_is_begun_again_and_somebody_s_own_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        fs::create_dir(dir.path().join("checkpoints")).unwrap();
        fs::write(dir.path().join("checkpoints/last.safetensors.part"), b"half").unwrap();
        fs::write(&config, format!("{CONFIG_HEAD} 0.1.0, and so on")).unwrap();
        assert_eq!(Folder::prepare(dir.path()).unwrap().files().len(), 1, "the configuration alone");
        fs::write(&config, "theirs = true").unwrap();
        assert_eq!(Folder::prepare(dir.path()).unwrap_err().exit_code(), 2);
        fs::remove_file(&config).unwrap();
        for name in [METRICS, LAST, BEST] {
            fs::write(dir.path().join(name), b"").unwrap();
            assert_eq!(Folder::prepare(dir.path()).unwrap_err().exit_code(), 2, "{name}");
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }

    #[test]
    fn a_place_that_is_a_file_cannot_be_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), b"").unwrap();
        let error = Folder::prepare(&dir.path().join("f/run")).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("--out"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = Folder::open(dir.path()).unwrap();
        assert!(Folder::open(dir.path()).unwrap_err().to_string().contains("another process"));
        drop(held);
        Folder::open(dir.path()).unwrap();
    }
}
