//! Hint: ln N(u; 0, 1) = −½u² − ½ ln 2π. The slope du/dx is e^(−log_scale), so its logarithm is −log_scale.

pub fn log_density(x: f64, shift: f64, log_scale: f64) -> f64 {
    let u = (x - shift) * (-log_scale).exp();
    -0.5 * u * u - 0.5 * std::f64::consts::TAU.ln() - log_scale
}
