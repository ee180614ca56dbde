//! The keys of models whose latents are codes, `vq` and `fsq`: what follows from them, and their rules.

use super::check::rule;
use super::{Config, Model, ModelKind, PriorKind};
use crate::error::Result;

/// The largest number of codes. Indices are stored as f32, which has all whole numbers up to 2²⁴.
const MOST_CODES: usize = (1 << 24) - 1;

impl Model {
    /// Returns whether the latents are codes, each one of a finite number.
    pub fn has_codes(&self) -> bool {
        matches!(self.kind, ModelKind::Vq | ModelKind::Fsq)
    }

    /// Returns the number of codes: `codes` of `vq`, and the product of the levels of `fsq`.
    pub fn code_count(&self) -> usize {
        match self.kind {
            ModelKind::Fsq => self.levels.iter().fold(1, |product: usize, &levels| product.saturating_mul(levels)),
            _ => self.codes,
        }
    }

    /// Returns the number of numbers that make up a code: `code_width` of `vq`, and one for each of the levels of `fsq`.
    pub fn code_length(&self) -> usize {
        match self.kind {
            ModelKind::Fsq => self.levels.len(),
            _ => self.code_width,
        }
    }
}

impl Config {
    /// Checks the keys of models whose latents are codes.
    pub(super) fn check_codes(&self) -> Result<()> {
        use ModelKind::{Basic, Conv3, Resnet18, Resnet50};
        let model = &self.model;
        if !model.has_codes() {
            return Ok(());
        }
        rule(matches!(model.encoder, Resnet18 | Resnet50 | Basic | Conv3), || {
            format!("model.encoder = \"{}\": {} needs resnet18, resnet50, basic or conv3", model.encoder, model.kind)
        })?;
        if model.kind == ModelKind::Fsq {
            rule((1..=16).contains(&model.levels.len()) && model.levels.iter().all(|&levels| levels >= 2), || {
                format!(
                    "model.levels = {:?}: give 1 to 16 numbers of levels, each 2 or more, such as [8, 5, 5, 5]",
                    model.levels
                )
            })?;
            rule(model.code_count() <= MOST_CODES, || {
                format!("model.levels = {:?}: their product must be at most {MOST_CODES}; lower one", model.levels)
            })?;
        }
        rule((1..=MOST_CODES).contains(&model.codes), || {
            format!("model.codes = {}: a codebook has 1 to {MOST_CODES} vectors", model.codes)
        })?;
        self.prior.check_for(PriorKind::Transformer)?;
        rule(model.code_width >= 1, || "model.code_width = 0: a code has at least one number".into())?;
        rule((1e-3..1.0).contains(&(model.decay as f32)), || {
            format!("model.decay = {}: it must be from 0.001 to below 1, such as 0.99", model.decay)
        })
    }
}
