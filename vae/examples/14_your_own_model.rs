//! 14. Your own model in the library's training loop.
//!
//!     cargo run -p vae --example 14_your_own_model
//!
//! A model implements two traits: `nn::Module` names the parameters, and `vae::model::Vae` encodes images to Gaussians and
//! decodes latents to images. The trainer adds Adam, learning rate schedules, validation, and every loss. A model that is not a
//! VAE implements `vae::learn::Learner` instead.
//!
//! This is the last example. `ARCHITECTURE.md` introduces the library itself.

use autograd::Var;
use nn::{Conv2d, ForwardContext, Layer, Linear, Module, Upsample, Visitor};
use pollster::block_on;
use tensor::{Device, Generator, Interpolation};
use vae::Result;
use vae::config::Settings;
use vae::data;
use vae::model::Vae;
use vae::train::Trainer;

const Z: usize = 8;

/// The encoder maps [1, 32, 32] to 8 maps of 8×8 and these to μ and logvar. The decoder is a linear layer, an enlargement and a
/// convolution.
struct Own {
    shrink: Conv2d,
    gaussian: Linear,
    widen: Linear,
    paint: Conv2d,
}

impl Module for Own {
    fn visit(&self, v: &mut Visitor) {
        v.child("encoder.shrink", &self.shrink);
        v.child("encoder.gaussian", &self.gaussian);
        v.child("decoder.widen", &self.widen);
        v.child("decoder.paint", &self.paint);
    }
}

impl Vae for Own {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let maps = self.shrink.forward(x, ctx).relu();
        let both = self.gaussian.forward(&maps.reshape([x.shape()[0], 8 * 8 * 8]), ctx);
        (both.slice(1, 0, Z), both.slice(1, Z, Z).clamp(-30.0, 20.0))
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let maps = self.widen.forward(z, ctx).relu().reshape([z.shape()[0], 8, 16, 16]);
        self.paint.forward(
            &Upsample { factor: 2, how: Interpolation::Bilinear { align_corners: false } }.forward(&maps, ctx),
            ctx,
        )
    }
}

fn main() -> Result<()> {
    let mut settings = Settings::default();
    let wanted = ["model.z_dim=8", "data.limit=4000", "model.output=sigmoid", "train.learning_rate=0.003"];
    wanted.iter().try_for_each(|setting| settings.assignment(setting))?;
    let config = settings.resolve()?;
    config.check()?;
    let dataset = data::load(&config)?;
    let rng = &mut Generator::new(1);
    let model = Own {
        shrink: Conv2d::new(rng, 1, 8, 4).stride(4),
        gaussian: Linear::new(rng, 8 * 8 * 8, 2 * Z),
        widen: Linear::new(rng, Z, 8 * 16 * 16),
        paint: Conv2d::new(rng, 8, 1, 3).padding(1),
    };
    println!("{} parameters", nn::count(&model));
    let mut trainer = Trainer::new(config, dataset, Box::new(model), Device::Cpu);
    let mut totals = Vec::new();
    for epoch in 1..=4 {
        let losses = block_on(trainer.epoch(epoch, &mut |_| true))?.expect("nobody stopped it");
        println!("epoch {epoch}: {losses}");
        totals.push(losses.total);
    }
    assert!(totals[3] < 0.8 * totals[0], "{totals:?}");
    Ok(())
}
