//! One step of an optimiser, in place. With g ← factor·gradient + λ·p, or for decoupled decay p ← p − lr·λ·p:
//!   Adam:    m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²,   p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
//!   SGD:     m ← μ·m + g,             p ← p − lr·m, or with Nesterov's momentum p ← p − lr·(g + μ·m)
//!   RMSprop: m ← α·m + (1 − α)·g²,    p ← p − lr · g / (√m + ε)
//!   Lion:    u = sign(β₁·m + (1 − β₁)·g),   m ← β₂·m + (1 − β₂)·g,   p ← p − lr·u
//! The [`GradientMonitor`] provides the factor. If it has seen a number that is not finite, nothing changes.

use super::gradient_monitor::GradientMonitor;
use crate::cpu::parallel::{GRAIN, for_each_item};
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;
use crate::trace;

static WGSL: [&str; 2] = [shaders::GRID, shaders::OPTIMIZER];
pub(super) static OPTIMIZER: Kernel = Kernel::checked(&WGSL, "optimizer");
pub(super) static OPTIMIZER_MANY: Kernel = Kernel::checked(&WGSL, "optimizer_many");

/// Parameters in a launch of `optimizer_many`, and the buffers that it binds: three for each, and the monitor's.
const MANY: usize = 9;
const MANY_BUFFERS: usize = 3 * MANY + 1;

/// How an optimiser moves a parameter p along its gradient g, with the learning rate lr in step t = 1, 2, …
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    /// Adam (Kingma and Ba, 1412.6980, algorithm 1), and with decoupled weight decay AdamW (Loshchilov and Hutter, 1711.05101):
    ///
    /// ```text
    /// m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²
    /// p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
    /// ```
    Adam {
        /// β₁, the decay of the running mean of gradients.
        beta1: f64,
        /// β₂, the decay of the running mean of their squares.
        beta2: f64,
        /// ε.
        eps: f64,
        /// Whether weight decay shrinks the parameter itself, p ← p − lr·λ·p, instead of adding λ·p to the gradient.
        decoupled: bool,
    },
    /// Gradient descent: m ← μ·m + g, p ← p − lr·m.
    Sgd {
        /// μ, the momentum. 0 is plain descent.
        momentum: f64,
        /// Nesterov's momentum: p ← p − lr·(g + μ·m).
        nesterov: bool,
    },
    /// RMSprop (Hinton's lecture 6e): m ← α·m + (1 − α)·g², p ← p − lr·g/(√m + ε).
    RmsProp {
        /// α, the decay of the running mean of squared gradients.
        alpha: f64,
        /// ε.
        eps: f64,
    },
    /// Lion (Chen et al., 2302.06675, algorithm 2), whose weight decay is decoupled:
    ///
    /// ```text
    /// p ← p − lr·λ·p − lr·sign(β₁·m + (1 − β₁)·g),   m ← β₂·m + (1 − β₂)·g
    /// ```
    Lion {
        /// β₁, the share of the running mean in a step.
        beta1: f64,
        /// β₂, the decay of the running mean.
        beta2: f64,
    },
}

impl Rule {
    /// The number of tensors that the rule keeps for each parameter: m, and for Adam also v.
    pub fn slots(self) -> usize {
        if let Rule::Adam { .. } = self { 2 } else { 1 }
    }

    /// Its number in the shader.
    fn number(self) -> usize {
        match self {
            Rule::Adam { .. } => 0,
            Rule::Sgd { .. } => 1,
            Rule::RmsProp { .. } => 2,
            Rule::Lion { .. } => 3,
        }
    }
}

/// One step of an optimiser. The [`GradientMonitor`] provides the factor that scales the gradients.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptimizerStep {
    /// The rule.
    pub rule: Rule,
    /// The learning rate, lr.
    pub learning_rate: f64,
    /// λ. The parameter times λ is added to the gradient, unless the rule decays the parameter itself.
    pub weight_decay: f64,
    /// The number of the step, t, counted from 1.
    pub step: u64,
}

/// One parameter with its gradient and what the rule keeps for it.
#[derive(Debug)]
pub struct OptimizerPart {
    /// The parameter, p.
    pub parameter: Tensor,
    /// The gradient g, of the parameter's shape.
    pub gradient: Tensor,
    /// m, and for Adam v, in the layout of [`OptimizerPart::state`].
    pub state: Tensor,
}

impl OptimizerPart {
    /// What a rule keeps for a parameter before the first step: zeros of shape `[slots, count]`, the count rounded up to a multiple of
    /// 4.
    pub fn state(parameter: &Tensor, rule: Rule) -> Tensor {
        Tensor::zeros([rule.slots(), parameter.count().next_multiple_of(4)]).upload(&parameter.device())
    }
}

/// The numbers of a step in the form in which each element uses them.
#[derive(Clone, Copy)]
struct Factors {
    beta1: f32,
    beta2: f32,
    gain1: f32,
    gain2: f32,
    rate: f32,
    correction: f32,
    eps: f32,
    decay: f32,
    shrink: f32,
}

impl OptimizerStep {
    fn factors(self) -> Factors {
        let t = self.step.min(i32::MAX as u64) as i32;
        let lr = self.learning_rate;
        let (decay, shrink) = match self.rule {
            Rule::Adam { decoupled: true, .. } | Rule::Lion { .. } => (0.0, 1.0 - lr * self.weight_decay),
            _ => (self.weight_decay, 1.0),
        };
        // In f32, 1 − 0.999 is 5e-5 off.
        let [beta1, beta2, gain1, gain2, rate, correction, eps] = match self.rule {
            Rule::Adam { beta1, beta2, eps, .. } => {
                let correction = 1.0 / (1.0 - beta2.powi(t)).sqrt();
                [beta1, beta2, 1.0 - beta1, 1.0 - beta2, lr / (1.0 - beta1.powi(t)), correction, eps]
            }
            // p moves by gain1·g + gain2·m.
            Rule::Sgd { momentum, nesterov: false } => [momentum, 0.0, 0.0, 1.0, lr, 1.0, 0.0],
            Rule::Sgd { momentum, nesterov: true } => [momentum, 0.0, 1.0, momentum, lr, 1.0, 0.0],
            Rule::RmsProp { alpha, eps } => [alpha, 0.0, 1.0 - alpha, 0.0, lr, 1.0, eps],
            Rule::Lion { beta1, beta2 } => [beta1, beta2, 1.0 - beta1, 1.0 - beta2, lr, 1.0, 0.0],
        }
        .map(|number| number as f32);
        let [decay, shrink] = [decay, shrink].map(|number| number as f32);
        Factors { beta1, beta2, gain1, gain2, rate, correction, eps, decay, shrink }
    }

    /// Updates every parameter and its state in place. Nothing changes if the monitor has seen a number that is not finite.
    ///
    /// # Panics
    /// If a gradient's shape is not its parameter's, or the state is not that of the rule.
    #[track_caller]
    pub fn apply(self, parts: &mut [OptimizerPart], monitor: &GradientMonitor) {
        for OptimizerPart { parameter, gradient, state } in parts.iter() {
            let same = parameter.shape() == gradient.shape()
                && state.shape()[..] == [self.rule.slots(), parameter.count().next_multiple_of(4)];
            let (p, g) = (parameter.shape(), gradient.shape());
            assert!(same, "optimizer: parameter {p}, gradient {g} and state {}", state.shape());
        }
        match parts.first().map(|part| part.parameter.device()) {
            Some(Device::Gpu(machine)) if machine.limits().buffers as usize >= MANY_BUFFERS => {
                parts.chunks_mut(MANY).for_each(|part| launch_many(part, monitor, self));
            }
            Some(Device::Gpu(_)) => parts.chunks_mut(2).for_each(|pair| launch(pair, monitor, self)),
            _ => {
                let Some(factor) = monitor.factor() else { return };
                parts.iter_mut().for_each(|part| part.apply(self.rule, factor, self.factors()));
            }
        }
    }
}

impl Factors {
    /// In the order of the shader's parameters, which end with padding.
    fn numbers(self) -> [f32; 12] {
        let Factors { beta1, beta2, gain1, gain2, rate, correction, eps, decay, shrink } = self;
        [beta1, beta2, gain1, gain2, rate, correction, eps, decay, shrink, 0.0, 0.0, 0.0]
    }
}

impl OptimizerPart {
    fn apply(&mut self, rule: Rule, factor: f32, step: Factors) {
        let (isa, begun) = (Isa::current(), trace::begin());
        let count = self.parameter.count();
        let state = self.state.data_mut();
        let (m, v) = state.split_at_mut(state.len() / rule.slots());
        let m = m[..count].chunks_mut(GRAIN);
        // For the rules that keep one tensor, v is empty.
        let v = v.chunks_mut(GRAIN).map(Some).chain(std::iter::repeat_with(|| None));
        let p = self.parameter.data_mut().chunks_mut(GRAIN);
        let mut parts: Vec<_> = p.zip(self.gradient.data().chunks(GRAIN)).zip(m.zip(v)).collect();
        for_each_item(&mut parts, |_, ((p, g), (m, v))| {
            isa.run(|| update(rule, step, factor, p, g, m, v.as_deref_mut()))
        });
        let inputs = [&self.gradient, &self.parameter, &self.state].map(Tensor::shape);
        begun.end("optimizer", inputs, self.parameter.shape());
    }
}

/// Smaller numbers of the state become 0. If the gradient of a parameter stays 0, for example behind a ReLU that is always off, its state
/// shrinks until it is a subnormal number (below 10⁻³⁸). Rounding then keeps it from becoming 0, and some processors multiply such numbers
/// a hundred times more slowly. (GPUs do not.)
const LEAST: f32 = 1e-36;

/// A number of the state, or 0 if it is too small to matter.
#[inline(always)]
fn flush_to_zero(x: f32) -> f32 {
    if x.abs() < LEAST { 0.0 } else { x }
}

/// A step of the same elements of a parameter, its gradient and its state. The loops are separate, so that each is compiled to vector
/// instructions.
#[inline(always)]
fn update(rule: Rule, step: Factors, factor: f32, p: &mut [f32], g: &[f32], m: &mut [f32], v: Option<&mut [f32]>) {
    let Factors { beta1, beta2, gain1, gain2, rate, correction, eps, decay, shrink } = step;
    let count = p.len();
    let (g, m) = (&g[..count], &mut m[..count]);
    let decayed = |g: f32, p: f32| (factor * g + decay * p, shrink * p);
    match rule {
        Rule::Adam { .. } => {
            let v = &mut v.expect("Adam keeps two tensors")[..count];
            for i in 0..count {
                let (g, kept) = decayed(g[i], p[i]);
                m[i] = flush_to_zero(beta1 * m[i] + gain1 * g);
                v[i] = flush_to_zero(beta2 * v[i] + gain2 * g * g);
                p[i] = kept - rate * m[i] / (v[i].sqrt() * correction + eps);
            }
        }
        Rule::Sgd { .. } => {
            for i in 0..count {
                let (g, kept) = decayed(g[i], p[i]);
                m[i] = flush_to_zero(beta1 * m[i] + g);
                p[i] = kept - rate * (gain1 * g + gain2 * m[i]);
            }
        }
        Rule::RmsProp { .. } => {
            for i in 0..count {
                let (g, kept) = decayed(g[i], p[i]);
                m[i] = flush_to_zero(beta1 * m[i] + gain1 * g * g);
                p[i] = kept - rate * g / (m[i].sqrt() + eps);
            }
        }
        Rule::Lion { .. } => {
            for i in 0..count {
                let (g, kept) = decayed(g[i], p[i]);
                let along = beta1 * m[i] + gain1 * g;
                m[i] = flush_to_zero(beta2 * m[i] + gain2 * g);
                let sign = f32::from(i8::from(along > 0.0) - i8::from(along < 0.0));
                p[i] = kept - rate * sign;
            }
        }
    }
}

/// One launch for two parameters: with the monitor, these take the eight buffers that every device offers.
fn launch(pair: &mut [OptimizerPart], monitor: &GradientMonitor, step: OptimizerStep) {
    let (place, rows) = monitor.rows();
    let quads = pair.iter().map(|part| part.parameter.count().div_ceil(4));
    let quads = [quads.clone().next().unwrap_or(0), quads.clone().nth(1).unwrap_or(0)];
    let run = OPTIMIZER.over(quads[0] + quads[1]).set("RULE", step.rule.number()).floats(step.factors().numbers());
    let run = run.params(quads).params([place]).read(rows);
    match pair {
        [a, b] => {
            let run = run.read(&a.gradient).read(&b.gradient);
            run.update([&mut a.parameter, &mut a.state, &mut b.parameter, &mut b.state]);
        }
        [a] => {
            // The second parameter's bindings take the same gradient and empty tensors.
            let (mut p, mut m) = (a.parameter.empty_like(), a.parameter.empty_like());
            let run = run.read(&a.gradient).read(&a.gradient);
            run.update([&mut a.parameter, &mut a.state, &mut p, &mut m]);
        }
        _ => {}
    }
}

/// One launch for up to nine parameters.
fn launch_many(parts: &mut [OptimizerPart], monitor: &GradientMonitor, step: OptimizerStep) {
    let (place, rows) = monitor.rows();
    let quads: Vec<usize> = parts.iter().map(|part| part.parameter.count().div_ceil(4)).collect();
    let mut groups = 0;
    let mut places = [[u32::MAX as usize, 0, 0, 0]; MANY]; // of parameters that do not exist
    for (place, &quads) in places.iter_mut().zip(&quads) {
        *place = [groups, quads, 0, 0];
        groups += quads.div_ceil(256);
    }
    // The bindings of parameters that do not exist take the first gradient and empty tensors.
    let mut none: Vec<Tensor> = (2 * parts.len()..2 * MANY).map(|_| parts[0].parameter.empty_like()).collect();
    let gradients: Vec<Tensor> = parts.iter().map(|part| part.gradient.clone()).collect();
    let run = OPTIMIZER_MANY
        .groups(groups)
        .named("optimizer")
        .set("RULE", step.rule.number())
        .floats(step.factors().numbers())
        .params([place, 0, 0, 0])
        .params(places.into_iter().flatten());
    let padded = gradients.iter().chain(std::iter::repeat(&gradients[0])).take(MANY);
    let run = padded.fold(run.read(rows), |run, gradient| run.read(gradient));
    let updated = parts.iter_mut().flat_map(|part| [&mut part.parameter, &mut part.state]).chain(&mut none);
    let updated: Vec<&mut Tensor> = updated.collect();
    run.update(<[&mut Tensor; 2 * MANY]>::try_from(updated).expect("two for each parameter"));
}
