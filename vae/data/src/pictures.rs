//! Reads a list of picture files on all threads. A damaged one stops the reading, or is left out and counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use vae_core::Result;
use vae_core::config::Config;
use vae_core::data::Images;
use vae_core::random::Purpose;

use crate::file;
use crate::picture::{Fit, Picture, decode_file};

/// What happens if a picture is damaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damaged<'a> {
    /// Reading stops with an error that ends with this advice.
    Stop(&'a str),
    /// The picture is left out.
    Skip,
}

/// The pictures of a list that could be decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Their pixels in order, `[pictures, channels, side, side]`.
    pub pixels: Vec<u8>,
    /// The positions of the damaged pictures in the list, which are not in `pixels`.
    pub damaged: Vec<usize>,
    /// What was done to each of the decoded pictures.
    pub fits: Vec<Fit>,
}

/// Returns the positions in a list of `count` pictures of those that are not damaged.
pub(crate) fn kept(count: usize, damaged: &[usize]) -> Vec<usize> {
    (0..count).filter(|index| damaged.binary_search(index).is_err()).collect()
}

/// Returns pictures in an order that depends on the seed, so that the first ones are of all labels. `stream` is a number for each
/// list of a data set.
pub(crate) fn shuffled<T: Clone>(pictures: Vec<T>, seed: u64, stream: u64) -> Vec<T> {
    let order = Purpose::Split.stream(seed, stream).permutation(pictures.len());
    order.into_iter().map(|index| pictures[index].clone()).collect()
}

/// Reads pictures on all threads.
///
/// # Errors
/// Returns an error if a picture is missing. If damaged pictures are not skipped, returns the error of the first one.
pub fn read_all(pictures: &[Picture], channels: usize, side: usize, damaged: Damaged) -> Result<Decoded> {
    // Missing files are found before memory is allocated for the whole list. Reading such a file gives its error message.
    let missing = |picture: &&Picture| !picture.path.is_file();
    pictures.iter().filter(missing).try_for_each(|picture| file::read(&picture.path, 0).map(drop))?;
    let len = channels * side * side;
    let mut decoded = Decoded { pixels: vec![0; pictures.len() * len], ..Decoded::default() };
    let first_damaged = AtomicUsize::new(usize::MAX);
    let read_one = |(index, (picture, out)): (usize, (&Picture, &mut [u8]))| {
        if damaged != Damaged::Skip && index > first_damaged.load(Ordering::Relaxed) {
            return None; // an error is already known
        }
        let fit = decode_file(picture, channels, side, out);
        if !matches!(fit, Ok(Ok(_))) {
            first_damaged.fetch_min(index, Ordering::Relaxed);
        }
        Some(fit)
    };
    let each = pictures.par_iter().zip(decoded.pixels.par_chunks_exact_mut(len)).enumerate();
    let fits: Vec<Option<Result<Result<Fit>>>> = each.map(read_one).collect();
    for (index, fit) in fits.into_iter().enumerate() {
        match (fit.transpose()?, damaged) {
            (Some(Ok(fit)), _) => {
                decoded.pixels.copy_within(index * len..(index + 1) * len, decoded.fits.len() * len);
                decoded.fits.push(fit);
            }
            (Some(Err(error)), Damaged::Stop(advice)) => return Err(error.with_advice(advice)),
            (Some(Err(_)) | None, _) => decoded.damaged.push(index),
        }
    }
    decoded.pixels.truncate(decoded.fits.len() * len);
    Ok(decoded)
}

/// Returns the pictures of a published data set as images with labels, with the channels and the image size of a
/// configuration.
///
/// # Errors
/// Returns the error of the first picture that is missing or damaged. No picture is skipped, because that would silently
/// change every split.
pub fn images(pictures: &[Picture], labels: Vec<u16>, config: &Config) -> Result<Images> {
    let [channels, side] = [config.channels(), config.image_size()];
    let decoded = read_all(pictures, channels, side, Damaged::Stop("download it again"))?;
    Ok(Images::new(decoded.pixels, labels, channels, [side, side]))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};
    use vae_core::config::Crop;

    use super::*;
    use crate::picture::Region;

    const WHOLE: Region = Region::Crop(Crop::None);

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn damaged_pictures_are_left_out_and_counted_if_they_are_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let pictures: Vec<Picture> = (0..30)
            .map(|i| {
                let path = dir.path().join(format!("{i}.png"));
                let [width, height] = if i < 3 { [4, 2] } else { [2, 2] };
                let mut bytes = png(image::GrayImage::from_pixel(width, height, image::Luma([i])));
                if i % 10 == 9 {
                    bytes.truncate(40);
                }
                std::fs::write(&path, bytes).unwrap();
                Picture { path, region: if i == 0 { WHOLE } else { Region::Crop(Crop::Centre) } }
            })
            .collect();
        let decoded = read_all(&pictures, 1, 1, Damaged::Skip).unwrap();
        assert_eq!(decoded.pixels, (0..30).filter(|i| i % 10 != 9).collect::<Vec<u8>>());
        assert_eq!(kept(30, &decoded.damaged), (0..30).filter(|i| i % 10 != 9).collect::<Vec<_>>());
        assert_eq!(decoded.fits[..3].iter().map(|fit| fit.is_cropped).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(decoded.fits.iter().filter(|fit| fit.is_stretched).count(), 1);
        assert_eq!(decoded.damaged, [9, 19, 29]);
        let error = read_all(&pictures, 1, 1, Damaged::Stop("buy a new one")).unwrap_err().to_string();
        assert!(error.contains("/9.png: is damaged") && error.ends_with("; buy a new one"), "{error}");
        // A file that cannot be read now may be whole.
        #[cfg(target_os = "linux")]
        {
            std::fs::remove_file(&pictures[5].path).unwrap();
            std::os::unix::fs::symlink("/proc/self/mem", &pictures[5].path).unwrap(); // address 0 cannot be read
            let error = read_all(&pictures, 1, 1, Damaged::Skip).unwrap_err().to_string();
            assert!(error.contains("/5.png: cannot be read"), "{error}");
        }
    }

    #[test]
    fn planes_follow_each_other_and_pictures_keep_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let pictures: Vec<Picture> = (0..40)
            .map(|i| {
                let path = dir.path().join(format!("{i}.png"));
                std::fs::write(&path, png(image::RgbImage::from_pixel(2, 2, image::Rgb([i, 100 + i, 200 + i]))))
                    .unwrap();
                Picture { path, region: WHOLE }
            })
            .collect();
        let read = |side| read_all(&pictures, 3, side, Damaged::Stop(""));
        let bytes = read(2).unwrap().pixels;
        for (i, picture) in (0..40).zip(bytes.chunks_exact(12)) {
            assert_eq!(picture, [[i; 4], [100 + i; 4], [200 + i; 4]].concat());
        }
        std::fs::write(&pictures[30].path, b"").unwrap();
        std::fs::remove_file(&pictures[20].path).unwrap();
        assert!(read(2).unwrap_err().to_string().contains("20.png: cannot be read"));
        // No memory is allocated if a picture is missing. This size would need 480 terabytes.
        assert!(read(1 << 21).unwrap_err().to_string().contains("20.png: cannot be read"));
    }
}
