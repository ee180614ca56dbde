//! Where the bytes of images come from, and what is known about them.
//!
//! A [`Source`] gives one image at a time as bytes, `[channels, height, width]`, 0 black, 255 full. No source holds f32: a data
//! set in memory takes a byte or a bit a pixel, and one that can be read or drawn again takes nothing.

use std::fmt::Debug;

use crate::error::Result;

/// Images, one at a time, from any thread.
pub trait Source: Debug + Send + Sync {
    /// Writes the bytes of an image, plane after plane.
    ///
    /// # Errors
    /// If the image lies in a file that cannot be read any more, or is damaged.
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()>;

    /// Bytes of memory that the images take.
    fn memory(&self) -> u64;
}

/// Images in memory, a byte a pixel.
impl Source for Vec<u8> {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self[index * out.len()..][..out.len()]);
        Ok(())
    }

    fn memory(&self) -> u64 {
        self.len() as u64
    }
}

/// Black and white images in memory: a bit a pixel, the highest of a byte first, each image from a byte of its own.
#[derive(Clone, Debug, Default)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Adds an image: what is not 0 is white.
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

/// What is known to have made each image: the value of every factor of variation, as a number below the factor's size.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// What the factors are called.
    pub names: Vec<&'static str>,
    /// How many values each takes.
    pub sizes: Vec<usize>,
    /// Image after image, a value a factor.
    pub values: Vec<u16>,
}

impl Factors {
    /// The values of one image.
    pub fn of(&self, index: usize) -> &[u16] {
        &self.values[index * self.sizes.len()..][..self.sizes.len()]
    }
}

/// Images of one size, with a label each.
#[derive(Debug)]
pub struct Images {
    source: Box<dyn Source>,
    labels: Vec<u16>,
    channels: usize,
    size: [usize; 2],
    classes: usize,
    names: Vec<String>,
    factors: Option<Factors>,
}

impl Images {
    /// As many images as labels, of so many channels and of `size`, `[rows, columns]`. Labels count from 0; there are as many
    /// classes as the largest says, unless [`Images::named`] or [`Images::with_classes`] says more.
    pub fn new(source: impl Source + 'static, labels: Vec<u16>, channels: usize, size: [usize; 2]) -> Images {
        let classes = labels.iter().max().map_or(0, |&most| usize::from(most) + 1);
        Images { source: Box::new(source), labels, channels, size, classes, names: Vec::new(), factors: None }
    }

    /// The same with this many classes, labelled or not.
    ///
    /// # Panics
    /// If there is a label beyond.
    pub fn with_classes(self, classes: usize) -> Images {
        assert!(self.classes <= classes, "Images: a label is not below {classes}");
        Images { classes, ..self }
    }

    /// The same with a name for each class.
    ///
    /// # Panics
    /// If there is a label beyond.
    pub fn named<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Images {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Images { names: names.clone(), ..self.with_classes(names.len()) }
    }

    /// The same with known factors.
    ///
    /// # Panics
    /// If there are not as many values as images and factors take.
    pub fn with_factors(self, factors: Factors) -> Images {
        assert_eq!(factors.values.len(), self.count() * factors.sizes.len(), "Images: values of factors");
        Images { factors: Some(factors), ..self }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Planes an image.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Bytes of an image.
    pub fn bytes(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Writes the bytes of one image, plane after plane.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        self.source.read(index, out)
    }

    /// Bytes of memory that the images take.
    pub fn memory(&self) -> u64 {
        self.source.memory()
    }

    /// What an image shows: a number below [`Images::classes`].
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    /// How many different things they show.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What the classes are called; empty where nobody says.
    pub fn class_names(&self) -> &[String] {
        &self.names
    }

    /// What made each image, where it is known.
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
        // A thousandth of STL-10's 105,000 images, 2.9 GB as f32 would be 11.6.
        let bytes = 3 * 96 * 96;
        let images = Images::new(vec![0_u8; 105 * bytes], vec![0; 105], 3, [96, 96]);
        assert_eq!(images.memory(), 105 * images.bytes() as u64);
        let mut bits = Bits::default();
        (0..10).for_each(|_| bits.push(&[1; 64 * 64]));
        assert_eq!(bits.memory(), 10 * 64 * 64 / 8);
    }

    #[test]
    fn images_know_their_classes_and_factors() {
        let make = || Images::new(vec![0_u8; 12], vec![0, 2, 300], 1, [2, 2]);
        assert_eq!((make().count(), make().bytes(), make().label(2), make().classes()), (3, 4, 300, 301));
        assert_eq!(make().with_classes(400).classes(), 400);
        let factors = Factors { names: vec!["x", "y"], sizes: vec![4, 9], values: vec![0, 1, 3, 8, 2, 2] };
        assert_eq!(make().with_factors(factors).factors().unwrap().of(1), [3, 8]);
        let named = Images::new(vec![0_u8; 2], vec![1, 0], 1, [1, 1]).named(["cat", "dog"]);
        assert_eq!((named.class_names()[1].as_str(), named.classes()), ("dog", 2));
        assert!(std::panic::catch_unwind(|| make().with_classes(300)).is_err());
    }
}
