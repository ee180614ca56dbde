//! max: dx is dy at the first largest pixel of each window;   avg: dx is dy/k² at every pixel of the window.

use tensor::Pool;

use crate::var::Var;

impl Var {
    /// The largest pixel of each window of `[batch, channels, height, width]`. The gradient goes to the first such pixel.
    ///
    /// # Panics
    /// If the padded image is smaller than the window, or the padding more than half of it.
    #[track_caller]
    pub fn max_pool2d(&self, pool: Pool) -> Var {
        let x = self.value().clone();
        Var::record("max_pool2d", x.max_pool2d(pool), |edge| {
            edge.to(self, move |dy| x.max_pool2d_gradient(dy, pool));
        })
    }

    /// The sum of each window of `[batch, channels, height, width]` divided by k². Pixels outside the image count as zeros.
    ///
    /// # Panics
    /// If the padded image is smaller than the window, or the padding more than half of it.
    #[track_caller]
    pub fn avg_pool2d(&self, pool: Pool) -> Var {
        let [_, _, height, width] = self.shape().nchw("avg_pool2d");
        Var::record("avg_pool2d", self.value().avg_pool2d(pool), |edge| {
            edge.to(self, move |dy| dy.avg_pool2d_gradient(pool, [height, width]));
        })
    }

    /// The mean of each channel: `[batch, channels, height, width]` → `[batch, channels]`.
    ///
    /// # Panics
    /// Unless there are four dimensions.
    #[track_caller]
    pub fn global_avg_pool2d(&self) -> Var {
        self.shape().nchw("global_avg_pool2d");
        self.mean(&[2, 3], false)
    }
}
