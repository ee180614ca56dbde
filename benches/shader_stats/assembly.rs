//! Reads AMD's assembly: how often a wave executes instructions of each kind.
//!
//! A block is a label with the instructions behind it. A branch back to a label closes a loop. Branches forward, which skip what
//! no invocation needs, count as not taken.

use std::collections::HashMap;
use std::ops::Range;

/// Executed instructions, by kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Mix {
    /// Multiply-adds. Each is also in `vector`, where a pair that one instruction computes counts once.
    pub(crate) multiply_adds: f64,
    /// Vector arithmetic.
    pub(crate) vector: f64,
    /// Scalar arithmetic, branches and waits.
    pub(crate) scalar: f64,
    /// Cycles of workgroup memory, in units of one number for each invocation.
    pub(crate) workgroup: f64,
    /// Numbers loaded from memory by an invocation.
    pub(crate) loads: f64,
    /// Instructions that load or store.
    pub(crate) memory: f64,
}

impl Mix {
    pub(crate) fn add(&mut self, other: Mix, times: f64) {
        self.multiply_adds += times * other.multiply_adds;
        self.vector += times * other.vector;
        self.scalar += times * other.scalar;
        self.workgroup += times * other.workgroup;
        self.loads += times * other.loads;
        self.memory += times * other.memory;
    }

    fn of(instruction: &str) -> Mix {
        let name = instruction.split_whitespace().next().unwrap_or("");
        let mut mix = Mix::default();
        // As in buffer_load_dwordx4, ds_read_b128 or ds_read2_b64.
        let width = |ones: &[(&str, f64)]| ones.iter().find(|(end, _)| name.contains(end)).map_or(1.0, |(_, n)| *n);
        if name.starts_with("v_") {
            mix.vector = 1.0;
            let fused = [
                "v_fma_f32",
                "v_fmac_f32",
                "v_mac_f32",
                "v_mad_f32",
                "v_dual_fmac_f32",
                "v_pk_fma_f32",
                "v_fmaak_f32",
                "v_fmamk_f32",
            ];
            let is_fused = |word: &&str| fused.iter().any(|f| word.starts_with(f));
            mix.multiply_adds = instruction.split_whitespace().filter(is_fused).count() as f64;
        } else if name.starts_with("ds_") {
            mix.workgroup = width(&[("2_b64", 4.0), ("b128", 4.0), ("b96", 3.0), ("2_b32", 2.0), ("b64", 2.0)]);
        } else if ["buffer_", "global_", "flat_", "scratch_"].iter().any(|start| name.starts_with(start)) {
            mix.memory = 1.0;
            if name.contains("load") {
                mix.loads = width(&[("x4", 4.0), ("b128", 4.0), ("x3", 3.0), ("b96", 3.0), ("x2", 2.0), ("b64", 2.0)]);
            }
        } else {
            mix.scalar = 1.0;
        }
        mix
    }
}

/// A program: its instructions, and its loops as ranges of instructions.
pub(crate) struct Program {
    instructions: Vec<Mix>,
    loops: Vec<Range<usize>>,
}

impl Program {
    pub(crate) fn parse(assembly: &str) -> Program {
        let (mut instructions, mut labels, mut branches) = (Vec::new(), HashMap::new(), Vec::new());
        for line in assembly.lines() {
            let line = line.split(';').next().unwrap_or("").trim();
            if let Some(label) = line.strip_suffix(':') {
                labels.insert(label, instructions.len());
            } else if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                if let Some(target) = line.split_whitespace().last().filter(|_| line.contains("branch")) {
                    branches.push((instructions.len(), target));
                }
                instructions.push(Mix::of(line));
            }
        }
        // A loop may have several branches back to its head; the last one closes it.
        let mut ends: HashMap<usize, usize> = HashMap::new();
        for (at, target) in branches {
            if let Some(&head) = labels.get(target).filter(|&&head| head <= at) {
                let end = ends.entry(head).or_default();
                *end = (*end).max(at + 1);
            }
        }
        let mut loops: Vec<Range<usize>> = ends.into_iter().map(|(head, end)| head..end).collect();
        loops.sort_by_key(|range| (range.start, usize::MAX - range.end));
        Program { instructions, loops }
    }

    /// The instructions of a range, those of each loop inside it as often as `trips` says. `trips` gets the loop's own instructions,
    /// counted once.
    fn count(&self, range: &Range<usize>, trips: &dyn Fn(Mix) -> f64) -> Mix {
        let (mut sum, mut at) = (Mix::default(), range.start);
        while at < range.end {
            let inner = self.loops.iter().find(|l| l.start == at && *l != range && l.end <= range.end);
            match inner {
                Some(inner) => {
                    let once = self.count(inner, trips);
                    sum.add(once, trips(once));
                    at = inner.end;
                }
                None => {
                    sum.add(self.instructions[at], 1.0);
                    at += 1;
                }
            }
        }
        sum
    }

    /// All instructions, those of each loop as often as `trips` says.
    pub(crate) fn total(&self, trips: &dyn Fn(Mix) -> f64) -> Mix {
        self.count(&(0..self.instructions.len()), trips)
    }

    /// The numbers that an innermost loop loads, the most of all loops; of a program without such a loop, all that it loads.
    pub(crate) fn innermost_loads(&self) -> f64 {
        let innermost = |l: &&Range<usize>| !self.loops.iter().any(|o| o != *l && l.start <= o.start && o.end <= l.end);
        let loads = self.loops.iter().filter(innermost).map(|l| self.count(l, &|_| 1.0).loads);
        let most = loads.fold(0.0, f64::max);
        if most > 0.0 { most } else { self.total(&|_| 1.0).loads }
    }

    /// Of a matrix product: the instructions of a round, in which a wave does this many multiply-adds, and those outside the rounds.
    /// Of a round's other instructions a wave executes the share `others`.
    pub(crate) fn product(&self, multiply_adds: f64, others: f64) -> Option<(Mix, Mix)> {
        let once = |range: &Range<usize>| self.count(range, &|_| 1.0);
        // The outermost loop with many multiply-adds is the one over rounds; inside it may be one over the steps of a round.
        let rounds = self.loops.iter().find(|range| once(range).multiply_adds >= MANY)?;
        let steps = |l: &&Range<usize>| *l != rounds && rounds.start <= l.start && l.end <= rounds.end;
        let steps = self.loops.iter().filter(steps).find(|range| once(range).multiply_adds >= MANY);
        let products = once(steps.unwrap_or(rounds));
        let mut round = Mix::default();
        match steps {
            Some(_) => {
                round.add(once(rounds), others);
                round.add(products, -others);
                round.add(products, multiply_adds / products.multiply_adds);
            }
            // The compiler has unrolled the steps. What is not a multiply-add belongs to the other instructions.
            None => {
                round.add(products, others);
                round.multiply_adds = multiply_adds;
                round.vector += (1.0 - others) * multiply_adds;
            }
        }
        let mut outside = self.total(&|_| 1.0);
        outside.add(once(rounds), -1.0);
        Some((round, outside))
    }
}

/// A loop with at least this many multiply-adds is part of a matrix product.
const MANY: f64 = 32.0;
