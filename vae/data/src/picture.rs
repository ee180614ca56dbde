//! Reads a picture file into the form that a model takes: decoded, cropped, converted to grey or RGB, and resized to a
//! square, with one byte per pixel and channel.
//!
//! JPEG (grey, colour or CMYK) and PNG are supported. The first bytes of a file decide which of them it is; its name
//! does not matter. Transparency is dropped and EXIF rotation is ignored, as in Pillow's `convert("RGB")`. Resizing is
//! bilinear with antialiasing: the triangle filter is as wide as the reduction factor (torchvision's `antialias=True`,
//! Pillow's `BILINEAR`). Without antialiasing, a face of 148 pixels that is resized to 64 would use less than half of
//! its pixels.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, ImageReader, Limits, Luma, Pixel, RgbImage};
use rayon::prelude::*;
use vae_core::config::{Config, Crop};
use vae_core::data::Images;
use vae_core::data::unpack;
use vae_core::luma::luma8;
use vae_core::{Error, Result};

use crate::{file, jpeg};

/// The maximum width and height in pixels. No picture of these data sets is larger.
const LARGEST_SIDE: u32 = 16_384;
/// The maximum size in bytes of a picture file, and of a decoded picture.
const LARGEST_PICTURE: u64 = 256 << 20;

/// A picture file, and the region of it that the model sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The path of the file.
    pub path: PathBuf,
    /// The region that the model sees.
    pub region: Region,
}

/// A region of a picture. A region that is not square is stretched to a square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region {
    /// The same crop for all pictures.
    Crop(Crop),
    /// A box `[left, top, right, bottom]` in pixels. `right` and `bottom` are exclusive. The box is clipped to the
    /// picture.
    Box([i64; 4]),
}

/// Returns how many bytes the decoder may allocate for a picture file of `bytes` bytes. The decoder allocates by the
/// sizes in the header, which a damaged or crafted file can set to anything.
///
/// The limit is 4 MiB plus 2,048 times the file size, because a compressed white page or an empty JPEG expands by less
/// than that. Above 64 MiB it is 256 times the file size, because large pictures are rarely empty.
fn max_decoded_size(bytes: usize) -> u64 {
    let bytes = bytes as u64;
    (2048 * bytes + (4 << 20)).min((256 * bytes).max(64 << 20)).min(LARGEST_PICTURE)
}

/// Returns the pixels of all pictures in order, `[pictures, channels, side, side]`. The files are read on all threads.
///
/// # Errors
/// Returns the error of the first picture that is missing or damaged. No picture is skipped, because that would
/// silently change every split.
pub fn read_all(pictures: &[Picture], channels: usize, side: usize) -> Result<Vec<u8>> {
    // Missing files are found before memory is allocated for the whole list. Reading such a file gives its error message.
    let missing = |picture: &&Picture| !picture.path.is_file();
    pictures.iter().filter(missing).try_for_each(|picture| file::read(&picture.path, 0).map(drop))?;
    let len = channels * side * side;
    let mut bytes = vec![0; pictures.len() * len];
    let read = |(picture, out): (&Picture, &mut [u8])| read(picture, channels, side, out).err();
    match pictures.par_iter().zip(bytes.par_chunks_exact_mut(len)).map(read).find_map_first(|error| error) {
        Some(error) => Err(error),
        None => Ok(bytes),
    }
}

/// Returns the pictures as images with labels, with the channels and the image size of a configuration.
///
/// # Errors
/// Returns the same errors as [`read_all`].
pub fn images(pictures: &[Picture], labels: Vec<u16>, config: &Config) -> Result<Images> {
    let [channels, side] = [config.channels(), config.image_size()];
    Ok(Images::new(read_all(pictures, channels, side)?, labels, channels, [side, side]))
}

/// Reads one picture into `out`, `[channels, side, side]`. `channels` is 1 (grey) or 3 (RGB).
///
/// # Errors
/// Returns an error if the file is missing, is not a picture, is damaged, or is larger than the limits of this module.
pub fn read(picture: &Picture, channels: usize, side: usize, out: &mut [u8]) -> Result<()> {
    let bytes = file::read(&picture.path, LARGEST_PICTURE)?;
    from_bytes(&bytes, picture.region, channels, side, out).map_err(|what| Error::file(&picture.path, what))
}

/// Decodes the bytes of a picture file into `out`, `[channels, side, side]`. `channels` is 1 (grey) or 3 (RGB).
///
/// # Errors
/// Returns a message without a subject, such as "is cut off", if the bytes are not a complete picture.
pub fn from_bytes(
    bytes: &[u8],
    region: Region,
    channels: usize,
    side: usize,
    out: &mut [u8],
) -> std::result::Result<(), String> {
    let decoded = decode(bytes)?;
    let [left, top, width, height] = region.within(decoded.width(), decoded.height())?;
    resize_into(&decoded.crop_imm(left, top, width, height), channels, side, out);
    Ok(())
}

/// Resizes a decoded picture into `out`, `[channels, side, side]`. `channels` is 1 (grey) or 3 (RGB).
pub fn resize_into(pixels: &DynamicImage, channels: usize, side: usize, out: &mut [u8]) {
    if channels == 1 {
        return out.copy_from_slice(&resize(&grey(pixels), side));
    }
    let area = side * side;
    for (i, pixel) in resize(&pixels.to_rgb8(), side).chunks_exact(3).enumerate() {
        (out[i], out[area + i], out[2 * area + i]) = (pixel[0], pixel[1], pixel[2]);
    }
}

/// Returns whether a file's extension is that of a JPEG or PNG.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["jpg", "jpeg", "png"].iter().any(|known| extension == *known)
}

impl Region {
    /// Returns left, top, width and height of this region in a picture of `width`×`height` pixels.
    fn within(self, width: u32, height: u32) -> std::result::Result<[u32; 4], String> {
        let centred = |wide: u32, high: u32| Ok([(width - wide) / 2, (height - high) / 2, wide, high]);
        match self {
            Region::Crop(Crop::None) => Ok([0, 0, width, height]),
            Region::Crop(Crop::Centre) => centred(width.min(height), width.min(height)),
            Region::Crop(Crop::Pixels(side)) => centred(width.min(side), height.min(side)),
            Region::Box(edges) => {
                let clip = |edge: i64, most: u32| edge.clamp(0, i64::from(most)) as u32;
                let [left, top] = [clip(edges[0], width), clip(edges[1], height)];
                let [right, bottom] = [clip(edges[2], width), clip(edges[3], height)];
                if left >= right || top >= bottom {
                    return Err(format!("the box {edges:?} contains no pixel of a picture of {width}×{height}"));
                }
                Ok([left, top, right - left, bottom - top])
            }
        }
    }
}

/// What to do about a damaged picture. It may be of a published data set, or a user's own.
const AGAIN: &str = "copy or download it again, or remove it";

fn decode(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    unpack::refuse_web_page(bytes, "a picture")?;
    let damaged = |what: String| format!("is damaged, or not a picture of these data sets: {what}; {AGAIN}");
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Jpeg) if !is_whole_jpeg(bytes) => {
            return Err(format!("is cut off: {} bytes of a JPEG without its end; {AGAIN}", bytes.len()));
        }
        Some(ImageFormat::Jpeg) => {
            return jpeg::decode(bytes, LARGEST_SIDE, max_decoded_size(bytes.len())).map_err(damaged);
        }
        Some(ImageFormat::Png) => {}
        _ => {
            let start = &bytes[..bytes.len().min(4)];
            return Err(format!("starts with the bytes {start:02x?}: neither a JPEG nor a PNG; {AGAIN}"));
        }
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE));
    limits.max_alloc = Some(max_decoded_size(bytes.len()));
    reader.limits(limits);
    reader.decode().map_err(|error| damaged(error.to_string()))
}

/// Returns whether the end marker of a JPEG (ff d9) follows the start of its first scan (ff da). The decoder does not
/// report a file that is cut off; it fills the missing part with grey. The data of a scan never contain the end marker,
/// but a segment before the scans may, for example an embedded preview. These segments have a length, so they can be
/// skipped.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4)
        && marker != 0xda
    {
        // A single ff is padding. Every other segment before a scan starts with its length, which includes the length
        // field.
        at += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
    }
    bytes.get(at..).is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Resizes to a square by bilinear interpolation with antialiasing.
fn resize<P>(image: &ImageBuffer<P, Vec<u8>>, side: usize) -> Vec<u8>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    imageops::resize(image, side as u32, side as u32, FilterType::Triangle).into_raw()
}

/// Returns the luma of every pixel.
fn grey(picture: &DynamicImage) -> GrayImage {
    if !picture.color().has_color() {
        return picture.to_luma8();
    }
    let rgb: RgbImage = picture.to_rgb8();
    GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| Luma([luma8(rgb.get_pixel(x, y).0)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of four quarters of 8×8 pixels: red, green, blue and yellow. Pillow wrote the files and reads back
    /// these values.
    const QUARTERS: [[u8; 3]; 4] = [[200, 40, 60], [30, 180, 90], [20, 60, 220], [240, 230, 20]];
    const CMYK: &[u8] = include_bytes!("../tests/fixtures/cmyk.jpg");
    const GREY: &[u8] = include_bytes!("../tests/fixtures/grey.jpg");

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8], region: Region, channels: usize, side: usize) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("picture");
        std::fs::write(&path, bytes).unwrap();
        read_all(&[Picture { path, region }], channels, side)
    }

    const WHOLE: Region = Region::Crop(Crop::None);

    #[test]
    fn cmyk_grey_and_colour_jpegs_are_read() {
        let near = |found: u8, wanted: u8| found.abs_diff(wanted) <= 2;
        let colour = decoded(CMYK, WHOLE, 3, 16).unwrap();
        for (quarter, wanted) in QUARTERS.iter().enumerate() {
            let at = (4 + 8 * (quarter / 2)) * 16 + 4 + 8 * (quarter % 2);
            let found = [colour[at], colour[256 + at], colour[512 + at]];
            assert!(found.iter().zip(wanted).all(|(&f, &w)| near(f, w)), "{found:?}, expected {wanted:?}");
        }
        for (bytes, what) in [(GREY, "grey"), (CMYK, "made grey")] {
            let grey = decoded(bytes, WHOLE, 1, 16).unwrap();
            let found = [grey[4 * 16 + 4], grey[4 * 16 + 12], grey[12 * 16 + 4], grey[12 * 16 + 12]];
            assert!(found.iter().zip([90, 125, 66, 209]).all(|(&f, w)| near(f, w)), "{what}: {found:?}");
        }
        assert_eq!(decoded(GREY, WHOLE, 3, 16).unwrap(), decoded(GREY, WHOLE, 1, 16).unwrap().repeat(3));
    }

    #[test]
    fn resizing_agrees_with_pillow() {
        // The expected values are those of Image.fromarray(x).resize((3, 3), Image.BILINEAR), and of its upper left 3×3
        // pixels enlarged to 4×4.
        #[rustfmt::skip]
        let x: [u8; 63] = [
            95, 130, 194, 217, 207, 235, 15, 163, 33, 215, 217, 130, 248, 189, 16, 69, 184, 232, 205, 78, 169, 61, 125, 10,
            29, 240, 66, 19, 182, 39, 59, 4, 59, 81, 222, 44, 120, 122, 50, 208, 78, 28, 64, 166, 121, 89, 170, 233, 127,
            178, 237, 128, 113, 123, 76, 155, 69, 154, 130, 248, 95, 73, 192,
        ];
        let picture = png(GrayImage::from_raw(7, 9, x.to_vec()).unwrap());
        let close = |found: Vec<u8>, wanted: &[u8]| {
            assert!(found.iter().zip(wanted).all(|(&f, &w)| f.abs_diff(w) <= 1), "{found:?}, expected {wanted:?}");
        };
        close(decoded(&picture, WHOLE, 1, 3).unwrap(), &[106, 181, 159, 91, 91, 117, 144, 135, 129]);
        close(
            decoded(&picture, Region::Box([0, 0, 3, 3]), 1, 4).unwrap(),
            &[95, 117, 154, 194, 138, 95, 121, 207, 108, 70, 105, 203, 16, 49, 112, 184],
        );
    }

    #[test]
    fn regions_are_centred_or_clipped_to_the_picture() {
        let shown = |region: Region| region.within(10, 7).unwrap();
        assert_eq!(shown(WHOLE), [0, 0, 10, 7]);
        assert_eq!(shown(Region::Crop(Crop::Centre)), [1, 0, 7, 7]);
        assert_eq!(shown(Region::Crop(Crop::Pixels(4))), [3, 1, 4, 4]);
        assert_eq!(shown(Region::Crop(Crop::Pixels(8))), [1, 0, 8, 7]);
        assert_eq!(shown(Region::Box([-3, 2, 99, 5])), [0, 2, 10, 3]);
        assert_eq!(Region::Crop(Crop::Pixels(148)).within(178, 218).unwrap(), [15, 35, 148, 148]); // as in torchvision
        for nothing in [[4, 4, 4, 6], [10, 0, 12, 7], [5, 5, 2, 6], [i64::MIN, 0, -1, 9]] {
            assert!(Region::Box(nothing).within(10, 7).unwrap_err().contains("contains no pixel"));
        }
    }

    #[test]
    fn planes_follow_each_other_and_pictures_keep_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let pictures: Vec<Picture> = (0..40)
            .map(|i| {
                let path = dir.path().join(format!("{i}.png"));
                std::fs::write(&path, png(RgbImage::from_pixel(2, 2, image::Rgb([i, 100 + i, 200 + i])))).unwrap();
                Picture { path, region: WHOLE }
            })
            .collect();
        let bytes = read_all(&pictures, 3, 2).unwrap();
        for (i, picture) in (0..40).zip(bytes.chunks_exact(12)) {
            assert_eq!(picture, [[i; 4], [100 + i; 4], [200 + i; 4]].concat());
        }
        std::fs::write(&pictures[30].path, b"").unwrap();
        std::fs::remove_file(&pictures[20].path).unwrap();
        assert!(read_all(&pictures, 3, 2).unwrap_err().to_string().contains("20.png: cannot be read"));
        // No memory is allocated if a picture is missing. This size would need 480 terabytes.
        assert!(read_all(&pictures, 3, 1 << 21).unwrap_err().to_string().contains("20.png: cannot be read"));
    }

    #[test]
    fn an_incomplete_picture_is_an_error_with_its_path() {
        let preview = [&CMYK[..2], &[0xff, 0xe1, 0, 4, 0xff, 0xd9], &CMYK[2..CMYK.len() - 2]].concat();
        let whole = png(RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 5, y as u8 * 3, (x * y) as u8])));
        let mut flipped = whole.clone();
        flipped[60] ^= 0x40;
        let mut huge = whole.clone(); // the header claims 60,000 pixels per row, with a valid checksum
        huge[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        let mut checksum = flate2::Crc::new();
        checksum.update(&huge[12..29]);
        huge[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
        for (bytes, says) in [
            (&whole[..whole.len() / 2], "damaged"),
            (&flipped, "damaged"),
            (&huge, "exceed"),
            (&CMYK[..CMYK.len() - 2], "cut off: 376 bytes of a JPEG"),
            (&CMYK[..100], "cut off"),
            (&preview, "cut off: 382 bytes"),
            (&GREY[..2], "starts with the bytes"),
            (b"", "starts with the bytes []"),
            (b"GIF89a, once upon a time", "[47, 49, 46, 38]: neither a JPEG nor a PNG"),
            (b"<!DOCTYPE html><html>", "web page"),
        ] {
            let message = decoded(bytes, WHOLE, 3, 8).expect_err(says).to_string();
            assert!(message.contains("picture: ") && message.contains(says), "{says}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        assert!(is_picture(Path::new("a/b.JPG")) && is_picture(Path::new("b.png")) && !is_picture(Path::new("jpg")));
    }
}
