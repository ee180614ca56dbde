//! Spectral normalisation: the largest singular value of the weight that is used, its gradient, PyTorch's numbers, and when the singular
//! vectors move.

use autograd::check::{self, Array};
use autograd::{Buffer, Var};
use nn::{Conv2d, ForwardContext, Layer, Linear, Module, Slot, SpectralNorm, Weighted};
use reference::place::everywhere;
use reference::wait::block_on;
use reference::{Array as Reference, compare};
use tensor::{Device, Generator, Tensor};

use crate::{fixture, param};

fn buffer(layer: &dyn Module, name: &str) -> Buffer {
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

/// The largest singular value of a matrix `[rows, columns]` in f64, by 10,000 steps of the power iteration on WᵀW.
fn largest_singular_value(w: &[f64], columns: usize) -> f64 {
    let mut v: Vec<f64> = (0..columns).map(|i| 1.0 + 0.1 * i as f64).collect();
    let mut length = 0.0;
    for _ in 0..10_000 {
        let image: Vec<f64> = w.chunks(columns).map(|row| row.iter().zip(&v).map(|(w, v)| w * v).sum()).collect();
        let mut next = vec![0.0; columns];
        for (row, y) in w.chunks(columns).zip(&image) {
            next.iter_mut().zip(row).for_each(|(next, w)| *next += w * y);
        }
        length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        v = next.into_iter().map(|x| x / length).collect();
    }
    length.sqrt()
}

/// After some steps the weight that is used has the norm 1, also if the weight moves meanwhile as an optimiser moves it.
#[test]
fn the_largest_singular_value_of_the_weight_in_use_is_1() {
    everywhere(|device| {
        let rng = &mut Generator::new(1);
        let conv = Conv2d::new(rng, 3, 6, 3).padding(1);
        holds(device, &SpectralNorm::new(rng, conv), &Tensor::zeros([1, 3, 4, 4]), rng);
        let linear = Linear::new(rng, 20, 7);
        holds(device, &SpectralNorm::new(rng, linear), &Tensor::zeros([1, 20]), rng);
    });
}

fn holds<L: Weighted>(device: &Device, layer: &SpectralNorm<L>, x: &Tensor, rng: &mut Generator) {
    nn::upload(layer, device);
    let (weight, x) = (param(layer, "weight"), Var::constant(x.upload(device)));
    for step in 0..200 {
        if step < 20 {
            let moved = rng.normal_tensor(weight.shape()).mul_scalar(0.3).upload(device);
            weight.update(|weight| weight.add_assign(&moved));
        }
        layer.forward(&x, &ForwardContext::train(1, step));
    }
    let used = block_on(layer.normalised_weight().value().to(&Device::Cpu)).expect("the device works");
    let own = block_on(weight.value().to(&Device::Cpu)).expect("the device works");
    let norm = |w: &Tensor| largest_singular_value(&Reference::of(w).data, w.count() / w.shape()[0]);
    assert!((norm(&used) - 1.0).abs() < 1e-3, "{}", norm(&used));
    assert!((norm(&own) - 1.0).abs() > 0.1, "the weight itself has another: {}", norm(&own));
}

/// The singular vectors are constants: y = W/(uᵀWv), for a weight that has moved away from them.
#[test]
fn the_gradient_is_that_of_fixed_singular_vectors() {
    let rng = &mut Generator::new(5);
    let linear = Linear::new(rng, 4, 3).no_bias();
    let layer = SpectralNorm::new(rng, linear);
    let [u, v] = ["weight_u", "weight_v"].map(|name| Array::of(&buffer(&layer, name).value()).data);
    // The product of the identity and the weight in use is the weight in use, transposed.
    let identity = Var::constant(Tensor::eye(4));
    let op = |inputs: &[Var]| {
        // The gradient that reaches the parameter is that of the input of this operation.
        let w = inputs[0].value().clone();
        param(&layer, "weight").set(w);
        let y = layer.forward(&identity, &ForwardContext::eval());
        Var::record("spectral_norm", y.value().clone(), |edge| {
            let weight = param(&layer, "weight");
            edge.to(&inputs[0], move |dy| y.backward_with(dy.clone()).take(&weight).expect("a gradient"));
        })
    };
    let reference = |inputs: &[Array]| {
        let w = &inputs[0].data;
        let sigma: f64 = (0..12).map(|at| u[at / 4] * w[at] * v[at % 4]).sum();
        Array::new([4, 3], (0..12).map(|at| w[at % 3 * 4 + at / 3] / sigma).collect())
    };
    let moved = param(&layer, "weight").value().add(&rng.normal_tensor([3, 4]).mul_scalar(0.1));
    let checked = block_on(check::gradients(&Device::Cpu, op, reference, &[moved], 3));
    checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

fn agrees(case: &str, device: &Device, layer: &dyn Layer) {
    let all = fixture("layers");
    let of = |name: &str| &all[&format!("{case}/{name}")];
    nn::upload(layer, device);
    ["weight", "bias"].iter().for_each(|name| param(layer, name).set(of(name).upload(device)));
    [("weight_u", "u"), ("weight_v", "v")]
        .iter()
        .for_each(|(name, start)| buffer(layer, name).set(of(start).upload(device)));
    let x = Var::leaf(of("x").upload(device));
    let y = layer.forward(&x, &ForwardContext::train(1, 1));
    let close = |name: &str, value: &Tensor| {
        compare::assert_close(&format!("{case}, {name}"), value, &Reference::of(of(name)), 2e-5);
    };
    close("y", y.value());
    let gradients = y.backward_with(of("dy").upload(device));
    close("d.x", gradients.of(&x).expect("a gradient"));
    for name in ["weight", "bias"] {
        close(&format!("d.{name}"), gradients.get(&param(layer, name)).expect("a gradient"));
    }
    close("next_u", &buffer(layer, "weight_u").value());
    close("next_v", &buffer(layer, "weight_v").value());
}

#[test]
fn a_pass_in_training_is_pytorch_s() {
    everywhere(|device| {
        let rng = &mut Generator::new(1);
        let conv = Conv2d::new(rng, 3, 4, 3).stride(2).padding(1);
        agrees("spectral_conv", device, &SpectralNorm::new(rng, conv));
        let linear = Linear::new(rng, 5, 4);
        agrees("spectral_linear", device, &SpectralNorm::new(rng, linear));
    });
}

#[test]
fn the_singular_vectors_move_in_training_only() {
    let rng = &mut Generator::new(1);
    let linear = Linear::new(rng, 5, 4);
    let layer = SpectralNorm::new(rng, linear);
    param(&layer, "weight").set(rng.normal_tensor([4, 5])); // so that they are not at rest
    let x = Var::constant(Tensor::ones([1, 5]));
    let moves = |ctx: &ForwardContext| {
        let before = buffer(&layer, "weight_u").value();
        layer.forward(&x, ctx);
        before.data() != buffer(&layer, "weight_u").value().data()
    };
    let train = ForwardContext::train(1, 1);
    assert!(!moves(&ForwardContext::eval()) && !moves(&ForwardContext { keep_buffers: true, ..train.clone() }));
    nn::freeze(&layer, true);
    assert!(!moves(&train));
    nn::freeze(&layer, false);
    assert!(moves(&train));
}

/// What is frozen for a computation is free afterwards, and what was frozen before stays so.
#[test]
fn constants_last_for_one_computation() {
    let rng = &mut Generator::new(1);
    let layer = Linear::new(rng, 5, 4);
    let (weight, bias) = (param(&layer, "weight"), param(&layer, "bias"));
    bias.freeze(true);
    let x = Var::constant(Tensor::ones([1, 5]));
    let y = nn::with_constants([&weight, &bias], || layer.forward(&x, &ForwardContext::eval()));
    assert!(!y.has_gradient() && !weight.is_frozen() && bias.is_frozen());
}
