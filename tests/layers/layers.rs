//! Each layer computes its formula from its parameters, which are initialised as PyTorch does by default.

use autograd::{Param, Var};
use nn::{Activation, Conv2d, ConvTranspose2d, ForwardContext, Layer, Linear, Module, Sequential, Upsample};
use reference::place::{everywhere, fetch};
use reference::{Array, compare, law};
use tensor::{Conv, ConvTranspose, Generator, Interpolation, Pool, Tensor};

use crate::param;

/// Compares a layer's value and the gradients of its input and parameters with a formula of [x, parameters…].
#[track_caller]
fn check(layer: &dyn Layer, x: Tensor, formula: impl Fn(&[Array]) -> Array) {
    let params: Vec<Param> = nn::parameters(layer).into_iter().map(|(_, p)| p).collect();
    let inputs: Vec<Tensor> = [x].into_iter().chain(params.iter().map(Param::value)).collect();
    let expected = formula(&inputs.iter().map(Array::of).collect::<Vec<_>>());

    // The slope of Σ dy·y along a random direction through the input and all parameters.
    let mut rng = Generator::new(99);
    let dy = rng.normal_tensor(expected.shape);
    let directions: Vec<Tensor> = inputs.iter().map(|x| rng.normal_tensor(x.shape())).collect();
    let along = |h: f64| {
        let moved = inputs.iter().zip(&directions).map(|(x, d)| {
            let (x, d) = (Array::of(x), Array::of(d));
            Array::new(x.shape, x.data.iter().zip(&d.data).map(|(x, d)| x + h * d).collect())
        });
        let y = formula(&moved.collect::<Vec<_>>());
        y.data.iter().zip(dy.data()).map(|(y, &dy)| y * f64::from(dy)).sum::<f64>()
    };
    let expected_slope = (along(1e-6) - along(-1e-6)) / 2e-6;
    everywhere(|device| {
        nn::upload(layer, device);
        let leaf = Var::leaf(inputs[0].upload(device));
        let y = layer.forward(&leaf, &ForwardContext::eval());
        compare::assert_close("the value", y.value(), &expected, 1e-5);
        let mut gradients = y.backward_with(dy.upload(device));
        let mut slope = law::dot(&fetch(gradients.of(&leaf).expect("the input's gradient")), &directions[0]);
        for (param, direction) in params.iter().zip(&directions[1..]) {
            slope += law::dot(&fetch(&gradients.take(param).expect("a parameter's gradient")), direction);
        }
        approx::assert_relative_eq!(slope, expected_slope, max_relative = 1e-5, epsilon = 1e-4);
    });
}

#[test]
fn a_linear_layer_is_x_times_the_transpose_of_its_weight_plus_its_bias() {
    let mut rng = Generator::new(1);
    let layer = Linear::new(&mut rng, 7, 5);
    check(&layer, rng.normal_tensor([4, 7]), |x| {
        reference::binary::broadcast(&reference::matmul::nt(&x[0], &x[1]), &x[2], |a, b| a + b)
    });
}

#[test]
fn a_linear_layer_keeps_the_dimensions_in_front() {
    let layer = Linear::new(&mut Generator::new(1), 7, 5);
    let y = |shape: &[usize]| *layer.forward(&Var::constant(Tensor::ones(shape)), &ForwardContext::eval()).shape();
    for (input, output) in [(&[7][..], &[5][..]), (&[2, 3, 7], &[2, 3, 5]), (&[2, 0, 7], &[2, 0, 5])] {
        assert_eq!(y(input)[..], *output);
    }
    let none = Linear::new(&mut Generator::new(1), 0, 5);
    assert_eq!(none.forward(&Var::constant(Tensor::ones([2, 3, 0])), &ForwardContext::eval()).shape()[..], [2, 3, 5]);
}

#[test]
fn convolutions_with_and_without_bias() {
    let mut rng = Generator::new(2);
    for bias in [true, false] {
        let conv = Conv { stride: 2, padding: 1 };
        let layer = Conv2d::new(&mut rng, 3, 4, 3).stride(2).padding(1);
        let layer = if bias { layer } else { layer.no_bias() };
        assert_eq!(nn::count(&layer), 3 * 4 * 9 + if bias { 4 } else { 0 });
        check(&layer, rng.normal_tensor([2, 3, 7, 6]), |x| reference::conv2d::conv2d(&x[0], &x[1], x.get(2), conv));

        let conv = ConvTranspose { stride: 2, padding: 1, output_padding: 1 };
        let layer = ConvTranspose2d::new(&mut rng, 3, 4, 3).stride(2).padding(1).output_padding(1);
        let layer = if bias { layer } else { layer.no_bias() };
        assert_eq!(param(&layer, "weight").shape()[..], [3, 4, 3, 3]);
        check(&layer, rng.normal_tensor([2, 3, 4, 5]), |x| {
            reference::conv_transpose2d::conv_transpose2d(&x[0], &x[1], x.get(2), conv)
        });
    }
}

#[test]
fn layers_without_parameters() {
    let mut rng = Generator::new(3);
    let pool = Pool { kernel: 2, stride: 2, padding: 0 };
    let image = rng.normal_tensor([2, 3, 6, 4]);
    check(&nn::MaxPool2d(pool), image.clone(), |x| reference::pool::max_pool2d(&x[0], pool));
    check(&nn::AvgPool2d(pool), image.clone(), |x| reference::pool::avg_pool2d(&x[0], pool));
    check(&nn::GlobalAvgPool2d, image.clone(), |x| reference::pool::global_avg_pool2d(&x[0]));
    for how in [Interpolation::Nearest, Interpolation::Bilinear { align_corners: false }] {
        check(&Upsample { factor: 2, how }, image.clone(), |x| {
            reference::interpolate::interpolate(&x[0], [12, 8], how)
        });
    }
    let map = |f: fn(f64) -> f64| move |x: &[Array]| reference::map(&x[0], f);
    check(&Activation::Identity, image.clone(), map(|x| x));
    check(&Activation::Relu, image.clone(), map(|x| x.max(0.0)));
    check(&Activation::LeakyRelu(0.25), image.clone(), map(|x| x.max(0.25 * x)));
    check(&Activation::Sigmoid, image.clone(), map(|x| 1.0 / (1.0 + (-x).exp())));
    check(&Activation::Tanh, image, map(f64::tanh));
}

#[test]
fn layers_in_sequence_run_in_order_and_are_named_by_number() {
    let mut rng = Generator::new(4);
    let (first, last) = (Linear::new(&mut rng, 3, 4), Linear::new(&mut rng, 4, 2));
    let layer = Sequential::new(vec![Box::new(first), Box::new(Activation::Tanh), Box::new(last)]);
    let names: Vec<String> = nn::parameters(&layer).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
    check(&layer, rng.normal_tensor([5, 3]), |x| {
        let linear = |x: &Array, w: &Array, b: &Array| {
            reference::binary::broadcast(&reference::matmul::nt(x, w), b, |a, b| a + b)
        };
        linear(&reference::map(&linear(&x[0], &x[1], &x[2]), f64::tanh), &x[3], &x[4])
    });
}

/// Uniform in ±1/√fan_in, for weights and biases. The fan of a transposed weight counts its output channels, as in PyTorch.
#[test]
fn parameters_start_as_pytorch_s() {
    let mut rng = Generator::new(5);
    let layers: [(Box<dyn Module>, f32); 3] = [
        (Box::new(Linear::new(&mut rng, 64, 90)), 1.0 / 8.0),
        (Box::new(Conv2d::new(&mut rng, 16, 90, 2)), 1.0 / 8.0),
        (Box::new(ConvTranspose2d::new(&mut rng, 90, 16, 2)), 1.0 / 8.0),
    ];
    for (layer, bound) in layers {
        for (name, param) in nn::parameters(&*layer) {
            let value = param.value();
            let largest = value.data().iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(largest <= bound && largest > 0.85 * bound, "{name}: up to {largest} of {bound}");
            let [low, high] = [f32::min, f32::max].map(|of| value.data().iter().copied().reduce(of).expect("numbers"));
            assert!(low < -0.5 * bound && high > 0.5 * bound, "{name}: {low} to {high}");
            if value.count() > 1000 {
                let square = value.data().iter().map(|x| x * x).sum::<f32>() / value.count() as f32;
                approx::assert_relative_eq!(square, bound * bound / 3.0, max_relative = 0.05);
            }
        }
    }
    let again = Linear::new(&mut Generator::new(5), 64, 90);
    let first = Linear::new(&mut Generator::new(5), 64, 90);
    compare::assert_same_bits("the same seed", &param(&again, "weight").value(), &param(&first, "weight").value());
}
