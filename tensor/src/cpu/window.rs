//! How a convolution slides over an image, and which pixels each output pixel reads through which tap of the kernel.

/// The sizes of a convolution. All are `[height, width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) batch: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// The step between neighbouring taps of the kernel, in pixels.
    pub(crate) dilation: usize,
}

impl Window {
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The input pixels that each output pixel reads.
    pub(super) fn output_tap_offsets(&self) -> TapOffsets {
        let offset = |t: usize| (t * self.dilation) as isize - self.padding as isize;
        (0..self.taps()).map(|t| ([t / self.kernel[1], t % self.kernel[1]].map(offset), t)).collect()
    }

    /// The output pixels that read each input pixel whose row and column are `phase` modulo the stride.
    pub(super) fn input_tap_offsets(&self, phase: [usize; 2]) -> TapOffsets {
        let s = self.stride as isize;
        // Through kernel index t, input pixel g·s + phase belongs to output pixel g + (phase + padding − d·t) / s.
        let offset = |phase: usize, t: usize| {
            let ahead = (phase + self.padding) as isize - (t * self.dilation) as isize;
            (ahead % s == 0).then_some(ahead / s)
        };
        let tap = |t: usize| Some(([offset(phase[0], t / self.kernel[1])?, offset(phase[1], t % self.kernel[1])?], t));
        (0..self.taps()).filter_map(tap).collect()
    }

    /// All phases of the input's rows and columns.
    pub(super) fn phases(&self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.stride).flat_map(|y| (0..self.stride).map(move |x| [y, x]))
    }
}

/// The input and the output channels of a product. Those of an image may be more: then a slice of the image begins at the first
/// channel of the product, and the products of the other channels are others.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(super) group: [usize; 2],
    pub(super) image: [usize; 2],
}

impl Channels {
    pub(crate) fn whole(channels: [usize; 2]) -> Channels {
        Channels { group: channels, image: channels }
    }

    /// Those of the adjoint, which reads the output channels.
    pub(super) fn reversed(self) -> Channels {
        let [group, image] = [self.group, self.image].map(|[inputs, outputs]| [outputs, inputs]);
        Channels { group, image }
    }
}

/// The pixels that each place of a grid reads: an offset from the place, and the tap of the kernel for it.
pub(super) type TapOffsets = Vec<([isize; 2], usize)>;
