//! What an operation asks of an [`Accelerator`](crate::Accelerator): to launch a kernel on spans of buffers.

/// The type of a tensor's elements. On the CPU it is always f32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Dtype {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits (IEEE 754): 11 significant bits, up to 65,504. An accelerator has it if [`Limits::f16`](crate::Limits::f16) says so.
    F16,
}

impl Dtype {
    /// The bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
        }
    }
}

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
    /// Their type.
    pub dtype: Dtype,
}

impl Span {
    /// The bytes from the start of the buffer to its first element.
    pub fn offset(&self) -> u64 {
        self.dtype.bytes() as u64 * self.start as u64
    }

    /// The bytes of its elements.
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes() as u64 * self.len as u64
    }
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
    /// Whether the source names the types of its buffers' numbers T0, T1, … instead of f32, so that each may be f32 or f16. It is so
    /// for all kernels of a file or for none.
    pub any_dtype: bool,
}

/// The most buffers of a kernel whose buffers may have any type.
const TYPED_BUFFERS: u32 = 10;

impl Kernel {
    /// A kernel that always runs with checks.
    pub(crate) const fn checked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: false, any_dtype: false }
    }

    /// A kernel that never indexes outside its buffers. The tests run it with checks to show that.
    pub(crate) const fn unchecked(wgsl: &'static [&'static str], entry: &'static str) -> Kernel {
        Kernel { wgsl, entry, unchecked: true, any_dtype: false }
    }

    /// The same kernel, whose source names the types of its buffers' numbers T0, T1, ….
    pub(crate) const fn of_any_dtype(self) -> Kernel {
        Kernel { any_dtype: true, ..self }
    }

    /// The whole source for a launch in which the buffers whose bits are set in `f16` hold f16, and the others f32.
    ///
    /// # Panics
    /// If there are such buffers and the kernel has only f32.
    pub fn source(&self, f16: u32) -> String {
        assert!(f16 == 0 || self.any_dtype, "kernel {}: its buffers hold f32", self.entry);
        let mut source = String::new();
        if f16 != 0 {
            source += "enable f16;\n";
        }
        if self.any_dtype {
            let name = |i: u32| if f16 & 1 << i == 0 { "f32" } else { "f16" };
            (0..TYPED_BUFFERS).for_each(|i| source += &format!("alias T{i} = {};\n", name(i)));
        }
        self.wgsl.iter().for_each(|part| source += part);
        source
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

impl Launch<'_> {
    /// The buffers that hold f16: bit i is set for binding i. See [`Kernel::source`].
    pub fn f16(&self) -> u32 {
        let bit = |(i, span): (usize, &Span)| u32::from(span.dtype == Dtype::F16) << i;
        self.reads.iter().chain(self.writes).enumerate().map(bit).sum()
    }
}
