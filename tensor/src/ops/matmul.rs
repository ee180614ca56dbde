//! Matrix products:  `nn` c = a·b,  `nt` c = a·bᵀ,  `tn` c = aᵀ·b.
//! c: [m, n], summed over k; the letters say which operand lies transposed in memory.

use crate::cpu::gemm::{Matrix, multiply, store_rows};
use crate::cpu::parallel::Disjoint;
use crate::cpu::simd::Isa;
use crate::tensor::Tensor;

impl Tensor {
    /// `self·rhs`: `[m, k]`·`[k, n]` → `[m, n]`.
    ///
    /// # Panics
    /// Unless both are matrices whose inner sizes agree.
    #[track_caller]
    pub fn matmul(&self, rhs: &Tensor) -> Tensor {
        let ([m, k], [k2, n]) = (self.shape().matrix("matmul"), rhs.shape().matrix("matmul"));
        assert_eq!(k, k2, "matmul: {} times {}", self.shape(), rhs.shape());
        product([m, n, k], Matrix { data: self.data(), row: k, col: 1 }, Matrix { data: rhs.data(), row: n, col: 1 })
    }

    /// `self·rhsᵀ`: `[m, k]`·`[n, k]`ᵀ → `[m, n]`. A linear layer's product, its weight being `[out, in]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many columns.
    #[track_caller]
    pub fn matmul_nt(&self, rhs: &Tensor) -> Tensor {
        let ([m, k], [n, k2]) = (self.shape().matrix("matmul_nt"), rhs.shape().matrix("matmul_nt"));
        assert_eq!(k, k2, "matmul_nt: {} times the transpose of {}", self.shape(), rhs.shape());
        product([m, n, k], Matrix { data: self.data(), row: k, col: 1 }, Matrix { data: rhs.data(), row: 1, col: k })
    }

    /// `selfᵀ·rhs`: `[k, m]`ᵀ·`[k, n]` → `[m, n]`.
    ///
    /// # Panics
    /// Unless both are matrices with as many rows.
    #[track_caller]
    pub fn matmul_tn(&self, rhs: &Tensor) -> Tensor {
        let ([k, m], [k2, n]) = (self.shape().matrix("matmul_tn"), rhs.shape().matrix("matmul_tn"));
        assert_eq!(k, k2, "matmul_tn: the transpose of {} times {}", self.shape(), rhs.shape());
        product([m, n, k], Matrix { data: self.data(), row: 1, col: m }, Matrix { data: rhs.data(), row: n, col: 1 })
    }
}

fn product([m, n, k]: [usize; 3], a: Matrix, b: Matrix) -> Tensor {
    let (b, isa) = (b.transposed(), Isa::current());
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
