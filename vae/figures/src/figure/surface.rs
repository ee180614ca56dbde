//! What a plot is drawn on: pixels (`canvas`) or SVG (`svg`).

use super::style::{Colour, Marker};

/// What a plot is drawn on. Places are pixels from the upper left corner.
pub(super) trait Surface {
    /// A line from point to point.
    fn line(&mut self, points: &[[f32; 2]], width: f32, colour: Colour);
    /// A mark around a point, and what it says when it is pointed at; nothing if that is empty.
    fn mark(&mut self, at: [f32; 2], marker: Marker, radius: f32, colour: Colour, says: &str);
    /// A rectangle from its upper left corner.
    fn bar(&mut self, corner: [f32; 2], size: [f32; 2], colour: Colour, says: &str);
    /// Words beside, around or after a point, at its height.
    fn text(&mut self, at: [f32; 2], words: &str, anchor: Anchor);
}

/// Where words stand to their point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
    /// Around it, and they read upwards.
    Upwards,
}
