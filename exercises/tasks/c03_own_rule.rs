//! Write a gradient rule, and see it refused or accepted.
//!
//! softsign(x) = x / (1 + |x|) squeezes any number into (−1, 1). Its slope is 1 / (1 + |x|)². The value is there already. Write
//! the rule: it gets dy and returns dx. `autograd::check` compares it with differences in f64, for a random dy.

use crate::help::{Verdict, rule};
use autograd::Var;
use autograd::check::Array;
use tensor::{Generator, Tensor};

pub fn softsign(x: &Var) -> Var {
    let bottom = x.value().abs() + 1.0; // 1 + |x|, for each element
    let y = x.value() / &bottom;
    Var::record("softsign", y, |edge| {
        edge.to(x, move |dy: &Tensor| todo!("dx, from dy and bottom"));
    })
}

pub fn check(softsign: fn(&Var) -> Var) -> Verdict {
    let reference = |x: &[Array]| {
        let softsign = |x: &f64| x / (1.0 + x.abs());
        Array::new(x[0].shape, x[0].data.iter().map(softsign).collect())
    };
    rule(|x| softsign(&x[0]), reference, &[Generator::new(3).normal_tensor([3, 4])])
}
