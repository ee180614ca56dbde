//! 4. Training: a linear model learns a rule from noisy data.
//!
//!     cargo run -p nn --example 04_linear_model
//!
//! The rule is y = 3·x₁ − 2·x₂ + 0.5 + noise. The model is one `Linear` layer. Adam (`nn/src/optim/optimizer.rs`) updates its
//! parameters. Next: `05_convolution.rs`.

use autograd::Var;
use nn::optim::Optimizer;
use nn::{ForwardContext, Layer, Linear, Module};
use tensor::{Generator, Tensor};

fn main() {
    let mut rng = Generator::new(1);
    let x = rng.normal_tensor([256, 2]);
    let rule = Tensor::new(&[3.0, -2.0], [1, 2]);
    let y = x.matmul_nt(&rule).add_scalar(0.5).add(&rng.normal_tensor([256, 1]).mul_scalar(0.1));

    // ANCHOR: model
    let model = Linear::new(&mut rng, 2, 1);
    println!("{} parameters: {:?}", nn::count(&model), names(&model));
    let params = nn::parameters(&model);
    let mut adam = Optimizer::adam();
    // ANCHOR_END: model

    // ANCHOR: loop
    let mut last = f32::INFINITY;
    for step in 0..300 {
        // The context says that this is a training step, and its number. Batch norm and dropout need this, a linear layer does
        // not.
        let guess = model.forward(&Var::constant(x.clone()), &ForwardContext::train(0, step));
        let loss = (guess - Var::constant(y.clone())).square().mean_all();
        let mut gradients = loss.backward();
        adam.step(&params, &mut gradients, 0.05);
        last = loss.item();
        if step % 50 == 0 {
            println!("step {step:3}: mean squared error {last:.4}");
        }
    }
    // ANCHOR_END: loop
    for (name, param) in &params {
        println!("{name}: {:.3?}", param.value().data());
    }
    let weight = params[0].1.value();
    assert!((weight.data()[0] - 3.0).abs() < 0.05 && (weight.data()[1] + 2.0).abs() < 0.05);
    assert!(last < 0.02, "only the noise should remain, 0.01: {last}");
}

fn names(model: &dyn Module) -> Vec<String> {
    nn::parameters(model).into_iter().map(|(name, param)| format!("{name} {}", param.shape())).collect()
}
