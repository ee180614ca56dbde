//! Images in rows without space between them, and without enlargement: a pixel of an image is a pixel of the picture.

use image::{Rgb, RgbImage};

/// Returns a picture of images `[channels, size, size]`, pixels in [0, 1], in rows of `columns`.
pub(crate) fn mosaic(pixels: &[f32], [channels, size, _]: [usize; 3], columns: usize) -> RgbImage {
    let count = pixels.len() / (channels * size * size);
    let [wide, high] = [columns.min(count), count.div_ceil(columns.max(1))];
    RgbImage::from_fn((wide * size) as u32, (high * size) as u32, |x, y| {
        let [x, y] = [x, y].map(|at| at as usize);
        let image = y / size * columns + x / size;
        let at = |c: usize| ((image * channels + c.min(channels - 1)) * size + y % size) * size + x % size;
        Rgb([0, 1, 2].map(|c| pixels.get(at(c)).map_or(0, |x| (x.clamp(0.0, 1.0) * 255.0).round() as u8)))
    })
}
