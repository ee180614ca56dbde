//! A VAE-GAN as a learner (Larsen et al., 1512.09300). Three players share a step:
//!
//! ```text
//! encoder         features + β·KL                                     features: see `objective::adversarial`
//! decoder         features + w·generator                              w = loss.adversarial; the paper has γ·features + generator,
//!                                                                     a multiple, and Adam's steps do not depend on such a factor
//! discriminator   its own loss
//!
//! x̃ = decoder(z),  z ~ q(z|x)         x̂ = decoder of both z and z_p ~ N(0, I)
//! ```
//!
//! One backward pass over the sum gives each player the gradient of its own loss. The discriminator's parameters are constants in
//! `features` and `generator`, the images x̂ are in the discriminator's loss, and z is in `generator`, which therefore does not reach the
//! encoder. All players move at once, as in the paper's algorithm 1.
//!
//! The total is that of encoder and decoder. The reconstruction error of pixels is a metric, and no part of it.

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};
use tensor::Generator;

use super::forward_pass::ForwardPass;
use crate::config::{Config, Output};
use crate::learn::{Autoencoder, Batch, Evaluation, Forward, Learner};
use crate::model::Discriminator;
use crate::objective::Terms;
use crate::objective::adversarial::{discriminator_loss, feature_distance, generator_loss};

/// A VAE, its objective, and a discriminator of images.
pub struct VaeGan {
    vae: Autoencoder,
    discriminator: Discriminator,
    adversarial: f64,
    output: Output,
}

impl VaeGan {
    /// Creates a learner from a VAE. The random numbers are those of the discriminator's weights.
    pub fn new(rng: &mut Generator, config: &Config, vae: Autoencoder) -> VaeGan {
        let discriminator = Discriminator::new(rng, config);
        VaeGan { vae, discriminator, adversarial: config.loss.adversarial, output: config.model.output }
    }

    fn forward_pass(&self, batch: &Batch, ctx: &ForwardContext) -> ForwardPass {
        // Passes over decoded images are in no trace and change no buffer.
        let aside = &ForwardContext { trace: None, keep_buffers: true, ..ctx.clone() };
        let x = Var::constant(batch.images.clone());
        let posterior = self.vae.posterior(&x, &batch.labels, ctx);
        let [mu, logvar] = posterior.each_ref();
        let noise = batch.noise(2 * self.vae.z_dim);
        let [eps, drawn] = [0, 1].map(|i| noise.slice(1, i * self.vae.z_dim, self.vae.z_dim));
        let z = mu.reparameterise(logvar, &eps);
        let logits = self.vae.decode(&z, &batch.labels, ctx);
        let kl = nn::loss::gaussian_kl(mu, logvar).mean_all();
        let (reconstruction, _) = self.vae.objective.reconstruction_term(&logits, &batch.target, ctx);

        let (real_features, real) = self.discriminator.forward(&Var::constant(batch.target.clone()), ctx);
        let both = Var::concat(&[&z.detach(), &Var::constant(drawn)], 0);
        let decoded = self.output.apply(&self.vae.decode(&both, &twice(&batch.labels), aside));
        let parameters = nn::parameters(&self.discriminator);
        let [features, generator] = nn::with_constants(parameters.iter().map(|(_, parameter)| parameter), || {
            let (features, _) = self.discriminator.forward(&self.output.apply(&logits), aside);
            let (_, scores) = self.discriminator.forward(&decoded, aside);
            [feature_distance(&real_features.detach(), &features), generator_loss(&scores)]
        });
        let (_, scores) = self.discriminator.forward(&decoded.detach(), aside);
        let terms = Terms::weighted([
            ("features", 1.0, features),
            ("kl", self.vae.objective.kl_weight(batch.schedule), kl),
            ("generator", self.adversarial, generator),
        ]);
        let terms = terms.with_opponent("discriminator", 1.0, discriminator_loss(&real, &scores));
        let terms = terms.with_metric("reconstruction", reconstruction.detach());
        ForwardPass { x, posterior, z, logits, terms }
    }
}

/// Returns the labels of a batch twice.
fn twice(labels: &[usize]) -> Vec<usize> {
    [labels, labels].concat()
}

impl Learner for VaeGan {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        self.forward_pass(batch, ctx).into_forward()
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        self.forward_pass(batch, ctx).into_evaluation(|mu| self.vae.decode(mu, &batch.labels, ctx))
    }

    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        self.vae.encode(batch)
    }

    fn sample(&self, z: &Var, labels: &[usize]) -> Option<Var> {
        self.vae.sample(z, labels)
    }

    fn log_density(&self, z: &Var, batch: &Batch) -> Option<Var> {
        self.vae.log_density(z, batch)
    }
}

impl Module for VaeGan {
    fn visit(&self, v: &mut Visitor) {
        self.vae.visit(v);
        v.child("discriminator", &self.discriminator);
    }
}
