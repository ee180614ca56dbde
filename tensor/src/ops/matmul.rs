//! Matrix products:  `nn` c = a·b,  `nt` c = a·bᵀ,  `tn` c = aᵀ·b.
//! c: [m, n], summed over k; the letters say which operand lies transposed in memory.

use std::sync::Arc;

use crate::cpu::gemm::{Matrix, multiply, store_rows};
use crate::cpu::parallel::Disjoint;
use crate::cpu::simd::Isa;
use crate::device::{Accelerator, Device};
use crate::kernel::Kernel;
use crate::launch::Run;
use crate::shape::Shape;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::TILE, shaders::MATMUL];
pub(super) static MATMUL: Kernel = Kernel::unchecked(&WGSL, "matmul");

impl Tensor {
    /// `self·rhs`: `[m, k]`·`[k, n]` → `[m, n]`.
    ///
    /// # Panics
    /// Unless both are matrices whose inner sizes agree.
    #[track_caller]
    pub fn matmul(&self, rhs: &Tensor) -> Tensor {
        let ([m, k], [k2, n]) = (self.shape().matrix("matmul"), rhs.shape().matrix("matmul"));
        assert_eq!(k, k2, "matmul: {} times {}", self.shape(), rhs.shape());
        product([m, n, k], (self, [k, 1]), (rhs, [n, 1]))
    }

    /// `self·rhsᵀ`: `[m, k]`·`[n, k]`ᵀ → `[m, n]`. A linear layer's product, its weight being `[out, in]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many columns.
    #[track_caller]
    pub fn matmul_nt(&self, rhs: &Tensor) -> Tensor {
        let ([m, k], [n, k2]) = (self.shape().matrix("matmul_nt"), rhs.shape().matrix("matmul_nt"));
        assert_eq!(k, k2, "matmul_nt: {} times the transpose of {}", self.shape(), rhs.shape());
        product([m, n, k], (self, [k, 1]), (rhs, [1, k]))
    }

    /// `selfᵀ·rhs`: `[k, m]`ᵀ·`[k, n]` → `[m, n]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many rows.
    #[track_caller]
    pub fn matmul_tn(&self, rhs: &Tensor) -> Tensor {
        let ([k, m], [k2, n]) = (self.shape().matrix("matmul_tn"), rhs.shape().matrix("matmul_tn"));
        assert_eq!(k, k2, "matmul_tn: the transpose of {} times {}", self.shape(), rhs.shape());
        product([m, n, k], (self, [1, m]), (rhs, [n, 1]))
    }
}

/// c = a·b, each operand with the steps from row to row and from column to column in memory.
fn product([m, n, k]: [usize; 3], (a, a_steps): (&Tensor, [usize; 2]), (b, b_steps): (&Tensor, [usize; 2])) -> Tensor {
    if let Device::Gpu(machine) = a.device() {
        // Quads lie along a's rows and b's columns, and are whole where those are counted in fours.
        let (a_quads, b_quads) = (a_steps[0] == 1 && m % 4 == 0, b_steps[1] == 1 && n % 4 == 0);
        let tiles = Tiles::of(&machine, [m, n], 1, k);
        let run = tiles.run(&MATMUL).read(a).read(b);
        let run = run.set("A_ALONG_K", usize::from(a_steps[1] == 1)).set("B_ALONG_K", usize::from(b_steps[0] == 1));
        let run = run.set("A_QUADS", usize::from(a_quads)).set("B_QUADS", usize::from(b_quads));
        let run = run.params([m, n, k, tiles.part]).params(a_steps).params(b_steps);
        return tiles.sum(run, [m, n].into());
    }
    let a = Matrix { data: a.data(), row: a_steps[0], col: a_steps[1] };
    let b = Matrix { data: b.data(), row: b_steps[0], col: b_steps[1] }.transposed();
    let isa = Isa::current();
    Tensor::build([m, n].into(), |c| {
        let c = Disjoint::new(c);
        multiply(
            [m, n, k],
            &|rows, ks, width, panel| a.pack(isa, rows, ks, width, panel),
            &|cols, ks, width, panel| b.pack(isa, cols, ks, width, panel),
            &|rows, cols, sums, stride| store_rows(&c, n, rows, cols, sums, stride),
        );
    })
}

/// Steps of the sum between two barriers, as the shader has it.
const DEPTH: usize = 8;

/// How a product is cut into the tiles of shaders/lib/tile.wgsl.
pub(super) struct Tiles {
    /// How many.
    count: usize,
    /// Invocations of a workgroup along columns and along rows; each makes 8 × 8 numbers.
    across: usize,
    down: usize,
    /// Whether each makes 8 × 16.
    wide: bool,
    /// Products of this size that are run side by side.
    products: usize,
    /// Parts that the sum is cut into, so that few tiles with long sums still keep all of a machine busy.
    pub(super) parts: usize,
    /// Steps of the sum of each part.
    pub(super) part: usize,
}

impl Tiles {
    /// For `products` products of `rows` by `cols`, summed over `inner` steps.
    pub(super) fn of(machine: &Arc<dyn Accelerator>, [rows, cols]: [usize; 2], products: usize, inner: usize) -> Tiles {
        let wide = machine.limits().registers >= 128 && rows > 16 && cols > 128;
        // Where there are few rows (images of few channels), a tile is wide rather than half empty, and the other way round.
        let (across, down) = match (rows, cols) {
            (..=16, _) => (32, 2),
            (..=32, _) if wide => (16, 4),
            (..=32, _) => (32, 4),
            (_, ..=64) => (8, 16),
            _ => (16, 8),
        };
        let count = rows.div_ceil(8 * down) * cols.div_ceil(across * if wide { 16 } else { 8 });
        // Enough to keep the machine busy, but no part shorter than 128 steps.
        let target = machine.limits().target_workgroups as usize;
        let parts = target.div_ceil((count * products).max(1)).min(inner / 128).max(1);
        let part = inner.div_ceil(parts).max(1).next_multiple_of(DEPTH);
        Tiles { count, across, down, wide, products, parts: inner.div_ceil(part).max(1), part }
    }

    /// A run of a kernel over these tiles.
    pub(super) fn run(&self, kernel: &'static Kernel) -> Run {
        let run = kernel.groups(self.count).layers(self.products * self.parts).set("ACROSS", self.across);
        let run = run.set("DOWN", self.down).set("INVOCATIONS", self.across * self.down);
        let quads = if self.wide { 4 } else { 2 };
        let run = run.set("WIDE", usize::from(self.wide));
        run.set("A_LENGTH", DEPTH * (2 * self.down + 1)).set("B_LENGTH", DEPTH * (quads * self.across + 1))
    }

    /// Runs a product that writes a result of this shape a part, and adds them up.
    pub(super) fn sum(&self, run: Run, shape: Shape) -> Tensor {
        if self.parts == 1 {
            return run.write(shape);
        }
        run.write([self.parts, shape.count()]).sum(&[0], false).reshape(shape)
    }
}
