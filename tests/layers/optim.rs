//! The optimiser: Adam over named parameters follows its paper in f64; clipping keeps directions.

use approx::assert_relative_eq;
use autograd::{Gradients, Param, Var};
use nn::optim::{Adam, AdamConfig, clip_gradients};
use reference::adam::{self, Settings};
use reference::{Array, compare};
use tensor::{Generator, Tensor};

/// Gradients that are exactly `wanted`, through Σ wanted·p.
fn gradients(params: &[(String, Param)], wanted: &[Tensor]) -> Gradients {
    let products = params.iter().zip(wanted).map(|((_, p), g)| (p.var() * Var::constant(g.clone())).sum_all());
    products.reduce(|a, b| a + b).expect("at least one parameter").backward()
}

fn named(values: &[Tensor]) -> Vec<(String, Param)> {
    values.iter().enumerate().map(|(i, value)| (format!("p{i}"), Param::new(value.clone()))).collect()
}

#[test]
fn defaults_are_pytorch_s() {
    let AdamConfig { beta1, beta2, eps, weight_decay } = AdamConfig::default();
    assert_eq!([beta1, beta2, eps, weight_decay], [0.9, 0.999, 1e-8, 0.0]);
}

#[test]
fn parameters_follow_the_reference() {
    let mut rng = Generator::new(1);
    for weight_decay in [0.0, 0.2] {
        let start = [rng.normal_tensor([3, 4]), rng.normal_tensor([7])];
        let params = named(&start);
        let mut adam = Adam::new(AdamConfig { weight_decay, ..AdamConfig::default() });
        let fresh = |x: &Tensor| x.data().iter().map(|&x| adam::Adam::new(f64::from(x))).collect::<Vec<_>>();
        let mut exact: Vec<Vec<adam::Adam>> = start.iter().map(fresh).collect();
        for step in 0..8 {
            let rate = 0.1 / f64::from(step + 1); // a schedule: the rate is the step's, not the optimiser's
            let wanted: Vec<Tensor> = start.iter().map(|x| rng.normal_tensor(x.shape())).collect();
            adam.step(&params, &mut gradients(&params, &wanted), rate);
            let settings = Settings { rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay };
            for ((exact, wanted), (name, param)) in exact.iter_mut().zip(&wanted).zip(&params) {
                exact.iter_mut().zip(wanted.data()).for_each(|(p, &g)| p.step(f64::from(g), settings));
                let expected = Array::new(param.shape(), exact.iter().map(|e| e.p).collect());
                compare::assert_close(&format!("{name} after step {step}"), &param.value(), &expected, 1e-6);
            }
        }
    }
}

#[test]
fn a_parameter_without_a_gradient_stays_where_it_is() {
    let params = named(&[Tensor::ones([2]), Tensor::ones([2]), Tensor::ones([2])]);
    params[1].1.freeze(true);
    let mut adam = Adam::new(AdamConfig { weight_decay: 0.5, ..AdamConfig::default() });
    let used = &params[..2]; // the third is not part of the loss
    let mut gradients = gradients(used, &[Tensor::ones([2]), Tensor::ones([2])]);
    adam.step(&params, &mut gradients, 0.1);
    assert_ne!(params[0].1.value().data(), [1.0; 2]);
    assert_eq!(params[1].1.value().data(), [1.0; 2]);
    assert_eq!(params[2].1.value().data(), [1.0; 2]);
}

#[test]
fn clipping_shortens_all_gradients_together_to_the_limit() {
    let wanted = [Tensor::new(&[3.0, 0.0], [2]), Tensor::new(&[0.0, 4.0, 12.0], [3])]; // of length 13
    let params = named(&[Tensor::ones([2]), Tensor::ones([3])]);
    let mut clipped = gradients(&params, &wanted);
    assert_relative_eq!(clip_gradients(&params, &mut clipped, 6.5), 13.0, max_relative = 1e-6);
    for ((_, param), wanted) in params.iter().zip(&wanted) {
        let expected = Array::of(&wanted.mul_scalar(0.5));
        compare::assert_close("half", &clipped.take(param).expect("a gradient"), &expected, 1e-6);
    }
    let mut short = gradients(&params, &wanted);
    assert_relative_eq!(clip_gradients(&params, &mut short, 14.0), 13.0, max_relative = 1e-6);
    compare::assert_same_bits("within the limit", &short.take(&params[1].1).expect("a gradient"), &wanted[1]);
}
