//! A drawing as an SVG file: shapes and text on a white ground, so that it can be read in the book's dark themes too.

use std::fmt::Write;

/// Colours that people with a colour vision deficiency can tell apart (Okabe and Ito).
pub const BLUE: &str = "#0072b2";
/// See [`BLUE`].
pub const ORANGE: &str = "#d55e00";
/// See [`BLUE`].
pub const GREEN: &str = "#009e73";
/// For axes and text.
pub const BLACK: &str = "#222222";
/// For what is in the background.
pub const GREY: &str = "#999999";
/// For the inside of boxes.
pub const PALE: &str = "#eef3f8";

/// A drawing of a width and a height in pixels.
pub struct Svg {
    size: [f64; 2],
    body: String,
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { size: [width, height], body: String::new() }
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, width: f64) {
        let place = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
        let _ = writeln!(self.body, "<line {place} stroke=\"{colour}\" stroke-width=\"{width}\"/>");
    }

    /// A straight line of dashes.
    pub fn dashes(&mut self, from: [f64; 2], to: [f64; 2], colour: &str) {
        self.line(from, to, colour, 1.5);
        let end = self.body.trim_end().len() - 2;
        self.body.insert_str(end, " stroke-dasharray=\"5 4\"");
    }

    /// A line with a head at its end.
    pub fn arrow(&mut self, from: [f64; 2], to: [f64; 2], colour: &str) {
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let length = dx.hypot(dy).max(1e-9);
        let [ux, uy] = [dx / length, dy / length];
        let base = [to[0] - 9.0 * ux, to[1] - 9.0 * uy];
        self.line(from, base, colour, 1.8);
        let side = |s: f64| [base[0] - s * 4.5 * uy, base[1] + s * 4.5 * ux];
        self.area(&[to, side(1.0), side(-1.0)], colour, 1.0);
    }

    /// A rectangle with rounded corners, filled and with a border.
    pub fn rect(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], fill: &str, border: &str) {
        let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"4\"");
        let _ = writeln!(self.body, "<rect {place} fill=\"{fill}\" stroke=\"{border}\" stroke-width=\"1.2\"/>");
    }

    /// A filled circle.
    pub fn dot(&mut self, [x, y]: [f64; 2], radius: f64, colour: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{colour}\"/>");
    }

    /// An ellipse without inside, turned by an angle in degrees.
    pub fn ellipse(&mut self, [x, y]: [f64; 2], [rx, ry]: [f64; 2], angle: f64, colour: &str) {
        let place = format!("cx=\"{x:.1}\" cy=\"{y:.1}\" rx=\"{rx:.1}\" ry=\"{ry:.1}\"");
        let turn = format!("transform=\"rotate({angle:.1} {x:.1} {y:.1})\"");
        let _ = writeln!(self.body, "<ellipse {place} {turn} fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>");
    }

    /// A line through points.
    pub fn curve(&mut self, points: &[[f64; 2]], colour: &str) {
        let points = joined(points);
        let _ = writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\"/>"
        );
    }

    /// The area inside points.
    pub fn area(&mut self, points: &[[f64; 2]], colour: &str, opacity: f64) {
        let points = joined(points);
        let _ = writeln!(self.body, "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>");
    }

    /// Text whose middle is at this place.
    pub fn text(&mut self, at: [f64; 2], text: &str) {
        self.write(at, text, "middle", BLACK, 15);
    }

    /// Small text in a colour, whose middle is at this place.
    pub fn note(&mut self, at: [f64; 2], text: &str, colour: &str) {
        self.write(at, text, "middle", colour, 13);
    }

    /// Small text in a colour that begins at this place.
    pub fn label(&mut self, at: [f64; 2], text: &str, colour: &str) {
        self.write(at, text, "start", colour, 13);
    }

    fn write(&mut self, [x, y]: [f64; 2], text: &str, anchor: &str, colour: &str, size: u32) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let style = format!("text-anchor=\"{anchor}\" fill=\"{colour}\" font-size=\"{size}\"");
        let _ = writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>");
    }

    /// A box with text in its middle.
    pub fn node(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], text: &str, border: &str) {
        self.rect([x - w / 2.0, y - h / 2.0], [w, h], PALE, border);
        self.text([x, y + 5.0], text);
    }

    /// A rectangle with a thick border and without inside.
    pub fn outline(&mut self, [x, y]: [f64; 2], [w, h]: [f64; 2], colour: &str) {
        let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"6\"");
        let _ = writeln!(self.body, "<rect {place} fill=\"none\" stroke=\"{colour}\" stroke-width=\"3\"/>");
    }

    /// Drawings that are shown one after the other, for ever, each for a number of seconds. Whoever has asked the system for less
    /// motion, and whoever prints the page, sees only the one with the index `still`.
    pub fn frames(&mut self, frames: &[(f64, Svg)], still: usize) {
        let all: f64 = frames.iter().map(|(seconds, _)| seconds).sum();
        let (mut rules, mut begin) = (String::new(), 0.0);
        for (i, (seconds, _)) in frames.iter().enumerate() {
            let percent = |at: f64| 100.0 * at / all;
            let hidden = if i == 0 { String::new() } else { "0%{opacity:0}".to_owned() };
            let (from, to) = (percent(begin), percent(begin + seconds));
            let _ = writeln!(
                rules,
                "@keyframes f{i}{{{hidden}{from:.3}%{{opacity:1}}{to:.3}%{{opacity:0}}}} #f{i}{{animation-name:f{i}}}"
            );
            begin += seconds;
        }
        let moving = format!(".f{{opacity:0;animation:{all}s step-end infinite}}");
        let _ = write!(
            self.body,
            "<style>.f{{opacity:0}} #f{still}{{opacity:1}}\n\
             @media screen and (prefers-reduced-motion: no-preference){{\n{moving}\n#f{still}{{opacity:0}}\n{rules}}}</style>\n"
        );
        for (i, (_, frame)) in frames.iter().enumerate() {
            let _ = write!(self.body, "<g class=\"f\" id=\"f{i}\">\n{}</g>\n", frame.body);
        }
    }

    /// The file.
    pub fn finish(self) -> String {
        let [w, h] = self.size;
        let head =
            format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\"");
        let ground = "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>";
        format!("{head} font-family=\"sans-serif\">\n{ground}\n{}</svg>\n", self.body)
    }
}

fn joined(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// Axes of a plot: a rectangle of the drawing, and the range of numbers that it shows.
pub struct Axes {
    /// Left, top, width and height, in pixels.
    pub place: [f64; 4],
    /// The numbers at the left and right end.
    pub x: [f64; 2],
    /// The numbers at the bottom and the top.
    pub y: [f64; 2],
}

impl Axes {
    /// Where a point of the plot is in the drawing.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [left, top, w, h] = self.place;
        let right = (x - self.x[0]) / (self.x[1] - self.x[0]);
        let up = (y - self.y[0]) / (self.y[1] - self.y[0]);
        [left + right * w, top + h - up * h]
    }

    /// Draws the lower and the left line, and names them.
    pub fn draw(&self, svg: &mut Svg, x: &str, y: &str) {
        let [left, top, w, h] = self.place;
        svg.line([left, top + h], [left + w, top + h], BLACK, 1.2);
        svg.line([left, top], [left, top + h], BLACK, 1.2);
        svg.note([left + w / 2.0, top + h + 30.0], x, BLACK);
        svg.label([left - 6.0, top - 8.0], y, BLACK);
    }

    /// Points of a function from one number to another.
    pub fn points(&self, from: f64, to: f64, f: impl Fn(f64) -> f64) -> Vec<[f64; 2]> {
        (0..=120).map(|i| from + (to - from) * f64::from(i) / 120.0).map(|x| self.at(x, f(x))).collect()
    }
}
