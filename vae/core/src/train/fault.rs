//! Diagnosis of numbers that are not finite: the first such tensor, the layer that computed it, and what to do. Tests
//! inject such numbers on purpose with [`Fault`].

use autograd::{Gradients, Param, Var};
use nn::Trace;

use super::Trainer;
use super::shards::Division;
use crate::config::{KlScheduleKind, Loss, LossKind};
use crate::error::{Error, Result};
use crate::learn::Forward;
use crate::objective::part_label;

/// A number to make infinite on purpose, at a step counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The loss and its first part.
    Loss(u64),
    /// The gradient of the middle parameter of the list. The loss does not change.
    Gradient(u64),
}

impl Fault {
    /// Parses `loss@7` or `gradient@7`.
    pub fn parse(text: &str) -> Option<Fault> {
        let (what, step) = text.split_once('@')?;
        let step = step.parse().ok()?;
        match what {
            "loss" => Some(Fault::Loss(step)),
            "gradient" => Some(Fault::Gradient(step)),
            _ => None,
        }
    }

    pub(super) fn spoil(self, step: u64, mut forward: Forward, params: &[(String, Param)]) -> Forward {
        let terms = &mut forward.terms;
        match self {
            Fault::Loss(at) if at == step => {
                terms.parts[0].value = terms.parts[0].value.mul_scalar(f32::INFINITY);
                terms.total = terms.total.mul_scalar(f32::INFINITY);
            }
            Fault::Gradient(at) if at == step => {
                let moving: Vec<_> = params.iter().filter(|(_, param)| !param.is_frozen()).collect();
                let (_, param) = moving[moving.len() / 2];
                let nothing = &param.var() - &Var::constant(param.value()); // 0, with a gradient of 1
                terms.total = &terms.total + &nothing.mul_scalar(1e30).mul_scalar(1e30).sum_all();
            }
            _ => {}
        }
        forward
    }
}

impl Trainer {
    /// Repeats a step that was not finite, with the same weights, and returns the name of the first tensor that is not
    /// finite: the output of a layer, an intermediate result, a part of the loss, or a gradient. Of several processes each repeats its
    /// own shards, and the name begins with the first rank that found something.
    pub(super) async fn first_bad(&self, step: u64, places: &[usize]) -> Result<String> {
        let mut found = String::new();
        let division = Division::new(self.config());
        for (part, range) in self.own_shards().flat_map(|shard| division.parts(shard, places.len())) {
            if let Some(name) = self.first_bad_of(step, part, &places[range]).await? {
                found = name;
                break;
            }
        }
        if self.communicator.size() > 1 {
            let all = self.communicator.gather(found.as_bytes())?;
            let first = all.iter().enumerate().find(|(_, name)| !name.is_empty());
            let first = first.map(|(rank, name)| format!("on rank {rank}, {}", String::from_utf8_lossy(name)));
            found =
                String::from_utf8_lossy(&self.communicator.share(first.unwrap_or_default().as_bytes())?).into_owned();
        }
        Ok(if found.is_empty() { "the gradients' norm".to_owned() } else { found })
    }

    /// The same for one part of the step.
    async fn first_bad_of(&self, step: u64, part: usize, places: &[usize]) -> Result<Option<String>> {
        let images = self.dataset.training_batch(self.epoch, places)?;
        let trace = Trace::default();
        let Forward { terms, intermediates } = self.forward(step, part, &images, Some(&trace));
        if let Some((_, x)) = intermediates.first().filter(|(name, _)| *name == "the images")
            && !all_finite(&x.value().read().await?)
        {
            return Ok(Some("the images".to_owned()));
        }
        for (id, result) in trace.results() {
            if !all_finite(&result.read().await?) {
                let owner = self.params.iter().find(|(_, param)| param.id() == id);
                let owner = owner.map_or("of no name", |(name, _)| layer(name));
                return Ok(Some(format!("the output of layer {owner}")));
            }
        }
        let gradients = terms.total.backward();
        let parts = terms.parts.iter().map(|part| (format!("the {} loss", part_label(part.name)), &part.value));
        for (name, var) in intermediates.iter().map(|(name, var)| ((*name).to_owned(), var)).chain(parts) {
            if !all_finite(&var.value().read().await?) {
                return Ok(Some(name));
            }
        }
        self.first_bad_gradient(&gradients).await
    }

    pub(super) async fn first_bad_gradient(&self, gradients: &Gradients) -> Result<Option<String>> {
        for (name, param) in &self.params {
            if let Some(gradient) = gradients.get(param)
                && !all_finite(&gradient.read().await?)
            {
                return Ok(Some(format!("the gradient of {name} (layer {})", layer(name))));
            }
        }
        Ok(None)
    }

    /// Returns the name of the first weight or running statistic that is not finite.
    pub async fn first_bad_weight(&self) -> Result<Option<String>> {
        let mut values = Vec::new();
        nn::visit(self.model(), |name, slot| {
            let value = match slot {
                nn::Slot::Param(param) => param.value(),
                nn::Slot::Buffer(buffer) => buffer.value(),
            };
            values.push((name.to_owned(), value.read()));
        });
        for (name, value) in values {
            if !all_finite(&value.await?) {
                return Ok(Some(format!("{name} (layer {})", layer(&name))));
            }
        }
        Ok(None)
    }

    /// Returns the error for `what` not being finite at this step.
    pub fn diverged(&self, what: String, steps: u64) -> Error {
        let config = self.config();
        let clip = if config.train.clip == 0.0 { " or set train.clip = 1" } else { "" };
        let weight = heavier_kl(&config.loss).filter(|_| config.model.is_vae());
        let logvar = weight.map_or_else(String::new, |weight| {
            format!("; if the KL grew large first, logvar is the cause; {weight} limits it")
        });
        Error::Diverged(format!(
            "{what} is not finite at step {steps}, so the run has diverged; lower train.learning_rate ({}){clip}{logvar}",
            config.train.learning_rate
        ))
    }
}

/// Returns which keys give the KL more weight, or `None` for a loss in which its weight is fixed.
fn heavier_kl(loss: &Loss) -> Option<&'static str> {
    match loss.kind {
        LossKind::Iwae => None,
        LossKind::Weighted => Some("a larger loss.k2"),
        LossKind::Mmd => Some("a smaller loss.alpha"),
        LossKind::Beta if loss.schedule == KlScheduleKind::Capacity => Some("a larger loss.gamma"),
        _ => Some("a larger loss.beta"),
    }
}

/// Returns the layer of a parameter with this name.
fn layer(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(layer, _)| layer)
}

/// Returns whether all numbers are finite. An integer maximum vectorises; a loop that stops at the first such number
/// does not.
pub(super) fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)) < 0x7f80_0000
}
