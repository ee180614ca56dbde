//! What figures are drawn with: images in rows, and plots. Pictures come out as the bytes of a PNG, plots as SVG too, what moves
//! as a GIF. Words are drawn from a font that is a picture itself (`canvas`).

mod animation;
mod axis;
mod canvas;
mod curves;
mod features;
mod grid;
mod plot;
mod style;
mod surface;
mod svg;

use canvas::Canvas;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

pub use animation::{Still, animation};
pub use axis::{Axis, told};
pub use curves::{Curve, curves, overlay, overlay_by};
pub use features::features;
pub use grid::{Row, grid, grid_of_columns};
pub use plot::{Kind, PANEL, Panel, Plot, Series};
pub use style::Style;

/// The bytes of a canvas as a PNG. Large pixels and flat paper are packed best as they are.
fn png(canvas: &Canvas) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter);
    canvas.image.write_with_encoder(encoder).expect("writing to memory does not fail");
    bytes
}
