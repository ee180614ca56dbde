//! y = Σ x:   dx repeats dy along the summed dimensions;   for a mean, dx is also divided by the number of summed elements.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// The sum over `dims`, which stay as sizes of 1 with `keepdim`.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice.
    #[track_caller]
    pub fn sum(&self, dims: &[usize], keepdim: bool) -> Var {
        let y = self.value().sum(dims, keepdim);
        self.reduction("sum", y, dims, 1.0)
    }

    /// The mean over `dims`, which stay as sizes of 1 with `keepdim`.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice.
    #[track_caller]
    pub fn mean(&self, dims: &[usize], keepdim: bool) -> Var {
        let y = self.value().mean(dims, keepdim);
        let share = y.count() as f32 / self.value().count() as f32;
        self.reduction("mean", y, dims, share)
    }

    /// The sum of all elements, a scalar.
    pub fn sum_all(&self) -> Var {
        let all: Vec<usize> = (0..self.shape().len()).collect();
        self.sum(&all, false)
    }

    /// The mean of all elements, a scalar.
    pub fn mean_all(&self) -> Var {
        let all: Vec<usize> = (0..self.shape().len()).collect();
        self.mean(&all, false)
    }

    fn reduction(&self, name: &'static str, y: Tensor, dims: &[usize], share: f32) -> Var {
        let shape = *self.shape();
        let kept = dims.iter().fold(shape, |kept, &d| kept.with(d, 1));
        Var::record(name, y, |edge| {
            edge.to(self, move |dy| dy.reshape(kept).mul_scalar(share).expand(shape));
        })
    }
}
