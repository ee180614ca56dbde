//! Decodes JPEG files with zune-jpeg. `image` 0.25.6 uses an older version of the same decoder, which can panic on
//! damaged files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

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
