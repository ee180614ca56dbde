//! Chapter 6: an autoencoder of two latents learns pictures of a bright blob. Then it is asked for new pictures.
//!
//!     cargo run -p exercises --example autoencoder
#![forbid(unsafe_code)]

use autograd::Var;
use nn::optim::Optimizer;
use nn::{ForwardContext, Layer, Linear};
use tensor::{Generator, Tensor};

const SIZE: usize = 12;
const PIXELS: usize = SIZE * SIZE;

// ANCHOR: data
/// A picture of a blob around this place.
fn picture(x: f32, y: f32) -> Vec<f32> {
    let brightness = |i: usize| {
        let (dx, dy) = ((i % SIZE) as f32 - x, (i / SIZE) as f32 - y);
        (-(dx * dx + dy * dy) / 3.0).exp()
    };
    (0..PIXELS).map(brightness).collect()
}

/// Pictures of blobs at random places, [count, pixels].
fn pictures(rng: &mut Generator, count: usize) -> Tensor {
    let places = rng.uniform_tensor([count, 2], 2.0, 9.0);
    let pixels: Vec<f32> = places.data().chunks(2).flat_map(|place| picture(place[0], place[1])).collect();
    Tensor::new(&pixels, [count, PIXELS])
}
// ANCHOR_END: data

// ANCHOR: model
struct Autoencoder {
    encoder: [Linear; 2],
    decoder: [Linear; 2],
}

impl Autoencoder {
    fn new(rng: &mut Generator, hidden: usize, latents: usize) -> Autoencoder {
        Autoencoder {
            encoder: [Linear::new(rng, PIXELS, hidden), Linear::new(rng, hidden, latents)],
            decoder: [Linear::new(rng, latents, hidden), Linear::new(rng, hidden, PIXELS)],
        }
    }

    fn encode(&self, x: &Tensor) -> Var {
        let context = ForwardContext::default();
        let h = self.encoder[0].forward(&Var::constant(x.clone()), &context).relu();
        self.encoder[1].forward(&h, &context)
    }

    fn decode(&self, z: &Var) -> Var {
        let context = ForwardContext::default();
        let h = self.decoder[0].forward(z, &context).relu();
        self.decoder[1].forward(&h, &context)
    }
}
// ANCHOR_END: model

/// The mean over pictures of the sum of squared differences from the nearest picture of a blob, wherever the blob is.
fn distance_to_blobs(found: &Tensor) -> f64 {
    let blobs: Vec<Vec<f32>> =
        (0..30 * 30).map(|i| picture(2.0 + (i % 30) as f32 * 0.25, 2.0 + (i / 30) as f32 * 0.25)).collect();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from((a - b) * (a - b))).sum::<f64>();
    let nearest = |x: &[f32]| blobs.iter().map(|blob| distance(x, blob)).fold(f64::INFINITY, f64::min);
    found.data().chunks(PIXELS).map(nearest).sum::<f64>() / found.shape()[0] as f64
}

/// Trains an autoencoder with this many latents, and returns the distances of reconstructions and of pictures from random codes.
fn study(latents: usize) -> [f64; 2] {
    println!("{latents} latents");
    let mut rng = Generator::new(1);
    let (train, test) = (pictures(&mut rng, 1024), pictures(&mut rng, 256));
    let model = Autoencoder::new(&mut rng, 64, latents);

    // ANCHOR: training
    let mut params = Vec::new();
    for layer in model.encoder.iter().chain(&model.decoder) {
        params.extend(nn::parameters(layer));
    }
    let mut adam = Optimizer::adam();
    for step in 0..=3000 {
        let first = step * 64 % 1024;
        let x = train.at(first..first + 64);
        let loss = nn::loss::sse(&model.decode(&model.encode(&x)), &x);
        let mut gradients = loss.backward();
        adam.step(&params, &mut gradients, 2e-3);
        if step % 3000 == 0 {
            println!("step {step:4}: squared error of a picture {:.3}", loss.item());
        }
    }
    // ANCHOR_END: training

    let codes = model.encode(&test);
    let back = model.decode(&codes);
    let sum_of_squares = |x: Tensor| x.square().sum_all().item() / test.shape()[0] as f32;
    let error = sum_of_squares(back.value() - &test);
    let baseline = sum_of_squares(&test - train.mean(&[0], true));
    println!(
        "new pictures: squared error {error:.3}, that of the mean picture {baseline:.3}, R² {:.3}",
        1.0 - error / baseline
    );

    // ANCHOR: holes
    let mean = codes.value().mean(&[0], false);
    let spread = codes.value().var(&[0], 1, false).sqrt();
    println!("the codes have the means {:.1?} and the standard deviations {:.1?}", mean.data(), spread.data());

    let reconstructed = distance_to_blobs(back.value());
    let standard = distance_to_blobs(model.decode(&Var::constant(rng.normal_tensor([256, latents]))).value());
    let fitted = rng.normal_tensor([256, latents]) * &spread + &mean;
    let fitted = distance_to_blobs(model.decode(&Var::constant(fitted)).value());
    println!("squared distance from the nearest blob:");
    println!("  reconstructions                            {reconstructed:.2}");
    println!("  decoded draws from N(0, 1)                 {standard:.2}");
    println!("  decoded draws with the codes' mean and spread {fitted:.2}");
    // ANCHOR_END: holes
    assert!(error < 0.2 * baseline);
    [reconstructed, fitted]
}

fn main() {
    for latents in [2, 8] {
        let [reconstructed, fitted] = study(latents);
        assert!(fitted > 5.0 * reconstructed, "random codes decode much worse");
    }
}
