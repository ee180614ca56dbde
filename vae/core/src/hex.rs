//! Bytes as text, for digests in files and messages.

/// Returns two hexadecimal digits for each byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bytes_have_two_digits() {
        assert_eq!(hex([0, 255, 16]), "00ff10");
    }
}
