//! Where tensors live. The CPU is built in; everything else is an [`Accelerator`]: buffers and launches, no operation.
//!
//! An operation's file holds its CPU loop and names its [`Kernel`](crate::Kernel); the accelerator only records launches.
//! Results come back through [`Accelerator::read`] alone, which is a future: a browser awaits it, a program blocks on it.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;
use crate::kernel::{BufferId, Launch, Span};
use crate::shape::Shape;

/// The machine that a tensor's elements are in, and that operations on it run on.
#[derive(Clone, Debug)]
pub enum Device {
    /// This process's memory and cores.
    Cpu,
    /// Anything that runs WGSL.
    Gpu(Arc<dyn Accelerator>),
}

/// A result that may not be there yet.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// What a machine can take at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Elements in one buffer.
    pub buffer_len: usize,
    /// What the first element of every span must be a multiple of.
    pub alignment: usize,
    /// Workgroups along one dimension of a launch.
    pub groups: u32,
    /// Buffers that one kernel may name.
    pub buffers: u32,
    /// Sums that an invocation of a product may keep at once: 64 on a GPU, 128 where a CPU acts as one.
    pub registers: u32,
    /// Workgroups that a launch should have so that every core of the machine has work.
    pub target_workgroups: u32,
    /// Whether the machine is a program on the CPU that acts as a GPU.
    pub software: bool,
}

/// A machine that runs kernels.
pub trait Accelerator: Debug + Send + Sync {
    /// The machine's name, as its maker gives it.
    fn name(&self) -> &str;
    /// What it can take.
    fn limits(&self) -> Limits;
    /// A buffer for a tensor of this shape, contents arbitrary. One that the machine cannot hold is a failure, which sticks.
    fn alloc(&self, shape: &Shape) -> BufferId;
    /// Gives a buffer back; launches recorded before still see it.
    fn free(&self, id: BufferId);
    /// Fills a buffer from its start, after everything recorded before.
    fn write(&self, id: BufferId, data: &[f32]);
    /// Records a launch and returns. A failure sticks, and comes out of the next `read` or `end_step`.
    fn launch(&self, launch: Launch<'_>);
    /// The elements in a span, once everything recorded before has run.
    fn read(&self, span: Span) -> Pending<Vec<f32>>;
    /// Submits what is recorded; ready at once unless the machine is two steps behind.
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

/// A buffer on an accelerator, given back when the last tensor that shares it goes.
#[derive(Debug)]
pub(crate) struct DeviceBuffer {
    pub(crate) machine: Arc<dyn Accelerator>,
    pub(crate) id: BufferId,
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        self.machine.free(self.id);
    }
}
