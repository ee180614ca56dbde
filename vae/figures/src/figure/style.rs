//! How the series of a plot, and the classes of images, are distinguished: by colour and by the shape of their markers. Figures
//! and the map of `vae explore` share this palette. Readers with protanopia or deuteranopia can distinguish its colours, too: the
//! tests simulate both.

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

pub(super) const WHITE: Colour = [255, 255, 255];
pub(super) const BLACK: Colour = [30, 30, 30];
pub(super) const GREY: Colour = [225, 225, 225];

/// Ten colours, each on a light and on a dark ground. They begin with the hues of Okabe and Ito (2008), which differ for colour-blind
/// readers mostly in lightness. Many data sets have ten classes, so there are two more, and all were moved apart in lightness until
/// every pair differs.
const COLOURS: [[Colour; 2]; 10] = [
    [[0, 114, 178], [56, 175, 253]],    // blue
    [[230, 130, 0], [248, 165, 32]],    // orange
    [[0, 143, 105], [72, 222, 159]],    // green
    [[196, 124, 186], [224, 123, 188]], // pink
    [[60, 165, 250], [190, 210, 255]],  // light blue
    [[165, 25, 45], [252, 60, 25]],     // red
    [[160, 110, 0], [255, 237, 20]],    // brown, yellow
    [[25, 30, 25], [255, 250, 230]],    // black, white
    [[162, 174, 150], [137, 133, 115]], // grey
    [[100, 40, 135], [145, 93, 221]],   // violet
];
const MARKERS: [Marker; 7] =
    [Marker::Disc, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Down, Marker::Plus, Marker::Cross];

/// The shape that is drawn at each point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    Down,
    Plus,
    Cross,
}

impl Marker {
    /// The convex polygons that a marker of radius 1 consists of, their corners in clockwise order; empty for a disc. The areas of all
    /// markers are similar.
    pub(super) fn polygons(self) -> &'static [&'static [[f32; 2]]] {
        match self {
            Marker::Disc => &[],
            Marker::Square => &[&[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]],
            Marker::Triangle => &[&[[0.0, -1.4], [1.3, 0.9], [-1.3, 0.9]]],
            Marker::Diamond => &[&[[0.0, -1.35], [1.35, 0.0], [0.0, 1.35], [-1.35, 0.0]]],
            Marker::Down => &[&[[-1.3, -0.9], [1.3, -0.9], [0.0, 1.4]]],
            Marker::Plus => &[
                &[[-1.45, -0.45], [1.45, -0.45], [1.45, 0.45], [-1.45, 0.45]],
                &[[-0.45, -1.45], [0.45, -1.45], [0.45, 1.45], [-0.45, 1.45]],
            ],
            Marker::Cross => &[
                &[[-0.7, -1.35], [1.35, 0.7], [0.7, 1.35], [-1.35, -0.7]],
                &[[0.7, -1.35], [1.35, -0.7], [-0.7, 1.35], [-1.35, 0.7]],
            ],
        }
    }
}

/// The colour and the marker of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The colour on a light ground. Figures have one.
    pub(super) colour: Colour,
    on_dark: Colour,
    pub(super) marker: Marker,
}

impl Style {
    /// The number of different styles.
    pub const COUNT: usize = COLOURS.len() * MARKERS.len();

    /// The style of series number `k`. The first [`Style::COUNT`] differ. Of the first ten, neighbours differ in both colour and marker,
    /// and all differ in colour.
    pub fn number(k: usize) -> Style {
        let [colour, on_dark] = COLOURS[k % COLOURS.len()];
        Style { colour, on_dark, marker: MARKERS[k % MARKERS.len()] } // 10 and 7 have no common factor, so all pairs occur
    }

    /// The colours on a light and on a dark ground, as `#rrggbb`.
    pub fn colours(self) -> [String; 2] {
        [hex(self.colour), hex(self.on_dark)]
    }

    /// The polygons that a marker of radius 1 consists of, y downwards; empty for a disc.
    pub fn polygons(self) -> &'static [&'static [[f32; 2]]] {
        self.marker.polygons()
    }
}

/// The colour in the notation of HTML and SVG, `#rrggbb`.
pub(super) fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What readers with protanopia and deuteranopia see of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1.
    const PROTANOPIA: [[f64; 3]; 3] =
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
    const DEUTERANOPIA: [[f64; 3]; 3] =
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
    const NORMAL: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    /// The smallest distance in OKLab of two colours with the same marker. A distance of 0.02 can just be seen side by side.
    const APART: f64 = 0.09;

    fn times(matrix: [[f64; 3]; 3], x: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
    }

    fn linear(colour: Colour) -> [f64; 3] {
        colour.map(|byte| f64::from(byte) / 255.0).map(|x| match x <= 0.04045 {
            true => x / 12.92,
            false => ((x + 0.055) / 1.055).powf(2.4),
        })
    }

    /// A colour as it is seen, in OKLab (Ottosson 2020), whose distances are those of perception.
    fn oklab(colour: Colour, vision: [[f64; 3]; 3]) -> [f64; 3] {
        let seen = times(vision, linear(colour)).map(|x| x.clamp(0.0, 1.0));
        let cones = [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ];
        let lab = [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ];
        times(lab, times(cones, seen).map(f64::cbrt))
    }

    /// The distance of two colours for the vision that confuses them most.
    fn distance(a: Colour, b: Colour) -> f64 {
        let of = |vision| {
            let (a, b) = (oklab(a, vision), oklab(b, vision));
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        [NORMAL, PROTANOPIA, DEUTERANOPIA].map(of).into_iter().fold(f64::INFINITY, f64::min)
    }

    /// The same distance in CIELAB (1976, white D65), where a distance of 2.3 can just be seen side by side.
    fn cielab_distance(a: Colour, b: Colour) -> f64 {
        let lab = |colour, vision| {
            let seen = times(vision, linear(colour)).map(|x| x.clamp(0.0, 1.0));
            let xyz = [
                [0.4124564, 0.3575761, 0.1804375],
                [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041],
            ];
            let white = times(xyz, [1.0; 3]);
            let f = |t: f64| {
                if t > (6.0_f64 / 29.0).powi(3) { t.cbrt() } else { t * (29.0_f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0 }
            };
            let xyz = times(xyz, seen);
            let [x, y, z] = [0, 1, 2].map(|k| f(xyz[k] / white[k]));
            [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
        };
        let of = |vision| {
            let (a, b) = (lab(a, vision), lab(b, vision));
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        [NORMAL, PROTANOPIA, DEUTERANOPIA].map(of).into_iter().fold(f64::INFINITY, f64::min)
    }

    /// The contrast of two colours (WCAG 2.2).
    fn contrast(a: Colour, b: Colour) -> f64 {
        let light = |colour| times([[0.2126, 0.7152, 0.0722]; 3], linear(colour))[0] + 0.05;
        light(a).max(light(b)) / light(a).min(light(b))
    }

    #[test]
    fn seventy_series_differ_and_begin_with_blue_and_orange() {
        let styles: Vec<Style> = (0..Style::COUNT).map(Style::number).collect();
        assert!((0..70).all(|i| (0..i).all(|j| styles[i] != styles[j])));
        assert_eq!((styles[0].colour, styles[0].marker), ([0, 114, 178], Marker::Disc));
        assert_eq!((styles[1].colour, styles[1].marker), ([230, 130, 0], Marker::Square));
        assert_eq!(styles[0].colours(), ["#0072b2", "#38affd"]);
        assert_eq!(Style::number(70), styles[0]);
    }

    #[test]
    fn colour_blind_readers_can_distinguish_two_series() {
        let styles: Vec<Style> = (0..Style::COUNT).map(Style::number).collect();
        for (i, a) in styles.iter().enumerate() {
            for (j, b) in styles[..i].iter().enumerate().filter(|(_, b)| b.marker == a.marker) {
                let found = [distance(a.colour, b.colour), distance(a.on_dark, b.on_dark)];
                assert!(found.iter().all(|&distance| distance > APART), "{i} and {j}: {found:?}");
            }
        }
        // Labels 1 and 6 of the earlier page were these colours, which are the same to a reader with protanopia.
        assert!(distance([184, 92, 0], [122, 106, 0]) < 0.01);
        // Among ten classes, those with the same marker differ even more.
        let worst = |a: &Style, b: &Style| distance(a.colour, b.colour).min(distance(a.on_dark, b.on_dark));
        for i in 0..10 {
            for j in (0..i).filter(|&j| styles[i].marker == styles[j].marker) {
                assert!(worst(&styles[i], &styles[j]) > 0.12, "{i} and {j}");
            }
        }
    }

    /// The colours of a page in the order s0, s1, …, in light and in dark mode, and the paper.
    fn page_colours(css: &str) -> [(Vec<Colour>, Colour); 2] {
        let colour = |text: &str| [0, 2, 4].map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap());
        let all =
            |name: &str| css.match_indices(name).map(|(at, _)| colour(&css[at + name.len()..])).collect::<Vec<_>>();
        let lines: Vec<Vec<Colour>> = (0..8).map(|k| all(&format!("--s{k}: #"))).collect();
        let papers = all("--paper: #");
        assert!(papers.len() == 2 && lines.iter().all(|modes| modes.len() == 2), "{lines:?}");
        [0, 1].map(|mode| (lines.iter().map(|modes| modes[mode]).collect(), papers[mode]))
    }

    /// The lines of a report's charts have no markers, so every pair of colours must differ.
    #[test]
    fn colour_blind_readers_can_distinguish_the_lines_of_a_report() {
        for (colours, paper) in page_colours(include_str!("../../../assets/report/page.css")) {
            for (i, &a) in colours.iter().enumerate() {
                assert!(contrast(a, paper) > 3.0, "s{i}: {}", contrast(a, paper));
                for (j, &b) in colours[..i].iter().enumerate() {
                    assert!(distance(a, b) > APART, "s{j} and s{i} on {paper:?}: {}", distance(a, b));
                    let far = cielab_distance(a, b);
                    assert!(far > 19.0, "s{j} and s{i} on {paper:?}: {far}");
                }
            }
        }
    }

    #[test]
    fn every_colour_contrasts_with_its_ground() {
        for [on_light, on_dark] in COLOURS {
            assert!(
                contrast(on_light, WHITE) > 2.2 && contrast(on_dark, [21, 24, 28]) > 4.0,
                "{on_light:?} {on_dark:?}"
            );
        }
    }

    #[test]
    fn polygons_are_convex_and_clockwise() {
        for marker in MARKERS {
            for corners in marker.polygons() {
                let at = |k: usize| corners[k % corners.len()];
                let turns = (0..corners.len()).map(|k| {
                    let ([a, b], [c, d], [e, f]) = (at(k), at(k + 1), at(k + 2));
                    (c - a) * (f - d) - (d - b) * (e - c)
                });
                assert!(turns.into_iter().all(|turn| turn > 0.0), "{marker:?}"); // y points downwards
            }
        }
    }
}
