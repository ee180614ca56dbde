//! Elements chosen by index. Indices are whole numbers held as f32, exact below 2²⁴.
//!   pick: y[i] = x[i, index[i]]; backward writes dy[i] there, among zeros.
//!   rows: y[i, …] = x[index[i], …]; it has no gradient.
//! An index outside panics on the CPU; on a machine, where nobody looks at it in time, it gives NaN.

use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::GATHER];
pub(super) static PICK: Kernel = Kernel::checked(&WGSL, "pick");
pub(super) static PICK_GRADIENT: Kernel = Kernel::checked(&WGSL, "pick_gradient");
pub(super) static ROWS: Kernel = Kernel::checked(&WGSL, "rows");

impl Tensor {
    /// One element of each row: self `[n, c]` at `index` `[n]`, whole numbers held as f32 → `[n]`, `y[i] = x[i, index[i]]`. A GPU
    /// gives NaN for an index that is not one of 0..c.
    ///
    /// # Panics
    /// If the shapes differ in n; on the CPU also if an index is not one of 0..c.
    #[track_caller]
    pub fn pick(&self, index: &Tensor) -> Tensor {
        let [n, c] = self.shape().matrix("pick");
        if let Device::Gpu(_) = self.device() {
            count("pick", index, n);
            return PICK.over(n).read(self).read(index).params([n, c, 1]).floats([f32::NAN]).write([n]);
        }
        let index = indices("pick", index, n, c);
        Tensor::build([n].into(), |out| {
            out.iter_mut().enumerate().for_each(|(i, y)| *y = self.data()[i * c + index[i]]);
        })
    }

    /// The adjoint of [`pick`](Tensor::pick) from `columns` columns: self `[n]` → `[n, columns]`.
    ///
    /// # Panics
    /// If the shapes differ in n; on the CPU also if an index is not one of 0..columns.
    #[track_caller]
    pub fn pick_gradient(&self, index: &Tensor, columns: usize) -> Tensor {
        if let Device::Gpu(_) = self.device() {
            count("pick_gradient", index, self.count());
            let all = self.count() * columns;
            let run = PICK_GRADIENT.over(all).read(self).read(index).params([all, columns, 1]).floats([f32::NAN]);
            return run.write([self.count(), columns]);
        }
        let index = indices("pick_gradient", index, self.count(), columns);
        Tensor::build([index.len(), columns].into(), |out| {
            out.fill(0.0);
            index.iter().enumerate().for_each(|(i, &j)| out[i * columns + j] = self.data()[i]);
        })
    }

    /// Whole rows: self `[n, …]` at `index` `[k]`, whole numbers held as f32 → `[k, …]`. A GPU gives NaN for an index that is not
    /// one of 0..n.
    ///
    /// # Panics
    /// If `index` has not one dimension; on the CPU also if an index is not one of 0..n.
    #[track_caller]
    pub fn rows(&self, index: &Tensor) -> Tensor {
        let [_, n, width] = self.shape().around(0, "rows");
        if let Device::Gpu(_) = self.device() {
            count("rows", index, index.count());
            let chosen = self.shape().with(0, index.count());
            let all = chosen.count();
            return ROWS.over(all).read(self).read(index).params([all, n, width]).floats([f32::NAN]).write(chosen);
        }
        let index = indices("rows", index, index.count(), n);
        Tensor::build(self.shape().with(0, index.len()), |out| {
            for (i, &row) in index.iter().enumerate() {
                out[i * width..][..width].copy_from_slice(&self.data()[row * width..][..width]);
            }
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
