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
mod svg;

use canvas::Canvas;

pub use animation::{Still, animation};
pub use axis::{Axis, told};
pub use curves::{Curve, curves, overlay, overlay_by};
pub use features::features;
pub use grid::{Row, grid, grid_of_columns};
pub use plot::{Kind, PANEL, Panel, Plot, Series};
pub use style::Style;

/// The bytes of a canvas as a PNG.
fn png(canvas: &Canvas) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    canvas.image.write_to(&mut bytes, image::ImageFormat::Png).expect("writing to memory does not fail");
    bytes.into_inner()
}
