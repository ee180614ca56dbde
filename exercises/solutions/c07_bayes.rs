//! Hint: Collect the products in a `Vec` first. Their sum is the evidence.

pub fn posterior(prior: &[f64], likelihood: &[f64]) -> Vec<f64> {
    let joint: Vec<f64> = prior.iter().zip(likelihood).map(|(prior, likelihood)| prior * likelihood).collect();
    let evidence: f64 = joint.iter().sum();
    joint.iter().map(|joint| joint / evidence).collect()
}
