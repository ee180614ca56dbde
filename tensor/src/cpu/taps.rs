//! How the matrix products of `conv.rs` see images: what a place of a grid reads, and where its sum goes.

use std::ops::Range;

use super::parallel::Disjoint;

/// A grid of places over each image of a batch. From place (y, x), tap t sees pixel (step·y, step·x) + offset t; pixels
/// outside the image are 0. Places are numbered through the batch, image by image and row by row.
pub(super) struct Taps {
    pub(super) image: [usize; 2],
    pub(super) grid: [usize; 2],
    pub(super) step: usize,
    pub(super) offsets: Vec<[isize; 2]>,
}

/// `len` neighbouring places of a panel that see neighbouring pixels inside the image.
struct Run {
    at: usize,    // where in the panel
    pixel: usize, // where in the first channel of the batch's first image
    len: usize,
}

impl Taps {
    /// Places over one image.
    pub(super) fn places(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// `panel[(c, t)][place]` for the (channel, tap) pairs `ks`, which count taps fastest.
    pub(super) fn pack(
        &self,
        x: &[f32],
        channels: usize,
        places: Range<usize>,
        ks: Range<usize>,
        width: usize,
        panel: &mut [f32],
    ) {
        let taps = self.offsets.len();
        let plane = self.image[0] * self.image[1];
        let seen = ks.start..ks.end.min(ks.start + taps);
        let mut runs: Vec<Vec<Run>> = (0..taps).map(|_| Vec::new()).collect();
        for k in seen {
            runs[k % taps] = self.runs(self.offsets[k % taps], channels, places.clone());
        }
        for (k, out) in ks.zip(panel.chunks_mut(width)) {
            let (channel, runs) = (k / taps, &runs[k % taps]);
            let x = &x[channel * plane..];
            if !matches!(runs[..], [Run { at: 0, len, .. }] if len == width) {
                out.fill(0.0);
            }
            for run in runs {
                copy(&x[run.pixel..], self.step, &mut out[run.at..run.at + run.len]);
            }
        }
    }

    fn runs(&self, [dy, dx]: [isize; 2], channels: usize, places: Range<usize>) -> Vec<Run> {
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
}

/// Every `step`-th number. Short runs are most of the work on small images, so their lengths are compiled in.
#[inline]
fn copy(from: &[f32], step: usize, to: &mut [f32]) {
    #[inline(always)]
    fn exactly<const N: usize>(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(&from[..N]);
    }
    match (step, to.len()) {
        (1, 16) => exactly::<16>(from, to),
        (1, 15) => exactly::<15>(from, to),
        (1, 8) => exactly::<8>(from, to),
        (1, 7) => exactly::<7>(from, to),
        (1, 4) => exactly::<4>(from, to),
        (1, 3) => exactly::<3>(from, to),
        (1, 2) => exactly::<2>(from, to),
        (_, 1) => to[0] = from[0],
        (1, n) => to.copy_from_slice(&from[..n]),
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(out, &x)| *out = x),
    }
}

/// Consecutive places of one image.
pub(super) struct ImageRun {
    pub(super) image: usize,
    pub(super) first: usize, // within the image
    pub(super) at: usize,    // within the range
    pub(super) len: usize,
}

/// Cuts a range of places at the borders between images of `size` places.
pub(super) fn runs_by_image(places: Range<usize>, size: usize) -> impl Iterator<Item = ImageRun> {
    let images = places.start / size..places.end.div_ceil(size);
    images.map(move |image| {
        let (start, end) = (places.start.max(image * size), places.end.min((image + 1) * size));
        ImageRun { image, first: start - image * size, at: start - places.start, len: end - start }
    })
}

/// Where sums go: the pixels `step·place + phase` of every channel.
pub(super) struct Image {
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    pub(super) step: usize,
    pub(super) phase: [usize; 2],
}

impl Image {
    pub(super) fn store(
        &self,
        to: &Disjoint,
        taps: &Taps,
        bias: Option<&[f32]>,
        rows: Range<usize>,
        places: Range<usize>,
        sums: &[f32],
        stride: usize,
    ) {
        let plane = self.size[0] * self.size[1];
        for (r, channel) in rows.enumerate() {
            let bias = bias.map_or(0.0, |b| b[channel]);
            for run in runs_by_image(places.clone(), taps.places()) {
                let sums = &sums[r * stride + run.at..][..run.len];
                let start = (run.image * self.channels + channel) * plane;
                if self.step == 1 {
                    // SAFETY: `multiply` stores each element once, and phases come one after another.
                    let out = unsafe { to.part(start + run.first..start + run.first + run.len) };
                    out.iter_mut().zip(sums).for_each(|(out, s)| *out = s + bias);
                    continue;
                }
                let columns = taps.grid[1];
                let mut place = run.first;
                let mut sums = sums;
                while !sums.is_empty() {
                    let (row, column) = (place / columns, place % columns);
                    let (line, rest) = sums.split_at(sums.len().min(columns - column));
                    let first = (row * self.step + self.phase[0]) * self.size[1] + column * self.step + self.phase[1];
                    let last = first + (line.len() - 1) * self.step;
                    // SAFETY: likewise; the places of one task and phase on one row lie beside those of the next.
                    let out = unsafe { to.part(start + first..start + last + 1) };
                    out.iter_mut().step_by(self.step).zip(line).for_each(|(out, s)| *out = s + bias);
                    (place, sums) = (place + line.len(), rest);
                }
            }
        }
    }
}
