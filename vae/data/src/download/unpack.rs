//! Extracts tar archives. An archive is extracted into a temporary folder beside the destination and then moved, so
//! that no reader ever sees a half-extracted folder.
//!
//! An archive is refused if an entry has a path outside the folder, if it contains links, or if it extracts to more
//! bytes than a fixed limit. A file name of more than 100 bytes is an entry of its own, and the crate `tar` reads such
//! an entry into memory as a whole. Therefore the number of bytes between two files is limited as well.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Entry, EntryType};

use crate::archives::Pack;

/// The maximum size in bytes of all extracted files. It is ten times the size of the largest data set.
const BYTES: u64 = 32 << 30;
const FILES: usize = 2_000_000;
/// The maximum number of bytes between two files. A header has 512 bytes, and a name has at most 4,096.
const HEADERS: u64 = 1 << 16;

/// Extracts the paths `gives` of an archive into `folder`, except those that exist, and removes the archive.
///
/// # Errors
/// Returns a message if the archive is damaged, contains an entry that is not allowed, or lacks one of these paths.
/// Then nothing is moved or removed.
pub fn unpack(archive: &Path, pack: Pack, folder: &Path, gives: &[&str]) -> Result<(), String> {
    let aside = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(folder);
    let aside = aside.map_err(|error| format!("cannot be unpacked next to it: {error}"))?;
    let file = BufReader::new(File::open(archive).map_err(|error| format!("cannot be read: {error}"))?);
    match pack {
        Pack::TarGz => extract(MultiGzDecoder::new(file), aside.path()),
        Pack::Tar | Pack::File => extract(file, aside.path()),
    }?;
    for name in gives {
        let (from, to) = (aside.path().join(name), folder.join(name));
        if !from.exists() {
            return Err(format!("contains no {name}"));
        }
        if !to.exists() {
            std::fs::rename(&from, &to).map_err(|error| format!("{} cannot be moved there: {error}", to.display()))?;
        }
    }
    std::fs::remove_file(archive).map_err(|error| format!("cannot be removed: {error}"))
}

/// Writes every file of an archive under `folder`.
fn extract(archive: impl Read, folder: &Path) -> Result<(), String> {
    let damaged = |error: std::io::Error| format!("cannot be unpacked: {error}");
    let mut left = BYTES;
    let budget = Cell::new(HEADERS);
    let mut archive = tar::Archive::new(Budgeted { reader: archive, budget: &budget });
    for (count, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count == FILES {
            return Err(format!("contains more than {FILES} files"));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue; // a comment
        }
        let name = relative_path(&entry)?;
        let path = folder.join(&name);
        match kind {
            EntryType::Directory => std::fs::create_dir_all(&path).map_err(damaged)?,
            EntryType::Regular | EntryType::Continuous => {
                std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(damaged)?;
                let size = entry.size();
                if size > left {
                    return Err(format!("unpacks to more than {BYTES} bytes"));
                }
                left -= size;
                budget.set(size);
                let written = File::create(&path).and_then(|mut file| std::io::copy(&mut entry, &mut file));
                if written.map_err(damaged)? != size {
                    return Err(format!("is cut off in {}", name.display()));
                }
            }
            _ => return Err(format!("contains {}, which is neither a file nor a folder", name.display())),
        }
        budget.set(HEADERS);
    }
    Ok(())
}

/// A reader that returns an error after `budget` bytes. Its user can change the budget between reads.
struct Budgeted<'a, R> {
    reader: R,
    budget: &'a Cell<u64>,
}

impl<R: Read> Read for Budgeted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.budget.get()).unwrap_or(usize::MAX));
        if most == 0 && !buffer.is_empty() {
            return Err(std::io::Error::other(format!("more than {HEADERS} bytes of headers before a file")));
        }
        let count = self.reader.read(&mut buffer[..most])?;
        self.budget.set(self.budget.get() - count as u64);
        Ok(count)
    }
}

/// Returns the path of an entry. A path that leaves the folder is an error.
fn relative_path(entry: &Entry<'_, impl Read>) -> Result<PathBuf, String> {
    let path = entry.path().map_err(|error| format!("contains an invalid file name: {error}"))?;
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain {
        Ok(path.into_owned())
    } else {
        Err(format!("contains {}, which is outside of the folder", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tar::{Builder, Header};

    use super::*;

    /// Returns an archive of these entries: type, path (written as it is), contents.
    fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (kind, path, text) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes()); // the crate's setter refuses ".."
            header.set_entry_type(*kind);
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc").unwrap();
            }
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    const FILE: EntryType = EntryType::Regular;

    fn unpacked(folder: &Path, bytes: &[u8], pack: Pack, gives: &[&str]) -> Result<(), String> {
        let archive = folder.join("a.tar.part");
        std::fs::write(&archive, bytes).unwrap();
        let outcome = unpack(&archive, pack, folder, gives);
        assert_eq!(archive.exists(), outcome.is_err());
        let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".unpacking");
        assert!(!std::fs::read_dir(folder).unwrap().any(|entry| hidden(&entry.unwrap().file_name())), "left behind");
        outcome
    }

    #[test]
    fn folders_and_files_are_extracted() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, read) = (dir.path(), |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap());
        let entries = [(EntryType::Directory, "bin/", ""), (FILE, "./bin/one.bin", "1"), (FILE, "bin/deep/two", "two")];
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(&tar(&entries)).unwrap();
        unpacked(folder, &zipped.finish().unwrap(), Pack::TarGz, &["bin"]).unwrap();
        assert_eq!((read("bin/one.bin"), read("bin/deep/two")), ("1".into(), "two".into()));
        let entries = [(FILE, "train.mat", "new"), (FILE, "test.mat", "new"), (FILE, "other.mat", "new")];
        std::fs::write(folder.join("test.mat"), "old").unwrap();
        unpacked(folder, &tar(&entries), Pack::Tar, &["train.mat", "test.mat"]).unwrap();
        assert_eq!(
            (read("train.mat"), read("test.mat"), folder.join("other.mat").exists()),
            ("new".into(), "old".into(), false)
        );
    }

    #[test]
    fn no_file_is_written_outside_and_nothing_incomplete_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("inner");
        std::fs::create_dir(&folder).unwrap();
        let good = (FILE, "bin/one", "1");
        let long = "x".repeat(4_000);
        let whole = tar(&[good, (FILE, "bin/two", &long)]);
        let mut huge = tar(&[good]);
        let mut header = Header::from_byte_slice(&huge[..512]).clone();
        header.set_size(BYTES + 1);
        header.set_cksum();
        huge[..512].copy_from_slice(header.as_bytes());
        let endless = "x".repeat(100_000);
        for (bytes, says) in [
            (tar(&[(EntryType::GNULongName, "././@LongLink", &endless), good]), "more than 65536 bytes of headers"),
            (tar(&[(EntryType::XHeader, "pax", &endless), good]), "more than 65536 bytes of headers"),
            (tar(&[good, (FILE, "../escaped", "!")]), "../escaped, which is outside"),
            (tar(&[good, (FILE, "bin/../../escaped", "!")]), "which is outside"),
            (tar(&[good, (FILE, "/escaped", "!")]), "which is outside"),
            (
                tar(&[good, (EntryType::Symlink, "bin/link", "")]),
                "contains bin/link, which is neither a file nor a folder",
            ),
            (tar(&[(FILE, "other/one", "1")]), "contains no bin"),
            (whole[..whole.len() - 4_000].to_vec(), "is cut off in bin/two"),
            (huge, "unpacks to more than"),
        ] {
            let message = unpacked(&folder, &bytes, Pack::Tar, &["bin"]).expect_err(says);
            assert!(message.contains(says), "{says}: {message}");
            assert!(!folder.join("bin").exists() && !dir.path().join("escaped").exists(), "{says}");
        }
        assert!(unpacked(&folder, b"no gzip", Pack::TarGz, &["bin"]).unwrap_err().contains("cannot be unpacked"));
    }
}
