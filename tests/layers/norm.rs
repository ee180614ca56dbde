//! Batch normalisation as a layer: which statistics it uses, and how it updates the running ones.

use autograd::{Act, Buffer, Var};
use nn::{BatchNorm2d, ForwardContext, Layer, Slot};
use reference::place::everywhere;
use reference::{Array, batch_norm, compare};
use tensor::{Generator, Tensor};

use crate::param;

const EPS: f64 = 1e-5;

fn buffer(layer: &BatchNorm2d, name: &str) -> Buffer {
    let mut found = None;
    nn::visit(layer, |path, slot| {
        if let Slot::Buffer(buffer) = slot
            && path == name
        {
            found = Some(buffer.clone());
        }
    });
    found.unwrap_or_else(|| panic!("no buffer {name}"))
}

fn layer(rng: &mut Generator) -> BatchNorm2d {
    let layer = BatchNorm2d::new(3);
    param(&layer, "weight").set(rng.uniform_tensor([3], 0.5, 2.0));
    param(&layer, "bias").set(rng.normal_tensor([3]));
    layer
}

fn image(rng: &mut Generator) -> Tensor {
    rng.normal_tensor([4, 3, 2, 5]).mul_scalar(1.7).add_scalar(0.6)
}

/// In f64: running ← 0.9·running + 0.1·new. The variance is unbiased, divided by the count less one.
#[test]
fn running_statistics_move_by_a_tenth_of_the_unbiased() {
    everywhere(|device| {
        let mut rng = Generator::new(1);
        let layer = layer(&mut rng);
        let [w, b] = ["weight", "bias"].map(|name| Array::of(&param(&layer, name).value()));
        nn::upload(&layer, device);
        let (mut mean, mut var) = (vec![0.0; 3], vec![1.0; 3]);
        for step in 0..4 {
            let x = image(&mut rng);
            let (batch_mean, batch_var) = batch_norm::stats(&Array::of(&x));
            let y = layer.forward(&Var::constant(x.upload(device)), &ForwardContext::train(1, step));
            let expected = batch_norm::train(&Array::of(&x), &w, &b, None, Act::Identity, EPS);
            compare::assert_close("in training", y.value(), &expected, 1e-5);
            for c in 0..3 {
                mean[c] = 0.9 * mean[c] + 0.1 * batch_mean.data[c];
                var[c] = 0.9 * var[c] + 0.1 * batch_var.data[c] * 40.0 / 39.0; // 4·2·5 elements per channel
            }
            for (name, expected) in [("running_mean", &mean), ("running_var", &var)] {
                let expected = Array::new([3], expected.clone());
                compare::assert_close(name, &buffer(&layer, name).value(), &expected, 1e-6);
            }
        }
    });
}

#[test]
fn evaluation_uses_the_running_statistics_and_leaves_them() {
    let mut rng = Generator::new(2);
    let layer = layer(&mut rng);
    buffer(&layer, "running_mean").set(rng.normal_tensor([3]));
    buffer(&layer, "running_var").set(rng.uniform_tensor([3], 0.5, 3.0));
    let (mean, var) = (buffer(&layer, "running_mean").value(), buffer(&layer, "running_var").value());
    let (x, residual) = (image(&mut rng), image(&mut rng));
    let exact =
        [&x, &mean, &var, &param(&layer, "weight").value(), &param(&layer, "bias").value(), &residual].map(Array::of);
    let [x64, mean64, var64, w, b, r] = &exact;
    let y = layer.forward(&Var::constant(x.clone()), &ForwardContext::eval());
    compare::assert_close(
        "in evaluation",
        y.value(),
        &batch_norm::eval(x64, mean64, var64, w, b, None, Act::Identity, EPS),
        1e-5,
    );
    let (x, residual) = (Var::constant(x), Var::constant(residual));
    let fused = layer.forward_fused(&x, Some(&residual), Act::Relu, &ForwardContext::eval());
    compare::assert_close(
        "fused",
        fused.value(),
        &batch_norm::eval(x64, mean64, var64, w, b, Some(r), Act::Relu, EPS),
        1e-5,
    );
    compare::assert_same_bits("the mean", &buffer(&layer, "running_mean").value(), &mean);
    compare::assert_same_bits("the variance", &buffer(&layer, "running_var").value(), &var);
}

#[test]
fn a_frozen_norm_evaluates_even_in_training() {
    let mut rng = Generator::new(3);
    let layer = layer(&mut rng);
    let x = Var::constant(image(&mut rng));
    let expected = layer.forward(&x, &ForwardContext::eval());
    nn::freeze(&layer, true);
    let y = layer.forward(&x, &ForwardContext::train(1, 1));
    compare::assert_same_bits("the value", y.value(), expected.value());
    assert!(!y.has_gradient(), "nothing in it can learn");
    assert_eq!(buffer(&layer, "running_mean").value().data(), [0.0; 3]);
    nn::freeze(&layer, false);
    layer.forward(&x, &ForwardContext::train(1, 2));
    assert_ne!(buffer(&layer, "running_mean").value().data(), [0.0; 3]);
}

#[test]
#[should_panic(expected = "one element per channel")]
fn one_element_per_channel_has_no_variance() {
    BatchNorm2d::new(3).forward(&Var::constant(Tensor::ones([1, 3, 1, 1])), &ForwardContext::train(1, 1));
}
