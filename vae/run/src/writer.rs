//! What a run writes while it goes on. A disk that is full, a folder that is gone or closed does not end it: what could not
//! be written waits in memory, is tried again with each next file, and is named at the end if it was never saved.
//!
//! `last.safetensors` goes last: it is written only when nothing else waits, so that it never knows of an epoch whose line or
//! whose best weights are not on the disk.

use std::fs::OpenOptions;
use std::io::{Error as IoError, Seek, SeekFrom, Write};
use std::path::Path;

use vae_core::{Error, Result};

use crate::folder::{BEST, Folder, LAST};

/// A file that grows.
#[derive(Debug, Default)]
struct Log {
    name: &'static str,
    /// Bytes of it that are on the disk: whole lines.
    written: u64,
    /// Lines that are not.
    waiting: String,
}

impl Log {
    /// Writes the lines that wait; with `sync`, so that they survive a power cut.
    fn flush(&mut self, folder: &Folder, sync: bool) -> std::io::Result<()> {
        if self.waiting.is_empty() && (!sync || self.written == 0) {
            return Ok(());
        }
        let path = folder.path().join(self.name);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        if file.metadata()?.len() < self.written {
            return Err(IoError::other("lines that were written before are missing"));
        }
        file.set_len(self.written)?; // what a write that failed left
        file.seek(SeekFrom::End(0))?;
        file.write_all(self.waiting.as_bytes())?;
        if sync {
            file.sync_data()?;
        }
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// A run's folder, and what is not in it yet.
#[derive(Debug)]
pub(crate) struct RunWriter<'a> {
    folder: &'a mut Folder,
    logs: Vec<Log>,
    files: Vec<(String, Vec<u8>)>,
    trouble: Option<Error>,
    told: bool,
}

impl<'a> RunWriter<'a> {
    pub(crate) fn new(folder: &'a mut Folder) -> RunWriter<'a> {
        RunWriter { folder, logs: Vec::new(), files: Vec::new(), trouble: None, told: false }
    }

    /// A log that goes on after its first `written` bytes; what follows them on the disk is given up.
    pub(crate) fn go_on(&mut self, name: &'static str, written: u64) -> Result<()> {
        let path = self.folder.path().join(name);
        if path.exists() {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(written));
            cut.map_err(|error| Error::file(&path, format!("cannot be written: {error}")))?;
        }
        self.logs.push(Log { name, written, waiting: String::new() });
        Ok(())
    }

    /// Adds a line to a file, and hands it to the system at once.
    pub(crate) fn line(&mut self, name: &'static str, line: &str) {
        let at = self.logs.iter().position(|log| log.name == name).unwrap_or_else(|| {
            self.logs.push(Log { name, ..Log::default() });
            self.logs.len() - 1
        });
        let log = &mut self.logs[at];
        log.waiting += line;
        log.waiting.push('\n');
        if let Err(error) = log.flush(self.folder, false) {
            self.failed(name, &error);
        }
    }

    /// Where everything goes.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, whole, and whatever waits.
    pub(crate) fn file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.retain(|(waiting, _)| waiting != name);
        self.files.push((name.to_owned(), bytes));
        self.write();
    }

    fn write(&mut self) {
        let sync = self.files.iter().any(|(name, _)| name == LAST);
        let mut logs = std::mem::take(&mut self.logs);
        for log in &mut logs {
            if let Err(error) = log.flush(self.folder, sync) {
                self.failed(log.name, &error);
            }
        }
        let mut whole = logs.iter().all(|log| log.waiting.is_empty());
        self.logs = logs;
        for (name, bytes) in std::mem::take(&mut self.files) {
            let written = if name == LAST && !whole { None } else { Some(self.folder.write(&name, &bytes)) };
            if let Some(Ok(())) = written {
                continue;
            }
            if let Some(Err(error)) = written {
                self.trouble = Some(error);
            }
            whole &= name != BEST; // a picture that is missing can be drawn again
            self.files.push((name, bytes));
        }
        if self.unsaved().is_empty() {
            (self.trouble, self.told) = (None, false);
        }
    }

    fn failed(&mut self, name: &str, error: &IoError) {
        self.trouble = Some(Error::file(&self.folder.path().join(name), format!("cannot be written: {error}")));
    }

    /// What to say of a file that could not be written, once until all is well again.
    pub(crate) fn warning(&mut self) -> Option<String> {
        let trouble = self.trouble.as_ref().filter(|_| !self.told)?;
        self.told = true;
        Some(format!("{trouble}; training continues in memory, and writing is tried again later"))
    }

    /// What is not on the disk.
    fn unsaved(&self) -> Vec<&str> {
        let logs = self.logs.iter().filter(|log| !log.waiting.is_empty()).map(|log| log.name);
        logs.chain(self.files.iter().map(|(name, _)| name.as_str())).collect()
    }

    /// Tries once more.
    ///
    /// # Errors
    /// If something is still not on the disk: what, and why.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if !self.unsaved().is_empty() {
            self.write();
        }
        let unsaved = self.unsaved().join(", ");
        let Some(trouble) = self.trouble.as_ref().filter(|_| !unsaved.is_empty()) else { return Ok(()) };
        let last = self.folder.path().join(LAST);
        let kept = match last.exists() {
            true => format!("the last saved checkpoint is {}", last.display()),
            false => "no checkpoint was saved".to_owned(),
        };
        Err(Error::file(self.folder.path(), format!("not saved: {unsaved} ({trouble}); {kept}")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The folder is gone for a while, by another name: nothing is lost, and one warning is given each time.
    #[test]
    fn what_cannot_be_written_waits_and_is_saved_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path().join("run"), dir.path().join("gone"));
        let mut folder = Folder::prepare(&here).unwrap();
        let mut keeper = RunWriter::new(&mut folder);
        keeper.line("metrics.jsonl", "1");
        keeper.file(LAST, b"first".to_vec());
        assert_eq!((keeper.warning(), keeper.finish().is_ok()), (None, true));
        fs::rename(&here, &gone).unwrap();
        keeper.line("metrics.jsonl", "2");
        let told = keeper.warning().unwrap();
        assert!(told.contains("metrics.jsonl: cannot be written") && told.contains("continues in memory"), "{told}");
        keeper.file(BEST, b"best".to_vec());
        keeper.file(LAST, b"second".to_vec());
        assert_eq!(keeper.warning(), None, "once is enough");
        let error = keeper.finish().unwrap_err().to_string();
        let names = "not saved: metrics.jsonl, checkpoints/best.safetensors, checkpoints/last.safetensors (";
        assert!(error.contains(names) && error.contains("no checkpoint was saved"), "{error}");
        keeper.file("curves.png", b"curves".to_vec());
        assert!(!here.exists(), "a folder that is gone is not made again");
        fs::rename(&gone, &here).unwrap();
        keeper.line("metrics.jsonl", "3");
        keeper.finish().unwrap();
        let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
        assert_eq!([read("metrics.jsonl"), read(BEST), read(LAST)], ["1\n2\n3\n", "best", "second"]);
        fs::rename(&here, &gone).unwrap();
        keeper.line("metrics.jsonl", "4");
        assert!(keeper.warning().is_some(), "a second time is told again");
    }

    /// While best.safetensors cannot be written, last.safetensors stays what it was.
    #[test]
    fn the_last_checkpoint_waits_for_what_it_knows_of() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let mut keeper = RunWriter::new(&mut folder);
        keeper.file(LAST, b"first".to_vec());
        fs::create_dir(dir.path().join(BEST)).unwrap(); // in its place
        keeper.file(BEST, b"best".to_vec());
        keeper.file("curves.png", b"curves".to_vec());
        keeper.file(LAST, b"second".to_vec());
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        assert_eq!([read(LAST), read("curves.png")], [b"first".to_vec(), b"curves".to_vec()]);
        let error = keeper.finish().unwrap_err().to_string();
        assert!(error.contains("the last saved checkpoint is"), "{error}");
        fs::remove_dir(dir.path().join(BEST)).unwrap();
        keeper.finish().unwrap();
        assert_eq!([read(LAST), read(BEST)], [b"second".to_vec(), b"best".to_vec()]);
    }

    #[test]
    fn a_torn_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("steps.jsonl"), "1\n2\n3\nto").unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        let mut keeper = RunWriter::new(&mut folder);
        keeper.go_on("steps.jsonl", 4).unwrap();
        keeper.line("steps.jsonl", "4");
        assert_eq!(fs::read_to_string(dir.path().join("steps.jsonl")).unwrap(), "1\n2\n4\n");
    }
}
