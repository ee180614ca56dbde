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

#[cfg(test)]
mod tests {
    use super::super::style::BLACK;
    use super::*;

    /// The first element of an SVG with what `draw` adds.
    fn drawn(draw: impl Fn(&mut Svg)) -> (String, Vec<(String, String)>, String) {
        let mut svg = Svg::new([90, 70], "");
        draw(&mut svg);
        let text = svg.finish();
        let parsed = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(parsed.root_element().attribute("viewBox"), Some("0 0 90 70"));
        let node = parsed.root_element().first_element_child().unwrap();
        let attributes = node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
        let inside: String = node.descendants().filter_map(|node| node.text()).next().unwrap_or("").into();
        (node.tag_name().name().to_owned(), attributes, inside)
    }

    fn value(attributes: &[(String, String)], name: &str) -> String {
        attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The corners of a marker are at its radius times those of the unit marker, around its point.
    #[test]
    fn markers_are_around_their_points() {
        use Marker::{Cross, Diamond, Down, Plus, Square, Triangle};
        for marker in [Square, Triangle, Diamond, Down, Plus, Cross] {
            let (name, attributes, says) = drawn(|svg| svg.mark([40.0, 20.0], marker, 10.0, [255, 0, 16], "a < b"));
            assert_eq!((name.as_str(), says.as_str()), ("path", "a < b"));
            assert_eq!(value(&attributes, "fill"), "#ff0010");
            let path = value(&attributes, "d");
            assert!(
                path.starts_with('M') && path.ends_with('Z') && path.matches('M').count() == marker.polygons().len()
            );
            let numbers = path.split(|c: char| "MLZ,".contains(c)).filter_map(|number| number.parse::<f32>().ok());
            let corners: Vec<f32> = numbers.collect();
            let expected: Vec<f32> = marker
                .polygons()
                .iter()
                .copied()
                .flatten()
                .flat_map(|[x, y]| [40.0 + 10.0 * x, 20.0 + 10.0 * y])
                .collect();
            assert!(
                corners.len() == expected.len() && corners.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.06)
            );
        }
        let (name, attributes, says) = drawn(|svg| svg.mark([40.0, 20.0], Marker::Disc, 3.5, BLACK, ""));
        let of = |name: &str| value(&attributes, name);
        assert_eq!(
            (name.as_str(), of("cx"), of("cy"), of("r"), says.as_str()),
            ("circle", "40.0".into(), "20.0".into(), "3.5".into(), "")
        );
    }

    #[test]
    fn lines_bars_and_texts_have_their_places() {
        let (name, attributes, _) = drawn(|svg| svg.line(&[[1.0, 2.0], [3.25, 4.0], [5.0, 60.0]], 2.0, BLACK));
        assert_eq!((name.as_str(), value(&attributes, "points")), ("polyline", "1.0,2.0 3.2,4.0 5.0,60.0".into()));
        assert_eq!((value(&attributes, "stroke"), value(&attributes, "stroke-width")), ("#1e1e1e".into(), "2".into()));
        let (name, attributes, says) = drawn(|svg| svg.bar([1.0, 2.0], [30.0, 4.5], BLACK, "4.5 nats"));
        let numbers = ["x", "y", "width", "height"].map(|name| value(&attributes, name));
        assert_eq!((name.as_str(), says.as_str()), ("rect", "4.5 nats"));
        assert_eq!(numbers, ["1.0", "2.0", "30.0", "4.5"]);
        for (anchor, place, turned) in [
            (Anchor::Start, "start", false),
            (Anchor::Middle, "middle", false),
            (Anchor::End, "end", false),
            (Anchor::Upwards, "middle", true),
        ] {
            let (name, attributes, words) = drawn(|svg| svg.text([10.0, 20.0], "a\n& b", anchor));
            assert_eq!(
                (name.as_str(), words.as_str()),
                ("text", "a & b"),
                "no line break, and nothing that ends the element"
            );
            assert_eq!([value(&attributes, "x"), value(&attributes, "y")], ["10.0", "25.0"]);
            assert_eq!((value(&attributes, "text-anchor").as_str(), place), (place, place));
            assert_eq!(value(&attributes, "transform"), if turned { "rotate(-90 10.0 20.0)" } else { "" });
        }
    }
}
