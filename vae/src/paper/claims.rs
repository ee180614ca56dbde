//! The claims of the five papers (`vae/papers/claims.toml`), and verdicts on them from the results of runs. Every verdict
//! follows from a rule, never from looking at a figure.
//!
//! A claim compares one quantity between a few runs, whose values a, b, … are in the order of the claim's runs. Two values
//! count as equal if they differ by less than the claim's tolerance, a fraction of the larger or an absolute difference. The
//! rules:
//!
//! ```text
//! rises      no step goes down, and the last is above the first        falls     the mirror image
//! lowest     the first is below every other                            highest   the mirror image
//! alike      no two differ                                             no-better no other is below the first
//! under, over   every value is below, above a bound                    equals    every value is the printed one
//! ```
//!
//! A rule holds, fails, or finds the values equal. It must hold in every group of runs and for every seed. If seeds disagree, if
//! there are fewer seeds than the claim requires, or if a run has not converged, the claim is undecided ([`verdict`]).
//! [`convergence`] says when a run has.

pub mod convergence;
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

/// The file of claims.
const TOML: &str = include_str!("../../papers/claims.toml");

/// A statement of a paper, and the comparison of runs that tests it. The head of `claims.toml` documents each field, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Claim {
    /// A unique name.
    pub id: String,
    /// The name of the paper, as for `vae paper`.
    pub paper: String,
    /// The section of the paper.
    pub section: String,
    /// The statement in the paper's words.
    pub says: String,
    /// The quantity that is compared. Empty if nothing can be compared.
    #[serde(default)]
    pub quantity: String,
    /// Another quantity of the same run. If given, the absolute difference of the two is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<String>,
    /// The rule for the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Groups of runs, named without their seeds.
    #[serde(default)]
    pub runs: Vec<Vec<String>>,
    /// The relative tolerance: two values are equal if they differ by at most this fraction of the larger one.
    #[serde(default = "tolerance")]
    pub within: f64,
    /// The absolute tolerance.
    #[serde(default)]
    pub floor: f64,
    /// The bound of the rules `under` and `over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// Whether runs that have not converged decide it, because it is not about final losses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_length: bool,
    /// Whether a run that has collapsed decides nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_latents: bool,
    /// The number of seeds that a difference of this size requires.
    #[serde(default = "one")]
    pub seeds: usize,
    /// The values that the paper printed, by run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub printed: BTreeMap<String, f64>,
    /// The correct values, by run, if the paper printed wrong ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrected: BTreeMap<String, f64>,
    /// The error in the statement, if it has one. The rule then tests the corrected statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
    /// The reason why no run here can test the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_comparable: Option<String>,
    /// The reason why the small runs of `--quick` cannot test it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_quick: Option<String>,
}

/// The rule that the values of a group must satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No step falls, and the last value is above the first.
    Rises,
    /// No step rises, and the last value is below the first.
    Falls,
    /// The first is below all others.
    Lowest,
    /// The first is above all others.
    Highest,
    /// All are equal.
    Alike,
    /// No other value is below the first.
    NoBetter,
    /// All are below the bound.
    Under,
    /// All are above the bound.
    Over,
    /// Each is the printed value.
    Equals,
}

fn tolerance() -> f64 {
    0.01
}

fn one() -> usize {
    1
}

/// Quantities of a run that are in neither its validation metrics nor its scores.
const OF_RUNS: [&str; 4] = ["best_epoch", "parameters", "seconds", "trainable_parameters"];
/// Quantities that validation can report.
const OF_VALIDATION: [&str; 8] = ["total", "reconstruction", "kl", "mi", "tc", "dw_kl", "mse", "accuracy"];

/// The scores that claims and tables use.
const OF_SCORES: [&str; 14] = [
    "beta_vae_score",
    "dci_disentanglement",
    "factor_vae_score",
    "frechet_distance",
    "kid",
    "label_histogram",
    "laplacian_variance_reconstructions",
    "laplacian_variance_samples",
    "latents_in_use",
    "mig",
    "negation_correlation",
    "sap",
    "ssim",
    "tc_exact",
];

/// Returns whether a run can have this quantity.
pub fn is_known(quantity: &str) -> bool {
    [&OF_RUNS[..], &OF_VALIDATION, &OF_SCORES].iter().any(|names| names.contains(&quantity))
}

/// Returns whether the quantity is a score.
pub(crate) fn is_score(quantity: &str) -> bool {
    OF_SCORES.contains(&quantity)
}

/// Returns whether the quantity is an integer.
pub(crate) fn is_count(quantity: &str) -> bool {
    ["best_epoch", "parameters", "trainable_parameters"].contains(&quantity)
}

/// Returns all claims.
///
/// # Errors
/// If the file has an invalid claim: one line that names the claim.
pub fn all() -> Result<Vec<Claim>> {
    parse(TOML)
}

/// Parses text in the format of `claims.toml`.
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
    /// Returns what is invalid in this claim, if anything.
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

    /// Whether only runs that have converged can decide the claim.
    pub fn is_about_final_losses(&self) -> bool {
        !self.any_length && !["parameters", "trainable_parameters", "seconds"].contains(&self.quantity.as_str())
    }

    /// Describes the rule and its tolerance.
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
