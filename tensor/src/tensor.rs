//! The tensor: f32, contiguous, row-major. Images are [batch, channels, height, width]. On a GPU some tensors may hold f16.
//!
//! Tensors are values. A clone and a reshaped tensor share the elements; every other operation copies. Only methods on
//! `&mut Tensor` write. They write in place if no other tensor shares the elements, and otherwise copy first.

use std::fmt;
use std::sync::Arc;

use crate::cpu::pool::CpuBuffer;
use crate::device::{Accelerator, Device, DeviceBuffer, Pending};
use crate::error::Result;
use crate::kernel::{Dtype, Span};
use crate::shape::Shape;
use crate::trace;

/// A multi-dimensional array of f32: contiguous, row-major, without views or strides. Images are
/// `[batch, channels, height, width]`.
///
/// A tensor is a value. A clone and a reshaped tensor share its elements; only methods on `&mut Tensor` write, and they copy
/// first if the elements are shared. Operations on tensors of two devices panic.
#[derive(Clone)]
pub struct Tensor {
    storage: Storage,
    shape: Shape,
}

#[derive(Clone)]
enum Storage {
    Cpu(Arc<CpuBuffer>),
    Gpu(Arc<DeviceBuffer>),
}

impl Tensor {
    /// A tensor of these elements, in row-major order, on the CPU.
    ///
    /// # Panics
    /// If `data` does not have as many elements as `shape`.
    #[track_caller]
    pub fn new(data: &[f32], shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        assert_eq!(data.len(), shape.count(), "Tensor::new: {} elements for shape {shape}", data.len());
        Tensor::build("new", &[], shape, |out| out.copy_from_slice(data))
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>) -> Tensor {
        Tensor::full(shape, 0.0)
    }

    /// A tensor of ones.
    pub fn ones(shape: impl Into<Shape>) -> Tensor {
        Tensor::full(shape, 1.0)
    }

    /// A tensor whose every element is `value`.
    pub fn full(shape: impl Into<Shape>, value: f32) -> Tensor {
        Tensor::filled_with(shape.into(), value)
    }

    fn filled_with(shape: Shape, value: f32) -> Tensor {
        Tensor::build("full", &[], shape, |out| out.fill(value))
    }

    /// A tensor without dimensions that holds one number.
    pub fn scalar(value: f32) -> Tensor {
        Tensor::full([], value)
    }

    /// The result of an operation on the CPU, whose name and inputs `TENSOR_TRACE` prints. `fill` must write every element, since the
    /// slice that it receives holds arbitrary numbers.
    pub(crate) fn build(operation: &str, inputs: &[&Tensor], shape: Shape, fill: impl FnOnce(&mut [f32])) -> Tensor {
        let begun = trace::begin();
        let tensor = Tensor::filled_by(shape, fill);
        tensor.print_trace(begun, operation, inputs);
        tensor
    }

    #[inline(never)] // so that it is compiled once, and not once in each operation
    fn print_trace(&self, begun: trace::Begun, operation: &str, inputs: &[&Tensor]) {
        begun.end(operation, inputs.iter().map(|x| x.shape()), &self.shape);
    }

    /// A part of an operation's result, which prints nothing.
    pub(crate) fn filled_by(shape: Shape, fill: impl FnOnce(&mut [f32])) -> Tensor {
        let mut buffer = CpuBuffer::take(shape.count());
        fill(&mut buffer);
        Tensor::of_buffer(buffer, shape)
    }

    #[inline(never)] // so that it is compiled once, and not once in each operation
    fn of_buffer(buffer: CpuBuffer, shape: Shape) -> Tensor {
        Tensor { storage: Storage::Cpu(Arc::new(buffer)), shape }
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// The device that holds the elements.
    pub fn device(&self) -> Device {
        match &self.storage {
            Storage::Cpu(_) => Device::Cpu,
            Storage::Gpu(buffer) => Device::Gpu(buffer.machine.clone()),
        }
    }

    /// The type of the elements. On the CPU it is f32.
    pub fn dtype(&self) -> Dtype {
        match &self.storage {
            Storage::Cpu(_) => Dtype::F32,
            Storage::Gpu(buffer) => buffer.dtype,
        }
    }

    /// The type of a result that keeps f16: f16 if all of these are, else f32.
    pub(crate) fn common_dtype(tensors: &[&Tensor]) -> Dtype {
        let all_f16 = tensors.iter().all(|tensor| tensor.dtype() == Dtype::F16);
        if all_f16 { Dtype::F16 } else { Dtype::F32 }
    }

    /// The elements of a tensor on the CPU, in row-major order.
    ///
    /// # Panics
    /// If the tensor is on another device. [`Tensor::read`] reads from any device.
    #[track_caller]
    pub fn data(&self) -> &[f32] {
        match &self.storage {
            Storage::Cpu(buffer) => buffer,
            Storage::Gpu(buffer) => panic!("the tensor {} is on {}, not on the CPU", self.shape, buffer.machine.name()),
        }
    }

    /// The elements of a tensor on the CPU, for writing. If another tensor shares them, this one gets a copy first.
    ///
    /// # Panics
    /// If the tensor is on another device.
    #[track_caller]
    pub fn data_mut(&mut self) -> &mut [f32] {
        if self.is_shared()
            && let Storage::Cpu(buffer) = &mut self.storage
        {
            *buffer = Arc::new(buffer.copy());
        }
        match &mut self.storage {
            Storage::Cpu(buffer) => Arc::get_mut(buffer).expect("copied above if it was shared"),
            Storage::Gpu(buffer) => panic!("the tensor {} is on {}, not on the CPU", self.shape, buffer.machine.name()),
        }
    }

    /// The elements in row-major order, read from any device. The result is a future; its error is a failure of the device.
    pub fn read(&self) -> Pending<Vec<f32>> {
        match &self.storage {
            Storage::Cpu(buffer) => {
                let data = buffer.to_vec();
                Box::pin(async move { Ok(data) })
            }
            Storage::Gpu(buffer) if buffer.dtype != Dtype::F32 => self.to_dtype(Dtype::F32).read(),
            Storage::Gpu(buffer) => {
                trace::copy("read", &self.shape, buffer.machine.name());
                buffer.machine.read(self.span())
            }
        }
    }

    /// The same elements on `device`. If they are there already, the result shares them. [`cpu`](Tensor::cpu) waits for the result.
    ///
    /// # Errors
    /// If the device that holds the elements failed.
    pub async fn to(&self, device: &Device) -> Result<Tensor> {
        if self.device() == *device {
            return Ok(self.clone());
        }
        let on_cpu = match &self.storage {
            Storage::Cpu(_) => self.clone(),
            Storage::Gpu(_) => Tensor::new(&self.read().await?, self.shape),
        };
        Ok(on_cpu.upload(device))
    }

    /// A copy on `device` of a tensor on the CPU. Unlike [`to`](Tensor::to), this is not a future, since nothing has to be read back.
    ///
    /// # Panics
    /// If the tensor is not on the CPU.
    #[track_caller]
    pub fn upload(&self, device: &Device) -> Tensor {
        let data = self.data();
        let Device::Gpu(machine) = device else { return self.clone() };
        trace::copy("upload", &self.shape, machine.name());
        let tensor = Tensor::on_device(machine, self.shape);
        machine.write(tensor.span().buffer, data);
        tensor
    }

    /// A copy on the CPU, or this tensor if it is there already. It waits for the device, which a browser does not allow;
    /// [`to`](Tensor::to) is a future instead, and returns a failure of the device as an error.
    ///
    /// # Panics
    /// If the device that holds the elements failed.
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
    #[track_caller]
    pub fn cpu(&self) -> Tensor {
        match pollster::block_on(self.to(&Device::Cpu)) {
            Ok(tensor) => tensor,
            Err(error) => panic!("{error}"),
        }
    }

    /// The only element. On a GPU this waits as [`cpu`](Tensor::cpu) does.
    ///
    /// # Panics
    /// If there is not exactly one element, or the device that holds it failed. In a browser also if it is not on the CPU.
    #[track_caller]
    pub fn item(&self) -> f32 {
        assert_eq!(self.count(), 1, "item: {} is not one number", self.shape());
        #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
        return self.cpu().data()[0];
        #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
        return self.data()[0];
    }

    /// A tensor without elements on the device of this one.
    pub(crate) fn empty_like(&self) -> Tensor {
        match &self.storage {
            Storage::Cpu(_) => Tensor::zeros([0]),
            Storage::Gpu(buffer) => Tensor::on_device(&buffer.machine, [0].into()),
        }
    }

    /// A tensor of f32 on an accelerator. Its elements are arbitrary.
    pub(crate) fn on_device(machine: &Arc<dyn Accelerator>, shape: Shape) -> Tensor {
        Tensor::on_device_as(machine, shape, Dtype::F32)
    }

    /// A tensor of this type on an accelerator. Its elements are arbitrary.
    pub(crate) fn on_device_as(machine: &Arc<dyn Accelerator>, shape: Shape, dtype: Dtype) -> Tensor {
        let buffer = DeviceBuffer { machine: machine.clone(), id: machine.alloc(&shape, dtype), dtype };
        Tensor { storage: Storage::Gpu(Arc::new(buffer)), shape }
    }

    /// The part of an accelerator's buffer that holds the elements.
    ///
    /// # Panics
    /// If they are on the CPU.
    #[track_caller]
    pub(crate) fn span(&self) -> Span {
        match &self.storage {
            Storage::Gpu(buffer) => Span { buffer: buffer.id, start: 0, len: self.count(), dtype: buffer.dtype },
            Storage::Cpu(_) => panic!("the tensor {} is on the CPU, not on a GPU", self.shape),
        }
    }

    /// Whether other tensors share the elements.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.storage {
            Storage::Cpu(buffer) => Arc::strong_count(buffer) > 1,
            Storage::Gpu(buffer) => Arc::strong_count(buffer) > 1,
        }
    }

    /// The same elements under another shape with as many elements.
    pub(crate) fn with_shape(&self, shape: Shape) -> Tensor {
        debug_assert_eq!(shape.count(), self.count());
        Tensor { storage: self.storage.clone(), shape }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {}", self.shape)?;
        match &self.storage {
            Storage::Cpu(buffer) if buffer.len() <= 16 => write!(f, " {:?}", &buffer[..]),
            Storage::Cpu(buffer) => write!(f, " {:?} …", &buffer[..8]),
            Storage::Gpu(buffer) => write!(f, " on {}", buffer.machine.name()),
        }
    }
}
