//! Elements chosen by index. Indices are whole numbers stored as f32, which is exact up to 2²⁴. More places to choose from are
//! refused.
//!   gather: y[i] = x[i, index[i]]; backward writes dy[i] to that place, and 0 elsewhere.
//!   index_select: y[i, …] = x[index[i], …]; backward adds dy[i, …] to that row, in the order of i.
//! An index out of range panics on the CPU. On a GPU, where the host does not see it in time, it gives NaN.

use super::check_index_bound;
use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::GATHER];
pub(super) static GATHER: Kernel = Kernel::checked(&WGSL, "gather");
pub(super) static GATHER_GRADIENT: Kernel = Kernel::checked(&WGSL, "gather_gradient");
pub(super) static INDEX_SELECT: Kernel = Kernel::checked(&WGSL, "index_select");
pub(super) static INDEX_SELECT_GRADIENT: Kernel = Kernel::checked(&WGSL, "index_select_gradient");

impl Tensor {
    /// One element of each row, PyTorch's `gather` with one index per row: self `[n, c]` at `index` `[n]`, whole numbers stored as
    /// f32 → `[n]`, `y[i] = x[i, index[i]]`. A GPU gives NaN for an index outside 0..c.
    ///
    /// # Panics
    /// If the shapes differ in n, or c is more than 2²⁴; on the CPU also if an index is outside 0..c.
    #[track_caller]
    pub fn gather(&self, index: &Tensor) -> Tensor {
        let [n, c] = self.shape().matrix("gather");
        check_index_bound("gather", c);
        if let Device::Gpu(_) = self.device() {
            count("gather", index, n);
            return GATHER.over(n).read(self).read(index).params([n, c, 1]).floats([f32::NAN]).write([n]);
        }
        let at = indices("gather", index, n, c);
        Tensor::build("gather", &[self, index], [n].into(), |out| {
            out.iter_mut().enumerate().for_each(|(i, y)| *y = self.data()[i * c + at[i]]);
        })
    }

    /// The adjoint of [`gather`](Tensor::gather) from `columns` columns: self `[n]` → `[n, columns]`.
    ///
    /// # Panics
    /// If the shapes differ in n, or there are more than 2²⁴ columns; on the CPU also if an index is outside 0..columns.
    #[track_caller]
    pub fn gather_gradient(&self, index: &Tensor, columns: usize) -> Tensor {
        check_index_bound("gather_gradient", columns);
        if let Device::Gpu(_) = self.device() {
            count("gather_gradient", index, self.count());
            let all = self.count() * columns;
            let run = GATHER_GRADIENT.over(all).read(self).read(index).params([all, columns, 1]).floats([f32::NAN]);
            return run.write([self.count(), columns]);
        }
        let columns_of = indices("gather_gradient", index, self.count(), columns);
        Tensor::build("gather_gradient", &[self, index], [self.count(), columns].into(), |out| {
            out.fill(0.0);
            columns_of.iter().enumerate().for_each(|(i, &j)| out[i * columns + j] = self.data()[i]);
        })
    }

    /// Whole rows, PyTorch's `index_select` along dimension 0: self `[n, …]` at `index` `[k]`, whole numbers stored as f32 →
    /// `[k, …]`. A GPU gives NaN for an index outside 0..n.
    ///
    /// # Panics
    /// Unless `index` has one dimension, or if n is more than 2²⁴; on the CPU also if an index is outside 0..n.
    #[track_caller]
    pub fn index_select(&self, index: &Tensor) -> Tensor {
        let [_, n, width] = self.shape().outer_size_inner(0, "index_select");
        check_index_bound("index_select", n);
        if let Device::Gpu(_) = self.device() {
            count("index_select", index, index.count());
            let chosen = self.shape().with(0, index.count());
            let all = chosen.count();
            return INDEX_SELECT
                .over(all)
                .read(self)
                .read(index)
                .params([all, n, width])
                .floats([f32::NAN])
                .write(chosen);
        }
        let rows = indices("index_select", index, index.count(), n);
        Tensor::build("index_select", &[self, index], self.shape().with(0, rows.len()), |out| {
            for (i, &row) in rows.iter().enumerate() {
                out[i * width..][..width].copy_from_slice(&self.data()[row * width..][..width]);
            }
        })
    }

    /// The adjoint of [`index_select`](Tensor::index_select) from `rows` rows: self `[k, …]` → `[rows, …]`. The rows that were taken
    /// several times are added in order, so that the bits are the same each time. On a GPU each number reads all indices, and indices
    /// out of range are left out.
    ///
    /// # Panics
    /// Unless `index` is `[k]`, or with more than 2²⁴ rows; on the CPU also if an index is outside 0..rows.
    #[track_caller]
    pub fn index_select_gradient(&self, index: &Tensor, rows: usize) -> Tensor {
        let [_, taken, width] = self.shape().outer_size_inner(0, "index_select_gradient");
        check_index_bound("index_select_gradient", rows);
        let whole = self.shape().with(0, rows);
        if let Device::Gpu(_) = self.device() {
            count("index_select_gradient", index, taken);
            let run = INDEX_SELECT_GRADIENT.over(whole.count()).read(self).read(index);
            return run.params([whole.count(), taken, width]).floats([f32::NAN]).write(whole);
        }
        let mut takers = vec![Vec::new(); rows];
        let rows_of = indices("index_select_gradient", index, taken, rows);
        rows_of.iter().enumerate().for_each(|(i, &row)| takers[row].push(i));
        Tensor::build("index_select_gradient", &[self, index], whole, |out| {
            parallel::for_each_row(out, width, |row, out| {
                out.fill(0.0);
                for &i in &takers[row] {
                    out.iter_mut().zip(&self.data()[i * width..]).for_each(|(dx, dy)| *dx += dy);
                }
            });
        })
    }
}

#[track_caller]
fn count(what: &str, index: &Tensor, count: usize) {
    assert_eq!(index.shape()[..], [count], "{what}: indices {} for {count} rows", index.shape());
}

#[track_caller]
fn indices(what: &str, index: &Tensor, count: usize, bound: usize) -> Vec<usize> {
    self::count(what, index, count);
    let whole = |&i: &f32| {
        assert!(i >= 0.0 && i < bound as f32 && i.fract() == 0.0, "{what}: index {i} is not one of 0..{bound}");
        i as usize
    };
    index.data().iter().map(whole).collect()
}
