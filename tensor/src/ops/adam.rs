//! One step of Adam (Kingma and Ba, 1412.6980, algorithm 1), in place:
//!   g ← g + λ·p,   m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²,
//!   p ← p − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)

use rayon::prelude::*;

use crate::cpu::parallel::GRAIN;
use crate::cpu::simd::Isa;
use crate::tensor::Tensor;

/// The numbers of one step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamStep {
    /// lr.
    pub learning_rate: f64,
    /// β₁, of the mean of gradients.
    pub beta1: f64,
    /// β₂, of the mean of their squares.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ, times the parameter, is added to the gradient.
    pub weight_decay: f64,
    /// t, counted from 1.
    pub step: u64,
}

impl Tensor {
    /// Moves this parameter and its moments `m` and `v` by one step along `gradient`.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn adam(&mut self, gradient: &Tensor, m: &mut Tensor, v: &mut Tensor, step: AdamStep) {
        let same = self.shape() == gradient.shape() && self.shape() == m.shape() && self.shape() == v.shape();
        assert!(same, "adam: parameter {} and gradient {}", self.shape(), gradient.shape());
        let t = step.step.min(i32::MAX as u64) as i32;
        let (beta1, beta2) = (step.beta1 as f32, step.beta2 as f32);
        let (gain1, gain2) = ((1.0 - step.beta1) as f32, (1.0 - step.beta2) as f32); // in f32, 1 − 0.999 is 5e-5 off
        let rate = (step.learning_rate / (1.0 - step.beta1.powi(t))) as f32;
        let correction = (1.0 / (1.0 - step.beta2.powi(t)).sqrt()) as f32;
        let (eps, decay, isa) = (step.eps as f32, step.weight_decay as f32, Isa::current());
        let (p, m, v) = (self.data_mut(), m.data_mut(), v.data_mut());
        let moments = m.par_chunks_mut(GRAIN).zip(v.par_chunks_mut(GRAIN));
        let parts = p.par_chunks_mut(GRAIN).zip(gradient.data().par_chunks(GRAIN)).zip(moments);
        parts.for_each(|((p, g), (m, v))| {
            isa.run(|| {
                for i in 0..p.len() {
                    let g = g[i] + decay * p[i];
                    m[i] = beta1 * m[i] + gain1 * g;
                    v[i] = beta2 * v[i] + gain2 * g * g;
                    p[i] -= rate * m[i] / (v[i].sqrt() * correction + eps);
                }
            });
        });
    }
}
