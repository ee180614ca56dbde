//! What the five papers claim (`vae/papers/claims.toml`), and what runs say to it: a verdict by rule, never by eye.
//!
//! A claim compares one quantity of a few runs. For values a, b, … in the order of the claim's runs, and differences of less than
//! its tolerance (a share of the larger, or an amount) counting as none,
//!
//! ```text
//! rises      no step goes down, and the last is above the first        falls     the mirror image
//! lowest     the first is below every other                            highest   the mirror image
//! alike      no two differ                                             no-better no other is below the first
//! under, over   every value is below, above a bound                    equals    every value is the printed one
//! ```
//!
//! A rule holds, fails, or decides nothing since the values are alike. It must hold in every group of runs and for every seed;
//! seeds that disagree are no finding, nor is a difference on fewer seeds than the claim asks for ([`verdict`]).

pub mod verdict;

/// The claims about a paper.
///
/// # Errors
/// If `claims.toml` was changed to what cannot be.
pub fn of_paper(paper: &str) -> Result<Vec<Claim>> {
    Ok(all()?.into_iter().filter(|claim| claim.paper == paper).collect())
}

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vae_core::{Error, Result};

/// The file.
const TOML: &str = include_str!("../../papers/claims.toml");

/// A sentence of a paper, and how runs are asked about it. Each field is documented at the top of `claims.toml`, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Claim {
    /// What it is called.
    pub id: String,
    /// The paper, as `vae paper` calls it.
    pub paper: String,
    /// Where in the paper.
    pub section: String,
    /// The paper's sentence.
    pub says: String,
    /// What is compared; empty where nothing can be.
    #[serde(default)]
    pub quantity: String,
    /// Another quantity that is taken from the first, of the same run, without its sign: a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<String>,
    /// How they must compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Groups of runs, each by its name without the seed.
    #[serde(default)]
    pub runs: Vec<Vec<String>>,
    /// The share of the larger of two values below which they count as alike.
    #[serde(default = "tolerance")]
    pub within: f64,
    /// The difference below which they do, whatever their size.
    #[serde(default)]
    pub floor: f64,
    /// What `under` and `over` compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// How many seeds it takes to believe a difference of this size.
    #[serde(default = "one")]
    pub seeds: usize,
    /// What the paper printed, by run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub printed: BTreeMap<String, f64>,
    /// What it should have printed, by run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrected: BTreeMap<String, f64>,
    /// What is wrong with the sentence; the rule is then that of the corrected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
    /// Why nothing here can decide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_comparable: Option<String>,
    /// Why the small runs of `--quick` cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_quick: Option<String>,
}

/// How the values of a group must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// From each to the next, and on the whole.
    Rises,
    /// Likewise down.
    Falls,
    /// The first is below all others.
    Lowest,
    /// The first is above all others.
    Highest,
    /// All are the same.
    Alike,
    /// None is below the first.
    NoBetter,
    /// All are below the bound.
    Under,
    /// All are above it.
    Over,
    /// Each is what was printed.
    Equals,
}

fn tolerance() -> f64 {
    0.01
}

fn one() -> usize {
    1
}

/// What is measured of every run, besides what is in its validation and its scores.
const OF_RUNS: [&str; 4] = ["best_epoch", "parameters", "seconds", "trainable_parameters"];
/// What a validation may hold.
const OF_VALIDATION: [&str; 8] = ["total", "reconstruction", "kl", "mi", "tc", "dw_kl", "mse", "accuracy"];

/// The scores that claims and tables ask for.
const OF_SCORES: [&str; 5] = [
    "frechet_distance",
    "label_histogram",
    "laplacian_variance_reconstructions",
    "laplacian_variance_samples",
    "negation_correlation",
];

/// Whether some run can have this quantity.
pub fn is_known(quantity: &str) -> bool {
    [&OF_RUNS[..], &OF_VALIDATION, &OF_SCORES].iter().any(|names| names.contains(&quantity))
}

/// Whether it is a whole number.
pub(crate) fn is_count(quantity: &str) -> bool {
    ["best_epoch", "parameters", "trainable_parameters"].contains(&quantity)
}

/// All claims.
///
/// # Errors
/// If the file was changed to what cannot be: in one line, which names the claim.
pub fn all() -> Result<Vec<Claim>> {
    parse(TOML)
}

/// The claims of a text like `claims.toml`.
fn parse(text: &str) -> Result<Vec<Claim>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        claims: Vec<Claim>,
    }
    let file: File = toml::from_str(text).map_err(|error| super::not_toml("claims.toml", text, &error))?;
    for (i, claim) in file.claims.iter().enumerate() {
        let twice = file.claims[..i].iter().any(|before| before.id == claim.id);
        let wrong = twice.then(|| "occurs twice".to_owned()).or_else(|| claim.wrong());
        if let Some(what) = wrong {
            return Err(Error::config(format!("claims.toml: {:?} {what}", claim.id)));
        }
    }
    Ok(file.claims)
}

impl Claim {
    /// What cannot be, if anything.
    fn wrong(&self) -> Option<String> {
        let empty = [&self.id, &self.section, &self.says].iter().any(|text| text.trim().is_empty());
        let named: Vec<&String> = self.runs.iter().flatten().collect();
        let stray = self.printed.keys().chain(self.corrected.keys()).find(|run| !named.contains(run));
        let quantities = std::iter::once(&self.quantity).chain(&self.minus);
        if !super::PAPERS.iter().any(|(name, _)| *name == self.paper) {
            return Some(format!("is about {:?}, which is not one of the papers", self.paper));
        }
        let Some(rule) = self.rule else {
            let idle = self.not_comparable.is_none();
            return idle.then(|| "has neither a rule nor a reason why it is not comparable".into());
        };
        let least = match rule {
            Rule::Under | Rule::Over | Rule::Equals => 1,
            _ => 2,
        };
        let unbound = matches!(rule, Rule::Under | Rule::Over) != self.bound.is_some();
        let unprinted = rule == Rule::Equals && named.iter().any(|run| !self.printed.contains_key(*run));
        quantities
            .clone()
            .find(|name| !is_known(name))
            .map(|name| format!("uses {name:?}, which no run has"))
            .or_else(|| stray.map(|run| format!("prints a value of {run:?}, which it does not compare")))
            .or_else(|| empty.then(|| "lacks its id, section or sentence".into()))
            .or_else(|| unbound.then(|| "needs a bound with under or over, and with nothing else".into()))
            .or_else(|| unprinted.then(|| "has the rule equals and a run without a printed value".into()))
            .or_else(|| (!(0.0..1.0).contains(&self.within)).then(|| "has a tolerance outside [0, 1)".into()))
            .or_else(|| (self.floor.is_nan() || self.floor < 0.0).then(|| "has a negative floor".into()))
            .or_else(|| (self.seeds == 0).then(|| "must require at least one seed".into()))
            .or_else(|| {
                let few = self.runs.is_empty() || self.runs.iter().any(|group| group.len() < least);
                few.then(|| format!("needs {least} runs or more in every group"))
            })
    }

    /// The rule in words, with its tolerance.
    pub fn rule_words(&self) -> String {
        let Some(rule) = self.rule else { return String::new() };
        let quantity = match &self.minus {
            None => self.quantity.clone(),
            Some(minus) => format!("|{} − {minus}|", self.quantity),
        };
        let bound = self.bound.unwrap_or_default();
        let words = match rule {
            Rule::Rises => "rises".into(),
            Rule::Falls => "falls".into(),
            Rule::Lowest => "is lowest in the first run".into(),
            Rule::Highest => "is highest in the first run".into(),
            Rule::Alike => "is equal in all runs".into(),
            Rule::NoBetter => "is not lower in any other run than in the first".into(),
            Rule::Under => format!("is below {bound}"),
            Rule::Over => format!("is above {bound}"),
            Rule::Equals => return format!("{quantity} is the printed number"),
        };
        let floor = if self.floor > 0.0 { format!(" or {}", self.floor) } else { String::new() };
        let bounded = matches!(rule, Rule::Under | Rule::Over);
        let alike = if bounded {
            String::new()
        } else {
            format!("; differences within {} %{floor} are ignored", 100.0 * self.within)
        };
        format!("{quantity} {words}{alike}")
    }
}
