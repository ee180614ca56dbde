//! What an operation asks of an [`Accelerator`](crate::Accelerator): to launch a kernel on spans of buffers.

/// Names one buffer of one accelerator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BufferId(pub u64);

/// The part of a buffer that holds one tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// The buffer.
    pub buffer: BufferId,
    /// The first element, a multiple of [`Limits::alignment`](crate::Limits::alignment).
    pub start: usize,
    /// The number of elements.
    pub len: usize,
}

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
