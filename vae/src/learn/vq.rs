//! A vector-quantised autoencoder as a learner.
//!
//!   loss: reconstruction + commitment·Σ |e − sg(q)|², e the encoder's maps, q their codes, sg: without gradient
//!
//! The codes are no part of it: they follow running means (`model::vq`). Told beside it: the perplexity exp(−Σ p ln p) of the
//! batch's codes, p the share of places that each code stands at, which is how many codes are in use.

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};

use crate::config::{Config, Reduction};
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::{Quantised, Vq};
use crate::objective::{Objective, Terms};

/// A VQ-VAE and what it minimises.
pub struct Quantiser {
    model: Vq,
    objective: Objective,
    commitment: f64,
}

impl Quantiser {
    /// The model, and the weights that the configuration asks for.
    pub fn new(config: &Config, model: Vq) -> Quantiser {
        let side = config.image_size() / config.model.divisor();
        let commitment = match config.loss.reduction {
            Reduction::Sum => config.loss.commitment,
            Reduction::Mean => config.loss.commitment / (config.model.code_width * side * side) as f64,
        };
        Quantiser { model, objective: Objective::new(config), commitment }
    }

    /// What was computed on the way, the decoder's numbers last, and the loss.
    fn pass(&self, batch: &Batch, ctx: &ForwardContext) -> (Vec<(&'static str, Var)>, Var, Terms) {
        let x = Var::constant(batch.images.clone());
        let maps = self.model.encode(&x, ctx);
        let Quantised { codes, commitment, perplexity } = self.model.quantise(&maps, ctx);
        let logits = self.model.decode(&codes, ctx);
        let reconstruction = self.objective.reconstruction_term(&logits, &batch.target);
        let weight = self.objective.reconstruction;
        let parts = [("reconstruction", weight, reconstruction), ("commitment", self.commitment, commitment)];
        let seen = vec![("the images", x), ("the encoder's output", maps), ("the codes", codes)];
        (seen, logits, Terms::weighted(parts).telling("perplexity", perplexity))
    }
}

impl Learner for Quantiser {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        let (mut seen, logits, terms) = self.pass(batch, ctx);
        seen.push(("the decoder's output", logits));
        Forward { terms, seen }
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        let (_, logits, terms) = self.pass(batch, ctx);
        Evaluation { terms, kl_per_dim: None, reconstruction: Some(logits), named: None }
    }
}

impl Module for Quantiser {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
    }
}
