//! Decompression of downloaded files with a limit on the unpacked size, and detection of HTML error pages.

use std::io::{ErrorKind, Read};

/// The maximum size of an unpacked file in bytes. The largest file that is read is one of EMNIST, with 550 MB.
pub const LIMIT: u64 = 1 << 30;

/// Returns the maximum unpacked size in bytes of a file of `packed` bytes: 64 times its size plus 4 MiB, at most
/// [`LIMIT`]. Images of digits unpack to 5 times their size and lists to 30 times, a decompression bomb to 1,000 times.
pub fn max_unpacked_size(packed: usize) -> u64 {
    (64 * packed as u64 + (4 << 20)).min(LIMIT)
}

/// Reads all bytes of a decoder, at most `most`.
///
/// # Errors
/// If the data is truncated or damaged, or unpacks to more than `most` bytes.
pub fn unpack(reader: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match reader.take(most + 1).read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(format!("is cut off: the compressed data ends after {} unpacked bytes; download it again", bytes.len()))
        }
        Err(error) => Err(format!("is damaged: {error}; download it again")),
        Ok(n) if n as u64 > most => Err(format!("unpacks to more than {most} bytes, so it is not such a file")),
        Ok(_) => Ok(bytes),
    }
}

/// Returns an error if the bytes are an HTML page, which a server may send instead of the `expected` file.
///
/// # Errors
/// If the bytes begin like an HTML page.
pub fn refuse_web_page(bytes: &[u8], expected: &str) -> Result<(), String> {
    let start = bytes[..bytes.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype") || start.starts_with(b"<html") {
        return Err(format!("is a web page, not {expected}: the server sent an error page; download it again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_unpacks_to_too_many_bytes_is_refused() {
        assert_eq!(unpack(&[1; 9][..], 9).unwrap(), [1; 9]);
        assert!(unpack(&[1; 10][..], 9).unwrap_err().contains("unpacks to more than 9 bytes"));
        assert_eq!([0, 1 << 20, usize::MAX >> 8].map(max_unpacked_size), [4 << 20, 68 << 20, LIMIT]);
    }

    #[test]
    fn web_pages_are_recognised_at_their_beginning() {
        for page in ["<!DOCTYPE html>", "\n  <html lang=\"en\">", "<HTML>"] {
            let error = refuse_web_page(page.as_bytes(), "the list").unwrap_err();
            assert!(error.contains("is a web page, not the list"), "{error}");
        }
        let late = format!("{}<html>", " ".repeat(300));
        for other in ["", "<svg>", "a <html>", &late] {
            assert_eq!(refuse_web_page(other.as_bytes(), "the list"), Ok(()), "{other}");
        }
    }

    #[test]
    fn data_that_is_cut_off_or_damaged_is_told_apart() {
        struct Failing(ErrorKind);
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
        }
        assert!(unpack(Failing(ErrorKind::UnexpectedEof), 9).unwrap_err().contains("ends after 0 unpacked bytes"));
        assert!(unpack(Failing(ErrorKind::InvalidData), 9).unwrap_err().starts_with("is damaged"));
    }
}
