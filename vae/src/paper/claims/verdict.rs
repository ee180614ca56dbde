//! The verdict on a claim.
//!
//! If a run is missing, has diverged, or has no finite value, the claim is not comparable, and the verdict gives the reason.
//! Else the rule holds, fails or is undecided for each seed over all groups of runs, and the verdict follows from that:
//!
//! ```text
//! every seed holds    reproduced, or corrected if it is the corrected sentence that holds
//! every seed fails    contradicted
//! seeds disagree, or one is undecided, or fewer than asked for    not comparable
//! ```

use serde::Serialize;

use super::{Claim, Rule};
use crate::session::table::five_digits;

/// The verdict on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The runs show what the statement says.
    Reproduced,
    /// The runs show the opposite.
    Contradicted,
    /// The statement contains an error, and the runs show what the corrected statement says.
    Corrected,
    /// The claim could not be tested; the result contains the reason.
    NotComparable,
}

/// A claim, its verdict and the values behind it.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimResult {
    /// The claim.
    pub claim: Claim,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, in one line.
    pub why: String,
    /// The values that were compared, by run and seed.
    pub values: Vec<Value>,
}

/// The quantity of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// The run, without its seed.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// The number.
    pub value: f64,
}

/// The result of the rule for one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Holds,
    Fails,
    /// The values differ by less than the tolerance.
    Alike,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Reproduced => "reproduced",
            Verdict::Contradicted => "contradicted",
            Verdict::Corrected => "corrected",
            Verdict::NotComparable => "not comparable",
        })
    }
}

/// Evaluates a claim. `measure` takes a run, a seed and a quantity, and returns the value or the reason why there is none.
pub fn evaluate(
    claim: &Claim,
    seeds: &[u64],
    quick: bool,
    measure: &dyn Fn(&str, u64, &str) -> Result<f64, String>,
) -> ClaimResult {
    let mut values: Vec<Value> = Vec::new();
    let mut signs = Vec::new();
    let mut lacking = None;
    for &seed in seeds.iter().filter(|_| claim.rule.is_some()) {
        let mut sign = Vec::new();
        for group in &claim.runs {
            let found: Result<Vec<f64>, String> = group.iter().map(|run| value(claim, run, seed, measure)).collect();
            match found {
                Err(why) => lacking = lacking.or(Some(why)),
                Ok(numbers) => {
                    let of = |(run, &value): (&String, &f64)| Value { run: run.clone(), seed, value };
                    let new: Vec<Value> = group.iter().zip(&numbers).map(of).collect();
                    values.extend(new.into_iter().filter(|new| !values.contains(new)).collect::<Vec<_>>());
                    sign.push(claim.sign(group, &numbers));
                }
            }
        }
        signs.push(worst(&sign));
    }
    let undecided = claim.not_comparable.clone().or_else(|| claim.not_quick.clone().filter(|_| quick)).or(lacking);
    let (verdict, why) = match undecided {
        Some(why) => (Verdict::NotComparable, why),
        None => claim.decide(seeds, &signs),
    };
    ClaimResult { claim: claim.clone(), verdict, why, values }
}

/// The finite value that the claim compares for a run, or the reason why there is none.
fn value(
    claim: &Claim,
    run: &str,
    seed: u64,
    measure: &dyn Fn(&str, u64, &str) -> Result<f64, String>,
) -> Result<f64, String> {
    let finite = |quantity: &str| {
        let x = measure(run, seed, quantity)?;
        if x.is_finite() { Ok(x) } else { Err(format!("{quantity} of {run} is {x} with seed {seed}")) }
    };
    let first = finite(&claim.quantity)?;
    Ok(match &claim.minus {
        None => first,
        Some(minus) => (first - finite(minus)?).abs(),
    })
}

/// The combined result of several groups.
fn worst(signs: &[Sign]) -> Sign {
    match signs {
        _ if signs.contains(&Sign::Fails) => Sign::Fails,
        _ if signs.contains(&Sign::Alike) || signs.is_empty() => Sign::Alike,
        _ => Sign::Holds,
    }
}

impl Claim {
    /// −1, 0 or 1 if b is below, equal to or above a, with the claim's tolerance.
    fn step(&self, a: f64, b: f64) -> i32 {
        let room = self.floor.max(self.within * a.abs().max(b.abs()));
        if (b - a).abs() <= room { 0 } else { (b - a).signum() as i32 }
    }

    /// The result of the rule for one group of values.
    pub(super) fn sign(&self, group: &[String], values: &[f64]) -> Sign {
        let decided = |holds: bool| if holds { Sign::Holds } else { Sign::Fails };
        let decided_or_alike = |alike: bool| if alike { Sign::Alike } else { Sign::Holds };
        let monotone = |up: i32| {
            let steps: Vec<i32> = values.windows(2).map(|pair| up * self.step(pair[0], pair[1])).collect();
            let whole = up * self.step(values[0], values[values.len() - 1]);
            if whole < 0 || steps.contains(&-1) { Sign::Fails } else { decided_or_alike(whole == 0) }
        };
        let extreme = |up: i32| {
            let steps: Vec<i32> = values[1..].iter().map(|&other| up * self.step(values[0], other)).collect();
            if steps.contains(&-1) { Sign::Fails } else { decided_or_alike(steps.contains(&0)) }
        };
        let bound = self.bound.unwrap_or_default();
        // If all values are near 0, their equality is not evidence.
        let nothing = self.floor > 0.0 && values.iter().all(|x| x.abs() <= self.floor);
        match self.rule.expect("a rule, or nothing is compared") {
            Rule::Rises => monotone(1),
            Rule::Falls => monotone(-1),
            Rule::Lowest => extreme(1),
            Rule::Highest => extreme(-1),
            Rule::Alike | Rule::NoBetter if nothing => Sign::Alike,
            Rule::Alike => {
                decided((0..values.len()).all(|i| values[i..].iter().all(|&b| self.step(values[i], b) == 0)))
            }
            Rule::NoBetter => decided(values[1..].iter().all(|&other| self.step(values[0], other) >= 0)),
            Rule::Under => decided(values.iter().all(|&x| x < bound)),
            Rule::Over => decided(values.iter().all(|&x| x > bound)),
            Rule::Equals => decided(group.iter().zip(values).all(|(run, &x)| self.printed.get(run) == Some(&x))),
        }
    }

    /// The verdict over all seeds.
    fn decide(&self, seeds: &[u64], signs: &[Sign]) -> (Verdict, String) {
        let all = |sign: Sign| !signs.is_empty() && signs.iter().all(|&other| other == sign);
        let which = |sign: Sign| -> String {
            let those = seeds.iter().zip(signs).filter(|(_, other)| **other == sign);
            those.map(|(seed, _)| seed.to_string()).collect::<Vec<_>>().join(", ")
        };
        let (holds, fails, alike) = (which(Sign::Holds), which(Sign::Fails), which(Sign::Alike));
        let (verdict, told) = if all(Sign::Holds) && self.correction.is_some() {
            (Verdict::Corrected, "the corrected sentence holds")
        } else if all(Sign::Holds) {
            (Verdict::Reproduced, "the runs show this direction")
        } else if all(Sign::Fails) {
            (Verdict::Contradicted, "the runs do not show this direction")
        } else if !alike.is_empty() {
            return (
                Verdict::NotComparable,
                format!("the values do not differ by more than the tolerance (seed {alike})"),
            );
        } else {
            let words = format!("mixed: the runs show this direction with seed {holds}, but not with seed {fails}");
            return (Verdict::NotComparable, words);
        };
        if signs.len() < self.seeds {
            let (here, wanted) = (signs.len(), self.seeds);
            let words =
                format!("a difference of this size requires {wanted} seeds, and there is {here}; with it, {told}");
            return (Verdict::NotComparable, words);
        }
        let correction = self.correction.as_ref().map_or_else(String::new, |what| format!("; {what}"));
        (verdict, format!("{told} (seed {}){correction}", which(signs[0])))
    }
}

/// The values of a run as text, one per seed.
pub fn format_values(values: &[Value], run: &str) -> String {
    let numbers: Vec<String> =
        values.iter().filter(|value| value.run == run).map(|value| five_digits(value.value)).collect();
    if numbers.is_empty() { "–".into() } else { numbers.join(" / ") }
}
