//! Reader of the IDX format, which MNIST and similar data sets use, plain or gzipped.
//!
//! All numbers are big-endian: the magic number 2051 (images) or 2049 (labels), the count, for images the rows and
//! columns, and then one byte per pixel or label. The sizes in the header are not trusted: the data must match them,
//! and the unpacked size is limited.

use std::borrow::Cow;

use flate2::read::MultiGzDecoder;

use crate::data::Images;
use crate::data::unpack::{self, refuse_web_page};

const IMAGES: u32 = 2051;
const LABELS: u32 = 2049;

/// Reads a file of images and the file of their labels.
///
/// # Errors
/// If a file is damaged or the files do not match. The error is the file, 0 for images and 1 for labels, and what is
/// wrong.
pub fn read(images: &[u8], labels: &[u8]) -> Result<Images, (usize, String)> {
    let (size, pixels) = read_images(images).map_err(|what| (0, what))?;
    let labels = read_labels(labels).map_err(|what| (1, what))?;
    let count = pixels.len() / (size[0] * size[1]);
    if count != labels.len() {
        let what = format!(
            "contains {} labels, but there are {count} images; the files belong to different data sets",
            labels.len()
        );
        return Err((1, what));
    }
    let labels = labels.into_iter().map(u16::from).collect();
    Ok(Images::new(pixels, labels, 1, size))
}

fn read_images(file: &[u8]) -> Result<([usize; 2], Vec<u8>), String> {
    let bytes = unpack(file)?;
    let [count, height, width] = header::<3>(&bytes, IMAGES, "images")?;
    if count == 0 || height == 0 || width == 0 || height > 4096 || width > 4096 {
        return Err(format!("claims {count} images of {height}×{width} pixels, so it is not a set of images"));
    }
    let body = body(bytes, 16, count as u64 * height as u64 * width as u64)?;
    Ok(([height as usize, width as usize], body))
}

fn read_labels(file: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = unpack(file)?;
    let [count] = header::<1>(&bytes, LABELS, "labels")?;
    body(bytes, 8, u64::from(count))
}

/// Returns the bytes of the file, decompressed if they are gzipped.
fn unpack(file: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if file.starts_with(&[0x1f, 0x8b]) {
        return unpack::unpack(MultiGzDecoder::new(file), unpack::max_unpacked_size(file.len())).map(Cow::Owned);
    }
    refuse_web_page(file, "the archive")?;
    Ok(Cow::Borrowed(file))
}

/// Checks the magic number and returns the `N` numbers that follow it.
fn header<const N: usize>(bytes: &[u8], magic: u32, what: &str) -> Result<[u32; N], String> {
    let word = |i: usize| bytes.get(4 * i..4 * i + 4).map(|b| u32::from_be_bytes(b.try_into().expect("four bytes")));
    match word(0) {
        Some(found) if found == magic => {}
        Some(found) => return Err(format!("starts with {found}, expected {magic}, the magic number of IDX {what}")),
        None => {
            return Err(format!(
                "is cut off: {} bytes, too few for the header of IDX {what}; download it again",
                bytes.len()
            ));
        }
    }
    let mut numbers = [0; N];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number =
            word(i + 1).ok_or(format!("is cut off in its header, after {} bytes; download it again", bytes.len()))?;
    }
    Ok(numbers)
}

/// Returns the bytes after the header, whose number must be `claimed`.
fn body(bytes: Cow<'_, [u8]>, start: usize, claimed: u64) -> Result<Vec<u8>, String> {
    let found = (bytes.len() - start) as u64;
    match found.cmp(&claimed) {
        std::cmp::Ordering::Less => {
            Err(format!("is cut off: {found} bytes of data, but its header says {claimed}; download it again"))
        }
        std::cmp::Ordering::Greater => Err(format!("has {found} bytes of data, but its header says {claimed}")),
        std::cmp::Ordering::Equal => {
            let mut bytes = bytes.into_owned();
            bytes.drain(..start);
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn images(count: u32) -> Vec<u8> {
        let head = [IMAGES, count, 2, 3].map(u32::to_be_bytes).concat();
        [head, (0..6 * count as u8).collect()].concat()
    }

    fn labels(count: u32) -> Vec<u8> {
        [[LABELS, count].map(u32::to_be_bytes).concat(), vec![7; count as usize]].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        zipped.write_all(bytes).unwrap();
        zipped.finish().unwrap()
    }

    #[test]
    fn plain_and_gzipped_files_give_the_same_images() {
        for (images, labels) in [(images(4), labels(4)), (gzip(&images(4)), gzip(&labels(4)))] {
            let read = read(&images, &labels).unwrap();
            assert_eq!((read.count(), read.size(), read.channels()), (4, [2, 3], 1));
            let mut image = [0; 6];
            read.read(1, &mut image).unwrap();
            assert_eq!((image, read.label(3)), ([6, 7, 8, 9, 10, 11], 7));
        }
    }

    #[test]
    fn each_kind_of_damage_has_its_own_message() {
        let (good_images, good_labels) = (images(4), labels(4));
        let zipped = gzip(&good_images);
        let mut flipped = zipped.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 0x40; // in the checksum
        let bomb = gzip(&[&[IMAGES, 1 << 15, 32, 32].map(u32::to_be_bytes).concat()[..], &vec![0; 32 << 20]].concat());
        let mut absurd = good_images.clone();
        absurd[4..16].fill(0xff);
        for (images, labels, file, says) in [
            (&good_images[..20], &good_labels[..], 0, "cut off: 4 bytes of data, but its header says 24"),
            (&good_images[..10], &good_labels, 0, "cut off in its header"),
            (&good_images[..2], &good_labels, 0, "too few for the header"),
            (b"", &good_labels, 0, "cut off: 0 bytes"),
            (&good_labels, &good_labels, 0, "starts with 2049, expected 2051"),
            (&good_images, &good_images, 1, "starts with 2051, expected 2049"),
            (b"\n<!DOCTYPE html><html>", &good_labels, 0, "web page"),
            (&zipped[..zipped.len() / 2], &good_labels, 0, "compressed data ends"),
            (&flipped, &good_labels, 0, "damaged"),
            (&bomb, &good_labels, 0, "unpacks to more than"),
            (&absurd, &good_labels, 0, "not a set of images"),
            (&[&good_images[..], b"x"].concat(), &good_labels, 0, "has 25 bytes of data, but its header says 24"),
            (&good_images, &labels_of(3), 1, "contains 3 labels, but there are 4 images"),
        ] {
            let (which, message) = read(images, labels).expect_err(says);
            assert!(which == file && message.contains(says) && !message.contains('\n'), "{says}: {which} {message}");
        }
    }

    fn labels_of(count: u32) -> Vec<u8> {
        labels(count)
    }

    #[test]
    fn no_images_and_images_without_pixels_are_refused_and_wide_ones_are_read() {
        let head = |sizes: [u32; 3]| [&[IMAGES][..], &sizes].concat().into_iter().flat_map(u32::to_be_bytes).collect();
        for sizes in [[0, 2, 3], [1, 0, 3], [1, 2, 0], [1, 4097, 1], [1, 1, 4097]] {
            let file: Vec<u8> = head(sizes);
            let file = [file, vec![0; sizes.iter().product::<u32>() as usize]].concat();
            let (which, message) = read(&file, &labels(sizes[0])).expect_err("refused");
            assert!(which == 0 && message.contains("so it is not a set of images"), "{sizes:?}: {message}");
        }
        for sizes in [[1, 4096, 1], [1, 1, 4096]] {
            let file: Vec<u8> = head(sizes);
            let images = read(&[file, vec![1; 4096]].concat(), &labels(1)).unwrap();
            assert_eq!(images.size(), [sizes[1] as usize, sizes[2] as usize]);
        }
    }

    /// The data begins after the header: a file that ends there is cut off, however few images it claims.
    #[test]
    fn a_header_alone_is_cut_off() {
        let (good, all) = (images(1), labels(1));
        assert!(read(&good[..16], &all).unwrap_err().1.contains("cut off: 0 bytes of data, but its header says 6"));
        assert!(read(&good[..15], &all).unwrap_err().1.contains("cut off in its header, after 15 bytes"));
        assert!(read(&good[..4], &all).unwrap_err().1.contains("cut off in its header, after 4 bytes"));
        assert!(read(&good, &all[..8]).unwrap_err().1.contains("cut off: 0 bytes of data, but its header says 1"));
    }
}
