//! The activations that batch normalisation applies to its result. The operation and its CPU kernels both use them.

/// An activation that batch normalisation applies to its result. The result alone determines the derivative.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Act {
    /// x.
    Identity,
    /// max(x, 0).
    Relu,
    /// x above 0, slope·x (slope > 0) below.
    LeakyRelu(f32),
}

impl Act {
    #[inline(always)]
    pub(crate) fn apply(self, x: f32) -> f32 {
        match self {
            Act::Identity => x,
            Act::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Act::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
        }
    }

    /// What a negative number is multiplied by, which is the derivative there. `None` for the identity.
    pub(crate) fn slope(self) -> Option<f32> {
        match self {
            Act::Identity => None,
            Act::Relu => Some(0.0),
            Act::LeakyRelu(slope) => Some(slope),
        }
    }
}
