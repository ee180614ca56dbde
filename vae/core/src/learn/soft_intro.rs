//! A Soft-IntroVAE as a learner (Daniel and Tamar, 2012.13253). Encoder and decoder are the two players. x̂ is a decoded draw from the
//! prior, L the reconstruction error, and s = 1/D for D pixel values:
//!
//! ```text
//! encoder   L(x) + β·KL(x) + 1/(2s)·exp(−2s·(L(x̂) + β_neg·KL(x̂)))        eq. 4, divided by s
//! decoder   L(x) + β·KL(x̂)                                               eq. 5, divided by s
//! ```
//!
//! So the encoder gives images of the data a high evidence bound and x̂ a low one, and the decoder makes images to which the encoder
//! gives the latents of the prior. Where the bound of x̂ is low already, the exponential leaves nothing to gain.
//!
//! One backward pass over the sum gives both gradients. In the exponential x̂ and the decoder are constants, and in KL(x̂) of the decoder
//! the encoder is. Both players move at once; the paper's algorithm moves the decoder after the encoder. Eq. 5 also has L(x̂)
//! with the weight 1e-8, which is left out: it is below the rounding error of the other terms.
//!
//! The total is that of the data, L(x) + β·KL(x), the loss of a plain VAE.

use autograd::{Param, Var};
use nn::{ForwardContext, Module, Visitor};

use super::forward_pass::ForwardPass;
use crate::config::{Config, Output};
use crate::learn::{Autoencoder, Batch, Evaluation, Forward, Learner};
use crate::objective::Terms;
use crate::objective::adversarial::exp_elbo;

/// A VAE whose halves play against each other.
pub struct SoftIntro {
    vae: Autoencoder,
    encoder: Vec<Param>,
    decoder: Vec<Param>,
    beta_neg: f64,
    /// s, the factor in the exponential.
    scale: f64,
    output: Output,
}

impl SoftIntro {
    /// Creates a learner from a VAE.
    pub fn new(config: &Config, vae: Autoencoder) -> SoftIntro {
        let parameters = nn::parameters(&vae).into_iter();
        let (encoder, decoder): (Vec<_>, Vec<_>) = parameters.partition(|(name, _)| name.starts_with("encoder."));
        let [encoder, decoder] = [encoder, decoder].map(|half| half.into_iter().map(|(_, param)| param).collect());
        let scale = 1.0 / config.pixels() as f64;
        SoftIntro { vae, encoder, decoder, beta_neg: config.loss.beta_neg, scale, output: config.model.output }
    }

    fn forward_pass(&self, batch: &Batch, ctx: &ForwardContext) -> ForwardPass {
        // Passes over decoded images are in no trace and change no buffer.
        let aside = &ForwardContext { trace: None, keep_buffers: true, ..ctx.clone() };
        let (objective, labels, z_dim) = (&self.vae.objective, &batch.labels, self.vae.z_dim);
        let noise = batch.noise(3 * z_dim);
        let [eps, drawn, other] = [0, 1, 2].map(|i| noise.slice(1, i * z_dim, z_dim));
        let x = Var::constant(batch.images.clone());
        let posterior = self.vae.posterior(&x, labels, ctx);
        let [mu, logvar] = posterior.each_ref();
        let z = mu.reparameterise(logvar, &eps);
        let logits = self.vae.decode(&z, labels, ctx);
        let (reconstruction, _) = objective.reconstruction_term(&logits, &batch.target, ctx);
        let kl = nn::loss::gaussian_kl(mu, logvar).mean_all();

        let fake = self.output.apply(&self.vae.decode(&Var::constant(drawn), labels, aside));
        let seen = fake.detach();
        let [fake_mu, fake_logvar] = self.vae.posterior(&seen, labels, aside);
        let fake_z = fake_mu.reparameterise(&fake_logvar, &other);
        let fake_logits = nn::with_constants(&self.decoder, || self.vae.decode(&fake_z, labels, aside));
        let errors = objective.reconstruction_per_image(&fake_logits, seen.value());
        let bound = exp_elbo(&errors, &nn::loss::gaussian_kl(&fake_mu, &fake_logvar), self.beta_neg, self.scale);

        let [mu, logvar] = nn::with_constants(&self.encoder, || self.vae.posterior(&fake, labels, aside));
        let kl_fake = nn::loss::gaussian_kl(&mu, &logvar).mean_all();
        let beta = objective.kl_weight(batch.schedule);
        let terms = Terms::weighted([("reconstruction", 1.0, reconstruction), ("kl", beta, kl)]);
        let terms = terms.with_opponent("exp_elbo", 0.5 / self.scale, bound).with_opponent("kl_fake", beta, kl_fake);
        ForwardPass { x, posterior, z, logits, terms }
    }
}

impl Learner for SoftIntro {
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

impl Module for SoftIntro {
    fn visit(&self, v: &mut Visitor) {
        self.vae.visit(v);
    }
}
