//! Plots: panels of lines, points and bars, under a title and above a legend. The same drawing code gives a PNG (on a
//! [`Canvas`]) or an SVG (on an [`Svg`]).
//!
//! This module replaces the crate plotters. Without a font parser, which is unmaintained, plotters writes no text into a PNG;
//! it rounds all positions to whole pixels; and it has no tooltips in SVG. What would remain in use of it are the axes.

use super::axis::{Axis, format_value};
use super::canvas::{Canvas, LETTER, width_of, wrap};
use super::grid::PageFigure;
use super::style::{BLACK, GREY, Style};
use super::surface::{Anchor, Surface};
use super::svg::Svg;

/// A figure of panels in rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The title of the figure: what it shows, the run and the epoch.
    pub title: String,
    /// The number of panels in a row.
    pub columns: usize,
    /// Width and height of a panel, in pixels.
    pub size: [u32; 2],
    /// The panels, row after row.
    pub panels: Vec<Panel>,
}

/// A pair of axes and the series in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Text above the panel; may be empty.
    pub heading: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The data.
    pub series: Vec<Series>,
}

/// Data points that belong together. A plot with more than one series has a legend with their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// How the series is drawn.
    pub kind: Kind,
    /// Its colour and marker.
    pub style: Style,
    /// The x and y of each point. A point that is not finite is left out and interrupts the line.
    pub points: Vec<[f64; 2]>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Markers joined by a line.
    Line,
    /// Markers alone.
    Points,
    /// Bars from 0. The bars of several series are next to each other.
    Bars,
}

/// Width and height of a panel in a figure of several panels.
pub const PANEL: [u32; 2] = [420, 330];
/// The space between a panel's border and its axes: left, top, right, bottom.
const INSET: [f32; 4] = [92.0, 40.0, 14.0, 52.0];
const MARGIN: f32 = 16.0;
/// Height of a line of text.
const LINE: f32 = 22.0;
/// With at most this many bars in a panel, each has its value above it.
const FEW: usize = 12;

impl Plot {
    /// Returns the plot as a PNG.
    pub fn png(&self) -> Vec<u8> {
        let [width, height] = self.extent();
        let mut canvas = Canvas::new(width, height);
        self.draw(&mut canvas);
        super::png(&canvas)
    }

    /// Returns the plot as an SVG document.
    pub fn svg(&self) -> String {
        let mut svg = Svg::new(self.extent(), &self.title);
        self.draw(&mut svg);
        svg.finish()
    }

    /// Returns the plot for a page.
    pub fn page(&self) -> PageFigure {
        PageFigure { svg: Plot { title: String::new(), ..self.clone() }.svg(), tiles: Vec::new() }
    }

    fn width(&self) -> u32 {
        let entry = self.legend().iter().map(|(name, _)| width_of(name) as u32 + 90).max().unwrap_or(0);
        (self.columns as u32 * self.size[0] + 10).max(entry)
    }

    fn title_lines(&self) -> Vec<String> {
        match &*self.title {
            "" => Vec::new(),
            title => wrap(title, (self.width() - 2 * MARGIN as u32) / LETTER[0]),
        }
    }

    fn head(&self) -> f32 {
        8.0 + LINE * self.title_lines().len() as f32
    }

    /// The space above the axes of a panel, smaller if no panel has a heading.
    fn above(&self) -> f32 {
        if self.panels.iter().all(|panel| panel.heading.is_empty()) { 14.0 } else { INSET[1] }
    }

    fn rows(&self) -> u32 {
        self.panels.len().div_ceil(self.columns.max(1)) as u32
    }

    fn extent(&self) -> [u32; 2] {
        let (columns, _) = self.legend_columns();
        let lines = self.legend().len().div_ceil(columns) as f32;
        let legend = if lines > 0.0 { lines * LINE + MARGIN } else { 0.0 };
        [self.width(), (self.head() + legend) as u32 + self.rows() * self.size[1]]
    }

    /// The names and styles of the series, each name once. Empty if there is only one.
    fn legend(&self) -> Vec<(&str, &Series)> {
        let mut entries: Vec<(&str, &Series)> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !entries.iter().any(|(name, _)| *name == series.name) {
                entries.push((&series.name, series));
            }
        }
        if entries.len() > 1 { entries } else { Vec::new() }
    }

    /// The number of legend entries in a row, and the width of one.
    fn legend_columns(&self) -> (usize, f32) {
        let entries = self.legend();
        let entry = entries.iter().map(|(name, _)| width_of(name) as f32).fold(0.0, f32::max) + 70.0;
        let fit = ((self.width() as f32 - MARGIN) / entry) as usize;
        (fit.clamp(1, entries.len().max(1)), entry)
    }

    fn draw(&self, surface: &mut impl Surface) {
        for (line, y) in self.title_lines().iter().zip(0_u8..) {
            surface.text([MARGIN, 19.0 + LINE * f32::from(y)], line, Anchor::Start);
        }
        let size = self.size.map(|side| side as f32);
        for (i, panel) in self.panels.iter().enumerate() {
            let (x, y) = ((i % self.columns) as f32 * size[0], self.head() + (i / self.columns) as f32 * size[1]);
            let (left, top, right, bottom) =
                (x + INSET[0], y + self.above(), x + size[0] - INSET[2], y + size[1] - INSET[3]);
            Framed { panel, left, top, right, bottom }.draw(surface);
        }
        let top = self.head() + self.rows() as f32 * size[1];
        let (columns, entry) = self.legend_columns();
        for (k, (name, Series { kind, style, .. })) in self.legend().into_iter().enumerate() {
            let [x, y] = [MARGIN + (k % columns) as f32 * entry, top + LINE * (0.5 + (k / columns) as f32)];
            match kind {
                Kind::Line => surface.line(&[[x, y], [x + 30.0, y]], 2.0, style.colour),
                Kind::Bars => surface.bar([x + 8.0, y - 7.0], [14.0, 14.0], style.colour, ""),
                Kind::Points => {}
            }
            if *kind != Kind::Bars {
                surface.mark([x + 15.0, y], style.marker, 4.0, style.colour, "");
            }
            surface.text([x + 38.0, y], name, Anchor::Start);
        }
    }
}

/// A panel and the position of its axes.
struct Framed<'a> {
    panel: &'a Panel,
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl Framed<'_> {
    fn at(&self, [x, y]: [f64; 2]) -> [f32; 2] {
        let (across, up) = (self.panel.x.place(x), self.panel.y.place(y));
        [self.left + (self.right - self.left) * across, self.bottom - (self.bottom - self.top) * up]
    }

    fn draw(&self, surface: &mut impl Surface) {
        self.axes(surface);
        let bars = self.panel.series.iter().filter(|series| series.kind == Kind::Bars).count();
        let mut place = 0;
        for series in &self.panel.series {
            match series.kind {
                Kind::Line => self.line(surface, series),
                Kind::Points => self.marks(surface, series, 3.0, |_| String::new()),
                Kind::Bars => {
                    self.bars(surface, series, place, bars);
                    place += 1;
                }
            }
        }
    }

    /// Draws the axes with labels, ticks and grid lines.
    fn axes(&self, surface: &mut impl Surface) {
        let &Framed { panel, left, top, right, bottom } = self;
        surface.text([(left + right) / 2.0, top - 19.0], &panel.heading, Anchor::Middle);
        surface.text([left - INSET[0] + 15.0, (top + bottom) / 2.0], &panel.y.label, Anchor::Upwards);
        surface.text([(left + right) / 2.0, bottom + 39.0], &panel.x.label, Anchor::Middle);
        for (tick, words) in &panel.y.ticks {
            let [_, y] = self.at([panel.x.low, *tick]);
            surface.line(&[[left, y], [right, y]], 1.0, GREY);
            surface.text([left - 8.0, y], words, Anchor::End);
        }
        let mut free = f32::MIN;
        for (tick, words) in &panel.x.ticks {
            let ([x, _], half) = (self.at([*tick, panel.y.low]), width_of(words) as f32 / 2.0);
            if x - half >= free {
                surface.line(&[[x, bottom], [x, bottom + 5.0]], 1.0, BLACK);
                surface.text([x, bottom + 17.0], words, Anchor::Middle);
                free = x + half + LETTER[0] as f32;
            }
        }
        surface.line(&[[left, top], [left, bottom], [right, bottom]], 1.0, BLACK);
    }

    fn line(&self, surface: &mut impl Surface, series: &Series) {
        for piece in series.points.split(|point| !is_finite(point)).filter(|piece| piece.len() > 1) {
            let places: Vec<[f32; 2]> = piece.iter().map(|&point| self.at(point)).collect();
            surface.line(&places, 2.0, series.style.colour);
        }
        let radius = if series.points.len() <= 30 { 3.5 } else { 2.0 };
        self.marks(surface, series, radius, |point| self.says(series, point));
    }

    fn marks(&self, surface: &mut impl Surface, series: &Series, radius: f32, says: impl Fn([f64; 2]) -> String) {
        let Style { colour, marker, .. } = series.style;
        for &point in series.points.iter().filter(|point| is_finite(point)) {
            surface.mark(self.at(point), marker, radius, colour, &says(point));
        }
    }

    /// Draws the bars of the series number `place` among `count` series of bars.
    fn bars(&self, surface: &mut impl Surface, series: &Series, place: usize, count: usize) {
        let written = count * series.points.len() <= FEW;
        let wide = 0.8 / count as f64;
        for &[x, y] in series.points.iter().filter(|point| is_finite(point)) {
            let start = x - 0.4 + wide * place as f64;
            let ([from, high], [to, zero]) = (self.at([start, y]), self.at([start + wide, self.panel.y.low.max(0.0)]));
            let gap = if written { 2.0 } else { 0.0 };
            let size = [(to - from - gap).max(0.5), (zero - high).max(0.0)];
            surface.bar([from, high], size, series.style.colour, &self.says(series, [x, y]));
            if written {
                surface.text([(from + to) / 2.0, high - 10.0], &format_value(y), Anchor::Middle);
            }
        }
    }

    /// The tooltip of a point: its series, the tick text or number of its x, and its value.
    fn says(&self, series: &Series, [x, y]: [f64; 2]) -> String {
        let Panel { x: across, y: up, .. } = self.panel;
        let known = across.ticks.iter().find(|(tick, _)| *tick == x).map(|(_, words)| words.clone());
        let name = if series.name.is_empty() { String::new() } else { format!("{}, ", series.name) };
        format!("{name}{} {}: {} {}", across.label, known.unwrap_or_else(|| x.to_string()), format_value(y), up.label)
    }
}

fn is_finite(point: &[f64; 2]) -> bool {
    point.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(kind: Kind, names: &[&str], points: &[[f64; 2]]) -> Plot {
        let series = |(k, name): (usize, &&str)| Series {
            name: (*name).into(),
            kind,
            style: Style::number(k),
            points: points.to_vec(),
        };
        let panel = Panel {
            heading: "loss".into(),
            x: Axis::counted("epoch", 3),
            y: Axis::around("nats", points.iter().map(|[_, y]| *y).chain([0.0])),
            series: names.iter().enumerate().map(series).collect(),
        };
        Plot { title: "a <run>, epoch 3".into(), columns: 1, size: PANEL, panels: vec![panel] }
    }

    #[test]
    fn the_svg_is_well_formed_xml_with_all_texts() {
        let svg = plot(Kind::Line, &["training", "validation"], &[[1.0, 4.0], [2.0, f64::NAN], [3.0, 2.0]]).svg();
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        let root = parsed.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        assert_eq!(root.first_element_child().unwrap().text(), Some("a <run>, epoch 3"));
        let all = |name: &str| parsed.descendants().filter(|node| node.has_tag_name(name)).collect::<Vec<_>>();
        let words: Vec<&str> = all("text").iter().filter_map(|node| node.text()).collect();
        for word in ["a <run>, epoch 3", "loss", "epoch", "nats", "training", "validation", "4", "2"] {
            assert!(words.contains(&word), "{word}: {words:?}");
        }
        let says: Vec<&str> = all("title").iter().skip(1).filter_map(|node| node.text()).collect();
        assert_eq!(
            says,
            [
                "training, epoch 1: 4.000 nats",
                "training, epoch 3: 2.000 nats",
                "validation, epoch 1: 4.000 nats",
                "validation, epoch 3: 2.000 nats",
            ]
        );
        assert!(all("polyline").iter().all(|line| line.attribute("stroke") != Some("#0072b2") || {
            line.attribute("points").unwrap().split(' ').count() == 2 // the line in the legend; NaN interrupts that of the data
        }));
    }

    #[test]
    fn png_and_svg_have_the_same_size_and_room_for_the_legend() {
        for names in [vec![], vec!["one"], (0..30).map(|_| "a run of a long name").collect::<Vec<_>>()] {
            let names: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("{name} {i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let plot = plot(Kind::Points, &names, &[[1.0, 1.0]]);
            let picture = image::load_from_memory(&plot.png()).unwrap();
            let [width, height] = plot.extent();
            assert_eq!([picture.width(), picture.height()], [width, height]);
            assert!(plot.svg().contains(&format!("viewBox=\"0 0 {width} {height}\"")));
            let svg = plot.svg();
            let parsed = roxmltree::Document::parse(&svg).unwrap();
            let low = parsed.descendants().filter_map(|node| node.attribute("y")?.parse::<f32>().ok());
            assert!(low.fold(0.0, f32::max) < height as f32, "{names:?}");
        }
    }

    #[test]
    fn a_bar_has_the_height_of_its_value() {
        let plot = plot(Kind::Bars, &["kl"], &[[1.0, 4.0], [2.0, 2.0]]);
        let picture = image::load_from_memory(&plot.png()).unwrap().into_rgb8();
        let blue = Style::number(0).colour;
        let height = |x: u32| (0..picture.height()).filter(|&y| picture.get_pixel(x, y).0 == blue).count();
        let across = |x: f64| (INSET[0] + (PANEL[0] as f32 - INSET[0] - INSET[2]) * plot.panels[0].x.place(x)) as u32;
        let [high, low] = [height(across(1.0)), height(across(2.0))];
        assert!(high.abs_diff(2 * low) <= 2 && low > 50, "{high} {low}");
    }
}
