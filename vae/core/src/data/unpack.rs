//! Unpacking of downloaded bytes that limits what it believes: a small file cannot fill the memory, and an error page is named.

use std::io::{ErrorKind, Read};

/// Bytes of a file of images at most. EMNIST's largest file has 550 MB.
pub const LIMIT: u64 = 1 << 30;

/// Bytes that a file of this size may unpack to: 64 times as many (images of digits come to 5 times, lists to 30), and a few
/// megabytes in any case. A decompression bomb comes to 1,000 times.
pub fn believable(packed: usize) -> u64 {
    (64 * packed as u64 + (4 << 20)).min(LIMIT)
}

/// Reads all bytes of a decoder, at most `most`.
///
/// # Errors
/// If the data is cut off or damaged, or unpacks to more than `most` bytes.
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

/// Refuses the HTML page that a server may send in place of the `expected` file.
///
/// # Errors
/// If the bytes are such a page.
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
    fn what_unpacks_to_more_than_is_believable_is_refused() {
        assert_eq!(unpack(&[1; 9][..], 9).unwrap(), [1; 9]);
        assert!(unpack(&[1; 10][..], 9).unwrap_err().contains("unpacks to more than 9 bytes"));
        assert_eq!([0, 1 << 20, usize::MAX >> 8].map(believable), [4 << 20, 68 << 20, LIMIT]);
    }
}
