//! 10. The same program on a GPU.
//!
//!     cargo run -p vae --example 10_on_a_gpu
//!
//! Only the device differs. Each operation checks where its tensors are: it launches a shader on a GPU and runs a loop on the
//! CPU. Any adapter works, including a software GPU, which is a program that runs shaders on the CPU (Debian:
//! mesa-vulkan-drivers).
//!
//! Next: `11_a_shader_and_its_twin.rs`.

use std::time::Instant;

use pollster::block_on;
use tensor::Device;
use vae::Result;
use vae::config::{DeviceChoice, Settings};
use vae::data;
use vae::device;
use vae::learn;
use vae::train::Trainer;

fn losses(device: Device) -> Result<Vec<f64>> {
    let mut settings = Settings::default();
    for setting in ["model.width=4", "model.z_dim=8", "data.image_size=16", "data.limit=192", "train.batch_size=64"] {
        settings.assignment(setting)?;
    }
    let config = settings.resolve()?;
    config.check()?;
    let (dataset, model) = (data::load(&config)?, learn::build(&config));
    let mut trainer = Trainer::from_learner(config, dataset, model, device);
    let mut losses = Vec::new();
    block_on(trainer.epoch(1, &mut |progress| {
        losses.push(progress.losses.total);
        true
    }))?;
    Ok(losses)
}

fn main() -> Result<()> {
    let threads = device::start_threads(None)?;
    let start = Instant::now();
    let on_cpu = losses(Device::Cpu)?;
    println!("cpu, {threads} threads: {on_cpu:.3?} in {:.2} s", start.elapsed().as_secs_f64());

    let gpu = match device::choose(DeviceChoice::Gpu, threads) {
        Ok(chosen) => chosen,
        Err(error) => {
            println!("no GPU here: {error}");
            return Ok(());
        }
    };
    let start = Instant::now();
    let on_gpu = losses(gpu.device.clone())?;
    println!(
        "{}: {on_gpu:.3?} in {:.2} s, including the compilation of the shaders",
        gpu.words,
        start.elapsed().as_secs_f64()
    );

    // The first losses differ only by rounding, because the sums have another order. After that the differences grow, because
    // Adam divides small numbers by small numbers. The second losses are still nearly equal; the later ones only fall.
    let apart: Vec<f64> = on_cpu.iter().zip(&on_gpu).map(|(a, b)| (a - b).abs() / a.abs()).collect();
    println!("relative differences: {}", apart.iter().map(|x| format!("{x:.1e}")).collect::<Vec<_>>().join(", "));
    assert!(apart[0] < 1e-5 && apart[1] < 1e-3);
    assert!([&on_cpu, &on_gpu].iter().all(|losses| losses[2] < losses[0]));
    if let Some(counters) = gpu.gpu.map(|gpu| gpu.counters()) {
        println!(
            "{} launches of {} kernels in {} submissions",
            counters.launches, counters.pipelines, counters.submits
        );
    }
    Ok(())
}
