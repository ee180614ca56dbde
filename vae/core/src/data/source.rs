//! Storage of image bytes, and the description of a set of images.
//!
//! A [`Source`] returns one image at a time as bytes, `[channels, height, width]`, where 0 is black and 255 is full
//! brightness. No source stores `f32`. A source in memory needs one byte or one bit per pixel. A source that reads or
//! draws images on demand needs almost no memory.

use std::fmt::Debug;

use crate::error::Result;

/// A collection of images that can be read from any thread.
pub trait Source: Debug + Send + Sync {
    /// Writes the bytes of the image `index` to `out`, plane by plane.
    ///
    /// # Errors
    /// If the image is in a file that cannot be read any more or is damaged.
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()>;

    /// Returns the size of the images in memory, in bytes.
    fn memory(&self) -> u64;

    /// Returns a number that identifies the image `index` without drawing it. Only a source that computes its images has
    /// such numbers.
    fn key(&self, _index: usize) -> Option<u64> {
        None
    }
}

/// Images in memory with one byte per pixel.
impl Source for Vec<u8> {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self[index * out.len()..][..out.len()]);
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.len() as u64
    }
}

/// Black and white images in memory with one bit per pixel. The first pixel of a byte is its highest bit, and each
/// image begins with a new byte.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Adds an image. Every byte other than 0 is white.
    pub fn push(&mut self, pixels: &[u8]) {
        let byte =
            |eight: &[u8]| eight.iter().zip(0..).fold(0, |byte, (&x, bit)| byte | (u8::from(x != 0) << (7 - bit)));
        self.0.extend(pixels.chunks(8).map(byte));
    }
}

impl Source for Bits {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        let len = out.len().div_ceil(8);
        let bytes = &self.0[index * len..][..len];
        for (eight, byte) in out.chunks_mut(8).zip(bytes) {
            eight.iter_mut().zip(0..).for_each(|(x, bit)| *x = 255 * (byte >> (7 - bit) & 1));
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The known factors of variation of each image. The value of a factor is an integer below the factor's size.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// The names of the factors.
    pub names: Vec<&'static str>,
    /// The number of values of each factor.
    pub sizes: Vec<usize>,
    /// The values, `[images, factors]`.
    pub values: Vec<u16>,
}

impl Factors {
    /// Returns the values of one image.
    pub fn of(&self, index: usize) -> &[u16] {
        &self.values[index * self.sizes.len()..][..self.sizes.len()]
    }
}

/// Images of equal size with one label each.
#[derive(Debug)]
pub struct Images {
    source: Box<dyn Source>,
    labels: Vec<u16>,
    channels: usize,
    size: [usize; 2],
    classes: usize,
    names: Vec<String>,
    files: Vec<String>,
    factors: Option<Factors>,
}

impl Images {
    /// Creates a set of images, one for each label. `size` is `[rows, columns]`. Labels count from 0. The number of
    /// classes is the largest label plus 1; [`Images::with_class_names`] and [`Images::with_classes`] set a larger number.
    pub fn new(source: impl Source + 'static, labels: Vec<u16>, channels: usize, size: [usize; 2]) -> Images {
        let classes = labels.iter().max().map_or(0, |&most| usize::from(most) + 1);
        Images {
            source: Box::new(source),
            labels,
            channels,
            size,
            classes,
            names: Vec::new(),
            files: Vec::new(),
            factors: None,
        }
    }

    /// Sets the number of classes.
    ///
    /// # Panics
    /// If a label is not below `classes`.
    pub fn with_classes(self, classes: usize) -> Images {
        assert!(self.classes <= classes, "Images: a label is not below {classes}");
        Images { classes, ..self }
    }

    /// Sets the names of the classes and thereby their number.
    ///
    /// # Panics
    /// If a label is not below the number of classes.
    pub fn with_class_names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Images {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Images { names: names.clone(), ..self.with_classes(names.len()) }
    }

    /// Adds the name of the file of each image.
    ///
    /// # Panics
    /// If the number of names is not the number of images.
    pub fn with_file_names(self, files: Vec<String>) -> Images {
        assert_eq!(files.len(), self.count(), "Images: names of files");
        Images { files, ..self }
    }

    /// Adds known factors of variation.
    ///
    /// # Panics
    /// If the number of values is not the number of images times the number of factors.
    pub fn with_factors(self, factors: Factors) -> Images {
        assert_eq!(factors.values.len(), self.count() * factors.sizes.len(), "Images: values of factors");
        Images { factors: Some(factors), ..self }
    }

    /// Returns the number of images.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Returns the size, `[rows, columns]`.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Returns the size of one image in bytes.
    pub fn bytes(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Writes the bytes of the image `index` to `out`, plane by plane.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        self.source.read(index, out)
    }

    /// Returns a number that identifies the image `index`, if its pixels are computed. See [`Source::key`].
    pub fn key(&self, index: usize) -> Option<u64> {
        self.source.key(index)
    }

    /// Returns the size of the images in memory, in bytes.
    pub fn memory(&self) -> u64 {
        self.source.memory()
    }

    /// Returns the label of an image, a number below [`Images::classes`].
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the names of the classes. It is empty if they have no names.
    pub fn class_names(&self) -> &[String] {
        &self.names
    }

    /// Returns the name of the file of an image, if the images have names.
    pub fn file_name(&self, index: usize) -> Option<&str> {
        self.files.get(index).map(String::as_str)
    }

    /// Returns the factors of variation, if they are known.
    pub fn factors(&self) -> Option<&Factors> {
        self.factors.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_a_pixel_reads_as_black_and_white() {
        let images = [[1, 0, 0, 7, 0, 0, 0, 0, 255, 0], [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]];
        let mut bits = Bits::default();
        images.iter().for_each(|image| bits.push(image));
        assert_eq!((&bits.0[..], bits.memory()), (&[0b1001_0000, 0b1000_0000, 1, 0b0100_0000][..], 4));
        for (index, image) in images.iter().enumerate() {
            let mut out = [9; 10];
            bits.read(index, &mut out).unwrap();
            assert_eq!(out, image.map(|x| if x == 0 { 0 } else { 255 }));
        }
    }

    #[test]
    fn no_pixel_takes_four_bytes() {
        // A thousandth of the 105,000 images of STL-10. All of them need 2.9 GB as bytes and 11.6 GB as f32.
        let bytes = 3 * 96 * 96;
        let images = Images::new(vec![0_u8; 105 * bytes], vec![0; 105], 3, [96, 96]);
        assert_eq!(images.memory(), 105 * images.bytes() as u64);
        let mut bits = Bits::default();
        (0..10).for_each(|_| bits.push(&[1; 64 * 64]));
        assert_eq!(bits.memory(), 10 * 64 * 64 / 8);
    }

    #[test]
    fn images_have_classes_names_and_factors() {
        let make = || Images::new(vec![0_u8; 12], vec![0, 2, 300], 1, [2, 2]);
        assert_eq!((make().count(), make().bytes(), make().label(2), make().classes()), (3, 4, 300, 301));
        assert_eq!(make().with_classes(400).classes(), 400);
        let factors = Factors { names: vec!["x", "y"], sizes: vec![4, 9], values: vec![0, 1, 3, 8, 2, 2] };
        assert_eq!(make().with_factors(factors).factors().unwrap().of(1), [3, 8]);
        let named = Images::new(vec![0_u8; 2], vec![1, 0], 1, [1, 1]).with_class_names(["cat", "dog"]);
        assert_eq!((named.class_names()[1].as_str(), named.classes()), ("dog", 2));
        assert_eq!((named.key(0), named.file_name(1)), (None, None));
        let named = named.with_file_names(vec!["a.png".into(), "b.png".into()]);
        assert_eq!(named.file_name(1), Some("b.png"));
        assert!(std::panic::catch_unwind(|| make().with_classes(300)).is_err());
    }
}
