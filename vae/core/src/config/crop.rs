//! `data.crop`: a word or a number, in quotes in a file and without on the command line.

use serde::{Deserialize, Serialize};

/// What of a picture is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Crop {
    /// All of it, stretched to a square.
    None,
    /// The largest square around its centre.
    Centre,
    /// So many pixels each way around its centre; all where there are fewer.
    Pixels(u32),
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
                _ => Err(format!("{text:?} is none of `none`, `centre` and a number of pixels such as `148`")),
            },
        }
    }
}
