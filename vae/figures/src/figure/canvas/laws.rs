//! Laws of drawing: shapes have their area and their place, and text is turned and anchored as it should be.

use super::*;

/// How much of each pixel is covered with black: its row, its column, and a number in [0, 1].
fn covered(draw: impl Fn(&mut Canvas)) -> Vec<(usize, usize, f64)> {
    let mut canvas = Canvas::new(60, 60);
    draw(&mut canvas);
    let cover = |x: u32, y: u32| 1.0 - f64::from(canvas.image.get_pixel(x, y).0[0]) / 255.0;
    (0..60).flat_map(|y| (0..60).map(move |x| (x, y))).map(|(x, y)| (x as usize, y as usize, cover(x, y))).collect()
}

/// The area that is covered, and its centre. It is exact only far from edges, so thin lines are left out below.
fn area_and_centre(covered: &[(usize, usize, f64)]) -> (f64, [f64; 2]) {
    let area: f64 = covered.iter().map(|(.., cover)| cover).sum();
    let x: f64 = covered.iter().map(|(x, _, cover)| (*x as f64 + 0.5) * cover).sum();
    let y: f64 = covered.iter().map(|(_, y, cover)| (*y as f64 + 0.5) * cover).sum();
    (area, [x / area, y / area])
}

const INK: Colour = [0, 0, 0];

#[test]
fn a_line_covers_its_length_times_its_width_and_its_round_ends() {
    for (from, to) in [
        ([10.0, 20.0], [40.0, 20.0]),
        ([12.5, 40.0], [12.5, 9.0]),
        ([10.0, 15.0], [45.0, 50.0]),
        ([40.0, 9.5], [22.0, 49.0]),
    ] {
        for width in [4.0, 9.0] {
            let (area, centre) = area_and_centre(&covered(|canvas| canvas.line(from, to, width, INK)));
            let [dx, dy] = [f64::from(to[0] - from[0]), f64::from(to[1] - from[1])];
            let half = f64::from(width) / 2.0;
            let expected = dx.hypot(dy) * f64::from(width) + std::f64::consts::PI * half * half;
            assert!((area / expected - 1.0).abs() < 0.04, "{from:?} to {to:?}, {width}: {area}, {expected}");
            let middle = [0, 1].map(|k| f64::from(from[k] + to[k]) / 2.0);
            assert!(
                (centre[0] - middle[0]).abs() < 0.1 && (centre[1] - middle[1]).abs() < 0.1,
                "{centre:?} {middle:?}"
            );
        }
    }
}

/// A line of no length is a disc, the marker of the first series.
#[test]
fn markers_cover_their_areas_around_their_points() {
    let at = [30.25, 29.5];
    for marker in [Marker::Disc, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Down] {
        let radius = 9.0_f64;
        let (area, centre) = area_and_centre(&covered(|canvas| canvas.mark(at, marker, radius as f32, INK, "")));
        // The shoelace formula, in units of the radius.
        let polygon = |corners: &[[f32; 2]]| {
            let next = corners.iter().cycle().skip(1);
            corners.iter().zip(next).map(|(a, b)| f64::from(a[0] * b[1] - a[1] * b[0]) / 2.0).sum::<f64>()
        };
        let unit = match marker.polygons() {
            [] => std::f64::consts::PI,
            [corners] => polygon(corners),
            _ => unreachable!("one polygon"),
        };
        assert!((area / (unit * radius * radius) - 1.0).abs() < 0.05, "{marker:?}: {area}");
        let low = match marker {
            Marker::Triangle => 0.4 / 3.0, // the mean of its corners
            Marker::Down => -0.4 / 3.0,
            _ => 0.0,
        };
        let expected = [f64::from(at[0]), f64::from(at[1]) + low * radius];
        assert!(
            (centre[0] - expected[0]).abs() < 0.15 && (centre[1] - expected[1]).abs() < 0.15,
            "{marker:?}: {centre:?}"
        );
    }
}

#[test]
fn a_bar_covers_its_rectangle_and_an_empty_one_nothing() {
    let bar = |size: [f32; 2]| area_and_centre(&covered(|canvas| canvas.bar([10.0, 20.0], size, INK, "")));
    let (area, centre) = bar([12.0, 30.0]);
    assert!(
        (area - 360.0).abs() < 2.0 && (centre[0] - 16.0).abs() < 0.05 && (centre[1] - 35.0).abs() < 0.05,
        "{area} {centre:?}"
    );
    let empty = covered(|canvas| canvas.bar([10.0, 20.4], [12.0, 0.0], INK, ""));
    assert!(empty.iter().all(|(.., cover)| *cover == 0.0));
    assert_eq!(area_and_centre(&covered(|canvas| canvas.fill([3, 50], [4, 5], INK))).0, 20.0);
}

/// Half opaque black on white is grey, and twice that is darker.
#[test]
fn colours_are_blended_by_their_cover() {
    let mut canvas = Canvas::new(2, 1);
    for cover in [0.5, 0.5, -1.0] {
        canvas.blend(0, 0, [0, 255, 55], cover);
    }
    canvas.blend(1, 0, [10, 20, 30], 7.0);
    assert_eq!(canvas.image.get_pixel(0, 0).0, [64, 255, 105]);
    assert_eq!(canvas.image.get_pixel(1, 0).0, [10, 20, 30]);
}

/// The pixels that a text covers, sorted.
fn ink(draw: impl Fn(&mut Canvas)) -> Vec<(usize, usize)> {
    let mut places: Vec<_> =
        covered(draw).into_iter().filter(|(.., cover)| *cover > 0.3).map(|(x, y, _)| (x, y)).collect();
    places.sort_unstable();
    places
}

#[test]
fn text_upwards_is_text_turned_to_the_left() {
    let level = ink(|canvas| canvas.text([10, 20], "aL7", BLACK));
    let mut turned: Vec<_> = level.iter().map(|(x, y)| (y - 20 + 30, 50 - (x - 10))).collect();
    turned.sort_unstable();
    assert!(level.len() > 30);
    assert_eq!(ink(|canvas| canvas.text_upwards([30, 50], "aL7", BLACK)), turned);
    // One letter after the other.
    let letters = [("a", 10), ("L", 19), ("7", 28)];
    let mut each: Vec<_> =
        letters.iter().flat_map(|(words, x)| ink(|canvas| canvas.text([*x, 20], words, BLACK))).collect();
    each.sort_unstable();
    assert_eq!(each, level);
    assert_eq!(ink(|canvas| canvas.text([10, 20], "é", BLACK)), ink(|canvas| canvas.text([10, 20], "?", BLACK)));
}

#[test]
fn text_is_anchored_at_its_start_middle_or_end() {
    let anchored = |at: [f32; 2], anchor: Anchor| ink(|canvas| Surface::text(canvas, at, "aLL7", anchor));
    let [start, middle, end] = [Anchor::Start, Anchor::Middle, Anchor::End];
    // Four letters of 9 pixels, 18 high.
    let level = ink(|canvas| canvas.text([11, 21], "aLL7", BLACK));
    assert_eq!(anchored([11.0, 30.0], start), level);
    assert_eq!(anchored([29.0, 30.0], middle), level);
    assert_eq!(anchored([47.0, 30.0], end), level);
    assert_eq!(anchored([46.6, 29.7], end), level);
    let upwards = ink(|canvas| canvas.text_upwards([21, 48], "aLL7", BLACK));
    assert_eq!(anchored([30.0, 30.0], Anchor::Upwards), upwards);
}

#[test]
fn lines_of_text_are_as_long_as_allowed() {
    assert_eq!(wrap("ab cd ef", 5), ["ab cd", "ef"]);
    assert_eq!(wrap("ab cd ef", 4), ["ab", "cd", "ef"]);
    assert_eq!(wrap("ab cd ef", 8), ["ab cd ef"]);
    assert_eq!(width_of("aé7"), 27);
}

/// A diamond in the middle of a pixel is the same from all sides, and its corners cover a tenth of the pixels beside them.
#[test]
fn symmetric_markers_are_drawn_symmetrically() {
    for marker in [Marker::Disc, Marker::Square, Marker::Diamond, Marker::Plus, Marker::Cross] {
        let covered = covered(|canvas| canvas.mark([30.5, 30.5], marker, 7.74, INK, ""));
        let at = |x: usize, y: usize| covered[60 * y + x].2;
        for (x, y, cover) in covered.iter().filter(|(x, y, _)| *x > 0 && *y > 0) {
            let turned = [at(60 - x, *y), at(*x, 60 - y)];
            assert!(turned.iter().all(|other| (other - cover).abs() < 0.01), "{marker:?} at {x}, {y}");
        }
    }
}

/// A line through several points is the lines between them.
#[test]
fn a_line_goes_through_all_its_points() {
    let points = [[10.0, 10.0], [40.0, 20.0], [20.0, 50.0]];
    let whole = covered(|canvas| Surface::line(canvas, &points, 3.0, INK));
    let parts = covered(|canvas| points.windows(2).for_each(|pair| canvas.line(pair[0], pair[1], 3.0, INK)));
    assert_eq!(whole, parts);
    assert!(area_and_centre(&whole).0 > 150.0);
}

/// The edges of letters are grey.
#[test]
fn letters_are_smooth() {
    let covered = covered(|canvas| canvas.text([10, 20], "abcS", BLACK));
    let grey = covered.iter().filter(|(.., cover)| (0.1..0.7).contains(cover)).count();
    let full = covered.iter().filter(|(.., cover)| *cover > 0.8).count();
    assert!(grey > 20 && full > 20, "{grey} grey, {full} full");
}
