//! Where training by several processes stops scaling, by the model of `vae::distributed::StepTime`:
//!
//!     cargo run --release -p benches --bin scaling -- [THREADS]
//!
//! It measures one process: when the gradients of each bucket of `beta-resnet18` are complete, with 64 images (the step of the median
//! time of several). From that, and from the bandwidth and the latency of a network, the model computes the time of a step by N
//! processes. The efficiency is the images per second of a process, relative to one alone. No network is measured.
#![forbid(unsafe_code)]

use benches::Step;
use tensor::{Device, Isa};
use vae::distributed::{Network, StepTime};

const BATCH: usize = 64;
const STEPS: usize = 9;
/// Two usual networks: their names, and bytes and seconds.
const NETWORKS: [(&str, Network); 2] = [
    ("10 Gbit/s, 30 µs", Network { bandwidth: 1.25e9, latency: 30e-6 }),
    ("100 Gbit/s, 5 µs", Network { bandwidth: 12.5e9, latency: 5e-6 }),
];
const RANKS: [usize; 8] = [2, 4, 8, 16, 32, 64, 128, 256];

fn main() -> anyhow::Result<()> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    tensor::start_threads(threads)?;
    let config = benches::config("beta-resnet18").expect("a known name");
    let mut step = Step::new(&config, BATCH, &Device::Cpu);
    let mut times: Vec<StepTime> = (0..STEPS).map(|_| step.time()).collect();
    times.sort_by(|a, b| f64::total_cmp(&a.of(1, NETWORKS[0].1), &b.of(1, NETWORKS[0].1)));
    let step = times.swap_remove(STEPS / 2);
    let bytes: f64 = step.buckets.iter().map(|(bytes, _)| bytes).sum();
    let alone = step.of(1, NETWORKS[0].1);
    println!("{}, {threads} thread(s), {BATCH} images: {:.1} ms a step", Isa::current(), 1e3 * alone);
    println!(
        "{:.1} MB in {} buckets; the optimiser takes {:.1} ms; complete after (ms):",
        bytes / 1e6,
        step.buckets.len(),
        1e3 * step.optimiser
    );
    let ready: Vec<String> = step.buckets.iter().map(|(_, ready)| format!("{:.0}", 1e3 * ready)).collect();
    println!("  {}; the backward pass ends after {:.0}", ready.join(" "), 1e3 * step.backward);

    println!("\nEfficiency with {BATCH} images a process:");
    println!("| processes | {} |", NETWORKS.map(|(name, _)| name).join(" | "));
    println!("|---|---|---|");
    for ranks in RANKS {
        let cells = NETWORKS.map(|(_, network)| format!("{:.2}", alone / step.of(ranks, network)));
        println!("| {ranks} | {} |", cells.join(" | "));
    }
    println!("\nMilliseconds of a step with {} images in all, the least in brackets:", 4 * BATCH);
    for (name, network) in NETWORKS {
        let time = |ranks: usize| 1e3 * step.scaled(4.0 / ranks as f64).of(ranks, network);
        let least = RANKS.into_iter().min_by(|&a, &b| f64::total_cmp(&time(a), &time(b))).unwrap_or(1);
        let each = RANKS.map(|ranks| match ranks == least {
            true => format!("{ranks}: ({:.0})", time(ranks)),
            false => format!("{ranks}: {:.0}", time(ranks)),
        });
        println!("  {name}  {}", each.join("  "));
    }
    Ok(())
}
