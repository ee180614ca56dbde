//! Reading a file that should be of a known kind and of a believable size.

use std::fs;
use std::io::{Error as IoError, Read};
use std::path::Path;

use vae_core::{Error, Result};

/// Bytes of a list of pictures at most. CelebA's has 3 MB.
pub(crate) const LIST: u64 = 64 << 20;

/// The bytes of a file, at most `most`. Folders and pipes are not opened, since reading a pipe would wait for its writer.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = fs::metadata(path).and_then(|data| match data.is_file() {
        true => fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes),
        false => Err(IoError::other("it is not a file")),
    });
    match read {
        Ok(n) if n as u64 > most => {
            Err(Error::file(path, format!("has more than {most} bytes, so it is not such a file")))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::file(path, format!("cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
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
