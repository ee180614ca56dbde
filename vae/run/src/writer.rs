//! Writes the files of a run. A full disk, or a folder that was removed or is read-only, does not end the run. A file
//! that could not be written stays in memory, and writing is tried again together with each later file. If it was never
//! saved, the error at the end of the run names it.
//!
//! `last.safetensors` is written last, and only when nothing else is waiting. Therefore it never refers to an epoch
//! whose line or whose best weights are not on the disk.

use std::fs::OpenOptions;
use std::io::{Error as IoError, Seek, SeekFrom, Write};
use std::path::Path;

use vae_core::{Error, Result};

use crate::folder::{BEST, Folder, LAST};

/// A file that grows line by line.
#[derive(Debug, Default)]
struct Log {
    name: &'static str,
    /// The number of bytes on the disk. They are complete lines.
    written: u64,
    /// The lines that are not on the disk yet.
    waiting: String,
}

impl Log {
    /// Writes the waiting lines. With `sync` they survive a power cut.
    fn flush(&mut self, folder: &Folder, sync: bool) -> std::io::Result<()> {
        if folder.is_followed() {
            self.waiting.clear();
        }
        if self.waiting.is_empty() && (!sync || self.written == 0) {
            return Ok(());
        }
        let path = folder.path().join(self.name);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        if file.metadata()?.len() < self.written {
            return Err(IoError::other("lines that were written before are missing"));
        }
        file.set_len(self.written)?; // removes what a failed write left
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

/// The folder of a run, and the data that are not in it yet.
#[derive(Debug)]
pub(crate) struct RunWriter<'a> {
    folder: &'a mut Folder,
    logs: Vec<Log>,
    files: Vec<(String, Vec<u8>)>,
    /// The latest error, as long as something is unsaved.
    error: Option<Error>,
    /// Whether [`RunWriter::warning`] has returned this error.
    warned: bool,
}

impl<'a> RunWriter<'a> {
    pub(crate) fn new(folder: &'a mut Folder) -> RunWriter<'a> {
        RunWriter { folder, logs: Vec::new(), files: Vec::new(), error: None, warned: false }
    }

    /// Continues a log after its first `written` bytes. The rest of the file is cut off.
    pub(crate) fn resume_log(&mut self, name: &'static str, written: u64) -> Result<()> {
        let path = self.folder.path().join(name);
        if path.exists() && !self.folder.is_followed() {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(written));
            cut.map_err(|error| Error::file(&path, format!("cannot be written: {error}")))?;
        }
        self.logs.push(Log { name, written, waiting: String::new() });
        Ok(())
    }

    /// Appends a line to a log, and writes it to the file at once.
    pub(crate) fn line(&mut self, name: &'static str, line: &str) {
        let at = self.logs.iter().position(|log| log.name == name).unwrap_or_else(|| {
            self.logs.push(Log { name, ..Log::default() });
            self.logs.len() - 1
        });
        let log = &mut self.logs[at];
        log.waiting += line;
        log.waiting.push('\n');
        if let Err(error) = log.flush(self.folder, false) {
            self.record_error(name, &error);
        }
    }

    /// Returns whether another process writes the files.
    pub(crate) fn is_followed(&self) -> bool {
        self.folder.is_followed()
    }

    /// Returns the path of the folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file atomically, and everything that is waiting.
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
                self.record_error(log.name, &error);
            }
        }
        let mut complete = logs.iter().all(|log| log.waiting.is_empty());
        self.logs = logs;
        let mut files = std::mem::take(&mut self.files);
        files.sort_by_key(|(name, _)| name == LAST); // after the files that it refers to; the sort is stable
        for (name, bytes) in files {
            let written = if name == LAST && !complete { None } else { Some(self.folder.write(&name, &bytes)) };
            if let Some(Ok(())) = written {
                continue;
            }
            if let Some(Err(error)) = written {
                self.error = Some(error);
            }
            complete &= name != BEST; // a missing figure can be drawn again
            self.files.push((name, bytes));
        }
        if self.unsaved().is_empty() {
            (self.error, self.warned) = (None, false);
        }
    }

    fn record_error(&mut self, name: &str, error: &IoError) {
        self.error = Some(Error::file(&self.folder.path().join(name), format!("cannot be written: {error}")));
    }

    /// Returns a warning if a file could not be written. It is returned once, until everything is saved again.
    pub(crate) fn warning(&mut self) -> Option<String> {
        let error = self.error.as_ref().filter(|_| !self.warned)?;
        self.warned = true;
        Some(format!("{error}; training continues in memory, and writing is tried again later"))
    }

    /// Returns the names of the files that are not completely on the disk.
    fn unsaved(&self) -> Vec<&str> {
        let logs = self.logs.iter().filter(|log| !log.waiting.is_empty()).map(|log| log.name);
        logs.chain(self.files.iter().map(|(name, _)| name.as_str())).collect()
    }

    /// Tries once more to write everything that is waiting.
    ///
    /// # Errors
    /// Returns an error that names the files that could not be saved, and the reason.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if !self.unsaved().is_empty() {
            self.write();
        }
        let unsaved = self.unsaved().join(", ");
        let Some(error) = self.error.as_ref().filter(|_| !unsaved.is_empty()) else { return Ok(()) };
        let last = self.folder.path().join(LAST);
        let checkpoint = match last.exists() {
            true => format!("the last saved checkpoint is {}", last.display()),
            false => "no checkpoint was saved".to_owned(),
        };
        Err(Error::file(self.folder.path(), format!("not saved: {unsaved} ({error}); {checkpoint}")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A run that is resumed cuts off the lines after its checkpoint. Of several processes, only the one that writes does.
    #[test]
    fn a_log_is_cut_off_by_the_process_that_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, "one\ntwo\n").unwrap();
        let resume = |mut folder: Folder| {
            let mut writer = RunWriter::new(&mut folder);
            writer.resume_log("metrics.jsonl", 4).unwrap();
            (writer.is_followed(), fs::read_to_string(&path).unwrap())
        };
        assert_eq!(resume(Folder::follow(dir.path())), (true, "one\ntwo\n".to_owned()));
        assert_eq!(resume(Folder::open_unlocked(dir.path())), (false, "one\n".to_owned()));
    }

    /// The folder is renamed for a while. Nothing is lost, and there is one warning each time.
    #[test]
    fn unwritable_files_wait_and_are_saved_later() {
        let dir = tempfile::tempdir().unwrap();
        let (here, gone) = (dir.path().join("run"), dir.path().join("gone"));
        let mut folder = Folder::prepare(&here).unwrap();
        let mut writer = RunWriter::new(&mut folder);
        writer.line("metrics.jsonl", "1");
        writer.file(LAST, b"first".to_vec());
        assert_eq!((writer.warning(), writer.finish().is_ok()), (None, true));
        fs::rename(&here, &gone).unwrap();
        writer.line("metrics.jsonl", "2");
        let warning = writer.warning().unwrap();
        assert!(
            warning.contains("metrics.jsonl: cannot be written") && warning.contains("continues in memory"),
            "{warning}"
        );
        writer.file(BEST, b"best".to_vec());
        writer.file(LAST, b"second".to_vec());
        assert_eq!(writer.warning(), None, "the warning is given once");
        let error = writer.finish().unwrap_err().to_string();
        let names = "not saved: metrics.jsonl, checkpoints/best.safetensors, checkpoints/last.safetensors (";
        assert!(error.contains(names) && error.contains("no checkpoint was saved"), "{error}");
        writer.file("curves.png", b"curves".to_vec());
        assert!(!here.exists(), "a missing folder is not created again");
        fs::rename(&gone, &here).unwrap();
        writer.line("metrics.jsonl", "3");
        writer.finish().unwrap();
        let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
        assert_eq!([read("metrics.jsonl"), read(BEST), read(LAST)], ["1\n2\n3\n", "best", "second"]);
        fs::rename(&here, &gone).unwrap();
        writer.line("metrics.jsonl", "4");
        assert!(writer.warning().is_some(), "the second failure gives a warning again");
    }

    /// While best.safetensors cannot be written, last.safetensors stays what it was.
    #[test]
    fn the_last_checkpoint_waits_for_the_files_that_it_refers_to() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let mut writer = RunWriter::new(&mut folder);
        writer.file(LAST, b"first".to_vec());
        fs::create_dir(dir.path().join(BEST)).unwrap(); // a folder of this name
        writer.file(BEST, b"best".to_vec());
        writer.file("curves.png", b"curves".to_vec());
        writer.file(LAST, b"second".to_vec());
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        assert_eq!([read(LAST), read("curves.png")], [b"first".to_vec(), b"curves".to_vec()]);
        let error = writer.finish().unwrap_err().to_string();
        assert!(error.contains("the last saved checkpoint is"), "{error}");
        // A better epoch comes while both wait. Its weights are written first, and before that nothing refers to them.
        writer.file(BEST, b"better".to_vec());
        assert_eq!(read(LAST), b"first");
        fs::remove_dir(dir.path().join(BEST)).unwrap();
        writer.finish().unwrap();
        assert_eq!([read(LAST), read(BEST)], [b"second".to_vec(), b"better".to_vec()]);
    }

    #[test]
    fn an_incomplete_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("steps.jsonl"), "1\n2\n3\nto").unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        let mut writer = RunWriter::new(&mut folder);
        writer.resume_log("steps.jsonl", 4).unwrap();
        writer.line("steps.jsonl", "4");
        assert_eq!(fs::read_to_string(dir.path().join("steps.jsonl")).unwrap(), "1\n2\n4\n");
    }
}
