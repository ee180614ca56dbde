//! A raster image to draw on: rectangles, anti-aliased lines and polygons, and text.

use std::sync::OnceLock;

use image::{GrayImage, Rgb, RgbImage};

use super::style::{BLACK, Colour, Marker, WHITE};
use super::surface::{Anchor, Surface};

/// Width and height of a character, in pixels.
pub(super) const LETTER: [u32; 2] = [9, 18];

/// The characters of `assets/font.png`, 32 per row.
const LETTERS: &str = concat!(
    " !\"#$%&'()*+,-./0123456789:;<=>?",
    "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_",
    "`abcdefghijklmnopqrstuvwxyz{|}~β",
    "σμ×–·"
);

/// An image that is being drawn, white at first. Drawing outside it has no effect.
pub(super) struct Canvas {
    pub(super) image: RgbImage,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Canvas {
        Canvas { image: RgbImage::from_pixel(width, height, Rgb(WHITE)) }
    }

    /// Blends a colour into a pixel with the opacity `cover`, which is clamped to [0, 1].
    pub(super) fn blend(&mut self, x: i64, y: i64, colour: Colour, cover: f32) {
        let inside = |at: i64, size: u32| u32::try_from(at).ok().filter(|&at| at < size);
        let (Some(x), Some(y)) = (inside(x, self.image.width()), inside(y, self.image.height())) else { return };
        for (old, new) in self.image.get_pixel_mut(x, y).0.iter_mut().zip(colour) {
            *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * cover.clamp(0.0, 1.0)).round() as u8;
        }
    }

    /// Fills a rectangle, given by its upper left corner and its size.
    pub(super) fn fill(&mut self, [x, y]: [u32; 2], [width, height]: [u32; 2], colour: Colour) {
        for j in y..y + height {
            (x..x + width).for_each(|i| self.blend(i64::from(i), i64::from(j), colour, 1.0));
        }
    }

    /// Draws a straight line with round ends. How much of a pixel is covered follows from the distance of its centre to the
    /// line.
    pub(super) fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, colour: Colour) {
        let reach = width / 2.0 + 1.0;
        let span = |k: usize| {
            let (low, high) = (from[k].min(to[k]) - reach, from[k].max(to[k]) + reach);
            (low.floor() as i64)..=(high.ceil() as i64)
        };
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0] * along[0] + along[1] * along[1];
        for y in span(1) {
            for x in span(0) {
                let p = [x as f32 + 0.5 - from[0], y as f32 + 0.5 - from[1]];
                let t = if length > 0.0 { ((p[0] * along[0] + p[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (p[0] - t * along[0]).hypot(p[1] - t * along[1]);
                self.blend(x, y, colour, width / 2.0 + 0.5 - distance);
            }
        }
    }

    /// Fills a convex polygon whose corners are in clockwise order. How much of a pixel is covered follows from how far inside
    /// its centre is.
    pub(super) fn polygon(&mut self, corners: &[[f32; 2]], colour: Colour) {
        let span = |k: usize| {
            let (low, high) =
                corners.iter().fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at[k]), high.max(at[k])));
            (low.floor() as i64 - 1)..=(high.ceil() as i64 + 1)
        };
        for y in span(1) {
            for x in span(0) {
                let p = [x as f32 + 0.5, y as f32 + 0.5];
                let edges = corners.iter().zip(corners.iter().cycle().skip(1));
                let outside = edges.map(|(a, b)| {
                    let along = [b[0] - a[0], b[1] - a[1]];
                    ((p[0] - a[0]) * along[1] - (p[1] - a[1]) * along[0]) / along[0].hypot(along[1])
                });
                self.blend(x, y, colour, 0.5 - outside.fold(f32::MIN, f32::max));
            }
        }
    }

    /// Draws text with its upper left corner at `[x, y]`. Characters that the font lacks are drawn as question marks.
    pub(super) fn text(&mut self, [x, y]: [i64; 2], words: &str, colour: Colour) {
        for (k, letter) in words.chars().enumerate() {
            self.letter([x + i64::from(LETTER[0]) * k as i64, y], letter, |[i, j]| [i, j], colour);
        }
    }

    /// Draws text that reads upwards; `[x, y]` is the lower left corner of its column.
    pub(super) fn text_upwards(&mut self, [x, y]: [i64; 2], words: &str, colour: Colour) {
        for (k, letter) in words.chars().enumerate() {
            let start = [x, y - i64::from(LETTER[0]) * k as i64];
            self.letter(start, letter, |[i, j]| [j, -i], colour);
        }
    }

    fn letter(&mut self, [x, y]: [i64; 2], letter: char, turn: impl Fn([i64; 2]) -> [i64; 2], colour: Colour) {
        let place = LETTERS.chars().position(|known| known == letter).unwrap_or(31) as u32; // 31 is the question mark
        let font = font();
        for j in 0..LETTER[1] {
            for i in 0..LETTER[0] {
                let ink = font.get_pixel(place % 32 * LETTER[0] + i, place / 32 * LETTER[1] + j).0[0];
                let [dx, dy] = turn([i64::from(i), i64::from(j)]);
                self.blend(x + dx, y + dy, colour, f32::from(ink) / 255.0);
            }
        }
    }
}

impl Surface for Canvas {
    fn line(&mut self, points: &[[f32; 2]], width: f32, colour: Colour) {
        points.windows(2).for_each(|pair| Canvas::line(self, pair[0], pair[1], width, colour));
    }

    fn mark(&mut self, [x, y]: [f32; 2], marker: Marker, radius: f32, colour: Colour, _: &str) {
        let polygons = marker.polygons();
        if polygons.is_empty() {
            return Canvas::line(self, [x, y], [x, y], 2.0 * radius, colour);
        }
        for corners in polygons {
            let places: Vec<[f32; 2]> = corners.iter().map(|[i, j]| [x + radius * i, y + radius * j]).collect();
            self.polygon(&places, colour);
        }
    }

    fn bar(&mut self, [x, y]: [f32; 2], [width, height]: [f32; 2], colour: Colour, _: &str) {
        let (right, low) = (x + width, y + height);
        if height > 0.0 {
            self.polygon(&[[x, y], [right, y], [right, low], [x, low]], colour);
        }
    }

    fn text(&mut self, [x, y]: [f32; 2], words: &str, anchor: Anchor) {
        let (long, half) = (width_of(words), i64::from(LETTER[1]) / 2);
        let [x, y] = [x.round() as i64, y.round() as i64];
        match anchor {
            Anchor::Start => Canvas::text(self, [x, y - half], words, BLACK),
            Anchor::Middle => Canvas::text(self, [x - long / 2, y - half], words, BLACK),
            Anchor::End => Canvas::text(self, [x - long, y - half], words, BLACK),
            Anchor::Upwards => self.text_upwards([x - half, y + long / 2], words, BLACK),
        }
    }
}

/// Splits text into lines of at most `letters` characters. A longer word has a line to itself.
pub(super) fn wrap(words: &str, letters: u32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters as usize => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The width of text in pixels.
pub(super) fn width_of(words: &str) -> i64 {
    i64::from(LETTER[0]) * words.chars().count() as i64
}

fn font() -> &'static GrayImage {
    static FONT: OnceLock<GrayImage> = OnceLock::new();
    FONT.get_or_init(|| {
        let png = include_bytes!("../../assets/font.png");
        image::load_from_memory_with_format(png, image::ImageFormat::Png)
            .expect("a picture inside the program")
            .into_luma8()
    })
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_all_its_characters() {
        assert_eq!(font().dimensions(), (32 * LETTER[0], 4 * LETTER[1]));
        for (place, letter) in LETTERS.chars().enumerate() {
            let mut canvas = Canvas::new(LETTER[0], LETTER[1]);
            canvas.text([0, 0], &letter.to_string(), BLACK);
            let ink = canvas.image.pixels().any(|pixel| pixel.0 != WHITE);
            assert_eq!(ink, letter != ' ', "letter {place}: {letter}");
        }
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("a run, epoch 5: what it shows", 12), ["a run, epoch", "5: what it", "shows"]);
        assert_eq!(wrap("averylongname x", 4), ["averylongname", "x"]);
    }

    #[test]
    fn a_polygon_covers_what_is_inside() {
        let mut canvas = Canvas::new(20, 20);
        canvas.polygon(&[[4.0, 4.0], [12.0, 4.0], [12.0, 12.5], [4.0, 12.5]], [0, 0, 0]);
        let at = |x, y| canvas.image.get_pixel(x, y).0[0];
        assert_eq!([at(3, 8), at(4, 4), at(11, 11), at(12, 8), at(8, 3), at(8, 13)], [255, 0, 0, 255, 255, 255]);
        assert_eq!(at(8, 12), 128, "half a pixel");
    }

    #[test]
    fn drawing_outside_has_no_effect_and_lines_have_their_width() {
        let mut canvas = Canvas::new(20, 20);
        canvas.text([-5, -5], "a", BLACK);
        canvas.line([-30.0, 10.0], [50.0, 10.0], 2.0, [0, 0, 0]);
        let column: Vec<u8> = (0..20).map(|y| canvas.image.get_pixel(19, y).0[0]).collect();
        assert_eq!(column[9..11], [0, 0]);
        assert!(column[8] == 255 && column[11] == 255, "{column:?}");
    }
}
