//! Convolutions to at most three channels, such as the last layer of a decoder, plain or transposed.
//!
//! With so few channels on one side, a matrix product keeps few sums in registers, and Winograd's transforms would be most of the
//! work. Here vectors run along rows of pixels. One channel of one image at a time is copied with a border, and used for all results:
//!
//! ```text
//!   one channel, padded          forward: y[o] += w[o, c, t]·(the image moved by t)     for all o, from a row loaded once
//!   ┌──────────────┐             gradient: w[o, c, t] += Σ dy[o]·(the image moved by t)
//!   │ · ┌──────┐ · │
//!   │ · │ x[c] │ · │             Planes take a few KB, so all data but x[c] itself stay in the first-level cache.
//!   │ · └──────┘ · │
//!   └──────────────┘
//! ```

use super::parallel::{DisjointSliceMut, for_each_index, for_each_part};
use super::pool::{CpuBuffer, scratch};
use super::simd::{Isa, SimdKernel, Vector};
use super::window::TapOffsets;

/// The most channels on the small side.
pub(super) const FEW: usize = 3;

/// Numbers of the widest vector. A sum is kept in this many parts until the end.
const LANES: usize = 16;

/// Rows of results are a multiple of this long: pairs of vectors on any instruction set.
const PAIR: usize = 32;

/// The layout of one channel with its border, for a grid of results: rows of `width` numbers, which are 0 outside the image.
struct Padded {
    image: [usize; 2],
    grid: [usize; 2],
    /// Rows and columns of border before the image's first.
    before: [usize; 2],
    rows: usize,
    /// The length of a row of results, and of a padded row.
    columns: usize,
    width: usize,
}

impl Padded {
    /// The layout whose border covers all `offsets` from the places of the grid.
    fn new(image: [usize; 2], grid: [usize; 2], offsets: impl Iterator<Item = [isize; 2]> + Clone) -> Padded {
        let reach = |d: usize, sign: isize| offsets.clone().map(|o| sign * o[d]).max().unwrap_or(0).max(0) as usize;
        let (before, after) = ([reach(0, -1), reach(1, -1)], [reach(0, 1), reach(1, 1)]);
        let columns = grid[1].next_multiple_of(PAIR);
        let width = (columns + before[1] + after[1]).next_multiple_of(LANES);
        Padded { image, grid, before, rows: grid[0] + before[0] + after[0], columns, width }
    }

    fn len(&self) -> usize {
        self.rows * self.width
    }

    /// The index of the pixel at an offset from the first place.
    fn at(&self, [dy, dx]: [isize; 2]) -> usize {
        (self.before[0] as isize + dy) as usize * self.width + (self.before[1] as isize + dx) as usize
    }

    fn fill(&self, image: &[f32], to: &mut [f32]) {
        for (row, to) in to.chunks_exact_mut(self.width).enumerate() {
            to.fill(0.0);
            if let Some(y) = row.checked_sub(self.before[0]).filter(|&y| y < self.image[0]) {
                let some = self.image[1].min(self.width - self.before[1]);
                to[self.before[1]..][..some].copy_from_slice(&image[y * self.image[1]..][..some]);
            }
        }
    }
}

/// `y[batch, few, output] = bias + Σ weight(c, o, tap)·x[batch, c, image]`. The output is step² grids, one for each phase of its rows
/// and columns; `phases` has the pixels that each reads.
pub(super) fn convolve(
    (x, many, image): (&[f32], usize, [usize; 2]),
    weight: &dyn Fn(usize, usize, usize) -> f32,
    bias: Option<&[f32]>,
    (y, few, output): (&mut [f32], usize, [usize; 2]),
    phases: &[TapOffsets],
    step: usize,
) {
    let isa = Isa::current();
    let grid = output.map(|side| side.div_ceil(step));
    let padded = Padded::new(image, grid, phases.iter().flatten().map(|&(offset, _)| offset));
    let pairs = |c: usize| phases.iter().flatten().flat_map(move |&(_, t)| (0..few).map(move |o| (c, o, t)));
    let weights: Vec<f32> = (0..many).flat_map(pairs).map(|(c, o, t)| weight(c, o, t)).collect();
    let phases: Vec<Vec<usize>> = phases.iter().map(|sees| sees.iter().map(|see| padded.at(see.0)).collect()).collect();
    let [from, to] = [(many, image), (few, output)].map(|(c, [height, width])| c * height * width);
    for_each_part(y, to, &|image, y| {
        let x = &x[image * from..][..from];
        let area = grid[0] * padded.columns;
        scratch(padded.len() + phases.len() * few * area, |room| {
            let (plane, sums) = room.split_at_mut(padded.len());
            for (i, sums) in sums.chunks_exact_mut(area).enumerate() {
                sums.fill(bias.map_or(0.0, |bias| bias[i % few]));
            }
            for (x, mut w) in x.chunks_exact(from / many).zip(weights.chunks_exact(weights.len() / many)) {
                padded.fill(x, plane);
                for (at, sums) in phases.iter().zip(sums.chunks_exact_mut(few * area)) {
                    let (of_phase, rest) = w.split_at(at.len() * few);
                    w = rest;
                    isa.dispatch(AddImage { padded: &padded, plane, at, w: of_phase, few, sums });
                }
            }
            for (row, y) in y.chunks_exact_mut(output[1]).enumerate() {
                let (o, row) = (row / output[0], row % output[0]);
                for (phase, sums) in sums.chunks_exact(few * area).skip(row % step * step).take(step).enumerate() {
                    let sums = &sums[o * area + row / step * padded.columns..];
                    y.iter_mut().skip(phase).step_by(step).zip(sums).for_each(|(y, &sum)| *y = sum);
                }
            }
        });
    });
}

/// Adds one channel's contribution to all results of a phase.
struct AddImage<'a> {
    padded: &'a Padded,
    plane: &'a [f32],
    at: &'a [usize], // of each tap
    w: &'a [f32],    // [tap][few]
    few: usize,
    sums: &'a mut [f32],
}

impl SimdKernel for AddImage<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        match self.few {
            1 => self.add::<V, 1>(),
            2 => self.add::<V, 2>(),
            _ => self.add::<V, 3>(),
        }
    }
}

impl AddImage<'_> {
    #[inline(always)]
    fn add<V: Vector, const N: usize>(&mut self) {
        let Padded { grid: [rows, _], columns, width, .. } = *self.padded;
        let w: &[[f32; N]] = self.w.as_chunks().0;
        for row in 0..rows {
            for column in (0..columns).step_by(2 * V::LANES) {
                let at = |o: usize| o * rows * columns + row * columns + column;
                let mut sums = [[V::splat(0.0); 2]; N];
                for o in 0..N {
                    sums[o] = [V::read(&self.sums[at(o)..]), V::read(&self.sums[at(o) + V::LANES..])];
                }
                for (w, first) in w.iter().zip(self.at) {
                    let x = &self.plane[first + row * width + column..];
                    let x = [V::read(x), V::read(&x[V::LANES..])];
                    for o in 0..N {
                        let w = V::splat(w[o]);
                        sums[o] = [sums[o][0].add_product(w, x[0]), sums[o][1].add_product(w, x[1])];
                    }
                }
                for o in 0..N {
                    sums[o][0].write(&mut self.sums[at(o)..]);
                    sums[o][1].write(&mut self.sums[at(o) + V::LANES..]);
                }
            }
        }
    }
}

/// `w[few, many, tap] = Σ_p few[·, p]·many[·, p + tap − padding]` over a batch of images, for a 3 × 3 kernel at stride 1.
pub(super) fn weight_gradient(
    many: (&[f32], usize, [usize; 2]),
    few: (&[f32], usize, [usize; 2]),
    padding: usize,
    batch: usize,
    w: &mut [f32],
) {
    /// Parts of the batch. Each is summed on its own, and the sums are added in order.
    const PARTS: usize = 16;
    /// Channels of one task.
    const SOME: usize = 16;
    let isa = Isa::current();
    let ((xs, channels, input), (ys, few, output)) = (many, few);
    let offset = |t: usize| [t / 3, t % 3].map(|t| t as isize - padding as isize);
    let padded = Padded::new(input, output, (0..9).map(offset));
    let at: [usize; 9] = std::array::from_fn(|t| padded.at(offset(t)));
    let (pixels, area) = (input[0] * input[1], output[0] * padded.columns);
    let (parts, blocks, each) = (PARTS.min(batch), channels.div_ceil(SOME), few * 9 * LANES);
    let count = channels * each;
    let mut sums = CpuBuffer::take(parts * count);
    let all = DisjointSliceMut::new(&mut sums);
    for_each_index(parts * blocks, &|task| {
        let (part, first) = (task / blocks, task % blocks * SOME);
        let some = first..(first + SOME).min(channels);
        // SAFETY: no two tasks have the same channels of the same part.
        let sums = unsafe { all.part(part * count + some.start * each..part * count + some.end * each) };
        sums.fill(0.0);
        scratch(padded.len() + few * area, |room| {
            let (plane, dy) = room.split_at_mut(padded.len());
            dy.fill(0.0); // beyond the ends of rows
            for image in part * batch / parts..(part + 1) * batch / parts {
                let y = &ys[image * few * output[0] * output[1]..];
                for (dy, y) in dy.chunks_exact_mut(padded.columns).zip(y.chunks_exact(output[1])) {
                    dy[..output[1]].copy_from_slice(y);
                }
                let x = xs[(image * channels + some.start) * pixels..].chunks_exact(pixels);
                for (x, sums) in x.zip(sums.chunks_exact_mut(each)) {
                    padded.fill(x, plane);
                    isa.dispatch(AddTaps { padded: &padded, plane, at: &at, dy, few, sums });
                }
            }
        });
    });
    let w = DisjointSliceMut::new(w);
    for_each_index(channels, &|channel| {
        for (o, t) in (0..few).flat_map(|o| (0..9).map(move |t| (o, t))) {
            let at = ((channel * few + o) * 9 + t) * LANES;
            let all = (0..parts).flat_map(|part| &sums[part * count + at..][..LANES]);
            let place = (o * channels + channel) * 9 + t;
            // SAFETY: each element is stored once.
            unsafe { w.part(place..place + 1)[0] = all.map(|&x| f64::from(x)).sum::<f64>() as f32 };
        }
    });
}

/// Adds the sums over one image, of one of the many channels with all few. Each sum has as many parts as a vector has lanes.
struct AddTaps<'a> {
    padded: &'a Padded,
    plane: &'a [f32],
    at: &'a [usize; 9],
    dy: &'a [f32],
    few: usize,
    sums: &'a mut [f32],
}

impl SimdKernel for AddTaps<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        // Three times nine sums fit in 32 registers.
        if V::ROWS == 8 && self.few == 3 {
            return self.add::<V, 3>(0);
        }
        for o in 0..self.few {
            self.add::<V, 1>(o);
        }
    }
}

impl AddTaps<'_> {
    #[inline(always)]
    fn add<V: Vector, const N: usize>(&mut self, first: usize) {
        let Padded { grid: [rows, _], columns, width, .. } = *self.padded;
        let mut sums = [[V::splat(0.0); 9]; N];
        for row in 0..rows {
            for column in (0..columns).step_by(V::LANES) {
                let mut dy = [V::splat(0.0); N];
                for o in 0..N {
                    dy[o] = V::read(&self.dy[((first + o) * rows + row) * columns + column..]);
                }
                for t in 0..9 {
                    let x = V::read(&self.plane[self.at[t] + row * width + column..]);
                    for o in 0..N {
                        sums[o][t] = sums[o][t].add_product(dy[o], x);
                    }
                }
            }
        }
        for o in 0..N {
            for t in 0..9 {
                let kept = &mut self.sums[((first + o) * 9 + t) * LANES..];
                V::read(kept).add(sums[o][t]).write(kept);
            }
        }
    }
}
