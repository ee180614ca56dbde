//! The gradient of a reshaped value is reshaped back.

use tensor::Shape;

use crate::var::Var;

impl Var {
    /// The same elements under another shape.
    ///
    /// # Panics
    /// If the shapes have different numbers of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Var {
        let before = *self.shape();
        Var::record("reshape", self.value().reshape(shape), |edge| {
            edge.to(self, move |dy| dy.reshape(before));
        })
    }
}
