//! The drawing of figures: [`grid()`] for rows of images, [`Plot`] for panels of curves, points and bars, [`animation()`] for
//! GIFs. Plots are drawn as PNG or SVG. The font for text is an image, too (`canvas`).

mod animation;
mod axis;
mod canvas;
mod curves;
mod features;
mod grid;
mod mosaic;
mod plot;
mod style;
mod surface;
mod svg;

use canvas::Canvas;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageBuffer, Pixel, PixelWithColorType};

pub use animation::{Still, animation};
pub use axis::{Axis, format_value};
pub use curves::{Curve, curves, overlay, overlay_by};
pub use features::features;
pub use grid::{PageFigure, Row, Tiles, grid, grid_of_columns};
pub(crate) use mosaic::mosaic;
pub use plot::{Kind, PANEL, Panel, Plot, Series};
pub use style::Style;

/// Encodes a canvas as a PNG.
fn png(canvas: &Canvas) -> Vec<u8> {
    encoded(&canvas.image)
}

/// Encodes an image as a PNG. Figures have large areas of one colour, so no PNG filter is needed.
pub(crate) fn encoded<P: Pixel<Subpixel = u8> + PixelWithColorType>(image: &ImageBuffer<P, Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::NoFilter);
    image.write_with_encoder(encoder).expect("writing to memory does not fail");
    bytes
}
