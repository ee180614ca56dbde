//! A linear layer.
//!
//! y = x·Wᵀ + b. The shapes are x [batch, inputs], W [outputs, inputs], b [outputs] and y [batch, outputs]. This is the order of
//! PyTorch's `Linear` too. Use operations of `Var`, and the gradients come by themselves.

use crate::help::{Verdict, rule};
use autograd::Var;
use autograd::check::Array;
use tensor::Generator;

pub fn linear(x: &Var, weight: &Var, bias: &Var) -> Var {
    todo!("x·Wᵀ + b")
}

pub fn check(linear: fn(&Var, &Var, &Var) -> Var) -> Verdict {
    let reference = |inputs: &[Array]| {
        let (x, w, b) = (&inputs[0], &inputs[1], &inputs[2]);
        let [batch, size, outputs] = [x.shape[0], x.shape[1], w.shape[0]];
        let dot = |i: usize, o: usize| (0..size).map(|k| x.data[i * size + k] * w.data[o * size + k]).sum::<f64>();
        let y = (0..batch * outputs).map(|at| dot(at / outputs, at % outputs) + b.data[at % outputs]);
        Array::new([batch, outputs], y.collect())
    };
    let mut rng = Generator::new(4);
    let inputs = [rng.normal_tensor([4, 3]), rng.normal_tensor([2, 3]), rng.normal_tensor([2])];
    rule(|v| linear(&v[0], &v[1], &v[2]), reference, &inputs)
}
