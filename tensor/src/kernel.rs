//! A shader by name, and one launch of it, as an operation hands them to an [`Accelerator`](crate::Accelerator).

use crate::device::BufferId;

/// An entry point of a WGSL file.
#[derive(Debug)]
pub struct Kernel {
    /// Source: the files of `shaders/lib` it uses, then its own.
    pub wgsl: &'static [&'static str],
    /// The function to run.
    pub entry: &'static str,
}

/// One run of a kernel over a grid of workgroups.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What to run.
    pub kernel: &'static Kernel,
    /// Values of the shader's `override` constants; each combination is compiled once.
    pub constants: &'a [(&'static str, f64)],
    /// Buffers it only reads, in the order of its bindings.
    pub reads: &'a [BufferId],
    /// Buffers it writes, bound after `reads`. A buffer updated in place is listed here alone.
    pub writes: &'a [BufferId],
    /// Small numbers that change from launch to launch; floats travel by their bits.
    pub params: &'a [u32],
    /// Workgroups along x, y and z.
    pub groups: [u32; 3],
}
