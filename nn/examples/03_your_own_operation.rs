//! 3. A new operation, and a test of its gradient.
//!
//!     cargo run -p nn --example 03_your_own_operation
//!
//! y = swish(x) = x·σ(x) (Ramachandran et al., 1710.05941), where σ is the logistic function, has the gradient dx = dy·(σ +
//! y·(1 − σ)). Here dx and dy are the gradients of the loss with respect to x and y. `Var::record` takes the value of an
//! operation and its backward rule, which computes dx from dy. `autograd::check` compares both with a reference in f64.
//!
//! Next: `04_linear_model.rs`. `CONTRIBUTING.md` explains how to add an operation to the library, for all devices.

use autograd::Var;
use autograd::check::{self, Array};
use pollster::block_on;
use tensor::{Device, Generator, Tensor};

// ANCHOR: swish
/// x·σ(x) for each element.
fn swish(x: &Var) -> Var {
    let (x_, s) = (x.value().clone(), x.value().sigmoid());
    let y = x_.mul(&s);
    let kept = y.clone(); // saved for the backward rule
    Var::record("swish", y, |edge| {
        edge.to(x, move |dy| {
            let slope = s.add(&kept.sub(&kept.mul(&s))); // σ + y − y·σ
            dy.mul(&slope)
        });
    })
}
// ANCHOR_END: swish

// ANCHOR: careless
/// The same with an error in the backward rule, which ignores that σ depends on x, too.
fn careless_swish(x: &Var) -> Var {
    let s = x.value().sigmoid();
    let y = x.value().mul(&s);
    Var::record("careless_swish", y, |edge| edge.to(x, move |dy| dy.mul(&s)))
}
// ANCHOR_END: careless

/// The reference: the definition of the function in f64.
fn reference(x: &[Array]) -> Array {
    let swish = |x: &f64| x / (1.0 + (-x).exp());
    Array::new(x[0].shape, x[0].data.iter().map(swish).collect())
}

fn main() {
    let x = Generator::new(7).normal_tensor([3, 5]);

    // ANCHOR: check
    // Compares the value with the reference, and each element of the gradient with finite differences of the reference, for a
    // random dy.
    block_on(check::gradients(&Device::Cpu, |x| swish(&x[0]), reference, std::slice::from_ref(&x), 1))
        .unwrap_or_else(|mismatch| panic!("{mismatch}"));
    // ANCHOR_END: check
    println!("swish: the value and the gradient are right");

    let mismatch = block_on(check::gradients(&Device::Cpu, |x| careless_swish(&x[0]), reference, &[x], 1));
    println!("careless_swish: {}", mismatch.expect_err("a wrong rule must be seen"));

    // The operation can be combined with all others.
    let w = Var::leaf(Tensor::new(&[0.5, -2.0], [2]));
    let loss = swish(&w).square().sum_all();
    println!("d Σ swish(w)² = {:?}", loss.backward().of(&w).expect("the loss depends on w").data());
}
