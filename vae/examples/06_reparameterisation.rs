//! 6. The reparameterisation trick: a gradient through a random draw.
//!
//!     cargo run -p vae --example 06_reparameterisation
//!
//! What is d/dμ E[z²] for z ~ N(μ, σ²)? The exact answer follows from E[z²] = μ² + σ²: d/dμ is 2μ, and d/dlogvar is σ² =
//! e^logvar. (An encoder returns logvar = ln σ², because it may be any number, and σ² = e^logvar is always positive.)
//!
//! A random draw has no derivative. But z = μ + σ·ε has one if ε ~ N(0, 1) is drawn first and then fixed: this is
//! `reparameterise`, in `tensor/src/ops/gaussian.rs`. The alternative, z²·d log q(z)/dμ (REINFORCE), needs no derivative of z²,
//! but its estimates have much more noise.
//!
//! Next: `07_vae_in_one_file.rs`.

use autograd::Var;
use tensor::{Generator, Tensor};

const MU: f32 = 1.5;
const SIGMA: f32 = 0.5;

fn main() {
    let mut rng = Generator::new(1);
    println!("exact: d/dμ {:.4}, d/dlogvar {:.4}", 2.0 * MU, SIGMA * SIGMA);
    let (mut pathwise, mut score) = (Vec::new(), Vec::new());
    // ANCHOR: estimates
    for _ in 0..200 {
        let eps = rng.normal_tensor([64, 1]);
        let mu = Var::leaf(Tensor::full([64, 1], MU));
        let logvar = Var::leaf(Tensor::full([64, 1], 2.0 * SIGMA.ln()));
        let z = mu.reparameterise(&logvar, &eps);
        let gradients = z.square().mean_all().backward();
        let total = |x: &Var| f64::from(gradients.of(x).expect("z depends on it").sum_all().data()[0]);
        pathwise.push([total(&mu), total(&logvar)]);

        // REINFORCE: E[z² · (z − μ)/σ²] has the same expected value.
        let weigh = |z: &f32| f64::from(z * z * (z - MU) / (SIGMA * SIGMA));
        score.push(z.value().data().iter().map(weigh).sum::<f64>() / 64.0);
    }
    // ANCHOR_END: estimates
    let of = |numbers: &[f64]| {
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let spread = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / numbers.len() as f64;
        (mean, spread.sqrt())
    };
    let (mu, mu_spread) = of(&pathwise.iter().map(|pair| pair[0]).collect::<Vec<_>>());
    let (logvar, _) = of(&pathwise.iter().map(|pair| pair[1]).collect::<Vec<_>>());
    let (reinforce, reinforce_spread) = of(&score);
    println!("reparameterised: d/dμ {mu:.4} ± {mu_spread:.4}, d/dlogvar {logvar:.4}   (batches of 64)");
    println!("REINFORCE:       d/dμ {reinforce:.4} ± {reinforce_spread:.4}");

    assert!((mu - f64::from(2.0 * MU)).abs() < 0.05 && (logvar - f64::from(SIGMA * SIGMA)).abs() < 0.02);
    assert!(reinforce_spread > 3.0 * mu_spread, "the trick lowers the noise");
}
