//! Files as they come from a download: of a believable size, and not a server's apology.

/// No file of images is larger: EMNIST's largest has 550 MB.
pub(crate) const LIMIT: u64 = 1 << 30;
/// No list of pictures is larger: CelebA's has 3 MB.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const LIST: u64 = 64 << 20;

/// A file's bytes, if there are no more than `most`, which no such file has. Neither a folder nor a pipe is opened: a pipe
/// would be waited for.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn read(path: &std::path::Path, most: u64) -> crate::Result<Vec<u8>> {
    use std::io::{Error as IoError, Read};

    use crate::Error;

    let mut bytes = Vec::new();
    let read = std::fs::metadata(path).and_then(|data| match data.is_file() {
        true => std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes),
        false => Err(IoError::other("it is not a file")),
    });
    match read {
        Ok(n) if n as u64 > most => Err(Error::file(path, format!("has more than {most} bytes: not such a file"))),
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::file(path, format!("cannot be read: {error}"))),
    }
}

/// Bytes that a file of so many may unpack to: 64 times as many (images of digits come to 5 times, lists to 30), and a few
/// megabytes in any case. A bomb comes to 1,000 times.
pub(crate) fn believable(packed: usize) -> u64 {
    (64 * packed as u64 + (4 << 20)).min(LIMIT)
}

/// What a reader unpacks, if there are no more than `most` bytes.
pub(crate) fn unpack(reader: impl std::io::Read, most: u64) -> Result<Vec<u8>, String> {
    use std::io::{ErrorKind, Read};

    let mut bytes = Vec::new();
    match reader.take(most + 1).read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(format!("is cut off: what is packed ends after {} unpacked bytes; fetch it again", bytes.len()))
        }
        Err(error) => Err(format!("is damaged: {error}; fetch it again")),
        Ok(n) if n as u64 > most => Err(format!("unpacks to more than {most} bytes: not such a file")),
        Ok(_) => Ok(bytes),
    }
}

/// Refuses the page that a server sends in place of a file, which was to be `expected`.
pub(crate) fn refuse_web_page(bytes: &[u8], expected: &str) -> Result<(), String> {
    let start = bytes[..bytes.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype") || start.starts_with(b"<html") {
        return Err(format!("is a web page, not {expected}: the download got an error page; fetch it again"));
    }
    Ok(())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
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

    #[test]
    fn what_unpacks_to_more_than_is_believable_is_refused() {
        assert_eq!(unpack(&[1; 9][..], 9).unwrap(), [1; 9]);
        assert!(unpack(&[1; 10][..], 9).unwrap_err().contains("unpacks to more than 9 bytes"));
        assert_eq!([0, 1 << 20, usize::MAX >> 8].map(believable), [4 << 20, 68 << 20, LIMIT]);
    }
}
