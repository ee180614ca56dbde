//! How each kernel of a training step is divided into tasks, and which part of the kernel its longest task is:
//!
//!     cargo run --release -p benches --features task-log --bin tasks
//!
//! The step is that of `resnet18` with 64 images. A kernel whose longest task is more than 1/N of it keeps N cores waiting, so the table
//! says what more cores than this machine has could gain. Times are those of one thread; of each task, the least of several steps. What a
//! step does between its parallel loops is not included. The program also checks that 2 and 16 threads run the same tasks: work is divided
//! by shape alone.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::panic::Location;

use benches::Step;
use tensor::task_log::{self, Loop};
use tensor::{Device, Isa};
use vae::config::Config;

const BATCH: usize = 64;
/// The least part of all for which a kernel has its own line.
const SHOWN: f64 = 0.004;
/// The longest task should not be a larger part of its kernel.
const TARGET: f64 = 1.0 / 32.0;

fn main() {
    let loops = step(1);
    for threads in [2, 16] {
        let other = step(threads);
        let divided = |loops: &[Loop]| loops.iter().map(|l| (l.place, l.tasks.len())).collect::<Vec<_>>();
        assert!(divided(&loops) == divided(&other), "{threads} threads divide the work in another way than one");
    }
    let tasks: usize = loops.iter().map(|l| l.tasks.len()).sum();
    println!(
        "{}, batch {BATCH}: {} loops, {tasks} tasks, the same with 1, 2 and 16 threads",
        Isa::current(),
        loops.len()
    );

    let mut kernels: BTreeMap<(String, usize), Vec<&Loop>> = BTreeMap::new();
    for l in &loops {
        kernels.entry((name(l.place), l.tasks.len())).or_default().push(l);
    }
    let mut rows: Vec<(f64, f64, String)> = Vec::new();
    let all: f64 = loops.iter().map(total).sum();
    for ((name, tasks), loops) in kernels {
        let time: f64 = loops.iter().copied().map(total).sum();
        let share = loops.iter().copied().map(longest).sum::<f64>() / time;
        rows.push((time, share, format!("{name:44}{:6}{tasks:7}{:9.2}", loops.len(), time * 1e3)));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{:44}{:>6}{:>7}{:>9}{:>15}", "kernel", "calls", "tasks", "ms", "longest task");
    let (shown, rest): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.0 >= SHOWN * all);
    for (_, share, row) in &shown {
        println!("{row}{:>14}{}", format!("1/{:.0}", 1.0 / share), if *share > TARGET { " !" } else { "" });
    }
    println!("{:44}{:>22.2}", format!("{} smaller ones", rest.len()), rest.iter().map(|row| row.0).sum::<f64>() * 1e3);
    println!("{:44}{:>22.2}", "all", all * 1e3);
    for cores in [2, 8, 16, 64] {
        // A loop takes at least as long as its longest task, and as its tasks divided evenly.
        let least: f64 = loops.iter().map(|l| longest(l).max(total(l) / cores as f64)).sum();
        println!("{:44}{:>22.2}{:>14.1}×", format!("at least, on {cores} cores"), least * 1e3, all / least);
    }
}

/// The loops of a step with this number of threads.
fn step(threads: usize) -> Vec<Loop> {
    /// With one thread, whose times are shown.
    const REPEATS: usize = 7;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the threads start");
    pool.install(|| {
        let mut config = Config::default();
        (config.data.channels, config.data.image_size) = (Some(3), Some(32));
        let mut step = Step::new(&config, BATCH, &Device::Cpu);
        step.train();
        let mut least: Vec<Loop> = Vec::new();
        for _ in 0..if threads == 1 { REPEATS } else { 1 } {
            task_log::start();
            step.train();
            let loops = task_log::stop();
            if least.is_empty() {
                least = loops;
                continue;
            }
            assert_eq!(least.len(), loops.len(), "every step has the same loops");
            for (least, l) in least.iter_mut().zip(loops) {
                least.tasks.iter_mut().zip(l.tasks).for_each(|(least, time)| *least = time.min(*least));
            }
        }
        least
    })
}

fn total(l: &Loop) -> f64 {
    l.tasks.iter().sum::<u64>() as f64 * 1e-9
}

fn longest(l: &Loop) -> f64 {
    *l.tasks.iter().max().unwrap_or(&0) as f64 * 1e-9
}

/// The file and the function around a line, such as `winograd convolve`.
fn name(place: &Location) -> String {
    let stem = place.file().rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let source = std::fs::read_to_string(place.file()).unwrap_or_default();
    let above = source.lines().take(place.line() as usize).filter_map(|line| line.split_once("fn "));
    let function = above.last().map_or("", |(_, rest)| rest.split(['(', '<']).next().unwrap_or_default());
    format!("{stem} {function}:{}", place.line())
}
