//! Any folder of JPEG and PNG pictures. The seed splits them 10:1:1. If there are sub-folders, each one is a label, in
//! the order of their names.
//!
//! ```text
//! FOLDER/cats/1.jpg, FOLDER/cats/old/2.png, FOLDER/dogs/1.jpg      two labels
//! FOLDER/1.jpg, FOLDER/2.png                                       no labels: all pictures are in one class
//! ```
//!
//! Other files are ignored, as are files and folders whose names start with a dot. `data.crop` selects the part of a
//! picture that the model sees.

use std::fs::FileType;
use std::path::{Path, PathBuf};

use vae_core::config::split_sizes;
use vae_core::config::{Config, Crop};
use vae_core::data::{Images, Split};
use vae_core::random::Purpose;
use vae_core::{Error, Result};

use crate::picture::{self, Picture, Region};

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    let dir: &Path = config.data.dir.as_ref();
    let (names, found) = labelled(dir)?;
    if found.len() < 12 {
        let what = format!(
            "contains {} pictures (.jpg, .jpeg, .png), expected at least 12, to split 10:1:1; \
             put pictures there, in one sub-folder for each label if they have labels, or name another folder with --data-dir",
            found.len()
        );
        return Err(Error::file(dir, what));
    }
    let order = Purpose::Split.stream(config.seed, 0).permutation(found.len());
    let mut rest = order.as_slice();
    let mut splits = Vec::new();
    for (part, count) in split_sizes(found.len()).into_iter().enumerate() {
        let (mut members, others) = rest.split_at(count);
        rest = others;
        if part == 0 && config.data.limit > 0 {
            members = &members[..count.min(config.data.limit)];
        }
        let region = Region::Crop(config.crop());
        let pictures: Vec<_> = members.iter().map(|&i| Picture { path: found[i].1.clone(), region }).collect();
        let labels = members.iter().map(|&i| found[i].0).collect();
        splits.push(Split::all(picture::images(&pictures, labels, config)?.with_class_names(&names)));
    }
    Ok(splits.try_into().expect("three parts"))
}

/// Returns all pictures of a folder in the order of their paths, and whether its sub-folders are labels. Without
/// `data.crop`, a square is cropped from the middle.
///
/// # Errors
/// Returns an error if there are no pictures, or if a picture cannot be read.
pub fn all(dir: &Path, config: &Config) -> Result<(Images, bool)> {
    let (names, found) = labelled(dir)?;
    if found.is_empty() {
        return Err(no_pictures(dir));
    }
    let region = Region::Crop(config.data.crop.unwrap_or(Crop::Centre));
    let is_labelled = found.iter().any(|(_, path)| path.parent() != Some(dir));
    let (labels, pictures): (_, Vec<_>) =
        found.into_iter().map(|(label, path)| (label, Picture { path, region })).unzip();
    Ok((picture::images(&pictures, labels, config)?.with_class_names(&names), is_labelled))
}

/// Returns the paths of all pictures in a folder and its sub-folders, in the order in which [`all`] reads them.
///
/// # Errors
/// Returns an error if there are no pictures, or if the folder cannot be read.
pub fn paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let (_, found) = labelled(dir)?;
    if found.is_empty() {
        return Err(no_pictures(dir));
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn no_pictures(dir: &Path) -> Error {
    Error::file(dir, "contains no pictures (.jpg, .jpeg, .png)")
}

/// Returns whether there are pictures.
pub fn files_exist(dir: &Path) -> bool {
    labelled(dir).is_ok_and(|(_, pictures)| !pictures.is_empty())
}

/// A picture's label and path.
type Labelled = (u16, PathBuf);

/// Returns the names of the labels, and the pictures sorted by path.
fn labelled(dir: &Path) -> Result<(Vec<String>, Vec<Labelled>)> {
    let alone = pictures(dir)?;
    let mut names = Vec::new();
    let mut found = Vec::new();
    for name in folders(dir)? {
        let mut inside = Vec::new();
        collect_pictures(&dir.join(&name), &mut inside)?;
        if inside.is_empty() {
            continue;
        }
        if let Some(path) = alone.first() {
            let what = format!("is next to folders that are labels, such as {name}/; move it into one of them");
            return Err(Error::file(path, what));
        }
        let Ok(label) = u16::try_from(names.len()) else {
            return Err(Error::file(dir, format!("contains more than {} sub-folders of pictures", u16::MAX)));
        };
        found.extend(inside.into_iter().map(|path| (label, path)));
        names.push(name);
    }
    if names.is_empty() {
        names.push("picture".into());
        found.extend(alone.into_iter().map(|path| (0, path)));
    }
    Ok((names, found))
}

/// Appends the pictures of a folder and of its sub-folders.
fn collect_pictures(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.extend(pictures(dir)?);
    folders(dir)?.iter().try_for_each(|name| collect_pictures(&dir.join(name), found))
}

/// Returns the pictures directly in a folder, sorted by name.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let names = names(folder, |kind| !kind.is_dir())?;
    Ok(names.iter().map(|name| folder.join(name)).filter(|path| picture::is_picture(path)).collect())
}

/// Returns the names of the folders directly in a folder, sorted.
pub(super) fn folders(folder: &Path) -> Result<Vec<String>> {
    names(folder, |kind| kind.is_dir())
}

/// Returns the names in a folder, sorted, without those that start with a dot. A symbolic link to a folder does not
/// count as a folder, because following it might never end.
fn names(folder: &Path, wanted: impl Fn(FileType) -> bool) -> Result<Vec<String>> {
    let fail = |error| Error::file(folder, format!("cannot be read: {error}"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && wanted(entry.file_type().map_err(fail)?) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use vae_core::config::DataKind;

    use super::*;

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        (config.data.kind, config.data.dir) = (DataKind::Folder, dir.display().to_string());
        (config.data.image_size, config.data.channels) = (Some(4), Some(1));
        config
    }

    fn put(path: &Path, brightness: u8) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(4, 4, Luma([brightness])).save(path).unwrap();
    }

    #[test]
    fn sub_folders_are_labels() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..26 {
            let label = ["cats", "apes", "bees/of/all/kinds"][i % 3];
            put(&dir.path().join(label).join(format!("{i}.png")), i as u8);
        }
        std::fs::create_dir_all(dir.path().join("empty")).unwrap();
        std::fs::write(dir.path().join("cats/notes.txt"), b"no picture").unwrap();
        std::fs::create_dir_all(dir.path().join(".hidden")).unwrap();
        std::fs::write(dir.path().join(".hidden/a.png"), b"no picture").unwrap();
        let parts = splits(&config(dir.path())).unwrap();
        assert_eq!(parts.each_ref().map(Split::count), [22, 2, 2]);
        let mut seen = Vec::new();
        for split in &parts {
            assert_eq!(split.images().class_names(), ["apes", "bees", "cats"]);
            for place in 0..split.count() {
                let mut image = [0; 16];
                split.read(place, &mut image).unwrap();
                assert_eq!(split.label(place), [2, 0, 1][usize::from(image[0]) % 3]);
                seen.push(image[0]);
            }
        }
        let mut other = config(dir.path());
        other.seed += 1;
        other.data.limit = 3;
        let [few, ..] = splits(&other).unwrap();
        let mut image = [0; 16];
        let first: Vec<u8> = (0..3).map(|place| few.read(place, &mut image).map(|()| image[0]).unwrap()).collect();
        assert_ne!(first, seen[..3]);
        seen.sort_unstable();
        assert_eq!(seen, (0..26).collect::<Vec<u8>>());
    }

    #[test]
    fn a_flat_folder_is_one_class_and_data_crop_applies() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..12 {
            let pixel = |x: u32, _| Rgb(if (4..8).contains(&x) { [255; 3] } else { [0; 3] });
            RgbImage::from_fn(12, 8, pixel).save(dir.path().join(format!("{i}.png"))).unwrap();
        }
        let mean = |crop: Crop| {
            let mut config = config(dir.path());
            config.data.crop = Some(crop);
            let [train, ..] = splits(&config).unwrap();
            assert_eq!(train.images().classes(), 1);
            let mut image = [0; 16];
            train.read(0, &mut image).unwrap();
            image.iter().map(|&x| f64::from(x)).sum::<f64>() / 16.0 / 255.0
        };
        assert!((mean(Crop::None) - 1.0 / 3.0).abs() < 0.01);
        assert!((mean(Crop::Centre) - 0.5).abs() < 0.01);
        assert_eq!(mean(Crop::Pixels(4)), 1.0);
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let says = |dir: &Path| splits(&config(dir)).unwrap_err().to_string();
        assert!(says(&dir.path().join("no")).contains("no: cannot be read"));
        assert!(says(dir.path()).contains("contains 0 pictures"));
        (0..12).for_each(|i| put(&dir.path().join(format!("a/{i}.png")), i));
        put(&dir.path().join("alone.png"), 3);
        assert!(says(dir.path()).contains("alone.png: is next to folders that are labels, such as a/"));
        std::fs::remove_file(dir.path().join("alone.png")).unwrap();
        std::fs::write(dir.path().join("a/7.png"), b"").unwrap();
        assert!(says(dir.path()).contains("7.png: starts with"));
    }
}
