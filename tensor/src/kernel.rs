//! A shader by name, and one launch of it, as an operation hands them to an [`Accelerator`](crate::Accelerator).

use crate::device::Span;

/// An entry point of a WGSL file.
#[derive(Debug)]
pub struct Kernel {
    /// Source: the files of `shaders/lib` it uses, then its own.
    pub wgsl: &'static [&'static str],
    /// The function to run.
    pub entry: &'static str,
    /// Whether a machine may leave out its checks of indices and loops, which cost the hot tiles a third of their speed.
    pub unchecked: bool,
}

impl Kernel {
    /// A kernel that runs with all checks.
    pub(crate) const fn checked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: false }
    }

    /// A kernel that never indexes outside what it is given, as the tests see with the checks on.
    pub(crate) const fn unchecked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: true }
    }
}

/// One run of a kernel over a grid of workgroups.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What to run.
    pub kernel: &'static Kernel,
    /// Values of the shader's `override` constants; each combination is compiled once.
    pub constants: &'a [(&'static str, f64)],
    /// What it only reads, in the order of its bindings (group 0, from 0).
    pub reads: &'a [Span],
    /// What it writes, bound after `reads`. What is updated in place is listed here alone.
    pub writes: &'a [Span],
    /// Small numbers that change from launch to launch, at most 64 (group 1, binding 0); floats travel by their bits.
    pub params: &'a [u32],
    /// Workgroups along x, y and z, each at most [`Limits::groups`](crate::Limits::groups).
    pub groups: [u32; 3],
}

/// Which item an invocation works on.
pub(crate) const GRID: &str = include_str!("../../shaders/lib/grid.wgsl");
/// Exponentials and logarithms.
pub(crate) const MATH: &str = include_str!("../../shaders/lib/math.wgsl");
/// Sums over a workgroup.
pub(crate) const SUM: &str = include_str!("../../shaders/lib/sum.wgsl");
/// A matrix product in tiles.
pub(crate) const TILE: &str = include_str!("../../shaders/lib/tile.wgsl");
