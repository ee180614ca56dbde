//! A cache has the images that are decoded into memory, and each picture is decoded once.

use image::{Rgb, RgbImage};
use vae_core::config::{Config, DataKind};
use vae_core::data::Split;

use super::*;
use crate::folder::{Own, splits};

/// A folder with `count` pictures of two labels, which differ in brightness, and a place for a cache.
fn folder(count: u8) -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..count {
        put(dir.path(), i, i);
    }
    let mut config = Config::default();
    (config.data.kind, config.data.dir) = (DataKind::Folder, dir.path().join("pictures").display().to_string());
    (config.data.image_size, config.data.channels) = (Some(4), Some(3));
    config.data.cache = dir.path().join("made/cache").display().to_string();
    (dir, config)
}

/// Every third picture is not square.
fn put(dir: &Path, i: u8, brightness: u8) {
    let path = dir.join(format!("pictures/{}/{i:02}.png", ["cats", "dogs"][usize::from(i % 2)]));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let width = if i.is_multiple_of(3) { 12 } else { 8 };
    RgbImage::from_fn(width, 8, |x, y| Rgb([brightness, x as u8, y as u8])).save(path).unwrap();
}

/// The images of all parts with their labels and names.
type Contents = Vec<(Vec<u8>, usize, String)>;

/// The images, and what a user is told.
fn contents(config: &Config) -> (Contents, Vec<String>) {
    let Own { splits, notes } = splits(config).unwrap();
    let read = |split: &Split, place: usize| {
        let mut image = vec![0; 48];
        split.read(place, &mut image).unwrap();
        if let Some(key) = split.images().key(split.indices()[place]) {
            assert_eq!(key, image_hash(&image, [4, 4, 3]), "the hash is that of the pixels");
        }
        (image, split.label(place), split.file_name(place).unwrap().to_owned())
    };
    let images = splits.iter().flat_map(|split| (0..split.count()).map(|place| read(split, place))).collect();
    (images, notes)
}

fn in_memory(config: &Config) -> (Contents, Vec<String>) {
    let mut config = config.clone();
    config.data.cache.clear();
    contents(&config)
}

/// The note about decoded pictures. The others are those of a run without a cache.
fn decoded(config: &Config) -> Option<String> {
    let ((images, mut notes), (expected, others)) = (contents(config), in_memory(config));
    assert!(images == expected, "other images than in memory");
    let note = (notes.len() > others.len()).then(|| notes.pop().unwrap());
    assert_eq!(notes, others);
    note.map(|note| note.split_once(" into ").unwrap().0.to_owned())
}

#[test]
fn each_picture_is_decoded_once_and_the_images_are_those_in_memory() {
    let (_dir, mut config) = folder(26);
    assert_eq!(decoded(&config).as_deref(), Some("26 pictures were decoded"));
    assert_eq!(decoded(&config), None);
    config.seed += 1;
    assert_eq!(decoded(&config), None, "other splits use the same pictures");
    config.data.crop = Some(Crop::None);
    assert_eq!(decoded(&config).as_deref(), Some("26 pictures were decoded"), "other images");
    let [train, ..] = splits(&config).unwrap().splits;
    assert!(train.images().memory() <= 16 * train.count() as u64, "no pixels are in memory");
}

#[test]
fn a_new_picture_and_a_changed_one_are_decoded_and_no_other() {
    let (dir, config) = folder(26);
    let before = splits(&config).unwrap();
    put(dir.path(), 7, 200);
    assert!(decoded(&config).is_some_and(|note| note == "1 picture was decoded"));
    put(dir.path(), 26, 26);
    put(dir.path(), 27, 27);
    assert_eq!(decoded(&config).as_deref(), Some("2 pictures were decoded"));
    fs::remove_file(dir.path().join("pictures/cats/00.png")).unwrap();
    assert_eq!(decoded(&config), None);
    // What was read before the changes is still there.
    let read = |place| {
        let mut image = [0; 48];
        before.splits[0].read(place, &mut image).unwrap();
        image[0]
    };
    let mut train: Vec<u8> = (0..before.splits[0].count()).map(read).collect();
    train.sort_unstable();
    assert!(train.len() == 22 && train.iter().all(|&brightness| brightness < 26), "{train:?}");
}

#[test]
fn what_a_stopped_run_left_is_removed_and_a_damaged_index_is_made_again() {
    let (dir, config) = folder(26);
    assert!(decoded(&config).is_some());
    let file = |kind: &str| {
        let files = fs::read_dir(dir.path().join("made/cache")).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == kind)).unwrap()
    };
    let (pixels, index) = (file("pixels"), file("index"));
    let whole = fs::read(&pixels).unwrap();
    fs::write(&pixels, [&whole[..], &[9; 100]].concat()).unwrap();
    assert_eq!(decoded(&config), None);
    assert_eq!(fs::read(&pixels).unwrap(), whole);
    let bytes = fs::read(&index).unwrap();
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], b"", b"something else"] {
        fs::write(&index, damaged).unwrap();
        assert_eq!(decoded(&config).as_deref(), Some("26 pictures were decoded"));
    }
    assert_eq!(fs::read(&pixels).unwrap().len(), 5 * whole.len(), "a run that began before reads what it did");
    fs::write(&pixels, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(decoded(&config).as_deref(), Some("26 pictures were decoded"), "pixels are missing");
}

#[test]
fn damaged_pictures_are_an_error_or_left_out_and_counted_each_time() {
    let (dir, mut config) = folder(26);
    fs::write(dir.path().join("pictures/dogs/11.png"), b"\x89PNG").unwrap();
    let error = splits(&config).unwrap_err().to_string();
    assert!(error.contains("11.png") && error.contains("data.skip_damaged"), "{error}");
    config.data.skip_damaged = true;
    config.data.cache += "-2"; // the first one has the pictures of the parts before the damaged one
    assert_eq!(decoded(&config).as_deref(), Some("25 pictures were decoded"));
    assert_eq!(decoded(&config), None);
    put(dir.path(), 11, 11);
    assert_eq!(decoded(&config).as_deref(), Some("1 picture was decoded"));
}

#[test]
fn runs_that_start_at_the_same_time_share_a_cache() {
    let (_dir, config) = folder(60);
    let expected = in_memory(&config).0;
    let notes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| contents(&config))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(notes.iter().all(|(images, _)| *images == expected));
    let decoding = notes.iter().filter(|(_, notes)| notes.concat().contains("60 pictures were decoded"));
    assert_eq!(decoding.count(), 1, "only the first decodes");
}

#[test]
fn a_cache_that_cannot_be_made_is_an_error_that_names_it() {
    let (dir, mut config) = folder(26);
    config.data.cache = dir.path().join("pictures/cats/00.png/cache").display().to_string();
    let error = splits(&config).unwrap_err().to_string();
    assert!(error.contains("00.png/cache: ") && error.contains("choose one that can be written"), "{error}");
}
