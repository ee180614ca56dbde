//! What a plot is drawn on: pixels (`canvas`) or SVG (`svg`).

use super::style::{Colour, Marker};

/// A surface that a plot is drawn on. Positions are in pixels from the upper left corner.
pub(super) trait Surface {
    /// Draws a line through the points.
    fn line(&mut self, points: &[[f32; 2]], width: f32, colour: Colour);
    /// Draws a marker around a point. `says` is its tooltip; it has none if `says` is empty.
    fn mark(&mut self, at: [f32; 2], marker: Marker, radius: f32, colour: Colour, says: &str);
    /// Draws a rectangle, given by its upper left corner and its size, with a tooltip as [`mark`](Surface::mark).
    fn bar(&mut self, corner: [f32; 2], size: [f32; 2], colour: Colour, says: &str);
    /// Draws text at a point, centred on it vertically.
    fn text(&mut self, at: [f32; 2], words: &str, anchor: Anchor);
}

/// The position of text relative to its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
    /// Centred on it, reading upwards.
    Upwards,
}
