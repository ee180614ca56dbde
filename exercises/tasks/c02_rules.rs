//! Two backward rules.
//!
//! A backward rule gets dy, the gradient of the loss with respect to an operation's result. It returns the gradients with respect
//! to the operation's inputs: dy times the slope towards each input.
//!   y = a·b:       `mul_rule(a, b, dy)` returns [da, db]
//!   y = tanh x:    `tanh_rule(y, dy)` returns dx. It gets y, not x, because the slope is 1 − y².

use crate::help::{Verdict, near};
use exercises::scalar::Tape;

pub fn mul_rule(a: f64, b: f64, dy: f64) -> [f64; 2] {
    todo!("dy times the two slopes of a·b")
}

pub fn tanh_rule(y: f64, dy: f64) -> f64 {
    todo!("dy times the slope of tanh")
}

pub fn check(mul_rule: fn(f64, f64, f64) -> [f64; 2], tanh_rule: fn(f64, f64) -> f64) -> Verdict {
    // The loss is 5·(a·b) and 5·tanh a, so dy = 5. The book's engine computes the same.
    let tape = Tape::default();
    let (a, b, five) = (tape.number("a", 0.7), tape.number("b", -2.0), tape.number("five", 5.0));
    let gradients = (five * (a * b)).backward();
    let [da, db] = mul_rule(0.7, -2.0, 5.0);
    near("da of a·b at a = 0.7, b = −2, dy = 5", da, a.of(&gradients), 1e-9)?;
    near("db of a·b at a = 0.7, b = −2, dy = 5", db, b.of(&gradients), 1e-9)?;
    let y = a.tanh();
    let gradients = (five * y).backward();
    near("dx of tanh x at x = 0.7, dy = 5", tanh_rule(y.value(), 5.0), a.of(&gradients), 1e-9)
}
