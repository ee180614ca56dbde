//! Decodes JPEG files with zune-jpeg. `image` 0.25.6 uses an older version of the same decoder, which can panic on
//! damaged files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A segment of a JPEG before its first scan.
pub(crate) struct Segment<'a> {
    /// The byte after ff, which says what the segment is.
    pub(crate) marker: u8,
    /// What follows its length, as far as the file goes.
    pub(crate) contents: &'a [u8],
    /// Where the next segment starts.
    pub(crate) end: usize,
}

/// Returns the segments before the first scan (ff da). They start with their length, which includes the two bytes of the
/// length.
pub(crate) fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 2;
    std::iter::from_fn(move || {
        while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4)
            && marker != 0xda
        {
            if marker == 0xff {
                at += 1; // a single ff is padding
                continue;
            }
            let start = at + 4;
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
            let contents = bytes.get(start..at.min(bytes.len())).unwrap_or_default();
            return Some(Segment { marker, contents, end: at });
        }
        None
    })
}

/// Returns whether the end marker of a JPEG (ff d9) follows the segments before its first scan. The decoder does not
/// report a file that is cut off; it fills the missing part with grey. The data of a scan never contain the end marker,
/// but a segment before the scans may, for example an embedded preview.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let scan = segments(bytes).last().map_or(2, |segment| segment.end);
    bytes.get(scan..).is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Decodes a grey JPEG to grey, and any other JPEG to RGB.
///
/// # Errors
/// Returns a message if the file is damaged, has a side of more than `largest_side` pixels, or decodes to more than `most`
/// bytes.
pub(crate) fn decode(bytes: &[u8], largest_side: u32, most: u64) -> Result<DynamicImage, String> {
    let side = largest_side as usize;
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| format!("{error:?}"))?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (colour, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    if (width * height * channels) as u64 > most {
        return Err(format!("{width}×{height} pixels are too many for {} bytes", bytes.len()));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(colour));
    let pixels = decoder.decode().map_err(|error| format!("{error:?}"))?;
    let [width, height] = [width, height].map(|side| side as u32); // at most `largest_side`
    let image = match grey {
        true => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        false => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(|| "it has fewer pixels than its header says".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CMYK: &[u8] = include_bytes!("../tests/fixtures/cmyk.jpg");
    const GREY: &[u8] = include_bytes!("../tests/fixtures/grey.jpg");

    #[test]
    fn padding_between_segments_is_skipped() {
        let markers =
            |file: &[u8]| segments(file).map(|segment| (segment.marker, segment.contents.to_vec())).collect::<Vec<_>>();
        let padded = [&GREY[..2], &[0xff, 0xff], &GREY[2..]].concat();
        assert!(markers(GREY).len() > 2);
        assert_eq!(markers(&padded), markers(GREY));
        assert!(is_whole(&padded) && !is_whole(&padded[..padded.len() - 2]));
    }

    /// A picture of 16×16 pixels, in one channel or three.
    #[test]
    fn the_size_of_the_pixels_is_limited() {
        for (file, bytes) in [(GREY, 256), (CMYK, 768)] {
            assert_eq!(decode(file, 16, bytes).unwrap().as_bytes().len() as u64, bytes);
            let error = decode(file, 16, bytes - 1).unwrap_err();
            assert!(error.starts_with("16×16 pixels are too many for "), "{error}");
            assert!(decode(file, 15, bytes).is_err());
        }
    }
}
