//! Hint: Write the four lines of the formula one after the other. `0.9f64.powi(t)` is β₁ᵗ. If only the first step is right, look at
//! which m and v go into the state: those without the correction.

pub fn adam(w: f64, gradient: f64, state: &mut [f64; 2], t: i32, rate: f64) -> f64 {
    let [m, v] = state;
    *m = 0.9 * *m + 0.1 * gradient;
    *v = 0.999 * *v + 0.001 * gradient * gradient;
    let corrected = [*m / (1.0 - 0.9f64.powi(t)), *v / (1.0 - 0.999f64.powi(t))];
    w - rate * corrected[0] / (corrected[1].sqrt() + 1e-8)
}
