//! A variational autoencoder as a learner: z ~ N(μ(x), σ²(x)), x̂ = decoder(z), and an objective over both.

use autograd::Var;
use nn::{Module, Pass, Visitor};

use crate::config::Config;
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::{Vae, reparameterise};
use crate::objective::{Objective, Terms};

/// A VAE and what it minimises.
pub struct Autoencoder {
    model: Box<dyn Vae>,
    objective: Objective,
    z_dim: usize,
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
    /// A model of `config.model.z_dim` latents, and the objective that the configuration asks for.
    pub fn new(config: &Config, model: Box<dyn Vae>) -> Autoencoder {
        Autoencoder { model, objective: Objective::new(config), z_dim: config.model.z_dim }
    }

    fn pass(&self, batch: &Batch, pass: &Pass) -> Passed {
        let x = Var::constant(batch.images.clone());
        let (mu, logvar) = self.model.encode(&x, pass);
        let z = reparameterise(&mu, &logvar, &batch.noise(self.z_dim));
        let logits = self.model.decode(&z, pass);
        let terms = self.objective.terms(&logits, &batch.images, &mu, &logvar);
        Passed { x, mu, logvar, z, logits, terms }
    }
}

impl Learner for Autoencoder {
    fn forward(&self, batch: &Batch, pass: &Pass) -> Forward {
        let Passed { x, mu, logvar, z, logits, terms } = self.pass(batch, pass);
        let seen = [
            ("the images", x),
            ("encoder.mu", mu),
            ("encoder.logvar", logvar),
            ("the latents", z),
            ("the decoder's output", logits),
        ];
        Forward { terms, seen: seen.into() }
    }

    fn evaluate(&self, batch: &Batch, pass: &Pass) -> Evaluation {
        let Passed { mu, logvar, terms, .. } = self.pass(batch, pass);
        let kl_per_dim = Some(nn::loss::gaussian_kl_per_dim(&mu, &logvar));
        Evaluation { terms, kl_per_dim, reconstruction: Some(self.model.decode(&mu, pass)), named: None }
    }

    fn sample(&self, z: &Var) -> Option<Var> {
        Some(self.model.decode(z, &Pass::eval()))
    }
}

impl Module for Autoencoder {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
    }
}
