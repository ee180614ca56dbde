//! Devices. The CPU is built in. Every other device is an [`Accelerator`], which offers buffers and launches and knows no operation.
//!
//! The file of an operation holds its CPU loop and names its [`Kernel`](crate::Kernel); the accelerator only records launches.
//! Results come back only through [`Accelerator::read`]. It returns a future, since a browser cannot block.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;
use crate::kernel::{BufferId, Dtype, Launch, Span};
use crate::shape::Shape;

/// The device that stores a tensor's elements and runs operations on it.
#[derive(Clone, Debug)]
pub enum Device {
    /// The memory and cores of this process.
    Cpu,
    /// A device that runs WGSL.
    Gpu(Arc<dyn Accelerator>),
}

/// A result that may not be available yet.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// The limits of an accelerator, and hints on how to cut work for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most elements in one buffer.
    pub buffer_len: usize,
    /// The first element of every span must be a multiple of this.
    pub alignment: usize,
    /// The most workgroups along one dimension of a launch.
    pub groups: u32,
    /// The most buffers that one kernel may use.
    pub buffers: u32,
    /// The number of sums that one invocation of a matrix product should keep in registers: 32, 64 or 128.
    pub registers: u32,
    /// Whether convolutions of 3 × 3 with stride 1 should use Winograd's algorithm.
    pub winograd: bool,
    /// Workgroups that a launch should have so that every core of the machine has work.
    pub target_workgroups: u32,
    /// Whether the machine is a program on the CPU that acts as a GPU.
    pub software: bool,
    /// Whether buffers may hold f16 ([`Dtype::F16`]).
    pub f16: bool,
}

/// A device that runs kernels.
pub trait Accelerator: Debug + Send + Sync {
    /// The device's name, as its maker gives it.
    fn name(&self) -> &str;
    /// Its limits.
    fn limits(&self) -> Limits;
    /// A buffer for a tensor of this shape and type, with arbitrary contents. If the device cannot hold it, that is a failure: every later
    /// `read` and `end_step` returns it.
    fn alloc(&self, shape: &Shape, dtype: Dtype) -> BufferId;
    /// Returns a buffer. Launches that were recorded before may still use it.
    fn free(&self, id: BufferId);
    /// Writes f32 to a buffer from its start, after everything that was recorded before.
    fn write(&self, id: BufferId, data: &[f32]);
    /// Records a launch and returns at once. If it fails, every later `read` and `end_step` returns the error.
    fn launch(&self, launch: Launch<'_>);
    /// The elements of a span of f32, once everything that was recorded before has run.
    fn read(&self, span: Span) -> Pending<Vec<f32>>;
    /// Submits what was recorded. The future is ready at once unless the device is two steps behind.
    fn end_step(&self) -> Pending<()>;
}

impl Device {
    /// The device's name: `cpu`, or what the accelerator calls itself.
    pub fn name(&self) -> &str {
        match self {
            Device::Cpu => "cpu",
            Device::Gpu(machine) => machine.name(),
        }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Cpu, Device::Cpu) => true,
            (Device::Gpu(a), Device::Gpu(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A buffer on an accelerator. It is returned when the last tensor that shares it is dropped.
#[derive(Debug)]
pub(crate) struct DeviceBuffer {
    pub(crate) machine: Arc<dyn Accelerator>,
    pub(crate) id: BufferId,
    pub(crate) dtype: Dtype,
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        self.machine.free(self.id);
    }
}
