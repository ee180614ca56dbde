//! A convolutional network that names handwritten digits, trained on 8,334 of the 10,000 digits that this crate contains.
//!
//!     cargo run -p vae-core --example mnist_classifier
//!
//! Two convolutions find strokes and their combinations, a linear layer adds up the evidence for each digit, and the loss is the
//! cross-entropy. It ends with the accuracy on 1,666 digits that it has not seen, and with some of its mistakes.

use autograd::{Var, no_grad};
use nn::optim::{Optimizer, Schedule};
use nn::{Activation, BatchNorm2d, Conv2d, Dropout, ForwardContext, Layer, Linear, MaxPool2d, Sequential};
use tensor::{Generator, Pool, Tensor};
use vae_core::data::{Split, digits, order};

const EPOCHS: usize = 3;
const BATCH: usize = 64;

/// Images [batch, 1, 28, 28] → a score for each of the ten digits, [batch, 10].
struct Classifier {
    features: Sequential,
    head: Linear,
    dropout: Dropout,
}

impl Classifier {
    fn new(rng: &mut Generator) -> Classifier {
        let half = Pool { kernel: 2, stride: 2, padding: 0 };
        let features = Sequential::new(vec![
            Box::new(Conv2d::new(rng, 1, 16, 3).padding(1).no_bias()),
            Box::new(BatchNorm2d::new(16)),
            Box::new(Activation::Relu),
            Box::new(MaxPool2d(half)), // 14 × 14
            Box::new(Conv2d::new(rng, 16, 32, 3).padding(1).no_bias()),
            Box::new(BatchNorm2d::new(32)),
            Box::new(Activation::Relu),
            Box::new(MaxPool2d(half)), // 7 × 7
        ]);
        Classifier { features, head: Linear::new(rng, 32 * 7 * 7, 10), dropout: Dropout::new(0.25, 0) }
    }
}

nn::module!(Classifier { features, head });

impl Layer for Classifier {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let features = self.features.forward(x, ctx).flatten(1);
        self.head.forward(&self.dropout.forward(&features, ctx), ctx)
    }
}

/// The images at these places, from 0 (black) to 1, and their labels.
fn batch(split: &Split, places: &[usize]) -> (Var, Tensor) {
    let mut bytes = vec![0; places.len() * 28 * 28];
    for (place, image) in places.iter().zip(bytes.chunks_mut(28 * 28)) {
        split.read(*place, image).expect("the digits are in the program");
    }
    let pixels: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let labels: Vec<f32> = split.labels(places).iter().map(|&label| label as f32).collect();
    (Var::constant(Tensor::new(&pixels, [places.len(), 1, 28, 28])), Tensor::new(&labels, [places.len()]))
}

fn main() {
    let [train, validation, test] = digits::splits(1).expect("the digits are in the program");
    let model = Classifier::new(&mut Generator::new(1));
    let params = nn::parameters(&model);
    println!("{} parameters, {} training digits", nn::count(&model), train.count());

    let (mut optimizer, schedule, mut step) = (Optimizer::adamw(0.01), Schedule::Cosine, 0);
    for epoch in 1..=EPOCHS {
        let mut sum = 0.0;
        for places in order(1, epoch, train.count()).chunks(BATCH) {
            let (x, labels) = batch(&train, places);
            let loss = nn::loss::cross_entropy(&model.forward(&x, &ForwardContext::train(1, step)), &labels);
            sum += f64::from(loss.item()) * places.len() as f64;
            optimizer.step(&params, &mut loss.backward(), schedule.rate(2e-3, epoch - 1, EPOCHS));
            step += 1;
        }
        println!("epoch {epoch}: mean cross-entropy {:.4}", sum / train.count() as f64);
    }

    let (mut right, mut all, mut mistakes) = (0, 0, Vec::new());
    for split in [&validation, &test] {
        for places in split.first(usize::MAX).chunks(BATCH) {
            let (x, labels) = batch(split, places);
            let scores = no_grad(|| model.forward(&x, &ForwardContext::eval()));
            for (guess, label) in scores.value().argmax(1).data().iter().zip(labels.data()) {
                all += 1;
                match guess == label {
                    true => right += 1,
                    false => mistakes.push(format!("{label} taken for {guess}")),
                }
            }
        }
    }
    let accuracy = f64::from(right) / f64::from(all);
    println!("{right} of {all} unseen digits are named right: {:.1} %", 100.0 * accuracy);
    println!("some mistakes: {}", mistakes[..mistakes.len().min(4)].join(", "));
    assert!(accuracy > 0.96, "it did not learn");
}
