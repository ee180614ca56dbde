//! From values to a verdict.
//!
//! Runs that are missing, diverged, or gave no number decide nothing, and their reason is the verdict's. Otherwise each seed
//! holds, fails or is undecided by the rule in all groups, and
//!
//! ```text
//! every seed holds    reproduced, or corrected if it is the corrected sentence that holds
//! every seed fails    contradicted
//! seeds disagree, or one is undecided, or fewer than asked for    not comparable
//! ```

use serde::Serialize;

use super::{Claim, Rule};
use crate::session::table::five_digits;

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The sentence's direction shows.
    Reproduced,
    /// The opposite shows.
    Contradicted,
    /// The sentence is wrong by the paper's own account, and what it should have said shows.
    Corrected,
    /// Nothing was decided; the reason is beside it.
    NotComparable,
}

/// A claim, its verdict and what that stands on.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The claim.
    pub claim: Claim,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in a line.
    pub why: String,
    /// The values that were compared, by run and seed.
    pub values: Vec<Value>,
}

/// A quantity of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// The run, without its seed.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// The number.
    pub value: f64,
}

/// What one seed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Holds,
    Fails,
    /// What differs, differs by less than counts.
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

/// What runs say to a claim. `measure` gives a quantity of a run and a seed, or why there is none.
pub fn judge(
    claim: &Claim,
    seeds: &[u64],
    quick: bool,
    measure: &dyn Fn(&str, u64, &str) -> Result<f64, String>,
) -> Judged {
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
    Judged { claim: claim.clone(), verdict, why, values }
}

/// The number of a run, if it is one.
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

/// What several groups say together.
fn worst(signs: &[Sign]) -> Sign {
    match signs {
        _ if signs.contains(&Sign::Fails) => Sign::Fails,
        _ if signs.contains(&Sign::Alike) || signs.is_empty() => Sign::Alike,
        _ => Sign::Holds,
    }
}

impl Claim {
    /// −1, 0 or 1 as b is below, like or above a.
    fn step(&self, a: f64, b: f64) -> i32 {
        let room = self.floor.max(self.within * a.abs().max(b.abs()));
        if (b - a).abs() <= room { 0 } else { (b - a).signum() as i32 }
    }

    /// What one group of values says.
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
        // Where all is next to nothing, that nothing differs says nothing.
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

    /// The verdict of all seeds.
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

/// The values of a run, one a seed.
pub fn told(values: &[Value], run: &str) -> String {
    let numbers: Vec<String> =
        values.iter().filter(|value| value.run == run).map(|value| five_digits(value.value)).collect();
    if numbers.is_empty() { "–".into() } else { numbers.join(" / ") }
}
