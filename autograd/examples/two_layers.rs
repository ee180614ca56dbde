//! A network of two layers by hand: no layers, no optimiser, only tensors and gradients.
//!
//!     cargo run -p autograd --example two_layers
//!
//! y = tanh(x·W₁ + b₁)·W₂ + b₂ learns XOR: 1 if exactly one of two inputs is 1. No network of one layer can, because no line
//! separates the two classes. The program prints the history of the loss as a Mermaid diagram, which the backward pass follows from right
//! to left, and then takes 500 steps of gradient descent. Layers and optimisers are in the crate `nn`.

use autograd::{Param, Var};
use tensor::{Generator, Tensor};

fn main() {
    let x = Var::constant(Tensor::new(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2]));
    let wanted = Var::constant(Tensor::new(&[0.0, 1.0, 1.0, 0.0], [4, 1]));

    let mut rng = Generator::new(3);
    let named = |name: &str, value: Tensor| (name.to_owned(), Param::new(value));
    let params = [
        named("W1", rng.normal_tensor([2, 8])),
        named("b1", Tensor::zeros([8])),
        named("W2", rng.normal_tensor([8, 1]) * 0.5),
        named("b2", Tensor::zeros([1])),
    ];
    let forward = || {
        let [w1, b1, w2, b2] = [0, 1, 2, 3].map(|i| params[i].1.var());
        (x.matmul(&w1) + b1).tanh().matmul(&w2) + b2
    };
    let loss = || (forward() - &wanted).square().mean_all();

    println!("{}", loss().graph(&params));
    for step in 0..=500 {
        let loss = loss();
        let gradients = loss.backward();
        for (_, param) in &params {
            let gradient = gradients.get(param).expect("the loss depends on every parameter");
            param.set(param.value() - gradient * 0.1);
        }
        if step % 100 == 0 {
            println!("step {step:3}: loss {:.5}", loss.item());
        }
    }

    let y = forward();
    println!("{y}");
    let right = y.value().data().iter().zip(wanted.value().data()).all(|(y, wanted)| (y - wanted).abs() < 0.1);
    assert!(right, "XOR was not learned");
}
