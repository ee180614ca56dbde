//! A row of images that changes over time, as an animated GIF that repeats forever.

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};

use super::canvas::Canvas;
use super::grid::{Row, canvas};

/// One frame: a row of images with a name on its left, and the time for which it is shown.
pub struct Still {
    /// Text to the left of the row.
    pub name: String,
    /// Pixels in [0, 1], `[images, channels, size, size]`.
    pub pixels: Vec<f32>,
    /// How long the frame is shown, in milliseconds.
    pub milliseconds: u32,
}

/// Returns the bytes of a GIF with one frame per still. Images are `[channels, size, size]`. Every frame has the same title,
/// and `heads` above its columns.
pub fn animation(title: &str, heads: &[String], stills: &[Still], shape: [usize; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite).expect(MEMORY);
    for Still { name, pixels, milliseconds } in stills {
        let Canvas { image } = canvas(title, heads, &[Row { name, pixels }], shape, 1);
        let rgba = DynamicImage::ImageRgb8(image).into_rgba8();
        let delay = Delay::from_numer_denom_ms(*milliseconds, 1);
        encoder.encode_frame(Frame::from_parts(rgba, 0, 0, delay)).expect(MEMORY);
    }
    drop(encoder);
    bytes
}

const MEMORY: &str = "writing to memory does not fail";

#[cfg(test)]
mod tests {
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;

    use super::*;

    #[test]
    fn decoded_frames_equal_the_drawn_ones() {
        let still = |grey: f32| Still { name: "z".into(), pixels: vec![grey; 8], milliseconds: 100 };
        let bytes = animation("t", &["a".into(), "b".into()], &[still(0.0), still(1.0)], [1, 2, 2]);
        let frames = GifDecoder::new(std::io::Cursor::new(&bytes)).unwrap().into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].delay().numer_denom_ms(), (100, 1));
        let drawn = canvas("t", &["a".into(), "b".into()], &[Row { name: "z", pixels: &[0.0; 8] }], [1, 2, 2], 1);
        assert_eq!(DynamicImage::ImageRgba8(frames[0].buffer().clone()).into_rgb8(), drawn.image);
        assert_ne!(frames[0].buffer(), frames[1].buffer());
    }
}
