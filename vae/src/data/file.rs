//! Files as they come from a download: of a believable size, and not a server's apology.

/// No file that is read whole is larger: EMNIST's largest has 550 MB.
pub(crate) const LIMIT: u64 = 1 << 30;

/// A file's bytes, if it is of a believable size.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn read(path: &std::path::Path) -> crate::Result<Vec<u8>> {
    use std::io::Read;

    use crate::Error;

    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    match read {
        Ok(n) if n as u64 == LIMIT => Err(Error::file(path, format!("has more than {LIMIT} bytes: not such a file"))),
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::file(path, format!("cannot be read: {error}"))),
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
