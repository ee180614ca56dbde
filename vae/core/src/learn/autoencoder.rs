//! A variational autoencoder as a learner: z ~ N(μ(x), σ²(x)), x̂ = decoder(z), and an objective of both. An objective may
//! need several draws of z for each image.
//!
//! In a conditional VAE, encoder and decoder receive the label as a one-hot vector. The encoder's input has one
//! additional plane per label, and the decoder's input one additional number per label: 1 for the label of the image
//! and 0 for the others. With `loss.kind = "csvae"` they see no label. Instead, the latents that they exchange are counted from the centre
//! of the label's prior (`objective::subspace`).

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};
use tensor::{Device, Tensor};

use super::forward_pass::ForwardPass;
use crate::config::Config;
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::Vae;
use crate::objective::Objective;

/// A VAE and its objective.
pub struct Autoencoder {
    model: Box<dyn Vae>,
    pub(super) objective: Objective,
    pub(super) z_dim: usize,
    /// The number of labels of a conditional VAE; 0 if it is not conditional.
    classes: usize,
    /// Whether encoder and decoder see the label.
    sees_labels: bool,
    /// Whether the posterior of some latents depends on draws of others.
    hierarchical: bool,
}

impl Autoencoder {
    /// Creates a learner from a model with `config.model.z_dim` latents and the objective of the configuration. The
    /// encoder must take `config.encoder_channels()` channels and the decoder `config.decoder_inputs()` inputs.
    pub fn new(config: &Config, model: Box<dyn Vae>) -> Autoencoder {
        let (z_dim, classes) = (config.model.z_dim, config.condition_classes());
        let (sees_labels, hierarchical) = (config.label_inputs() > 0, config.is_hierarchical());
        Autoencoder { model, objective: Objective::new(config), z_dim, classes, sees_labels, hierarchical }
    }

    fn forward_pass(&self, batch: &Batch, ctx: &ForwardContext) -> ForwardPass {
        let x = Var::constant(batch.images.clone());
        let (noise, count) = (batch.noise(self.objective.noise_vectors() * self.z_dim), self.objective.draws());
        let (mu, logvar, logits) = match self.model.encode_drawing(&x, &noise, ctx) {
            Some([mu, logvar, logits]) => (mu, logvar, Some(logits)),
            None => {
                let [mu, logvar] = self.posterior(&x, &batch.labels, ctx);
                (mu, logvar, None)
            }
        };
        let mut draws = self.objective.draw(&mu, &logvar, &noise);
        draws.permutation = self.objective.permutes().then(|| batch.permutation(self.z_dim));
        draws.labels = self.objective.has_centres().then(|| self.one_hot(&batch.labels, &batch.device()));
        let logits = logits.unwrap_or_else(|| self.decode(&draws.z, &repeated(&batch.labels, count), ctx));
        let terms = self.objective.loss(&logits, &batch.target, &draws, [&mu, &logvar], batch.schedule, ctx);
        ForwardPass { x, posterior: [mu, logvar], z: draws.z, logits, terms }
    }

    pub(super) fn posterior(&self, x: &Var, labels: &[usize], ctx: &ForwardContext) -> [Var; 2] {
        let (mu, logvar) = self.model.encode(&self.with_planes(x, labels), ctx);
        match self.centre(labels, &x.value().device()) {
            Some(centre) => [mu - centre, logvar],
            None => [mu, logvar],
        }
    }

    /// Decodes latents, with the label of each in a conditional VAE, to images before the output activation.
    pub(super) fn decode(&self, z: &Var, labels: &[usize], ctx: &ForwardContext) -> Var {
        match self.centre(labels, &z.value().device()) {
            Some(centre) => self.model.decode(&(z + centre), ctx),
            None => self.model.decode(&self.with_columns(z, labels), ctx),
        }
    }

    /// Returns the centre of the prior of each label, `[batch, z]`, if the prior depends on the label.
    fn centre(&self, labels: &[usize], device: &Device) -> Option<Var> {
        self.objective.has_centres().then(|| self.objective.centre(&self.one_hot(labels, device))).flatten()
    }

    /// Returns the images, where the encoder sees labels concatenated with the planes of their labels.
    fn with_planes(&self, x: &Var, labels: &[usize]) -> Var {
        if !self.sees_labels {
            return x.clone();
        }
        let [n, _, height, width] = x.shape().nchw("labels");
        let ones = self.one_hot(labels, &x.value().device()).reshape([n, self.classes, 1, 1]);
        Var::concat(&[x, &Var::constant(ones.expand([n, self.classes, height, width]))], 1)
    }

    /// Returns the latents, where the decoder sees labels concatenated with the one-hot vectors of their labels.
    fn with_columns(&self, z: &Var, labels: &[usize]) -> Var {
        if !self.sees_labels {
            return z.clone();
        }
        Var::concat(&[z, &Var::constant(self.one_hot(labels, &z.value().device()))], 1)
    }

    /// Returns the one-hot vectors of labels, `[batch, classes]`.
    fn one_hot(&self, labels: &[usize], device: &Device) -> Tensor {
        let mut ones = Tensor::zeros([labels.len(), self.classes]);
        let rows = ones.data_mut().chunks_exact_mut(self.classes);
        rows.zip(labels).for_each(|(row, &label)| row[label] = 1.0);
        ones.upload(device)
    }
}

/// Returns the label of each of `draws` draws for each image.
fn repeated(labels: &[usize], draws: usize) -> Vec<usize> {
    labels.iter().flat_map(|&label| std::iter::repeat_n(label, draws)).collect()
}

impl Learner for Autoencoder {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        self.forward_pass(batch, ctx).into_forward()
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        let pass = self.forward_pass(batch, ctx);
        // In a hierarchical model mu depends on the draws. The reconstruction is of the means all the way.
        let means = self.hierarchical.then(|| self.posterior(&pass.x, &batch.labels, ctx));
        pass.into_evaluation(|mu| self.decode(means.as_ref().map_or(mu, |[mu, _]| mu), &batch.labels, ctx))
    }

    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        Some(self.posterior(&Var::constant(batch.images.clone()), &batch.labels, &ForwardContext::eval()))
    }

    fn encode_drawing(&self, batch: &Batch, eps: &Tensor) -> Option<[Var; 2]> {
        let x = Var::constant(batch.images.clone());
        match self.model.encode_drawing(&x, eps, &ForwardContext::eval()) {
            Some([mu, logvar, _]) => Some([mu, logvar]),
            None => self.encode(batch),
        }
    }

    fn sample(&self, z: &Var, labels: &[usize]) -> Option<Var> {
        Some(self.decode(z, labels, &ForwardContext::eval()))
    }

    fn log_density(&self, z: &Var, batch: &Batch) -> Option<Var> {
        let draws = z.shape()[0] / batch.labels.len();
        Some(self.objective.log_density(&self.sample(z, &repeated(&batch.labels, draws))?, &batch.target))
    }
}

impl Module for Autoencoder {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.objective.visit(v);
    }
}
