//! Convolutions as matrix products whose right operand is read from the image while it is packed. Some shapes have faster algorithms:
//! see [`ConvAlgorithm`].
//!
//! Three functions compute every convolution and its gradients: [`forward`], its adjoint [`adjoint`] (the input gradient, and the
//! forward pass of a transposed convolution), and [`weight_gradient`].
//!
//! ```text
//!   forward          y[o, p] = Σ_(c,t) w[o, (c,t)] · x[c, stride·p + t − padding]
//!   adjoint          x[c, q] = Σ_(o,t) w[o, (c,t)] · y[o, (q + padding − t) / stride]     where that is whole
//!   weight gradient  w[o, (c,t)] = Σ_p y[o, p] · x[c, stride·p + t − padding]
//! ```
//! All three read an image through [`ImplicitIm2col`]: a grid of places, each of which reads a few pixels at fixed offsets. The
//! adjoint with stride s is s² grids (the phases of q). Each of them reads only through the taps whose offsets are whole, so no zeros
//! are inserted between pixels.

use std::cell::Cell;

use super::gemm::{multiply, store_rows};
use super::implicit_im2col::{Image, ImplicitIm2col, runs_by_image};
use super::parallel::DisjointSliceMut;
use super::pool::{CpuBuffer, scratch};
use super::simd::Isa;
use super::transpose::transpose;
use super::window::{Channels, TapOffsets, Window};
use super::winograd;
use super::winograd_phases::Direction;
use super::winograd_tile::{Four, FourByTwo, Two};
use super::{conv_2x2, conv_few, conv_indirect};

/// The algorithms for a convolution. All give the same result up to rounding. Which one is fastest depends on the shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConvAlgorithm {
    /// A matrix product with an implicit im2col: any kernel, stride and padding.
    Direct,
    /// Products that read pixels where they are, and pack the weight: any kernel, stride and padding.
    Indirect,
    /// Every output pixel from every input pixel: kernels of 3 × 3 on images of 2 × 2.
    Square,
    /// One channel of an image at a time, to at most three channels: any transposed convolution, any convolution of stride 1, and the
    /// weight gradient of 3 × 3 kernels at stride 1.
    Few,
    /// Winograd's algorithm with tiles of 2 × 2 outputs: kernels of 3 × 3 at stride 1.
    Winograd2,
    /// Winograd's algorithm with tiles of 4 × 4 outputs: kernels of 3 × 3 at stride 1.
    Winograd4,
    /// Winograd's algorithm with tiles of 4 × 4 outputs, for each phase: kernels of 3 × 3 and 4 × 4 at stride 2.
    WinogradStride2,
}

thread_local! {
    static FORCED: Cell<Option<ConvAlgorithm>> = const { Cell::new(None) };
}

impl ConvAlgorithm {
    /// All algorithms.
    pub const ALL: [ConvAlgorithm; 7] = [
        ConvAlgorithm::Direct,
        ConvAlgorithm::Indirect,
        ConvAlgorithm::Square,
        ConvAlgorithm::Few,
        ConvAlgorithm::Winograd2,
        ConvAlgorithm::Winograd4,
        ConvAlgorithm::WinogradStride2,
    ];

    /// Runs `body` while this algorithm is used, wherever it fits, for every convolution that the calling thread starts.
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

    /// The algorithm that the calling thread is forced to use.
    pub(crate) fn forced() -> Option<ConvAlgorithm> {
        FORCED.get()
    }

    /// The algorithm for one of a convolution's three products, with `[in, out]` channels: the forced one if it fits, or else the one
    /// that took the least time on processors with AVX2 and AVX-512. Winograd's needs enough channels to make up for the transforms of
    /// their images, and enough pixels to make up for the transform of the weights.
    fn choose(window: &Window, product: Product, channels: Channels) -> ConvAlgorithm {
        use ConvAlgorithm::*;
        let [cin, cout] = channels.group;
        let (from, to) = match product {
            Product::Forward | Product::WeightGradient => (cin, cout),
            Product::Adjoint => (cout, cin),
        };
        let whole = channels.group == channels.image;
        let fits = |algorithm: ConvAlgorithm| {
            (whole || !matches!(algorithm, Few | Square)) && algorithm.fits(window, product, from, to)
        };
        if let Some(forced) = ConvAlgorithm::forced() {
            return if fits(forced) { forced } else { Direct };
        }
        let [height, width] = window.output;
        let (results, least) = (window.batch * height * width, from.min(to));
        let tiles = |m: usize| height.div_ceil(m) * width.div_ceil(m);
        let weights = matches!(product, Product::WeightGradient);
        // Vectors run along rows, which must be long. The weight gradient of most layers takes less time by other algorithms.
        let long_rows = if weights { width >= 64 || (width >= 28 && (cout == 1 || cin < 12)) } else { width >= 12 };
        let channels_for_winograd = if weights { cin >= 12 } else { from >= 16 || (from >= 8 && from + to >= 24) };
        // At stride 2 a Winograd tile is 100 products instead of 16 for each of its pixels. Its transforms take more than half as long as
        // the products. For 3 × 3 they take more than is saved.
        let enough = if weights { cin >= 16 } else { least >= 64 || (least >= 16 && height * width > 16) };
        let four_by_four = window.kernel == [4, 4] && tiles(4) * 160 < height * width * 16 && enough;
        // Pixels in place pay if they are read more than once. An adjoint from at most three channels to many reads too few.
        let read_again = match product {
            Product::WeightGradient => true,
            Product::Forward => window.taps() > 1 || window.stride > 1,
            Product::Adjoint => (window.taps() > 1 || window.stride > 1) && (cout > 3 || cin <= 16),
        };
        if fits(Few) && long_rows && window.taps() > 1 {
            Few
        } else if fits(Square) && results >= 256 {
            Square
        } else if fits(WinogradStride2) && four_by_four && results >= 1024 {
            WinogradStride2
        } else if fits(Winograd4) && channels_for_winograd && results >= 256 {
            if tiles(4) * 36 < tiles(2) * 16 { Winograd4 } else { Winograd2 }
        } else if fits(Indirect) && read_again && window.batch >= 16 {
            Indirect // one core for each image
        } else {
            Direct
        }
    }

    fn fits(self, window: &Window, product: Product, from: usize, to: usize) -> bool {
        let three = window.kernel == [3, 3] && window.stride == 1 && window.padding <= 2 && window.dilation == 1;
        match self {
            ConvAlgorithm::Direct => true,
            ConvAlgorithm::Indirect => window.batch.min(from).min(to) > 0,
            ConvAlgorithm::Square => three && from > 0 && window.input == [2, 2] && window.output == [2, 2],
            ConvAlgorithm::Few => {
                let fits = match product {
                    Product::Forward => window.stride == 1,
                    Product::Adjoint => true,
                    Product::WeightGradient => three,
                };
                fits && to <= conv_few::FEW && from > 0
            }
            ConvAlgorithm::Winograd2 | ConvAlgorithm::Winograd4 => three,
            ConvAlgorithm::WinogradStride2 => {
                window.kernel.into_iter().all(|k| k == 3 || k == 4) && window.stride == 2 && window.dilation == 1
            }
        }
    }
}

/// The products of a convolution.
#[derive(Clone, Copy)]
enum Product {
    Forward,
    Adjoint,
    WeightGradient,
}

/// `y[batch, out_channels, output]` from `x[batch, in_channels, input]` and `w[out_channels, in_channels, kernel]`.
pub(crate) fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], channels: Channels, window: Window) {
    if y.is_empty() {
        return; // no algorithm needs to know of 0 channels or images
    }
    match ConvAlgorithm::choose(&window, Product::Forward, channels) {
        ConvAlgorithm::Direct => direct(x, w, bias, y, channels, window),
        ConvAlgorithm::Indirect => conv_indirect::forward(x, w, bias, y, channels, window),
        ConvAlgorithm::Square => conv_2x2::convolve(x, w, false, bias, y, channels.group, window.batch),
        ConvAlgorithm::Few => {
            let [cin, cout] = channels.group;
            let weight = |c: usize, o: usize, t: usize| w[(o * cin + c) * window.taps() + t];
            let (from, to) = ((x, cin, window.input), (y, cout, window.output));
            conv_few::convolve(from, &weight, bias, to, &[window.output_tap_offsets()], 1);
        }
        ConvAlgorithm::Winograd2 => winograd::convolve::<Two>(x, w, bias, y, Direction::Forward, channels, window),
        ConvAlgorithm::Winograd4 => winograd::convolve::<Four>(x, w, bias, y, Direction::Forward, channels, window),
        ConvAlgorithm::WinogradStride2 => {
            winograd::convolve::<FourByTwo>(x, w, bias, y, Direction::Forward, channels, window);
        }
    }
}

/// The grid of output pixels over the input.
fn output_taps(window: &Window) -> ImplicitIm2col {
    let offsets: Vec<_> = window.output_tap_offsets().into_iter().map(|(offset, _)| offset).collect();
    ImplicitIm2col::new(window.input, window.output, window.stride, &offsets)
}

fn direct(x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32], channels: Channels, window: Window) {
    let [cin, cout] = channels.group;
    let (taps, k, isa) = (output_taps(&window), cin * window.taps(), Isa::current());
    let places = window.batch * taps.places();
    let y = DisjointSliceMut::new(y);
    let out = Image { channels: channels.image[1], size: window.output, step: 1, phase: [0, 0], before: None };
    multiply(
        [cout, places, k],
        &|rows, ks, width, panel| {
            if rows.len() < width {
                panel.fill(0.0);
            }
            transpose(isa, &w[rows.start * k + ks.start..], k, rows.len(), ks.len(), panel, width);
        },
        &|places, ks, width, panel| taps.pack(isa, (x, channels.image[0]), places, ks, width, panel),
        &|rows, places, sums, stride| out.store(isa, &y, &taps, bias, rows, places, sums, stride),
    );
}

/// `x[batch, in_channels, input]` from `y[batch, out_channels, output]`: the adjoint of [`forward`], plus a bias.
pub(crate) fn adjoint(y: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32], channels: Channels, window: Window) {
    if x.is_empty() {
        return;
    }
    let [cin, cout] = channels.group;
    match ConvAlgorithm::choose(&window, Product::Adjoint, channels) {
        ConvAlgorithm::Direct => direct_adjoint(y, w, bias, x, channels, window),
        ConvAlgorithm::Indirect => conv_indirect::adjoint(y, w, bias, x, channels, window),
        ConvAlgorithm::Square => conv_2x2::convolve(y, w, true, bias, x, [cout, cin], window.batch),
        ConvAlgorithm::Few => {
            let weight = |o: usize, c: usize, t: usize| w[(o * cin + c) * window.taps() + t];
            let phases: Vec<TapOffsets> = window.phases().map(|phase| window.input_tap_offsets(phase)).collect();
            let (from, to) = ((y, cout, window.output), (x, cin, window.input));
            conv_few::convolve(from, &weight, bias, to, &phases, window.stride);
        }
        ConvAlgorithm::Winograd2 => winograd::convolve::<Two>(y, w, bias, x, Direction::Adjoint, channels, window),
        ConvAlgorithm::Winograd4 => winograd::convolve::<Four>(y, w, bias, x, Direction::Adjoint, channels, window),
        ConvAlgorithm::WinogradStride2 => {
            winograd::convolve::<FourByTwo>(y, w, bias, x, Direction::Adjoint, channels, window);
        }
    }
}

fn direct_adjoint(y: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32], channels: Channels, window: Window) {
    let ([cin, cout], [all, from], isa) = (channels.group, channels.image, Isa::current());
    let x = DisjointSliceMut::new(x);
    // At stride 2 two phases share every row. The first is kept in a buffer until the second is stored together with it.
    let in_pairs = window.stride == 2 && window.input[1].is_multiple_of(2) && cin == all;
    let [rows, columns] = window.input.map(|side| side.div_ceil(2));
    let mut before = CpuBuffer::take(if in_pairs { window.batch * cin * rows * columns } else { 0 });
    for phase in window.phases() {
        let (offsets, indices): (Vec<_>, Vec<_>) = window.input_tap_offsets(phase).into_iter().unzip();
        let grid = [0, 1].map(|d| (window.input[d] + window.stride - 1 - phase[d]) / window.stride);
        let taps = ImplicitIm2col::new(window.output, grid, 1, &offsets);
        let sum = |to: &DisjointSliceMut, bias, out: Image| {
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
                &|places, ks, width, panel| taps.pack(isa, (y, from), places, ks, width, panel),
                &|rows, places, sums, stride| out.store(isa, to, &taps, bias, rows, places, sums, stride),
            );
        };
        let (size, step) = (window.input, window.stride);
        match (in_pairs, phase[1]) {
            (true, 0) => {
                let alone = Image { channels: all, size: taps.grid, step: 1, phase: [0, 0], before: None };
                sum(&DisjointSliceMut::new(&mut before), None, alone);
            }
            (true, _) => sum(&x, bias, Image { channels: all, size, step, phase, before: Some(&before) }),
            (false, _) => sum(&x, bias, Image { channels: all, size, step, phase, before: None }),
        }
    }
}

/// `w[out_channels, in_channels, kernel]`: the gradient of [`forward`]'s weight, from its input and its output's gradient.
pub(crate) fn weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], channels: Channels, window: Window) {
    if w.is_empty() {
        return;
    }
    let [cin, cout] = channels.group;
    match ConvAlgorithm::choose(&window, Product::WeightGradient, channels) {
        ConvAlgorithm::Direct => direct_weight_gradient(x, y, w, channels, window),
        ConvAlgorithm::Indirect => conv_indirect::weight_gradient(x, y, w, channels, window),
        ConvAlgorithm::Few => {
            let (many, few) = ((x, cin, window.input), (y, cout, window.output));
            conv_few::weight_gradient(many, few, window.padding, window.batch, w);
        }
        ConvAlgorithm::Square => conv_2x2::weight_gradient(x, y, w, channels.group, window.batch),
        ConvAlgorithm::Winograd2 => winograd::weight_gradient::<Two>(x, y, w, channels, window),
        ConvAlgorithm::Winograd4 => winograd::weight_gradient::<Four>(x, y, w, channels, window),
        ConvAlgorithm::WinogradStride2 => winograd::weight_gradient::<FourByTwo>(x, y, w, channels, window),
    }
}

fn direct_weight_gradient(x: &[f32], y: &[f32], w: &mut [f32], channels: Channels, window: Window) {
    /// Places and rows whose pixels are gathered before they are transposed. They fit the first-level cache.
    const STRIP: usize = 64;
    const ROWS: usize = 48;
    let ([cin, cout], [in_image, in_result]) = (channels.group, channels.image);
    let (taps, n, isa) = (output_taps(&window), cin * window.taps(), Isa::current());
    let size = taps.places();
    let w = DisjointSliceMut::new(w);
    multiply(
        [cout, n, window.batch * size],
        &|rows, places, width, panel| {
            if rows.len() < width {
                panel.fill(0.0);
            }
            for run in runs_by_image(places, size) {
                let from = &y[(run.image * in_result + rows.start) * size + run.first..];
                transpose(isa, from, size, rows.len(), run.len, &mut panel[run.at * width..], width);
            }
        },
        &|columns, places, width, panel| {
            if columns.len() < width {
                panel.fill(0.0);
            }
            scratch(ROWS * STRIP, |strip| {
                for first in places.clone().step_by(STRIP) {
                    let some = first..(first + STRIP).min(places.end);
                    for start in columns.clone().step_by(ROWS) {
                        let rows = start..(start + ROWS).min(columns.end);
                        let count = rows.len();
                        taps.pack(isa, (x, in_image), some.clone(), rows, STRIP, strip);
                        let panel = &mut panel[(first - places.start) * width + start - columns.start..];
                        transpose(isa, strip, STRIP, count, some.len(), panel, width);
                    }
                }
            });
        },
        &|rows, cols, sums, stride| store_rows(&w, n, rows, cols, sums, stride),
    );
}

#[cfg(test)]
mod tests {
    use super::ConvAlgorithm::*;
    use super::*;

    /// The algorithms for the forward pass, the input gradient and the weight gradient of 64 square images.
    fn chosen(channels: [usize; 2], size: usize, [kernel, stride]: [usize; 2]) -> [ConvAlgorithm; 3] {
        let padding = (kernel - 1) / 2;
        let (input, output) = ([size; 2], [(size + 2 * padding - kernel) / stride + 1; 2]);
        let window = Window { batch: 64, input, output, kernel: [kernel; 2], stride, padding, dilation: 1 };
        [Product::Forward, Product::Adjoint, Product::WeightGradient]
            .map(|product| ConvAlgorithm::choose(&window, product, Channels::whole(channels)))
    }

    /// As measured on 27 November 2026 (benches/RESULTS.md). Where AVX2 and AVX-512 differ, the one that loses least on both.
    #[test]
    fn each_layer_has_the_algorithm_that_was_fastest() {
        for (channels, size, kernel, fastest) in [
            ([8, 8], 32, [3, 1], [Indirect; 3]),
            ([8, 16], 32, [3, 1], [Winograd4, Winograd4, Indirect]),
            ([12, 12], 32, [3, 1], [Winograd4; 3]),
            ([3, 64], 32, [3, 1], [Indirect, Few, Indirect]),
            ([64, 3], 32, [3, 1], [Few, Direct, Winograd4]),
            ([32, 1], 28, [3, 1], [Few, Direct, Few]),
            ([64, 3], 8, [3, 1], [Winograd4, Direct, Winograd4]),
            ([64, 64], 8, [3, 1], [Winograd4; 3]),
            ([4, 4], 2, [3, 1], [Square; 3]),
            ([8, 16], 32, [3, 2], [Indirect; 3]),
            ([32, 64], 16, [4, 2], [WinogradStride2; 3]),
            ([32, 32], 8, [4, 2], [Indirect, Indirect, WinogradStride2]),
            ([64, 128], 16, [1, 2], [Indirect; 3]),
            ([64, 64], 16, [1, 1], [Direct, Direct, Indirect]),
        ] {
            assert_eq!(chosen(channels, size, kernel), fastest, "{channels:?} at {size}, kernel and stride {kernel:?}");
        }
    }
}
