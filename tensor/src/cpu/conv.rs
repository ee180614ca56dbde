//! Convolutions as matrix products whose right operand is read from the image while it is packed.
//!
//! Three kernels serve every convolution and its gradients: [`forward`], its adjoint [`adjoint`] (the input gradient, and the
//! forward pass of a transposed convolution), and [`weight_gradient`].
//!
//! ```text
//!   forward          y[o, p] = Σ_(c,t) w[o, (c,t)] · x[c, stride·p + t − padding]
//!   adjoint          x[c, q] = Σ_(o,t) w[o, (c,t)] · y[o, (q + padding − t) / stride]     where that is whole
//!   weight gradient  w[o, (c,t)] = Σ_p y[o, p] · x[c, stride·p + t − padding]
//! ```
//! All three look at an image through [`Taps`]: a grid of places, each of which sees a few pixels at fixed offsets. The
//! adjoint with stride s falls into s² grids (the phases of q), each of which sees only the taps that divide evenly: no zero
//! is ever inserted between pixels.

use std::cell::Cell;
use std::ops::Range;

use super::gemm::{multiply, store_rows};
use super::parallel::Disjoint;
use super::pool::scratch;
use super::simd::Isa;
use super::transpose::transpose;
use super::winograd;
use super::winograd_tile::{Four, Two};

/// How a convolution slides over an image. All sizes are `[height, width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) batch: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Window {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The input as the output's places see it.
    fn seen_by_output(&self) -> Taps {
        let p = self.padding as isize;
        let offsets = (0..self.kernel[0] as isize)
            .flat_map(|y| (0..self.kernel[1] as isize).map(move |x| [y - p, x - p]))
            .collect();
        Taps { image: self.input, grid: self.output, step: self.stride, offsets }
    }

    /// The output as those places of the input see it whose row and column leave `phase` modulo the stride,
    /// with the index in the kernel of each tap.
    fn seen_by_input(&self, phase: [usize; 2]) -> (Taps, Vec<usize>) {
        let s = self.stride as isize;
        // From place g·s + phase, kernel index t looks at output g + (phase + padding − t) / s.
        let offset = |phase: usize, t: usize| {
            let ahead = (phase + self.padding) as isize - t as isize;
            (ahead % s == 0).then_some(ahead / s)
        };
        let mut offsets = Vec::new();
        let mut indices = Vec::new();
        for y in 0..self.kernel[0] {
            for x in 0..self.kernel[1] {
                if let (Some(dy), Some(dx)) = (offset(phase[0], y), offset(phase[1], x)) {
                    offsets.push([dy, dx]);
                    indices.push(y * self.kernel[1] + x);
                }
            }
        }
        let grid = [0, 1].map(|d| (self.input[d] + self.stride - 1 - phase[d]) / self.stride);
        (Taps { image: self.output, grid, step: 1, offsets }, indices)
    }
}

/// How a convolution is computed. All give the same numbers up to rounding; which is fastest depends on the shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConvAlgorithm {
    /// As the definition says: any kernel, stride and padding.
    Direct,
    /// Winograd's, in tiles of 2 × 2 outputs: kernels of 3 × 3 at stride 1.
    Winograd2,
    /// Winograd's, in tiles of 4 × 4 outputs: kernels of 3 × 3 at stride 1.
    Winograd4,
}

thread_local! {
    static FORCED: Cell<Option<ConvAlgorithm>> = const { Cell::new(None) };
}

impl ConvAlgorithm {
    /// Every one.
    pub const ALL: [ConvAlgorithm; 3] = [ConvAlgorithm::Direct, ConvAlgorithm::Winograd2, ConvAlgorithm::Winograd4];

    /// Runs `body` with this one used wherever it can be, for every convolution that the calling thread starts.
    pub fn force<R>(self, body: impl FnOnce() -> R) -> R {
        struct Restore(Option<ConvAlgorithm>);
        impl Drop for Restore {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        let _restore = Restore(FORCED.replace(Some(self)));
        body()
    }

    /// The forced one if it fits, else the one with the least to multiply. Winograd's needs enough channels to fill vectors,
    /// and enough pixels to be worth turning the weights.
    fn choose(window: &Window, channels: [usize; 2]) -> ConvAlgorithm {
        let fits = window.kernel == [3, 3] && window.stride == 1 && window.padding <= 2;
        if !fits {
            return ConvAlgorithm::Direct;
        }
        if let Some(forced) = FORCED.get() {
            return forced;
        }
        let [height, width] = window.output;
        let tiles = |m: usize| height.div_ceil(m) * width.div_ceil(m);
        if channels[0].max(channels[1]) < 16 || window.batch * height * width < 256 {
            ConvAlgorithm::Direct
        } else if tiles(4) * 36 < tiles(2) * 16 {
            ConvAlgorithm::Winograd4
        } else {
            ConvAlgorithm::Winograd2
        }
    }
}

/// `y[batch, out_channels, output]` from `x[batch, in_channels, input]` and `w[out_channels, in_channels, kernel]`.
pub(crate) fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], channels: [usize; 2], window: Window) {
    match ConvAlgorithm::choose(&window, channels) {
        ConvAlgorithm::Direct => direct(x, w, bias, y, channels, window),
        ConvAlgorithm::Winograd2 => winograd::convolve::<Two>(x, w, false, bias, y, channels, window),
        ConvAlgorithm::Winograd4 => winograd::convolve::<Four>(x, w, false, bias, y, channels, window),
    }
}

fn direct(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], channels: [usize; 2], window: Window) {
    let [cin, cout] = channels;
    let (taps, k, isa) = (window.seen_by_output(), cin * window.taps(), Isa::current());
    let places = window.batch * taps.places();
    let y = Disjoint::new(y);
    let out = Image { channels: cout, size: window.output, step: 1, phase: [0, 0] };
    multiply(
        [cout, places, k],
        &|rows, ks, width, panel| {
            if rows.len() < width {
                panel.fill(0.0);
            }
            transpose(isa, &w[rows.start * k + ks.start..], k, rows.len(), ks.len(), panel, width);
        },
        &|places, ks, width, panel| taps.pack(x, cin, places, ks, width, panel),
        &|rows, places, sums, stride| out.store(&y, &taps, bias, rows, places, sums, stride),
    );
}

/// `x[batch, in_channels, input]` from `y[batch, out_channels, output]`: the adjoint of [`forward`], plus a bias.
pub(crate) fn adjoint(y: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32], channels: [usize; 2], window: Window) {
    let [cin, cout] = channels;
    // At stride 1 it is itself a convolution, with the kernels turned round, channels exchanged, and the rest of the padding.
    let turned =
        Window { input: window.output, output: window.input, padding: 2usize.saturating_sub(window.padding), ..window };
    match ConvAlgorithm::choose(&window, channels) {
        ConvAlgorithm::Direct => direct_adjoint(y, w, bias, x, channels, window),
        ConvAlgorithm::Winograd2 => winograd::convolve::<Two>(y, w, true, bias, x, [cout, cin], turned),
        ConvAlgorithm::Winograd4 => winograd::convolve::<Four>(y, w, true, bias, x, [cout, cin], turned),
    }
}

fn direct_adjoint(y: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32], channels: [usize; 2], window: Window) {
    let [cin, cout] = channels;
    let x = Disjoint::new(x);
    let phases = (0..window.stride).flat_map(|y| (0..window.stride).map(move |x| [y, x]));
    for phase in phases {
        let (taps, indices) = window.seen_by_input(phase);
        let out = Image { channels: cin, size: window.input, step: window.stride, phase };
        multiply(
            [cin, window.batch * taps.places(), cout * indices.len()],
            &|rows, ks, width, panel| {
                for (k, out) in ks.zip(panel.chunks_mut(width)) {
                    let (o, t) = (k / indices.len(), indices[k % indices.len()]);
                    out.fill(0.0);
                    for (c, out) in rows.clone().zip(out) {
                        *out = w[(o * cin + c) * window.taps() + t];
                    }
                }
            },
            &|places, ks, width, panel| taps.pack(y, cout, places, ks, width, panel),
            &|rows, places, sums, stride| out.store(&x, &taps, bias, rows, places, sums, stride),
        );
    }
}

/// `w[out_channels, in_channels, kernel]`: the gradient of [`forward`]'s weight, from its input and its output's gradient.
pub(crate) fn weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], channels: [usize; 2], window: Window) {
    match ConvAlgorithm::choose(&window, channels) {
        ConvAlgorithm::Direct => direct_weight_gradient(x, y, w, channels, window),
        ConvAlgorithm::Winograd2 => winograd::weight_gradient::<Two>(x, y, w, channels, window),
        ConvAlgorithm::Winograd4 => winograd::weight_gradient::<Four>(x, y, w, channels, window),
    }
}

fn direct_weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], channels: [usize; 2], window: Window) {
    /// Places whose pixels are gathered at once before they are turned: 48 rows of these stay in the first-level cache.
    const STRIP: usize = 64;
    let [cin, cout] = channels;
    let (taps, n, isa) = (window.seen_by_output(), cin * window.taps(), Isa::current());
    let size = taps.places();
    let w = Disjoint::new(w);
    multiply(
        [cout, n, window.batch * size],
        &|rows, places, width, panel| {
            if rows.len() < width {
                panel.fill(0.0);
            }
            for run in runs_by_image(places, size) {
                let from = &y[(run.image * cout + rows.start) * size + run.first..];
                transpose(isa, from, size, rows.len(), run.len, &mut panel[run.at * width..], width);
            }
        },
        &|columns, places, width, panel| {
            if columns.len() < width {
                panel.fill(0.0);
            }
            scratch(columns.len() * STRIP, |strip| {
                for first in places.clone().step_by(STRIP) {
                    let some = first..(first + STRIP).min(places.end);
                    let count = some.len();
                    taps.pack(x, cin, some, columns.clone(), STRIP, strip);
                    let panel = &mut panel[(first - places.start) * width..];
                    transpose(isa, strip, STRIP, columns.len(), count, panel, width);
                }
            });
        },
        &|rows, cols, sums, stride| store_rows(&w, n, rows, cols, sums, stride),
    );
}

/// A grid of places over each image of a batch. From place (y, x), tap t sees pixel (step·y, step·x) + offset t; pixels
/// outside the image are 0. Places are numbered through the batch, image by image and row by row.
struct Taps {
    image: [usize; 2],
    grid: [usize; 2],
    step: usize,
    offsets: Vec<[isize; 2]>,
}

/// `len` neighbouring places of a panel that see neighbouring pixels inside the image.
struct Run {
    at: usize,    // where in the panel
    pixel: usize, // where in the first channel of the batch's first image
    len: usize,
}

impl Taps {
    /// Places over one image.
    fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// `panel[(c, t)][place]` for the (channel, tap) pairs `ks`, which count taps fastest.
    fn pack(
        &self,
        x: &[f32],
        channels: usize,
        places: Range<usize>,
        ks: Range<usize>,
        width: usize,
        panel: &mut [f32],
    ) {
        let taps = self.offsets.len();
        let plane = self.image[0] * self.image[1];
        let seen = ks.start..ks.end.min(ks.start + taps);
        let mut runs: Vec<Vec<Run>> = (0..taps).map(|_| Vec::new()).collect();
        for k in seen {
            runs[k % taps] = self.runs(self.offsets[k % taps], channels, places.clone());
        }
        for (k, out) in ks.zip(panel.chunks_mut(width)) {
            let (channel, runs) = (k / taps, &runs[k % taps]);
            let x = &x[channel * plane..];
            if !matches!(runs[..], [Run { at: 0, len, .. }] if len == width) {
                out.fill(0.0);
            }
            for run in runs {
                copy(&x[run.pixel..], self.step, &mut out[run.at..run.at + run.len]);
            }
        }
    }

    fn runs(&self, [dy, dx]: [isize; 2], channels: usize, places: Range<usize>) -> Vec<Run> {
        let [height, width] = self.image;
        let step = self.step as isize;
        // Columns of the grid whose pixel is inside: 0 ≤ step·g + dx < width.
        let first = (-dx + step - 1).max(0) / step;
        let end = (width as isize - dx + step - 1).max(0) / step;
        let inside = first as usize..(end as usize).min(self.grid[1]);
        let mut runs: Vec<Run> = Vec::new();
        let mut place = places.start;
        while place < places.end {
            let (line, column) = (place / self.grid[1], place % self.grid[1]);
            let (image, row) = (line / self.grid[0], line % self.grid[0]);
            let stop = (column + places.end - place).min(self.grid[1]);
            let y = row as isize * step + dy;
            let (from, to) = (column.max(inside.start), stop.min(inside.end));
            if (0..height as isize).contains(&y) && from < to {
                let pixel = (image * channels * height + y as usize) * width + (from as isize * step + dx) as usize;
                let at = place - places.start + from - column;
                match runs.last_mut() {
                    Some(last) if step == 1 && last.at + last.len == at && last.pixel + last.len == pixel => {
                        last.len += to - from;
                    }
                    _ => runs.push(Run { at, pixel, len: to - from }),
                }
            }
            place += stop - column;
        }
        runs
    }
}

/// Every `step`-th number. Short runs are most of the work on small images, so their lengths are compiled in.
#[inline]
fn copy(from: &[f32], step: usize, to: &mut [f32]) {
    #[inline(always)]
    fn exactly<const N: usize>(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(&from[..N]);
    }
    match (step, to.len()) {
        (1, 16) => exactly::<16>(from, to),
        (1, 15) => exactly::<15>(from, to),
        (1, 8) => exactly::<8>(from, to),
        (1, 7) => exactly::<7>(from, to),
        (1, 4) => exactly::<4>(from, to),
        (1, 3) => exactly::<3>(from, to),
        (1, 2) => exactly::<2>(from, to),
        (_, 1) => to[0] = from[0],
        (1, n) => to.copy_from_slice(&from[..n]),
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(out, &x)| *out = x),
    }
}

/// Consecutive places of one image.
struct ImageRun {
    image: usize,
    first: usize, // within the image
    at: usize,    // within the range
    len: usize,
}

/// Cuts a range of places at the borders between images of `size` places.
fn runs_by_image(places: Range<usize>, size: usize) -> impl Iterator<Item = ImageRun> {
    let images = places.start / size..places.end.div_ceil(size);
    images.map(move |image| {
        let (start, end) = (places.start.max(image * size), places.end.min((image + 1) * size));
        ImageRun { image, first: start - image * size, at: start - places.start, len: end - start }
    })
}

/// Where sums go: the pixels `step·place + phase` of every channel.
struct Image {
    channels: usize,
    size: [usize; 2],
    step: usize,
    phase: [usize; 2],
}

impl Image {
    fn store(
        &self,
        to: &Disjoint,
        taps: &Taps,
        bias: Option<&[f32]>,
        rows: Range<usize>,
        places: Range<usize>,
        sums: &[f32],
        stride: usize,
    ) {
        let plane = self.size[0] * self.size[1];
        for (r, channel) in rows.enumerate() {
            let bias = bias.map_or(0.0, |b| b[channel]);
            for run in runs_by_image(places.clone(), taps.places()) {
                let sums = &sums[r * stride + run.at..][..run.len];
                let start = (run.image * self.channels + channel) * plane;
                if self.step == 1 {
                    // SAFETY: `multiply` stores each element once, and phases come one after another.
                    let out = unsafe { to.part(start + run.first..start + run.first + run.len) };
                    out.iter_mut().zip(sums).for_each(|(out, s)| *out = s + bias);
                    continue;
                }
                let columns = taps.grid[1];
                let mut place = run.first;
                let mut sums = sums;
                while !sums.is_empty() {
                    let (row, column) = (place / columns, place % columns);
                    let (line, rest) = sums.split_at(sums.len().min(columns - column));
                    let first = (row * self.step + self.phase[0]) * self.size[1] + column * self.step + self.phase[1];
                    let last = first + (line.len() - 1) * self.step;
                    // SAFETY: likewise; the places of one task and phase on one row lie beside those of the next.
                    let out = unsafe { to.part(start + first..start + last + 1) };
                    out.iter_mut().step_by(self.step).zip(line).for_each(|(out, s)| *out = s + bias);
                    (place, sums) = (place + line.len(), rest);
                }
            }
        }
    }
}
