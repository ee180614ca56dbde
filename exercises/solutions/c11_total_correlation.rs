//! Hint: For each draw, subtract both single logarithms from the joint one. Then take the mean.

pub fn total_correlation(joint: &[f64], first: &[f64], second: &[f64]) -> f64 {
    let sum: f64 = joint.iter().zip(first).zip(second).map(|((joint, first), second)| joint - first - second).sum();
    sum / joint.len() as f64
}
