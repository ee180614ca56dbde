//! Optimisers over named parameters. `tensor/src/ops/optimizer.rs` has the formulas and computes the step.

use std::collections::HashMap;

use autograd::{Gradients, Param};
use tensor::{GradientMonitor, OptimizerPart, OptimizerStep, Rule, Tensor};

/// An optimiser: a [`Rule`], what the rule keeps for each parameter that has ever had a gradient, and the number of steps taken.
///
/// ```
/// # use {autograd::Param, nn::optim::Optimizer, tensor::Tensor};
/// let x = Param::new(Tensor::scalar(3.0));
/// let params = [("x".to_owned(), x.clone())];
/// let mut optimizer = Optimizer::sgd(0.9);
/// for _ in 0..100 {
///     let mut gradients = x.var().square().backward();
///     optimizer.step(&params, &mut gradients, 0.05);
/// }
/// assert!(x.value().data()[0].abs() < 0.1);
/// ```
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    weight_decay: f64,
    groups: Vec<Group>,
    step: u64,
    state: HashMap<u64, Tensor>,
    free: Option<GradientMonitor>, // one that has seen nothing, for steps without a monitor
}

/// Parameters with settings of their own (PyTorch's parameter groups).
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Whether a parameter of this name belongs to the group.
    pub contains: fn(&str) -> bool,
    /// The multiple of the learning rate: 1 for that of the others.
    pub rate: f64,
    /// The weight decay λ of the group.
    pub weight_decay: f64,
    /// The rule of the group, such as Adam with other decay rates; `None` for that of the others.
    pub rule: Option<Rule>,
}

impl Optimizer {
    /// An optimiser before its first step. For the weight decay λ see [`Rule`].
    pub fn new(rule: Rule, weight_decay: f64) -> Optimizer {
        Optimizer { rule, weight_decay, groups: Vec::new(), step: 0, state: HashMap::new(), free: None }
    }

    /// Adam (Kingma and Ba, 1412.6980) with PyTorch's settings: β₁ = 0.9, β₂ = 0.999, ε = 1e-8, no weight decay.
    pub fn adam() -> Optimizer {
        Optimizer::new(Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false }, 0.0)
    }

    /// AdamW (Loshchilov and Hutter, 1711.05101): Adam that decays the parameters themselves. PyTorch's λ is 0.01.
    pub fn adamw(weight_decay: f64) -> Optimizer {
        Optimizer::new(Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: true }, weight_decay)
    }

    /// Gradient descent with momentum: 0 for none, often 0.9.
    pub fn sgd(momentum: f64) -> Optimizer {
        Optimizer::new(Rule::Sgd { momentum, nesterov: false }, 0.0)
    }

    /// RMSprop with PyTorch's settings: α = 0.99, ε = 1e-8.
    pub fn rmsprop() -> Optimizer {
        Optimizer::new(Rule::RmsProp { alpha: 0.99, eps: 1e-8 }, 0.0)
    }

    /// Lion (Chen et al., 2302.06675) with the paper's β₁ = 0.9 and β₂ = 0.99. It wants a learning rate three to ten times smaller than
    /// AdamW, and a weight decay as many times larger.
    pub fn lion(weight_decay: f64) -> Optimizer {
        Optimizer::new(Rule::Lion { beta1: 0.9, beta2: 0.99 }, weight_decay)
    }

    /// Adds a group. A parameter belongs to the first group that contains its name, or to none.
    ///
    /// # Panics
    /// If the group's rule keeps more or fewer tensors for a parameter than the optimiser's.
    #[track_caller]
    pub fn group(mut self, group: Group) -> Optimizer {
        let slots = group.rule.map_or(self.rule.slots(), Rule::slots);
        assert_eq!(slots, self.rule.slots(), "group: the tensors that the rules keep for a parameter");
        self.groups.push(group);
        self
    }

    /// Whether it keeps anything for a parameter, which it does once the parameter had a gradient.
    pub fn has_state(&self, param: &Param) -> bool {
        self.state.contains_key(&param.id())
    }

    /// The number of steps taken, t. It is one number for all parameters, and counts steps in which nothing changed because a gradient was
    /// not finite. PyTorch counts for each parameter: one that gets its first gradient late starts with t = 1 there, and here with this t.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// What the rule keeps for a parameter that has ever had a gradient, m and for Adam v, each of the parameter's shape.
    pub fn state(&self, param: &Param) -> Option<Vec<Tensor>> {
        let all = self.state.get(&param.id())?;
        let flat = |i| all.slice(0, i, 1).reshape([all.shape()[1]]).slice(0, 0, param.shape().count());
        Some((0..self.rule.slots()).map(|i| flat(i).reshape(param.shape())).collect())
    }

    /// Sets the number of steps taken and what the rule keeps for these parameters, as [`state`](Optimizer::state) returns it, on the
    /// CPU. For other parameters nothing is kept.
    ///
    /// # Panics
    /// If there are more or fewer tensors for a parameter than the rule keeps.
    pub fn restore<'a>(&mut self, steps: u64, state: impl IntoIterator<Item = (&'a Param, Vec<Tensor>)>) {
        self.step = steps;
        self.state.clear();
        for (param, slots) in state {
            assert_eq!(slots.len(), self.rule.slots(), "restore: the tensors that the rule keeps for a parameter");
            let mut all = OptimizerPart::state(&slots[0], self.rule);
            let padded = all.shape()[1];
            for (i, slot) in slots.iter().enumerate() {
                all.data_mut()[i * padded..][..slot.count()].copy_from_slice(slot.data());
            }
            self.state.insert(param.id(), all.upload(&param.value().device()));
        }
    }

    /// Updates every parameter that has a gradient. Other parameters, such as frozen ones, do not change.
    pub fn step(&mut self, params: &[(String, Param)], gradients: &mut Gradients, learning_rate: f64) {
        let Some(device) = params.first().map(|(_, param)| param.value().device()) else { return };
        let free = self.free.take().filter(|free| free.device() == device);
        let free = free.unwrap_or_else(|| GradientMonitor::new(1, &device));
        self.step_with(params, gradients, learning_rate, &free);
        self.free = Some(free);
    }

    /// The same with a monitor that has observed the gradients. It provides the factor that scales them (PyTorch's `clip_grad_norm_`);
    /// if it has seen a number that is not finite, nothing changes.
    pub fn step_with(
        &mut self,
        params: &[(String, Param)],
        gradients: &mut Gradients,
        learning_rate: f64,
        monitor: &GradientMonitor,
    ) {
        self.step += 1;
        // The last group is that of the parameters which are in no other.
        let mut groups: Vec<Vec<(Param, Tensor)>> = vec![Vec::new(); self.groups.len() + 1];
        for (name, param) in params {
            if let Some(gradient) = gradients.take(param) {
                let group = self.groups.iter().position(|group| (group.contains)(name));
                groups[group.unwrap_or(self.groups.len())].push((param.clone(), gradient));
            }
        }
        for (i, moving) in groups.into_iter().enumerate() {
            let own = self.groups.get(i);
            let rule = own.and_then(|group| group.rule).unwrap_or(self.rule);
            let learning_rate = own.map_or(1.0, |group| group.rate) * learning_rate;
            let weight_decay = own.map_or(self.weight_decay, |group| group.weight_decay);
            self.move_all(moving, OptimizerStep { rule, learning_rate, weight_decay, step: self.step }, monitor);
        }
    }

    fn move_all(&mut self, moving: Vec<(Param, Tensor)>, step: OptimizerStep, monitor: &GradientMonitor) {
        let mut parts = Vec::with_capacity(moving.len());
        let mut movers = Vec::with_capacity(moving.len());
        for (param, gradient) in moving {
            let state = self.state.remove(&param.id());
            let state = state.unwrap_or_else(|| OptimizerPart::state(&gradient, step.rule));
            // Moved out of the parameter, since an update in place needs the only handle.
            parts.push(OptimizerPart { parameter: param.take(), gradient, state });
            movers.push(param);
        }
        step.apply(&mut parts, monitor);
        for (param, OptimizerPart { parameter, state, .. }) in movers.iter().zip(parts) {
            param.give_back(parameter);
            self.state.insert(param.id(), state);
        }
    }
}

/// Limits every element of the parameters' gradients to `[−limit, limit]` (PyTorch's `clip_grad_value_`).
pub fn clip_values(params: &[(String, Param)], gradients: &mut Gradients, limit: f32) {
    for (_, param) in params {
        gradients.change(param, |gradient| tensor::Unary::clamp(-limit, limit).apply(gradient));
    }
}
