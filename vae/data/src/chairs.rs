//! Rendered chairs: 1,393 models, each rendered from 62 viewpoints. The models are split 10:1:1, so that no chair is in
//! two splits.
//!
//! ```text
//! rendered_chairs/  (its folders may also be directly in data.dir)
//!   MODEL/renders/image_000_p020_t011_r096.png      600×600 pixels; the chair is within the middle 400×400
//! ```
//!
//! (M. Aubry et al., 2014, <https://www.di.ens.fr/willow/research/seeing3Dchairs/>)

use std::path::{Path, PathBuf};

use vae_core::config::split_sizes;
use vae_core::config::{Config, DataKind};
use vae_core::data::Split;
use vae_core::random::Purpose;
use vae_core::{Error, Result};

use crate::picture::{Picture, Region};
use crate::pictures::{self, shuffled};
use crate::{archives, folder};

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    let dir = config.data.dir.as_ref();
    let Some(folder) = find(dir) else {
        return Err(archives::missing(DataKind::Chairs, dir, "rendered_chairs/ with MODEL/renders/*.png"));
    };
    let models = models(&folder)?;
    if models.len() < 12 {
        let what = format!("contains {} chairs (MODEL/renders/), expected at least 12, to split 10:1:1", models.len());
        return Err(Error::file(&folder, what));
    }
    let order = Purpose::Split.stream(config.seed, 0).permutation(models.len());
    let mut rest = order.as_slice();
    let mut splits = Vec::new();
    for (part, count) in split_sizes(models.len()).into_iter().enumerate() {
        let (members, others) = rest.split_at(count);
        rest = others;
        let mut renders = Vec::new();
        for &model in members {
            let region = Region::Crop(config.crop());
            let paths = folder::pictures(&folder.join(&models[model]).join("renders"))?;
            renders.extend(paths.into_iter().map(|path| (Picture { path, region }, model as u16)));
        }
        // Scores and `data.limit` take the first pictures, and a chair has 62 renders.
        let mut renders = shuffled(renders, config.seed, 1 + part as u64);
        if part == 0 && config.data.limit > 0 {
            renders.truncate(config.data.limit);
        }
        let (pictures, labels): (Vec<Picture>, Vec<u16>) = renders.into_iter().unzip();
        splits.push(Split::all(pictures::images(&pictures, labels, config)?.with_class_names(&models)));
    }
    Ok(splits.try_into().expect("three parts"))
}

/// Returns whether there are chairs.
pub fn files_exist(dir: &Path) -> bool {
    find(dir).is_some()
}

fn find(dir: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| models(folder).is_ok_and(|models| !models.is_empty());
    [dir.join("rendered_chairs"), dir.to_path_buf()].into_iter().find(holds)
}

/// Returns the names of the folders that contain renders, sorted.
fn models(folder: &Path) -> Result<Vec<String>> {
    let mut models = folder::folders(folder)?;
    models.retain(|model| folder.join(model).join("renders").is_dir());
    if models.len() > usize::from(u16::MAX) {
        return Err(Error::file(
            folder,
            format!("contains {} chairs, but at most {} are supported", models.len(), u16::MAX),
        ));
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use image::{GrayImage, Luma};

    use super::*;

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        (config.data.kind, config.data.dir) = (DataKind::Chairs, dir.display().to_string());
        config
    }

    /// Writes renders of 60×60 pixels. The middle 40×40 have the brightness 8 times the model's number; the border is
    /// white.
    fn fake(dir: &Path, models: u8, renders: usize) {
        for model in 0..models {
            let folder = dir.join(format!("rendered_chairs/{model:02}abc/renders"));
            std::fs::create_dir_all(&folder).unwrap();
            let inside = |x, y| (10..50).contains(&x) && (10..50).contains(&y);
            let picture = GrayImage::from_fn(60, 60, |x, y| Luma([if inside(x, y) { 8 * model } else { 255 }]));
            (0..renders).for_each(|i| picture.save(folder.join(format!("image_{i:03}.png"))).unwrap());
        }
        std::fs::write(dir.join("rendered_chairs/all_chair_names.mat"), b"beside them").unwrap();
    }

    #[test]
    fn all_renders_of_a_chair_are_in_one_split() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), 25, 3);
        let mut config = config(dir.path());
        config.data.crop = Some(vae_core::config::Crop::Pixels(40));
        let chairs = |split: &Split| -> BTreeSet<usize> {
            let mut image = vec![0; 64 * 64];
            let read = |place| {
                split.read(place, &mut image).unwrap();
                assert!(image.iter().all(|&x| usize::from(x) == 8 * split.label(place)));
                split.label(place)
            };
            (0..split.count()).map(read).collect()
        };
        let parts = splits(&config).unwrap();
        assert_eq!(parts.each_ref().map(Split::count), [21 * 3, 2 * 3, 2 * 3]);
        let parts = parts.each_ref().map(chairs);
        assert_eq!(parts.each_ref().map(BTreeSet::len), [21, 2, 2]);
        assert_eq!(parts.iter().flatten().collect::<BTreeSet<_>>().len(), 25);
        config.seed += 1;
        assert_ne!(splits(&config).unwrap().each_ref().map(chairs), parts);
        config.data.limit = 7;
        let parts = splits(&config).unwrap();
        assert_eq!(parts.each_ref().map(Split::count), [7, 6, 6]);
        assert!(chairs(&parts[0]).len() > 3, "the first seven renders are of three chairs");
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let says = || splits(&config(dir.path())).unwrap_err().to_string();
        let missing = says();
        assert!(missing.contains("MODEL/renders/*.png") && missing.contains("rendered_chairs.tar"), "{missing}");
        fake(dir.path(), 11, 1);
        assert!(says().contains("contains 11 chairs"));
        fake(dir.path(), 12, 1);
        std::fs::write(dir.path().join("rendered_chairs/03abc/renders/image_000.png"), b"<html>").unwrap();
        assert!(says().contains("image_000.png: is a web page"));
    }
}
