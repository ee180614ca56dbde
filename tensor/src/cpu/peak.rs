//! The fastest rate of multiply-adds that one core reaches with operands in registers: what a kernel's rate is compared with.

use std::hint::black_box;
use std::time::Instant;

use super::simd::{Isa, SimdKernel, Vector};

/// The most sums that do not wait for each other. There are as many as in a matrix tile: at least a multiply-add's latency of 4 cycles
/// times the number of units, which is 2, or 4 on the largest Arm processors.
const SUMS: usize = 24;
/// Multiply-adds of each sum in one measurement, about a millisecond.
const STEPS: usize = 1 << 18;

impl Isa {
    /// Floating-point operations per second of the calling thread with these instructions, where a multiply-add counts as two and all
    /// operands are in registers. The best of 20 measurements of about a millisecond each.
    ///
    /// # Panics
    /// If the processor does not have these instructions.
    pub fn peak_flops(self) -> f64 {
        self.force(|| {
            let measure = |_| {
                let (mut numbers, started) = (0, Instant::now());
                self.dispatch(MultiplyAdd { numbers: &mut numbers });
                (2 * STEPS * numbers) as f64 / started.elapsed().as_secs_f64()
            };
            (0..20).map(measure).fold(0.0, f64::max)
        })
    }
}

struct MultiplyAdd<'a> {
    /// Of all sums.
    numbers: &'a mut usize,
}

impl SimdKernel for MultiplyAdd<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (a, b) = (V::splat(black_box(0.999)), V::splat(black_box(1e-6)));
        let mut sums = [V::splat(black_box(1.0)); SUMS];
        for _ in 0..STEPS {
            for sum in &mut sums[..V::ROWS * V::VECTORS] {
                *sum = sum.add_product(a, b); // on Arm a multiply-add overwrites its summand, so that must be the sum
            }
        }
        let mut out = vec![0.0; SUMS * V::LANES];
        for (sum, out) in sums.iter().zip(out.chunks_exact_mut(V::LANES)) {
            sum.write(out);
        }
        black_box(out);
        *self.numbers = V::ROWS * V::VECTORS * V::LANES;
    }
}
