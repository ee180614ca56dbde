//! Convolutions that read every pixel from its place in the image, and pack only the smaller operand.
//!
//! ```text
//!   sums[place][j] = Σ_k image[start of the place + step of k] · b[k][j]
//!
//!                    place            k                          j                the packed operand b
//!   forward          output pixel     input channel and tap      output channel   the weight
//!   adjoint          input pixel      output channel and tap     input channel    the weight
//!   weight gradient  channel and tap  output pixel               output channel   the output's gradient
//! ```
//! A tile multiplies a few places by vectors of neighbouring channels. It broadcasts pixels, so it does not matter that those of
//! neighbouring places are `stride` apart in memory: nothing is copied for each tap, as in `implicit_im2col.rs`. An image with padding is
//! copied once into planes with a border of zeros. Sums have the channels of a place next to each other, so they are transposed before
//! they are stored.
//!
//! This is the idea of Dukhan's indirect convolution (1907.02129), with offsets in place of pointers.

use std::ops::Range;

use super::bordered::{Bordered, channel_steps};
use super::implicit_im2col::{copy, interleave, runs_by_image};
use super::microkernel::{Accumulate, Gather};
use super::panels::{Layout, Panels, Part};
use super::parallel::{DisjointSliceMut, ENOUGH_TASKS, for_each_index, for_each_item, map};
use super::pool::{CpuBuffer, scratch};
use super::simd::{Isa, SimdKernel, Vector};
use super::sums::add_parts;
use super::transpose::transpose;
use super::window::{Channels, Window};

/// Places at a time: a multiple of the rows of every tile.
const PLACES: usize = 96;
/// The least number of places of a task, if there are enough images.
const TASK: usize = 64;
/// Rows of a weight gradient in one task, as many as leave space for its operands in a core's cache.
const ROWS: usize = 384;
/// Fewest rows, unless there are no more: packing the gradient for them would take as long as their products.
const FEWEST_ROWS: usize = 48;
/// Steps that a weight gradient sums up before it adds to the result.
const STEPS: usize = 256;

/// See `conv::forward`.
pub(super) fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], channels: Channels, window: Window) {
    let ([cin, cout], isa) = (channels.group, Isa::current());
    let (offsets, k) = (window.output_tap_offsets(), cin * window.taps());
    let planes = Bordered::new(window.input, window.stride, [(window.output, &offsets)].into_iter());
    let weight = Layout::new(isa, cout, k).pack_in_parallel(|Part { columns, ks, width, .. }, to| {
        transpose(isa, &w[columns.start * k + ks.start..], k, columns.len(), ks.len(), to, width);
    });
    let pixels = window.input[0] * window.input[1];
    let (size, stride) = (window.output[0] * window.output[1], channels.image[0] * pixels);
    let several = TASK.div_ceil(size).min(window.batch);
    let starts = planes.starts(window.output, window.stride, several, planes.distance(stride, cin));
    let steps = channel_steps(&planes, cin, &offsets);
    let y = DisjointSliceMut::new(y);
    for_each_index(window.batch.div_ceil(several), &|task| {
        let images = task * several..((task + 1) * several).min(window.batch);
        let count = images.len();
        planes.with(isa, &x[images.start * stride..], stride, [count, cin], |planes| {
            let left = Gather::new(planes, &starts[..count * size], &steps);
            sum_places(&weight, left, count * size, bias, |places, sums| {
                for run in runs_by_image(places, size) {
                    let at = (images.start + run.image) * channels.image[1] * size;
                    // SAFETY: each image is in one task.
                    let to = unsafe { y.part(at..at + cout * size) };
                    let width = weight.layout.stride();
                    transpose(isa, &sums[run.at * width..], width, run.len, cout, &mut to[run.first..], size);
                }
            });
        });
    });
}

/// Calls `store(places, sums)` for one block of places after the other, with the sums of all columns plus the bias.
fn sum_places(
    b: &Panels,
    left: Gather,
    count: usize,
    bias: Option<&[f32]>,
    mut store: impl FnMut(Range<usize>, &[f32]),
) {
    let Layout { isa, k, .. } = b.layout;
    let stride = b.layout.stride();
    scratch(PLACES * stride, |sums| {
        for start in (0..count).step_by(PLACES) {
            let places = start..(start + PLACES).min(count);
            b.multiply(left.part(places.clone(), 0..k), places.len(), 0..k, sums, Accumulate::Overwrite);
            if let Some(bias) = bias {
                isa.run(|| {
                    for row in sums.chunks_exact_mut(stride).take(places.len()) {
                        row.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
                    }
                });
            }
            store(places, sums);
        }
    });
}

/// One phase of an adjoint: the input pixels whose row and column are the phase modulo the stride.
struct Phase {
    grid: [usize; 2],
    weight: Panels,
    starts: Vec<usize>,
    steps: Vec<usize>,
}

/// See `conv::adjoint`.
pub(super) fn adjoint(y: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32], channels: Channels, window: Window) {
    let ([cin, cout], isa) = (channels.group, Isa::current());
    let grid = |phase: [usize; 2]| [0, 1].map(|d| (window.input[d] + window.stride - 1 - phase[d]) / window.stride);
    let taps: Vec<_> = window.phases().map(|phase| (grid(phase), window.input_tap_offsets(phase))).collect();
    let planes = Bordered::new(window.output, 1, taps.iter().map(|(grid, offsets)| (*grid, offsets)));
    let [pixels, size] = [window.input, window.output].map(|[height, width]| height * width);
    let stride = channels.image[1] * size;
    let several = TASK.div_ceil(pixels.div_ceil(taps.len())).min(window.batch);
    let phases: Vec<Phase> = taps
        .iter()
        .map(|(grid, offsets)| {
            let layout = Layout::new(isa, cin, cout * offsets.len());
            let weight = layout.pack_in_parallel(|Part { columns, ks, width, .. }, to| {
                for (k, to) in ks.zip(to.chunks_exact_mut(width)) {
                    let (o, (_, tap)) = (k / offsets.len(), offsets[k % offsets.len()]);
                    let from = w[(o * cin + columns.start) * window.taps() + tap..].iter().step_by(window.taps());
                    to[..columns.len()].iter_mut().zip(from).for_each(|(to, w)| *to = *w);
                }
            });
            let starts = planes.starts(*grid, 1, several, planes.distance(stride, cout));
            Phase { grid: *grid, weight, starts, steps: channel_steps(&planes, cout, offsets) }
        })
        .collect();
    let x = DisjointSliceMut::new(x);
    for_each_index(window.batch.div_ceil(several), &|task| {
        let images = task * several..((task + 1) * several).min(window.batch);
        let count = images.len();
        let room = |phase: &Phase| count * cin * phase.grid[0] * phase.grid[1];
        planes.with(isa, &y[images.start * stride..], stride, [count, cout], |planes| {
            for (row, phases) in phases.chunks(window.stride).enumerate() {
                scratch(phases.iter().map(room).sum(), |turned| {
                    let mut rest = &mut *turned;
                    for phase in phases {
                        let (to, after) = rest.split_at_mut(room(phase));
                        rest = after;
                        phase.sum(isa, planes, count, bias, cin, to);
                    }
                    let from = &*turned;
                    let lines = phases.iter().map(Phase::places).sum();
                    scratch(lines, |lines| {
                        for image in 0..count {
                            let at = (images.start + image) * channels.image[0] * pixels;
                            // SAFETY: each image is in one task.
                            let to = unsafe { x.part(at..at + cin * pixels) };
                            isa.dispatch(Merge {
                                phases,
                                from,
                                image,
                                images: count,
                                row,
                                channels: cin,
                                size: window.input,
                                lines,
                                to,
                            });
                        }
                    });
                });
            }
        });
    });
}

impl Phase {
    fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Writes the sums of some images to `to[image][channel][place]`.
    fn sum(&self, isa: Isa, planes: &[f32], images: usize, bias: Option<&[f32]>, channels: usize, to: &mut [f32]) {
        let size = self.places();
        if size == 0 {
            return;
        }
        if self.steps.is_empty() {
            // A stride larger than the kernel leaves pixels that no output reads.
            for (i, plane) in to.chunks_exact_mut(size).enumerate() {
                plane.fill(bias.map_or(0.0, |bias| bias[i % channels]));
            }
            return;
        }
        let left = Gather::new(planes, &self.starts[..images * size], &self.steps);
        sum_places(&self.weight, left, images * size, bias, |places, sums| {
            for run in runs_by_image(places, size) {
                let width = self.weight.layout.stride();
                let to = &mut to[run.image * channels * size + run.first..];
                transpose(isa, &sums[run.at * width..], width, run.len, channels, to, size);
            }
        });
    }
}

/// Writes the rows `row`, `row + stride`, … of an image from the phases of its columns, `from[phase][image][channel][place]`.
struct Merge<'a> {
    phases: &'a [Phase],
    from: &'a [f32],
    image: usize,
    images: usize,
    row: usize,
    channels: usize,
    size: [usize; 2],
    /// Space for these rows of a channel.
    lines: &'a mut [f32],
    to: &'a mut [f32],
}

impl SimdKernel for Merge<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Merge { phases, from, image, images, row, channels, size: [height, width], lines, to } = self;
        let step = phases.len();
        for channel in 0..channels {
            let mut start = 0;
            let mut plane = |phase: &Phase| {
                let size = phase.places();
                let at = start + (image * channels + channel) * size;
                start += images * channels * size;
                &from[at..at + size]
            };
            let to = &mut to[channel * height * width..][..height * width];
            match phases {
                [even, odd] if even.grid == odd.grid && [width, even.places()].iter().all(|n| n % V::LANES == 0) => {
                    merge_rows::<V>(plane(even), plane(odd), row, width, to);
                    continue;
                }
                // Rows follow one another, so short ones share a vector.
                [even, odd] if even.grid == odd.grid => interleave::<V>(plane(even), plane(odd), 0.0, lines),
                _ => {
                    for (p, phase) in phases.iter().enumerate() {
                        for (g, line) in plane(phase).chunks_exact(phase.grid[1].max(1)).enumerate() {
                            let to = lines[g * width + p..].iter_mut().step_by(step);
                            to.zip(line).for_each(|(to, x)| *to = *x);
                        }
                    }
                }
            }
            for (i, line) in lines.chunks_exact(width).enumerate() {
                copy::<V>(line, &mut to[(row + i * step) * width..][..width]);
            }
        }
    }
}

/// Writes every second row of a plane, from `row` on, from its even and its odd pixels. A row is whole vectors long.
#[inline(always)]
fn merge_rows<V: Vector>(even: &[f32], odd: &[f32], row: usize, width: usize, to: &mut [f32]) {
    let (mut at, mut column) = (row * width, 0);
    for i in (0..even.len()).step_by(V::LANES) {
        for pixels in V::read(&even[i..]).interleave(V::read(&odd[i..])) {
            pixels.write(&mut to[at..]);
            (at, column) = (at + V::LANES, column + V::LANES);
            if column == width {
                (at, column) = (at + width, 0);
            }
        }
    }
}

/// See `conv::weight_gradient`.
pub(super) fn weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], channels: Channels, window: Window) {
    let ([cin, cout], [in_image, in_result], isa) = (channels.group, channels.image, Isa::current());
    let (offsets, taps) = (window.output_tap_offsets(), window.taps());
    let planes = Bordered::new(window.input, window.stride, [(window.output, &offsets)].into_iter());
    let [pixels, size] = [window.input, window.output].map(|[height, width]| height * width);
    // Some channels in some images are one task. The sums of all parts of the batch are added afterwards, in order.
    let several = STEPS.div_ceil(size).min(window.batch);
    let groups = window.batch.div_ceil(several);
    let blocks = cin.div_ceil((ROWS / taps).max(1)).max((ENOUGH_TASKS / groups).min(cin * taps / FEWEST_ROWS)).min(cin);
    let each = cin.div_ceil(blocks);
    let blocks = cin.div_ceil(each);
    let parts = (ENOUGH_TASKS / blocks).clamp(1, groups);
    let layout = |images: &Range<usize>| Layout::new(isa, cout, images.len() * size);
    let pack = |images: &Range<usize>, Part { columns, ks, width, .. }: Part, to: &mut [f32]| {
        for run in runs_by_image(ks, size) {
            let from = &y[((images.start + run.image) * in_result + columns.start) * size + run.first..];
            transpose(isa, from, size, columns.len(), run.len, &mut to[run.at * width..], width);
        }
    };
    // Few tasks that need the same part of the gradient pack it themselves, while it is in their cache.
    let all = 0..window.batch;
    let shared = (blocks > 4).then(|| layout(&all).pack_in_parallel(|part, to| pack(&all, part, to)));
    let rows = channel_steps(&planes, each, &offsets);
    let room = rows.len().next_multiple_of(isa.tile().rows);
    let stride = Layout::new(isa, cout, 0).stride();
    let steps =
        |channels| planes.starts(window.output, window.stride, several, planes.distance(in_image * pixels, channels));
    let (of_most, of_last) = (steps(each), steps(cin - (blocks - 1) * each));
    let mut partial: Vec<CpuBuffer> = map(blocks * parts, |task| {
        let (block, part) = (task / parts, task % parts);
        let some = block * each..((block + 1) * each).min(cin);
        let steps = if some.len() == each { &of_most } else { &of_last };
        let mut sums = CpuBuffer::take(room * stride);
        let mut accumulate = Accumulate::Overwrite;
        for group in part * groups / parts..(part + 1) * groups / parts {
            let images = group * several..((group + 1) * several).min(window.batch);
            let count = images.len();
            let own = shared.is_none().then(|| layout(&images).pack(|part, to| pack(&images, part, to)));
            let first = if own.is_some() { 0 } else { images.start * size };
            let gradient = own.as_ref().or(shared.as_ref()).expect("one of the two");
            let from = &x[(images.start * in_image + some.start) * pixels..];
            planes.with(isa, from, in_image * pixels, [count, some.len()], |data| {
                let rows = &rows[..some.len() * taps];
                let left = Gather::new(data, rows, &steps[..count * size]);
                gradient.multiply(left, rows.len(), first..first + count * size, &mut sums, accumulate);
            });
            accumulate = Accumulate::Add;
        }
        sums
    });
    let w = DisjointSliceMut::new(w);
    let mut of_blocks: Vec<&mut [CpuBuffer]> = partial.chunks_mut(parts).collect();
    for_each_item(&mut of_blocks, |block, parts| {
        let total = add_parts(isa, parts);
        let (start, end) = (block * each, ((block + 1) * each).min(cin));
        let count = (end - start) * taps;
        scratch(cout * count, |turned| {
            transpose(isa, total, stride, count, cout, turned, count);
            for (o, row) in turned.chunks_exact(count).enumerate() {
                // SAFETY: each block has its own channels.
                unsafe { w.part((o * cin + start) * taps..(o * cin + start) * taps + count) }.copy_from_slice(row);
            }
        });
    });
}
