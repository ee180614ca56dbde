//! Reads the list of mutants, `list.txt`. Each mutant has a few lines, and blank lines separate them.
//!
//! ```text
//! name: what it breaks
//! path/of/the/file.rs
//! - text that occurs in the file exactly once
//! + its replacement
//! ```

use std::fmt;

/// A replacement of one piece of code by a wrong one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) breaks: String,
    pub(crate) path: String,
    pub(crate) original: String,
    pub(crate) replacement: String,
}

/// All mutants in the order of the list.
pub(crate) fn read() -> Result<Vec<Mutant>, String> {
    let text = include_str!("list.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    lines.split(|line| line.trim().is_empty()).filter(|block| !block.is_empty()).map(parse).collect()
}

fn parse(block: &[&str]) -> Result<Mutant, String> {
    let wrong = || format!("mutants/list.txt: not a mutant:\n{}", block.join("\n"));
    let [title, path, original, replacement] = block else { return Err(wrong()) };
    let (name, breaks) = title.split_once(": ").ok_or_else(wrong)?;
    Ok(Mutant {
        name: name.to_owned(),
        breaks: breaks.to_owned(),
        path: (*path).to_owned(),
        original: original.strip_prefix("- ").ok_or_else(wrong)?.to_owned(),
        replacement: replacement.strip_prefix("+ ").ok_or_else(wrong)?.to_owned(),
    })
}

impl Mutant {
    /// The source text with the mutation applied.
    pub(crate) fn apply(&self, source: &str) -> Result<String, String> {
        match source.matches(&self.original).count() {
            1 => Ok(source.replacen(&self.original, &self.replacement, 1)),
            n => Err(format!("{self}: its text stands {n} times in {}, not once", self.path)),
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.breaks)
    }
}
