//! Binary cross-entropy of logits l `[N, D]` and targets x `[B, D]`, summed over each row of l. N is a multiple of B, and row n of l
//! belongs to row b = ⌊n·B/N⌋ of x:
//!   y[n] = Σ_d ln(1 + e^l[n, d]) − x[b, d]·l[n, d]             dl[n, d] = dy[n]·(σ(l[n, d]) − x[b, d]),  σ(l) = 1/(1 + e⁻ˡ)
//! The first two terms are computed as max(l, 0) − x·l + ln(1 + e^−|l|). So they are exact where x is 0 or 1 and |l| is large.

use crate::cpu::elementary::{exp, ln_1p, logistic};
use crate::cpu::parallel;
use crate::cpu::simd::{Isa, SimdKernel, Vector};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 4] = [shaders::GRID, shaders::MATH, shaders::SUM, shaders::BCE];
pub(super) static BCE_WITH_LOGITS: Kernel = Kernel::checked(&WGSL, "bce_with_logits");
pub(super) static BCE_WITH_LOGITS_GRADIENT: Kernel = Kernel::checked(&WGSL, "bce_with_logits_gradient");

/// Numbers of a row that are added in f32, in sixteen sums beside each other.
const TILE: usize = 512;

impl Tensor {
    /// The binary cross-entropy of each row, in nats, where this tensor has the logits l: `[N, D]` and targets x `[B, D]` → `[N]`,
    /// `Σ_d ln(1 + eˡ) − x·l`. N/B rows of logits, one after the other, have the same row of targets. If every x is 0 or 1, this is
    /// −ln of the probability of x under independent Bernoullis with means sigmoid(l). (PyTorch's
    /// `binary_cross_entropy_with_logits(l, x, reduction="none").sum(1)`, with `x.repeat_interleave(N // B, 0)`.)
    ///
    /// # Panics
    /// Unless both are matrices with rows of one size, and N is a multiple of B.
    #[track_caller]
    pub fn bce_with_logits(&self, targets: &Tensor) -> Tensor {
        let [rows, size, repeats] = sizes("bce_with_logits", self, targets);
        if let Device::Gpu(_) = self.device() {
            let run = BCE_WITH_LOGITS.groups(rows).read(self).read(targets).params([rows, size, repeats]);
            return run.write([rows]);
        }
        let (l, x, isa) = (self.data(), targets.data(), Isa::current());
        Tensor::build("bce_with_logits", &[self, targets], [rows].into(), |sums| {
            parallel::dispatch_rows(sums, 1, size, &|row, sum| {
                let [l, x] = pair([l, x], row, size, repeats);
                isa.dispatch(Row { l, x, sum: &mut sum[0] });
            });
        })
    }

    /// The gradient of [`bce_with_logits`](Tensor::bce_with_logits)'s logits, `dy·(sigmoid(l) − x)`, `[N, D]`, where this tensor is the
    /// gradient dy of the result, `[N]`.
    ///
    /// # Panics
    /// If the shapes are not those of one `bce_with_logits`.
    #[track_caller]
    pub fn bce_with_logits_gradient(&self, logits: &Tensor, targets: &Tensor) -> Tensor {
        let what = "bce_with_logits_gradient";
        let [rows, size, repeats] = sizes(what, logits, targets);
        assert_eq!(self.shape()[..], [rows], "{what}: the gradient of {rows} rows is {}", self.shape());
        if let Device::Gpu(_) = self.device() {
            let run = BCE_WITH_LOGITS_GRADIENT.over(rows * size).read(self).read(logits).read(targets);
            return run.params([rows, size, repeats]).write(logits.shape());
        }
        let (dy, l, x, isa) = (self.data(), logits.data(), targets.data(), Isa::current());
        Tensor::build(what, &[self, logits, targets], *logits.shape(), |dl| {
            parallel::dispatch_rows(dl, size, size, &|row, dl| {
                let [l, x] = pair([l, x], row, size, repeats);
                isa.dispatch(RowGradient { dy: dy[row], l, x, dl });
            });
        })
    }
}

/// The numbers of rows, of numbers in a row, and of rows of logits for each row of targets.
#[track_caller]
fn sizes(what: &str, logits: &Tensor, targets: &Tensor) -> [usize; 3] {
    let ([rows, size], [images, width]) = (logits.shape().matrix(what), targets.shape().matrix(what));
    let fits = size == width && rows.checked_rem(images).unwrap_or(rows) == 0;
    assert!(fits, "{what}: logits {} for targets {}", logits.shape(), targets.shape());
    [rows, size, rows.checked_div(images).unwrap_or(1)]
}

/// A row of logits and its row of targets.
fn pair([l, x]: [&[f32]; 2], row: usize, size: usize, repeats: usize) -> [&[f32]; 2] {
    [&l[row * size..][..size], &x[row / repeats * size..][..size]]
}

struct Row<'a> {
    l: &'a [f32],
    x: &'a [f32],
    sum: &'a mut f32,
}

impl SimdKernel for Row<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let mut total = 0.0;
        for (l, x) in self.l.chunks(TILE).zip(self.x.chunks(TILE)) {
            let ((l, l_rest), (x, x_rest)) = (l.as_chunks::<16>(), x.as_chunks::<16>());
            let mut sums = [0.0; 16];
            for (l, x) in l.iter().zip(x) {
                sums.iter_mut().zip(l.iter().zip(x)).for_each(|(sum, (&l, &x))| *sum += term(l, x));
            }
            sums.iter_mut().zip(l_rest.iter().zip(x_rest)).for_each(|(sum, (&l, &x))| *sum += term(l, x));
            total += f64::from(sums.iter().sum::<f32>());
        }
        *self.sum = total as f32;
    }
}

/// max(l, 0) − x·l + ln(1 + e^−|l|).
#[inline(always)]
fn term(l: f32, x: f32) -> f32 {
    ((if l > 0.0 { l } else { 0.0 }) - x * l) + ln_1p(exp(-l.abs()))
}

struct RowGradient<'a> {
    dy: f32,
    l: &'a [f32],
    x: &'a [f32],
    dl: &'a mut [f32],
}

impl SimdKernel for RowGradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let RowGradient { dy, l, x, dl } = self;
        dl.iter_mut().zip(l.iter().zip(x)).for_each(|(dl, (&l, &x))| *dl = dy * (logistic(l) - x));
    }
}
