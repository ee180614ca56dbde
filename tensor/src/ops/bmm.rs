//! Batched matrix products with broadcasting:  c[…, i, j] = Σ_k a[…, i, k]·b[…, k, j].
//! The dimensions in front of the last two number the matrices. They broadcast as in `binary.rs`; a repeated matrix is not copied.

use crate::cpu::gemm::{Matrix, multiply_matrices};
use crate::cpu::parallel;
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::BMM];
pub(super) static BMM: Kernel = Kernel::checked(&WGSL, "bmm");

/// The rows and columns of the shader's tiles.
const TILE: usize = 64;

impl Tensor {
    /// `self·rhs` for each matrix: `[…, m, k]`·`[…, k, n]` → `[…, m, n]`. The dimensions in front broadcast.
    ///
    /// # Panics
    /// Unless both have at least two dimensions, the inner sizes agree, and the dimensions in front broadcast.
    #[track_caller]
    pub fn bmm(&self, rhs: &Tensor) -> Tensor {
        let [(a, [m, k]), (b, [k2, n])] = [self, rhs].map(matrices);
        let shapes = check("bmm", [self, rhs], [a, b], k == k2);
        product("bmm", shapes, [m, n, k], (self, [k, 1]), (rhs, [n, 1]))
    }

    /// `self·rhsᵀ` for each matrix: `[…, m, k]`·`[…, n, k]`ᵀ → `[…, m, n]`. The dimensions in front broadcast.
    ///
    /// # Panics
    /// Unless both have at least two dimensions, the inner sizes agree, and the dimensions in front broadcast.
    #[track_caller]
    pub fn bmm_nt(&self, rhs: &Tensor) -> Tensor {
        let [(a, [m, k]), (b, [n, k2])] = [self, rhs].map(matrices);
        let shapes = check("bmm_nt", [self, rhs], [a, b], k == k2);
        product("bmm_nt", shapes, [m, n, k], (self, [k, 1]), (rhs, [1, k]))
    }

    /// `selfᵀ·rhs` for each matrix: `[…, k, m]`ᵀ·`[…, k, n]` → `[…, m, n]`. The dimensions in front broadcast.
    ///
    /// # Panics
    /// Unless both have at least two dimensions, the inner sizes agree, and the dimensions in front broadcast.
    #[track_caller]
    pub fn bmm_tn(&self, rhs: &Tensor) -> Tensor {
        let [(a, [k, m]), (b, [k2, n])] = [self, rhs].map(matrices);
        let shapes = check("bmm_tn", [self, rhs], [a, b], k == k2);
        product("bmm_tn", shapes, [m, n, k], (self, [1, m]), (rhs, [n, 1]))
    }
}

/// The shape in front of the last two dimensions, and these. A tensor of fewer dimensions has matrices without columns.
fn matrices(x: &Tensor) -> (Shape, [usize; 2]) {
    match x.shape()[..] {
        [ref batch @ .., rows, cols] => (Shape::new(batch), [rows, cols]),
        _ => (Shape::new(&[]), [0, 0]),
    }
}

/// The shapes in front of both operands and of the result.
#[track_caller]
fn check(what: &str, [a, b]: [&Tensor; 2], batches: [Shape; 2], fits: bool) -> [Shape; 3] {
    let ranks = a.shape().len() >= 2 && b.shape().len() >= 2;
    match batches[0].broadcast(&batches[1]) {
        Some(all) if ranks && fits => [batches[0], batches[1], all],
        _ => panic!("{what}: matrices {} and {}", a.shape(), b.shape()),
    }
}

/// c = a·b. Each operand comes with its strides from row to row and from column to column.
fn product(
    operation: &'static str,
    [a_batch, b_batch, batch]: [Shape; 3],
    [m, n, k]: [usize; 3],
    (a, a_steps): (&Tensor, [usize; 2]),
    (b, b_steps): (&Tensor, [usize; 2]),
) -> Tensor {
    let mut sizes = batch.to_vec();
    sizes.extend([m, n]);
    // In matrices. They are as many elements apart as one has.
    let (a_strides, b_strides) = (a_batch.broadcast_strides(&batch), b_batch.broadcast_strides(&batch));
    if let Device::Gpu(_) = a.device() {
        let four = |shape: &Shape, pad: usize| {
            let padding = MAX_RANK - 2 - shape.len();
            std::iter::repeat_n(pad, padding).chain(shape.iter().copied()).collect::<Vec<_>>()
        };
        let tiles = m.div_ceil(TILE) * n.div_ceil(TILE);
        let run = BMM.groups(batch.count() * tiles).read(a).read(b);
        let run = run.params(four(&batch, 1)).params(four(&a_strides, 0)).params(four(&b_strides, 0));
        return run.params([batch.count(), m, n, k]).params(a_steps).params(b_steps).named(operation).write(&sizes[..]);
    }
    let (inputs, a, b, isa) = ([a, b], a.data(), b.data(), Isa::current());
    Tensor::build(operation, &inputs, sizes[..].into(), |out| {
        parallel::dispatch_rows(out, m * n, m * n * k.max(1), &|number, c| {
            let a = &a[start(number, &batch, &a_strides) * m * k..][..m * k];
            let b = &b[start(number, &batch, &b_strides) * k * n..][..k * n];
            let a = Matrix { data: a, row: a_steps[0], col: a_steps[1] };
            let b = Matrix { data: b, row: b_steps[0], col: b_steps[1] };
            multiply_matrices(isa, [m, n, k], a, b, c);
        });
    })
}

/// The number of an operand's matrix for a matrix of the result.
fn start(mut number: usize, batch: &Shape, strides: &Shape) -> usize {
    let mut start = 0;
    for d in (0..batch.len()).rev() {
        start += number % batch[d] * strides[d];
        number /= batch[d];
    }
    start
}
