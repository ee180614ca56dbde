//! Adam (Kingma and Ba, 1412.6980) over named parameters.
//! `tensor/src/ops/adam.rs` has the formula and computes the step.

use std::collections::HashMap;

use autograd::{Gradients, Param};
use tensor::{AdamPart, AdamStep, GradientMonitor, Tensor};

/// Adam's settings. The defaults are those of PyTorch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamConfig {
    /// β₁, the decay of the running mean of gradients: 0.9.
    pub beta1: f64,
    /// β₂, the decay of the running mean of their squares: 0.999.
    pub beta2: f64,
    /// ε, added to the square root: 1e-8.
    pub eps: f64,
    /// λ. The parameter times λ is added to its gradient: 0.
    pub weight_decay: f64,
}

impl Default for AdamConfig {
    fn default() -> AdamConfig {
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// Adam (Kingma and Ba, 1412.6980; PyTorch's `Adam`). It holds two moments for each parameter that has ever had a gradient, and the
/// number of steps taken. [`tensor::AdamStep`] has the formula.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    step: u64,
    moments: HashMap<u64, Tensor>,
}

impl Adam {
    /// An optimiser before its first step.
    pub fn new(config: AdamConfig) -> Adam {
        Adam { config, step: 0, moments: HashMap::new() }
    }

    /// Whether it has moments for a parameter, which it has once the parameter had a gradient.
    pub fn has_moments(&self, param: &Param) -> bool {
        self.moments.contains_key(&param.id())
    }

    /// The number of steps taken, t.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// m and v of a parameter that has ever had a gradient, each of the parameter's shape.
    pub fn moments(&self, param: &Param) -> Option<[Tensor; 2]> {
        let both = self.moments.get(&param.id())?;
        let flat = |i| both.slice(0, i, 1).reshape([both.shape()[1]]).slice(0, 0, param.shape().count());
        Some([0, 1].map(|i| flat(i).reshape(param.shape())))
    }

    /// Sets the number of steps taken and the moments m and v of these parameters. The moments are on the CPU and have the shapes of
    /// their parameters. Other parameters then have no moments.
    pub fn restore<'a>(&mut self, steps: u64, moments: impl IntoIterator<Item = (&'a Param, [Tensor; 2])>) {
        self.step = steps;
        self.moments.clear();
        for (param, [m, v]) in moments {
            let mut both = AdamPart::moments(&m);
            let padded = both.shape()[1];
            both.data_mut()[..m.count()].copy_from_slice(m.data());
            both.data_mut()[padded..][..v.count()].copy_from_slice(v.data());
            self.moments.insert(param.id(), both.upload(&param.value().device()));
        }
    }

    /// Updates every parameter that has a gradient. Other parameters, such as frozen ones, do not change. `monitor` must have observed
    /// the gradients. It provides their scale; if it has seen a number that is not finite, nothing changes.
    pub fn step(
        &mut self,
        params: &[(String, Param)],
        gradients: &mut Gradients,
        learning_rate: f64,
        monitor: &GradientMonitor,
    ) {
        self.step += 1;
        let AdamConfig { beta1, beta2, eps, weight_decay } = self.config;
        let step = AdamStep { learning_rate, beta1, beta2, eps, weight_decay, step: self.step };
        let moving = |(_, param): &(String, Param)| Some((param.clone(), gradients.take(param)?));
        let moving: Vec<(Param, Tensor)> = params.iter().filter_map(moving).collect();
        let mut parts = Vec::with_capacity(moving.len());
        let mut movers = Vec::with_capacity(moving.len());
        for (param, gradient) in moving {
            let moments = self.moments.remove(&param.id()).unwrap_or_else(|| AdamPart::moments(&gradient));
            // Moved out of the parameter, since an update in place needs the only handle.
            parts.push(AdamPart { parameter: param.take(), gradient, moments });
            movers.push(param);
        }
        step.apply(&mut parts, monitor);
        for (param, AdamPart { parameter, moments, .. }) in movers.iter().zip(parts) {
            param.give_back(parameter);
            self.moments.insert(param.id(), moments);
        }
    }
}
