//! The verdict on a claim.
//!
//! Each seed is judged on its own: the rule holds, fails, or leaves the values equal, over all groups of runs. A seed counts if all
//! runs of at least one group have ended. The verdict follows from the seeds:
//!
//! ```text
//! every seed holds, in every group            reproduced, or corrected if it is the corrected sentence that holds
//! every seed fails, and in no group holds     contradicted
//! it holds in one group and fails in another  undecided
//! a run diverged, collapsed, or has no value  undecided
//! a run has not converged                     undecided, unless the claim is not about final losses
//! seeds disagree, values are equal            undecided
//! fewer seeds or groups than the claim has    undecided
//! no run can decide the claim                 not comparable
//! ```

use serde::Serialize;

use super::{Claim, Rule, is_count};
use crate::session::table::five_digits;

/// A run whose KL is below this many nats has collapsed: its latents say nothing about the image.
const COLLAPSED: f64 = 0.1;

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
    /// These runs do not decide the claim, and others could; the result contains the reason.
    Undecided,
    /// No run can decide the claim; the result contains the reason.
    NotComparable,
}

/// All verdicts, in the order in which pages count them.
pub const VERDICTS: [Verdict; 5] =
    [Verdict::Reproduced, Verdict::Contradicted, Verdict::Corrected, Verdict::Undecided, Verdict::NotComparable];

/// The reason why a run has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The run has not ended; another seed can decide without it.
    NotRun(String),
    /// The run has ended, without this value.
    NoValue(String),
}

/// The measurements of runs.
pub trait Measured {
    /// The quantity of a run.
    ///
    /// # Errors
    /// The reason why there is none.
    fn value(&self, run: &str, seed: u64, quantity: &str) -> Result<f64, Lack>;

    /// Returns why the final losses of a run decide nothing, if they do not: it has not converged.
    fn unsettled(&self, run: &str, seed: u64) -> Option<String>;
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
    /// The seeds that were compared.
    pub seeds: Vec<u64>,
    /// What would settle the claim, and what it costs, if it is undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<String>,
    /// The values that were compared, by run and seed.
    pub values: Vec<Value>,
}

impl ClaimResult {
    /// The verdict in words; one that rests on a single seed says so.
    pub fn words(&self) -> String {
        let decided = !matches!(self.verdict, Verdict::Undecided | Verdict::NotComparable);
        let counts = self.claim.quantity == "parameters";
        if decided && !counts && self.seeds.len() == 1 {
            return format!("{} (one seed)", self.verdict);
        }
        self.verdict.to_string()
    }
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
            Verdict::Undecided => "undecided",
            Verdict::NotComparable => "not comparable",
        })
    }
}

/// What one seed shows.
struct OfSeed {
    seed: u64,
    sign: Sign,
    /// The groups whose runs have all ended.
    groups: usize,
    /// Whether the rule holds in one group and fails in another.
    mixed: bool,
}

/// Evaluates a claim with the measurements of runs.
pub fn evaluate(claim: &Claim, seeds: &[u64], quick: bool, measured: &dyn Measured) -> ClaimResult {
    let mut values: Vec<Value> = Vec::new();
    let (mut shown, mut lacking, mut unfit) = (Vec::new(), None, None);
    for &seed in seeds.iter().filter(|_| claim.rule.is_some()) {
        let mut signs = Vec::new();
        for group in &claim.runs {
            let found: Result<Vec<f64>, Lack> = group.iter().map(|run| claim.value(run, seed, measured)).collect();
            match found {
                Err(Lack::NotRun(why)) => lacking = lacking.or(Some(why)),
                Err(Lack::NoValue(why)) => unfit = unfit.or(Some(why)),
                Ok(numbers) => {
                    let of = |(run, &value): (&String, &f64)| Value { run: run.clone(), seed, value };
                    let new: Vec<Value> = group.iter().zip(&numbers).map(of).collect();
                    values.extend(new.into_iter().filter(|new| !values.contains(new)).collect::<Vec<_>>());
                    signs.push(claim.sign(group, &numbers));
                    unfit = unfit.or_else(|| group.iter().find_map(|run| claim.unfit(run, seed, measured)));
                }
            }
        }
        if !signs.is_empty() {
            let mixed = signs.contains(&Sign::Holds) && signs.contains(&Sign::Fails);
            shown.push(OfSeed { seed, sign: worst(&signs), groups: signs.len(), mixed });
        }
    }
    let (verdict, why) = match claim.not_comparable.clone() {
        Some(why) => (Verdict::NotComparable, why),
        None => match claim.not_quick.clone().filter(|_| quick).or(unfit) {
            Some(why) => (Verdict::Undecided, why),
            None => claim.decide(&shown, lacking),
        },
    };
    let seeds = counted(&shown, claim).map(|shown| shown.seed).collect();
    ClaimResult { claim: claim.clone(), verdict, why, seeds, settle: None, values }
}

/// The seeds that count: those whose groups have all run, and those that fail in a group, since no other group changes that. If none
/// does, all.
fn counted<'a>(shown: &'a [OfSeed], claim: &Claim) -> impl Iterator<Item = &'a OfSeed> {
    let all = claim.runs.len();
    let counts = move |shown: &&OfSeed| shown.groups == all || shown.sign == Sign::Fails;
    let any = shown.iter().any(|shown| counts(&shown));
    shown.iter().filter(move |shown| !any || counts(shown))
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
    /// The finite value that the claim compares for a run, or the reason why there is none.
    fn value(&self, run: &str, seed: u64, measured: &dyn Measured) -> Result<f64, Lack> {
        let finite = |quantity: &str| {
            let x = measured.value(run, seed, quantity)?;
            let not = || Lack::NoValue(format!("{quantity} of {run} is {x} with seed {seed}"));
            if x.is_finite() { Ok(x) } else { Err(not()) }
        };
        let first = finite(&self.quantity)?;
        Ok(match &self.minus {
            None => first,
            Some(minus) => (first - finite(minus)?).abs(),
        })
    }

    /// Returns why a run with a value decides nothing all the same.
    fn unfit(&self, run: &str, seed: u64, measured: &dyn Measured) -> Option<String> {
        let unsettled = self.is_about_final_losses().then(|| measured.unsettled(run, seed)).flatten();
        if unsettled.is_some() {
            return unsettled;
        }
        let kl = measured.value(run, seed, "kl").ok().filter(|&kl| self.needs_latents && kl < COLLAPSED)?;
        Some(format!(
            "{run} has collapsed with seed {seed}: its KL is {} nats, so there is nothing to compare",
            five_digits(kl)
        ))
    }

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

    /// The verdict over all seeds that have runs. `lacking` is a run that has not ended.
    fn decide(&self, shown: &[OfSeed], lacking: Option<String>) -> (Verdict, String) {
        let shown: Vec<&OfSeed> = counted(shown, self).collect();
        let which = |sign: Sign| -> String {
            let those = shown.iter().filter(|shown| shown.sign == sign).map(|shown| shown.seed.to_string());
            those.collect::<Vec<_>>().join(", ")
        };
        let undecided = |why: String| (Verdict::Undecided, why);
        let (holds, fails, alike) = (which(Sign::Holds), which(Sign::Fails), which(Sign::Alike));
        if let Some(mixed) = shown.iter().find(|shown| shown.mixed) {
            let words = "the runs show this direction in one group of runs, but not in another";
            return undecided(format!("mixed: with seed {} {words}", mixed.seed));
        }
        let complete = shown.iter().filter(|shown| shown.groups == self.runs.len()).count();
        let (verdict, told, counted) = match shown.iter().map(|shown| shown.sign).collect::<Vec<_>>()[..] {
            [] => return undecided(lacking.unwrap_or_else(|| "no seed was asked for".into())),
            ref signs if signs.contains(&Sign::Alike) => {
                return undecided(format!("the values do not differ by more than the tolerance (seed {alike})"));
            }
            ref signs if signs.iter().all(|&sign| sign == Sign::Fails) => {
                (Verdict::Contradicted, "the runs do not show this direction", shown.len())
            }
            ref signs if !signs.contains(&Sign::Fails) => match &self.correction {
                Some(_) => (Verdict::Corrected, "the corrected sentence holds", complete),
                None if self.rule == Some(Rule::Equals) => {
                    (Verdict::Reproduced, "the numbers are the printed ones", complete)
                }
                None => (Verdict::Reproduced, "the runs show this direction", complete),
            },
            _ => {
                let words = format!("mixed: the runs show this direction with seed {holds}, but not with seed {fails}");
                return undecided(words);
            }
        };
        if counted == 0 {
            let (some, all) = (shown[0].groups, self.runs.len());
            let why = lacking.unwrap_or_default();
            return undecided(format!("{why}; {told} in {some} of {all} groups of runs (seed {holds})"));
        }
        if counted < self.seeds {
            let wanted = self.seeds;
            return undecided(format!(
                "a difference of this size requires {wanted} seeds, and there is {counted}; with it, {told}"
            ));
        }
        let correction = self.correction.as_ref().map_or_else(String::new, |what| format!("; {what}"));
        (verdict, format!("{told} (seed {}){correction}", if fails.is_empty() { holds } else { fails }))
    }
}

/// The values of a run as text, one per seed.
pub fn format_values(values: &[Value], run: &str, quantity: &str) -> String {
    let mine = values.iter().filter(|value| value.run == run).map(|value| value.value);
    let mut numbers: Vec<String> =
        mine.map(|x| if is_count(quantity) { format!("{x}") } else { five_digits(x) }).collect();
    if quantity == "parameters" {
        numbers.dedup(); // every seed has the same
    }
    if numbers.is_empty() { "–".into() } else { numbers.join(" / ") }
}
