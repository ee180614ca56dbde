//! 7. A complete variational autoencoder in one file: model, loss and training loop.
//!
//!     cargo run -p vae --example 07_vae_in_one_file
//!
//! x [1024] → 128 → μ, logvar [8];  z = μ + e^(logvar/2)·ε;  z [8] → 128 → logits [1024]          (32×32 pixels in [0, 1])
//! loss = Σ bce(logits, x) + KL(N(μ, σ²) ‖ N(0, I)) in nats (1 nat = 1/ln 2 bits)
//!
//! The sums are over pixels and latents, and the loss is their mean over images. A pixel is sigmoid(logit); bce, the binary
//! cross-entropy, takes the logits, so that it never computes the logarithm of 0. The theory is in `docs/theory/elbo.md`.
//!
//! Next: `08_beta.rs`, which trains the same kind of model with the library.

use autograd::Var;
use nn::optim::Optimizer;
use nn::{ForwardContext, Layer, Linear, loss};
use tensor::{Device, Generator, GradientMonitor, Tensor};
use vae::Result;
use vae::config::Config;
use vae::data;

const Z: usize = 8;

// ANCHOR: model
struct Model {
    hidden: Linear,
    mu: Linear,
    logvar: Linear,
    widen: Linear,
    pixels: Linear,
}
// ANCHOR_END: model

impl Model {
    fn new(rng: &mut Generator, pixels: usize) -> Model {
        Model {
            hidden: Linear::new(rng, pixels, 128),
            mu: Linear::new(rng, 128, Z),
            logvar: Linear::new(rng, 128, Z),
            widen: Linear::new(rng, Z, 128),
            pixels: Linear::new(rng, 128, pixels),
        }
    }

    // ANCHOR: passes
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let h = self.hidden.forward(x, ctx).relu();
        (self.mu.forward(&h, ctx), self.logvar.forward(&h, ctx).clamp(-30.0, 20.0))
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        self.pixels.forward(&self.widen.forward(z, ctx).relu(), ctx)
    }
    // ANCHOR_END: passes
}

// Names the layers and thereby their parameters: `hidden.weight`, `hidden.bias`, and so on.
nn::module!(Model { hidden, mu, logvar, widen, pixels });

/// Prints an image with one character per two rows.
fn print(pixels: &[f32], size: usize) {
    for pair in pixels.chunks(2 * size) {
        let shade = |x: f32| b" .:-=+*#%@"[(x.clamp(0.0, 1.0) * 9.0) as usize] as char;
        println!("  {}", (0..size).map(|i| shade(0.5 * (pair[i] + pair[size + i]))).collect::<String>());
    }
}

fn main() -> Result<()> {
    let dataset = data::load(&Config::default())?; // the built-in digits, padded to 32 pixels
    let [_, size, _] = dataset.transform.shape();
    let pixels = size * size;
    let mut rng = Generator::new(1);
    let model = Model::new(&mut rng, pixels);
    println!("{} parameters, {} digits", nn::count(&model), dataset.train.count());

    let params = nn::parameters(&model);
    let (mut adam, mut monitor) = (Optimizer::adam(), GradientMonitor::new(1, &Device::Cpu));
    let mut totals = Vec::new();
    for epoch in 1..=8 {
        let (mut sums, mut steps) = ([0.0; 2], 0);
        for batch in vae::data::order(1, epoch, dataset.train.count()).chunks(64) {
            let x = dataset.batch(&dataset.train, batch)?.reshape([batch.len(), pixels]);
            let ctx = ForwardContext::train(1, steps);
            let (mu, logvar) = model.encode(&Var::constant(x.clone()), &ctx);
            let eps = Var::constant(rng.normal_tensor([batch.len(), Z]));
            let z = &mu + logvar.mul_scalar(0.5).exp() * eps;
            let reconstruction = loss::bce(&model.decode(&z, &ctx), &x);
            let kl = loss::gaussian_kl(&mu, &logvar).mean_all();
            let total = &reconstruction + &kl;
            let mut gradients = total.backward();
            let all: Vec<&Tensor> = params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
            monitor.observe(0, &all, &[total.value()], None);
            adam.step_with(&params, &mut gradients, 1e-3, &monitor);
            [&reconstruction, &kl].iter().zip(&mut sums).for_each(|(x, sum)| *sum += x.value().data()[0]);
            steps += 1;
        }
        let [reconstruction, kl] = sums.map(|sum| sum / steps as f32);
        println!("epoch {epoch}: reconstruction {reconstruction:.1}, KL {kl:.1}");
        totals.push(reconstruction + kl);
    }
    assert!(totals[7] < 0.8 * totals[0], "{totals:?}");

    let z = Var::constant(rng.normal_tensor([1, Z])); // the decoder makes a new digit from a draw of the prior
    print(model.decode(&z, &ForwardContext::eval()).sigmoid().value().data(), size);
    Ok(())
}
