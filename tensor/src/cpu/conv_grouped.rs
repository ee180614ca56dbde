//! Convolutions in groups of channels, with gaps between the taps of the kernel.
//!
//! A group of many channels is a matrix product, as in `conv.rs`; between its channels in memory are those of other groups. With few
//! channels, as in a depthwise convolution, most of a tile of sums would stay empty. Then each plane becomes one long row:
//!
//! ```text
//!   · · · · ·     a plane with its border: rows follow one another without a gap,
//!   · a b c ·     so a tap t is one number to add to a place q:
//!   · d e f ·         y[q] = Σ_t w[t] · x[q + at(t)]      for all places of all rows at once
//!   · · · · ·     Vectors run over the ends of rows. What they compute in the border is not stored.
//! ```
//! With stride s, the image is split into s² planes first, by row and column modulo s, so that neighbouring places read neighbouring
//! numbers. In the adjoint, the result is split likewise.

use super::conv::{self, ConvAlgorithm, Product};
use super::conv_indirect;
use super::parallel::{ENOUGH_TASKS, dispatch_rows, map};
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::window::{Channels, TapOffsets, Window};

/// Groups with at least this many channels, on both sides, are matrix products.
const MANY: usize = 16;

/// Places of a plane are a multiple of this many: pairs of vectors on any instruction set.
const PAIR: usize = 32;

/// The sizes of a convolution in groups.
#[derive(Clone, Copy)]
pub(crate) struct Grouped {
    /// The input and the output channels of an image.
    pub(crate) channels: [usize; 2],
    pub(crate) groups: usize,
    pub(crate) window: Window,
}

impl Grouped {
    fn group_channels(&self) -> [usize; 2] {
        self.channels.map(|channels| channels / self.groups)
    }

    /// Whether each group is a matrix product.
    fn dense(&self) -> bool {
        self.groups == 1 || self.group_channels().iter().all(|&channels| channels >= MANY)
    }

    /// For each group: where its channels begin in the input, the output and the weight, and its channels.
    fn each(&self) -> impl Iterator<Item = ([usize; 3], Channels)> {
        let [inputs, outputs] = self.group_channels();
        let [input, output] = [self.window.input, self.window.output].map(|[height, width]| height * width);
        let sizes = [inputs * input, outputs * output, outputs * inputs * self.window.taps()];
        let channels = Channels { group: [inputs, outputs], image: self.channels };
        (0..self.groups).map(move |g| (sizes.map(|size| g * size), channels))
    }
}

/// `y[batch, out_channels, output]` from `x[batch, in_channels, input]` and `w[out_channels, in_channels / groups, kernel]`.
pub(crate) fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], sizes: Grouped) {
    let Grouped { channels, groups, window } = sizes;
    let ([inputs, outputs], taps) = (sizes.group_channels(), window.taps());
    if y.is_empty() {
        return;
    }
    if groups == 1 && window.dilation == 1 {
        return conv::forward(x, w, bias, y, channels, window);
    }
    if sizes.dense() {
        for (g, ([x_at, y_at, w_at], channels)) in sizes.each().enumerate() {
            let bias = bias.map(|bias| &bias[g * outputs..]);
            let product = match ConvAlgorithm::of_any_kernel(&window, Product::Forward, channels.group) {
                ConvAlgorithm::Indirect => conv_indirect::forward,
                _ => conv::direct,
            };
            product(&x[x_at..], &w[w_at..], bias, &mut y[y_at..], channels, window);
        }
        return;
    }
    let weight = |g: usize, c: usize, o: usize, t: usize| w[((g * outputs + o) * inputs + c) * taps + t];
    let (from, to) = ((x, inputs, window.input), (y, outputs, window.output));
    convolve(from, window.stride, groups, &weight, bias, to, &[window.output_tap_offsets()], 1);
}

/// `x[batch, in_channels, input]` from `y[batch, out_channels, output]`: the adjoint of [`forward`].
pub(crate) fn adjoint(y: &[f32], w: &[f32], x: &mut [f32], sizes: Grouped) {
    let Grouped { channels, groups, window } = sizes;
    let ([inputs, outputs], taps) = (sizes.group_channels(), window.taps());
    if x.is_empty() {
        return;
    }
    if groups == 1 && window.dilation == 1 {
        return conv::adjoint(y, w, None, x, channels, window);
    }
    if sizes.dense() {
        for ([x_at, y_at, w_at], channels) in sizes.each() {
            let product = match ConvAlgorithm::of_any_kernel(&window, Product::Adjoint, channels.group) {
                ConvAlgorithm::Indirect => conv_indirect::adjoint,
                _ => conv::direct_adjoint,
            };
            product(&y[y_at..], &w[w_at..], None, &mut x[x_at..], channels, window);
        }
        return;
    }
    let weight = |g: usize, o: usize, c: usize, t: usize| w[((g * outputs + o) * inputs + c) * taps + t];
    let phases: Vec<TapOffsets> = window.phases().map(|phase| window.input_tap_offsets(phase)).collect();
    let (from, to) = ((y, outputs, window.output), (x, inputs, window.input));
    convolve(from, 1, groups, &weight, None, to, &phases, window.stride);
}

/// `w[out_channels, in_channels / groups, kernel]`: the gradient of [`forward`]'s weight, from its input and its output's gradient.
pub(crate) fn weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], sizes: Grouped) {
    let Grouped { channels, groups, window } = sizes;
    if w.is_empty() {
        return;
    }
    if window.batch == 0 {
        return w.fill(0.0);
    }
    if groups == 1 && window.dilation == 1 {
        return conv::weight_gradient(x, y, w, channels, window);
    }
    if sizes.dense() {
        for ([x_at, y_at, w_at], channels) in sizes.each() {
            let product = match ConvAlgorithm::of_any_kernel(&window, Product::WeightGradient, channels.group) {
                ConvAlgorithm::Indirect => conv_indirect::weight_gradient,
                _ => conv::direct_weight_gradient,
            };
            product(&x[x_at..], &y[y_at..], &mut w[w_at..], channels, window);
        }
        return;
    }
    sums_of_products(x, y, w, sizes);
}

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

    /// Copies channels, `[channel][image]`.
    #[inline(always)]
    fn fill(&self, channels: &[f32], to: &mut [f32]) {
        to.fill(0.0);
        let [height, width] = self.image;
        if height * width == 0 {
            return;
        }
        for (channel, to) in channels.chunks_exact(height * width).zip(to.chunks_exact_mut(self.len())) {
            for (phase, to) in to.chunks_exact_mut(self.rows * self.width).enumerate() {
                let (py, px) = (phase / self.step, phase % self.step);
                let rows = to.chunks_exact_mut(self.width).skip(self.before[0]);
                for (row, to) in channel.chunks_exact(width).skip(py).step_by(self.step).zip(rows) {
                    every(self.step, row.get(px..).unwrap_or_default(), &mut to[self.before[1]..]);
                }
            }
        }
    }
}

/// Copies every `step`-th number, as many as there are and fit.
#[inline(always)]
fn every(step: usize, from: &[f32], to: &mut [f32]) {
    let count = from.len().div_ceil(step).min(to.len());
    let (to, pairs) = (&mut to[..count], from.as_chunks::<2>().0);
    match step {
        1 => to.copy_from_slice(&from[..count]),
        2 => {
            // The last number may have no other behind it.
            let whole = count.min(pairs.len());
            to[..whole].iter_mut().zip(pairs).for_each(|(to, &[x, _])| *to = x);
            if whole < count {
                to[whole] = from[2 * whole];
            }
        }
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &x)| *to = x),
    }
}

/// `y[batch, groups·few, output] = bias + Σ weight(g, c, o, tap)·x[batch, groups·many, image]`, where the sum runs over the `many`
/// channels c of the group g. The image is split by `split`. The output is step² grids; `phases` has the pixels that each reads.
fn convolve(
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
    dispatch_rows(y, to, planes.len() * many + each * planes.places(), &|task, y| {
        let group = task % groups;
        scratch(planes.len_of(many) + few * planes.places(), |room| {
            let (source, sums) = room.split_at_mut(planes.len_of(many));
            isa.run(|| planes.fill(&x[task * from..][..from], source));
            let mut weights = &weights[group * each..][..each];
            for (phase, at) in places.iter().enumerate() {
                let (w, rest) = weights.split_at(few * at.len());
                weights = rest;
                for (o, sums) in sums.chunks_exact_mut(planes.places()).enumerate() {
                    sums.fill(bias.map_or(0.0, |bias| bias[group * few + o]));
                }
                isa.dispatch(AddTaps { source, at, w, few, sums: &mut *sums });
                let (py, px) = (phase / step, phase % step);
                let results = y.chunks_exact_mut(output[0] * output[1]).zip(sums.chunks_exact(planes.places()));
                for (y, sums) in results {
                    let rows = y.chunks_exact_mut(output[1]).skip(py).step_by(step);
                    for (y, sums) in rows.zip(sums.chunks(planes.width)) {
                        match step {
                            1 => y.copy_from_slice(&sums[..y.len()]),
                            _ => y.iter_mut().skip(px).step_by(step).zip(sums).for_each(|(y, &sum)| *y = sum),
                        }
                    }
                }
            }
        });
    });
}

/// `sums[o, q] += Σ_t w[o, t]·source[q + at[t]]` for `few` outputs o.
struct AddTaps<'a> {
    source: &'a [f32],
    at: &'a [usize],
    w: &'a [f32],
    few: usize,
    sums: &'a mut [f32],
}

impl SimdKernel for AddTaps<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let fours = self.few / 4 * 4;
        for o in (0..fours).step_by(4) {
            self.add::<V, 4>(o);
        }
        for o in fours..self.few {
            self.add::<V, 1>(o);
        }
    }
}

impl AddTaps<'_> {
    /// Adds to N outputs from `first` on. They share what is read from the image.
    #[inline(always)]
    fn add<V: Vector, const N: usize>(&mut self, first: usize) {
        let (places, taps) = (self.sums.len() / self.few, self.at.len());
        let sums = &mut self.sums[first * places..][..N * places];
        let w: [&[f32]; N] = std::array::from_fn(|o| &self.w[(first + o) * taps..][..taps]);
        for q in (0..places).step_by(2 * V::LANES) {
            let mut pairs = [[V::splat(0.0); 2]; N];
            for o in 0..N {
                let sums = &sums[o * places + q..];
                pairs[o] = [V::read(sums), V::read(&sums[V::LANES..])];
            }
            for t in 0..taps {
                let x = &self.source[q + self.at[t]..][..2 * V::LANES];
                let x = [V::read(x), V::read(&x[V::LANES..])];
                for o in 0..N {
                    let w = V::splat(w[o][t]);
                    pairs[o] = [pairs[o][0].add_product(w, x[0]), pairs[o][1].add_product(w, x[1])];
                }
            }
            for o in 0..N {
                let sums = &mut sums[o * places + q..];
                pairs[o][0].write(sums);
                pairs[o][1].write(&mut sums[V::LANES..]);
            }
        }
    }
}

/// [`weight_gradient`] with few channels in a group: `w[o, c, t] = Σ_(n, q) y[n, o, q]·x[n, c, q + at(t)]`.
fn sums_of_products(x: &[f32], y: &[f32], w: &mut [f32], sizes: Grouped) {
    let Grouped { groups, window, .. } = sizes;
    let ([inputs, outputs], isa) = (sizes.group_channels(), Isa::current());
    let offsets = window.output_tap_offsets();
    let planes = Planes::new(window.input, window.output, window.stride, offsets.iter().map(|&(offset, _)| offset));
    let at = planes.places_of(inputs, &offsets);
    let [from, to] = [(inputs, window.input), (outputs, window.output)].map(|(c, [height, width])| c * height * width);
    let parts = (ENOUGH_TASKS / groups).clamp(1, window.batch);
    let partial: Vec<Vec<f64>> = map(parts * groups, |task| {
        let (part, group) = (task / groups, task % groups);
        let mut sums = vec![0.0; outputs * at.len()];
        scratch(planes.len_of(inputs) + planes.places(), |room| {
            let (source, dy) = room.split_at_mut(planes.len_of(inputs));
            dy.fill(0.0); // in the border
            for image in part * window.batch / parts..(part + 1) * window.batch / parts {
                let place = image * groups + group;
                isa.run(|| planes.fill(&x[place * from..][..from], source));
                let channels = y[place * to..][..to].chunks_exact(to / outputs);
                for (y, sums) in channels.zip(sums.chunks_exact_mut(at.len())) {
                    for (dy, y) in dy.chunks_mut(planes.width).zip(y.chunks_exact(window.output[1])) {
                        dy[..y.len()].copy_from_slice(y);
                    }
                    isa.dispatch(SumPlaces { source, at: &at, dy, sums });
                }
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

/// `sums[t] += Σ_q dy[q]·source[q + at[t]]`.
struct SumPlaces<'a> {
    source: &'a [f32],
    at: &'a [usize],
    dy: &'a [f32],
    sums: &'a mut [f64],
}

impl SimdKernel for SumPlaces<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (threes, rest) = self.at.as_chunks::<3>();
        let (sums, last) = self.sums.split_at_mut(3 * threes.len());
        for (&at, sums) in threes.iter().zip(sums.as_chunks_mut().0) {
            add_taps::<V, 3>(self.source, at, self.dy, sums);
        }
        for (&at, sum) in rest.iter().zip(last.as_chunks_mut().0) {
            add_taps::<V, 1>(self.source, [at], self.dy, sum);
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
        let mut lanes = [0.0; PAIR];
        a.write(&mut lanes);
        b.write(&mut lanes[V::LANES..]);
        *sum += lanes.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
}
