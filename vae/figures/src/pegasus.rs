//! A winged horse from a horse and a bird, by arithmetic on latents:
//!
//! z = w·μ(a) + (1 − w)·s·μ(b),   s = −1 if b is negated, else 1.
//!
//! Negating the latents of a bird inverts its brightness: dark wings on a bright sky become bright wings on a dark one. The
//! paper ("Pegasus", a residual VAE on STL-10) picks 64 white horses and 64 birds by eye, negates the birds with dark wings and
//! takes w = 0.6. Here [`Pick::Class`] picks the whitest images of a class, and [`Negate::Dark`] negates birds that are darker
//! than their surroundings.

use std::path::PathBuf;

use pollster::block_on;
use tensor::Tensor;
use vae_core::data::{Split, nearest_neighbours};
use vae_core::predict::Predictor;
use vae_core::{Error, Result};
use vae_data::folder::{self, OwnPicture};
use vae_data::pictures::Damaged;

/// The selection of images.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// The whitest images of a class, by the name of the class.
    Class(String),
    /// The images of these indices in the split.
    Places(Vec<usize>),
    /// Image files.
    Files(Vec<PathBuf>),
}

/// The selection of latents to negate.
#[derive(Clone, Debug, PartialEq)]
pub enum Negate {
    /// The latents of images whose middle is darker than their border.
    Dark,
    /// The latents of no image (`false`) or of all (`true`).
    Each(bool),
    /// The latents of these pairs, counted from 0.
    Places(Vec<usize>),
}

/// Selected images and their origin.
pub struct Picked {
    split: Split,
    /// The index of each image in the split.
    pub places: Vec<usize>,
    /// Their pixels in [0, 1], image after image.
    pub pixels: Vec<f32>,
}

/// Pairs of images and their blends. All pixels are in [0, 1], image after image.
pub struct Blended {
    /// Whether the latents of b were negated, for each pair.
    pub negated: Vec<bool>,
    /// The decoded s·μ(b).
    pub turned: Vec<f32>,
    /// The decoded z.
    pub blends: Vec<f32>,
    /// The training image with the smallest mean squared error to each blend: its index and this error.
    pub nearest: Vec<(usize, f64)>,
    /// The pixels of those training images.
    pub neighbours: Vec<f32>,
}

impl Pick {
    /// Parses a list separated by commas: whole numbers are indices, a word without a dot or slash is a class, and all else are
    /// files.
    pub fn parse(words: &str) -> Pick {
        let parts: Vec<&str> = words.split(',').map(str::trim).collect();
        if let Ok(places) = parts.iter().map(|part| part.parse()).collect() {
            return Pick::Places(places);
        }
        match &parts[..] {
            [class] if !class.contains(['.', '/', '\\']) => Pick::Class((*class).to_owned()),
            files => Pick::Files(files.iter().map(PathBuf::from).collect()),
        }
    }

    /// Returns at most `count` images, of `split` or of the files.
    ///
    /// # Errors
    /// If a class, an index or a file does not exist.
    pub fn take(&self, predictor: &Predictor, split: &Split, count: usize) -> Result<Picked> {
        match self {
            Pick::Places(places) => {
                if let Some(place) = places.iter().find(|&&place| place >= split.count()) {
                    let has = match split.count() {
                        0 => "no images".to_owned(),
                        count => format!("images 0 to {}", count - 1),
                    };
                    return Err(Error::config(format!("there is no image {place}; the split has {has}")));
                }
                Picked::new(predictor, split, places[..count.min(places.len())].to_vec())
            }
            Pick::Files(paths) => {
                let pictures: Vec<_> = paths.iter().map(|path| OwnPicture::file(path)).collect();
                let read = folder::read(&pictures, &predictor.config, Damaged::Stop("name another picture"))?;
                let all = Split::all(read.images);
                Picked::new(predictor, &all, (0..count.min(paths.len())).collect())
            }
            Pick::Class(name) => {
                let names = split.images().class_names();
                let Some(label) = names.iter().position(|known| known == name) else {
                    let known = if names.is_empty() { "the classes have no names".into() } else { names.join(", ") };
                    return Err(Error::config(format!(
                        "there is no class \"{name}\" ({known}); name numbers of images such as 0,7,12, or files"
                    )));
                };
                let places = (0..split.count()).filter(|&place| split.label(place) == label).collect();
                let all = Picked::new(predictor, split, places)?;
                let shape = predictor.transform.shape();
                let white: Vec<f64> = all.pixels.chunks(shape.iter().product()).map(|x| whiteness(x, shape)).collect();
                let mut order: Vec<usize> = (0..white.len()).collect();
                order.sort_by(|&i, &j| white[j].total_cmp(&white[i]));
                Picked::new(predictor, split, order.into_iter().take(count).map(|i| all.places[i]).collect())
            }
        }
    }
}

impl Picked {
    fn new(predictor: &Predictor, split: &Split, places: Vec<usize>) -> Result<Picked> {
        let pixels = block_on(predictor.to_unit(&predictor.batch(split, &places)?))?;
        Ok(Picked { split: split.clone(), places, pixels })
    }

    fn truncate(&mut self, count: usize) {
        self.pixels.truncate(self.pixels.len() / self.places.len().max(1) * count);
        self.places.truncate(count);
    }

    /// The posterior means, `[places, z]`.
    fn latents(&self, predictor: &Predictor) -> Result<Tensor> {
        let gaussians = block_on(predictor.encode(&self.split, &self.places))?;
        let [mu, _] = gaussians.ok_or_else(|| {
            Error::config(format!("model.kind = \"{}\" has no latents to blend", predictor.config.model.kind))
        })?;
        Ok(mu)
    }
}

/// Blends pairs: the first image of a with the first of b and so on, as many as the shorter side has. The nearest neighbours of
/// the blends are searched in `train`.
///
/// # Errors
/// If the model has no latents, an index to negate is out of range, or an image cannot be read.
pub fn blend(
    predictor: &Predictor,
    train: &Split,
    [a, b]: [&mut Picked; 2],
    negate: &Negate,
    weight: f32,
) -> Result<Blended> {
    let count = a.places.len().min(b.places.len());
    if count == 0 {
        return Err(Error::config("there is nothing to blend: one of the two sides has no image"));
    }
    a.truncate(count);
    b.truncate(count);
    let shape = predictor.transform.shape();
    let negated: Vec<bool> = match negate {
        Negate::Each(all) => vec![*all; count],
        Negate::Dark => b.pixels.chunks(shape.iter().product()).map(|x| is_dark_inside(x, shape)).collect(),
        Negate::Places(places) => {
            if let Some(place) = places.iter().find(|&&place| place >= count) {
                return Err(Error::config(format!(
                    "--negate {place}: there is no such pair; pairs are 0 to {}",
                    count - 1
                )));
            }
            (0..count).map(|place| places.contains(&place)).collect()
        }
    };
    let (mu_a, mut turned) = (a.latents(predictor)?, b.latents(predictor)?);
    let z_dim = predictor.config.model.z_dim;
    let rows = turned.data_mut().chunks_exact_mut(z_dim);
    rows.zip(&negated).filter(|(_, negated)| **negated).for_each(|(row, _)| row.iter_mut().for_each(|z| *z = -*z));
    let z: Vec<f32> = mu_a.data().iter().zip(turned.data()).map(|(a, b)| weight * a + (1.0 - weight) * b).collect();

    let images = |z: &Tensor, of: &Picked| {
        let labels = of.split.labels(&of.places);
        block_on(predictor.decode(z, &labels)).map(|pixels| pixels.expect("what has latents decodes them"))
    };
    let turned = images(&turned, b)?;
    let blends = images(&Tensor::new(&z, [count, z_dim]), a)?;
    let nearest = nearest_neighbours(&predictor.transform, train, &blends)?;
    let places: Vec<usize> = nearest.iter().map(|&(place, _)| place).collect();
    let neighbours = Picked::new(predictor, train, places)?.pixels;
    Ok(Blended { negated, turned, blends, nearest, neighbours })
}

/// The whiteness of the middle of an image, in [0, 1]: the mean over its pixels of the smallest channel.
pub fn whiteness(pixels: &[f32], shape: [usize; 3]) -> f64 {
    let area = shape[1] * shape[2];
    let least = |i: usize| pixels.iter().skip(i).step_by(area).copied().fold(f32::INFINITY, f32::min);
    mean((0..area).filter(|&i| is_inside(i, shape)).map(least))
}

/// Returns whether the middle of an image is darker than its border.
pub fn is_dark_inside(pixels: &[f32], shape: [usize; 3]) -> bool {
    let area = shape[1] * shape[2];
    let of = |inside: bool| {
        let wanted = pixels.iter().enumerate().filter(move |(i, _)| is_inside(i % area, shape) == inside);
        mean(wanted.map(|(_, &x)| x))
    };
    of(true) < of(false)
}

/// Whether the pixel number `place` of a plane is in the middle half of its rows and columns.
fn is_inside(place: usize, [_, height, width]: [usize; 3]) -> bool {
    let within = |x: usize, side: usize| (side / 4..side - side / 4).contains(&x);
    within(place / width, height) && within(place % width, width)
}

fn mean(numbers: impl Iterator<Item = f32>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), x| (sum + f64::from(x), count + 1));
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use tensor::Device;
    use vae_core::config::Settings;
    use vae_core::data::Dataset;
    use vae_core::learn;

    use super::*;

    fn model(settings: &[&str]) -> (Predictor, Dataset) {
        let mut all = Settings::default();
        let small = ["data.kind=shapes", "data.images=120", "model.kind=dense", "model.hidden=8", "data.image_size=16"];
        small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        let dataset = Dataset::built_in(&config).unwrap();
        let model = learn::build(&config);
        (Predictor::new(config, model, dataset.transform.clone(), Device::Cpu), dataset)
    }

    fn all_near(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn weight_one_gives_side_a_and_zero_the_negated_side_b() {
        let (predictor, dataset) = model(&[]);
        let validation = &dataset.validation;
        let take = |places: &str| Pick::parse(places).take(&predictor, validation, 9).unwrap();
        let [_, guesses] = block_on(predictor.reconstructions(validation, &[0, 1, 2])).unwrap().unwrap();
        let (mut long, mut short) = (take("0,1,2"), take("3,4"));
        let first = long.pixels[..2 * 256].to_vec();
        let whole = blend(&predictor, &dataset.train, [&mut long, &mut short], &Negate::Each(false), 1.0).unwrap();
        assert!(all_near(&whole.blends, &guesses[..2 * 256]), "the shorter side has two");
        assert_eq!((long.places, long.pixels), (vec![0, 1], first));
        assert_eq!(short.pixels.len(), 2 * 256);
        let none =
            blend(&predictor, &dataset.train, [&mut take("3,4"), &mut take("0,1")], &Negate::Places(vec![1]), 0.0)
                .unwrap();
        assert_eq!(none.negated, [false, true]);
        assert!(all_near(&none.blends, &none.turned));
        assert!(all_near(&none.turned[..256], &guesses[..256]) && !all_near(&none.turned[256..], &guesses[256..512]));
        let mu = block_on(predictor.encode(validation, &[1])).unwrap().unwrap()[0].clone();
        let minus = Tensor::new(&mu.data().iter().map(|z| -z).collect::<Vec<_>>(), [1, predictor.config.model.z_dim]);
        assert!(all_near(&none.turned[256..], &block_on(predictor.decode(&minus, &[0])).unwrap().unwrap()));
    }

    #[test]
    fn the_whitest_of_a_class_come_first() {
        let (predictor, dataset) = model(&[]);
        let validation = &dataset.validation;
        let hearts = Pick::parse("heart").take(&predictor, validation, 3).unwrap();
        assert!(!hearts.places.is_empty() && hearts.places.iter().all(|&place| validation.label(place) == 2));
        let white: Vec<f64> = hearts.pixels.chunks(256).map(|x| whiteness(x, [1, 16, 16])).collect();
        assert!(white.is_sorted_by(|a, b| a >= b), "{white:?}");
    }

    /// An image of 8×8: red, with a yellow middle of 4×4.
    #[test]
    fn whiteness_is_the_smallest_channel_and_dark_is_less_than_the_border() {
        let inside = |i: usize| is_inside(i, [3, 8, 8]);
        let green: Vec<f32> = (0..64).map(|i| if inside(i) { 1.0 } else { 0.0 }).collect();
        let pixels = [&[1.0; 64][..], &green, &[0.25; 64]].concat();
        assert_eq!((green.iter().sum::<f32>(), whiteness(&pixels, [3, 8, 8])), (16.0, 0.25));
        assert!(!is_dark_inside(&pixels, [3, 8, 8]));
        let over: Vec<f32> = pixels.iter().map(|x| 1.0 - x).collect();
        assert!(is_dark_inside(&over, [3, 8, 8]) && whiteness(&over, [3, 8, 8]) == 0.0);
        assert!(!is_dark_inside(&[0.5; 64], [1, 8, 8]), "as bright");
    }

    #[test]
    fn selections_are_parsed_and_impossible_ones_refused() {
        assert_eq!(Pick::parse("3, 7"), Pick::Places(vec![3, 7]));
        assert_eq!(Pick::parse("horse"), Pick::Class("horse".into()));
        assert_eq!(Pick::parse("a.jpg,b/c"), Pick::Files(vec!["a.jpg".into(), "b/c".into()]));
        for file in ["a.jpg", "b/c", "b\\c"] {
            assert_eq!(Pick::parse(file), Pick::Files(vec![file.into()]));
        }
        let vae = model(&[]);
        let told = |(predictor, dataset): &(Predictor, Dataset), words: &str| {
            let pick = Pick::parse(words).take(predictor, &dataset.test, 4);
            let mut picked = pick?;
            let mut other = Pick::parse("0").take(predictor, &dataset.test, 4)?;
            blend(predictor, &dataset.train, [&mut picked, &mut other], &Negate::Places(vec![1]), 0.5).map(|_| ())
        };
        let (classifier, dataset) = model(&["model.kind=classifier", "model.width=2"]);
        for (model, words, says) in [
            (&vae, "10", "the split has images 0 to 9"),
            (&vae, "horse", "there is no class \"horse\" (square, ellipse, heart)"),
            (&vae, "nowhere.png", "nowhere.png"),
            (&vae, "0", "--negate 1: there is no such pair; pairs are 0 to 0"),
        ] {
            let error = told(model, words).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{words}: {error}");
        }
        let mut sides = [0, 1].map(|i| Pick::Places(vec![i]).take(&classifier, &dataset.test, 1).unwrap());
        let [a, b] = &mut sides;
        let error = blend(&classifier, &dataset.train, [a, b], &Negate::Dark, 0.5).err().unwrap().to_string();
        assert!(error.contains("has no latents to blend"), "{error}");
    }
}
