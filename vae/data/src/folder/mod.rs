//! Any folder of pictures (JPEG, PNG, WebP, BMP). `data.split` says which of them are for training, validation and test
//! (`parts.rs`). If there are sub-folders, each one is a label, in the order of their names.
//!
//! ```text
//! FOLDER/cats/1.jpg, FOLDER/cats/old/2.png, FOLDER/dogs/1.jpg      two labels
//! FOLDER/1.jpg, FOLDER/2.png                                       no labels: all pictures are in one class
//! ```
//!
//! Pictures are decoded into memory, or into the file of a cache (`cache.rs`). Other files are skipped and counted. Files and folders whose names start with a dot are ignored. `data.crop` selects
//! the part of a picture that the model sees.

mod cache;
mod listing;
mod parts;

use std::path::{Path, PathBuf};

use cache::{Cache, Cached};
use listing::{Labelled, labelled};
pub(crate) use listing::{folders, pictures};
use parts::{Parts, parts};
use vae_core::config::{Config, Crop};
use vae_core::data::{Images, Source, Split};
use vae_core::{Error, Result};

use crate::memory;
use crate::picture::{Fit, KINDS, Picture, Region};
use crate::pictures::{Damaged, Decoded, kept, read_all};

/// What to do about a damaged picture of a data set.
const ADVICE: &str = "remove it, or set data.skip_damaged = true to leave out damaged pictures";

/// The pictures of a folder as a data set.
#[derive(Debug)]
pub struct Own {
    /// The training, validation and test images.
    pub splits: [Split; 3],
    /// What a user should know: which files were skipped, and what was cropped. A sentence each.
    pub notes: Vec<String>,
}

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a part is empty, if a list of parts is wrong, or if a picture is damaged and `data.skip_damaged` is
/// not set.
pub fn splits(config: &Config) -> Result<Own> {
    let dir: &Path = config.data.dir.as_ref();
    let Parts { names, mut pictures, mut notes } = parts(dir, &config.data.split, config.seed)?;
    if config.data.limit > 0 {
        pictures[0].truncate(config.data.limit);
    }
    let damaged = if config.data.skip_damaged { Damaged::Skip } else { Damaged::Stop(ADVICE) };
    let mut tally = Tally::default();
    let mut cache = match config.data.cache.as_str() {
        "" => {
            check_memory(pictures.iter().map(Vec::len).sum(), config, memory::available())?;
            None
        }
        folder => Some(Cache::open(folder.as_ref(), dir, config.crop(), [config.channels(), config.image_size()])?),
    };
    let mut splits = Vec::new();
    for (part, name) in pictures.into_iter().zip(["training", "validation", "test"]) {
        let own: Vec<OwnPicture> = part.into_iter().map(|picture| OwnPicture::new(dir, picture)).collect();
        let (images, kept) = match &mut cache {
            None => decode(&own, config.crop(), config, damaged, &mut tally)?,
            Some(cache) => {
                let Cached { source, damaged, fits } = cache.read_all(&own, damaged)?;
                tally.add(&own, &damaged, &fits);
                described(source, &own, &damaged, config)
            }
        };
        if kept.is_empty() {
            return Err(Error::file(dir, format!("contains no {name} picture that is not damaged")));
        }
        splits.push(Split::all(images.with_class_names(&names)));
    }
    notes.extend(tally.notes(config.crop()));
    notes.extend(cache.and_then(|cache| cache.note()));
    Ok(Own { splits: splits.try_into().expect("three parts"), notes })
}

/// Checks that the pixels of so many pictures fit into `available` bytes of memory.
fn check_memory(pictures: usize, config: &Config, available: u64) -> Result<()> {
    const GIB: f64 = (1_u64 << 30) as f64;
    let side = config.image_size();
    let need = pictures as f64 * config.channels() as f64 * (side as f64).powi(2);
    if need <= available as f64 {
        return Ok(());
    }
    Err(Error::config(format!(
        "data.kind = \"folder\": {pictures} pictures of {side} × {side} pixels take {:.1} GiB of memory, but only {:.1} GiB are free; \
         set data.cache to a folder on a disk, or a smaller data.image_size or data.limit",
        need / GIB,
        available as f64 / GIB
    )))
}

/// A picture of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnPicture {
    /// The path of the file.
    pub path: PathBuf,
    /// The name under which results list the picture.
    pub name: String,
    /// The number of its label; 0 without labels.
    pub label: u16,
}

impl OwnPicture {
    /// A picture without a label. Its name is its path.
    pub fn file(path: &Path) -> OwnPicture {
        OwnPicture { path: path.to_owned(), name: path.display().to_string(), label: 0 }
    }

    /// A picture in a folder. Its name is its path in the folder, with `/` between the parts.
    fn new(dir: &Path, (label, path): Labelled) -> OwnPicture {
        let inside = path.strip_prefix(dir).unwrap_or(&path);
        let name = inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        OwnPicture { name, label, path }
    }
}

/// The pictures of a folder.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// The pictures in the order of their paths. Their names are their paths in the folder.
    pub pictures: Vec<OwnPicture>,
    /// The names of the labels; empty if there are no sub-folders.
    pub labels: Vec<String>,
    /// A sentence about other files in the folder, if there are any.
    pub note: Option<String>,
}

/// Lists the pictures of a folder and its sub-folders.
///
/// # Errors
/// Returns an error if there are no pictures, or if the folder cannot be read.
pub fn list(dir: &Path) -> Result<Pictures> {
    let found = labelled(dir)?;
    if found.pictures.is_empty() {
        return Err(Error::file(dir, format!("contains no pictures ({KINDS})")));
    }
    let labels = if found.is_labelled { found.names } else { Vec::new() };
    let pictures = found.pictures.into_iter().map(|picture| OwnPicture::new(dir, picture)).collect();
    Ok(Pictures { pictures, labels, note: found.others.sentence() })
}

/// Pictures that were read.
#[derive(Debug)]
pub struct Read {
    /// The pictures as images with labels and names.
    pub images: Images,
    /// The positions in the list of those that were not damaged.
    pub kept: Vec<usize>,
    /// How many were damaged or cropped, a sentence each.
    pub notes: Vec<String>,
}

/// Reads pictures as a model of this configuration sees them. Without `data.crop`, a square is cropped from the middle.
///
/// # Errors
/// Returns an error if a picture is missing, or damaged and not to be skipped.
pub fn read(pictures: &[OwnPicture], config: &Config, damaged: Damaged) -> Result<Read> {
    let crop = config.data.crop.unwrap_or(Crop::Centre);
    let mut tally = Tally::default();
    let (images, kept) = decode(pictures, crop, config, damaged, &mut tally)?;
    Ok(Read { images, kept, notes: tally.notes(crop) })
}

/// Counts of pictures.
#[derive(Default)]
struct Tally {
    all: usize,
    cropped: usize,
    stretched: usize,
    damaged: usize,
    first_damaged: Option<String>,
}

impl Tally {
    /// Counts the pictures of a list. `damaged` are the positions of the damaged ones, and `fits` is of the others.
    fn add(&mut self, pictures: &[OwnPicture], damaged: &[usize], fits: &[Fit]) {
        self.all += pictures.len();
        self.cropped += fits.iter().filter(|fit| fit.is_cropped).count();
        self.stretched += fits.iter().filter(|fit| fit.is_stretched).count();
        self.damaged += damaged.len();
        self.first_damaged = self.first_damaged.take().or(damaged.first().map(|&index| pictures[index].name.clone()));
    }

    fn notes(&self, crop: Crop) -> Vec<String> {
        let Tally { all, cropped, stretched, damaged, .. } = *self;
        let mut notes = Vec::new();
        if let Some(first) = &self.first_damaged {
            notes.push(match damaged {
                1 => format!("1 of the {all} pictures is damaged and was left out: {first}"),
                _ => format!("{damaged} of the {all} pictures are damaged and were left out, such as {first}"),
            });
        }
        let whole = all - damaged;
        if cropped > 0 && crop == Crop::Centre {
            notes.push(format!(
                "{cropped} of {whole} pictures are not square: the largest square around the centre is used \
                 (data.crop = \"centre\"; \"none\" stretches the whole picture)"
            ));
        }
        if stretched > 0 {
            notes.push(format!(
                "{stretched} of {whole} pictures are not square and are stretched (data.crop = \"{crop}\"; \"centre\" uses the \
                 largest square around the centre)"
            ));
        }
        notes
    }
}

/// Decodes pictures. Returns their images, and the positions of those that are not damaged.
fn decode(
    pictures: &[OwnPicture],
    crop: Crop,
    config: &Config,
    damaged: Damaged,
    tally: &mut Tally,
) -> Result<(Images, Vec<usize>)> {
    let [channels, side] = [config.channels(), config.image_size()];
    let region = Region::Crop(crop);
    let files: Vec<Picture> = pictures.iter().map(|own| Picture { path: own.path.clone(), region }).collect();
    let Decoded { pixels, damaged, fits } = read_all(&files, channels, side, damaged)?;
    tally.add(pictures, &damaged, &fits);
    Ok(described(pixels, pictures, &damaged, config))
}

/// Adds the labels and names of the pictures that are not damaged to their pixels. Returns their positions too.
fn described(
    source: impl Source + 'static,
    pictures: &[OwnPicture],
    damaged: &[usize],
    config: &Config,
) -> (Images, Vec<usize>) {
    let kept = kept(pictures.len(), damaged);
    let labels = kept.iter().map(|&index| pictures[index].label).collect();
    let names = kept.iter().map(|&index| pictures[index].name.clone()).collect();
    let [channels, side] = [config.channels(), config.image_size()];
    (Images::new(source, labels, channels, [side, side]).with_file_names(names), kept)
}

/// Returns whether there are pictures.
pub fn files_exist(dir: &Path) -> bool {
    labelled(dir).is_ok_and(|found| !found.pictures.is_empty())
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
        let Own { splits: parts, notes } = splits(&config(dir.path())).unwrap();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].starts_with("1 file was skipped: 1 .txt;"), "{notes:?}");
        assert_eq!(parts.each_ref().map(Split::count), [22, 2, 2]);
        let mut seen = Vec::new();
        for split in &parts {
            assert_eq!(split.images().class_names(), ["apes", "bees", "cats"]);
            for place in 0..split.count() {
                let mut image = [0; 16];
                split.read(place, &mut image).unwrap();
                assert!(split.file_name(place).unwrap().ends_with(&format!("/{}.png", image[0])));
                assert_eq!(split.label(place), [2, 0, 1][usize::from(image[0]) % 3]);
                seen.push(image[0]);
            }
        }
        let mut other = config(dir.path());
        other.seed += 1;
        other.data.limit = 3;
        let [few, ..] = splits(&other).unwrap().splits;
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
        let mean = |crop: Option<Crop>, says: &str| {
            let mut config = config(dir.path());
            config.data.crop = crop;
            let Own { splits: [train, ..], notes } = splits(&config).unwrap();
            assert_eq!(notes.len(), usize::from(!says.is_empty()));
            assert!(notes.concat().contains(says), "{notes:?}");
            assert_eq!(train.images().classes(), 1);
            let mut image = [0; 16];
            train.read(0, &mut image).unwrap();
            image.iter().map(|&x| f64::from(x)).sum::<f64>() / 16.0 / 255.0
        };
        assert!(
            (mean(Some(Crop::None), "12 of 12 pictures are not square and are stretched") - 1.0 / 3.0).abs() < 0.01
        );
        let square = "12 of 12 pictures are not square: the largest square around the centre is used";
        assert!((mean(Some(Crop::Centre), square) - 0.5).abs() < 0.01);
        assert!((mean(None, square) - 0.5).abs() < 0.01, "the default is the centre");
        assert_eq!(mean(Some(Crop::Pixels(4)), ""), 1.0);
    }

    #[test]
    fn cropped_pictures_are_counted_among_those_that_are_whole() {
        let first_damaged = Some("7.png".to_owned());
        let tally = Tally { all: 10, cropped: 3, stretched: 1, damaged: 2, first_damaged };
        let notes = tally.notes(Crop::Centre);
        assert_eq!(notes[0], "2 of the 10 pictures are damaged and were left out, such as 7.png");
        assert!(notes.len() == 3 && notes[1].starts_with("3 of 8 ") && notes[2].starts_with("1 of 8 "), "{notes:?}");
        assert_eq!(tally.notes(Crop::Pixels(4)).len(), 2, "such a crop was asked for");
    }

    #[test]
    fn pictures_that_do_not_fit_into_memory_are_refused() {
        let mut config = config(Path::new("x"));
        config.data.image_size = Some(256);
        let bytes = 1000 * 256 * 256;
        check_memory(1000, &config, bytes).unwrap();
        let error = check_memory(1000, &config, bytes - 1).unwrap_err().to_string();
        assert!(error.contains("1000 pictures of 256 × 256 pixels") && error.contains("set data.cache"), "{error}");
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
        let told = says(dir.path());
        assert!(told.contains("7.png: starts with") && told.contains("set data.skip_damaged = true"), "{told}");
    }

    #[test]
    fn damaged_pictures_are_left_out_of_their_part_and_the_others_stay_in_theirs() {
        let dir = tempfile::tempdir().unwrap();
        (0..24).for_each(|i| put(&dir.path().join(format!("{i:02}.png")), i));
        let names = |split: &Split| -> Vec<String> {
            (0..split.count()).map(|place| split.file_name(place).unwrap().to_owned()).collect()
        };
        let mut config = config(dir.path());
        let whole = splits(&config).unwrap().splits.each_ref().map(names);
        let hurt = [whole[0][3].clone(), whole[2][0].clone()];
        hurt.iter().for_each(|name| std::fs::write(dir.path().join(name), b"\x89PNG").unwrap());
        assert!(splits(&config).is_err());
        config.data.skip_damaged = true;
        let Own { splits: parts, notes } = splits(&config).unwrap();
        let left = whole.clone().map(|names| names.into_iter().filter(|name| !hurt.contains(name)).collect::<Vec<_>>());
        assert_eq!(parts.each_ref().map(names), left);
        assert_eq!(notes, [format!("2 of the 24 pictures are damaged and were left out, such as {}", hurt[0])]);
        for split in &parts {
            let mut image = [0; 16];
            split.read(0, &mut image).unwrap();
            assert_eq!(split.file_name(0).unwrap(), format!("{:02}.png", image[0]), "pixels and names stay together");
        }
        std::fs::write(dir.path().join(&whole[2][1]), b"").unwrap();
        let error = splits(&config).unwrap_err().to_string();
        assert!(error.contains("contains no test picture that is not damaged"), "{error}");
    }
}
