//! A classifier as a learner. The loss is the cross-entropy of its logits, and the metric is its accuracy.

use autograd::Var;
use nn::ForwardContext;
use tensor::Tensor;

use crate::learn::{Batch, Evaluation, Forward, Learner};
use crate::model::Classifier;
use crate::objective::Terms;

impl Classifier {
    fn score(&self, batch: &Batch, ctx: &ForwardContext) -> (Var, Tensor, Terms) {
        let logits = self.logits(&Var::constant(batch.images.clone()), ctx);
        let labels: Vec<f32> = batch.labels.iter().map(|&label| label as f32).collect();
        let labels = Tensor::new(&labels, [labels.len()]).upload(&batch.device());
        let predicted = logits.value().argmax(1);
        let wrong = predicted.sub(&labels).abs().clamp(0.0, 1.0); // different labels differ by at least 1
        let accuracy = Var::constant(wrong.mean_all().mul_scalar(-1.0).add_scalar(1.0));
        let terms = Terms::weighted([("cross_entropy", 1.0, nn::loss::cross_entropy(&logits, &labels))]);
        (logits, predicted, terms.with_metric("accuracy", accuracy))
    }
}

impl Learner for Classifier {
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward {
        let (logits, _, terms) = self.score(batch, ctx);
        Forward {
            terms,
            intermediates: vec![("the images", Var::constant(batch.images.clone())), ("the logits", logits)],
        }
    }

    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation {
        let (_, predicted, terms) = self.score(batch, ctx);
        Evaluation { terms, kl_per_dim: None, reconstruction: None, predicted: Some(predicted) }
    }
}
