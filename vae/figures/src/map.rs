//! The map of two latents while a model learns: the decoder's images of a grid of codes, after an epoch.
//!
//! ```text
//! image(i, j) = decoder(z₁, z₂),  z₁ = −2 … 2 to the right,  z₂ = −2 … 2 upwards
//! ```
//!
//! Only a model with exactly two latents can be seen whole in this way. Its run keeps such pictures as `map/NNNN.png`, where NNNN is
//! the number of epochs, 0 before training. The report and the live page have a slider over them.

use std::fs;
use std::path::Path;

use image::DynamicImage;
use image::imageops::thumbnail;
use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_core::config::Config;
use vae_core::predict::Predictor;
use vae_run::RunFile;

use crate::figure;

/// The folder of the pictures in that of a run.
const FOLDER: &str = "map";
/// Images of a row and of a column.
pub const SIDE: usize = 7;
/// The latents at the ends of a row and of a column.
pub const REACH: f32 = 2.0;
/// The largest number of pictures that a run keeps, without that of the untrained model.
const MOST: usize = 20;
/// Images are made smaller than this number of pixels, so that all pictures of a run are about a megabyte.
const PIXELS: u32 = 32;
/// The most bytes of a picture that a report shows. Ours are far below.
const BYTES: u64 = 1 << 20;

/// Returns whether a model has a map: two latents that it decodes.
pub fn fits(config: &Config) -> bool {
    config.model.is_vae() && config.model.z_dim == 2
}

/// Returns the map as a PNG with the current weights. A conditional model gets the first label.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If the model has no map ([`fits`]).
pub fn draw(predictor: &Predictor) -> Result<Vec<u8>> {
    let place = |i: usize| REACH * (2.0 * i as f32 / (SIDE - 1) as f32 - 1.0);
    let codes: Vec<f32> = (0..SIDE * SIDE).flat_map(|i| [place(i % SIDE), -place(i / SIDE)]).collect();
    let codes = Tensor::new(&codes, [SIDE * SIDE, 2]);
    let pixels = block_on(predictor.decode(&codes, &[0; SIDE * SIDE]))?.expect("a model with latents decodes them");
    let shape = predictor.transform.shape();
    let picture = figure::mosaic(&pixels, shape, SIDE);
    let size = picture.width().min(PIXELS * SIDE as u32);
    let picture = thumbnail(&picture, size, size);
    Ok(match shape[0] {
        1 => figure::encoded(&DynamicImage::from(picture).into_luma8()),
        _ => figure::encoded(&picture),
    })
}

/// The picture that a run keeps after so many epochs, if it keeps one.
pub(crate) fn of_epoch(predictor: &Predictor, epoch: usize) -> Result<Vec<RunFile>> {
    let config = &predictor.config;
    if !fits(config) || !is_due(epoch, config.train.epochs) {
        return Ok(Vec::new());
    }
    Ok(vec![(format!("{FOLDER}/{epoch:04}.png"), draw(predictor)?)])
}

/// Returns whether the picture after an epoch of a run of `epochs` is kept. They are evenly apart, and include the first and the last.
fn is_due(epoch: usize, epochs: usize) -> bool {
    epoch == epochs || epoch.is_multiple_of(epochs.div_ceil(MOST).max(1))
}

/// The pictures in the folder of a run: the number of epochs of each, in ascending order, and its PNG. What cannot be read, or is no
/// such picture, is left out: a run without them is as good as one with them.
pub fn of_run(run: &Path) -> Vec<(usize, Vec<u8>)> {
    let entries = fs::read_dir(run.join(FOLDER)).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let epoch = entry.file_name().to_str()?.strip_suffix(".png")?.parse().ok()?;
        let small = entry.metadata().is_ok_and(|data| data.is_file() && data.len() <= BYTES);
        let bytes = small.then(|| fs::read(entry.path()).ok())??;
        bytes.starts_with(b"\x89PNG\r\n\x1a\n").then_some((epoch, bytes))
    };
    let mut all: Vec<(usize, Vec<u8>)> = entries.filter_map(read).collect();
    all.sort_by_key(|(epoch, _)| *epoch);
    all.truncate(4 * MOST);
    all
}

/// A sentence about the map after so many epochs, for readers who cannot see it.
pub fn words(epoch: usize) -> String {
    let when = if epoch == 0 { "before training".to_owned() } else { format!("after epoch {epoch}") };
    format!(
        "{SIDE} by {SIDE} decoded images {when}: latent 0 goes from -{REACH} to {REACH} to the right, latent 1 upwards."
    )
}

#[cfg(test)]
mod tests {
    use vae_core::config::Settings;
    use vae_core::data::Dataset;
    use vae_core::learn;
    use vae_core::train::Trainer;

    use super::*;

    fn trainer(settings: &[&str]) -> Trainer {
        let mut all = Settings::default();
        let small = ["model.kind=dense", "model.hidden=4", "data.kind=shapes", "data.images=60", "data.image_size=16"];
        small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
        Trainer::from_learner(config, dataset, model, tensor::Device::Cpu)
    }

    #[test]
    fn the_pictures_of_a_run_are_evenly_apart_and_few() {
        let due = |epochs: usize| (0..=epochs).filter(|epoch| is_due(*epoch, epochs)).collect::<Vec<_>>();
        assert_eq!(due(3), [0, 1, 2, 3]);
        assert_eq!(due(MOST), (0..=MOST).collect::<Vec<_>>());
        assert_eq!(due(2 * MOST + 1)[..3], [0, 3, 6]);
        for epochs in 1..400 {
            let due = due(epochs);
            assert!(due.len() <= MOST + 2 && due[0] == 0 && due.last() == Some(&epochs), "{epochs}: {due:?}");
        }
    }

    /// The image at the upper left has the lowest first and the highest second latent. A large image is made smaller.
    #[test]
    fn the_map_has_the_first_latent_to_the_right_and_the_second_upwards() {
        let trainer = trainer(&["model.z_dim=2"]);
        let predictor = trainer.predictor();
        let map = image::load_from_memory(&draw(&predictor).unwrap()).unwrap().into_rgb8();
        assert_eq!(map.dimensions(), (7 * 16, 7 * 16));
        for (column, row, z) in [(0, 0, [-2.0, 2.0]), (6, 0, [2.0, 2.0]), (0, 6, [-2.0, -2.0]), (3, 3, [0.0, 0.0])] {
            let pixels = block_on(predictor.decode(&Tensor::new(&z, [1, 2]), &[0])).unwrap().unwrap();
            for i in 0..16 * 16 {
                let found = f32::from(map.get_pixel(column * 16 + i % 16, row * 16 + i / 16).0[0]) / 255.0;
                assert!((found - pixels[i as usize]).abs() < 0.003, "{z:?}, pixel {i}: {found}");
            }
        }
        let large = self::trainer(&["model.z_dim=2", "data.image_size=64"]);
        let map = image::load_from_memory(&draw(&large.predictor()).unwrap()).unwrap();
        assert_eq!((map.width(), map.height()), (7 * 32, 7 * 32));
    }

    #[test]
    fn only_models_with_two_latents_have_a_map() {
        let files = |settings: &[&str], epoch| {
            let files = of_epoch(&trainer(settings).predictor(), epoch).unwrap();
            files.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(files(&["model.z_dim=2"], 0), ["map/0000.png"]);
        assert_eq!(files(&["model.z_dim=2", "train.epochs=60"], 15), ["map/0015.png"]);
        assert!(files(&["model.z_dim=2", "train.epochs=60"], 16).is_empty());
        assert!(files(&["model.z_dim=3"], 0).is_empty());
        assert!(files(&["model.kind=classifier", "model.width=2", "model.z_dim=2"], 0).is_empty());
    }

    #[test]
    fn the_pictures_of_a_run_are_read_in_order_and_others_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        assert!(of_run(dir.path()).is_empty());
        let map = dir.path().join(FOLDER);
        fs::create_dir(&map).unwrap();
        let png = |last: u8| [b"\x89PNG\r\n\x1a\n".as_slice(), &[last]].concat();
        for (name, bytes) in [
            ("0010.png", png(10)),
            ("0002.png", png(2)),
            ("0003.png", b"GIF89a".to_vec()),
            ("0004.gif", png(4)),
            ("best.png", png(5)),
            ("0006.png", [png(6), vec![0; BYTES as usize]].concat()),
        ] {
            fs::write(map.join(name), bytes).unwrap();
        }
        fs::create_dir(map.join("0007.png")).unwrap();
        assert_eq!(of_run(dir.path()), [(2, png(2)), (10, png(10))]);
        assert!(words(0).contains("before training") && words(3).contains("after epoch 3"));
    }
}
