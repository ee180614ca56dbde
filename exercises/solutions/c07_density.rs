//! Hint: `sigma.ln()` is the natural logarithm. 2π is `std::f64::consts::TAU`. If the area is 2.5066, the last term is missing.

pub fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    let distance = (x - mean) / sigma;
    -0.5 * distance * distance - sigma.ln() - 0.5 * std::f64::consts::TAU.ln()
}
