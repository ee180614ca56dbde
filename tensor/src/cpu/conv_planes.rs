//! Convolutions of few channels on planes that are one long row each:
//!
//! ```text
//!   · · · · ·     a plane with its border: rows follow one another without a gap,
//!   · a b c ·     so a tap t is one number to add to a place q:
//!   · d e f ·         y[q] = Σ_t w[t] · x[q + at(t)]      for all places of all rows at once
//!   · · · · ·     Vectors run over the ends of rows. What they compute in the border is not stored.
//! ```
//! With stride s, the image is split into s² planes first, by row and column modulo s, so that neighbouring places read neighbouring
//! numbers. In the adjoint, the result is split likewise.

use super::implicit_im2col::{copy, deinterleave, interleave};
use super::parallel::{ENOUGH_TASKS, dispatch_rows, map};
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::sums::sum_lanes;
use super::window::{TapOffsets, Window};

/// Places of a plane are a multiple of this many: pairs of vectors on any instruction set.
const PAIR: usize = 32;

/// The layout of an image's channel for a grid of places: one plane for each row and column modulo the step, with a border of zeros.
struct Planes {
    image: [usize; 2],
    grid: [usize; 2],
    step: usize,
    /// Rows and columns of border before the image's first, in a plane.
    before: [usize; 2],
    rows: usize,
    width: usize,
}

impl Planes {
    /// The layout whose border covers all `offsets` from the pixels `step·place`.
    fn new(
        image: [usize; 2],
        grid: [usize; 2],
        step: usize,
        offsets: impl Iterator<Item = [isize; 2]> + Clone,
    ) -> Planes {
        let reach = |d: usize, sign: isize| {
            let places = offsets.clone().map(|offset| sign * offset[d].div_euclid(step as isize));
            places.max().unwrap_or(0).max(0) as usize
        };
        let before = [reach(0, -1), reach(1, -1)];
        let [rows, width] = [0, 1].map(|d| grid[d] + before[d] + reach(d, 1));
        Planes { image, grid, step, before, rows, width }
    }

    /// The numbers of one channel.
    fn len(&self) -> usize {
        self.step * self.step * self.rows * self.width
    }

    /// The numbers for some channels. Vectors that begin at the last place read past the last plane.
    fn len_of(&self, channels: usize) -> usize {
        channels * self.len() + self.width + PAIR
    }

    /// The numbers of a channel. [`fill`](Planes::fill) needs room for as many.
    fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The places with those in the border, rounded up to whole vectors.
    fn places(&self) -> usize {
        (self.grid[0] * self.width).next_multiple_of(PAIR)
    }

    /// The index, within a channel, of the pixel at an offset from the first place.
    fn at(&self, offset: [isize; 2]) -> usize {
        let step = self.step as isize;
        let [row, column] = [0, 1].map(|d| (self.before[d] as isize + offset[d].div_euclid(step)) as usize);
        let [py, px] = offset.map(|offset| offset.rem_euclid(step) as usize);
        ((py * self.step + px) * self.rows + row) * self.width + column
    }

    /// The indices of what a place reads through each of these taps, in each of some channels.
    fn places_of(&self, channels: usize, taps: &TapOffsets) -> Vec<usize> {
        let channel = |c: usize| taps.iter().map(move |&(offset, _)| c * self.len() + self.at(offset));
        (0..channels).flat_map(channel).collect()
    }

    /// Copies channels, `[channel][image]`. `halves` is room for a channel's even and odd columns.
    #[inline(always)]
    fn fill<V: Vector>(&self, channels: &[f32], to: &mut [f32], halves: &mut [f32]) {
        to.fill(0.0);
        let ([height, width], step) = (self.image, self.step);
        if height * width == 0 {
            return;
        }
        for (channel, to) in channels.chunks_exact(height * width).zip(to.chunks_exact_mut(self.len())) {
            let whole = step == 2 && width.is_multiple_of(2);
            let (even, odd) = halves.split_at_mut(channel.len() / 2);
            if whole {
                deinterleave::<V>(channel, even, odd);
            }
            for (phase, to) in to.chunks_exact_mut(self.rows * self.width).enumerate() {
                let (py, px) = (phase / step, phase % step);
                let [rows, columns] =
                    [[height, py, self.rows, self.before[0]], [width, px, self.width, self.before[1]]].map(
                        |[size, first, room, before]| size.saturating_sub(first).div_ceil(step).min(room - before),
                    );
                let (from, stride) = match (whole, px) {
                    (false, _) => (&channel[py.min(height - 1) * width..], step * width),
                    (true, 0) => (&even[py.min(height - 1) * width / 2..], width),
                    (true, _) => (&odd[py.min(height - 1) * width / 2..], width),
                };
                for row in 0..if columns == 0 { 0 } else { rows } {
                    let to = &mut to[(self.before[0] + row) * self.width + self.before[1]..][..columns];
                    let from = &from[row * stride..];
                    if whole || step == 1 {
                        copy::<V>(from, to);
                    } else {
                        for (i, to) in to.iter_mut().enumerate() {
                            *to = from[px + i * step];
                        }
                    }
                }
            }
        }
    }
}

/// `y[batch, groups·few, output] = bias + Σ weight(g, c, o, tap)·x[batch, groups·many, image]`, where the sum runs over the `many`
/// channels c of the group g. The image is split by `split`. The output is step² grids; `phases` has the pixels that each reads.
pub(super) fn convolve(
    (x, many, image): (&[f32], usize, [usize; 2]),
    split: usize,
    groups: usize,
    weight: &dyn Fn(usize, usize, usize, usize) -> f32,
    bias: Option<&[f32]>,
    (y, few, output): (&mut [f32], usize, [usize; 2]),
    phases: &[TapOffsets],
    step: usize,
) {
    let grid = output.map(|side| side.div_ceil(step));
    let planes = Planes::new(image, grid, split, phases.iter().flatten().map(|&(offset, _)| offset));
    let places: Vec<Vec<usize>> = phases.iter().map(|phase| planes.places_of(many, phase)).collect();
    // Of each group, phase and output: the weight of every channel and tap.
    let mut weights = Vec::new();
    for (g, phase) in (0..groups).flat_map(|g| phases.iter().map(move |phase| (g, phase))) {
        for (o, c) in (0..few).flat_map(|o| (0..many).map(move |c| (o, c))) {
            weights.extend(phase.iter().map(|&(_, t)| weight(g, c, o, t)));
        }
    }
    let (each, isa) = (weights.len() / groups, Isa::current());
    let [from, to] = [(many, image), (few, output)].map(|(channels, [height, width])| channels * height * width);
    let bias: Vec<f32> = bias.map_or_else(|| vec![0.0; groups * few], <[f32]>::to_vec);
    let work = planes.len() * many + each * planes.places();
    let room = planes.len_of(many) + step * few * planes.places() + planes.pixels().max(2 * planes.places());
    dispatch_rows(y, to, work, &|task, y| {
        let (x, group) = (&x[task * from..][..from], task % groups);
        let (weights, bias) = (&weights[group * each..][..each], &bias[group * few..][..few]);
        let (planes, places) = (&planes, &places[..]);
        scratch(room, |room| isa.dispatch(Group { planes, x, many, places, weights, bias, y, output, step, room }));
    });
}

/// One group of one image.
struct Group<'a> {
    planes: &'a Planes,
    x: &'a [f32],
    many: usize,
    /// What a place reads, of each phase.
    places: &'a [Vec<usize>],
    weights: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    output: [usize; 2],
    step: usize,
    room: &'a mut [f32],
}

impl SimdKernel for Group<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Group { planes, x, many, places, mut weights, bias, y, output: [height, width], step, room } = self;
        let (few, count) = (bias.len(), planes.places());
        let (source, rest) = room.split_at_mut(planes.len_of(many));
        let (sums, lines) = rest.split_at_mut(step * few * count);
        planes.fill::<V>(x, source, lines);
        for py in 0..step {
            for px in 0..step {
                let at = &places[py * step + px][..];
                let (w, rest) = weights.split_at(few * at.len());
                weights = rest;
                let sums = &mut sums[px * few * count..][..few * count];
                Taps { source, at, w, bias, count }.sums::<V>(sums);
            }
            for (o, y) in y.chunks_exact_mut(height * width).enumerate() {
                let sums = |px: usize| &sums[(px * few + o) * count..][..count];
                let mut from = sums(0);
                if step == 2 {
                    interleave::<V>(sums(0), sums(1), 0.0, &mut lines[..2 * count]);
                    from = &lines[..2 * count];
                }
                for row in 0..height.saturating_sub(py).div_ceil(step) {
                    let y = &mut y[(py + row * step) * width..][..width];
                    if step <= 2 {
                        copy::<V>(&from[row * step * planes.width..], y);
                        continue;
                    }
                    for (x, y) in y.iter_mut().enumerate() {
                        *y = sums(x % step)[row * planes.width + x / step];
                    }
                }
            }
        }
    }
}

/// The taps of one phase: `y[o, q] = bias[o] + Σ_t w[o, t]·source[q + at[t]]` for `count` places q.
struct Taps<'a> {
    source: &'a [f32],
    at: &'a [usize],
    w: &'a [f32],
    bias: &'a [f32],
    count: usize,
}

impl Taps<'_> {
    #[inline(always)]
    fn sums<V: Vector>(&self, sums: &mut [f32]) {
        let fours = self.bias.len() / 4 * 4;
        for o in (0..fours).step_by(4) {
            for q in (0..self.count).step_by(2 * V::LANES) {
                self.add::<V, 4, 2>(o, q, sums);
            }
        }
        for o in fours..self.bias.len() {
            let whole = self.count / (4 * V::LANES) * 4 * V::LANES;
            for q in (0..whole).step_by(4 * V::LANES) {
                self.add::<V, 1, 4>(o, q, sums);
            }
            for q in (whole..self.count).step_by(2 * V::LANES) {
                self.add::<V, 1, 2>(o, q, sums);
            }
        }
    }

    /// The sums of N outputs from `first` on at S vectors of places from `q` on. The outputs share what is read from the image.
    #[inline(always)]
    fn add<V: Vector, const N: usize, const S: usize>(&self, first: usize, q: usize, sums: &mut [f32]) {
        let taps = self.at.len();
        let w: [&[f32]; N] = std::array::from_fn(|o| &self.w[(first + o) * taps..][..taps]);
        let mut vectors = [[V::splat(0.0); S]; N];
        for o in 0..N {
            vectors[o] = [V::splat(self.bias[first + o]); S];
        }
        for t in 0..taps {
            let from = &self.source[q + self.at[t]..][..S * V::LANES];
            let mut x = [V::splat(0.0); S];
            for s in 0..S {
                x[s] = V::read(&from[s * V::LANES..]);
            }
            for o in 0..N {
                let w = V::splat(w[o][t]);
                for s in 0..S {
                    vectors[o][s] = vectors[o][s].add_product(w, x[s]);
                }
            }
        }
        for o in 0..N {
            let sums = &mut sums[(first + o) * self.count + q..][..S * V::LANES];
            for s in 0..S {
                vectors[o][s].write(&mut sums[s * V::LANES..]);
            }
        }
    }
}

/// `w[groups·outputs, inputs, kernel]` from `x[batch, groups·inputs, input]` and `y[batch, groups·outputs, output]`:
/// `w[o, c, t] = Σ_(n, q) y[n, o, q]·x[n, c, q + at(t)]`.
pub(super) fn weight_gradient(
    x: &[f32],
    y: &[f32],
    w: &mut [f32],
    groups: usize,
    [inputs, outputs]: [usize; 2],
    window: Window,
) {
    let (offsets, isa) = (window.output_tap_offsets(), Isa::current());
    let planes = Planes::new(window.input, window.output, window.stride, offsets.iter().map(|&(offset, _)| offset));
    let at = planes.places_of(inputs, &offsets);
    let [from, to] = [(inputs, window.input), (outputs, window.output)].map(|(c, [height, width])| c * height * width);
    let parts = (ENOUGH_TASKS / groups).clamp(1, window.batch);
    let partial: Vec<Vec<f64>> = map(parts * groups, |task| {
        let (part, group) = (task / groups, task % groups);
        let mut sums = vec![0.0; outputs * at.len()];
        scratch(planes.len_of(inputs) + planes.places() + planes.pixels(), |room| {
            let (source, rest) = room.split_at_mut(planes.len_of(inputs));
            let (dy, halves) = rest.split_at_mut(planes.places());
            dy.fill(0.0); // in the border
            for image in part * window.batch / parts..(part + 1) * window.batch / parts {
                let place = image * groups + group;
                let (x, y) = (&x[place * from..][..from], &y[place * to..][..to]);
                let size = window.output;
                isa.dispatch(AddImage { planes: &planes, at: &at, x, y, size, source, dy, halves, sums: &mut sums });
            }
        });
        sums
    });
    for (group, w) in w.chunks_exact_mut(outputs * at.len()).enumerate() {
        for (i, w) in w.iter_mut().enumerate() {
            *w = partial.iter().skip(group).step_by(groups).map(|sums| sums[i]).sum::<f64>() as f32;
        }
    }
}

/// `sums[o, t] += Σ_q y[o, q]·x[q + at[t]]` for one group of one image.
struct AddImage<'a> {
    planes: &'a Planes,
    at: &'a [usize],
    x: &'a [f32],
    y: &'a [f32],
    size: [usize; 2],
    source: &'a mut [f32],
    dy: &'a mut [f32],
    halves: &'a mut [f32],
    sums: &'a mut [f64],
}

impl SimdKernel for AddImage<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let AddImage { planes, at, x, y, size: [height, width], source, dy, halves, sums } = self;
        planes.fill::<V>(x, source, halves);
        let (threes, rest) = at.as_chunks::<3>();
        for (y, sums) in y.chunks_exact(height * width).zip(sums.chunks_exact_mut(at.len())) {
            for (dy, y) in dy.chunks_mut(planes.width).zip(y.chunks_exact(width)) {
                copy::<V>(y, &mut dy[..width]);
            }
            let (sums, last) = sums.split_at_mut(3 * threes.len());
            for (&at, sums) in threes.iter().zip(sums.as_chunks_mut().0) {
                add_taps::<V, 3>(source, at, dy, sums);
            }
            for (&at, sum) in rest.iter().zip(last.as_chunks_mut().0) {
                add_taps::<V, 1>(source, [at], dy, sum);
            }
        }
    }
}

#[inline(always)]
fn add_taps<V: Vector, const N: usize>(source: &[f32], at: [usize; N], dy: &[f32], sums: &mut [f64; N]) {
    let mut vectors = [[V::splat(0.0); 2]; N];
    for (pair, dy) in dy.chunks_exact(2 * V::LANES).enumerate() {
        let first = pair * 2 * V::LANES;
        let dy = [V::read(dy), V::read(&dy[V::LANES..])];
        for t in 0..N {
            let x = &source[first + at[t]..][..2 * V::LANES];
            let [a, b] = vectors[t];
            vectors[t] = [a.add_product(dy[0], V::read(x)), b.add_product(dy[1], V::read(&x[V::LANES..]))];
        }
    }
    for (sum, [a, b]) in sums.iter_mut().zip(vectors) {
        *sum += f64::from(sum_lanes(a.add(b)));
    }
}
