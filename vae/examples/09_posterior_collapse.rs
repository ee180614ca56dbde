//! 9. Posterior collapse: a model that ignores its latents, and the remedy.
//!
//!     cargo run -p vae --example 09_posterior_collapse
//!
//! A common mistake is to take the *mean* of the squared error over pixels but the *sum* of the KL over latents. With 1,024
//! pixels, this gives the KL 1,024 times its proper weight. The cheapest solution is then to encode no information: q(z|x) =
//! N(0, I) for every x, and every reconstruction is the mean image. The posterior q has collapsed onto the prior N(0, I).
//!
//! The remedy is to sum over pixels, too (`docs/theory/elbo.md`). `vae train` prints the effective β and warns if the KL falls
//! below 0.1 nat.
//!
//! Next: `10_on_a_gpu.rs`.

use pollster::block_on;
use tensor::Device;
use vae::Result;
use vae::config::Settings;
use vae::data;
use vae::learn;
use vae::train::Trainer;

fn main() -> Result<()> {
    let mut results = Vec::new();
    // A mean over 32×32 pixels is the same as a sum with β = 1,024.
    for (what, beta) in [("mean over pixels", "1024"), ("sum over pixels", "1")] {
        let mut settings = Settings::default();
        for setting in
            ["model.kind=dense", "model.hidden=128", "model.z_dim=8", "data.limit=4000", "loss.reconstruction=sse"]
        {
            settings.assignment(setting)?;
        }
        settings.assignment(&format!("loss.beta={beta}"))?;
        let config = settings.resolve()?;
        config.check()?;
        println!("{what}: effective β = {}", config.effective_beta());
        let (dataset, model) = (data::load(&config)?, learn::build(&config));
        let mut trainer = Trainer::from_learner(config, dataset, model, Device::Cpu);
        for epoch in 1..=6 {
            block_on(trainer.epoch(epoch, &mut |_| true))?;
        }
        let validation = block_on(trainer.validate())?;
        let kl = validation.losses.part("kl").unwrap_or(f64::NAN);
        // Compares the reconstructions of two different digits.
        let [_, back] = block_on(trainer.predictor().reconstructions(&trainer.dataset.validation, &[0, 1]))?
            .expect("a VAE gives images");
        let (a, b) = back.split_at(back.len() / 2);
        let difference = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32;
        println!("  KL {kl:.3} nats, mean squared error {:.4}", validation.mse.unwrap_or(f64::NAN));
        println!("  the reconstructions of two digits differ by {difference:.5} (mean squared difference)\n");
        results.push((kl, difference));
    }
    assert!(results[0].0 < 0.1 && results[0].1 < 1e-3, "collapsed: no information, and equal reconstructions");
    assert!(results[1].0 > 5.0 && results[1].1 > 1e-2, "not collapsed");
    Ok(())
}
