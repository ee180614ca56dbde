//! The exponential moving average of the weights (Polyak and Juditsky, 1992, with exponential weights), after each step:
//!   w̄ ← d·w̄ + (1 − d)·w,   w̄ = w before the first step
//! Frozen parameters and running statistics are not averaged.

use std::cell::RefCell;

use autograd::Param;
use tensor::Tensor;

use crate::state::StateError;

/// The exponential moving averages of the parameters that are not frozen: `w̄ ← d·w̄ + (1 − d)·w` after each step.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: Vec<(String, Param, RefCell<Tensor>)>,
}

impl Ema {
    /// The averages before the first step, which are the weights. `decay` is d, in [0, 1).
    pub fn new(decay: f64, params: &[(String, Param)]) -> Ema {
        let moving = params.iter().filter(|(_, param)| !param.is_frozen());
        let averages = moving.map(|(name, param)| (name.clone(), param.clone(), RefCell::new(param.value())));
        Ema { decay, averages: averages.collect() }
    }

    /// Updates the averages with the weights after a step.
    pub fn update(&mut self) {
        let (kept, gain) = (self.decay as f32, (1.0 - self.decay) as f32); // in f32, 1 − 0.999 is 5e-5 off
        for (_, param, average) in &mut self.averages {
            let average = average.get_mut();
            *average = average.mul_scalar(kept).add(&param.value().mul_scalar(gain));
        }
    }

    /// Replaces the weights by their averages until the returned value is dropped.
    #[must_use]
    pub fn swap_in(&self) -> SwappedIn<'_> {
        self.swap();
        SwappedIn(self)
    }

    /// Every average, by its parameter's name.
    pub fn averages(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.averages.iter().map(|(name, _, average)| (name.as_str(), average.borrow().clone()))
    }

    /// Sets the average of a parameter.
    ///
    /// # Errors
    /// If no parameter of this name is averaged, or `value` has another shape.
    pub fn set(&mut self, name: &str, value: Tensor) -> Result<(), StateError> {
        let Some((.., average)) = self.averages.iter_mut().find(|(known, ..)| known == name) else {
            return Err(StateError::Mismatch(vec![format!("{name} is not averaged")]));
        };
        let average = average.get_mut();
        if average.shape() != value.shape() {
            let sizes = format!("the average of {name} is {}, not {}", average.shape(), value.shape());
            return Err(StateError::Mismatch(vec![sizes]));
        }
        *average = value;
        Ok(())
    }

    fn swap(&self) {
        for (_, param, average) in &self.averages {
            let weights = average.replace(param.value());
            param.set(weights);
        }
    }
}

/// While this value exists, the module computes with the averages of its weights.
#[derive(Debug)]
pub struct SwappedIn<'a>(&'a Ema);

impl Drop for SwappedIn<'_> {
    fn drop(&mut self) {
        self.0.swap();
    }
}
