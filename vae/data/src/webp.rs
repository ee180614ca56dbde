//! The chunks of a WebP file, and the sizes of its frames.
//!
//! ```text
//! "RIFF" size "WEBP"    chunks: name, length as u32 (little-endian), contents, and a byte more if the length is odd
//! "VP8 "    3 bytes, 9d 01 2a, width and height as u16 (14 bits each), a lossy frame
//! "ANMF"    16 bytes, chunks of one frame of an animation
//! ```

/// Returns the chunks of a file: name and contents, as far as the file goes.
pub(crate) fn chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    list(file.get(12..).unwrap_or_default())
}

fn list(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        rest = after.get(length.saturating_add(length % 2)..).unwrap_or_default();
        Some((*name, after.get(..length).unwrap_or(after)))
    })
}

/// Checks that no lossy frame needs more than `most` bytes, at four for each pixel. The decoder allocates by the size in
/// the frame, and compares it with that of the file only afterwards.
///
/// # Errors
/// Returns a message if a frame is larger.
pub(crate) fn check_frames(file: &[u8], most: u64) -> Result<(), String> {
    for (name, contents) in chunks(file) {
        check_frame(name, contents, most)?;
        if name == *b"ANMF" {
            list(contents.get(16..).unwrap_or_default())
                .try_for_each(|(name, contents)| check_frame(name, contents, most))?;
        }
    }
    Ok(())
}

fn check_frame(name: [u8; 4], contents: &[u8], most: u64) -> Result<(), String> {
    let Some(&[a, b, c, d]) = contents.get(6..10).filter(|_| name == *b"VP8 ") else { return Ok(()) };
    let [width, height] = [[a, b], [c, d]].map(|side| u64::from(u16::from_le_bytes(side) & 0x3fff));
    if 4 * width * height > most {
        return Err(format!("{width}×{height} pixels are too many for its bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSY: &[u8] = include_bytes!("../tests/fixtures/turned.webp");

    #[test]
    fn frames_are_found_at_the_top_and_in_animations() {
        assert_eq!(chunks(LOSSY).map(|(name, _)| name).collect::<Vec<_>>(), [*b"VP8X", *b"VP8 ", *b"EXIF"]);
        let limit = 4 * 48 * 32;
        assert_eq!(check_frames(LOSSY, limit), Ok(()));
        assert_eq!(check_frames(LOSSY, limit - 1), Err("48×32 pixels are too many for its bytes".into()));
        let (_, frame) = chunks(LOSSY).nth(1).unwrap();
        let chunk = |name: &[u8], contents: &[u8]| [name, &(contents.len() as u32).to_le_bytes(), contents].concat();
        let inner = chunk(b"ANMF", &[&[0; 16], &chunk(b"VP8 ", frame)[..]].concat());
        let animation = [&LOSSY[..12], &chunk(b"odd ", b"1"), b"\0", &inner].concat();
        assert_eq!(check_frames(&animation, limit), Ok(()));
        assert!(check_frames(&animation, limit - 1).is_err());
        (0..animation.len()).for_each(|end| assert_eq!(check_frames(&animation[..end], limit), Ok(())));
    }
}
