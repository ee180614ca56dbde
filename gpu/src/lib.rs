//! WGSL compute shaders on any GPU, through wgpu: Vulkan, Metal, Direct3D 12, and WebGPU in a browser.
//!
//! [`Context`] is the machine that tensors see, a [`tensor::Accelerator`]. It knows no operation: it hands out buffers,
//! records launches, and reads results back. Reading order:
//!
//! 1. `adapter` chooses a GPU and says what it is.
//! 2. `context` answers the calls of tensors, and is the one place that locks.
//! 3. `queue` gathers launches into one compute pass, and submits it; `params` carries their small numbers.
//! 4. `pool` keeps buffers, `pipelines` keeps compiled kernels and bind groups: after the first step nothing is created.
//! 5. `readback` brings elements to the host, as futures.
//! 6. `fault` keeps the first failure; `profile` times kernels; `process` is for programs: it silences messages of drivers.

mod adapter;
mod context;
mod fault;
mod params;
mod pipelines;
mod pool;
mod process;
mod profile;
mod queue;
mod readback;
#[cfg(test)]
mod tests;

pub use adapter::{Adapter, Options, adapters};
pub use context::{Context, Counters};
pub use process::prepare_process;
pub use profile::KernelTime;
