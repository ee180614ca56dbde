//! Winograd's transforms of whole images, from pixels to values at points and back.
//!
//! ```text
//!   image ──gather──► [pixel][16 channels] ──tile by tile, Bᵀ·d·B──► planes, one per point
//!   image ◄──scatter─ [pixel][16 channels] ◄─tile by tile, Aᵀ·ŷ·A─── planes
//! ```
//! Vectors run along 16 channels, so a pixel is one register, and the transforms of `winograd_tile.rs` are additions of registers.
//! Every plane holds the same rows (one for each tile of an image, or for each channel) of channels, in the order in which a product
//! reads them: see [`Order`]. The planes of a phase (`winograd_phases.rs`) follow those of the phase before it.

use std::marker::PhantomData;
use std::ops::Range;

use super::parallel::DisjointSliceMut;
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::transpose::transpose;
use super::winograd_phases::Phase;
use super::winograd_tile::{Tile, Transform};

/// Channels of one vector.
pub(super) const LANES: usize = 16;

/// The tiles that cover an image.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    tiles: [usize; 2],
}

impl Tiling {
    pub(super) fn of<T: Tile>(size: [usize; 2]) -> Tiling {
        Tiling { tiles: size.map(|s| s.div_ceil(T::OUT)) }
    }

    /// The number of tiles.
    pub(super) fn count(self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// The first pixel, (y, x), of a tile.
    #[inline(always)]
    fn corner<T: Tile>(self, tile: usize) -> [usize; 2] {
        [tile / self.tiles[1] * T::OUT, tile % self.tiles[1] * T::OUT]
    }
}

/// The memory layout of a plane.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `[row][channel]`: the result of a product, or a left operand that is read along its rows.
    Rows,
    /// `[16 channels][row][16]`: a left operand that is read down its columns.
    Columns,
    /// `[panel][row][up to 48]`: a right operand, in the panels of a product.
    Panels,
}

/// The layout of planes of one size, one for each point of each phase.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    order: Order,
    planes: usize,
    rows: usize,
    pub(super) vectors: usize,
}

impl Planes {
    /// So many planes of `rows` rows of `channels`.
    pub(super) fn new(order: Order, planes: usize, rows: usize, channels: usize) -> Planes {
        let rows = if order == Order::Rows { rows.next_multiple_of(8) } else { rows }; // a product writes 8 rows at a time
        Planes { order, planes, rows, vectors: channels.div_ceil(LANES) }
    }

    /// The length of a row of [`Order::Rows`]. It is not a multiple of 512 bytes, since such rows would share cache sets.
    pub(super) fn width(self) -> usize {
        let width = self.vectors * LANES;
        if width.is_multiple_of(128) { width + LANES } else { width }
    }

    /// The length of one plane: an odd number of cache lines of 64 bytes. A transform reads or writes the same place of every plane, and
    /// if planes were a multiple of 4 KB apart, these lines would share one set of a first-level cache.
    pub(super) fn plane(self) -> usize {
        let vectors = if self.order == Order::Rows { self.width() / LANES } else { self.vectors };
        ((self.rows * vectors) | 1) * LANES
    }

    /// One of the planes.
    pub(super) fn of(self, plane: usize, data: &[f32]) -> (&[f32], Planes) {
        (&data[plane * self.plane()..][..self.plane()], self)
    }

    /// The strides of the rows and columns of a left operand.
    pub(super) fn strides(self) -> [usize; 2] {
        if self.order == Order::Rows { [self.width(), 1] } else { [1, LANES] }
    }

    /// The index at which row `row` of a left operand begins. For [`Order::Columns`] a row is a channel.
    pub(super) fn row(self, row: usize) -> usize {
        match self.order {
            Order::Rows => row * self.width(),
            _ => row / LANES * LANES * self.rows + row % LANES,
        }
    }

    /// How many rows of a left operand are a fixed stride apart, from this one on.
    pub(super) fn adjacent(self, row: usize) -> usize {
        if self.order == Order::Columns { LANES - row % LANES } else { usize::MAX }
    }

    /// Rows of a left operand that whole tiles of every instruction set cover.
    pub(super) fn whole(self) -> usize {
        if self.order == Order::Columns { LANES } else { 24 }
    }

    /// The length of all planes together.
    pub(super) fn count(self) -> usize {
        self.planes * self.plane()
    }

    /// The vectors of each panel: three at a time, and at the end twice two rather than three and one.
    pub(super) fn panels(self) -> impl Iterator<Item = Range<usize>> {
        let first = std::iter::successors(Some(0), move |&first| Some(self.panel(first).end));
        first.take_while(move |&first| first < self.vectors).map(move |first| self.panel(first))
    }

    fn panel(self, vector: usize) -> Range<usize> {
        let n = self.vectors;
        let threes = if n % 3 == 1 && n > 1 { n - 4 } else { n - n % 3 };
        if vector < threes {
            let first = vector / 3 * 3;
            return first..first + 3;
        }
        let first = threes + (vector - threes) / 2 * 2;
        first..(first + 2).min(n)
    }

    /// The index of vector `v` of row 0 in a plane, and the stride to the next row.
    #[inline(always)]
    pub(super) fn vector(self, v: usize) -> [usize; 2] {
        match self.order {
            Order::Rows => [v * LANES, self.width()],
            Order::Columns => [v * LANES * self.rows, LANES],
            Order::Panels => {
                let panel = self.panel(v);
                [panel.start * LANES * self.rows + (v - panel.start) * LANES, panel.len() * LANES]
            }
        }
    }
}

/// Images with the tiles that cover them.
pub(super) struct Tiles<'a> {
    images: &'a [f32],
    channels: usize,
    /// Those of a whole image, from one to the next.
    image_channels: usize,
    size: [usize; 2],
    tiling: Tiling,
    /// For each phase and (row, column) of its padded image, the index of the pixel in a gathered image. For the border this is past
    /// the end of the image, where there are zeros.
    places: Vec<Vec<usize>>,
    columns: usize,
}

impl<'a> Tiles<'a> {
    /// Tiles with T::IN pixels per side, or, for gradients, with T::OUT pixels.
    pub(super) fn new<T: Tile, const GRADIENT: bool>(
        images: &'a [f32],
        [channels, image_channels]: [usize; 2],
        size: [usize; 2],
        tiling: Tiling,
        phases: &[Phase],
    ) -> Tiles<'a> {
        let beyond = if GRADIENT { 0 } else { T::IN - T::OUT };
        let [rows, columns] = tiling.tiles.map(|tiles| tiles * T::OUT + beyond);
        let of_phase = |phase: &Phase| {
            let inside = |d: usize, at: usize| {
                usize::try_from(phase.first[d] + (at * phase.step) as isize).ok().filter(|&at| at < size[d])
            };
            let place = |row, column| match (inside(0, row), inside(1, column)) {
                (Some(y), Some(x)) => (y * size[1] + x) * LANES,
                _ => size[0] * size[1] * LANES,
            };
            (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column])).map(|[y, x]| place(y, x)).collect()
        };
        let places = phases.iter().map(of_phase).collect();
        Tiles { images, channels, image_channels, size, tiling, places, columns }
    }

    /// Bᵀ·d·B, or A·dy·Aᵀ, of an image's tiles, to the rows from `row`.
    pub(super) fn to_points<T: Tile, const GRADIENT: bool>(
        &self,
        isa: Isa,
        [image, row]: [usize; 2],
        to: &DisjointSliceMut,
        planes: Planes,
    ) {
        let pixels = self.size[0] * self.size[1];
        scratch((pixels + 1) * LANES, |flat| {
            flat[pixels * LANES..].fill(0.0);
            for v in 0..planes.vectors {
                let first = v * LANES;
                let some = LANES.min(self.channels - first);
                if some < LANES {
                    flat.fill(0.0); // for the channels that are missing
                }
                let from = &self.images[(image * self.image_channels + first) * pixels..];
                transpose(isa, from, pixels, some, pixels, flat, LANES);
                let [start, step] = planes.vector(v);
                for (phase, places) in self.places.iter().enumerate() {
                    let plane = planes.plane();
                    let at = phase * T::POINTS * plane + start + row * step;
                    isa.dispatch(ToPoints::<T, GRADIENT> {
                        tiles: self,
                        places,
                        flat,
                        to,
                        at,
                        step,
                        plane,
                        tile: PhantomData,
                    });
                }
            }
        });
    }
}

struct ToPoints<'a, T, const GRADIENT: bool> {
    tiles: &'a Tiles<'a>,
    places: &'a [usize],
    flat: &'a [f32],
    to: &'a DisjointSliceMut<'a>,
    at: usize,
    step: usize,
    plane: usize,
    tile: PhantomData<T>,
}

impl<T: Tile, const GRADIENT: bool> SimdKernel for ToPoints<'_, T, GRADIENT> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Tiles { tiling, columns, .. } = self.tiles;
        let transform = if GRADIENT { Transform::OutputAdjoint } else { Transform::Input };
        for tile in 0..tiling.count() {
            let [y, x] = tiling.corner::<T>(tile);
            for lane in (0..LANES).step_by(V::LANES) {
                let read = |i: usize, j: usize| V::read(&self.flat[self.places[(y + i) * columns + x + j] + lane..]);
                let at = self.at + tile * self.step + lane;
                transform.square::<V, T>(read, |i, j, x| {
                    let at = (i * T::IN + j) * self.plane + at;
                    // SAFETY: no two tasks have the same image and channels.
                    x.write(unsafe { self.to.part(at..at + V::LANES) });
                });
            }
        }
    }
}

/// The images that [`from_points`] writes.
pub(super) struct Results<'a> {
    pub(super) images: &'a DisjointSliceMut<'a>,
    pub(super) channels: usize,
    /// Those of a whole image, from one to the next.
    pub(super) image_channels: usize,
    pub(super) size: [usize; 2],
    pub(super) tiling: Tiling,
    pub(super) phases: &'a [Phase],
    pub(super) bias: Option<&'a [f32]>,
}

/// Aᵀ·ŷ·A of the rows from `row`, plus a bias, into the tiles of an image. If there are planes of one phase only, its results are those
/// of all phases together.
pub(super) fn from_points<T: Tile>(
    isa: Isa,
    (points, planes): (&[f32], Planes),
    [image, row]: [usize; 2],
    results: &Results,
) {
    let Results { images, channels, image_channels, size, phases, bias, .. } = *results;
    let pixels = size[0] * size[1];
    scratch(pixels * LANES, |flat| {
        for v in 0..planes.vectors {
            let first = v * LANES;
            let some = LANES.min(channels - first);
            let mut start = [0.0; LANES];
            if let Some(bias) = bias {
                start[..some].copy_from_slice(&bias[first..first + some]);
            }
            let [at, step] = planes.vector(v);
            for (phase, points) in phases.iter().zip(points.chunks_exact(T::POINTS * planes.plane())) {
                let (at, plane, tile) = (at + row * step, planes.plane(), PhantomData);
                isa.dispatch(FromPoints::<T> { points, at, step, plane, results, phase, bias: &start, flat, tile });
            }
            let start = (image * image_channels + first) * pixels;
            // SAFETY: no two tasks have the same image.
            let y = unsafe { images.part(start..start + some * pixels) };
            transpose(isa, flat, LANES, pixels, some, y, pixels);
        }
    });
}

struct FromPoints<'a, T> {
    points: &'a [f32],
    at: usize,
    step: usize,
    plane: usize,
    results: &'a Results<'a>,
    phase: &'a Phase,
    bias: &'a [f32; LANES],
    flat: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for FromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Results { size: [height, width], tiling, .. } = *self.results;
        let Phase { to: [first_y, first_x], to_step, .. } = *self.phase;
        for tile in 0..tiling.count() {
            let [y, x] = tiling.corner::<T>(tile);
            for lane in (0..LANES).step_by(V::LANES) {
                let bias = V::read(&self.bias[lane..]);
                let at = self.at + tile * self.step + lane;
                let read = |i: usize, j: usize| V::read(&self.points[(i * T::IN + j) * self.plane + at..]);
                Transform::Output.square::<V, T>(read, |i, j, value| {
                    let (y, x) = ((y + i) * to_step + first_y, (x + j) * to_step + first_x);
                    if y < height && x < width {
                        value.add(bias).write(&mut self.flat[(y * width + x) * LANES + lane..]);
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The first-level caches of today's processors have 64 sets or more of lines of 64 bytes.
    #[test]
    fn a_place_of_all_planes_is_in_as_many_cache_sets() {
        for order in [Order::Rows, Order::Columns, Order::Panels] {
            for [rows, channels] in [[64, 256], [256, 256], [1024, 64], [3, 16], [40, 48]] {
                let planes = Planes::new(order, 36, rows, channels);
                let sets: HashSet<usize> = (0..36).map(|plane| plane * planes.plane() / LANES % 64).collect();
                assert_eq!(sets.len(), 36, "{rows} rows of {channels} channels");
                assert!(planes.plane() >= rows * channels && planes.plane().is_multiple_of(LANES));
            }
        }
    }
}
