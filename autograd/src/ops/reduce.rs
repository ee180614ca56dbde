//! y = Σ x:   dx repeats dy along the summed dimensions;   for a mean, dx is also divided by the number of summed elements.
//! y = max x, min x:   dx is dy at the elements that are equal to y, divided by their number, and 0 elsewhere: PyTorch's `amax`, `amin`.

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

    /// The largest element over `dims`, which stay as sizes of 1 with `keepdim`. Equal ones share the gradient equally.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice, or the tensor has no element.
    #[track_caller]
    pub fn max(&self, dims: &[usize], keepdim: bool) -> Var {
        let y = self.value().max(dims, keepdim);
        self.extremum("max", y, dims)
    }

    /// The smallest element over `dims`, which stay as sizes of 1 with `keepdim`. Equal ones share the gradient equally.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice, or the tensor has no element.
    #[track_caller]
    pub fn min(&self, dims: &[usize], keepdim: bool) -> Var {
        let y = self.value().min(dims, keepdim);
        self.extremum("min", y, dims)
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

    fn extremum(&self, name: &'static str, y: Tensor, dims: &[usize]) -> Var {
        let (x, dims) = (self.value().clone(), dims.to_vec());
        let kept = y.reshape(dims.iter().fold(*x.shape(), |kept, &d| kept.with(d, 1)));
        Var::record(name, y, |edge| {
            edge.to(self, move |dy| {
                let ties = x.eq(&kept);
                // No element equals the result if all are −∞ or NaN.
                let count = ties.sum(&dims, true).clamp(1.0, f32::MAX);
                let shares = dy.reshape(kept.shape()).div(&count);
                ties.mul(&shares)
            });
        })
    }

    fn reduction(&self, name: &'static str, y: Tensor, dims: &[usize], share: f32) -> Var {
        let shape = *self.shape();
        let kept = dims.iter().fold(shape, |kept, &d| kept.with(d, 1));
        Var::record(name, y, |edge| {
            edge.to(self, move |dy| dy.reshape(kept).mul_scalar(share).expand(shape));
        })
    }
}
