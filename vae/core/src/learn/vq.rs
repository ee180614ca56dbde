//! An autoencoder with discrete latents as a learner.
//!
//! ```text
//! vq     loss = reconstruction + commitment·Σ |e − sg(q)|²
//! fsq    loss = reconstruction
//! ```
//!
//! e are the feature maps of the encoder, q their codes, and sg stops the gradient. The loss does not train the codes of `vq`,
//! which follow moving averages (`model::codebook`). The metrics are `perplexity`, the effective number of codes in use,
//! and `codes_used`, the number of codes that a batch uses (`model::quantiser`).

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};
use tensor::Tensor;

use crate::config::{Config, Reduction};
use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::{Quantised, Vq};
use crate::objective::{Objective, Terms};

/// An autoencoder with discrete latents, and its objective.
pub struct VqAutoencoder {
    model: Vq,
    objective: Objective,
    commitment: f64,
}

impl VqAutoencoder {
    /// Creates a learner from a model and the weights of the configuration.
    pub fn new(config: &Config, model: Vq) -> VqAutoencoder {
        let side = config.code_side();
        let commitment = match config.loss.reduction {
            Reduction::Sum => config.loss.commitment,
            Reduction::Mean => config.loss.commitment / (config.model.code_length() * side * side) as f64,
        };
        VqAutoencoder { model, objective: Objective::new(config), commitment }
    }

    /// Returns the intermediate results, the decoder's output and the loss.
    fn forward_pass(&self, batch: &Batch, ctx: &ForwardContext) -> (Vec<(&'static str, Var)>, Var, Terms) {
        let x = Var::constant(batch.images.clone());
        let maps = self.model.encode(&x, ctx);
        let Quantised { codes, commitment, perplexity, used } = self.model.quantise(&maps, ctx);
        let logits = self.model.decode(&codes, ctx);
        let (reconstruction, sigma) = self.objective.reconstruction_term(&logits, &batch.target, ctx);
        let weight = self.objective.reconstruction;
        let reconstruction = ("reconstruction", weight, reconstruction);
        let terms = match commitment {
            Some(commitment) => Terms::weighted([reconstruction, ("commitment", self.commitment, commitment)]),
            None => Terms::weighted([reconstruction]),
        };
        let intermediates = vec![("the images", x), ("the encoder's output", maps), ("the codes", codes)];
        let terms = terms.with_metric("perplexity", perplexity).with_metric("codes_used", used);
        (intermediates, logits, terms.with_some_metric("sigma", sigma))
    }
}

impl Learner for VqAutoencoder {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        let (mut intermediates, logits, terms) = self.forward_pass(batch, ctx);
        intermediates.push(("the decoder's output", logits));
        Forward { terms, intermediates }
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        let (_, logits, terms) = self.forward_pass(batch, ctx);
        Evaluation { terms, kl_per_dim: None, reconstruction: Some(logits), predicted: None }
    }

    fn encode_codes(&self, batch: &Batch) -> Option<Tensor> {
        let maps = self.model.encode(&Var::constant(batch.images.clone()), &ForwardContext::eval());
        Some(self.model.indices(maps.value()))
    }

    fn decode_codes(&self, codes: &Tensor) -> Option<Var> {
        Some(self.model.decode(&Var::constant(self.model.look_up(codes)), &ForwardContext::eval()))
    }

    fn code_counts(&self) -> Option<Tensor> {
        Some(self.model.code_counts())
    }
}

impl Module for VqAutoencoder {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.objective.visit(v);
    }
}
