//! Rows of enlarged images under a title.

use super::canvas::{Canvas, LETTER, width_of, wrap};
use super::png;
use super::style::BLACK;

/// A row of images with a name.
pub struct Row<'a> {
    /// Text to the left of the row; may be empty.
    pub name: &'a str,
    /// Pixels in [0, 1], `[images, channels, size, size]`.
    pub pixels: &'a [f32],
}

/// Images are enlarged by a whole factor until their sides have at least this many pixels.
const SIDE: usize = 64;
const GAP: u32 = 4;
const MARGIN: u32 = 14;
/// Height of a line of text.
const LINE: u32 = 22;
/// The least width at which titles are wrapped.
const NARROW: u32 = 480;

/// Returns a PNG with rows of images `[channels, size, size]` and a gap after every `group` rows.
pub fn grid(title: &str, rows: &[Row], shape: [usize; 3], group: usize) -> Vec<u8> {
    grid_of_columns(title, &[], rows, shape, group)
}

/// Like [`grid`], with the texts `heads` above the columns if there are any.
pub fn grid_of_columns(title: &str, heads: &[String], rows: &[Row], shape: [usize; 3], group: usize) -> Vec<u8> {
    png(&canvas(title, heads, rows, shape, group))
}

pub(super) fn canvas(
    title: &str,
    heads: &[String],
    rows: &[Row],
    [channels, size, _]: [usize; 3],
    group: usize,
) -> Canvas {
    let zoom = SIDE.div_ceil(size).max(1);
    let side = (size * zoom) as u32;
    let len = channels * size * size;
    let columns = rows.iter().map(|row| row.pixels.len() / len).max().unwrap_or(0) as u32;
    let names = rows.iter().map(|row| row.name.chars().count() as u32).max().unwrap_or(0);
    let left = MARGIN + if names > 0 { names * LETTER[0] + 10 } else { 0 };
    let images = left + columns * (side + GAP) + MARGIN;
    let lines = wrap(title, (images.max(NARROW) - 2 * MARGIN) / LETTER[0]);
    let longest = lines.iter().map(|line| width_of(line) as u32).max().unwrap_or(0);
    let width = images.max(longest + 2 * MARGIN);
    let head = MARGIN + lines.len() as u32 * LINE + 6;
    let top = head + if heads.is_empty() { 0 } else { LINE };
    let groups = (rows.len().div_ceil(group.max(1)) as u32).saturating_sub(1);
    let height = top + rows.len() as u32 * (side + GAP) + groups * 3 * GAP + MARGIN;

    let mut canvas = Canvas::new(width, height);
    for (line, y) in lines.iter().zip((MARGIN..).step_by(LINE as usize)) {
        canvas.text([i64::from(MARGIN), i64::from(y)], line, BLACK);
    }
    for (words, c) in heads.iter().zip(0..) {
        let middle = i64::from(left + c * (side + GAP) + side / 2);
        canvas.text([middle - width_of(words) / 2, i64::from(head)], words, BLACK);
    }
    for (r, row) in rows.iter().enumerate() {
        let y = top + r as u32 * (side + GAP) + (r / group.max(1)) as u32 * 3 * GAP;
        let middle = y + side / 2 - LETTER[1] / 2;
        canvas.text([i64::from(MARGIN), i64::from(middle)], row.name, BLACK);
        for (c, image) in row.pixels.chunks_exact(len).enumerate() {
            draw(&mut canvas, [left + c as u32 * (side + GAP), y], image, [channels, size, zoom]);
        }
    }
    canvas
}

fn draw(canvas: &mut Canvas, [x, y]: [u32; 2], image: &[f32], [channels, size, zoom]: [usize; 3]) {
    let byte =
        |c: usize, i: usize| (image[c.min(channels - 1) * size * size + i].clamp(0.0, 1.0) * 255.0).round() as u8;
    for i in 0..size * size {
        let corner = [x + (i % size * zoom) as u32, y + (i / size * zoom) as u32];
        canvas.fill(corner, [zoom as u32; 2], [byte(0, i), byte(1, i), byte(2, i)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_in_their_places_with_their_colours() {
        // Two images of 2×2: one with a red top left pixel, one all blue.
        let red = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let blue = [[0.0; 8].as_slice(), &[1.0; 4]].concat();
        let rows = [Row { name: "", pixels: &[&red[..], &blue].concat() }];
        for (heads, lower) in [(vec![], 0), (vec!["a".to_owned(), "b".to_owned()], LINE)] {
            let bytes = grid_of_columns("t", &heads, &rows, [3, 2, 2], 1);
            let picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
            let (left, top) = (MARGIN, MARGIN + LINE + 6 + lower);
            assert_eq!(picture.get_pixel(left + 31, top + 31).0, [255, 0, 0]);
            assert_eq!(picture.get_pixel(left + 32, top + 31).0, [0, 0, 0]);
            assert_eq!(picture.get_pixel(left + 64 + GAP, top + 63).0, [0, 0, 255]);
            assert_eq!(picture.get_pixel(left + 64, top).0, [255, 255, 255]);
        }
    }

    #[test]
    fn a_long_title_wraps_and_adds_no_width() {
        let title =
            "a title that is much longer than its one small picture, which it should not make any wider than need be";
        let picture = image::load_from_memory(&grid(title, &[Row { name: "", pixels: &[0.0; 4] }], [1, 2, 2], 1));
        let (width, height) = (picture.as_ref().unwrap().width(), picture.as_ref().unwrap().height());
        assert!(width <= NARROW && height == MARGIN + 3 * LINE + 6 + 68 + MARGIN, "{width} {height}");
    }

    #[test]
    fn nan_pixels_are_drawn() {
        assert!(!grid("t", &[Row { name: "a", pixels: &[f32::NAN; 4] }], [1, 2, 2], 2).is_empty());
    }
}
