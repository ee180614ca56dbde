//! Chapter 4: a network with one hidden layer separates points inside a circle from points outside it. A linear model cannot.
//!
//!     cargo run -p exercises --example network
#![forbid(unsafe_code)]

use autograd::{Param, Var};
use nn::optim::Optimizer;
use tensor::{Generator, Tensor};

/// Points in the plane [n, 2], and for each 1 if it is farther than 1 from the middle, else 0, as [n, 1].
fn data(rng: &mut Generator, count: usize) -> (Tensor, Tensor) {
    let x = rng.normal_tensor([count, 2]);
    let outside = |point: &[f32]| if point[0].hypot(point[1]) > 1.0 { 1.0 } else { 0.0 };
    let labels: Vec<f32> = x.data().chunks(2).map(outside).collect();
    (x, Tensor::new(&labels, [count, 1]))
}

// ANCHOR: layer
/// y = x·Wᵀ + b. The weights start as small random numbers, and the bias starts at 0.
struct Layer {
    weight: Param,
    bias: Param,
}

impl Layer {
    fn new(rng: &mut Generator, inputs: usize, outputs: usize) -> Layer {
        let scale = 1.0 / (inputs as f32).sqrt();
        Layer {
            weight: Param::new(rng.normal_tensor([outputs, inputs]) * scale),
            bias: Param::new(Tensor::zeros([outputs])),
        }
    }

    fn forward(&self, x: &Var) -> Var {
        x.matmul_nt(&self.weight.var()) + self.bias.var()
    }
}
// ANCHOR_END: layer

/// The share of points whose label is guessed right. A positive output means 1.
fn accuracy(outputs: &Tensor, labels: &Tensor) -> f64 {
    let right = outputs.data().iter().zip(labels.data()).filter(|(y, label)| (**y > 0.0) == (**label > 0.5));
    right.count() as f64 / labels.count() as f64
}

fn train(name: &str, hidden: Option<usize>) -> f64 {
    let mut rng = Generator::new(1);
    let (x, labels) = data(&mut rng, 512);
    let (test_x, test_labels) = data(&mut rng, 512);

    // ANCHOR: model
    let layers = match hidden {
        Some(width) => vec![Layer::new(&mut rng, 2, width), Layer::new(&mut rng, width, 1)],
        None => vec![Layer::new(&mut rng, 2, 1)],
    };
    let model = |x: &Tensor| {
        let mut h = layers[0].forward(&Var::constant(x.clone()));
        for layer in &layers[1..] {
            h = layer.forward(&h.tanh()); // without tanh, two layers would be one linear layer
        }
        h
    };
    // ANCHOR_END: model

    // ANCHOR: training
    let weights = |(i, layer): (usize, &Layer)| {
        [(format!("{i}.weight"), layer.weight.clone()), (format!("{i}.bias"), layer.bias.clone())]
    };
    let params: Vec<(String, Param)> = layers.iter().enumerate().flat_map(weights).collect();
    let mut adam = Optimizer::adam();
    for _ in 0..400 {
        let loss = nn::loss::bce(&model(&x), &labels);
        let mut gradients = loss.backward();
        adam.step(&params, &mut gradients, 0.02);
    }
    // ANCHOR_END: training
    let right = accuracy(model(&test_x).value(), &test_labels);
    println!("{name}: {:.0} % of new points are right", 100.0 * right);
    right
}

fn main() {
    let linear = train("linear model", None);
    let network = train("network with 16 hidden units", Some(16));
    assert!(network > 0.93 && linear < 0.75, "{linear} {network}");
}
