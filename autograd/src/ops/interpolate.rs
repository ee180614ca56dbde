//! y = R·x with a fixed matrix R of weights, so dx = Rᵀ·dy.

use tensor::Interpolation;

use crate::var::Var;

impl Var {
    /// Images `[batch, channels, height, width]` resized to `size`, `[height, width]`: see
    /// [`Tensor::interpolate`](tensor::Tensor::interpolate).
    ///
    /// # Panics
    /// Unless there are four dimensions and both images have pixels.
    #[track_caller]
    pub fn interpolate(&self, size: [usize; 2], how: Interpolation) -> Var {
        let [_, _, height, width] = self.shape().nchw("interpolate");
        Var::record("interpolate", self.value().interpolate(size, how), |edge| {
            edge.to(self, move |dy| dy.interpolate_gradient([height, width], how));
        })
    }
}
