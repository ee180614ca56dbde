//! What is asked of all gradients together before a step: are they finite, and by what are they scaled?
//!   norm = √Σ g²,   factor = min(1, limit/(norm + 1e-6)),   bad: the norm or a watched number is not finite, now or before
//! The answer stays on the device: Adam reads the factor there and does nothing where it is bad. The host reads the
//! answers of many steps at once. Squares are f32: a gradient beyond 1e19 counts as not finite.

use rayon::prelude::*;

use super::reduce::TILE;
use crate::cpu::channels::sum_of;
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::SUM, shaders::GUARD];
pub(super) static GUARD_SQUARES: Kernel = Kernel::checked(&WGSL, "guard_squares");
pub(super) static GUARD: Kernel = Kernel::checked(&WGSL, "guard");

/// Gradients that one launch takes: with the sums that it writes, the eight buffers that every device offers.
const TOGETHER: usize = 7;
/// Workgroups a gradient.
const SHARES: usize = 32;
/// Numbers that may be watched: with the sums and the rows, eight buffers again.
const MOST: usize = 6;
/// Numbers a row: norm, factor, bad, 0, the watched, 0, 0.
const WIDTH: usize = 12;

/// Whether the gradients of the latest steps were finite, and by what they are scaled; it stays on their device.
///
/// ```text
/// norm = √Σ g²,   factor = min(1, limit/(norm + 1e-6)),   bad: the norm or a watched number is not finite, now or before
/// ```
///
/// The norm is that of all gradients together (PyTorch's `clip_grad_norm_`). [`AdamStep::apply`](crate::AdamStep::apply) reads the
/// factor, and moves nothing where it is bad.
#[derive(Clone, Debug)]
pub struct Guard {
    rows: Tensor, // [history + 1, WIDTH]; the last row is what holds now
}

/// What one step's gradients came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Guarded {
    /// √Σ g², before scaling.
    pub norm: f32,
    /// Whether anything was not finite in this step or in one before: parameters then stay as they are.
    pub bad: bool,
    /// The watched numbers; 0 where fewer were watched.
    pub watched: [f32; MOST],
}

impl Guard {
    /// A guard that remembers this many steps.
    pub fn new(history: usize, device: &Device) -> Guard {
        let mut rows = Tensor::zeros([history + 1, WIDTH]);
        rows.data_mut()[history * WIDTH + 1] = 1.0; // before the first step nothing is scaled
        Guard { rows: rows.upload(device) }
    }

    /// Steps that it remembers.
    pub fn history(&self) -> usize {
        self.rows.shape()[0] - 1
    }

    /// Looks at the gradients of a step, with one to six numbers of its losses, and notes the answer at `row` of the history.
    /// `limit` is the largest norm that gradients may have together; with none they are not scaled.
    ///
    /// # Panics
    /// If there is no such row, if nothing or more than six tensors are watched, or one of them is not one number.
    #[track_caller]
    pub fn observe(&mut self, row: usize, gradients: &[&Tensor], watched: &[&Tensor], limit: Option<f32>) {
        let last_row = self.history();
        assert!(row < last_row, "guard: no row {row} in a history of {last_row}");
        let known = watched.len();
        assert!((1..=MOST).contains(&known), "guard: watches 1 to {MOST} numbers, not {known}");
        assert!(watched.iter().all(|w| w.count() == 1), "guard: watches single numbers");
        let limit = limit.unwrap_or(f32::MAX);
        if let Device::Gpu(machine) = self.rows.device() {
            let chunks = gradients.chunks(TOGETHER);
            let all = chunks.len() * TOGETHER * SHARES;
            let mut sums = Tensor::on_device(&machine, [all.max(1)].into());
            for (i, chunk) in chunks.enumerate() {
                let padded: Vec<&Tensor> =
                    chunk.iter().copied().chain(std::iter::repeat(chunk[0])).take(TOGETHER).collect();
                let counts: [usize; 8] = std::array::from_fn(|i| chunk.get(i).map_or(0, |g| g.count()));
                let run = padded.iter().fold(GUARD_SQUARES.groups(TOGETHER * SHARES), |run, g| run.read(g));
                let run = run.params(counts.map(|count| count.div_ceil(4))).params(counts);
                run.params([i * TOGETHER * SHARES]).update([&mut sums]);
            }
            let padded = watched.iter().chain(std::iter::repeat(&watched[0])).take(MOST);
            let run = padded.fold(GUARD.groups(1).read(&sums), |run, w| run.read(w));
            return run.params([all, row, last_row, known]).floats([limit]).update([&mut self.rows]);
        }
        let sum: f64 = gradients.iter().map(|g| sum_of_squares(g)).sum();
        let norm = sum.sqrt() as f32;
        let factor = if norm > limit { limit / (norm + 1e-6) } else { 1.0 };
        let rows = self.rows.data_mut();
        let fine = norm.is_finite() && watched.iter().all(|w| w.data()[0].is_finite());
        let bad = if fine { rows[last_row * WIDTH + 2] } else { 1.0 };
        for row in [row, last_row] {
            let row = &mut rows[row * WIDTH..][..WIDTH];
            row.fill(0.0);
            row[..3].copy_from_slice(&[norm, factor, bad]);
            row[4..].iter_mut().zip(watched).for_each(|(number, w)| *number = w.data()[0]);
        }
    }

    /// What was noted at the first `count` rows, once everything before has run.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn read(&self, count: usize) -> crate::Result<Vec<Guarded>> {
        let rows = self.rows.read().await?;
        let watched = |row: &[f32]| std::array::from_fn(|i| row[4 + i]);
        let guarded = |row: &[f32]| Guarded { norm: row[0], bad: row[2] != 0.0, watched: watched(row) };
        Ok(rows.chunks_exact(WIDTH).take(count).map(guarded).collect())
    }

    /// The scale of gradients, on the CPU; none where parameters are to stay.
    pub(crate) fn factor(&self) -> Option<f32> {
        let now = &self.rows.data()[self.history() * WIDTH..];
        (now[2] == 0.0).then_some(now[1])
    }

    /// The rows, for a kernel: the number of the first element of what holds now, and all.
    pub(crate) fn rows(&self) -> (usize, &Tensor) {
        (self.history() * WIDTH, &self.rows)
    }
}

/// Σ g² in f64, of tiles that the cores share and whose sums are added in order.
fn sum_of_squares(g: &Tensor) -> f64 {
    let isa = Isa::current();
    let tiles = g.data().par_chunks(TILE).map(|tile| isa.run(|| sum_of(tile, tile, |x, y| x * y)));
    tiles.collect::<Vec<f64>>().into_iter().sum()
}
