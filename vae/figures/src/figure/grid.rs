//! Rows of enlarged images under a title.

use image::{Pixel, RgbaImage};

use super::canvas::{Canvas, LETTER, width_of, wrap};
use super::style::BLACK;
use super::surface::{Anchor, Surface};
use super::svg::Svg;
use super::{encoded, png};

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

/// Rows of images as files.
pub struct Tiles {
    /// The figure with its title, as a PNG.
    pub png: Vec<u8>,
    /// The figure for a page.
    pub page: PageFigure,
}

/// A figure for a page: an SVG without title and background. Its text and lines take the colours of the page by a style sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFigure {
    /// The SVG. It refers to `tiles` as [`PageFigure::TILES`].
    pub svg: String,
    /// The images of the figure as one PNG, transparent between them; empty if there are none.
    pub tiles: Vec<u8>,
}

impl PageFigure {
    /// What stands for the URL of `tiles` in `svg`.
    pub const TILES: &str = "#tiles";
}

/// Draws rows of images `[channels, size, size]` with a gap after every `group` rows.
pub fn grid(title: &str, rows: &[Row], shape: [usize; 3], group: usize) -> Tiles {
    grid_of_columns(title, &[], rows, shape, group)
}

/// Like [`grid`], with the texts `heads` above the columns if there are any.
pub fn grid_of_columns(title: &str, heads: &[String], rows: &[Row], shape: [usize; 3], group: usize) -> Tiles {
    Tiles { png: png(&canvas(title, heads, rows, shape, group)), page: page(heads, rows, shape, group) }
}

/// Where the parts of a figure are, in pixels.
struct Layout {
    lines: Vec<String>,
    /// The upper edge of the texts above the columns.
    head: u32,
    /// The upper left corner of the first image.
    corner: [u32; 2],
    /// The side of an image, and the factor by which it is enlarged.
    side: u32,
    zoom: usize,
    /// The number of rows between two gaps.
    group: u32,
    extent: [u32; 2],
}

impl Layout {
    fn new(title: &str, heads: &[String], rows: &[Row], [channels, size, _]: [usize; 3], group: usize) -> Layout {
        let zoom = SIDE.div_ceil(size).max(1);
        let (side, group) = ((size * zoom) as u32, group.max(1) as u32);
        let columns = rows.iter().map(|row| row.pixels.len() / (channels * size * size)).max().unwrap_or(0) as u32;
        let names = rows.iter().map(|row| row.name.chars().count() as u32).max().unwrap_or(0);
        let left = MARGIN + if names > 0 { names * LETTER[0] + 10 } else { 0 };
        let images = left + columns * (side + GAP) + MARGIN;
        let lines = match title {
            "" => Vec::new(),
            title => wrap(title, (images.max(NARROW) - 2 * MARGIN) / LETTER[0]),
        };
        let longest = lines.iter().map(|line| width_of(line) as u32).max().unwrap_or(0);
        let head = MARGIN + lines.len() as u32 * LINE + if lines.is_empty() { 0 } else { 6 };
        let top = head + if heads.is_empty() { 0 } else { LINE };
        let groups = (rows.len() as u32).div_ceil(group).saturating_sub(1);
        let height = top + rows.len() as u32 * (side + GAP) + groups * 3 * GAP + MARGIN;
        let extent = [images.max(longest + 2 * MARGIN), height];
        Layout { lines, head, corner: [left, top], side, zoom, group, extent }
    }

    /// The upper left corner of an image.
    fn place(&self, row: usize, column: usize) -> [u32; 2] {
        let ([left, top], step, row) = (self.corner, self.side + GAP, row as u32);
        [left + column as u32 * step, top + row * step + row / self.group * 3 * GAP]
    }
}

pub(super) fn canvas(title: &str, heads: &[String], rows: &[Row], shape: [usize; 3], group: usize) -> Canvas {
    let layout = Layout::new(title, heads, rows, shape, group);
    let mut canvas = Canvas::new(layout.extent[0], layout.extent[1]);
    for (line, y) in layout.lines.iter().zip((MARGIN..).step_by(LINE as usize)) {
        canvas.text([i64::from(MARGIN), i64::from(y)], line, BLACK);
    }
    for (c, words) in heads.iter().enumerate() {
        let middle = i64::from(layout.place(0, c)[0] + layout.side / 2);
        canvas.text([middle - width_of(words) / 2, i64::from(layout.head)], words, BLACK);
    }
    for (r, row) in rows.iter().enumerate() {
        let middle = layout.place(r, 0)[1] + layout.side / 2 - LETTER[1] / 2;
        canvas.text([i64::from(MARGIN), i64::from(middle)], row.name, BLACK);
    }
    images(rows, shape, |r, c, image| draw(&mut canvas, layout.place(r, c), image, [shape[0], shape[1], layout.zoom]));
    canvas
}

/// Calls `take` with the row, the column and the pixels of each image.
fn images(rows: &[Row], shape: [usize; 3], mut take: impl FnMut(usize, usize, &[f32])) {
    for (r, row) in rows.iter().enumerate() {
        let images = row.pixels.chunks_exact(shape.iter().product()).enumerate();
        images.for_each(|(c, image)| take(r, c, image));
    }
}

fn page(heads: &[String], rows: &[Row], shape: [usize; 3], group: usize) -> PageFigure {
    let layout = Layout::new("", heads, rows, shape, group);
    let side = layout.side;
    let mut canvas = Canvas::new(layout.extent[0], layout.extent[1]);
    let mut tiles = RgbaImage::new(layout.extent[0], layout.extent[1]); // transparent
    images(rows, shape, |r, c, image| {
        let [x, y] = layout.place(r, c);
        draw(&mut canvas, [x, y], image, [shape[0], shape[1], layout.zoom]);
        for (x, y) in (y..y + side).flat_map(|y| (x..x + side).map(move |x| (x, y))) {
            tiles.put_pixel(x, y, canvas.image.get_pixel(x, y).to_rgba());
        }
    });
    let mut svg = Svg::new(layout.extent, "");
    svg.image(PageFigure::TILES, layout.extent);
    for (c, words) in heads.iter().enumerate() {
        let middle = layout.place(0, c)[0] + side / 2;
        svg.text([middle as f32, (layout.head + LETTER[1] / 2) as f32], words, Anchor::Middle);
    }
    for (r, row) in rows.iter().enumerate().filter(|(_, row)| !row.name.is_empty()) {
        svg.text([MARGIN as f32, (layout.place(r, 0)[1] + side / 2) as f32], row.name, Anchor::Start);
    }
    PageFigure { svg: svg.finish(), tiles: encoded(&tiles) }
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
            let bytes = grid_of_columns("t", &heads, &rows, [3, 2, 2], 1).png;
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
        let picture = image::load_from_memory(&grid(title, &[Row { name: "", pixels: &[0.0; 4] }], [1, 2, 2], 1).png);
        let (width, height) = (picture.as_ref().unwrap().width(), picture.as_ref().unwrap().height());
        assert!(width <= NARROW && height == MARGIN + 3 * LINE + 6 + 68 + MARGIN, "{width} {height}");
    }

    /// The pixels of text in a rectangle of a figure: left, top, right and bottom.
    fn ink(picture: &image::RgbImage, [x, y]: [u32; 2], [width, height]: [u32; 2]) -> [u32; 4] {
        let dark = |&(x, y): &(u32, u32)| picture.get_pixel(x, y).0[0] < 128;
        let places = (y..y + height).flat_map(|y| (x..x + width).map(move |x| (x, y))).filter(dark);
        places.fold([u32::MAX, u32::MAX, 0, 0], |[l, t, r, b], (x, y)| [l.min(x), t.min(y), r.max(x), b.max(y)])
    }

    /// Texts are centred above their columns and beside their rows, in the PNG and on the page.
    #[test]
    fn texts_are_centred_on_their_images() {
        let white = [1.0; 12];
        let rows = [Row { name: "HHH", pixels: &white }, Row { name: "H", pixels: &white }];
        let heads = ["HHHH".to_owned(), "H".to_owned(), "HHHHH".to_owned()];
        let tiles = grid_of_columns("", &heads, &rows, [1, 2, 2], 1);
        let picture = image::load_from_memory(&tiles.png).unwrap().into_rgb8();
        let left = MARGIN + 3 * LETTER[0] + 10;
        let svg = roxmltree::Document::parse(&tiles.page.svg).unwrap();
        let texts: Vec<_> = svg.descendants().filter(|node| node.has_tag_name("text")).collect();
        let at = |k: usize, name: &str| texts[k].attribute(name).unwrap().parse::<f32>().unwrap();
        for (k, words) in heads.iter().enumerate() {
            let column = left + k as u32 * 68;
            let [from, top, to, bottom] = ink(&picture, [column - 2, MARGIN], [68, LETTER[1]]);
            assert!((from + to).abs_diff(2 * column + 64) <= 3, "{words} from {from} to {to} over {column}");
            assert!(bottom - top >= 8 && to - from + 4 >= words.len() as u32 * LETTER[0] - 4, "{words}");
            assert_eq!(at(k, "x"), (column + 32) as f32);
            assert!(at(k, "y") > MARGIN as f32 && at(k, "y") < (MARGIN + LINE) as f32);
        }
        for k in [0, 1] {
            let row = MARGIN + LINE + k as u32 * (68 + 3 * GAP);
            let [from, top, _, bottom] = ink(&picture, [0, row], [left, 64]);
            assert!((top + bottom).abs_diff(2 * row + 64) <= 4, "{top} to {bottom} beside {row}");
            assert!(from.abs_diff(MARGIN) <= 2, "{from}");
            assert!(
                (at(3 + k, "y") - (row + 32) as f32 - 5.0).abs() < 0.1,
                "the baseline is 5 pixels below the middle"
            );
            assert_eq!(at(3 + k, "x"), MARGIN as f32);
        }
    }

    /// Groups of rows are separated, and what a figure lacks takes no room.
    #[test]
    fn a_figure_is_as_large_as_its_parts() {
        let size = |title: &str, name: &str, rows: usize, group: usize| {
            let rows: Vec<Row> = (0..rows).map(|_| Row { name, pixels: &[0.0; 12] }).collect();
            image::load_from_memory(&grid(title, &rows, [1, 2, 2], group).png).unwrap().into_rgb8().dimensions()
        };
        let (width, height) = (3 * 68 + 2 * MARGIN, 68 + 2 * MARGIN);
        assert_eq!(size("", "", 1, 1), (width, height));
        assert_eq!(size("", "abc", 1, 1), (width + 3 * LETTER[0] + 10, height));
        for (rows, group, gaps) in [(4, 4, 0), (4, 9, 0), (4, 2, 1), (5, 2, 2), (4, 1, 3)] {
            assert_eq!(
                size("", "", rows, group).1,
                height + (rows as u32 - 1) * 68 + gaps * 3 * GAP,
                "{rows} by {group}"
            );
        }
        assert_eq!(size("t", "", 1, 1).1, height + LINE + 6);
        let title = "x".repeat(40);
        assert_eq!(size(&title, "", 1, 1).0, 40 * LETTER[0] + 2 * MARGIN, "the title is wider than the images");
        // Where the second group begins.
        let rows: Vec<Row> = (0..5).map(|_| Row { name: "", pixels: &[0.0; 4] }).collect();
        let picture = image::load_from_memory(&grid("", &rows, [1, 2, 2], 2).png).unwrap().into_rgb8();
        let dark = |y: u32| picture.get_pixel(MARGIN, y).0 == [0; 3];
        let starts: Vec<u32> = (1..picture.height()).filter(|&y| dark(y) && !dark(y - 1)).collect();
        let expected = [0, 68, 2 * 68 + 12, 3 * 68 + 12, 4 * 68 + 24].map(|y| MARGIN + y);
        assert_eq!(starts, expected);
    }

    #[test]
    fn nan_pixels_are_drawn() {
        assert!(!grid("t", &[Row { name: "a", pixels: &[f32::NAN; 4] }], [1, 2, 2], 2).png.is_empty());
    }

    #[test]
    fn a_figure_for_a_page_has_no_title_and_is_transparent_around_its_images() {
        let rows = [Row { name: "a & b", pixels: &[1.0; 8] }];
        let PageFigure { svg, tiles } = grid_of_columns("the title", &["h".to_owned()], &rows, [1, 2, 2], 1).page;
        let picture = image::load_from_memory(&tiles).unwrap().into_rgba8();
        let left = MARGIN + 5 * LETTER[0] + 10;
        let corner = [left, MARGIN + LINE];
        let at = |dx: u32, dy: u32| picture.get_pixel(corner[0] + dx, corner[1] + dy).0;
        assert_eq!([at(0, 0), at(63, 63), at(68, 0)], [[255; 4]; 3]);
        assert_eq!([at(64, 0), at(0, 64), picture.get_pixel(0, 0).0], [[0; 4]; 3]);
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        let texts = parsed.descendants().filter(|node| node.has_tag_name("text"));
        let words: Vec<_> = texts.filter_map(|node| node.text()).collect();
        assert_eq!(words, ["h", "a & b"]);
        assert!(!svg.contains("#fff") && svg.contains(&format!("href=\"{}\"", PageFigure::TILES)), "{svg}");
    }
}
