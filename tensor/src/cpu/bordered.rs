//! Images with a border of zeros, in which a convolution reads its pixels in place (`conv_indirect.rs`).

use super::implicit_im2col::copy;
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::window::TapOffsets;

/// Planes with a border of zeros, so that every tap of every place reads a number.
pub(super) struct Bordered {
    image: [usize; 2],
    size: [usize; 2],
    top: usize,
    left: usize,
}

impl Bordered {
    /// The planes of an image for grids of places `step` pixels apart, each with the offsets that it reads.
    pub(super) fn new<'a>(
        image: [usize; 2],
        step: usize,
        grids: impl Iterator<Item = ([usize; 2], &'a TapOffsets)>,
    ) -> Bordered {
        let (mut before, mut size) = ([0; 2], image);
        for (grid, offsets) in grids {
            for (offset, _) in offsets {
                for d in 0..2 {
                    before[d] = before[d].max(-offset[d]);
                    let last = (grid[d].max(1) - 1) * step;
                    size[d] = size[d].max((last as isize + offset[d] + 1).max(0) as usize);
                }
            }
        }
        let [top, left] = before.map(|numbers| numbers as usize);
        Bordered { image, size: [size[0] + top, size[1] + left], top, left }
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Whether there is no border.
    fn bare(&self) -> bool {
        self.size == self.image
    }

    /// The index of a pixel in its plane.
    fn index(&self, [y, x]: [usize; 2]) -> usize {
        (y + self.top) * self.size[1] + x + self.left
    }

    /// The distance of a tap from the place that reads it, counted from the corner of the border, so that it is never negative.
    fn step(&self, [dy, dx]: [isize; 2]) -> usize {
        let [y, x] = [dy + self.top as isize, dx + self.left as isize].map(|d| d as usize);
        y * self.size[1] + x
    }

    /// The starts of the places of a grid over some images that are `distance` numbers apart, counted as in `step`.
    pub(super) fn starts(&self, grid: [usize; 2], step: usize, images: usize, distance: usize) -> Vec<usize> {
        let place = |p: usize| p / grid[1] * step * self.size[1] + p % grid[1] * step;
        (0..images).flat_map(|image| (0..grid[0] * grid[1]).map(move |p| image * distance + place(p))).collect()
    }

    /// Calls `body` with the planes of some images, which are [`distance`](Bordered::distance) numbers apart. `x` begins at the first
    /// image's first channel, and its images are `stride` numbers apart.
    pub(super) fn with<R>(
        &self,
        isa: Isa,
        x: &[f32],
        stride: usize,
        [images, channels]: [usize; 2],
        body: impl FnOnce(&[f32]) -> R,
    ) -> R {
        if self.bare() {
            return body(x);
        }
        scratch(images * channels * self.plane(), |planes| {
            planes.fill(0.0);
            isa.dispatch(Fill { to: self, x, stride, images, channels, planes });
            body(planes)
        })
    }

    /// How far apart the images are that `with` passes on.
    pub(super) fn distance(&self, stride: usize, channels: usize) -> usize {
        if self.bare() { stride } else { channels * self.plane() }
    }
}

/// Copies images into planes with a border.
struct Fill<'a> {
    to: &'a Bordered,
    x: &'a [f32],
    stride: usize,
    images: usize,
    channels: usize,
    planes: &'a mut [f32],
}

impl SimdKernel for Fill<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Fill { to, x, stride, images, channels, planes } = self;
        let [height, width] = to.image;
        for image in 0..images {
            for channel in 0..channels {
                let from = &x[image * stride + channel * height * width..][..height * width];
                let plane = &mut planes[(image * channels + channel) * to.plane()..];
                for (y, row) in from.chunks_exact(width).enumerate() {
                    copy::<V>(row, &mut plane[to.index([y, 0])..][..width]);
                }
            }
        }
    }
}

/// The steps of a sum over channels and taps, of which the tap changes fastest.
pub(super) fn channel_steps(planes: &Bordered, channels: usize, offsets: &TapOffsets) -> Vec<usize> {
    let taps = |c: usize| offsets.iter().map(move |&(offset, _)| c * planes.plane() + planes.step(offset));
    (0..channels).flat_map(taps).collect()
}
