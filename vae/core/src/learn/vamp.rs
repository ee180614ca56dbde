//! A VAE with a VampPrior as a learner (Tomczak and Welling, 1705.07120). Its pseudo-inputs are images with parameters w:
//!
//! ```text
//! u = low + (high − low)·sigmoid(w) for pixels in [low, high],   u = w for pixels that are standardised;   w ~ N(0, 1) at first
//! ```
//!
//! `objective::vamp` estimates the KL. The KL of each latent that is reported is the one to N(0, 1): it tells which latents depend
//! on the image, and its sum is not a part of the loss.

use autograd::{Param, Var, no_grad};
use nn::{ForwardContext, Module, Visitor};
use tensor::{Device, Generator, Tensor};

use super::forward_pass::ForwardPass;
use crate::config::{Config, Normalise};
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::Vae;
use crate::objective::{Objective, Terms, log_mixture, vamp_kl};
use crate::prior::{Prior, draw_index};

/// A VAE, its pseudo-inputs, and its objective.
pub struct Vamp {
    model: Box<dyn Vae>,
    objective: Objective,
    pseudo_inputs: Param, // w: [K, C, S, S]
    normalise: Normalise,
    z_dim: usize,
}

impl Vamp {
    /// Creates a learner from a model with `config.model.z_dim` latents.
    pub fn new(rng: &mut Generator, config: &Config, model: Box<dyn Vae>) -> Vamp {
        let (channels, size) = (config.channels(), config.image_size());
        let pseudo_inputs = Param::new(rng.normal_tensor([config.model.pseudo_inputs, channels, size, size]));
        let (objective, z_dim) = (Objective::new(config), config.model.z_dim);
        Vamp { model, objective, pseudo_inputs, normalise: config.data.normalise, z_dim }
    }

    /// Returns the pseudo-inputs u, `[K, C, S, S]`.
    fn images(&self) -> Var {
        let w = self.pseudo_inputs.var();
        match self.normalise {
            Normalise::Unit => w.sigmoid(),
            Normalise::Symmetric => w.sigmoid().mul_scalar(2.0).add_scalar(-1.0),
            Normalise::Standard => w,
        }
    }

    /// Returns mu and logvar of the pseudo-inputs, `[K, z]` each.
    fn pseudo_posteriors(&self, ctx: &ForwardContext) -> [Var; 2] {
        self.model.encode(&self.images(), ctx).into()
    }

    fn forward_pass(&self, batch: &Batch, ctx: &ForwardContext) -> ForwardPass {
        let x = Var::constant(batch.images.clone());
        let posterior: [Var; 2] = self.model.encode(&x, ctx).into();
        let pseudo = self.pseudo_posteriors(ctx);
        let z = posterior[0].reparameterise(&posterior[1], &batch.noise(self.z_dim));
        let logits = self.model.decode(&z, ctx);
        let kl = vamp_kl(&z, posterior.each_ref(), pseudo.each_ref()).mean_all();
        let (reconstruction, sigma) = self.objective.reconstruction_term(&logits, &batch.target, ctx);
        let terms = Terms::weighted([
            ("reconstruction", self.objective.reconstruction, reconstruction),
            ("kl", self.objective.kl_weight(batch.schedule), kl),
        ]);
        ForwardPass { x, posterior, z, logits, terms: terms.with_some_metric("sigma", sigma) }
    }
}

impl Learner for Vamp {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        self.forward_pass(batch, ctx).into_forward()
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        self.forward_pass(batch, ctx).into_evaluation(|mu| self.model.decode(mu, ctx))
    }

    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        Some(self.model.encode(&Var::constant(batch.images.clone()), &ForwardContext::eval()).into())
    }

    fn sample(&self, z: &Var, _: &[usize]) -> Option<Var> {
        Some(self.model.decode(z, &ForwardContext::eval()))
    }

    fn log_density(&self, z: &Var, batch: &Batch) -> Option<Var> {
        Some(self.objective.log_density(&self.model.decode(z, &ForwardContext::eval()), &batch.target))
    }

    fn prior(&self) -> Option<&dyn Prior> {
        Some(self)
    }
}

impl Prior for Vamp {
    /// Draws from the posterior of a pseudo-input, each as likely.
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let [mu, logvar] = no_grad(|| self.pseudo_posteriors(&ForwardContext::eval()));
        let equal = Tensor::zeros([count, mu.shape()[0]]).upload(device);
        let chosen = draw_index(&equal, rng);
        let noise = rng.normal_tensor([count, self.z_dim]).upload(device);
        mu.value().index_select(&chosen).reparameterise(&logvar.value().index_select(&chosen), &noise)
    }

    fn nats(&self, latents: &Tensor) -> Tensor {
        let nats = no_grad(|| {
            let [mu, logvar] = self.pseudo_posteriors(&ForwardContext::eval());
            log_mixture(&Var::constant(latents.clone()), &mu, &logvar).mul_scalar(-1.0)
        });
        nats.value().clone()
    }

    fn words(&self) -> String {
        format!("VampPrior of {} pseudo-inputs", self.pseudo_inputs.shape()[0])
    }
}

impl Module for Vamp {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.objective.visit(v);
        v.child("prior.pseudo_inputs", &self.pseudo_inputs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::objective::{END, ScheduleContext};

    fn config(setting: &str) -> Config {
        let mut all = Settings::default();
        ["model.kind=dense", "model.hidden=8", "model.z_dim=3", "model.prior=vamp", "model.pseudo_inputs=5"]
            .iter()
            .chain(&["data.image_size=8", "loss.beta=2", setting])
            .for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        config
    }

    fn vamp() -> Vamp {
        vamp_with("data.normalise=unit")
    }

    fn vamp_with(setting: &str) -> Vamp {
        let (config, rng) = (config(setting), &mut Generator::new(1));
        Vamp::new(rng, &config, crate::model::build(&config))
    }

    #[test]
    fn pseudo_inputs_have_the_range_of_images() {
        for (normalise, low, high) in [("unit", 0.0, 1.0), ("symmetric", -1.0, 1.0), ("standard", -5.0, 5.0)] {
            let vamp = vamp_with(&format!("data.normalise={normalise}"));
            let u = vamp.images();
            let (least, most) = u.value().data().iter().fold((f32::MAX, f32::MIN), |(a, b), &u| (a.min(u), b.max(u)));
            let (middle, size) = (0.5 * (low + high), high - low);
            assert!(least > low && most < high, "{normalise}: {least} to {most}");
            assert!(least < middle - 0.2 * size && most > middle + 0.2 * size, "{normalise}: {least} to {most}");
        }
    }

    /// The names are those of a checkpoint.
    #[test]
    fn its_tensors_are_those_of_the_model_and_the_pseudo_inputs() {
        let vamp = vamp_with("loss.reconstruction=gaussian");
        let mut names = Vec::new();
        nn::visit(&vamp, |path, _| names.push(path.to_owned()));
        for name in ["encoder.mu.weight", "decoder.output.bias", "prior.pseudo_inputs"] {
            assert!(names.iter().any(|path| path == name), "{name} is not in {names:?}");
        }
        let of_model = crate::model::build(&config("data.normalise=unit"));
        assert!(names.len() > nn::parameters(&*of_model).len() + 1, "the variance is a tensor too: {names:?}");
        assert_eq!(Prior::words(&vamp), "VampPrior of 5 pseudo-inputs");
    }

    #[test]
    fn the_loss_is_the_weighted_sum_and_trains_the_pseudo_inputs() {
        let vamp = vamp();
        let images = Generator::new(2).uniform_tensor([4, 1, 8, 8], 0.0, 1.0);
        let batch = Batch::of_step(images, vec![0; 4], ScheduleContext { epochs: END, images: 9 }, 1, 1);
        let forward = vamp.forward(&batch, &ForwardContext::train(1, 1));
        let losses = pollster::block_on(forward.terms.read()).unwrap();
        let [reconstruction, kl] = ["reconstruction", "kl"].map(|name| losses.part(name).unwrap());
        assert!((losses.total - reconstruction - 2.0 * kl).abs() < 1e-4 && reconstruction > 0.0);
        let gradients = forward.terms.total.backward();
        let gradient = gradients.get(&vamp.pseudo_inputs).expect("the prior depends on the pseudo-inputs");
        assert!(gradient.data().iter().any(|&g| g != 0.0));
    }

    /// The mean of −ln p over draws from p is the entropy, which lies between that of a component and ln K above it.
    #[test]
    fn draws_have_the_density_that_is_reported() {
        let vamp = vamp();
        let [_, logvar] = no_grad(|| vamp.pseudo_posteriors(&ForwardContext::eval()));
        let half_log_det = 0.5 * logvar.value().sum(&[1], false).mean_all().data()[0];
        let of_component = half_log_det + 1.5 * (std::f32::consts::TAU * std::f32::consts::E).ln();
        let nats = |seed: u64| {
            let drawn = vamp.draw(20_000, &Device::Cpu, &mut Generator::new(seed));
            vamp.nats(&drawn).mean_all().data()[0]
        };
        let entropy = nats(3);
        assert!((entropy - nats(4)).abs() < 0.05);
        assert!(
            entropy > of_component - 0.05 && entropy < of_component + 5_f32.ln() + 0.05,
            "{entropy}, {of_component}"
        );
    }
}
