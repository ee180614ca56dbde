//! What a real GPU compiler makes of every kernel of a training step, and how long the step would take, without a GPU.
//!
//! ```text
//! cargo run --release -p benches --bin shader_stats [-- --model NAME] [--batch N] [--family NAME] [--f16]
//!                                                            [--launches | --kernels | --check]
//! ```
//!
//! The launches of a step are recorded by a device that computes nothing (`gpu::Recorder`). RADV, Mesa's driver for AMD GPUs, compiles
//! each kernel for a family of GPUs (`vulkan.rs`). The assembly says how many instructions a wave executes (`assembly.rs`), and
//! from that and the sizes of the tensors follows the time on a described card (`model.rs`).
//!
//! The models are `beta-resnet18`, `basic`, `conv3`, `skip` and `quickstart`. `--f16` stores their feature maps as f16. `--family` is one
//! of RADV's names, such as navi21, gfx1100 or vega10; times are printed for navi21 only. `--launches` lists the launches in order, and `--kernels` all variants of
//! the kernels with their registers. `--check` fails if a kernel keeps registers in memory on one of the three families, if a
//! smaller share of a matrix product's instructions are multiply-adds than should be, or if a step has too many launches.
//!
//! The model can be wrong in both directions. It counts each tensor once, although a convolution reads pixels several times, and
//! although caches keep what the kernel before has written. It does not know how many cache lines a load touches, the clock under
//! load, bank conflicts in workgroup memory, or how the driver overlaps launches. In a product it takes the latency of loads to be
//! hidden by other waves.

mod assembly;
mod model;
mod vulkan;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use benches::Step;
use gpu::{Recorded, Recorder};
use model::{Estimate, LAUNCH, NAVI21, estimate};
use tensor::{Device, Limits};
use vae::config::Precision;
use vulkan::{Compiled, Driver};

/// WebGPU's guaranteed limits, except that hardware takes more buffers (Metal 31, others more), and the hints of a hardware GPU.
const LIMITS: Limits = Limits {
    buffer_len: 1 << 25,
    alignment: 64,
    groups: 65_535,
    buffers: 30,
    registers: 64,
    winograd: true,
    target_workgroups: 256,
    software: false,
    f16: true,
};

const FAMILIES: [&str; 3] = ["navi21", "gfx1100", "vega10"];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let has = |name: &str| arguments.iter().any(|a| a == name);
    if has("--check") && std::env::var("RADV_FORCE_FAMILY").is_err() {
        return check_all();
    }
    let Ok(family) = std::env::var("RADV_FORCE_FAMILY") else {
        return again(after("--family").map_or(NAVI21.family, String::as_str), &arguments);
    };
    let family = family.as_str();
    let driver = Driver::open()?;
    if has("--check") {
        return check(family, &driver);
    }
    let model = after("--model").map_or("beta-resnet18", String::as_str);
    let batch = match after("--batch") {
        None => 64,
        Some(given) => given.parse().ok().filter(|n| *n > 0).context("--batch is a whole number above 0")?,
    };
    let precision = if has("--f16") { Precision::F16 } else { Precision::F32 };
    let launches = record(model, batch, precision)?;
    let rows = compile(&driver, launches)?;
    if has("--launches") {
        in_order(&rows);
    } else if has("--kernels") || family != NAVI21.family {
        variants(family, &rows);
    } else {
        table(model, batch, &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs this program again with the null device of a family, which the driver chooses from the environment.
fn again(family: &str, arguments: &[String]) -> Result<ExitCode> {
    let folder = "/usr/share/vulkan/icd.d";
    let manifests = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let radv = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd"))
    };
    let manifest = manifests.filter(radv).min();
    let Some(manifest) = manifest else {
        bail!("{folder} has no radeon_icd file: install Mesa's Vulkan drivers (Debian: mesa-vulkan-drivers)");
    };
    let mut program = Command::new(std::env::current_exe()?);
    program
        .args(arguments)
        .env("RADV_FORCE_FAMILY", family)
        .env("VK_DRIVER_FILES", &manifest)
        .env("VK_ICD_FILENAMES", &manifest);
    let status = program.status()?;
    Ok(ExitCode::from(status.code().map_or(1, |code| code as u8)))
}

/// The launches of the second step of a model; the first also creates Adam's moments.
fn record(model: &str, batch: usize, precision: Precision) -> Result<Vec<Recorded>> {
    let config = benches::config(model);
    let mut config =
        config.with_context(|| format!("no model {model}: beta-resnet18, basic, conv3, skip or quickstart"))?;
    config.train.precision = precision;
    let recorder = Arc::new(Recorder::new(LIMITS));
    let mut step = Step::new(&config, batch, &Device::Gpu(recorder.clone()));
    step.train();
    recorder.take();
    step.train();
    Ok(recorder.take())
}

/// A kernel with its constants, and its launches with their numbers in the step.
struct Row {
    name: String,
    compiled: Compiled,
    launches: Vec<(usize, Recorded)>,
}

fn compile(driver: &Driver, launches: Vec<Recorded>) -> Result<Vec<Row>> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (number, launch) in launches.into_iter().enumerate() {
        let constants = launch.constants.iter().map(|(name, value)| format!(" {name}={value}"));
        let f16 = if launch.f16 == 0 { String::new() } else { format!(" f16={:b}", launch.f16) };
        let name = [launch.kernel.entry.to_owned(), f16].into_iter().chain(constants).collect::<String>();
        if !rows.contains_key(&name) {
            let compiled = driver.compile(launch.kernel, &launch.constants, launch.f16, launch.buffers.iter().sum())?;
            rows.insert(name.clone(), Row { name: name.clone(), compiled, launches: Vec::new() });
        }
        rows.get_mut(&name).expect("just inserted").launches.push((number, launch));
    }
    Ok(rows.into_values().collect())
}

/// What a launch is for, as the table calls it.
fn purpose(launch: &Recorded) -> String {
    let on = |constant: &str| launch.constants.iter().any(|&(name, value)| name == constant && value > 0.0);
    match launch.kernel.entry {
        entry @ ("conv2d" | "winograd") if on("WEIGHT_GRADIENT") => format!("{entry}, gradient of the weight"),
        "winograd" if on("INPUT_GRADIENT") => "winograd, gradient of the input".to_owned(),
        entry => entry.to_owned(),
    }
}

/// Prints the modelled time of a step by kernel, and how well each of the most expensive launches uses the card.
fn table(model: &str, batch: usize, rows: &[Row]) {
    println!("{model}, batch {batch}, modelled on {}, {:.1} TFLOP/s\n", NAVI21.name, NAVI21.peak() / 1e12);
    let mut all: Vec<(String, Recorded, &Compiled, Estimate)> = Vec::new();
    for row in rows {
        for (_, launch) in &row.launches {
            all.push((purpose(launch), launch.clone(), &row.compiled, estimate(&NAVI21, launch, &row.compiled)));
        }
    }
    let sum = |entries: &[&(String, Recorded, &Compiled, Estimate)], f: &dyn Fn(&Estimate) -> f64| -> f64 {
        entries.iter().map(|entry| f(&entry.3)).sum()
    };
    let mut groups: BTreeMap<&str, Vec<&(String, Recorded, &Compiled, Estimate)>> = BTreeMap::new();
    all.iter().for_each(|entry| groups.entry(&entry.0).or_default().push(entry));
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| sum(&b.1, &|e| e.time).total_cmp(&sum(&a.1, &|e| e.time)));
    println!(
        "| kernel | launches | GFLOP | MB | ms | of the peak | useful | limited by |\n|---|---|---|---|---|---|---|---|"
    );
    let line = |name: &str, entries: &[&(String, Recorded, &Compiled, Estimate)]| {
        let (flop, time) = (sum(entries, &|e| e.flop), sum(entries, &|e| e.time));
        let share = entries.iter().filter_map(|entry| entry.3.share).fold(f64::INFINITY, f64::min);
        let mut limits: BTreeMap<_, f64> = BTreeMap::new();
        entries.iter().for_each(|entry| *limits.entry(entry.3.limit).or_default() += entry.3.time);
        let most = limits.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |(limit, _)| limit.name());
        let percent = |x: f64| if x.is_finite() && x > 0.0 { format!("{:.0} %", 100.0 * x) } else { String::new() };
        println!(
            "| {name} | {} | {} | {:.0} | {:.2} | {} | {} | {most} |",
            entries.len(),
            if flop > 0.0 { format!("{:.1}", flop / 1e9) } else { String::new() },
            sum(entries, &|e| e.bytes) / 1e6,
            1e3 * time,
            percent(flop / time / NAVI21.peak()),
            percent(if flop > 0.0 { share } else { 0.0 }),
        );
    };
    groups.iter().for_each(|(name, entries)| line(name, entries));
    let whole: Vec<_> = all.iter().collect();
    line("all", &whole);
    println!(
        "\nLaunching takes {:.2} ms of these. \"Useful\" is the smallest share of multiply-adds in a product's vector",
        1e3 * LAUNCH * all.len() as f64
    );
    println!("instructions. MB are the sizes of the tensors of each launch.");
}

/// Prints the launches in the order of the step.
fn in_order(rows: &[Row]) {
    let mut all: Vec<_> =
        rows.iter().flat_map(|row| row.launches.iter().map(move |(i, launch)| (i, launch, row))).collect();
    all.sort_by_key(|(i, ..)| **i);
    println!("{:>4} {:>8} {:>8} {:>14}  kernel, parameters", "", "µs", "MB", "workgroups");
    for (i, launch, row) in all {
        let Estimate { time, bytes, .. } = estimate(&NAVI21, launch, &row.compiled);
        let groups = launch.groups.map(|n| n.to_string()).join(" ");
        let (time, bytes) = (1e6 * time, bytes / 1e6);
        println!("{i:>4} {time:>8.1} {bytes:>8.2} {groups:>14}  {}  {:?}", row.name, launch.params);
    }
}

/// Prints what the driver says about each variant of each kernel.
fn variants(family: &str, rows: &[Row]) {
    println!("{family}\n{:>9} {:>7} {:>5} {:>6}  kernel", "registers", "spilled", "waves", "useful");
    for Row { name, compiled, launches } in rows {
        let share = estimate(&NAVI21, &launches[0].1, compiled).share;
        let share = share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        println!("{:>9} {:>7} {:>5} {share:>6}  {name}", compiled.registers, compiled.spilled, compiled.waves);
    }
}

/// The least share of multiply-adds in the vector instructions of a product, on every family. Tiles of few rows, for few channels, do
/// worse and have no limit.
const LEAST_USEFUL: [(&str, f64); 7] = [
    ("conv2d", 0.66),
    ("conv2d, gradient of the weight", 0.62),
    ("conv_transpose2d", 0.56),
    ("matmul", 0.80),
    ("winograd", 0.64),
    ("winograd, gradient of the input", 0.64),
    ("winograd, gradient of the weight", 0.64),
];

/// The models that are checked, and how many launches a step of each may have. A launch costs about 3 µs.
const MOST_LAUNCHES: [(&str, usize); 3] = [("beta-resnet18", 350), ("conv3", 100), ("quickstart", 370)];

fn has_few_rows(launch: &Recorded) -> bool {
    launch.constants.iter().any(|&(name, value)| name == "DOWN" && value < 8.0)
}

/// Checks all families, each in a process of its own, and prints a line as a test does.
fn check_all() -> Result<ExitCode> {
    let arguments = ["--check".to_owned()];
    let mut failed = 0;
    for family in FAMILIES {
        failed += usize::from(again(family, &arguments)? != ExitCode::SUCCESS);
    }
    let (passed, outcome) = (FAMILIES.len() - failed, if failed == 0 { "ok" } else { "FAILED" });
    println!("test result: {outcome}. {passed} passed; {failed} failed; shaders compiled for AMD's GPUs");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(family: &str, driver: &Driver) -> Result<ExitCode> {
    let mut launches = Vec::new();
    let mut wrong = Vec::new();
    for (model, most) in MOST_LAUNCHES {
        for precision in [Precision::F32, Precision::F16] {
            let step = record(model, 64, precision)?;
            if precision == Precision::F32 && step.len() > most {
                wrong.push(format!("a step of {model} has {} launches, more than {most}", step.len()));
            }
            launches.extend(step);
        }
    }
    let rows = compile(driver, launches)?;
    ensure!(!rows.is_empty(), "the models launch nothing");
    for Row { name, compiled, launches } in &rows {
        if compiled.spilled > 0 {
            wrong.push(format!("{} registers do not fit: {name}", compiled.spilled));
        }
        let launch = &launches[0].1;
        let least = LEAST_USEFUL.iter().find(|(known, _)| *known == purpose(launch) && !has_few_rows(launch));
        if let (Some(share), Some((_, least))) = (estimate(&NAVI21, launch, compiled).share, least)
            && share < *least
        {
            wrong.push(format!("{:.0} % are multiply-adds, not {:.0} %: {name}", 100.0 * share, 100.0 * least));
        }
    }
    println!("{family}: {} kernels compiled, {} wrong", rows.len(), wrong.len());
    wrong.iter().for_each(|line| println!("  {line}"));
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
