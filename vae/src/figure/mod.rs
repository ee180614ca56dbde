//! The pictures of a run: images in rows, and curves. Everything comes out as the bytes of a PNG.
//!
//! plotters draws words into a PNG only through a font parser that nobody maintains, and one more dependency for two
//! axes is not worth it: `canvas` draws lines and words, from a font that is a picture itself.

mod canvas;
mod curves;
mod features;
mod grid;
mod overlay;

use canvas::Canvas;

pub use curves::curves;
pub use features::features;
pub use grid::{Row, grid};
pub use overlay::{Curve, overlay};

/// The bytes of a canvas as a PNG.
fn png(canvas: &Canvas) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    canvas.image.write_to(&mut bytes, image::ImageFormat::Png).expect("writing to memory does not fail");
    bytes.into_inner()
}
