//! Dropout: in training each number is 0 with probability p and x/(1 − p) otherwise; in evaluation it is x.

use autograd::Var;
use tensor::Generator;

use crate::module::{ForwardContext, Layer};

/// Dropout (Srivastava et al., 2014): in training each number is 0 with probability p and x/(1 − p) otherwise; in evaluation it
/// is x. The mask depends only on the seed and step of the forward context and on this layer's stream.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    probability: f32,
    stream: u64,
}

impl Dropout {
    /// Dropout with probability p. Layers with different `stream`s have independent masks.
    ///
    /// # Panics
    /// Unless 0 ≤ probability < 1.
    #[track_caller]
    pub fn new(probability: f32, stream: u16) -> Dropout {
        assert!((0.0..1.0).contains(&probability), "Dropout: probability {probability} is not in [0, 1)");
        Dropout { probability, stream: u64::from(stream) }
    }
}

crate::module!(Dropout {});

impl Layer for Dropout {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        if !ctx.train || self.probability == 0.0 {
            return x.clone();
        }
        let mut rng = Generator::stream(ctx.seed, ctx.step << 16 | self.stream);
        x * Var::constant(rng.mask(x.shape(), self.probability, &x.value().device()))
    }
}
