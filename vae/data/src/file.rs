//! Reading of a whole file, with a limit on its size.

use std::fs;
use std::io::{Error as IoError, Read};
use std::path::Path;

use vae_core::{Error, Result};

/// The maximum size in bytes of a list of pictures. CelebA's list has 3 MB.
pub(crate) const LIST: u64 = 64 << 20;

/// Returns the bytes of a file.
///
/// # Errors
/// Returns an error if the file has more than `most` bytes or cannot be read. Folders and pipes are refused without
/// opening them, because reading a pipe would wait for its writer.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    read_up_to(path, most)?
        .ok_or_else(|| Error::file(path, format!("has more than {most} bytes, so it is not such a file")))
}

/// Returns the bytes of a file, or `None` if it has more than `most` bytes.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub(crate) fn read_up_to(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = fs::metadata(path).and_then(|data| match data.is_file() {
        true => fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes),
        false => Err(IoError::other("it is not a file")),
    });
    match read {
        Ok(n) => Ok((n as u64 <= most).then_some(bytes)),
        Err(error) => Err(Error::file(path, format!("cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_too_large_and_other_things_than_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read(&path, 10).unwrap(), [7; 10]);
        assert!(read(&path, 9).unwrap_err().to_string().contains("list: has more than 9 bytes"));
        assert!(read(dir.path(), 10).unwrap_err().to_string().contains("it is not a file"));
        #[cfg(unix)]
        {
            let endless = dir.path().join("endless");
            std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
            assert!(read(&endless, 10).unwrap_err().to_string().contains("it is not a file"));
        }
    }
}
