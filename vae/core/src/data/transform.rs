//! Converts image bytes to model input, and model output back to pixels in [0, 1].
//!
//! The steps are channels, then size, then range:
//!
//! - Channels: grey is repeated, colour becomes luma.
//! - Size: images of 28 × 28 get a black border up to a size of 32. All others are resized bilinearly with half-pixel
//!   centres, as PyTorch's `align_corners=False`.
//! - Range, for a pixel x in [0, 1]: `unit` is x, `symmetric` is 2x − 1, `standard` is (x − mean)/std per channel.
//! - With `data.binarise`, each pixel becomes 0 or 1, by the draw of the image (see `binary`).

use tensor::Tensor;

use crate::config::{Binarise, Config, Normalise};
use crate::data::{Split, binary};
use crate::error::Result;
use crate::luma::luma8;

/// The conversion of bytes to model input.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    channels: usize,
    size: usize,
    /// The mean of each channel. It is subtracted from pixels in [0, 1].
    pub mean: Vec<f64>,
    /// The standard deviation of each channel. Pixels are divided by it after the subtraction.
    pub std: Vec<f64>,
    /// For each channel the model input for each byte value.
    tables: Vec<[f32; 256]>,
    /// Whether pixels become 0 or 1.
    is_binary: bool,
}

impl Transform {
    /// Creates the transform of a configuration. With `data.normalise = "standard"` it computes mean and standard
    /// deviation of the images of `train`.
    ///
    /// # Errors
    /// See [`Source::read`](crate::data::Source::read).
    pub fn new(config: &Config, train: &Split) -> Result<Transform> {
        if let Some(transform) = Transform::without_images(config) {
            return Ok(transform);
        }
        let (mean, std) = moments(train, config.channels(), config.image_size())?;
        Ok(Transform::from_moments(config.image_size(), mean, std).expect("moments of images"))
    }

    /// Creates the transform of a configuration that does not depend on the images. Returns `None` for
    /// `data.normalise = "standard"`.
    pub fn without_images(config: &Config) -> Option<Transform> {
        let (mean, std) = match config.data.normalise {
            Normalise::Unit => (0.0, 1.0),
            Normalise::Symmetric => (0.5, 0.5),
            Normalise::Standard => return None,
        };
        let (size, channels) = (config.image_size(), config.channels());
        let transform = Transform::from_moments(size, vec![mean; channels], vec![std; channels]);
        transform.map(|transform| transform.with_binary_pixels(config))
    }

    /// Creates the transform that subtracts `mean` from pixels in [0, 1] and divides by `std`, with one number of each for
    /// each channel. Returns `None` if there are not 1 or 3 channels, or if a number is not finite or a deviation not
    /// positive.
    pub fn from_moments(size: usize, mean: Vec<f64>, std: Vec<f64>) -> Option<Transform> {
        let channels = mean.len();
        let is_valid = [1, 3].contains(&channels) && std.len() == channels && mean.iter().all(|mean| mean.is_finite());
        if !is_valid || !std.iter().all(|&std| std > 0.0 && std.is_finite()) {
            return None;
        }
        let table = |(mean, std): (&f64, &f64)| {
            std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32) // borders and unscaled images use this table
        };
        let tables = mean.iter().zip(&std).map(table).collect();
        Some(Transform { channels, size, mean, std, tables, is_binary: false })
    }

    /// Makes pixels 0 or 1 if `data.binarise` says so.
    pub fn with_binary_pixels(self, config: &Config) -> Transform {
        Transform { is_binary: config.data.binarise != Binarise::None, ..self }
    }

    /// Returns the shape of a model input: channels, rows, columns.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.size, self.size]
    }

    /// Returns the model input for the byte values 0 and 255 of a channel.
    pub fn range(&self, channel: usize) -> [f32; 2] {
        [self.tables[channel][0], self.tables[channel][255]]
    }

    /// Returns the images at the positions `places` of `split` as model input, `[places, channels, size, size]`, on the
    /// CPU.
    ///
    /// # Errors
    /// See [`Source::read`](crate::data::Source::read).
    pub fn batch(&self, split: &Split, places: &[usize]) -> Result<Tensor> {
        self.each(places, |place, image| self.apply(split, place, image))
    }

    /// Returns the same before pixels become 0 or 1.
    pub(super) fn batch_before_draws(&self, split: &Split, places: &[usize]) -> Result<Tensor> {
        self.each(places, |place, image| self.convert(split, place, image))
    }

    fn each(&self, places: &[usize], write: impl Fn(usize, &mut [f32]) -> Result<()>) -> Result<Tensor> {
        let [channels, size, _] = self.shape();
        let mut out = Tensor::zeros([places.len(), channels, size, size]);
        for (image, &place) in out.data_mut().chunks_exact_mut(channels * size * size).zip(places) {
            write(place, image)?;
        }
        Ok(out)
    }

    /// Writes the image at position `place` of `split` as model input to `out`, `[channels, size, size]`.
    ///
    /// # Errors
    /// See [`Source::read`](crate::data::Source::read).
    pub fn apply(&self, split: &Split, place: usize, out: &mut [f32]) -> Result<()> {
        self.convert(split, place, out)?;
        if self.is_binary {
            binary::fixed(split.members[place], out);
        }
        Ok(())
    }

    /// Writes the image before its pixels become 0 or 1.
    fn convert(&self, split: &Split, place: usize, out: &mut [f32]) -> Result<()> {
        let [height, width] = split.images.size();
        let planes = planes(split, place, self.channels)?;
        let outs = out.chunks_exact_mut(self.size * self.size);
        for (c, (plane, out)) in planes.chunks_exact(height * width).zip(outs).enumerate() {
            let table = &self.tables[c];
            if let Some(border) = border([height, width], self.size) {
                if self.size > height {
                    out.fill(table[0]);
                }
                for (row, line) in plane.chunks_exact(width).enumerate() {
                    let start = (row + border) * self.size + border;
                    out[start..][..width].iter_mut().zip(line).for_each(|(x, &byte)| *x = table[usize::from(byte)]);
                }
            } else {
                resize(plane, [height, width], self.size, out);
                let (scale, shift) = (1.0 / (255.0 * self.std[c]), self.mean[c] / self.std[c]);
                out.iter_mut().for_each(|x| *x = (f64::from(*x) * scale - shift) as f32);
            }
        }
        Ok(())
    }

    /// Converts model output back to pixels in [0, 1], in place. `pixels` holds whole images.
    pub fn to_unit(&self, pixels: &mut [f32]) {
        for (plane, out) in pixels.chunks_exact_mut(self.size * self.size).enumerate() {
            let (mean, std) = (self.mean[plane % self.channels], self.std[plane % self.channels]);
            out.iter_mut().for_each(|x| *x = (f64::from(*x) * std + mean).clamp(0.0, 1.0) as f32);
        }
    }
}

/// Returns the mean and the standard deviation of each channel over a split, of pixels in [0, 1] at the model's image
/// size. The sums are exact if no pixel is interpolated.
fn moments(split: &Split, channels: usize, size: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let [height, width] = split.images.size();
    let mut sums = vec![[0_u64; 2]; channels];
    let mut resized = vec![[0.0_f64; 2]; channels];
    let mut image = vec![0.0; size * size];
    for place in 0..split.count() {
        let planes = planes(split, place, channels)?;
        for (c, plane) in planes.chunks_exact(height * width).enumerate() {
            if border([height, width], size).is_some() {
                for &byte in plane {
                    sums[c][0] += u64::from(byte);
                    sums[c][1] += u64::from(u32::from(byte).pow(2));
                }
            } else {
                resize(plane, [height, width], size, &mut image);
                for &x in &image {
                    resized[c][0] += f64::from(x);
                    resized[c][1] += f64::from(x).powi(2);
                }
            }
        }
    }
    let n = (split.count() * size * size) as f64;
    let moments = sums.iter().zip(&resized).map(|(whole, resized)| {
        let [sum, squares] = [0, 1].map(|k| whole[k] as f64 + resized[k]);
        let (mean, mean_square) = (sum / n / 255.0, squares / n / 255.0_f64.powi(2));
        let std = (mean_square - mean.powi(2)).max(0.0).sqrt();
        (mean, if std > 1e-6 { std } else { 1.0 }) // a constant channel is not scaled
    });
    Ok(moments.unzip())
}

/// Returns the bytes of an image, converted to `channels` channels.
fn planes(split: &Split, place: usize, channels: usize) -> Result<Vec<u8>> {
    let [height, width] = split.images.size();
    let mut bytes = vec![0; split.images.bytes()];
    split.read(place, &mut bytes)?;
    Ok(match (split.images.channels(), channels) {
        (from, to) if from == to => bytes,
        (1, _) => bytes.repeat(channels),
        _ => grey(&bytes, height * width),
    })
}

/// Returns the luma of a colour image, `[3, area]` → `[area]`.
fn grey(bytes: &[u8], area: usize) -> Vec<u8> {
    (0..area).map(|i| luma8([bytes[i], bytes[area + i], bytes[2 * area + i]])).collect()
}

/// Returns the width of the black border that brings an image to this size, or `None` if it must be resized.
fn border([height, width]: [usize; 2], size: usize) -> Option<usize> {
    match [height, width] {
        [28, 28] if (28..=32).contains(&size) => Some((size - 28) / 2),
        _ if [height, width] == [size, size] => Some(0),
        _ => None,
    }
}

/// Resizes one plane. The result is in 0 to 255.
fn resize(plane: &[u8], [height, width]: [usize; 2], size: usize, out: &mut [f32]) {
    let columns: Vec<_> = (0..size).map(|x| neighbours(x, size, width)).collect();
    for (y, out) in out.chunks_exact_mut(size).enumerate() {
        let (top, bottom, down) = neighbours(y, size, height);
        let [above, below] = [top, bottom].map(|row| &plane[row * width..][..width]);
        for (x, &(left, right, across)) in out.iter_mut().zip(&columns) {
            let between = |row: &[u8]| {
                let [left, right] = [left, right].map(|column| f32::from(row[column]));
                left + (right - left) * across
            };
            let (upper, lower) = (between(above), between(below));
            *x = upper + (lower - upper) * down;
        }
    }
}

/// Returns the two source pixels around the centre of a target pixel, and the weight of the second.
fn neighbours(target: usize, size: usize, source: usize) -> (usize, usize, f32) {
    let centre = ((target as f32 + 0.5) * source as f32 / size as f32 - 0.5).max(0.0);
    let first = centre as usize;
    (first, (first + 1).min(source - 1), centre - first as f32)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Dataset, Images};

    fn split(pixels: &[u8], channels: usize, side: usize) -> Split {
        let count = pixels.len() / (channels * side * side);
        let images = Images::new(pixels.to_vec(), vec![0; count], channels, [side, side]);
        Split { images: Arc::new(images), members: (0..count).collect() }
    }

    fn seen(config: &Config, split: &Split) -> Vec<f32> {
        let transform = Transform::new(config, split).unwrap();
        let [channels, size, _] = transform.shape();
        let mut out = vec![0.0; channels * size * size];
        transform.apply(split, 0, &mut out).unwrap();
        out
    }

    fn config(channels: usize, size: usize, normalise: Normalise) -> Config {
        let mut config = Config::default();
        (config.data.channels, config.data.image_size, config.data.normalise) = (Some(channels), Some(size), normalise);
        config
    }

    #[test]
    fn digits_get_a_black_border_of_two() {
        let out = seen(&config(1, 32, Normalise::Unit), &split(&[255; 28 * 28], 1, 28));
        let white = out.iter().filter(|&&x| x == 1.0).count();
        assert_eq!(
            (white, out[2 * 32 + 2], out[2 * 32 + 1], out[29 * 32 + 29], out[30 * 32 + 29]),
            (784, 1.0, 0.0, 1.0, 0.0)
        );
    }

    #[test]
    fn resizing_is_bilinear_between_pixel_centres() {
        // torch.nn.functional.interpolate([[0, 100], [200, 255]], size=4, mode="bilinear"), by hand
        let out = seen(&config(1, 4, Normalise::Unit), &split(&[0, 100, 200, 255], 1, 2));
        let row = |y: usize| out[y * 4..][..4].iter().map(|x| (x * 255.0 * 16.0).round() / 16.0).collect::<Vec<_>>();
        assert_eq!(row(0), [0.0, 25.0, 75.0, 100.0]);
        assert_eq!(row(1), [50.0, 72.1875, 116.5625, 138.75]);
        assert_eq!(row(3), [200.0, 213.75, 241.25, 255.0]);
    }

    #[test]
    fn a_resized_image_has_the_same_range() {
        let out = seen(&config(1, 24, Normalise::Symmetric), &split(&[51; 256], 1, 16));
        assert!(out.iter().all(|x| (x + 0.6).abs() < 1e-6), "{}", out[0]);
    }

    #[test]
    fn every_range_is_correct_and_can_be_inverted() {
        let images =
            split(&(0..=255).cycle().take(2 * 3 * 256).map(|i: u8| i.wrapping_mul(7)).collect::<Vec<_>>(), 3, 16);
        for normalise in [Normalise::Unit, Normalise::Symmetric, Normalise::Standard] {
            let config = config(3, 16, normalise);
            let transform = Transform::new(&config, &images).unwrap();
            let mut out = seen(&config, &images);
            let (low, high) = out.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
            match normalise {
                Normalise::Unit => assert_eq!((low, high), (0.0, 1.0)),
                Normalise::Symmetric => assert_eq!((low, high), (-1.0, 1.0)),
                Normalise::Standard => assert!((low + 1.73).abs() < 0.02 && (high - 1.73).abs() < 0.02), // uniform: ±√3
            }
            transform.to_unit(&mut out);
            let mut bytes = vec![0; 3 * 256];
            images.read(0, &mut bytes).unwrap();
            let back = out.iter().zip(&bytes).all(|(&x, &byte)| (x * 255.0 - f32::from(byte)).abs() < 1e-3);
            assert!(back, "{normalise}");
        }
    }

    #[test]
    fn mean_and_standard_deviation_are_those_of_the_resized_images() {
        // Sizes without border, with border and with resizing, against a two-pass computation on `unit` pixels.
        let pixels: Vec<u8> = (0..3 * 28 * 28).map(|i: usize| (i * i % 251) as u8).collect();
        let images = split(&pixels, 1, 28);
        for size in [28, 29, 32, 40] {
            let unit = Transform::new(&config(1, size, Normalise::Unit), &images).unwrap();
            let mut seen = vec![f32::NAN; 3 * size * size];
            for (place, out) in seen.chunks_exact_mut(size * size).enumerate() {
                unit.apply(&images, place, out).unwrap();
            }
            let mean = |f: &dyn Fn(f64) -> f64| seen.iter().map(|&x| f(f64::from(x))).sum::<f64>() / seen.len() as f64;
            let centre = mean(&|x| x);
            let std = mean(&|x| (x - centre).powi(2)).sqrt();
            let transform = Transform::new(&config(1, size, Normalise::Standard), &images).unwrap();
            let off = (transform.mean[0] - centre).abs().max((transform.std[0] - std).abs());
            assert!(off < 1e-7, "{size}: {off}");
        }
    }

    #[test]
    fn colour_becomes_grey_by_luma_and_grey_becomes_colour_by_repetition() {
        let red: Vec<u8> = [vec![255; 256], vec![0; 512]].concat();
        assert!((seen(&config(1, 16, Normalise::Unit), &split(&red, 3, 16))[0] - 76.0 / 255.0).abs() < 1e-6);
        assert_eq!(seen(&config(3, 16, Normalise::Unit), &split(&[51; 256], 1, 16)), vec![0.2; 768]);
    }

    /// Three pixels: green, blue, red.
    #[test]
    fn the_planes_of_a_colour_image_are_red_green_and_blue() {
        assert_eq!(grey(&[0, 0, 255, 255, 0, 0, 0, 255, 0], 3), [150, 29, 76]);
    }

    #[test]
    fn moments_that_cannot_be_used_are_refused() {
        let with = |mean: &[f64], std: &[f64]| Transform::from_moments(8, mean.to_vec(), std.to_vec());
        assert!(with(&[0.5], &[0.25]).is_some() && with(&[0.5; 3], &[0.25; 3]).is_some());
        assert!(with(&[0.5; 2], &[0.25; 2]).is_none() && with(&[0.5], &[0.25; 3]).is_none());
        assert!(with(&[f64::NAN], &[0.25]).is_none() && with(&[f64::INFINITY], &[0.25]).is_none());
        for std in [0.0, -0.25, f64::NAN, f64::INFINITY] {
            assert!(with(&[0.5; 3], &[0.25, std, 0.25]).is_none(), "{std}");
        }
    }

    #[test]
    fn each_channel_is_converted_back_with_its_own_moments() {
        let transform = Transform::from_moments(2, vec![0.25, 0.5, 0.75], vec![0.5, 0.25, 0.125]).unwrap();
        let mut pixels = vec![1.0; 24]; // two images
        transform.to_unit(&mut pixels);
        assert_eq!(pixels, [[0.75; 4], [0.75; 4], [0.875; 4], [0.75; 4], [0.75; 4], [0.875; 4]].concat());
    }

    #[test]
    fn a_batch_contains_the_requested_images() {
        let dataset = Dataset::built_in(&Config::default()).unwrap();
        let batch = dataset.batch(&dataset.train, &[3, 8]).unwrap();
        assert_eq!(**batch.shape(), [2, 1, 32, 32]);
        assert_eq!(batch.data()[..1024], *dataset.batch(&dataset.train, &[3]).unwrap().data());
        assert!(batch.data()[1024..].iter().any(|&x| x > 0.5));
    }

    #[test]
    fn a_channel_of_one_value_is_not_scaled() {
        let transform = Transform::new(&config(1, 16, Normalise::Standard), &split(&[51; 512], 1, 16)).unwrap();
        assert!((transform.mean[0] - 0.2).abs() < 1e-12);
        assert_eq!(transform.std, [1.0]);
    }

    #[test]
    fn borders_are_for_digits_up_to_size_32() {
        let whites = |size: usize| {
            let out = seen(&config(1, size, Normalise::Unit), &split(&[255; 28 * 28], 1, 28));
            out.iter().filter(|&&x| x == 1.0).count()
        };
        assert_eq!([28, 29, 31, 32, 33].map(whites), [784, 784, 784, 784, 33 * 33]);
        // A border is as dark as the darkest pixel that a model can see.
        let out = seen(&config(1, 32, Normalise::Symmetric), &split(&[255; 28 * 28], 1, 28));
        assert_eq!((out[0], out[2 * 32 + 2]), (-1.0, 1.0));
        // Other images keep their size, or are resized.
        assert_eq!(seen(&config(1, 20, Normalise::Unit), &split(&[255; 400], 1, 20)), vec![1.0; 400]);
    }

    #[test]
    fn images_need_not_be_square() {
        let images = Images::new((0..12).map(|x| 20 * x).collect::<Vec<u8>>(), vec![0; 2], 1, [2, 3]);
        let split = Split { images: Arc::new(images), members: vec![1, 0] };
        let out = seen(&config(1, 2, Normalise::Unit), &split);
        // The pixels 6 to 11 in two rows: centres at columns 0.25 and 1.75, rows as they are.
        let expected = [6.25, 7.75, 9.25, 10.75].map(|x| x * 20.0 / 255.0);
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}, expected {expected:?}");
    }
}
