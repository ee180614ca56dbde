//! One step of Adam (Kingma and Ba, 1412.6980, algorithm 1), in place:
//!   g ← factor·g + λ·p,   m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²,
//!   p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
//! The [`GradientMonitor`] provides the factor. If it has seen a number that is not finite, nothing changes.

use super::gradient_monitor::GradientMonitor;
use crate::cpu::parallel::{GRAIN, for_each_item};
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::ADAM];
pub(super) static ADAM: Kernel = Kernel::checked(&WGSL, "adam");
pub(super) static ADAM_MANY: Kernel = Kernel::checked(&WGSL, "adam_many");

/// Parameters in a launch of `adam_many`, and the buffers that it binds: three for each, and the monitor's.
const MANY: usize = 9;
const MANY_BUFFERS: usize = 3 * MANY + 1;

/// One step of Adam (Kingma and Ba, 1412.6980, algorithm 1; PyTorch's `Adam`, whose `weight_decay` is added to the gradient):
///
/// ```text
/// g ← factor·g + λ·p,   m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²
/// p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// The [`GradientMonitor`] provides the factor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamStep {
    /// The learning rate, lr.
    pub learning_rate: f64,
    /// β₁, the decay of the running mean of gradients.
    pub beta1: f64,
    /// β₂, the decay of the running mean of their squares.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ. The parameter times λ is added to the gradient.
    pub weight_decay: f64,
    /// The number of the step, t, counted from 1.
    pub step: u64,
}

/// One parameter with its gradient and moments.
#[derive(Debug)]
pub struct AdamPart {
    /// The parameter, p.
    pub parameter: Tensor,
    /// The gradient g, of the parameter's shape.
    pub gradient: Tensor,
    /// m and v, in the layout of [`AdamPart::moments`].
    pub moments: Tensor,
}

impl AdamPart {
    /// The moments of a parameter before the first step: zeros of shape `[2, count]`, the count rounded up to a multiple of 4.
    pub fn moments(parameter: &Tensor) -> Tensor {
        Tensor::zeros([2, parameter.count().next_multiple_of(4)]).upload(&parameter.device())
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
}

impl AdamStep {
    fn factors(self) -> Factors {
        let t = self.step.min(i32::MAX as u64) as i32;
        Factors {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            gain1: (1.0 - self.beta1) as f32, // in f32, 1 − 0.999 is 5e-5 off
            gain2: (1.0 - self.beta2) as f32,
            rate: (self.learning_rate / (1.0 - self.beta1.powi(t))) as f32,
            correction: (1.0 / (1.0 - self.beta2.powi(t)).sqrt()) as f32,
            eps: self.eps as f32,
            decay: self.weight_decay as f32,
        }
    }

    /// Updates every parameter and its moments in place. Nothing changes if the monitor has seen a number that is not finite.
    ///
    /// # Panics
    /// If a gradient's shape is not its parameter's.
    #[track_caller]
    pub fn apply(self, parts: &mut [AdamPart], monitor: &GradientMonitor) {
        for AdamPart { parameter, gradient, moments } in parts.iter() {
            let same = parameter.shape() == gradient.shape()
                && moments.shape()[..] == [2, parameter.count().next_multiple_of(4)];
            assert!(same, "adam: parameter {} and gradient {}", parameter.shape(), gradient.shape());
        }
        match parts.first().map(|part| part.parameter.device()) {
            Some(Device::Gpu(machine)) if machine.limits().buffers as usize >= MANY_BUFFERS => {
                parts.chunks_mut(MANY).for_each(|part| launch_many(part, monitor, self.factors()));
            }
            Some(Device::Gpu(_)) => parts.chunks_mut(2).for_each(|pair| launch(pair, monitor, self.factors())),
            _ => {
                let Some(factor) = monitor.factor() else { return };
                parts.iter_mut().for_each(|part| part.apply(factor, self.factors()));
            }
        }
    }
}

impl Factors {
    /// In the order of the shader's parameters.
    fn numbers(self) -> [f32; 8] {
        let Factors { beta1, beta2, gain1, gain2, rate, correction, eps, decay } = self;
        [beta1, beta2, gain1, gain2, rate, correction, eps, decay]
    }
}

impl AdamPart {
    fn apply(&mut self, factor: f32, step: Factors) {
        let isa = Isa::current();
        let count = self.parameter.count();
        let Factors { beta1, beta2, gain1, gain2, rate, correction, eps, decay } = step;
        let moments = self.moments.data_mut();
        let (m, v) = moments.split_at_mut(moments.len() / 2);
        let moments = m[..count].chunks_mut(GRAIN).zip(v[..count].chunks_mut(GRAIN));
        let p = self.parameter.data_mut().chunks_mut(GRAIN);
        let mut parts: Vec<_> = p.zip(self.gradient.data().chunks(GRAIN)).zip(moments).collect();
        for_each_item(&mut parts, |_, ((p, g), (m, v))| {
            isa.run(|| {
                for i in 0..p.len() {
                    let g = factor * g[i] + decay * p[i];
                    m[i] = beta1 * m[i] + gain1 * g;
                    v[i] = beta2 * v[i] + gain2 * g * g;
                    p[i] -= rate * m[i] / (v[i].sqrt() * correction + eps);
                }
            });
        });
    }
}

/// One launch for two parameters: with the monitor, these take the eight buffers that every device offers.
fn launch(pair: &mut [AdamPart], monitor: &GradientMonitor, step: Factors) {
    let (place, rows) = monitor.rows();
    let quads = pair.iter().map(|part| part.parameter.count().div_ceil(4));
    let quads = [quads.clone().next().unwrap_or(0), quads.clone().nth(1).unwrap_or(0)];
    let run = ADAM.over(quads[0] + quads[1]).floats(step.numbers());
    let run = run.params(quads).params([place]).read(rows);
    match pair {
        [a, b] => {
            let run = run.read(&a.gradient).read(&b.gradient);
            run.update([&mut a.parameter, &mut a.moments, &mut b.parameter, &mut b.moments]);
        }
        [a] => {
            // The second parameter's bindings take the same gradient and empty tensors.
            let (mut p, mut m) = (a.parameter.empty_like(), a.parameter.empty_like());
            let run = run.read(&a.gradient).read(&a.gradient);
            run.update([&mut a.parameter, &mut a.moments, &mut p, &mut m]);
        }
        _ => {}
    }
}

/// One launch for up to nine parameters.
fn launch_many(parts: &mut [AdamPart], monitor: &GradientMonitor, step: Factors) {
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
    let run =
        ADAM_MANY.groups(groups).floats(step.numbers()).params([place, 0, 0, 0]).params(places.into_iter().flatten());
    let padded = gradients.iter().chain(std::iter::repeat(&gradients[0])).take(MANY);
    let run = padded.fold(run.read(rows), |run, gradient| run.read(gradient));
    let updated = parts.iter_mut().flat_map(|part| [&mut part.parameter, &mut part.moments]).chain(&mut none);
    let updated: Vec<&mut Tensor> = updated.collect();
    run.update(<[&mut Tensor; 2 * MANY]>::try_from(updated).expect("two for each parameter"));
}
