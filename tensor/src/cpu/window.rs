//! How a convolution slides over an image, and which pixels each output pixel reads through which tap of the kernel.

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
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// What the output's places see of the input.
    pub(super) fn output_tap_offsets(&self) -> TapOffsets {
        let p = self.padding as isize;
        let tap = |t: usize| ([(t / self.kernel[1]) as isize - p, (t % self.kernel[1]) as isize - p], t);
        (0..self.taps()).map(tap).collect()
    }

    /// What those places of the input see of the output whose row and column leave `phase` modulo the stride.
    pub(super) fn input_tap_offsets(&self, phase: [usize; 2]) -> TapOffsets {
        let s = self.stride as isize;
        // From place g·s + phase, kernel index t looks at output g + (phase + padding − t) / s.
        let offset = |phase: usize, t: usize| {
            let ahead = (phase + self.padding) as isize - t as isize;
            (ahead % s == 0).then_some(ahead / s)
        };
        let tap = |t: usize| Some(([offset(phase[0], t / self.kernel[1])?, offset(phase[1], t % self.kernel[1])?], t));
        (0..self.taps()).filter_map(tap).collect()
    }

    /// The phases of the input's rows and columns.
    pub(super) fn phases(&self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.stride).flat_map(|y| (0..self.stride).map(move |x| [y, x]))
    }
}

/// What every place of a grid sees: pixels at offsets from it, each through a tap of the kernel.
pub(super) type TapOffsets = Vec<([isize; 2], usize)>;
