//! Hint: Copy the two formulas. `s.ln()` is ln s, and ln s² is twice that. 2π is `std::f64::consts::TAU`.

pub fn elbo(x: f64, m: f64, s: f64) -> f64 {
    let explained = -0.5 * ((x - m).powi(2) + s * s) - 0.5 * std::f64::consts::TAU.ln();
    let kl = 0.5 * (m * m + s * s - 1.0 - 2.0 * s.ln());
    explained - kl
}
