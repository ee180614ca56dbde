//! The requests of the explorer's page, and the answers.
//!
//! ```text
//! GET  /about                {"title", "latents", …}
//! POST /decode               {"z": […], "label"} → a PNG
//! POST /mosaic               {"z": […], "label", "dims": [x, y], "ranges": [[left, right], [low, high]]} → a PNG of tiles
//! GET  /image?place=7        {"z", "label", "picture", "other_ground"}
//! POST /picture?label=0      a picture file → as image
//!      &inverted=true&whole=true       dark and light exchanged; not cropped
//! GET  /map?x=3&y=7          {"points", "labels"}
//! ```

use serde::Serialize;
use vae_core::{Error, Result};

use crate::{Explorer, Mosaic, Point, Reading};

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// What the page needs at the beginning.
    About,
    /// A decoded point.
    Decode(Point),
    /// A grid of decoded points.
    Mosaic(Mosaic),
    /// The code of a test image.
    Image(usize),
    /// The code of a picture file.
    Picture(Vec<u8>, Reading),
    /// The test images in the plane of two latents.
    Map([usize; 2]),
}

/// What a request gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// JSON.
    Json(String),
    /// The bytes of a PNG.
    Png(Vec<u8>),
}

impl Question {
    /// Reads a request of a page that has no server: its path with the query, and its body.
    ///
    /// # Errors
    /// If there is no such request, or a part of it is missing or wrong.
    pub fn parse(request: &str, body: Vec<u8>) -> Result<Question> {
        let wrong = |what: &dyn std::fmt::Display| Error::config(format!("{request}: {what}"));
        let (path, query) = request.split_once('?').unwrap_or((request, ""));
        let value = |name: &str| query.split('&').find_map(|part| part.split_once('=').filter(|(key, _)| *key == name));
        let whole = |name: &str| match value(name) {
            Some((_, number)) => number.parse::<usize>().map_err(|error| wrong(&format!("{name}: {error}"))),
            None => Err(wrong(&format!("{name} is missing"))),
        };
        let is = |name: &str| value(name).is_some_and(|(_, value)| value == "true");
        Ok(match path {
            "/about" => Question::About,
            "/decode" => Question::Decode(serde_json::from_slice(&body).map_err(|error| wrong(&error))?),
            "/mosaic" => Question::Mosaic(serde_json::from_slice(&body).map_err(|error| wrong(&error))?),
            "/image" => Question::Image(whole("place")?),
            "/map" => Question::Map([whole("x")?, whole("y")?]),
            "/picture" => {
                let label = value("label").map_or(Ok(0), |_| whole("label"))?;
                Question::Picture(body, Reading { label, inverted: is("inverted"), whole: is("whole") })
            }
            _ => return Err(wrong(&"there is no such request")),
        })
    }
}

impl Explorer {
    /// Answers a request.
    ///
    /// # Errors
    /// As the method that answers it.
    pub fn answer(&self, question: Question) -> Result<Answer> {
        fn json(answer: impl Serialize) -> Answer {
            Answer::Json(serde_json::to_string(&answer).expect("numbers and words are JSON"))
        }
        Ok(match question {
            Question::About => json(self.about()),
            Question::Decode(point) => Answer::Png(self.decode(&point)?),
            Question::Mosaic(mosaic) => Answer::Png(self.mosaic(&mosaic)?),
            Question::Image(place) => json(self.image(place)?),
            Question::Picture(bytes, reading) => json(self.picture(&bytes, reading)?),
            Question::Map(dims) => json(self.map(dims)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request: &str, body: &str) -> std::result::Result<Question, String> {
        Question::parse(request, body.as_bytes().to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn requests_without_a_server_are_read_as_with_one() {
        assert_eq!(parse("/about", ""), Ok(Question::About));
        let point = Point { z: vec![0.5, -1.0], label: 3 };
        assert_eq!(parse("/decode", r#"{"z": [0.5, -1], "label": 3}"#), Ok(Question::Decode(point.clone())));
        let mosaic = Mosaic { point, dims: [0, 1], ranges: [[-1.0, 1.0], [-2.0, 2.0]] };
        let body = r#"{"z": [0.5, -1], "label": 3, "dims": [0, 1], "ranges": [[-1, 1], [-2, 2]]}"#;
        assert_eq!(parse("/mosaic", body), Ok(Question::Mosaic(mosaic)));
        assert_eq!(parse("/image?place=7", ""), Ok(Question::Image(7)));
        assert_eq!(parse("/map?x=3&y=0", ""), Ok(Question::Map([3, 0])));
        let picture = |label, inverted, whole| Ok(Question::Picture(b"x".into(), Reading { label, inverted, whole }));
        assert_eq!(parse("/picture?label=2&whole=true", "x"), picture(2, false, true));
        assert_eq!(parse("/picture?inverted=true", "x"), picture(0, true, false));
        for (request, body, words) in [
            ("/map?x=3", "", "/map?x=3: y is missing"),
            ("/image?place=-1", "", "place: invalid digit"),
            ("/decode", "{}", "missing field `z`"),
            ("/etc", "", "/etc: there is no such request"),
        ] {
            let error = parse(request, body).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
