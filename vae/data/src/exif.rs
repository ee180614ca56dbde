//! The orientation in a picture file: how the stored pixels must be turned and mirrored to be upright. Cameras write
//! it, because their sensor does not turn with the picture.
//!
//! It is the tag 0x0112 in the first directory of an EXIF block (CIPA DC-008), which is a small TIFF file:
//!
//! ```text
//! "II" (little-endian) or "MM"    42 as u16    the directory's offset as u32
//! directory: the number of entries as u16, then 12 bytes for each: tag u16, type u16, count u32, value
//! ```
//!
//! The block is in a segment ff e1 of a JPEG that starts with "Exif\0\0", in a chunk `eXIf` of a PNG, or in a chunk
//! `EXIF` of a WebP.

use image::metadata::Orientation;

use crate::{jpeg, webp};

const JPEG_PREFIX: &[u8] = b"Exif\0\0";
const ORIENTATION: u16 = 0x0112;
/// The type of the value: one u16.
const SHORT: u16 = 3;

/// Returns the orientation that a JPEG, PNG or WebP file contains. Without a valid one, the picture is upright as it is
/// stored.
pub(crate) fn orientation(file: &[u8]) -> Orientation {
    let block = match file {
        [0xff, 0xd8, ..] => jpeg::segments(file).find_map(|segment| match segment.marker {
            0xe1 => segment.contents.strip_prefix(JPEG_PREFIX),
            _ => None,
        }),
        [0x89, b'P', b'N', b'G', ..] => png_block(file),
        [b'R', b'I', b'F', b'F', ..] => {
            let block = webp::chunks(file).find(|(name, _)| name == b"EXIF").map(|(_, block)| block);
            block.map(|block| block.strip_prefix(JPEG_PREFIX).unwrap_or(block)) // some programs repeat the prefix here
        }
        _ => None,
    };
    let value = block.and_then(value).and_then(|value| u8::try_from(value).ok());
    value.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// Chunks of a PNG follow the 8 bytes of its signature: length u32 (big-endian), name, contents, checksum u32.
fn png_block(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.get(8..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (name, after) = after.split_first_chunk::<4>()?;
        if name == b"eXIf" {
            return after.get(..length);
        }
        rest = after.get(length.checked_add(4)?..)?;
    }
}

/// Returns the value of the tag.
fn value(block: &[u8]) -> Option<u16> {
    let is_little = match block.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let number = |at: usize| -> Option<u16> {
        let bytes = block.get(at..)?.first_chunk::<2>()?;
        Some(if is_little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    };
    let offset = block.get(4..)?.first_chunk::<4>()?;
    let offset = if is_little { u32::from_le_bytes(*offset) } else { u32::from_be_bytes(*offset) } as usize;
    let entries = usize::from(number(offset)?);
    let mut entries = block.get(offset + 2..)?.chunks_exact(12).take(entries).enumerate();
    let (entry, _) = entries.find(|(entry, _)| {
        let at = offset + 2 + 12 * entry;
        number(at) == Some(ORIENTATION) && number(at + 2) == Some(SHORT)
    })?;
    number(offset + 2 + 12 * entry + 8)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An EXIF block with two entries. The second is the orientation.
    pub(crate) fn block(orientation: u16, is_little: bool) -> Vec<u8> {
        let short = |x: u16| if is_little { x.to_le_bytes() } else { x.to_be_bytes() };
        let long = |x: u32| if is_little { x.to_le_bytes() } else { x.to_be_bytes() };
        let entry = |tag: u16, value: u16| [&short(tag)[..], &short(SHORT), &long(1), &short(value), &[0; 2]].concat();
        let start: &[u8] = if is_little { b"II" } else { b"MM" };
        [start, &short(42), &long(10), &[7; 2], &short(2), &entry(0x0100, 6), &entry(ORIENTATION, orientation)].concat()
    }

    /// A JPEG with an EXIF block after its first two bytes.
    pub(crate) fn jpeg_with(block: &[u8], jpeg: &[u8]) -> Vec<u8> {
        let length = (2 + JPEG_PREFIX.len() + block.len()) as u16;
        [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), JPEG_PREFIX, block, &jpeg[2..]].concat()
    }

    /// A PNG with a chunk `eXIf` after its header. The checksum of the chunk is right.
    pub(crate) fn png_with(block: &[u8], png: &[u8]) -> Vec<u8> {
        let chunk = [b"eXIf", block].concat();
        let mut checksum = flate2::Crc::new();
        checksum.update(&chunk);
        let length = (block.len() as u32).to_be_bytes();
        [&png[..33], &length, &chunk, &checksum.sum().to_be_bytes(), &png[33..]].concat()
    }

    #[test]
    fn the_orientation_is_found_in_each_kind_of_file() {
        let [grey, webp] = [
            &include_bytes!("../tests/fixtures/grey.jpg")[..],
            include_bytes!("../tests/fixtures/turned.webp"), // Pillow wrote orientation 6
        ];
        assert_eq!(orientation(webp), Orientation::Rotate90);
        assert_eq!(orientation(grey), Orientation::NoTransforms);
        for is_little in [true, false] {
            for wanted in 1..=8 {
                let file = jpeg_with(&block(wanted.into(), is_little), grey);
                assert_eq!(orientation(&file).to_exif(), wanted);
            }
        }
        // 0, 9 and 6 + 256 are no orientations.
        for wrong in [0, 9, 262] {
            assert_eq!(orientation(&jpeg_with(&block(wrong, true), grey)), Orientation::NoTransforms, "{wrong}");
        }
    }

    #[test]
    fn a_block_that_is_cut_off_says_nothing() {
        let whole = block(6, true);
        let [grey, webp] =
            [&include_bytes!("../tests/fixtures/grey.jpg")[..], include_bytes!("../tests/fixtures/turned.webp")];
        for end in 0..whole.len() {
            assert_eq!(orientation(&jpeg_with(&whole[..end], grey)), Orientation::NoTransforms, "{end}");
        }
        let mut far = whole.clone();
        far[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(orientation(&jpeg_with(&far, grey)), Orientation::NoTransforms);
        for file in [webp, grey] {
            (0..file.len() - 8)
                .for_each(|end| assert_eq!(orientation(&file[..end]), Orientation::NoTransforms, "{end}"));
        }
    }
}
