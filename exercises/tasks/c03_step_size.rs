//! The best step of a difference in f32.
//!
//! The check computes the derivative of sin at 1 with central differences in f32, the kind of number that tensors consist of.
//! It tries the steps h = 10⁻¹, 10⁻², … 10⁻⁷. A large step is wrong because sin is curved. A small step is wrong because the two
//! values are nearly equal, and their difference has few correct digits. Which exponent gives the smallest error? Return −1 to −7.

use crate::help::{Verdict, ensure};

pub fn best_exponent() -> i32 {
    todo!("a number from −1 to −7; use the formulas of the chapter, or try")
}

pub fn check(best_exponent: fn() -> i32) -> Verdict {
    let error = |exponent: i32| {
        let h = 10f32.powi(exponent);
        let sin = |x: f32| f64::from(x).sin() as f32; // the same on every system
        let slope = (sin(1.0 + h) - sin(1.0 - h)) / (2.0 * h);
        (f64::from(slope) - 1f64.cos()).abs()
    };
    let answer = best_exponent();
    ensure((-7..=-1).contains(&answer), format!("{answer} is not one of −1 to −7"))?;
    let smallest = (-7..=-1).map(error).fold(f64::INFINITY, f64::min);
    let sentence = format!("with h = 1e{answer} the error is {:.1e}; another step has {smallest:.1e}", error(answer));
    ensure(error(answer) <= smallest, sentence)
}
