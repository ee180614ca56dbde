//! CelebA, aligned and cropped. The published list splits it into 162,770 faces for training, 19,867 for validation and
//! 19,962 for testing.
//!
//! ```text
//! celeba/  (torchvision's folder; its files may also be directly in data.dir)
//!   img_align_celeba/000001.jpg            178×218 pixels
//!   list_eval_partition.txt                one line per picture, "000001.jpg 0": 0 training, 1 validation, 2 test
//! ```
//!
//! All pictures are decoded once, before training, on all threads. They are kept in memory as bytes at the model's
//! image size, which takes 2.5 GB for 64×64 pixels in colour. (Z. Liu et al., 2015,
//! <https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html>)

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use vae_core::config::{Config, DataKind};
use vae_core::data::Split;
use vae_core::data::unpack;
use vae_core::{Error, Result};

use crate::archives;
use crate::file;
use crate::picture::{Picture, Region};
use crate::pictures;

const PICTURES: &str = "img_align_celeba";
const LIST: &str = "list_eval_partition.txt";

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    let dir = config.data.dir.as_ref();
    let Some(folder) = folder(dir) else {
        return Err(archives::missing(DataKind::Celeba, dir, &format!("celeba/ with {PICTURES}/ and {LIST}")));
    };
    let list = folder.join(LIST);
    let mut parts = parts(&file::read(&list, file::LIST)?).map_err(|what| Error::file(&list, what))?;
    if config.data.limit > 0 {
        parts[0].truncate(config.data.limit);
    }
    let region = Region::Crop(config.crop());
    let mut splits = Vec::new();
    for names in parts {
        let path = |name: &String| Picture { path: folder.join(PICTURES).join(name), region };
        let pictures: Vec<Picture> = names.iter().map(path).collect();
        splits.push(Split::all(pictures::images(&pictures, vec![0; names.len()], config)?));
    }
    Ok(splits.try_into().expect("three parts"))
}

/// Returns whether the list and the folder of pictures exist.
pub fn files_exist(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| folder.join(LIST).is_file() && folder.join(PICTURES).is_dir();
    [dir.join("celeba"), dir.to_path_buf()].into_iter().find(holds)
}

/// Returns the file names of the training, validation and test pictures, from the contents of the list.
///
/// # Errors
/// Returns a message if a line is not a name and a split, if a line repeats a name, or if a split has no picture
/// because the list is cut off.
pub fn parts(list: &[u8]) -> std::result::Result<[Vec<String>; 3], String> {
    unpack::refuse_web_page(list, "a list of pictures")?;
    let text = std::str::from_utf8(list).map_err(|_| "is not a text file, so it is not the list; download it again")?;
    let mut parts = [const { Vec::new() }; 3];
    let mut known = HashSet::new();
    for (line, words) in text.lines().enumerate().filter(|(_, words)| !words.trim().is_empty()) {
        let mut words = words.split_whitespace();
        let name = words.next().filter(|name| {
            let mut components = Path::new(name).components();
            matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
        });
        let part = words.next().and_then(|part| part.parse::<usize>().ok()).filter(|&part| part < 3);
        match (name, part, words.next()) {
            (Some(name), Some(_), None) if !known.insert(name) => {
                return Err(format!("line {} repeats {name}", line + 1));
            }
            (Some(name), Some(part), None) => parts[part].push(name.to_owned()),
            _ => return Err(format!("line {} is not a name and a split, such as 000001.jpg 0", line + 1)),
        }
    }
    match parts.iter().position(Vec::is_empty) {
        Some(part) => Err(format!("has no picture of split {part}: it is cut off; download it again")),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        (config.data.kind, config.data.dir) = (DataKind::Celeba, dir.display().to_string());
        config
    }

    /// Writes six pictures of 178×218 pixels that are white in the middle 148×148. The red channel there encodes the
    /// number.
    fn fake(dir: &Path) -> PathBuf {
        let folder = dir.join("celeba");
        std::fs::create_dir_all(folder.join(PICTURES)).unwrap();
        let mut list = String::new();
        for (i, part) in [0, 0, 1, 0, 2, 1].into_iter().enumerate() {
            let name = format!("{:06}.jpg", i + 1);
            let face = |x, y| (15..163).contains(&x) && (35..183).contains(&y);
            let pixel = |x, y| Rgb(if face(x, y) { [10 * i as u8, 255, 255] } else { [0; 3] });
            let path = folder.join(PICTURES).join(&name);
            RgbImage::from_fn(178, 218, pixel).save_with_format(path, image::ImageFormat::Png).unwrap();
            list += &format!("{name} {part}\n");
        }
        std::fs::write(folder.join(LIST), list).unwrap();
        folder
    }

    #[test]
    fn the_list_defines_the_splits_and_pictures_are_cropped_to_the_middle() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path());
        let [train, validation, test] = splits(&config(dir.path())).unwrap();
        let reds = |split: &Split| -> Vec<u8> {
            let mut image = vec![0; 3 * 64 * 64];
            let read = |place| {
                split.read(place, &mut image).unwrap();
                assert!(image[64 * 64..].iter().all(|&x| x == 255));
                image[0] / 10
            };
            (0..split.count()).map(read).collect()
        };
        assert_eq!([reds(&train), reds(&validation), reds(&test)], [vec![0, 1, 3], vec![2, 5], vec![4]]);
        let mut few = config(dir.path());
        (few.data.limit, few.data.channels, few.data.image_size) = (2, Some(1), Some(16));
        let [train, validation, _] = splits(&few).unwrap();
        assert_eq!((train.count(), validation.count(), train.images().bytes()), (2, 2, 256));
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let says = || splits(&config(dir.path())).unwrap_err().to_string();
        let missing = says();
        assert!(missing.contains("celeba/ with img_align_celeba/") && missing.contains("CelebA.html"), "{missing}");
        let folder = fake(dir.path());
        let good = std::fs::read_to_string(folder.join(LIST)).unwrap();
        for (list, what) in [
            (&good[..13], "no picture of split 1"),
            ("a.jpg 0\nb.jpg 3\n", "line 2 is not a name and a split"),
            ("a.jpg\n", "line 1"),
            ("../a.jpg 0\n", "line 1"),
            ("a.jpg 0\nb.jpg 1\na.jpg 2\n", "line 3 repeats a.jpg"),
            ("<html>", "web page"),
            (&good.replace("000003", "000009"), "000009.jpg: cannot be read"),
        ] {
            std::fs::write(folder.join(LIST), list).unwrap();
            assert!(says().contains(what), "{what}: {}", says());
        }
    }
}
