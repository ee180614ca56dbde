//! Winograd's transforms of whole images and weights, from pixels to values at points and back.
//!
//! ```text
//!   image ──gather──► [pixel][16 channels] ──tile by tile, Bᵀ·d·B──► planes, one per point
//!   image ◄──scatter─ [pixel][16 channels] ◄─tile by tile, Aᵀ·ŷ·A─── planes
//! ```
//! Vectors run along 16 channels, so a pixel is one register, and the transforms of `winograd_tile.rs` are additions of registers.
//! Every plane holds the same rows (one for each tile of an image, or for each channel) of channels, in the order in which a product
//! reads them: see [`Order`].

use std::marker::PhantomData;
use std::ops::Range;

use super::parallel::DisjointSliceMut;
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::transpose::transpose;
use super::winograd_tile::{Tile, Transform};

/// Channels of one vector.
pub(super) const LANES: usize = 16;

/// The tiles that cover an image.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    pub(super) size: [usize; 2],
    tiles: [usize; 2],
}

impl Tiling {
    pub(super) fn of<T: Tile>(size: [usize; 2]) -> Tiling {
        Tiling { size, tiles: size.map(|s| s.div_ceil(T::OUT)) }
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

/// The layout of planes of one size, one for each point.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    order: Order,
    rows: usize,
    vectors: usize,
}

impl Planes {
    /// Planes of `rows` rows of `channels`.
    pub(super) fn new(order: Order, rows: usize, channels: usize) -> Planes {
        let rows = if order == Order::Rows { rows.next_multiple_of(8) } else { rows }; // a product writes 8 rows at a time
        Planes { order, rows, vectors: channels.div_ceil(LANES) }
    }

    /// The length of a row of [`Order::Rows`]. It is not a multiple of 512 bytes, since such rows would share cache sets.
    pub(super) fn width(self) -> usize {
        let width = self.vectors * LANES;
        if width.is_multiple_of(128) { width + LANES } else { width }
    }

    /// The length of one plane.
    pub(super) fn plane(self) -> usize {
        let vectors = if self.order == Order::Rows { self.width() } else { self.vectors * LANES };
        self.rows * vectors
    }

    /// The plane of a point.
    pub(super) fn of(self, point: usize, data: &[f32]) -> (&[f32], Planes) {
        (&data[point * self.plane()..][..self.plane()], self)
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
    pub(super) fn count<T: Tile>(self) -> usize {
        T::IN * T::IN * self.plane()
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
    size: [usize; 2],
    tiling: Tiling,
    /// For each (row, column) of the padded image, the index of the pixel in a gathered image. For the border this is past the end of
    /// the image, where there are zeros.
    places: Vec<usize>,
    columns: usize,
}

impl<'a> Tiles<'a> {
    /// Tiles with T::IN pixels per side of images with a border of `padding`, or, for gradients, with T::OUT pixels.
    pub(super) fn new<T: Tile, const GRADIENT: bool>(
        images: &'a [f32],
        channels: usize,
        size: [usize; 2],
        tiling: Tiling,
        padding: usize,
    ) -> Tiles<'a> {
        let beyond = if GRADIENT { 0 } else { T::IN - T::OUT };
        let [rows, columns] = tiling.tiles.map(|tiles| tiles * T::OUT + beyond);
        let inside = |at: usize, size: usize| at.checked_sub(padding).filter(|&at| at < size);
        let place = |row, column| match (inside(row, size[0]), inside(column, size[1])) {
            (Some(y), Some(x)) => (y * size[1] + x) * LANES,
            _ => size[0] * size[1] * LANES,
        };
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| place(row, column))).collect();
        Tiles { images, channels, size, tiling, places, columns }
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
                let from = &self.images[(image * self.channels + first) * pixels..];
                transpose(isa, from, pixels, some, pixels, flat, LANES);
                let [start, step] = planes.vector(v);
                let (at, plane, tile) = (start + row * step, planes.plane(), PhantomData);
                isa.dispatch(ToPoints::<T, GRADIENT> { tiles: self, flat, to, at, step, plane, tile });
            }
        });
    }
}

struct ToPoints<'a, T, const GRADIENT: bool> {
    tiles: &'a Tiles<'a>,
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
        let Tiles { tiling, places, columns, .. } = self.tiles;
        let transform = if GRADIENT { Transform::OutputAdjoint } else { Transform::Input };
        for tile in 0..tiling.count() {
            let [y, x] = tiling.corner::<T>(tile);
            for lane in (0..LANES).step_by(V::LANES) {
                let read = |i: usize, j: usize| V::read(&self.flat[places[(y + i) * columns + x + j] + lane..]);
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

/// Aᵀ·ŷ·A of the rows from `row`, plus a bias, into the tiles of an image.
pub(super) fn from_points<T: Tile>(
    isa: Isa,
    (points, planes): (&[f32], Planes),
    [image, row]: [usize; 2],
    bias: Option<&[f32]>,
    (y, channels, tiling): (&DisjointSliceMut, usize, Tiling),
) {
    let pixels = tiling.size[0] * tiling.size[1];
    scratch(pixels * LANES, |flat| {
        for v in 0..planes.vectors {
            let first = v * LANES;
            let some = LANES.min(channels - first);
            let mut start = [0.0; LANES];
            if let Some(bias) = bias {
                start[..some].copy_from_slice(&bias[first..first + some]);
            }
            let [at, step] = planes.vector(v);
            let (at, plane, tile) = (at + row * step, planes.plane(), PhantomData);
            isa.dispatch(FromPoints::<T> { points, at, step, plane, tiling, bias: &start, flat, tile });
            let start = (image * channels + first) * pixels;
            // SAFETY: no two tasks have the same image.
            let y = unsafe { y.part(start..start + some * pixels) };
            transpose(isa, flat, LANES, pixels, some, y, pixels);
        }
    });
}

struct FromPoints<'a, T> {
    points: &'a [f32],
    at: usize,
    step: usize,
    plane: usize,
    tiling: Tiling,
    bias: &'a [f32; LANES],
    flat: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for FromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [height, width] = self.tiling.size;
        for tile in 0..self.tiling.count() {
            let [y, x] = self.tiling.corner::<T>(tile);
            for lane in (0..LANES).step_by(V::LANES) {
                let bias = V::read(&self.bias[lane..]);
                let at = self.at + tile * self.step + lane;
                let read = |i: usize, j: usize| V::read(&self.points[(i * T::IN + j) * self.plane + at..]);
                Transform::Output.square::<V, T>(read, |i, j, value| {
                    if y + i < height && x + j < width {
                        value.add(bias).write(&mut self.flat[((y + i) * width + x + j) * LANES + lane..]);
                    }
                });
            }
        }
    }
}

/// G·w·Gᵀ of the kernels between one input and the outputs of vector `v`, to row `input` of `planes`. `w` is
/// `[out, in, 3, 3]`, or, for the adjoint, `[in, out, 3, 3]` with rotated kernels. `flat` is temporary memory.
pub(super) fn weight_to_points<T: Tile>(
    isa: Isa,
    (w, adjoint): (&[f32], bool),
    [cin, cout]: [usize; 2],
    [input, v]: [usize; 2],
    to: &DisjointSliceMut,
    planes: Planes,
    flat: &mut [f32; 9 * LANES],
) {
    let first = v * LANES;
    // The kernels of sixteen outputs and one input, which are `stride` apart.
    let (start, stride) = if adjoint { ((input * cout + first) * 9, 9) } else { ((first * cin + input) * 9, cin * 9) };
    transpose(isa, &w[start..], stride, LANES.min(cout - first), 9, flat, LANES);
    let [at, step] = planes.vector(v);
    let (at, plane, tile) = (at + input * step, planes.plane(), PhantomData);
    isa.dispatch(WeightToPoints::<T> { flat, adjoint, to, at, plane, tile });
}

struct WeightToPoints<'a, T> {
    flat: &'a [f32; 9 * LANES],
    adjoint: bool,
    to: &'a DisjointSliceMut<'a>,
    at: usize,
    plane: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for WeightToPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for lane in (0..LANES).step_by(V::LANES) {
            let read = |i: usize, j: usize| {
                let t = i * 3 + j;
                V::read(&self.flat[if self.adjoint { 8 - t } else { t } * LANES + lane..])
            };
            Transform::Weight.square::<V, T>(read, |i, j, x| {
                let at = (i * T::IN + j) * self.plane + self.at + lane;
                // SAFETY: no two tasks have the same channels.
                x.write(unsafe { self.to.part(at..at + V::LANES) });
            });
        }
    }
}

/// Gᵀ·m·G of the kernels between one output, a row of `planes`, and all inputs, into `dw[out, in, 3, 3]`.
pub(super) fn weight_from_points<T: Tile>(
    isa: Isa,
    (points, planes): (&[f32], Planes),
    output: usize,
    dw: &DisjointSliceMut,
    cin: usize,
) {
    let mut flat = [0.0; 9 * LANES];
    for v in 0..planes.vectors {
        let [at, step] = planes.vector(v);
        let (at, flat, tile) = (at + output * step, &mut flat, PhantomData);
        isa.dispatch(WeightFromPoints::<T> { points, planes, at, flat, tile });
        let (start, some) = ((output * cin + v * LANES) * 9, LANES.min(cin - v * LANES));
        // SAFETY: no two tasks have the same output.
        let dw = unsafe { dw.part(start..start + some * 9) };
        transpose(isa, flat, LANES, 9, some, dw, 9);
    }
}

struct WeightFromPoints<'a, T> {
    points: &'a [f32],
    planes: Planes,
    at: usize,
    flat: &'a mut [f32; 9 * LANES],
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for WeightFromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let plane = self.planes.plane();
        for lane in (0..LANES).step_by(V::LANES) {
            let read = |i: usize, j: usize| {
                let at = (i * T::IN + j) * plane + self.at + lane;
                V::read(&self.points[at..])
            };
            Transform::WeightAdjoint.square::<V, T>(read, |i, j, x| {
                x.write(&mut self.flat[(i * 3 + j) * LANES + lane..]);
            });
        }
    }
}
