//! The folder of a run. Files are replaced atomically: the new contents are written to `NAME.part`, flushed to the
//! disk, and renamed to `NAME`. Until then the old file stays as it was. Only the logs, which grow line by line, can
//! end in an incomplete line.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use vae_core::{Error, Result};

/// The log of epochs, one line per epoch.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The log of steps, which `train.log_steps` turns on.
pub(crate) const STEPS: &str = "steps.jsonl";
/// The weights of the epoch with the lowest validation loss.
pub const BEST: &str = "checkpoints/best.safetensors";
/// The checkpoint from which a run resumes.
pub const LAST: &str = "checkpoints/last.safetensors";
/// The first words in the `config.toml` of a run.
pub(crate) const CONFIG_HEAD: &str = "# A run of train";

/// The suffix of a file that is not complete yet.
const PART: &str = ".part";

/// The folder of one run. While training uses it, it is locked against other processes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folders that [`Folder::prepare`] created, innermost first. They are removed again unless a file is written.
    created: Vec<PathBuf>,
    _lock: Option<File>,
}

impl Folder {
    /// Creates and locks the folder of a new run, and checks that files can be written in it. The folder may exist if
    /// it contains no run. A run that was killed before its first checkpoint does not count.
    ///
    /// # Errors
    /// Returns an error if the folder contains a run, another process trains in it, or files cannot be written there.
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
        let created = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut folder = Folder { path: path.to_owned(), created: created.map(Path::to_owned).collect(), _lock: None };
        let cannot =
            |error| Error::file(path, format!("no run can be written there: {error}; name another folder with --out"));
        fs::create_dir_all(path).map_err(cannot)?;
        tempfile::tempfile_in(path).map_err(cannot)?;
        folder._lock = lock(path)?;
        folder.remove_parts()?;
        Ok(folder)
    }

    /// Opens and locks the folder of a run that is resumed.
    ///
    /// # Errors
    /// Returns an error if another process trains in it, or if an incomplete file cannot be removed.
    pub fn open(path: &Path) -> Result<Folder> {
        let folder = Folder { path: path.to_owned(), created: Vec::new(), _lock: lock(path)? };
        folder.remove_parts()?;
        Ok(folder)
    }

    /// Removes the incomplete files of a process that was killed.
    fn remove_parts(&self) -> Result<()> {
        for (name, _) in self.files().into_iter().filter(|(name, _)| name.ends_with(PART)) {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
        }
        Ok(())
    }

    /// Opens the folder of a run without locking it, to add files such as figures. This works even while the run is
    /// trained.
    pub fn open_unlocked(path: &Path) -> Folder {
        Folder { path: path.to_owned(), created: Vec::new(), _lock: None }
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file atomically. If the folder was removed, it is not created again, because it may come back (a
    /// network drive).
    ///
    /// # Errors
    /// Returns an error if the file cannot be written. The previous file is then unchanged.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.created.clear();
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
            File::open(parent)?.sync_all()?; // so that the new name survives a power cut
            Ok(())
        };
        written().map_err(|error| {
            let _ = fs::remove_file(&part); // the disk may be full
            Error::file(&path, format!("cannot be written: {error}"))
        })
    }

    /// Returns the names of the files in the folder, sorted, and their sizes in bytes.
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
        self.created.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Locks a folder for this process. Returns `None` if the system does not support that.
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::file(path, "another process is training there; wait until it ends"))
        }
        _ => Ok(Some(folder)),
    }
}

/// Returns the path of a checkpoint. `place` is either a checkpoint file or the folder of a run. In a folder it is the
/// checkpoint of the best epoch, or the last checkpoint if there is no best one.
///
/// # Errors
/// Returns an error if the folder contains neither checkpoint.
pub fn checkpoint_of(place: &Path) -> Result<PathBuf> {
    if !place.is_dir() {
        return Ok(place.to_owned()); // reading it reports whether it exists
    }
    let files = ["best", "last"].map(|name| place.join(format!("checkpoints/{name}.safetensors")));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Error::file(
            place,
            "contains neither checkpoints/best.safetensors nor last.safetensors; name a run's folder or a checkpoint",
        )
    })
}

/// Writes a new file atomically.
///
/// # Errors
/// Returns an error if the file exists or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = temporary_file(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        Ok(())
    };
    written().map_err(|error| Error::file(path, format!("cannot be written: {error}")))
}

/// Creates a temporary file in the folder. Its permissions follow the user's umask, as those of other files do; by
/// default, a temporary file is readable by its owner only.
fn temporary_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_folder_is_removed_and_a_used_one_stays() {
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
    fn files_are_complete_and_partial_files_are_removed() {
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
    fn a_run_without_a_checkpoint_starts_again_and_a_user_s_file_stays() {
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
    fn a_path_inside_a_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), b"").unwrap();
        let error = Folder::prepare(&dir.path().join("f/run")).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("--out"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_locked_against_other_processes() {
        let dir = tempfile::tempdir().unwrap();
        let held = Folder::open(dir.path()).unwrap();
        assert!(Folder::open(dir.path()).unwrap_err().to_string().contains("another process"));
        drop(held);
        Folder::open(dir.path()).unwrap();
    }
}
