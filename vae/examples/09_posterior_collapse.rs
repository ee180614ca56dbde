//! 9. Posterior collapse, on purpose, and its cure.
//!
//!     cargo run -p vae --example 09_posterior_collapse
//!
//! A common mistake: the squared error as a *mean* over pixels beside a *sum* over latents. With 1,024 pixels that weighs the KL 1,024 times
//! too much; the cheapest way out is to tell nothing: q(z|x) = N(0, I) for every x, and every reconstruction is the mean image.
//! The posterior has then collapsed onto the prior.
//! Summing over pixels is the cure (`docs/theory/elbo.md`); `train` prints the effective β and warns below 0.1 nat.
//! Next: `10_on_a_gpu.rs`.

use pollster::block_on;
use tensor::Device;
use vae::Result;
use vae::config::Settings;
use vae::data;
use vae::learn;
use vae::train::Trainer;

fn main() -> Result<()> {
    let mut told = Vec::new();
    // 1,024 is what the mean over 32×32 pixels comes to.
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
        // Two different digits: do their reconstructions differ?
        let [_, back] = block_on(trainer.predictor().reconstructions(&trainer.dataset.validation, &[0, 1]))?
            .expect("a VAE gives images");
        let (a, b) = back.split_at(back.len() / 2);
        let difference = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32;
        println!("  KL {kl:.3} nats, mean squared error {:.4}", validation.mse.unwrap_or(f64::NAN));
        println!("  two digits' reconstructions differ by {difference:.5}\n");
        told.push((kl, difference));
    }
    assert!(told[0].0 < 0.1 && told[0].1 < 1e-3, "collapsed: nothing is told, and everything looks alike");
    assert!(told[1].0 > 5.0 && told[1].1 > 1e-2, "cured");
    Ok(())
}
