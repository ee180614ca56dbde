//! Hint: The error from the curve is about h²/6, and the error from rounding about 6e-8/h. They are equal near the cube root of 3.6e-7.

pub fn best_exponent() -> i32 {
    -2
}
