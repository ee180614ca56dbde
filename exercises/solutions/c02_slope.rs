//! Hint: The derivative of xⁿ is n·xⁿ⁻¹, that of a·x is a, and that of a constant is 0. The derivative of a sum is the sum of the
//! derivatives.

pub fn slope(x: f64) -> f64 {
    3.0 * x * x - 2.0
}
