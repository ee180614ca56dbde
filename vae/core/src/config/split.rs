//! The value of `data.split`: a word, a ratio, or the path of a list.

use serde::{Deserialize, Serialize};

/// How the pictures of a folder are divided into training, validation and test pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SplitBy {
    /// By the sub-folders `train` and `test` if both exist, else at random, 10:1:1.
    Auto,
    /// By the sub-folders `train`, `validation` and `test`.
    Folders,
    /// At random, by the seed.
    Ratio(Ratio),
    /// By a list of paths and parts. It is a CSV file, whose path is relative to `data.dir`.
    List(String),
}

/// The shares of training, validation and test pictures. None of them is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(pub [u32; 3]);

impl Ratio {
    /// 10:1:1.
    pub const DEFAULT: Ratio = Ratio([10, 1, 1]);
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [train, validation, test] = self.0;
        write!(f, "{train}:{validation}:{test}")
    }
}

impl std::fmt::Display for SplitBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SplitBy::Auto => f.write_str("auto"),
            SplitBy::Folders => f.write_str("folders"),
            SplitBy::Ratio(ratio) => write!(f, "{ratio}"),
            SplitBy::List(path) => f.write_str(path),
        }
    }
}

impl From<SplitBy> for String {
    fn from(split: SplitBy) -> String {
        split.to_string()
    }
}

impl TryFrom<String> for SplitBy {
    type Error = String;

    fn try_from(text: String) -> Result<SplitBy, String> {
        let shares: Option<Vec<u32>> = text.split(':').map(|share| share.trim().parse().ok()).collect();
        match (text.as_str(), shares.as_deref()) {
            ("auto", _) => Ok(SplitBy::Auto),
            ("folders", _) => Ok(SplitBy::Folders),
            (_, Some(&[train, validation, test])) if train.min(validation).min(test) > 0 => {
                Ok(SplitBy::Ratio(Ratio([train, validation, test])))
            }
            (path, _) if path.to_ascii_lowercase().ends_with(".csv") => Ok(SplitBy::List(text)),
            _ => Err(
                "expected `auto`, `folders`, a ratio of three whole numbers above 0 such as `8:1:1`, or the path of a \
                 list that ends with `.csv`"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_a_ratio_and_a_path_are_told_apart() {
        let parse = |text: &str| SplitBy::try_from(text.to_owned());
        for (text, split) in [
            ("auto", SplitBy::Auto),
            ("folders", SplitBy::Folders),
            ("8:1:1", SplitBy::Ratio(Ratio([8, 1, 1]))),
            ("lists/my parts.CSV", SplitBy::List("lists/my parts.CSV".into())),
        ] {
            assert_eq!(parse(text), Ok(split.clone()), "{text}");
            assert_eq!(String::from(split), text);
        }
        assert_eq!(parse("80 : 10 : 10"), Ok(SplitBy::Ratio(Ratio([80, 10, 10]))));
        for bad in ["", "8:1", "8:1:0", "8:1:1:1", "0.8:0.1:0.1", "-8:1:1", "folder", "parts.txt", "99999999999:1:1"] {
            assert!(parse(bad).is_err_and(|why| why.contains("`8:1:1`") && why.contains("`folders`")), "{bad}");
        }
    }
}
