//! 3. An operation of your own, and how to be sure of its gradient.
//!
//!     cargo run -p nn --example 03_your_own_operation
//!
//! y = swish(x) = x·σ(x) (Ramachandran et al., 1710.05941), σ the logistic function:   dx = dy·(σ + y·(1 − σ))
//! dx and dy stand for the loss's gradients with respect to x and y. `Var::record` takes the value and the way back, from dy to dx;
//! `autograd::check` holds both to a plain f64 statement.
//! Next: `04_linear_model.rs`. To add one to the library, on every device: `CONTRIBUTING.md`.

use autograd::Var;
use autograd::check::{self, Array};
use pollster::block_on;
use tensor::{Device, Generator, Tensor};

/// x·σ(x) of each number.
fn swish(x: &Var) -> Var {
    let (x_, s) = (x.value().clone(), x.value().sigmoid());
    let y = x_.mul(&s);
    let kept = y.clone(); // what the way back needs, and nothing else
    Var::record("swish", y, |edge| {
        edge.to(x, move |dy| {
            let slope = s.add(&kept.sub(&kept.mul(&s))); // σ + y − y·σ
            dy.mul(&slope)
        });
    })
}

/// The same with a mistake: it forgets that σ depends on x too.
fn careless_swish(x: &Var) -> Var {
    let s = x.value().sigmoid();
    let y = x.value().mul(&s);
    Var::record("careless_swish", y, |edge| edge.to(x, move |dy| dy.mul(&s)))
}

/// What it should be, as anybody would write it down: slow, in f64, and right.
fn reference(x: &[Array]) -> Array {
    let swish = |x: &f64| x / (1.0 + (-x).exp());
    Array::new(x[0].shape, x[0].data.iter().map(swish).collect())
}

fn main() {
    let x = Generator::new(7).normal_tensor([3, 5]);

    // Values against the reference, gradients against its finite differences, element by element, for a dy drawn at random.
    block_on(check::gradients(&Device::Cpu, |x| swish(&x[0]), reference, std::slice::from_ref(&x), 1))
        .unwrap_or_else(|mismatch| panic!("{mismatch}"));
    println!("swish: the value and the gradient are right");

    let mismatch = block_on(check::gradients(&Device::Cpu, |x| careless_swish(&x[0]), reference, &[x], 1));
    println!("careless_swish: {}", mismatch.expect_err("a wrong rule must be seen"));

    // It composes with everything else.
    let w = Var::leaf(Tensor::new(&[0.5, -2.0], [2]));
    let loss = swish(&w).square().sum_all();
    println!("d Σ swish(w)² = {:?}", loss.backward().of(&w).expect("the loss depends on w").data());
}
