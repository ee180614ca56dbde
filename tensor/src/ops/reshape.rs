//! The same elements in the same order under another shape. Nothing is copied.

use crate::shape::Shape;
use crate::tensor::Tensor;

impl Tensor {
    /// The same elements under another shape. The result shares them.
    ///
    /// # Panics
    /// If the shapes have different numbers of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        assert_eq!(shape.count(), self.count(), "reshape: {} to {shape}", self.shape());
        self.with_shape(shape)
    }
}
