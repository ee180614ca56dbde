//! What to compute on: the GPU that was asked for, or with `auto` one of hardware if there is any, else the CPU.

use std::sync::Arc;

use gpu::{Context, Options};
use pollster::block_on;
use tensor::{Device, Isa};
use vae_core::config::DeviceChoice;
use vae_core::{Error, Result};

/// A device, open.
pub struct Chosen {
    /// What tensors lie on.
    pub device: Device,
    /// The GPU, if it is one.
    pub gpu: Option<Arc<Context>>,
    /// What it is, and why it was taken, for a person.
    pub words: String,
    threads: usize,
}

/// Starts the threads that tensors compute with, as many as wanted or one a core, and counts them.
///
/// # Errors
/// If the system starts no such number.
pub fn start_threads(wanted: Option<u64>) -> Result<usize> {
    let most = 1024; // more would only wait for each other, or not start at all
    let threads = match wanted {
        None => 0, // one a core
        Some(wanted) if wanted <= most => wanted as usize,
        Some(wanted) => return Err(Error::config(format!("--threads {wanted}: the maximum is {most}"))),
    };
    tensor::start_threads(threads).map_err(|error| match wanted {
        Some(_) => Error::config(format!("--threads {threads}: {error}; ask for fewer")),
        None => Error::Thread(format!("the system cannot start one thread for each core ({error}); try --threads 1")),
    })
}

/// Opens what the configuration asks for. `threads` compute on the CPU.
///
/// # Errors
/// If a GPU was asked for and there is none, or `TENSOR_ISA` names instructions that this processor lacks.
pub fn choose(choice: DeviceChoice, threads: usize) -> Result<Chosen> {
    let isa = Isa::preferred().map_err(|error| Error::config(error.to_string()))?;
    let cpu = format!("cpu, {threads} thread{}, {isa}", if threads == 1 { "" } else { "s" });
    let on_cpu = |words| Ok(Chosen { device: Device::Cpu, gpu: None, words, threads });
    let on_gpu = |context: Arc<Context>, why| {
        let words = format!("gpu: {}{why}", context.adapter());
        Ok(Chosen { device: Device::Gpu(context.clone()), gpu: Some(context), words, threads })
    };
    match choice {
        DeviceChoice::Cpu => on_cpu(cpu),
        DeviceChoice::Gpu => on_gpu(block_on(Context::open(Options::default())).map_err(Error::Device)?, ""),
        // A GPU that is a program on the CPU is slower than our own: for `auto` only hardware will do.
        DeviceChoice::Auto => match block_on(Context::open(Options { software: false, ..Options::default() })) {
            Ok(context) => on_gpu(context, " (auto)"),
            Err(tensor::Error::Device { what, .. }) => on_cpu(format!("{cpu} (auto: {})", reason(&what))),
            Err(error) => on_cpu(format!("{cpu} (auto: {error})")),
        },
    }
}

/// Why there is no GPU, without the advice on how to get one: `auto` asked for none.
fn reason(what: &str) -> &str {
    what.split(';').next().unwrap_or(what)
}

impl Chosen {
    /// Whether tensors lie in this machine's own memory: on the CPU, or a program that acts as a GPU.
    pub fn computes_in_memory(&self) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.adapter().software)
    }

    /// `cpu` or `gpu`, as a configuration says it.
    pub fn choice(&self) -> DeviceChoice {
        if self.gpu.is_some() { DeviceChoice::Gpu } else { DeviceChoice::Cpu }
    }

    /// Threads that compute on the CPU.
    pub fn threads(&self) -> usize {
        self.threads
    }
}
