//! The parts of a convolution that are convolutions of stride 1, as Winograd's algorithm needs them.
//!
//! At stride s the rows and columns of the larger image, and the taps of the kernel, fall into s² phases by their places modulo s. Each
//! phase of the taps has r × r of them, or fewer, and slides over neighbouring pixels:
//!
//! ```text
//!   forward   y[p]          = Σ_φ Σ_i w[s·i + φ] · x[s·(p + i) + φ − padding]
//!   adjoint   x[s·g + φ]    = Σ_i w[t + s·(r−1−i)] · y[g + (φ + padding − t)/s − (r−1) + i]      with t = (φ + padding) mod s
//! ```
//! So a forward pass adds up its phases, and each phase of an adjoint has its own pixels. At stride 1 there is one phase.

use super::window::Window;
use super::winograd_tile::Tile;

/// Which image a convolution computes from which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `y[batch, out, output]` from `x[batch, in, input]`.
    Forward,
    /// `x` from `y`.
    Adjoint,
}

/// A convolution of stride 1 within another one.
pub(super) struct Phase {
    /// The pixel of the first place and tap: row and column, which may be outside of the image.
    pub(super) first: [isize; 2],
    /// The distance between the pixels of neighbouring places.
    pub(super) step: usize,
    /// The tap of the kernel at each place of T's kernel. A place without a tap has the one after the last, whose weight is 0.
    pub(super) taps: Vec<usize>,
    /// The pixel of the first result.
    pub(super) to: [usize; 2],
    /// The distance between the pixels of neighbouring results.
    pub(super) to_step: usize,
}

/// The tap at each place of T's kernel, from the tap of each row or column of that kernel.
fn taps<T: Tile>(window: &Window, tap: impl Fn(usize, usize) -> usize) -> Vec<usize> {
    let at = |[i, j]: [usize; 2]| match [tap(0, i), tap(1, j)] {
        [row, column] if row < window.kernel[0] && column < window.kernel[1] => row * window.kernel[1] + column,
        _ => window.taps(),
    };
    (0..T::TAPS).flat_map(|i| (0..T::TAPS).map(move |j| [i, j])).map(at).collect()
}

/// The phases of a forward pass.
pub(super) fn forward<T: Tile>(window: &Window) -> Vec<Phase> {
    let s = window.stride;
    let phase = |phase: [usize; 2]| Phase {
        first: phase.map(|at| at as isize - window.padding as isize),
        step: s,
        taps: taps::<T>(window, |d, i| s * i + phase[d]),
        to: [0, 0],
        to_step: 1,
    };
    window.phases().map(phase).collect()
}

/// The phases of an adjoint.
pub(super) fn adjoint<T: Tile>(window: &Window) -> Vec<Phase> {
    let (s, last) = (window.stride, T::TAPS - 1);
    let phase = |phase: [usize; 2]| Phase {
        first: phase.map(|at| ((at + window.padding) / s) as isize - last as isize),
        step: 1,
        taps: taps::<T>(window, |d, i| (phase[d] + window.padding) % s + s * (last - i)),
        to: phase,
        to_step: s,
    };
    window.phases().map(phase).collect()
}

/// The image that a gradient's tiles are read from, pixel by pixel.
pub(super) fn gradient() -> Phase {
    Phase { first: [0, 0], step: 1, taps: Vec::new(), to: [0, 0], to_step: 1 }
}
