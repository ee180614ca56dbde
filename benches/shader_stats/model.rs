//! How long a launch would take on a described card: the roofline model with two refinements.
//!
//!   time = launch + max(compute, workgroup memory, memory bandwidth, memory latency)
//!
//! - compute: vector instructions of the busiest core, divided by its rate. With few workgroups most cores have nothing to do.
//! - workgroup memory: numbers read or written there by the busiest core, divided by its rate.
//! - memory bandwidth: bytes of all tensors, each once, divided by the bandwidth.
//! - memory latency: the same bytes, divided by the bytes that can be on their way at once (Little's law: waves that fit, times loads
//!   that a wave has under way, divided by the latency).

use crate::assembly::{Mix, Program};
use crate::vulkan::Compiled;
use gpu::Recorded;

/// A GPU as the model knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Card {
    pub(crate) name: &'static str,
    /// RADV's name of the family.
    pub(crate) family: &'static str,
    /// Cores ("compute units").
    cores: f64,
    /// SIMD units of a core.
    simds: f64,
    /// Lanes of a SIMD unit, which each do a multiply-add in a cycle.
    lanes: f64,
    /// Cycles per second.
    clock: f64,
    /// Bytes per second of the memory.
    bandwidth: f64,
    /// Numbers of four bytes that a core's workgroup memory reads or writes in a cycle.
    banks: f64,
}

/// Seconds from one launch to the next when there is nothing to compute.
pub(crate) const LAUNCH: f64 = 3e-6;
/// Seconds until a load from memory arrives.
const LATENCY: f64 = 600e-9;

/// The card that the table describes.
pub(crate) const NAVI21: Card = Card {
    name: "Radeon RX 6800 XT (72 cores, 2.25 GHz, 512 GB/s)",
    family: "navi21",
    cores: 72.0,
    simds: 2.0,
    lanes: 32.0,
    clock: 2.25e9,
    bandwidth: 512e9,
    banks: 32.0,
};

impl Card {
    /// FLOP per second, two for a multiply-add.
    pub(crate) fn peak(&self) -> f64 {
        2.0 * self.cores * self.simds * self.lanes * self.clock
    }
}

/// What limits a launch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Limit {
    Compute,
    Workgroup,
    Bandwidth,
    Latency,
}

impl Limit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Limit::Compute => "compute",
            Limit::Workgroup => "workgroup memory",
            Limit::Bandwidth => "bandwidth",
            Limit::Latency => "latency",
        }
    }
}

/// The model's answer for one launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// Multiply-adds, twice, without padding. 0 unless the kernel is a matrix product.
    pub(crate) flop: f64,
    pub(crate) bytes: f64,
    /// The share of multiply-adds in the vector instructions of a matrix product's loop.
    pub(crate) share: Option<f64>,
    /// Seconds.
    pub(crate) time: f64,
    pub(crate) limit: Limit,
}

/// A matrix product in rounds, each between two barriers (shaders/lib/tile.wgsl, shaders/winograd.wgsl).
struct Product {
    /// Multiply-adds of the convolution or product, twice, however they are computed.
    flop: f64,
    /// The rounds of a workgroup.
    rounds: f64,
    /// The multiply-adds of an invocation in a round.
    multiply_adds: f64,
    /// The share of the other instructions of a round that a wave executes.
    others: f64,
}

fn product(launch: &Recorded) -> Option<Product> {
    let p: Vec<f64> = launch.params.iter().map(|&p| f64::from(p)).collect();
    let on = |constant: &str| launch.constants.iter().any(|&(name, value)| name == constant && value > 0.0);
    let plain =
        |flop: f64, inner: f64| Product { flop, rounds: (inner / 8.0).ceil(), multiply_adds: 512.0, others: 1.0 };
    match launch.kernel.entry {
        "matmul" => Some(plain(2.0 * p[0] * p[1] * p[2], p[3].min(p[2]))),
        "conv2d" => {
            let flop = 2.0 * p[0] * p[1] * p[2] * p[5] * p[6] * p[7] * p[8];
            let inner = if on("WEIGHT_GRADIENT") { p[0] * p[5] * p[6] } else { p[1] * p[7] * p[8] };
            Some(plain(flop, p[11].min(inner)))
        }
        "conv_transpose2d" => {
            let flop = 2.0 * p[0] * p[1] * p[2] * p[5] * p[6] * p[7] * p[8];
            // A phase uses every s-th tap along each dimension, so on average 1/s² of all.
            let inner = p[2] * p[7] * p[8] / (p[9] * p[9]);
            Some(plain(flop, inner / p[11]))
        }
        "winograd" => {
            let channels = p[0] * if on("WEIGHT_GRADIENT") { p[1] } else { p[2] };
            let flop = 2.0 * 9.0 * channels * p[11] * p[6] * p[7];
            // Half of the waves transform one operand, and half the other.
            Some(Product { flop, rounds: (p[3].min(p[2]) / 4.0).ceil(), multiply_adds: 256.0, others: 0.5 })
        }
        _ => None,
    }
}

/// The invocations of a workgroup.
fn invocations(launch: &Recorded) -> f64 {
    launch.constants.iter().find(|(name, _)| *name == "INVOCATIONS").map_or(256.0, |(_, value)| *value)
}

/// Estimates a launch of a compiled kernel.
pub(crate) fn estimate(card: &Card, launch: &Recorded, compiled: &Compiled) -> Estimate {
    let program = Program::parse(&compiled.assembly);
    let workgroups: f64 = launch.groups.iter().map(|&n| f64::from(n)).product();
    let waves = (invocations(launch) / f64::from(compiled.wave)).ceil(); // of a workgroup
    let bytes = (launch.read + launch.written) as f64;

    let (mut share, mut flop) = (None, 0.0);
    let mix = match product(launch) {
        Some(product) => {
            flop = product.flop;
            let parts = program.product(product.multiply_adds, product.others);
            let (round, rest) = parts.expect("a matrix product has a loop of multiply-adds");
            share = Some(round.multiply_adds / round.vector);
            let mut all = rest;
            all.add(round, product.rounds);
            all
        }
        None => {
            // A loop that loads goes through the elements, so its length follows from what there is to read. Others are short.
            let loaded = |once: Mix| 4.0 * once.loads * workgroups * invocations(launch);
            let trips = |once: Mix| if once.loads > 0.0 { (launch.read as f64 / loaded(once)).max(1.0) } else { 8.0 };
            program.total(&trips)
        }
    };

    let busiest = (workgroups / card.cores).ceil() * waves; // waves that the busiest core runs
    let cycles = f64::from(compiled.wave) / card.lanes; // of an instruction
    let compute = busiest * mix.vector * cycles / card.simds / card.clock;
    let workgroup = busiest * mix.workgroup * f64::from(compiled.wave) / card.banks / card.clock;
    let bandwidth = bytes / card.bandwidth;
    let resident = (workgroups * waves).min(card.cores * card.simds * compiled.waves as f64);
    let under_way = resident * f64::from(compiled.wave) * 4.0 * loads_together(&program);
    let latency = (bytes / under_way).max(1.0) * LATENCY;
    let parts = [
        (Limit::Compute, compute),
        (Limit::Workgroup, workgroup),
        (Limit::Bandwidth, bandwidth),
        (Limit::Latency, latency),
    ];
    let (limit, time) = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("four parts");
    Estimate { flop, bytes, share, time: LAUNCH + time, limit }
}

/// The numbers that an invocation has on their way at once: those of its innermost loop that loads, or of the whole program.
fn loads_together(program: &Program) -> f64 {
    program.innermost_loads().clamp(1.0, 16.0)
}
