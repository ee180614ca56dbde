//! SVG output of a plot. Text stays text, and points have tooltips with their values.

use std::fmt::Write;

use super::style::{Colour, Marker, hex};
use super::surface::{Anchor, Surface};

/// An SVG document that is being written. Coordinates have one decimal, so that the bytes are the same on every machine.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// An empty document of this width and height, with a title for screen readers. Without a title it is part of a page, which
    /// has a title and a background.
    pub(super) fn new([width, height]: [u32; 2], title: &str) -> Svg {
        let (background, title) = match title {
            "" => ("", String::new()),
            title => (" style=\"background:#fff\"", format!("<title>{}</title>\n", escaped(title))),
        };
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
             font-size=\"15\" fill=\"#1e1e1e\"{background}>\n{title}"
        );
        Svg { text }
    }

    /// Returns the finished document.
    pub(super) fn finish(self) -> String {
        self.text + "</svg>\n"
    }

    /// Adds an image of the whole document's size, given by its URL.
    pub(super) fn image(&mut self, url: &str, [width, height]: [u32; 2]) {
        self.add(format_args!("<image href=\"{url}\" width=\"{width}\" height=\"{height}\"/>\n"));
    }

    fn add(&mut self, element: std::fmt::Arguments) {
        self.text.write_fmt(element).expect("a string grows");
    }

    /// Closes an element, with a tooltip if `says` is not empty.
    fn close(&mut self, name: &str, says: &str) {
        match says {
            "" => self.add(format_args!("/>\n")),
            says => self.add(format_args!("><title>{}</title></{name}>\n", escaped(says))),
        }
    }
}

impl Surface for Svg {
    fn line(&mut self, points: &[[f32; 2]], width: f32, colour: Colour) {
        let places: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let (places, colour) = (places.join(" "), hex(colour));
        self.add(format_args!(
            "<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n"
        ));
    }

    fn mark(&mut self, [x, y]: [f32; 2], marker: Marker, radius: f32, colour: Colour, says: &str) {
        let colour = hex(colour);
        let name = match marker.polygons() {
            [] => {
                self.add(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\""));
                "circle"
            }
            polygons => {
                let place = |[dx, dy]: &[f32; 2]| format!("{:.1},{:.1}", x + radius * dx, y + radius * dy);
                let part = |corners: &&[[f32; 2]]| corners.iter().map(place).collect::<Vec<_>>().join("L");
                let outline = polygons.iter().map(part).collect::<Vec<_>>().join("ZM");
                self.add(format_args!("<path d=\"M{outline}Z\" fill=\"{colour}\""));
                "path"
            }
        };
        self.close(name, says);
    }

    fn bar(&mut self, [x, y]: [f32; 2], [width, height]: [f32; 2], colour: Colour, says: &str) {
        let colour = hex(colour);
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\""
        ));
        self.close("rect", says);
    }

    fn text(&mut self, [x, y]: [f32; 2], words: &str, anchor: Anchor) {
        let (place, turn) = match anchor {
            Anchor::Start => ("start", String::new()),
            Anchor::Middle => ("middle", String::new()),
            Anchor::End => ("end", String::new()),
            Anchor::Upwards => ("middle", format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"")),
        };
        let (words, baseline) = (escaped(words), y + 5.0);
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"{place}\"{turn}>{words}</text>\n"));
    }
}

/// Escapes text for an element: names come from folders and files.
fn escaped(words: &str) -> String {
    let clean = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>();
    clean.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
