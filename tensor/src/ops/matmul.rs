//! Matrix products:  `nn` c = a·b,  `nt` c = a·bᵀ,  `tn` c = aᵀ·b.
//! c: [m, n], summed over k. A `t` says that the operand is stored transposed.

use std::sync::Arc;

use super::reduce;
use crate::cpu::gemm::{Matrix, multiply_matrices};
use crate::cpu::simd::Isa;
use crate::device::{Accelerator, Device};
use crate::kernel::{Dtype, Kernel};
use crate::launch::LaunchBuilder;
use crate::shape::Shape;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::TILE, shaders::MATMUL];
pub(super) static MATMUL: Kernel = Kernel::unchecked(&WGSL, "matmul");

impl Tensor {
    /// `self·rhs`: `[m, k]`·`[k, n]` → `[m, n]`. With more dimensions it is [`bmm`](Tensor::bmm).
    ///
    /// # Panics
    /// Unless both are matrices whose inner sizes agree.
    #[track_caller]
    pub fn matmul(&self, rhs: &Tensor) -> Tensor {
        if self.shape().len().max(rhs.shape().len()) > 2 {
            return self.bmm(rhs);
        }
        let ([m, k], [k2, n]) = (self.shape().matrix("matmul"), rhs.shape().matrix("matmul"));
        assert_eq!(k, k2, "matmul: {} times {}", self.shape(), rhs.shape());
        product("matmul", [m, n, k], (self, [k, 1]), (rhs, [n, 1]))
    }

    /// `self·rhsᵀ`: `[m, k]`·`[n, k]`ᵀ → `[m, n]`. A linear layer uses it, since its weight is `[out, in]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many columns.
    #[track_caller]
    pub fn matmul_nt(&self, rhs: &Tensor) -> Tensor {
        let ([m, k], [n, k2]) = (self.shape().matrix("matmul_nt"), rhs.shape().matrix("matmul_nt"));
        assert_eq!(k, k2, "matmul_nt: {} times the transpose of {}", self.shape(), rhs.shape());
        product("matmul_nt", [m, n, k], (self, [k, 1]), (rhs, [1, k]))
    }

    /// `selfᵀ·rhs`: `[k, m]`ᵀ·`[k, n]` → `[m, n]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many rows.
    #[track_caller]
    pub fn matmul_tn(&self, rhs: &Tensor) -> Tensor {
        let ([k, m], [k2, n]) = (self.shape().matrix("matmul_tn"), rhs.shape().matrix("matmul_tn"));
        assert_eq!(k, k2, "matmul_tn: the transpose of {} times {}", self.shape(), rhs.shape());
        product("matmul_tn", [m, n, k], (self, [1, m]), (rhs, [n, 1]))
    }
}

/// c = a·b. Each operand comes with its strides from row to row and from column to column.
fn product(
    operation: &'static str,
    [m, n, k]: [usize; 3],
    (a, a_steps): (&Tensor, [usize; 2]),
    (b, b_steps): (&Tensor, [usize; 2]),
) -> Tensor {
    if let Device::Gpu(machine) = a.device() {
        // A quad holds four neighbouring rows of a, or columns of b. It is one load where these are contiguous and a multiple of four.
        let (a_quads, b_quads) = (a_steps[0] == 1 && m % 4 == 0, b_steps[1] == 1 && n % 4 == 0);
        let tiles = Tiles::of(&machine, [m, n], 1, k);
        let run = tiles.run(&MATMUL).named(operation).read(a).read(b);
        let run = run.set("A_ALONG_K", usize::from(a_steps[1] == 1)).set("B_ALONG_K", usize::from(b_steps[0] == 1));
        let run = run.set("A_QUADS", usize::from(a_quads)).set("B_QUADS", usize::from(b_quads));
        let run = run.params([m, n, k, tiles.split.part]).params(a_steps).params(b_steps);
        return tiles.split.sum(run, [m, n].into());
    }
    let inputs = [a, b];
    let a = Matrix { data: a.data(), row: a_steps[0], col: a_steps[1] };
    let b = Matrix { data: b.data(), row: b_steps[0], col: b_steps[1] };
    let isa = Isa::current();
    Tensor::build(operation, &inputs, [m, n].into(), |c| multiply_matrices(isa, [m, n, k], a, b, c))
}

/// Steps of the sum between two barriers, as the shader has it.
const DEPTH: usize = 8;

/// How the sums of a matrix product are cut into parts, so that few tiles with long sums still occupy the whole device.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// The number of parts. Each has its own layer of the grid and its own result.
    pub(super) parts: usize,
    /// Steps of the sum in each part.
    pub(super) part: usize,
}

impl Split {
    /// For sums of `inner` steps, so that there are `target` workgroups instead of this many. No part is shorter than `shortest`, and
    /// all but the last are multiples of `depth`.
    pub(super) fn of(target: usize, groups: usize, inner: usize, [shortest, depth]: [usize; 2]) -> Split {
        let parts = target.div_ceil(groups.max(1)).min(inner / shortest).max(1);
        let part = inner.div_ceil(parts).max(1).next_multiple_of(depth);
        Split { parts: inner.div_ceil(part).max(1), part }
    }

    /// Launches a product that writes one result of this shape for each part, and adds these up.
    pub(super) fn sum(self, run: LaunchBuilder, shape: Shape) -> Tensor {
        if self.parts == 1 {
            return run.write(shape);
        }
        match run.result_dtype() {
            Dtype::F32 => run.write([self.parts, shape.count()]).sum(&[0], false).reshape(shape),
            dtype => reduce::sum_of_parts(&run.dtype(Dtype::F32).write([self.parts, shape.count()]), shape, dtype),
        }
    }

    /// Launches such a product, and adds its result to `sum`. The kernel has a constant `ACCUMULATE` for it.
    pub(super) fn add_to(self, run: LaunchBuilder, sum: &mut Tensor) {
        match self.parts {
            1 => run.set("ACCUMULATE", 1).update([sum]),
            parts => reduce::add_parts(sum, &run.dtype(Dtype::F32).write([parts, sum.count()])),
        }
    }
}

/// How a matrix product is cut into the tiles of shaders/lib/tile.wgsl.
pub(super) struct Tiles {
    /// The number of tiles.
    count: usize,
    /// Invocations of a workgroup along columns and along rows. Each computes 8 × 8 numbers unless one of the next two is set.
    across: usize,
    down: usize,
    /// Whether each invocation computes 8 × 16 numbers, or 4 × 8.
    wide: bool,
    short: bool,
    /// The number of products of this size in one launch.
    products: usize,
    /// The parts of each sum.
    pub(super) split: Split,
}

impl Tiles {
    /// For `products` products of `rows` by `cols`, summed over `inner` steps.
    pub(super) fn of(machine: &Arc<dyn Accelerator>, [rows, cols]: [usize; 2], products: usize, inner: usize) -> Tiles {
        let registers = machine.limits().registers;
        let (wide, short) = (registers >= 128 && rows > 16 && cols > 128, registers < 64);
        // With few rows (images of few channels) a wide tile is used rather than a half empty one, and likewise for columns.
        let (across, down) = match (rows, cols) {
            (..=16, _) => (32, 2),
            (..=32, _) if wide => (16, 4),
            (..=32, _) => (32, 4),
            (_, ..=64) => (8, 16),
            _ => (16, 8),
        };
        // A tile of short invocations has as many rows, and twice the invocations.
        let down = if short { 2 * down } else { down };
        let count = rows.div_ceil(if short { 4 } else { 8 } * down) * cols.div_ceil(across * if wide { 16 } else { 8 });
        let split = Split::of(machine.limits().target_workgroups as usize, count * products, inner, [128, DEPTH]);
        Tiles { count, across, down, wide, short, products, split }
    }

    /// A launch of a kernel over these tiles.
    pub(super) fn run(&self, kernel: &'static Kernel) -> LaunchBuilder {
        let run = kernel.groups(self.count).layers(self.products * self.split.parts).set("ACROSS", self.across);
        let run = run.set("DOWN", self.down).set("INVOCATIONS", self.across * self.down);
        let (a_quads, quads) = (if self.short { 1 } else { 2 }, if self.wide { 4 } else { 2 });
        let run = run.set("WIDE", usize::from(self.wide)).set("SHORT", usize::from(self.short));
        run.set("A_LENGTH", DEPTH * (a_quads * self.down + 1)).set("B_LENGTH", DEPTH * (quads * self.across + 1))
    }
}
