//! Images as a PNG that a page enlarges itself.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Rgb, RgbImage};

/// Images `[channels, size, size]`, pixels in [0, 1], side by side in rows of so many, as the bytes of a PNG: a pixel a pixel.
pub fn tiles(pixels: &[f32], [channels, size, _]: [usize; 3], columns: usize) -> Vec<u8> {
    let count = pixels.len() / (channels * size * size);
    let [wide, high] = [columns.min(count), count.div_ceil(columns.max(1))];
    let picture = RgbImage::from_fn((wide * size) as u32, (high * size) as u32, |x, y| {
        let [x, y] = [x, y].map(|at| at as usize);
        let image = y / size * columns + x / size;
        let at = |c: usize| ((image * channels + c.min(channels - 1)) * size + y % size) * size + x % size;
        Rgb([0, 1, 2].map(|c| pixels.get(at(c)).map_or(0, |x| (x.clamp(0.0, 1.0) * 255.0).round() as u8)))
    });
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter);
    picture.write_with_encoder(encoder).expect("writing to memory does not fail");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_in_rows_in_their_colours() {
        // Three images of 2×2 in two columns: red in its corner, all blue, and a grey that is no number.
        let red = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let blue = [[0.0; 8].as_slice(), &[1.0; 4]].concat();
        let bytes = tiles(&[&red[..], &blue, &[f32::NAN; 12]].concat(), [3, 2, 2], 2);
        let picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!((picture.width(), picture.height()), (4, 4));
        let places = [(0, 0), (1, 0), (2, 0), (3, 1), (0, 2), (3, 3)];
        let found = places.map(|(x, y)| picture.get_pixel(x, y).0);
        assert_eq!(found, [[255, 0, 0], [0; 3], [0, 0, 255], [0, 0, 255], [0; 3], [0; 3]]);
        let grey = image::load_from_memory(&tiles(&[0.5], [1, 1, 1], 1)).unwrap().into_rgb8();
        assert_eq!(grey.get_pixel(0, 0).0, [128; 3]);
    }
}
