//! How the file of an operation launches its kernel:  `SUM.over(rows).read(x).params([rows, cols]).write([rows])`.
//! Constants are compiled into the kernel; parameters are passed with each launch. The result is allocated on the accelerator that
//! holds the inputs.

use std::sync::Arc;

use crate::device::{Accelerator, Device};
use crate::kernel::{Dtype, Kernel, Launch};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::trace;

/// Invocations of a workgroup, unless a shader needs another number.
const GROUP: usize = 256;

static WGSL: [&str; 2] = [shaders::GRID, shaders::LAYOUT];
/// Moves elements from one place to another. Permutations and slices use it, and so does the copy of a shared tensor.
pub(crate) static LAYOUT_MOVE: Kernel = Kernel::checked(&WGSL, "layout_move").of_any_dtype();
/// Converts elements between f32 and f16.
pub(crate) static LAYOUT_CONVERT: Kernel = Kernel::checked(&WGSL, "layout_convert").of_any_dtype();
/// Writes one value everywhere.
pub(crate) static LAYOUT_FILL: Kernel = Kernel::checked(&WGSL, "layout_fill").of_any_dtype();

/// Collects the constants, inputs and parameters of one launch.
pub(crate) struct LaunchBuilder {
    kernel: &'static Kernel,
    operation: &'static str,
    groups: usize,
    layers: usize,
    dtype: Dtype, // of the results
    constants: Vec<(&'static str, f64)>,
    reads: Vec<Tensor>,
    params: Vec<u32>,
}

impl Kernel {
    /// A launch with one invocation for each item.
    pub(crate) fn over(&'static self, items: usize) -> LaunchBuilder {
        self.groups(items.div_ceil(GROUP))
    }

    /// A launch of this many workgroups.
    pub(crate) fn groups(&'static self, groups: usize) -> LaunchBuilder {
        let (constants, reads, params) = (Vec::new(), Vec::with_capacity(8), Vec::with_capacity(16));
        let (operation, layers, dtype) = (self.entry, 1, Dtype::F32);
        LaunchBuilder { kernel: self, operation, groups, layers, dtype, constants, reads, params }
    }
}

impl LaunchBuilder {
    /// The name of the operation, for `TENSOR_TRACE`, where it is not that of the kernel.
    pub(crate) fn named(mut self, operation: &'static str) -> LaunchBuilder {
        self.operation = operation;
        self
    }

    /// Repeats the grid this many times along z.
    pub(crate) fn layers(mut self, layers: usize) -> LaunchBuilder {
        self.layers = layers;
        self
    }

    /// Sets a constant that is compiled into the shader.
    pub(crate) fn set(mut self, constant: &'static str, value: usize) -> LaunchBuilder {
        self.constants.push((constant, value as f64));
        self
    }

    /// Gives the results this type; otherwise they are f32.
    pub(crate) fn dtype(mut self, dtype: Dtype) -> LaunchBuilder {
        debug_assert!(dtype == Dtype::F32 || self.kernel.any_dtype, "{}: its buffers hold f32", self.kernel.entry);
        self.dtype = dtype;
        self
    }

    /// The type of the results.
    pub(crate) fn result_dtype(&self) -> Dtype {
        self.dtype
    }

    /// Binds a tensor that the kernel reads. For a kernel that has only f32, one of f16 is converted first.
    #[track_caller]
    pub(crate) fn read(mut self, x: &Tensor) -> LaunchBuilder {
        if let Some(first) = self.reads.first() {
            check_device(self.kernel, first, x);
        }
        self.reads.push(if self.kernel.any_dtype { x.clone() } else { x.to_dtype(Dtype::F32) });
        self
    }

    /// Appends whole numbers to the parameters.
    pub(crate) fn params(mut self, numbers: impl IntoIterator<Item = usize>) -> LaunchBuilder {
        let word = |number: usize| u32::try_from(number).expect("a buffer holds fewer than 2³² elements");
        self.params.extend(numbers.into_iter().map(word));
        self
    }

    /// Appends real numbers to the parameters.
    pub(crate) fn floats(mut self, numbers: impl IntoIterator<Item = f32>) -> LaunchBuilder {
        self.params.extend(numbers.into_iter().map(f32::to_bits));
        self
    }

    /// Appends sizes or strides to the parameters, padded in front with `pad` to the eight that a shader declares.
    pub(crate) fn sizes(self, sizes: &[usize], pad: usize) -> LaunchBuilder {
        let padding = std::iter::repeat_n(pad, 8 - sizes.len());
        self.params(padding.chain(sizes.iter().copied()))
    }

    /// Launches the kernel and returns its result.
    #[track_caller]
    pub(crate) fn write(self, shape: impl Into<Shape>) -> Tensor {
        let [result] = self.write_all([shape.into()]);
        result
    }

    /// Launches the kernel and returns all its results.
    #[track_caller]
    pub(crate) fn write_all<const N: usize>(self, shapes: [Shape; N]) -> [Tensor; N] {
        let dtype = self.dtype;
        self.write_as(shapes.map(|shape| (shape, dtype)))
    }

    /// Launches the kernel and returns all its results, each with a type of its own.
    #[track_caller]
    pub(crate) fn write_as<const N: usize>(self, results: [(Shape, Dtype); N]) -> [Tensor; N] {
        let machine = self.machine();
        let results = results.map(|(shape, dtype)| Tensor::on_device_as(&machine, shape, dtype));
        self.launch(&machine, &results.each_ref());
        results
    }

    /// Launches the kernel on tensors that it changes in place. Tensors that share their elements are copied first. For a kernel that has
    /// only f32, tensors of f16 become f32.
    #[track_caller]
    pub(crate) fn update<const N: usize>(self, tensors: [&mut Tensor; N]) {
        // A buffer's number means another buffer on another machine.
        let first = self.reads.first().unwrap_or(&*tensors[0]);
        tensors.iter().for_each(|tensor| check_device(self.kernel, first, tensor));
        let Device::Gpu(machine) = tensors[0].device() else { panic!("{}: a tensor on the CPU", self.kernel.entry) };
        let tensors = tensors.map(|tensor| {
            if tensor.dtype() == Dtype::F16 && !self.kernel.any_dtype {
                *tensor = tensor.to_dtype(Dtype::F32);
            }
            if tensor.is_shared() {
                *tensor = copied(tensor);
            }
            &*tensor
        });
        self.launch(&machine, &tensors);
    }

    /// Launches a kernel that reads no tensor, and returns its result on `machine`.
    pub(crate) fn write_on(self, machine: &Arc<dyn Accelerator>, shape: Shape) -> Tensor {
        let result = Tensor::on_device(machine, shape);
        self.launch(machine, &[&result]);
        result
    }

    #[track_caller]
    fn machine(&self) -> Arc<dyn Accelerator> {
        match self.reads.first().expect("a kernel without inputs is launched by write_on").device() {
            Device::Gpu(machine) => machine,
            Device::Cpu => panic!("{}: {} is on the CPU", self.kernel.entry, self.reads[0].shape()),
        }
    }

    fn launch(self, machine: &Arc<dyn Accelerator>, writes: &[&Tensor]) {
        // Workgroups are counted along x. If there are more than one dimension may have, they continue along y (shaders/lib/grid.wgsl).
        let rows = self.groups.div_ceil(machine.limits().groups as usize).max(1);
        let groups = [self.groups.div_ceil(rows) as u32, rows as u32, self.layers as u32];
        let shapes = (self.reads.iter().map(Tensor::shape), writes.iter().map(|x| x.shape()));
        trace::launch(self.operation, shapes.0, shapes.1, machine.name(), self.kernel, groups);
        let reads: Vec<_> = self.reads.iter().map(Tensor::span).collect();
        let writes: Vec<_> = writes.iter().map(|x| x.span()).collect();
        let LaunchBuilder { kernel, constants, params, .. } = self;
        let (constants, reads, writes) = (&constants[..], &reads[..], &writes[..]);
        machine.launch(Launch { kernel, constants, reads, writes, params: &params, groups });
    }
}

/// Panics unless both tensors are on the same device.
#[track_caller]
fn check_device(kernel: &Kernel, a: &Tensor, b: &Tensor) {
    let (here, there) = (a.device(), b.device());
    let other = if here != there && here.name() == there.name() { "another context of " } else { "" };
    assert!(here == there, "{}: {} is on {here} and {} on {other}{there}", kernel.entry, a.shape(), b.shape());
}

/// A launch that copies elements of `x`, one for each place of `sizes`. `from` and `to` are the strides in `x` and in the result,
/// `starts` the first elements in both.
pub(crate) fn moved(x: &Tensor, sizes: &Shape, [from, to]: [&Shape; 2], starts: [usize; 2]) -> LaunchBuilder {
    let run = LAYOUT_MOVE.over(sizes.count()).read(x).dtype(x.dtype()).sizes(sizes, 1).sizes(from, 0).sizes(to, 0);
    run.params(starts).params([sizes.count()])
}

/// A copy of a tensor on an accelerator that shares its elements with no other.
fn copied(x: &Tensor) -> Tensor {
    moved(x, &[x.count()].into(), [&[1].into(), &[1].into()], [0, 0]).named("copy").write(x.shape())
}
