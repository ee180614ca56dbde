//! Reads a picture file into the form that a model takes: decoded, turned upright, cropped, converted to grey or RGB, and
//! resized to a square, with one byte per pixel and channel.
//!
//! JPEG (grey, colour or CMYK), PNG, WebP and BMP are supported. The first bytes of a file decide which of them it is; its
//! name does not matter. Of an animation, the first frame is read. Transparency is dropped, as in Pillow's
//! `convert("RGB")`. A picture is turned as its EXIF orientation says, as in Pillow's `ImageOps.exif_transpose`, except
//! where a list gives a box in stored pixels. Resizing is bilinear with antialiasing: the triangle filter is as wide as the
//! reduction factor (torchvision's `antialias=True`, Pillow's `BILINEAR`). Without antialiasing, a face of 148 pixels that
//! is resized to 64 would use less than half of its pixels.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, ImageReader, Limits, Luma, Pixel, RgbImage};
use vae_core::config::Crop;
use vae_core::data::unpack;
use vae_core::luma::luma8;
use vae_core::{Error, Result};

use crate::{exif, file, jpeg, webp};

/// The maximum width and height in pixels. No picture of these data sets is larger.
const LARGEST_SIDE: u32 = 16_384;
/// The maximum size in bytes of a picture file, and of a decoded picture.
const LARGEST_PICTURE: u64 = 256 << 20;
/// The extensions of the files that are pictures, in lower case.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];
/// The kinds of pictures that are read, as messages list them.
pub const KINDS: &str = ".jpg, .jpeg, .png, .webp, .bmp";

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

/// What was done to a picture to make it square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The region is smaller than the picture.
    pub is_cropped: bool,
    /// The region was not square.
    pub is_stretched: bool,
}

/// Reads one picture into `out`, `[channels, side, side]`. `channels` is 1 (grey) or 3 (RGB).
///
/// # Errors
/// Returns an error if the file is missing, is not a picture, is damaged, or is larger than the limits of this module.
pub fn read(picture: &Picture, channels: usize, side: usize, out: &mut [u8]) -> Result<Fit> {
    decode_file(picture, channels, side, out)?
}

/// Decodes a picture file, as [`read`] does. Returns damage of the file as the inner error.
///
/// # Errors
/// Returns an error if the file cannot be read, for example because of its permissions or of a fault of the disk.
pub(crate) fn decode_file(picture: &Picture, channels: usize, side: usize, out: &mut [u8]) -> Result<Result<Fit>> {
    let fit = match file::read_up_to(&picture.path, LARGEST_PICTURE)? {
        Some(bytes) => from_bytes(&bytes, picture.region, channels, side, out),
        None => Err(format!("has more than {LARGEST_PICTURE} bytes, so it is not such a file")),
    };
    Ok(fit.map_err(|what| Error::file(&picture.path, what)))
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
) -> std::result::Result<Fit, String> {
    let mut decoded = decode(bytes)?;
    if matches!(region, Region::Crop(_)) {
        decoded.apply_orientation(exif::orientation(bytes));
    }
    let [left, top, width, height] = region.within(decoded.width(), decoded.height())?;
    resize_into(&decoded.crop_imm(left, top, width, height), channels, side, out);
    let is_cropped = [width, height] != [decoded.width(), decoded.height()];
    Ok(Fit { is_cropped, is_stretched: width != height })
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

/// Returns whether a file's extension is that of a JPEG, PNG, WebP or BMP.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    EXTENSIONS.iter().any(|known| extension == *known)
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

fn decode(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    unpack::refuse_web_page(bytes, "a picture")?;
    let damaged = |what: String| format!("is damaged: {what}");
    let format = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) if !jpeg::is_whole(bytes) => {
            return Err(format!("is cut off: {} bytes of a JPEG without its end", bytes.len()));
        }
        Ok(ImageFormat::Jpeg) => {
            return jpeg::decode(bytes, LARGEST_SIDE, max_decoded_size(bytes.len())).map_err(damaged);
        }
        Ok(ImageFormat::WebP) => {
            webp::check_frames(bytes, max_decoded_size(bytes.len())).map_err(damaged)?;
            ImageFormat::WebP
        }
        Ok(format @ (ImageFormat::Png | ImageFormat::Bmp)) => format,
        _ => {
            let start = &bytes[..bytes.len().min(4)];
            return Err(format!("starts with the bytes {start:02x?}: it is neither JPEG, PNG, WebP nor BMP"));
        }
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE));
    limits.max_alloc = Some(max_decoded_size(bytes.len()));
    reader.limits(limits);
    reader.decode().map_err(|error| damaged(error.to_string()))
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
        let mut out = vec![0; channels * side * side];
        read(&Picture { path, region }, channels, side, &mut out).map(|_| out)
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
    fn webp_and_bmp_are_read() {
        let picture = RgbImage::from_fn(5, 5, |x, y| image::Rgb([x as u8 * 40, y as u8 * 50, 7]));
        let expected = decoded(&png(picture.clone()), WHOLE, 3, 5).unwrap();
        for format in [ImageFormat::WebP, ImageFormat::Bmp] {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            assert_eq!(decoded(&bytes, WHOLE, 3, 5).unwrap(), expected, "{format:?}");
            let error = decoded(&bytes[..bytes.len() / 2], WHOLE, 3, 5).unwrap_err().to_string();
            assert!(error.contains("picture: is damaged: "), "{error}");
        }
    }

    /// Compares with Pillow's `ImageOps.exif_transpose` of the rows 1 2 3 and 4 5 6.
    #[test]
    fn pictures_are_turned_as_their_exif_says() {
        let stored = png(GrayImage::from_fn(3, 2, |x, y| Luma([40 * (3 * y as u8 + x as u8 + 1)])));
        for (orientation, width, upright) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let turned = exif::tests::png_with(&exif::tests::block(orientation, orientation % 2 == 0), &stored);
            let upright = upright.map(|pixel| 40 * pixel).to_vec();
            let upright = png(GrayImage::from_raw(width, 6 / width, upright).unwrap());
            let grey = |bytes: &[u8], region| decoded(bytes, region, 1, 2).unwrap();
            for region in [WHOLE, Region::Crop(Crop::Centre)] {
                assert_eq!(grey(&turned, region), grey(&upright, region), "{orientation}, {region:?}");
            }
            let whole = Region::Box([0, 0, 3, 2]);
            assert_eq!(grey(&turned, whole), grey(&stored, whole), "a box is in stored pixels");
        }
        // A lossy WebP whose quarters, upright, are blue, red, yellow and green.
        let webp = decoded(include_bytes!("../tests/fixtures/turned.webp"), WHOLE, 3, 16).unwrap();
        for (quarter, wanted) in [QUARTERS[2], QUARTERS[0], QUARTERS[3], QUARTERS[1]].iter().enumerate() {
            let at = (4 + 8 * (quarter / 2)) * 16 + 4 + 8 * (quarter % 2);
            let found = [webp[at], webp[256 + at], webp[512 + at]];
            assert!(found.iter().zip(wanted).all(|(f, w)| f.abs_diff(*w) <= 3), "{found:?}, expected {wanted:?}");
        }
        let jpeg = exif::tests::jpeg_with(&exif::tests::block(3, true), GREY);
        let mut upside_down = decoded(&jpeg, WHOLE, 1, 16).unwrap();
        upside_down.reverse();
        assert_eq!(upside_down, decoded(GREY, WHOLE, 1, 16).unwrap());
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
        for nothing in [[4, 4, 4, 6], [4, 4, 6, 4], [10, 0, 12, 7], [5, 5, 2, 6], [i64::MIN, 0, -1, 9]] {
            assert!(Region::Box(nothing).within(10, 7).unwrap_err().contains("contains no pixel"));
        }
    }

    /// 4 MiB and 2,048 times the size of a small file; 64 MiB, and then 256 times the size of a larger one.
    #[test]
    fn the_memory_of_a_decoder_follows_from_the_size_of_its_file() {
        const MIB: u64 = 1 << 20;
        let sizes = [0, 1 << 10, 20 << 10, 100 << 10, 256 << 10, 512 << 10, 2 << 20];
        let expected = [4, 6, 44, 64, 64, 128, 256].map(|size| size * MIB);
        assert_eq!(sizes.map(max_decoded_size), expected);
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
            (b"GIF89a, once upon a time", "[47, 49, 46, 38]: it is neither JPEG, PNG, WebP nor BMP"),
            (b"<!DOCTYPE html><html>", "web page"),
        ] {
            let message = decoded(bytes, WHOLE, 3, 8).expect_err(says).to_string();
            assert!(message.contains("picture: ") && message.contains(says), "{says}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        assert!(is_picture(Path::new("a/b.JPG")) && is_picture(Path::new("b.png")) && !is_picture(Path::new("jpg")));
        assert!(is_picture(Path::new("a.webp")) && is_picture(Path::new("a.BMP")) && !is_picture(Path::new("a.gif")));
        assert_eq!(KINDS, format!(".{}", EXTENSIONS.join(", .")));
    }
}
