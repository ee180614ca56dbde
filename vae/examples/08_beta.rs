//! 8. The effect of β, the weight of the KL in the loss.
//!
//!     cargo run -p vae --example 08_beta
//!
//! The same small model is trained three times. β = 0 is an autoencoder, β = 1 is a VAE, and β = 8 accepts worse
//! reconstructions for latents that are closer to the prior. The library's trainer runs the loop; its settings are those of
//! `vae train --set`.
//!
//! Next: `09_posterior_collapse.rs`.

use pollster::block_on;
use tensor::Device;
use vae::Result;
use vae::config::Settings;
use vae::data;
use vae::learn;
use vae::predict::{IN_USE, Validation};
use vae::train::Trainer;

fn trained(beta: &str) -> Result<Validation> {
    let mut settings = Settings::default();
    for setting in [
        "model.kind=dense",
        "model.hidden=128",
        "model.z_dim=8",
        "data.limit=4000",
        "model.output=sigmoid",
        "loss.reconstruction=bce",
    ] {
        settings.assignment(setting)?;
    }
    settings.assignment(&format!("loss.beta={beta}"))?;
    let config = settings.resolve()?;
    config.check()?;
    let (dataset, model) = (data::load(&config)?, learn::build(&config));
    // ANCHOR: train
    let mut trainer = Trainer::from_learner(config, dataset, model, Device::Cpu);
    for epoch in 1..=8 {
        block_on(trainer.epoch(epoch, &mut |_| true))?;
    }
    block_on(trainer.validate())
    // ANCHOR_END: train
}

fn main() -> Result<()> {
    println!("{:>4}  {:>14}  {:>8}  {:>14}", "β", "reconstruction", "KL", "latents in use");
    let mut rows = Vec::new();
    for beta in ["0", "1", "8"] {
        let validation = trained(beta)?;
        let [reconstruction, kl] =
            ["reconstruction", "kl"].map(|name| validation.losses.part(name).unwrap_or(f64::NAN));
        // A latent with a KL near 0 has the distribution N(0, 1) for every image, so it carries no information to the decoder.
        let used = validation.latents_in_use();
        println!("{beta:>4}  {reconstruction:14.1}  {kl:8.1}  {used:>14}");
        rows.push((reconstruction, kl));
    }
    println!(
        "\nA latent is in use if its KL is above {IN_USE} nat. A larger β gives a smaller KL and a worse reconstruction."
    );
    assert!(rows[0].1 > rows[1].1 && rows[1].1 > rows[2].1, "the KL falls with β");
    assert!(rows[1].0 < rows[2].0, "the reconstruction rises with β");
    Ok(())
}
