//! Convolutions in groups of channels, with gaps between the taps of the kernel.
//!
//! A group of many channels is a matrix product, as in `conv.rs`; between its channels in memory are those of other groups. With few
//! channels, as in a depthwise convolution, most of a tile of sums would stay empty, and `conv_planes.rs` computes it.

use super::conv;
use super::conv_planes::{self, convolve};
use super::window::{Channels, TapOffsets, Window};

/// Groups with at least this many channels, on both sides, are matrix products.
const MANY: usize = 16;

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
    let Grouped { groups, window, .. } = sizes;
    let ([inputs, outputs], taps) = (sizes.group_channels(), window.taps());
    if y.is_empty() {
        return;
    }
    if sizes.dense() {
        for (g, ([x_at, y_at, w_at], channels)) in sizes.each().enumerate() {
            let bias = bias.map(|bias| &bias[g * outputs..]);
            conv::forward(&x[x_at..], &w[w_at..], bias, &mut y[y_at..], channels, window);
        }
        return;
    }
    let weight = |g: usize, c: usize, o: usize, t: usize| w[((g * outputs + o) * inputs + c) * taps + t];
    let (from, to) = ((x, inputs, window.input), (y, outputs, window.output));
    convolve(from, window.stride, groups, &weight, bias, to, &[window.output_tap_offsets()], 1);
}

/// `x[batch, in_channels, input]` from `y[batch, out_channels, output]`: the adjoint of [`forward`].
pub(crate) fn adjoint(y: &[f32], w: &[f32], x: &mut [f32], sizes: Grouped) {
    let Grouped { groups, window, .. } = sizes;
    let ([inputs, outputs], taps) = (sizes.group_channels(), window.taps());
    if x.is_empty() {
        return;
    }
    if sizes.dense() {
        for ([x_at, y_at, w_at], channels) in sizes.each() {
            conv::adjoint(&y[y_at..], &w[w_at..], None, &mut x[x_at..], channels, window);
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
    let Grouped { groups, window, .. } = sizes;
    if w.is_empty() {
        return;
    }
    if window.batch == 0 {
        return w.fill(0.0);
    }
    if sizes.dense() {
        for ([x_at, y_at, w_at], channels) in sizes.each() {
            conv::weight_gradient(&x[x_at..], &y[y_at..], &mut w[w_at..], channels, window);
        }
        return;
    }
    conv_planes::weight_gradient(x, y, w, groups, sizes.group_channels(), window);
}
