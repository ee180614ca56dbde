//! The folder of a run. Files are replaced atomically: the new contents are written to `NAME.part`, flushed to the
//! disk, and renamed to `NAME`. Until then the old file stays as it was. Only the logs, which grow line by line, can
//! end in an incomplete line.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

/// How long [`Folder::prepare`] waits for a lock. A process that removes an empty folder holds its lock for a moment.
const PATIENCE: Duration = Duration::from_millis(50);

/// The folder of one run. While training uses it, it is locked against other processes.
///
/// Several processes may ask for the same name at once. Each first creates the folder, then locks it, and only then looks at what
/// it contains. A folder is removed only by a process that created it, holds its lock, and finds it empty. A process that locked
/// a folder which another has removed in the meantime notices that, and starts again.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The folders that this value created, innermost first. They are removed again unless a file is written.
    created: Vec<PathBuf>,
    lock: Option<File>,
    /// Whether another process writes the files.
    followed: bool,
}

/// The result of an attempt to lock a folder.
enum Locking {
    /// This process has the folder. There is no file if the system cannot lock folders.
    Ours(Option<File>),
    /// Another process has it.
    Held,
    /// Another process removed it.
    Gone,
}

impl Folder {
    /// Creates and locks the folder of a new run, and checks that files can be written in it. The folder may exist if
    /// it contains no run. A run that was killed before its first checkpoint does not count.
    ///
    /// # Errors
    /// Returns an error if the folder contains a run, another process uses it, or files cannot be written there.
    pub fn prepare(path: &Path) -> Result<Folder> {
        let mut folder = Folder::open_unlocked(path);
        let start = Instant::now();
        loop {
            folder.create().map_err(|error| folder.unusable(&error))?;
            if folder.lock() {
                break;
            }
            if start.elapsed() > PATIENCE {
                let why = "another process uses this folder; wait until it ends, or name another folder with --out";
                return Err(Error::file(path, why));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        folder.check_unused()?;
        Ok(folder)
    }

    /// Creates and locks a new folder: `path`, or the first of `path-2`, `path-3` and so on that does not exist yet.
    ///
    /// # Errors
    /// Returns an error if files cannot be written there.
    pub fn prepare_numbered(path: &Path) -> Result<Folder> {
        let mut number = 1_u64;
        loop {
            let mut name = path.as_os_str().to_owned();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            let mut folder = Folder::open_unlocked(Path::new(&name));
            folder.create().map_err(|error| folder.unusable(&error))?;
            if folder.created.first() == Some(&folder.path) && folder.lock() {
                folder.check_unused()?;
                return Ok(folder);
            }
            number += 1;
        }
    }

    /// Locks the folder. Returns `false` if another process has it, or has removed it. Then this value does not remove it.
    fn lock(&mut self) -> bool {
        match try_lock(&self.path) {
            Locking::Ours(lock) => self.lock = lock,
            Locking::Held | Locking::Gone => {
                self.created.retain(|folder| *folder != self.path);
                return false;
            }
        }
        true
    }

    /// Creates the folder and those above it that are missing.
    fn create(&mut self) -> std::io::Result<()> {
        let mut missing = vec![self.path.clone()];
        while let Some(folder) = missing.last() {
            match fs::create_dir(folder) {
                Ok(()) => self.created.insert(0, folder.clone()),
                Err(_) if folder.is_dir() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(error)?;
                    missing.push(parent.to_owned());
                    continue;
                }
                // It existed a moment ago, and another process has removed it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(folder).is_err() => {
                    continue;
                }
                Err(error) => return Err(error),
            }
            missing.pop();
        }
        Ok(())
    }

    /// Checks that this locked folder contains no run, and that files can be written in it.
    fn check_unused(&self) -> Result<()> {
        let is_ours = |text: String| text.starts_with(CONFIG_HEAD);
        let config = self.path.join("config.toml");
        let foreign = config.exists() && !fs::read_to_string(&config).is_ok_and(is_ours);
        if foreign || [METRICS, LAST, BEST].iter().any(|name| self.path.join(name).exists()) {
            return Err(Error::config(format!(
                "{}: contains a run already; continue it with --resume, or name another folder with --out",
                self.path.display()
            )));
        }
        tempfile::tempfile_in(&self.path).map_err(|error| self.unusable(&error))?;
        self.remove_parts()
    }

    fn unusable(&self, error: &std::io::Error) -> Error {
        Error::file(&self.path, format!("no run can be written there: {error}; name another folder with --out"))
    }

    /// Opens and locks the folder of a run that is resumed.
    ///
    /// # Errors
    /// Returns an error if another process trains in it, or if an incomplete file cannot be removed.
    pub fn open(path: &Path) -> Result<Folder> {
        let mut folder = Folder::open_unlocked(path);
        match try_lock(path) {
            Locking::Ours(lock) => folder.lock = lock,
            Locking::Held => return Err(Error::file(path, "another process is training there; wait until it ends")),
            Locking::Gone => return Err(Error::file(path, "another process has removed this folder")),
        }
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
        Folder { path: path.to_owned(), created: Vec::new(), lock: None, followed: false }
    }

    /// Returns the folder of a run that another process writes, with which this one trains. Writing to it does nothing.
    pub fn follow(path: &Path) -> Folder {
        Folder { path: path.to_owned(), created: Vec::new(), lock: None, followed: true }
    }

    /// Returns whether another process writes the files of this folder.
    pub(crate) fn is_followed(&self) -> bool {
        self.followed
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
        if self.followed {
            return Ok(());
        }
        let (path, part) = (self.path.join(name), self.part(name));
        let written = || -> std::io::Result<()> {
            let mut file = self.create_part(name)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            #[cfg(unix)]
            File::open(path.parent().unwrap_or(&self.path))?.sync_all()?; // so that the new name survives a power cut
            Ok(())
        };
        written().map_err(|error| {
            let _ = fs::remove_file(&part); // the disk may be full
            Error::file(&path, format!("cannot be written: {error}"))
        })?;
        self.created.clear();
        Ok(())
    }

    /// Checks that a file of this name can be written, without writing it, before work whose result it will hold.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn check_writable(&self, name: &str) -> Result<()> {
        let created = self.create_part(name).and_then(|_| fs::remove_file(self.part(name)));
        created.map_err(|error| Error::file(&self.path.join(name), format!("cannot be written: {error}")))
    }

    /// The path of a file while it is incomplete.
    fn part(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{PART}"))
    }

    /// Creates that file, and the folder in this one that it belongs to.
    fn create_part(&self, name: &str) -> std::io::Result<File> {
        let part = self.part(name);
        match part.parent() {
            Some(parent) if parent != self.path && !parent.exists() => fs::create_dir(parent)?,
            _ => {}
        }
        File::create(part)
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
    /// Removes the folders that this value created if they are empty. The lock of the innermost is held until then.
    fn drop(&mut self) {
        for folder in &self.created {
            let _lock = match if *folder == self.path { Locking::Ours(None) } else { try_lock(folder) } {
                Locking::Ours(lock) => lock,
                Locking::Held | Locking::Gone => return,
            };
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// Locks a folder for this process, if no other has it.
fn try_lock(path: &Path) -> Locking {
    match File::open(path) {
        Ok(folder) => lock_opened(folder, path),
        Err(_) if path.is_dir() => Locking::Ours(None),
        Err(_) => Locking::Gone,
    }
}

fn lock_opened(folder: File, path: &Path) -> Locking {
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Locking::Held,
        _ if !is_at(&folder, path) => Locking::Gone,
        Ok(()) => Locking::Ours(Some(folder)),
        Err(TryLockError::Error(_)) => Locking::Ours(None), // a file system without locks
    }
}

/// Returns whether the opened folder is still the one at this path. Another process may have removed it, and made a new one.
fn is_at(folder: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |data: fs::Metadata| (data.dev(), data.ino());
        let opened = folder.metadata().map(number).ok();
        opened.is_some() && opened == fs::metadata(path).map(number).ok()
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        path.is_dir()
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
        let what =
            "contains neither checkpoints/best.safetensors nor last.safetensors; name a run's folder or a checkpoint";
        contains_runs(place).unwrap_or_else(|| Error::file(place, what))
    })
}

/// The error about a folder that contains runs where a run is expected; `None` if it contains none.
pub(crate) fn contains_runs(folder: &Path) -> Option<Error> {
    let paths = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let run = paths.filter(|path| path.join("config.toml").is_file()).min()?;
    let (folder, run) = (folder.display(), run.display());
    Some(Error::config(format!("{folder}: contains runs, but is not a run itself; name one of them, such as {run}")))
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
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests;
