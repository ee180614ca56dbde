//! Bayes' rule.
//!
//! `prior[i]` is the probability of cause i before anything was seen. `likelihood[i]` is the probability of what was seen, if i is the
//! cause. Return the probability of each cause afterwards: posterior = prior·likelihood / evidence. The evidence makes them add up to 1.

use crate::help::{Verdict, near};

pub fn posterior(prior: &[f64], likelihood: &[f64]) -> Vec<f64> {
    todo!("products, divided by their sum")
}

pub fn check(posterior: fn(&[f64], &[f64]) -> Vec<f64>) -> Verdict {
    // One coin in ten has two heads. A coin is thrown and shows heads, three times in a row.
    let after = posterior(&[0.9, 0.1], &[0.125, 1.0]);
    near("the sum of the posterior", after.iter().sum(), 1.0, 1e-12)?;
    near("the probability of the coin with two heads after three heads", after[1], 0.470588, 1e-5)?;
    // Learning in two steps is the same as learning at once.
    let steps = posterior(&posterior(&[0.9, 0.1], &[0.25, 1.0]), &[0.5, 1.0]);
    near("the same in two steps", steps[1], after[1], 1e-9)
}
