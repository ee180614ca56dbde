//! The choice of the compute device: the GPU if the configuration requests it, or with `auto` a hardware GPU if there is one;
//! else the CPU.

use std::sync::Arc;

use gpu::{Context, Options};
use pollster::block_on;
use tensor::{Accelerator, Device, Isa};
use vae_core::config::DeviceChoice;
use vae_core::{Error, Result};

use crate::console::warn;
use crate::gpu_check;
use crate::gpu_tune;

/// An open device.
pub struct Chosen {
    /// The device of all tensors.
    pub device: Device,
    /// The GPU context, if the device is a GPU.
    pub gpu: Option<Arc<Context>>,
    /// A description of the device and the reason for the choice.
    pub words: String,
    threads: usize,
}

/// Starts the threads that compute on the CPU: `wanted`, or one per core. Returns their number.
///
/// # Errors
/// If the system cannot start that many threads.
pub fn start_threads(wanted: Option<u64>) -> Result<usize> {
    let most = 1024; // more threads would only wait for each other, or fail to start
    let threads = match wanted {
        None => 0, // one per core
        Some(wanted) if wanted <= most => wanted as usize,
        Some(wanted) => return Err(Error::config(format!("--threads {wanted}: the maximum is {most}"))),
    };
    let cores = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
    if threads > cores {
        warn(&format!(
            "--threads {threads}: this machine has {cores} cores; more threads than cores wait for each other"
        ));
    }
    tensor::start_threads(threads).map_err(|error| match wanted {
        Some(_) => Error::config(format!("--threads {threads}: {error}; ask for fewer")),
        None => Error::Thread(format!("the system cannot start one thread for each core ({error}); try --threads 1")),
    })
}

/// Opens the device that the configuration requests, as [`choose_at`] does in a process that has the machine for itself.
///
/// # Errors
/// As `choose_at`.
pub fn choose(choice: DeviceChoice, threads: usize) -> Result<Chosen> {
    choose_at(choice, threads, 0)
}

/// Opens the device that the configuration requests. `threads` is the number of threads that compute on the CPU, and `place` the number
/// of the GPU to take of this machine's, counted from 0.
///
/// # Errors
/// If a GPU is requested and there is none, or `TENSOR_ISA` names an instruction set that this processor lacks, or `TENSOR_TRACE` a level
/// that does not exist.
pub fn choose_at(choice: DeviceChoice, threads: usize, place: usize) -> Result<Chosen> {
    let isa = tensor::trace_level().and_then(|_| Isa::preferred()).map_err(|error| Error::config(error.to_string()))?;
    let cpu = format!("cpu, {threads} thread{}, {isa}", if threads == 1 { "" } else { "s" });
    let on_cpu = |words| Ok(Chosen { device: Device::Cpu, gpu: None, words, threads });
    let on_gpu = |context: Arc<Context>, tuned, why| {
        let tuned = if tuned { ", tuned" } else { "" };
        let words = format!("gpu: {}{tuned}{why}", context.adapter());
        Ok(Chosen { device: Device::Gpu(context.clone()), gpu: Some(context), words, threads })
    };
    match choice {
        DeviceChoice::Cpu => on_cpu(cpu),
        DeviceChoice::Gpu => {
            let (context, tuned) = open(Options { place, ..Options::default() }).map_err(Error::Device)?;
            match faults(&context)? {
                None => on_gpu(context, tuned, ""),
                Some(what) => Err(Error::Device(tensor::Error::Device {
                    device: context.adapter().name.clone(),
                    what: format!("{what}; update its driver, or use --device cpu"),
                })),
            }
        }
        // A software GPU is slower than the CPU kernels of this library, so `auto` accepts hardware only.
        DeviceChoice::Auto => match open(Options { software: false, place, ..Options::default() }) {
            Ok((context, tuned)) => match faults(&context) {
                Ok(None) => on_gpu(context, tuned, " (auto)"),
                Ok(Some(what)) => on_cpu(format!("{cpu} (auto: the GPU cannot be trusted, {what})")),
                Err(error) => on_cpu(format!("{cpu} (auto: {error})")),
            },
            Err(tensor::Error::Device { what, .. }) => on_cpu(format!("{cpu} (auto: {})", reason(&what))),
            Err(error) => on_cpu(format!("{cpu} (auto: {error})")),
        },
    }
}

/// Opens a GPU, with the choice of `train --tune` if there is one for it. Returns also whether there is.
fn open(options: Options) -> tensor::Result<(Arc<Context>, bool)> {
    let context = block_on(Context::open(options))?;
    let tuning = gpu_tune::record().and_then(|record| gpu_tune::remembered(context.adapter(), &record));
    match tuning {
        Some(tuning) => Ok((block_on(Context::open(Options { tuning: Some(tuning), ..options }))?, true)),
        None => Ok((context, false)),
    }
}

/// What a hardware GPU computes wrongly. It is checked when it is used for the first time; software adapters are not. Its compiled
/// kernels are kept.
fn faults(context: &Arc<Context>) -> Result<Option<String>> {
    if context.adapter().software {
        return Ok(None);
    }
    gpu_check::cache_folder().iter().for_each(|folder| context.cache_in(folder));
    let record = gpu_check::record();
    let Some(record) = record else { return Ok(None) };
    let checked = gpu_check::check_once(context, &record).map_err(Error::Device)?;
    let wrong = checked.map(|checked| checked.wrong).unwrap_or_default();
    let names: Vec<&str> = wrong.into_iter().map(|(name, _)| name).collect();
    Ok((!names.is_empty()).then(|| format!("it computes wrongly: {}", names.join(", "))))
}

/// The reason why there is no GPU, without the advice on how to get one, because `auto` did not require it.
fn reason(what: &str) -> &str {
    what.split(';').next().unwrap_or(what)
}

impl Chosen {
    /// Returns whether tensors are in main memory: on the CPU, or on a software GPU.
    pub fn computes_in_memory(&self) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.adapter().software)
    }

    /// Returns whether tensors may be stored as f16.
    pub fn stores_f16(&self) -> bool {
        self.gpu.as_ref().is_some_and(|gpu| gpu.limits().f16)
    }

    /// Returns the device as the configuration names it.
    pub fn choice(&self) -> DeviceChoice {
        if self.gpu.is_some() { DeviceChoice::Gpu } else { DeviceChoice::Cpu }
    }

    /// Returns the number of threads that compute on the CPU.
    pub fn threads(&self) -> usize {
        self.threads
    }
}
