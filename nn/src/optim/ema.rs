//! The exponential moving average of the weights (Polyak and Juditsky, 1992, with a fading memory), after each step:
//!   w̄ ← d·w̄ + (1 − d)·w,   w̄ = w before the first
//! Parameters that are frozen, and running statistics, are not averaged.

use std::cell::RefCell;

use autograd::Param;
use tensor::Tensor;

/// The exponential moving averages of a module's parameters, those that are not frozen: `w̄ ← d·w̄ + (1 − d)·w` after each step.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: Vec<(String, Param, RefCell<Tensor>)>,
}

impl Ema {
    /// Before the first step: the averages are the weights. `decay` is d, in [0, 1).
    pub fn new(decay: f64, params: &[(String, Param)]) -> Ema {
        let moving = params.iter().filter(|(_, param)| !param.is_frozen());
        let averages = moving.map(|(name, param)| (name.clone(), param.clone(), RefCell::new(param.value())));
        Ema { decay, averages: averages.collect() }
    }

    /// Takes a step's new weights in.
    pub fn update(&mut self) {
        let (kept, gain) = (self.decay as f32, (1.0 - self.decay) as f32); // in f32, 1 − 0.999 is 5e-5 off
        for (_, param, average) in &mut self.averages {
            let average = average.get_mut();
            *average = average.mul_scalar(kept).add(&param.value().mul_scalar(gain));
        }
    }

    /// Puts the averages in the weights' place, until what is returned is dropped.
    #[must_use]
    pub fn swap_in(&self) -> SwappedIn<'_> {
        self.swap();
        SwappedIn(self)
    }

    /// Every average, by its parameter's name.
    pub fn averages(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.averages.iter().map(|(name, _, average)| (name.as_str(), average.borrow().clone()))
    }

    /// Replaces the average of a parameter by one of its shape; one that is not averaged has none.
    pub fn set(&mut self, name: &str, value: Tensor) {
        if let Some((.., average)) = self.averages.iter_mut().find(|(known, ..)| known == name) {
            *average.get_mut() = value;
        }
    }

    fn swap(&self) {
        for (_, param, average) in &self.averages {
            let weights = average.replace(param.value());
            param.set(weights);
        }
    }
}

/// While this lives, a module computes with the averages of its weights.
#[derive(Debug)]
pub struct SwappedIn<'a>(&'a Ema);

impl Drop for SwappedIn<'_> {
    fn drop(&mut self) {
        self.0.swap();
    }
}
