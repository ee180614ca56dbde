//! How the series of a plot are distinguished: by colour and, for colour-blind readers, by the shape of their markers.

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

pub(super) const WHITE: Colour = [255, 255, 255];
pub(super) const BLACK: Colour = [30, 30, 30];
pub(super) const GREY: Colour = [225, 225, 225];

/// Eight colours that colour-blind readers can distinguish (Okabe and Ito, 2008; the yellow is darker, for contrast on white).
/// Many data sets have ten classes, so there are two more, which differ from their neighbours in brightness.
const COLOURS: [Colour; 10] = [
    [0, 114, 178],
    [230, 130, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [213, 94, 0],
    [190, 170, 0],
    [30, 30, 30],
    [150, 150, 150],
    [110, 50, 160],
];
const MARKERS: [Marker; 5] = [Marker::Disc, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Down];

/// The shape that is drawn at each point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    Down,
}

impl Marker {
    /// The corners of a marker of radius 1, clockwise; empty for a disc. The areas of all markers are similar.
    pub(super) fn corners(self) -> &'static [[f32; 2]] {
        match self {
            Marker::Disc => &[],
            Marker::Square => &[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
            Marker::Triangle => &[[0.0, -1.4], [1.3, 0.9], [-1.3, 0.9]],
            Marker::Diamond => &[[0.0, -1.35], [1.35, 0.0], [0.0, 1.35], [-1.35, 0.0]],
            Marker::Down => &[[-1.3, -0.9], [1.3, -0.9], [0.0, 1.4]],
        }
    }
}

/// The colour and the marker of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub(super) colour: Colour,
    pub(super) marker: Marker,
}

impl Style {
    /// The style of series number `k`. The first 50 differ, neighbours differ in both colour and marker, and the first ten in
    /// colour.
    pub fn number(k: usize) -> Style {
        Style { colour: COLOURS[k % COLOURS.len()], marker: MARKERS[(k + k / COLOURS.len()) % MARKERS.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_series_differ_and_begin_with_blue_and_orange() {
        let styles: Vec<Style> = (0..50).map(Style::number).collect();
        assert!((0..50).all(|i| (0..i).all(|j| styles[i] != styles[j])));
        assert_eq!(styles[0], Style { colour: [0, 114, 178], marker: Marker::Disc });
        assert_eq!(styles[1], Style { colour: [230, 130, 0], marker: Marker::Square });
        assert_eq!(Style::number(50), styles[0]);
    }
}
