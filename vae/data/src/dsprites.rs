//! dSprites: 737,280 black and white images of 64×64 pixels, one for each combination of shape, scale, rotation, x and
//! y. The seed splits them 10:1:1.
//!
//! The file `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz`, in `dsprites/` or directly in `data.dir`, is a zip of
//! NumPy arrays. We read two of them: `imgs` [737280, 64, 64], u8 with the values 0 and 1, and `latents_classes`
//! [737280, 6], i64, with the columns colour (always 0), shape (square, ellipse, heart), scale, rotation, x and y. The
//! module [`npy`] describes the format of an array. (L. Matthey et al., 2017,
//! <https://github.com/google-deepmind/dsprites-dataset>.)
//!
//! The unpacked images would take 3 GB. They are read one at a time and kept with one bit per pixel, in 377 MB.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vae_core::config::split_sizes;
use vae_core::config::{Config, DataKind};
use vae_core::data::unpack;
use vae_core::data::{Bits, Factors, Images, Split, random_split};
use vae_core::random::Purpose;
use vae_core::{Error, Result};
use zip::ZipArchive;

use crate::{archives, npy};

const NAME: &str = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz";
const SIDE: usize = 64;
const FACTORS: [(&str, usize); 6] = [("colour", 1), ("shape", 3), ("scale", 6), ("rotation", 40), ("x", 32), ("y", 32)];
const SHAPE: usize = 1;
const SHAPES: [&str; 3] = ["square", "ellipse", "heart"];
const PUBLISHED: usize = 737_280;

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    let dir = config.data.dir.as_ref();
    let Some(path) = path(dir) else {
        return Err(archives::missing(DataKind::Dsprites, dir, &format!("dsprites/{NAME}")));
    };
    let images = read(&path, PUBLISHED)?;
    Ok(random_split(Arc::new(images), split_sizes(PUBLISHED), &mut Purpose::Split.stream(config.seed, 0)))
}

/// Returns whether the file exists.
pub fn files_exist(dir: &Path) -> bool {
    path(dir).is_some()
}

fn path(dir: &Path) -> Option<PathBuf> {
    [dir.join("dsprites").join(NAME), dir.join(NAME)].into_iter().find(|path| path.is_file())
}

type Outcome<T> = std::result::Result<T, String>;

/// Returns the images of a file that contains `count` of them. The published file has 737,280.
///
/// # Errors
/// Returns an error if the file cannot be read, or if its arrays have another type, shape or range.
pub fn read(path: &Path, count: usize) -> Result<Images> {
    unpack(path, count).map_err(|what| Error::file(path, what))
}

fn unpack(path: &Path, count: usize) -> Outcome<Images> {
    let open = || File::open(path).map_err(|error| format!("cannot be read: {error}"));
    let mut start = Vec::new();
    open()?.take(256).read_to_end(&mut start).map_err(|error| format!("cannot be read: {error}"))?;
    unpack::refuse_web_page(&start, "an .npz")?;
    let damaged = |error: zip::result::ZipError| format!("is not a complete .npz ({error}); download it again");
    let mut zip = ZipArchive::new(BufReader::new(open()?)).map_err(damaged)?;

    let mut bits = Bits::default();
    let array = zip.by_name("imgs.npy").map_err(damaged)?;
    let mut bad = None;
    for_each_row(array, "imgs", "|u1", &[count, SIDE, SIDE], |i, image| {
        if image.iter().any(|&x| x > 1) {
            bad.get_or_insert(i);
        }
        bits.push(image);
    })?;
    if let Some(i) = bad {
        return Err(format!("has pixels other than 0 and 1 in image {i}; this is not dSprites"));
    }

    let mut values = Vec::with_capacity(count * FACTORS.len());
    let array = zip.by_name("latents_classes.npy").map_err(damaged)?;
    let mut bad = None;
    for_each_row(array, "latents_classes", "<i8", &[count, FACTORS.len()], |i, row| {
        for (number, (name, size)) in row.chunks_exact(8).zip(FACTORS) {
            let number = i64::from_le_bytes(number.try_into().expect("eight bytes"));
            if !(0..size as i64).contains(&number) {
                bad.get_or_insert(format!("has {name} {number} in image {i}, expected 0 to {}", size - 1));
            }
            values.push(number as u16);
        }
    })?;
    if let Some(bad) = bad {
        return Err(bad);
    }
    let labels = values.iter().skip(SHAPE).step_by(FACTORS.len()).copied().collect();
    let factors = Factors {
        names: FACTORS.map(|(name, _)| name).to_vec(),
        sizes: FACTORS.map(|(_, size)| size).to_vec(),
        values,
    };
    Ok(Images::new(bits, labels, 1, [SIDE, SIDE]).with_class_names(SHAPES).with_factors(factors))
}

/// Calls `take` with the index and the bytes of each row of an array. The array must have the type `descr` and the
/// shape `shape`.
fn for_each_row(
    mut array: impl Read,
    name: &str,
    descr: &str,
    shape: &[usize],
    mut take: impl FnMut(usize, &[u8]),
) -> Outcome<()> {
    let cut = |error: std::io::Error| format!("is cut off or damaged in {name}.npy ({error}); download it again");
    let found = npy::header_text(&mut array).map_err(cut)?;
    let sizes = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let wanted = [format!("'descr':'{descr}'"), "'fortran_order':False".into(), format!("'shape':({sizes})")];
    if let Some(wanted) = wanted.iter().find(|wanted| !found.contains(wanted.as_str())) {
        return Err(format!("contains {name}.npy with {found}, expected {wanted}"));
    }
    let number = if descr == "<i8" { 8 } else { 1 };
    let mut row = vec![0; number * shape[1..].iter().product::<usize>()];
    for i in 0..shape[0] {
        array.read_exact(&mut row).map_err(cut)?;
        take(i, &row);
    }
    match array.read(&mut [0]).map_err(cut)? {
        0 => Ok(()),
        _ => Err(format!("contains {name}.npy with more than {} rows", shape[0])),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    const COUNT: usize = 24;

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        text += &" ".repeat((64 - (10 + text.len() + 1) % 64) % 64);
        text.push('\n');
        [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
    }

    fn npz(path: &Path, arrays: &[(&str, Vec<u8>)]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in arrays {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    /// Returns images of which image `i` has `i` white pixels at its start.
    fn images() -> Vec<u8> {
        (0..COUNT).flat_map(|i| (0..SIDE * SIDE).map(move |place| u8::from(place < i))).collect()
    }

    fn classes() -> Vec<u8> {
        let row = |i: usize| [0, i % 3, i % 6, i, i, 31 - i];
        (0..COUNT).flat_map(row).flat_map(|number| (number as i64).to_le_bytes()).collect()
    }

    const IMAGES: &str = "(24, 64, 64)";
    const CLASSES: &str = "(24, 6)";

    #[test]
    fn images_are_bits_and_factors_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let good = [
            ("metadata.npy", b"a pickle, which is not read".to_vec()),
            ("imgs.npy", npy("|u1", IMAGES, &images())),
            ("latents_classes.npy", npy("<i8", CLASSES, &classes())),
        ];
        npz(&path, &good);
        let images = read(&path, COUNT).unwrap();
        assert_eq!((images.count(), images.memory(), images.classes()), (COUNT, (COUNT * 512) as u64, 3));
        let mut image = vec![0; SIDE * SIDE];
        images.read(17, &mut image).unwrap();
        assert!(image.iter().enumerate().all(|(place, &x)| x == if place < 17 { 255 } else { 0 }));
        let factors = images.factors().unwrap();
        assert_eq!((factors.of(17), factors.sizes[3], factors.names[5]), (&[0, 2, 5, 17, 17, 14][..], 40, "y"));
        assert_eq!((images.label(17), images.class_names()[2].as_str()), (2, "heart"));
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let mut config = Config::default();
        config.data.dir = dir.path().display().to_string();
        let missing = splits(&config).unwrap_err().to_string();
        assert!(missing.contains(&format!("dsprites/{NAME}")) && missing.contains("github.com"), "{missing}");
        let (pixels, numbers) = (images(), classes());
        let (mut grey, mut beyond) = (pixels.clone(), numbers.clone());
        grey[3 * 4096 + 5] = 2;
        beyond[48 + 8] = 3;
        let arrays = |imgs: Vec<u8>, classes: Vec<u8>| [("imgs.npy", imgs), ("latents_classes.npy", classes)];
        let [good_images, good_classes] = [npy("|u1", IMAGES, &pixels), npy("<i8", CLASSES, &numbers)];
        for (imgs, classes, says) in [
            (npy("|u1", IMAGES, &grey), good_classes.clone(), "pixels other than 0 and 1 in image 3"),
            (good_images.clone(), npy("<i8", CLASSES, &beyond), "has shape 3 in image 1, expected 0 to 2"),
            (npy("<f4", IMAGES, &pixels), good_classes.clone(), "expected 'descr':'|u1'"),
            (npy("|u1", "(737280, 64, 64)", &pixels), good_classes.clone(), "expected 'shape':(24,64,64)"),
            (npy("|u1", IMAGES, &pixels[1..]), good_classes.clone(), "cut off or damaged in imgs.npy"),
            (npy("|u1", IMAGES, &[&pixels[..], &[0]].concat()), good_classes.clone(), "more than 24 rows"),
            (good_images.clone(), numbers.clone(), "not a NumPy array of version 1"),
        ] {
            npz(&path, &arrays(imgs, classes));
            let message = read(&path, COUNT).expect_err(says).to_string();
            assert!(message.contains(says), "{says}: {message}");
        }
        npz(&path, &arrays(good_images, good_classes)[..1]);
        assert!(read(&path, COUNT).unwrap_err().to_string().contains("not a complete .npz"));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&path, COUNT).unwrap_err().to_string().contains("not a complete .npz"));
        std::fs::write(&path, b"<!doctype html>").unwrap();
        assert!(splits(&config).unwrap_err().to_string().contains("is a web page"));
    }
}
