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
    /// The source: first the files of `shaders/lib` that it uses, then its own.
    pub wgsl: &'static [&'static str],
    /// The name of the entry point.
    pub entry: &'static str,
    /// Whether the accelerator may omit its checks of indices and loops. In matrix products these checks cost a third of the speed.
    pub unchecked: bool,
}

impl Kernel {
    /// A kernel that always runs with checks.
    pub(crate) const fn checked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: false }
    }

    /// A kernel that never indexes outside its buffers. The tests run it with checks to show that.
    pub(crate) const fn unchecked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: true }
    }
}

/// One execution of a kernel over a grid of workgroups.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Values of the shader's `override` constants. Each combination is compiled once.
    pub constants: &'a [(&'static str, f64)],
    /// The spans that it only reads, in the order of its bindings (group 0, from 0).
    pub reads: &'a [Span],
    /// The spans that it writes, bound after `reads`. A span that is updated in place is listed only here.
    pub writes: &'a [Span],
    /// Small numbers that change from launch to launch, at most 64 (group 1, binding 0). A float is passed by its bits.
    pub params: &'a [u32],
    /// Workgroups along x, y and z, each at most [`Limits::groups`](crate::Limits::groups).
    pub groups: [u32; 3],
}
