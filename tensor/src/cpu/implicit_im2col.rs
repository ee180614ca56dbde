//! The operands of the matrix products in `conv.rs`: which pixels each place of a grid reads, and where its sum is stored.
//!
//! ```text
//!   a row of pixels             · a b c d e f ·          with its border
//!   split by the step (2)       · b d f │ a c e ·        so that neighbouring places read neighbouring numbers
//!   a row of a panel            b d f, a c e, d f · …    runs of a split row, one for each tap and line of places
//! ```
//! A row is split once and then copied from, three times for a 3 × 3 kernel. If the step is 1, or few taps read a row, its numbers
//! are copied directly to the panel.

use std::ops::Range;

use super::parallel::DisjointSliceMut;
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector, prefetch};

/// The matrix of im2col without storing it: a grid of places over each image of a batch. At place (y, x), tap t reads pixel
/// (step·y, step·x) + offset t, or 0 outside the image. Places are numbered through the batch, image by image and row by row.
pub(super) struct ImplicitIm2col {
    image: [usize; 2],
    pub(super) grid: [usize; 2],
    step: usize,
    /// The offsets of the image rows that any tap reads from a row of the grid.
    rows: Vec<isize>,
    taps: Vec<Tap>,
    /// Columns of border before a row, a multiple of the step.
    left: usize,
    /// The length of one part of a split row.
    each: usize,
}

/// `len` neighbouring places of a panel that read pixels `step` apart inside the image.
struct Run {
    at: usize,    // the first place in the panel
    pixel: usize, // its pixel, counted from the first channel of the batch's first image
    len: usize,
}

struct Tap {
    dy: isize,
    dx: isize,
    row: usize,   // the index in `rows` of the row that it reads
    start: usize, // the index in a split row of the pixel that it reads from column 0
}

/// Neighbouring places of a panel on one row of the grid.
struct Line {
    image: usize,
    row: usize,
    column: usize,
    at: usize, // the first place in the panel
    len: usize,
}

impl ImplicitIm2col {
    /// The grid of `grid` places over images of `image` pixels, and the offset of each tap.
    pub(super) fn new(image: [usize; 2], grid: [usize; 2], step: usize, offsets: &[[isize; 2]]) -> ImplicitIm2col {
        let mut rows: Vec<isize> = offsets.iter().map(|&[dy, _]| dy).collect();
        rows.sort_unstable();
        rows.dedup();
        let least = offsets.iter().map(|&[_, dx]| dx).min().unwrap_or(0).min(0);
        let left = least.unsigned_abs().next_multiple_of(step);
        let from = |dx: isize| (dx + left as isize) as usize; // columns from the border's first
        let each = grid[1] + offsets.iter().map(|&[_, dx]| from(dx) / step).max().unwrap_or(0);
        let tap = |&[dy, dx]: &[isize; 2]| {
            let row = rows.partition_point(|&row| row < dy);
            Tap { dy, dx, row, start: from(dx) % step * each + from(dx) / step }
        };
        let taps = offsets.iter().map(tap).collect();
        ImplicitIm2col { image, grid, step, rows, taps, left, each }
    }

    /// The number of places over one image.
    pub(super) fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Fills `panel[(c, t)][place]` for the (channel, tap) pairs `ks`, in which the tap changes fastest.
    pub(super) fn pack(
        &self,
        isa: Isa,
        (x, channels): (&[f32], usize),
        places: Range<usize>,
        ks: Range<usize>,
        width: usize,
        panel: &mut [f32],
    ) {
        if self.step == 1 || self.taps.len() <= self.step * self.rows.len() {
            let runs: Vec<_> = self.taps.iter().map(|tap| self.runs(tap, channels, places.clone())).collect();
            let (plane, step) = (self.image[0] * self.image[1], self.step);
            return isa.dispatch(PackRuns { x, plane, step, runs: &runs, ks, width, panel });
        }
        // More taps read a row than it has parts, so it is split once and copied from often.
        if places.len() < width {
            panel.fill(0.0);
        }
        let lines: Vec<Line> = self.lines(places).collect();
        let split = self.step * self.each;
        scratch(lines.len() * self.rows.len() * split, |rows| {
            rows.fill(0.0); // the border stays 0
            isa.dispatch(PackSplit { taps: self, x, channels, lines: &lines, ks, width, panel, rows, split });
        });
    }

    /// The runs of `places` that read pixels through one tap.
    fn runs(&self, &Tap { dy, dx, .. }: &Tap, channels: usize, places: Range<usize>) -> Vec<Run> {
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

    /// The rows of a range of places.
    fn lines(&self, places: Range<usize>) -> impl Iterator<Item = Line> {
        let rows = places.start / self.grid[1]..places.end.div_ceil(self.grid[1]);
        rows.map(move |row| {
            let (start, end) = (places.start.max(row * self.grid[1]), places.end.min((row + 1) * self.grid[1]));
            let (image, row, column) = (row / self.grid[0], row % self.grid[0], start % self.grid[1]);
            Line { image, row, column, at: start - places.start, len: end - start }
        })
    }
}

/// Packs a panel from runs of the image. The runs of a tap are the same in every channel.
struct PackRuns<'a> {
    x: &'a [f32],
    plane: usize,
    step: usize,
    runs: &'a [Vec<Run>],
    ks: Range<usize>,
    width: usize,
    panel: &'a mut [f32],
}

impl SimdKernel for PackRuns<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (k, out) in self.ks.zip(self.panel.chunks_mut(self.width)) {
            let (x, runs) = (&self.x[k / self.runs.len() * self.plane..], &self.runs[k % self.runs.len()]);
            if !matches!(runs[..], [Run { at: 0, len, .. }] if len == self.width) {
                out.fill(0.0);
            }
            for run in runs {
                let (from, to) = (&x[run.pixel..], &mut out[run.at..run.at + run.len]);
                match self.step {
                    1 => copy::<V>(from, to),
                    step => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &x)| *to = x),
                }
            }
        }
    }
}

/// How many channels ahead pixels are prefetched. The pixels of a channel are few and close together, but far from those of the next
/// channel, so the processor's own prefetching is too late.
const AHEAD: usize = 2;

/// Packs a panel from rows that are split first.
struct PackSplit<'a> {
    taps: &'a ImplicitIm2col,
    x: &'a [f32],
    channels: usize,
    lines: &'a [Line],
    ks: Range<usize>,
    width: usize,
    panel: &'a mut [f32],
    rows: &'a mut [f32], // [line][row][split]
    split: usize,
}

impl SimdKernel for PackSplit<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let PackSplit { taps, x, channels, lines, ks, width, panel, rows, split } = self;
        let (all, [height, columns]) = (taps.taps.len(), taps.image);
        let mut out = panel.chunks_mut(width);
        let mut k = ks.start;
        while k < ks.end {
            let channel = k / all;
            let mut to = rows.chunks_exact_mut(split);
            for line in lines {
                for (&dy, to) in taps.rows.iter().zip(&mut to) {
                    let y = (line.row * taps.step) as isize + dy;
                    if (0..height as isize).contains(&y) {
                        let start = ((line.image * channels + channel) * height + y as usize) * columns;
                        prefetch(x, start + AHEAD * height * columns, columns);
                        taps.split::<V>(&x[start..start + columns], to);
                    }
                }
            }
            let some = &taps.taps[k % all..all.min(k % all + ks.end - k)];
            k += some.len();
            for (tap, out) in some.iter().zip(&mut out) {
                for (i, line) in lines.iter().enumerate() {
                    let from = &rows[(i * taps.rows.len() + tap.row) * split + tap.start + line.column..];
                    copy::<V>(from, &mut out[line.at..line.at + line.len]);
                }
            }
        }
    }
}

impl ImplicitIm2col {
    /// Splits a row of pixels by the step and writes it between the borders.
    #[inline(always)]
    fn split<V: Vector>(&self, row: &[f32], to: &mut [f32]) {
        let (step, each) = (self.step, self.each);
        let first = self.left / step;
        if step != 2 {
            for (part, to) in to[..step * each].chunks_exact_mut(each).enumerate() {
                let from = row.iter().skip(part).step_by(step);
                to[first..].iter_mut().zip(from).for_each(|(to, &x)| *to = x);
            }
            return;
        }
        let (even, odd) = to.split_at_mut(each);
        let pairs = row.len().div_ceil(2).min(each - first);
        let whole = pairs.min(row.len() / 2);
        deinterleave::<V>(row, &mut even[first..first + whole], &mut odd[first..first + whole]);
        if whole < pairs {
            (even[first + whole], odd[first + whole]) = (row[2 * whole], 0.0);
        }
    }
}

/// Copies as many numbers as `to` holds. The last vector overlaps the one before.
#[inline(always)]
pub(super) fn copy<V: Vector>(from: &[f32], to: &mut [f32]) {
    #[inline(always)]
    fn ends<const N: usize>(from: &[f32], to: &mut [f32]) {
        let last = to.len() - N;
        to[..N].copy_from_slice(&from[..N]);
        to[last..].copy_from_slice(&from[last..]);
    }
    let len = to.len();
    let from = &from[..len];
    if len >= V::LANES {
        for at in (0..len - V::LANES).step_by(V::LANES) {
            V::read(&from[at..]).write(&mut to[at..]);
        }
        return V::read(&from[len - V::LANES..]).write(&mut to[len - V::LANES..]);
    }
    match len {
        8.. => ends::<8>(from, to),
        4.. => ends::<4>(from, to),
        2.. => ends::<2>(from, to),
        _ => ends::<1>(from, to),
    }
}

/// Consecutive places of one image.
pub(super) struct ImageRun {
    pub(super) image: usize,
    pub(super) first: usize, // within the image
    pub(super) at: usize,    // within the range
    pub(super) len: usize,
}

/// Cuts a range of places into one run per image of `size` places.
pub(super) fn runs_by_image(places: Range<usize>, size: usize) -> impl Iterator<Item = ImageRun> {
    let images = places.start / size..places.end.div_ceil(size);
    images.map(move |image| {
        let (start, end) = (places.start.max(image * size), places.end.min((image + 1) * size));
        ImageRun { image, first: start - image * size, at: start - places.start, len: end - start }
    })
}

/// The pixels that sums are stored to: `step·place + phase` of every channel.
pub(super) struct Image<'a> {
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    pub(super) step: usize,
    pub(super) phase: [usize; 2],
    /// With a step of 2: the sums of the phase one column before, `[image][channel][place]`, which are stored together with these.
    pub(super) before: Option<&'a [f32]>,
}

impl Image<'_> {
    pub(super) fn store(
        &self,
        isa: Isa,
        to: &DisjointSliceMut,
        taps: &ImplicitIm2col,
        bias: Option<&[f32]>,
        rows: Range<usize>,
        places: Range<usize>,
        sums: &[f32],
        stride: usize,
    ) {
        isa.dispatch(Store { image: self, to, taps, bias, rows, places, sums, stride });
    }
}

struct Store<'a> {
    image: &'a Image<'a>,
    to: &'a DisjointSliceMut<'a>,
    taps: &'a ImplicitIm2col,
    bias: Option<&'a [f32]>,
    rows: Range<usize>,
    places: Range<usize>,
    sums: &'a [f32],
    stride: usize,
}

impl SimdKernel for Store<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Store { image, to, taps, bias, rows, places, sums, stride } = self;
        let Image { channels, size, step, phase, before } = *image;
        for (r, channel) in rows.enumerate() {
            let bias = bias.map_or(0.0, |b| b[channel]);
            for run in runs_by_image(places.clone(), taps.places()) {
                let sums = &sums[r * stride + run.at..][..run.len];
                let at = run.image * channels + channel;
                let start = at * size[0] * size[1];
                if step == 1 {
                    // SAFETY: `multiply` stores each element once, and the phases follow one another.
                    let out = unsafe { to.part(start + run.first..start + run.first + run.len) };
                    for i in 0..out.len() {
                        out[i] = sums[i] + bias;
                    }
                    continue;
                }
                let columns = taps.grid[1];
                let (mut place, mut sums) = (run.first, sums);
                while !sums.is_empty() {
                    let (row, column) = (place / columns, place % columns);
                    let (line, rest) = sums.split_at(sums.len().min(columns - column));
                    let first = start + (row * step + phase[0]) * size[1] + column * step;
                    match before {
                        Some(before) => {
                            let before = &before[at * taps.places() + place..][..line.len()];
                            // SAFETY: as above. On a row, the places of one task end where those of the next begin.
                            let out = unsafe { to.part(first..first + 2 * line.len()) };
                            interleave::<V>(before, line, bias, out);
                        }
                        None => {
                            let (first, last) = (first + phase[1], first + phase[1] + (line.len() - 1) * step);
                            // SAFETY: as above.
                            let out = unsafe { to.part(first..last + 1) };
                            out.iter_mut().step_by(step).zip(line).for_each(|(out, s)| *out = s + bias);
                        }
                    }
                    (place, sums) = (place + line.len(), rest);
                }
            }
        }
    }
}

/// The numbers at even and at odd places, as many of each as there is room for.
#[inline(always)]
pub(super) fn deinterleave<V: Vector>(from: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let len = even.len();
    let (from, odd) = (&from[..2 * len], &mut odd[..len]);
    let whole = len / V::LANES * V::LANES;
    for i in (0..whole).step_by(V::LANES) {
        let [a, b] = V::read(&from[2 * i..]).deinterleave(V::read(&from[2 * i + V::LANES..]));
        a.write(&mut even[i..]);
        b.write(&mut odd[i..]);
    }
    for i in whole..len {
        (even[i], odd[i]) = (from[2 * i], from[2 * i + 1]);
    }
}

/// a₀ b₀ a₁ b₁ …, each plus the bias.
#[inline(always)]
pub(super) fn interleave<V: Vector>(a: &[f32], b: &[f32], bias: f32, out: &mut [f32]) {
    let whole = a.len() / V::LANES * V::LANES;
    for i in (0..whole).step_by(V::LANES) {
        let [low, high] = V::read(&a[i..]).add(V::splat(bias)).interleave(V::read(&b[i..]).add(V::splat(bias)));
        low.write(&mut out[2 * i..]);
        high.write(&mut out[2 * i + V::LANES..]);
    }
    for i in whole..a.len() {
        out[2 * i] = a[i] + bias;
        out[2 * i + 1] = b[i] + bias;
    }
}
