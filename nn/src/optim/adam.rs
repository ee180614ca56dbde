//! Adam (Kingma and Ba, 1412.6980) over named parameters, and clipping by the norm of all gradients together.
//! The step itself, with its formula, is `tensor/src/ops/adam.rs`.

use std::collections::HashMap;

use autograd::{Gradients, Param};
use tensor::{AdamStep, Tensor};

/// Adam's settings, by default PyTorch's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamConfig {
    /// β₁, of the running mean of gradients: 0.9.
    pub beta1: f64,
    /// β₂, of the running mean of their squares: 0.999.
    pub beta2: f64,
    /// ε, added to the root: 1e-8.
    pub eps: f64,
    /// λ, times the parameter, is added to its gradient: 0.
    pub weight_decay: f64,
}

impl Default for AdamConfig {
    fn default() -> AdamConfig {
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// The optimiser: two moments a parameter that ever had a gradient, and the number of steps taken.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    step: u64,
    moments: HashMap<u64, [Tensor; 2]>,
}

impl Adam {
    /// Before its first step.
    pub fn new(config: AdamConfig) -> Adam {
        Adam { config, step: 0, moments: HashMap::new() }
    }

    /// Moves every parameter that has a gradient. Others, frozen ones among them, stay, and keep no moments.
    pub fn step(&mut self, params: &[(String, Param)], gradients: &mut Gradients, learning_rate: f64) {
        self.step += 1;
        let AdamConfig { beta1, beta2, eps, weight_decay } = self.config;
        let step = AdamStep { learning_rate, beta1, beta2, eps, weight_decay, step: self.step };
        for (_, param) in params {
            let Some(gradient) = gradients.take(param) else { continue };
            let zero = || Tensor::zeros(gradient.shape());
            let [m, v] = self.moments.entry(param.id()).or_insert_with(|| [zero(), zero()]);
            param.update(|value| value.adam(&gradient, m, v, step));
        }
    }
}

/// Scales all gradients so that their norm together is at most `limit`, and returns the norm before.
pub fn clip_gradients(params: &[(String, Param)], gradients: &mut Gradients, limit: f64) -> f64 {
    let square = |g: &Tensor| f64::from(g.square().sum_all().data()[0]);
    let norm = params.iter().filter_map(|(_, p)| gradients.get(p)).map(square).sum::<f64>().sqrt();
    if norm > limit {
        gradients.scale((limit / (norm + 1e-6)) as f32); // PyTorch's 1e-6
    }
    norm
}
