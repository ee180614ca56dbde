//! The exponential moving average of the weights (Polyak and Juditsky, 1992, with exponential weights), after step t = 1, 2, …:
//!   w̄ ← d_t·w̄ + (1 − d_t)·w,   d_t = min(d, (1 + t)/(10 + t)),   w̄ = w before the first step
//!
//! With a constant d the average of a short run would consist of the initial weights: after 655 steps at d = 0.999 their share is
//! 0.999⁶⁵⁵ = 52 %. The smaller d_t of the first steps removes them (TensorFlow's `num_updates`): after 655 steps the average covers
//! about the last tenth of the run.
//!
//! Running statistics, such as those of batch norm, are averaged in the same way, as PyTorch's `AveragedModel` does with
//! `use_buffers=True`. They then describe activations of the averaged weights; those of the last step describe activations of the
//! last weights. To compute the statistics anew from the averaged weights is exact, but costs a pass over the training images at every
//! validation.
//!
//! Frozen parameters and statistics are not averaged.

use std::cell::RefCell;

use autograd::{Buffer, Param};
use tensor::Tensor;

use crate::module::{Module, Slot, visit};
use crate::state::StateError;

/// The exponential moving averages of the parameters and buffers that are not frozen. After step t = 1, 2, … they are
/// `w̄ ← d_t·w̄ + (1 − d_t)·w` with `d_t = min(d, (1 + t)/(10 + t))`.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: Vec<(String, Averaged, RefCell<Tensor>)>,
}

/// A tensor of the module that is averaged.
#[derive(Debug)]
enum Averaged {
    Param(Param),
    Buffer(Buffer),
}

impl Averaged {
    fn value(&self) -> Tensor {
        match self {
            Averaged::Param(param) => param.value(),
            Averaged::Buffer(buffer) => buffer.value(),
        }
    }

    fn set(&self, value: Tensor) {
        match self {
            Averaged::Param(param) => param.set(value),
            Averaged::Buffer(buffer) => buffer.set(value),
        }
    }

    fn swap(&self, average: &RefCell<Tensor>) {
        let current = average.replace(self.value());
        self.set(current);
    }
}

impl Ema {
    /// The averages before the first step, which are the weights and running statistics. `decay` is d, in [0, 1).
    pub fn new(decay: f64, module: &dyn Module) -> Ema {
        let mut averages = Vec::new();
        visit(module, |name, slot| {
            let averaged = match slot {
                Slot::Param(param) if !param.is_frozen() => Averaged::Param(param.clone()),
                Slot::Buffer(buffer) if !buffer.is_frozen() => Averaged::Buffer(buffer.clone()),
                _ => return,
            };
            let value = RefCell::new(averaged.value());
            averages.push((name.to_owned(), averaged, value));
        });
        Ema { decay, averages }
    }

    /// Updates the averages after step number `step`, counted from 1.
    pub fn update(&mut self, step: u64) {
        let t = step as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t));
        let (kept, gain) = (decay as f32, (1.0 - decay) as f32); // in f32, 1 − 0.999 is 5e-5 off
        for (_, averaged, average) in &mut self.averages {
            average.get_mut().blend_assign(kept, &averaged.value(), gain);
        }
    }

    /// Replaces the weights and running statistics by their averages until the returned value is dropped.
    #[must_use]
    pub fn swap_in(&self) -> SwappedIn<'_> {
        self.averages.iter().for_each(|(_, averaged, average)| averaged.swap(average));
        SwappedIn(self)
    }

    /// Every average, by the name of its parameter or buffer.
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

    /// Sets every average to the current weights and running statistics.
    pub fn restart(&mut self) {
        for (_, averaged, average) in &mut self.averages {
            *average.get_mut() = averaged.value();
        }
    }
}

/// While this value exists, the module computes with the averages of its weights and running statistics.
#[derive(Debug)]
pub struct SwappedIn<'a>(&'a Ema);

impl Drop for SwappedIn<'_> {
    fn drop(&mut self) {
        // In reverse order, because a module may have one parameter under two names.
        self.0.averages.iter().rev().for_each(|(_, averaged, average)| averaged.swap(average));
    }
}
