//! gather: y[i] = x[i, index[i]]:   dx is dy at the chosen places, 0 elsewhere.
//! index_select: y[i, …] = x[index[i], …]:   each row of dx is the sum of the rows of dy that were taken from it.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// One element of each row, PyTorch's `gather` with one index per row: self `[n, c]` at `index` `[n]`, whole numbers stored as
    /// f32 → `[n]`, `y[i] = x[i, index[i]]`. A GPU gives NaN for an index outside 0..c.
    ///
    /// # Panics
    /// If the shapes differ in n, or c is more than 2²⁴; on the CPU also if an index is outside 0..c.
    #[track_caller]
    pub fn gather(&self, index: &Tensor) -> Var {
        let y = self.value().gather(index);
        let (index, columns) = (index.clone(), self.shape()[1]);
        Var::record("gather", y, |edge| {
            edge.to(self, move |dy| dy.gather_gradient(&index, columns));
        })
    }

    /// Whole rows, PyTorch's `index_select` along dimension 0: self `[n, …]` at `index` `[k]`, whole numbers stored as f32 →
    /// `[k, …]`. It is an embedding's forward pass. A GPU gives NaN for an index outside 0..n.
    ///
    /// # Panics
    /// Unless `index` has one dimension, or if n is more than 2²⁴; on the CPU also if an index is outside 0..n.
    #[track_caller]
    pub fn index_select(&self, index: &Tensor) -> Var {
        let y = self.value().index_select(index);
        let (index, rows) = (index.clone(), self.shape()[0]);
        Var::record("index_select", y, |edge| {
            edge.to(self, move |dy| dy.index_select_gradient(&index, rows));
        })
    }
}
