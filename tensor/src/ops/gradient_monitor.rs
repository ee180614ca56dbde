//! Checks all gradients together before a step: whether they are finite, and by what factor they are scaled.
//!   norm = √Σ g²,   factor = min(1, limit/(norm + 1e-6)),
//!   non_finite: the norm or a watched number is not finite, in this step or in an earlier one
//! With a loss scale s (Micikevicius et al., 1710.03740, section 3.2) the gradients are those of s·loss:
//!   norm = √Σ g²/s,   factor = min(1, limit/(norm + 1e-6))/s
//!   If the gradients are not finite and the losses are, the step is skipped and s ← s/2. After 2,000 steps without that, s ← 2·s.
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
/// Numbers per row: norm, factor, what happened, loss scale, the watched numbers, steps since the loss scale changed, 0.
const ROW_LEN: usize = 12;
/// What happened, as a row has it: the step was taken, a number was not finite, or the step was skipped for the sake of the loss scale.
const TAKEN: f32 = 0.0;
const NON_FINITE: f32 = 1.0;
const SKIPPED: f32 = 2.0;
/// After this many steps in a row without a skipped one, the loss scale doubles, as PyTorch's `GradScaler` does.
const GROWTH_INTERVAL: f32 = 2000.0;

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
    has_loss_scale: bool,
}

/// The result of one step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradientStatus {
    /// √Σ g², before scaling.
    pub norm: f32,
    /// Whether any number was not finite in this step or in an earlier one. Parameters then stay as they are.
    pub non_finite: bool,
    /// Whether this step alone changed nothing, because the loss scale was too large.
    pub skipped: bool,
    /// The loss scale for the next step, if there is one.
    pub loss_scale: Option<LossScale>,
    /// The watched numbers, followed by zeros if fewer were watched.
    pub watched: [f32; MAX_WATCHED],
}

/// The factor of a loss whose gradients may vanish in f16.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LossScale {
    /// The factor, a power of two.
    pub scale: f32,
    /// The number of steps since it changed.
    pub steps: f32,
}

impl Default for LossScale {
    /// A scale of 256 for losses that are sums over pixels. PyTorch's 65,536 suits means. If the scale is too large, the first steps
    /// are skipped.
    fn default() -> LossScale {
        LossScale { scale: 256.0, steps: 0.0 }
    }
}

impl GradientMonitor {
    /// A monitor that keeps the results of this many steps.
    pub fn new(history: usize, device: &Device) -> GradientMonitor {
        GradientMonitor::with_loss_scale(history, device, None)
    }

    /// The same, and with a loss scale the gradients are those of the loss times [`loss_scale`](GradientMonitor::loss_scale). A step whose gradients are not finite although its losses are changes nothing and
    /// halves the scale. After 2,000 steps without such a one the scale doubles. At a scale of 1 such a step counts as not finite.
    pub fn with_loss_scale(history: usize, device: &Device, loss_scale: Option<LossScale>) -> GradientMonitor {
        let mut rows = Tensor::zeros([history + 1, ROW_LEN]);
        let last = &mut rows.data_mut()[history * ROW_LEN..];
        last[1] = 1.0; // before the first step nothing is scaled
        if let Some(LossScale { scale, steps }) = loss_scale {
            (last[3], last[10]) = (scale, steps);
        }
        GradientMonitor { rows: rows.upload(device), has_loss_scale: loss_scale.is_some() }
    }

    /// The factor of the next step's loss, one number on the device. `None` for a monitor without a loss scale.
    pub fn loss_scale(&self) -> Option<Tensor> {
        let all = self.rows.count();
        self.has_loss_scale.then(|| self.rows.reshape([all]).slice(0, all - ROW_LEN + 3, 1).reshape([]))
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
        let rows = self.rows.data_mut();
        let [.., before, mut scale] = *rows[last_row * ROW_LEN..].first_chunk::<4>().expect("a row");
        let mut steps = rows[last_row * ROW_LEN + 10];
        let unscale = if scale > 0.0 { scale } else { 1.0 };
        let norm = sum.sqrt() as f32 / unscale;
        let factor = if norm > limit { limit / (norm + 1e-6) } else { 1.0 } / unscale;
        let losses_fine = watched.iter().all(|w| w.data()[0].is_finite());
        let happened = match (norm.is_finite(), losses_fine) {
            _ if before == NON_FINITE => NON_FINITE,
            (true, true) => TAKEN,
            (false, true) if scale > 1.0 => SKIPPED,
            _ => NON_FINITE,
        };
        if happened == SKIPPED {
            (scale, steps) = (0.5 * scale, 0.0);
        } else if scale > 0.0 {
            steps += 1.0;
            if steps == GROWTH_INTERVAL {
                (scale, steps) = (2.0 * scale, 0.0);
            }
        }
        for row in [row, last_row] {
            let row = &mut rows[row * ROW_LEN..][..ROW_LEN];
            row.fill(0.0);
            row[..4].copy_from_slice(&[norm, factor, happened, scale]);
            row[4..].iter_mut().zip(watched).for_each(|(number, w)| *number = w.data()[0]);
            row[10] = steps;
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
        let loss_scale = |row: &[f32]| (row[3] > 0.0).then_some(LossScale { scale: row[3], steps: row[10] });
        let status = |row: &[f32]| GradientStatus {
            norm: row[0],
            non_finite: row[2] == NON_FINITE,
            skipped: row[2] == SKIPPED,
            loss_scale: loss_scale(row),
            watched: watched(row),
        };
        Ok(rows.chunks_exact(ROW_LEN).take(count).map(status).collect())
    }

    /// The factor that scales the gradients, on the CPU. `None` if parameters must not change.
    pub(crate) fn factor(&self) -> Option<f32> {
        let now = &self.rows.data()[self.history() * ROW_LEN..];
        (now[2] == TAKEN).then_some(now[1])
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
