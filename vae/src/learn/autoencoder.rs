//! A variational autoencoder as a learner: z ~ N(μ(x), σ²(x)), x̂ = decoder(z), and an objective over both.
//!
//! A conditional one tells its model the labels: the encoder sees a plane beside the image for each label, the decoder a number
//! beside the latents, 1 for the image's own and 0 for the others.

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};
use tensor::{Device, Tensor};

use crate::config::Config;
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::{Vae, reparameterise};
use crate::objective::{Objective, Terms};

/// A VAE and what it minimises.
pub struct Autoencoder {
    model: Box<dyn Vae>,
    objective: Objective,
    z_dim: usize,
    /// Labels that the model is told; 0 if it is not.
    classes: usize,
}

/// What a batch becomes.
struct Passed {
    x: Var,
    mu: Var,
    logvar: Var,
    z: Var,
    logits: Var,
    terms: Terms,
}

impl Autoencoder {
    /// A model of `config.model.z_dim` latents, and the objective that the configuration asks for. Its encoder must take
    /// `config.encoder_channels()` channels, its decoder `config.decoder_inputs()` numbers.
    pub fn new(config: &Config, model: Box<dyn Vae>) -> Autoencoder {
        let (z_dim, classes) = (config.model.z_dim, config.told_classes());
        Autoencoder { model, objective: Objective::new(config), z_dim, classes }
    }

    fn pass(&self, batch: &Batch, ctx: &ForwardContext) -> Passed {
        let x = Var::constant(batch.images.clone());
        let [mu, logvar] = self.posterior(&x, &batch.labels, ctx);
        let z = reparameterise(&mu, &logvar, &batch.noise(self.z_dim));
        let logits = self.model.decode(&self.with_columns(&z, &batch.labels), ctx);
        let terms = self.objective.terms(&logits, &batch.target, [&z, &mu, &logvar], batch.moment);
        Passed { x, mu, logvar, z, logits, terms }
    }

    fn posterior(&self, x: &Var, labels: &[usize], ctx: &ForwardContext) -> [Var; 2] {
        self.model.encode(&self.with_planes(x, labels), ctx).into()
    }

    /// The images, and their labels' planes if the model is told them.
    fn with_planes(&self, x: &Var, labels: &[usize]) -> Var {
        if self.classes == 0 {
            return x.clone();
        }
        let [n, _, height, width] = x.shape().nchw("labels");
        let ones = self.one_hot(labels, &x.value().device()).reshape([n, self.classes, 1, 1]);
        Var::concat(&[x, &Var::constant(ones.expand([n, self.classes, height, width]))], 1)
    }

    /// The latents, and their labels' columns if the model is told them.
    fn with_columns(&self, z: &Var, labels: &[usize]) -> Var {
        if self.classes == 0 {
            return z.clone();
        }
        Var::concat(&[z, &Var::constant(self.one_hot(labels, &z.value().device()))], 1)
    }

    /// 1 at each label's place: `[batch, classes]`.
    fn one_hot(&self, labels: &[usize], device: &Device) -> Tensor {
        let mut ones = Tensor::zeros([labels.len(), self.classes]);
        let rows = ones.data_mut().chunks_exact_mut(self.classes);
        rows.zip(labels).for_each(|(row, &label)| row[label] = 1.0);
        ones.upload(device)
    }
}

impl Learner for Autoencoder {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        let Passed { x, mu, logvar, z, logits, terms } = self.pass(batch, ctx);
        let seen = [
            ("the images", x),
            ("encoder.mu", mu),
            ("encoder.logvar", logvar),
            ("the latents", z),
            ("the decoder's output", logits),
        ];
        Forward { terms, seen: seen.into() }
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        let Passed { mu, logvar, terms, .. } = self.pass(batch, ctx);
        let kl_per_dim = Some(nn::loss::gaussian_kl_per_dim(&mu, &logvar));
        let reconstruction = Some(self.model.decode(&self.with_columns(&mu, &batch.labels), ctx));
        Evaluation { terms, kl_per_dim, reconstruction, named: None }
    }

    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        Some(self.posterior(&Var::constant(batch.images.clone()), &batch.labels, &ForwardContext::eval()))
    }

    fn sample(&self, z: &Var, labels: &[usize]) -> Option<Var> {
        Some(self.model.decode(&self.with_columns(z, labels), &ForwardContext::eval()))
    }
}

impl Module for Autoencoder {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
    }
}
