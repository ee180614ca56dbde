//! The gradient of a permutation is the inverse permutation, that of a concatenation are slices, and that of a slice is dy among zeros.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// The dimensions in another order: dimension `d` of the result is dimension `order[d]` of this value.
    ///
    /// # Panics
    /// Unless `order` names every dimension once.
    #[track_caller]
    pub fn permute(&self, order: &[usize]) -> Var {
        let y = self.value().permute(order);
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        Var::record("permute", y, |edge| {
            edge.to(self, move |dy| dy.permute(&inverse));
        })
    }

    /// Two dimensions exchanged.
    ///
    /// # Panics
    /// If one does not exist.
    #[track_caller]
    pub fn transpose(&self, a: usize, b: usize) -> Var {
        Var::record("transpose", self.value().transpose(a, b), |edge| {
            edge.to(self, move |dy| dy.transpose(a, b));
        })
    }

    /// Values joined along `dim` (PyTorch's `cat`). All other sizes must agree.
    ///
    /// # Panics
    /// Without values, or if sizes other than that of `dim` differ.
    #[track_caller]
    pub fn concat(parts: &[&Var], dim: usize) -> Var {
        let values: Vec<&Tensor> = parts.iter().map(|part| part.value()).collect();
        Var::record("concat", Tensor::concat(&values, dim), |edge| {
            let mut start = 0;
            for part in parts {
                let (from, length) = (start, part.shape()[dim]);
                edge.to(part, move |dy| dy.slice(dim, from, length));
                start += length;
            }
        })
    }

    /// `length` elements from `start` along `dim` (PyTorch's `narrow`).
    ///
    /// # Panics
    /// If they reach past the end.
    #[track_caller]
    pub fn slice(&self, dim: usize, start: usize, length: usize) -> Var {
        let y = self.value().slice(dim, start, length);
        let size = self.shape()[dim];
        Var::record("slice", y, |edge| {
            edge.to(self, move |dy| dy.slice_gradient(dim, start, size));
        })
    }
}
