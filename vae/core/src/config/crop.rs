//! The value of `data.crop`: a word or a number. It is quoted in a file and unquoted on the command line.

use serde::{Deserialize, Serialize};

/// The part of a picture that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Crop {
    /// The whole picture, stretched to a square.
    None,
    /// The largest square around the centre.
    Centre,
    /// A square of this side in pixels around the centre, or smaller if the picture is smaller.
    Pixels(u32),
}

impl Crop {
    /// The words that are allowed besides a number, each with its documentation.
    pub const WORDS: &'static [(&'static str, &'static str)] =
        &[("none", "The whole picture, stretched to a square."), ("centre", "The largest square around the centre.")];
}

impl std::fmt::Display for Crop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Crop::None => f.write_str("none"),
            Crop::Centre => f.write_str("centre"),
            Crop::Pixels(side) => write!(f, "{side}"),
        }
    }
}

impl From<Crop> for String {
    fn from(crop: Crop) -> String {
        crop.to_string()
    }
}

impl TryFrom<String> for Crop {
    type Error = String;

    fn try_from(text: String) -> Result<Crop, String> {
        match text.as_str() {
            "none" => Ok(Crop::None),
            "centre" => Ok(Crop::Centre),
            number => match number.parse() {
                Ok(side) if side > 0 => Ok(Crop::Pixels(side)),
                _ => Err("expected `none`, `centre` or a number of pixels such as `148`".into()),
            },
        }
    }
}
