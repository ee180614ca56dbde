//! Checks all gradients together before a step: whether they are finite, and by what factor they are scaled.
//!   norm = √Σ g²,   factor = min(1, limit/(norm + 1e-6)),
//!   non_finite: the norm or a watched number is not finite, in this step or in an earlier one
//! The result stays on the device. An optimiser reads the factor there and changes nothing if `non_finite` is set. The host reads the
//! results of many steps at once. Squares are f32, so a gradient beyond 1e19 counts as not finite.

use crate::cpu::parallel;
use crate::cpu::simd::Isa;
use crate::cpu::sums::{Squares, TILE};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;
use crate::trace;

static WGSL: [&str; 3] = [shaders::GRID, shaders::SUM, shaders::GRADIENT_MONITOR];
pub(super) static GRADIENT_SQUARES: Kernel = Kernel::checked(&WGSL, "gradient_squares");
pub(super) static GRADIENT_SQUARES_MANY: Kernel = Kernel::checked(&WGSL, "gradient_squares_many");
pub(super) static GRADIENT_MONITOR: Kernel = Kernel::checked(&WGSL, "gradient_monitor");

/// Gradients per launch. With the sums that the launch writes, seven are the eight buffers that every device offers.
const GRADIENTS_PER_LAUNCH: usize = 7;
const MANY: usize = 24;
/// Workgroups per gradient.
const WORKGROUPS_PER_GRADIENT: usize = 32;
/// The most numbers that may be watched. With the sums and the rows, these are eight buffers again.
const MAX_WATCHED: usize = 6;
/// Numbers per row: norm, factor, non_finite, 0, the watched numbers, 0, 0.
const ROW_LEN: usize = 12;

/// Records on the device, for the latest steps, whether all gradients were finite and by what factor they are scaled.
///
/// ```text
/// norm = √Σ g²,   factor = min(1, limit/(norm + 1e-6))
/// non_finite: the norm or a watched number is not finite, in this step or in an earlier one
/// ```
///
/// The norm is that of all gradients together (PyTorch's `clip_grad_norm_`). [`OptimizerStep::apply`](crate::OptimizerStep::apply) reads the
/// factor, and changes nothing if `non_finite` is set.
#[derive(Clone, Debug)]
pub struct GradientMonitor {
    rows: Tensor, // [history + 1, ROW_LEN]; the last row is the latest result
}

/// The result of one step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradientStatus {
    /// √Σ g², before scaling.
    pub norm: f32,
    /// Whether any number was not finite in this step or in an earlier one. Parameters then stay as they are.
    pub non_finite: bool,
    /// The watched numbers, followed by zeros if fewer were watched.
    pub watched: [f32; MAX_WATCHED],
}

impl GradientMonitor {
    /// A monitor that keeps the results of this many steps.
    pub fn new(history: usize, device: &Device) -> GradientMonitor {
        let mut rows = Tensor::zeros([history + 1, ROW_LEN]);
        rows.data_mut()[history * ROW_LEN + 1] = 1.0; // before the first step nothing is scaled
        GradientMonitor { rows: rows.upload(device) }
    }

    /// The device of its results.
    pub fn device(&self) -> Device {
        self.rows.device()
    }

    /// The number of steps whose results it keeps.
    pub fn history(&self) -> usize {
        self.rows.shape()[0] - 1
    }

    /// Checks the gradients of a step and one to six of its losses, and stores the result at `row` of the history. `limit` is the
    /// largest norm that all gradients together may have; without a limit they are not scaled.
    ///
    /// # Panics
    /// If there is no such row, if no tensor or more than six tensors are watched, or if one of them does not hold one number.
    #[track_caller]
    pub fn observe(&mut self, row: usize, gradients: &[&Tensor], watched: &[&Tensor], limit: Option<f32>) {
        let last_row = self.history();
        assert!(row < last_row, "gradient_monitor: no row {row} in a history of {last_row}");
        let known = watched.len();
        assert!(
            (1..=MAX_WATCHED).contains(&known),
            "gradient_monitor: watches 1 to {MAX_WATCHED} numbers, not {known}"
        );
        assert!(watched.iter().all(|w| w.count() == 1), "gradient_monitor: watches single numbers");
        let limit = limit.unwrap_or(f32::MAX);
        if let Device::Gpu(machine) = self.rows.device() {
            let many = machine.limits().buffers as usize > MANY;
            let (kernel, width) = match many {
                true => (&GRADIENT_SQUARES_MANY, MANY),
                false => (&GRADIENT_SQUARES, GRADIENTS_PER_LAUNCH),
            };
            let sums_of_a_launch = width * WORKGROUPS_PER_GRADIENT;
            let all = gradients.len().div_ceil(width) * sums_of_a_launch;
            let mut sums = Tensor::on_device(&machine, [all.max(1)].into());
            for (i, chunk) in gradients.chunks(width).enumerate() {
                let padded = chunk.iter().copied().chain(std::iter::repeat(chunk[0])).take(width);
                let run = padded.fold(kernel.groups(sums_of_a_launch).named("gradient_monitor"), |run, g| run.read(g));
                let counts = (0..width.next_multiple_of(4)).map(|i| chunk.get(i).map_or(0, |g| g.count()));
                run.params(counts).params([i * sums_of_a_launch]).update([&mut sums]);
            }
            let padded = watched.iter().chain(std::iter::repeat(&watched[0])).take(MAX_WATCHED);
            let run = padded.fold(GRADIENT_MONITOR.groups(1).read(&sums), |run, w| run.read(w));
            return run.params([all, row, last_row, known]).floats([limit]).update([&mut self.rows]);
        }
        let begun = trace::begin();
        let sum: f64 = gradients.iter().map(|g| sum_of_squares(g)).sum();
        let norm = sum.sqrt() as f32;
        let factor = if norm > limit { limit / (norm + 1e-6) } else { 1.0 };
        let rows = self.rows.data_mut();
        let fine = norm.is_finite() && watched.iter().all(|w| w.data()[0].is_finite());
        let bad = if fine { rows[last_row * ROW_LEN + 2] } else { 1.0 };
        for row in [row, last_row] {
            let row = &mut rows[row * ROW_LEN..][..ROW_LEN];
            row.fill(0.0);
            row[..3].copy_from_slice(&[norm, factor, bad]);
            row[4..].iter_mut().zip(watched).for_each(|(number, w)| *number = w.data()[0]);
        }
        let inputs = gradients.iter().chain(watched).map(|x| x.shape());
        begun.end("gradient_monitor", inputs, self.rows.shape());
    }

    /// The results of the first `count` rows, once everything that was recorded before has run.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn read(&self, count: usize) -> crate::Result<Vec<GradientStatus>> {
        let rows = self.rows.read().await?;
        let watched = |row: &[f32]| std::array::from_fn(|i| row[4 + i]);
        let status = |row: &[f32]| GradientStatus { norm: row[0], non_finite: row[2] != 0.0, watched: watched(row) };
        Ok(rows.chunks_exact(ROW_LEN).take(count).map(status).collect())
    }

    /// The factor that scales the gradients, on the CPU. `None` if parameters must not change.
    pub(crate) fn factor(&self) -> Option<f32> {
        let now = &self.rows.data()[self.history() * ROW_LEN..];
        (now[2] == 0.0).then_some(now[1])
    }

    /// For a kernel: the index of the first element of the latest result, and all rows.
    pub(crate) fn rows(&self) -> (usize, &Tensor) {
        (self.history() * ROW_LEN, &self.rows)
    }
}

/// Σ g² in f64. The cores share the tiles; the sums of the tiles are added in order.
fn sum_of_squares(g: &Tensor) -> f64 {
    let isa = Isa::current();
    let g = g.data();
    let tiles = parallel::map(g.len().div_ceil(TILE), |i| {
        let (x, mut sum) = (&g[i * TILE..g.len().min((i + 1) * TILE)], 0.0);
        isa.dispatch(Squares { x, sum: &mut sum });
        sum
    });
    tiles.into_iter().sum()
}
