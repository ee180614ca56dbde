//! WGSL compute shaders on any GPU, through wgpu: Vulkan, Metal, Direct3D 12, and WebGPU in a browser.
//!
#![doc = include_str!("../README.md")]
//!
//! # Source
//!
//! [`Context`] implements [`tensor::Accelerator`]. It knows no operation: it allocates buffers, records launches, and reads results
//! back. Reading order:
//!
//! 1. `adapter` chooses and describes a GPU.
//! 2. `context` answers the calls of tensors. It is the only place that takes the lock.
//! 3. `queue` collects launches in one compute pass and submits it; `params` holds their parameters.
//! 4. `pool` reuses buffers, `pipelines` caches compiled kernels and bind groups, so that nothing is created after the first steps.
//! 5. `readback` copies elements to the host, as futures.
//! 6. `recorder` records launches without a device, so that kernels can be compiled before they are needed; `disk_cache` keeps
//!    compiled kernels in a file.
//! 7. `fault` keeps the first failure; `profile` times kernels; `process` is for programs: it silences some messages, and knows whether
//!    standard output was closed at the start.

mod adapter;
mod context;
mod disk_cache;
mod fault;
#[cfg(test)]
mod laws;
mod params;
mod pipelines;
mod pool;
mod process;
mod profile;
mod queue;
mod readback;
mod recorder;
#[cfg(test)]
mod tests;

pub use adapter::{Adapter, Options, Tuning, adapters};
pub use context::{Context, Counters};
pub use process::{prepare_process, stdout_was_closed};
pub use profile::KernelTime;
pub use recorder::{Recorded, Recorder};
