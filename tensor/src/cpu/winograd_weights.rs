//! Winograd's transforms of weights, from the taps of kernels to values at points and back.
//!
//! ```text
//!   weight ──transpose──► [tap][16 outputs] ──phase by phase, G·w·Gᵀ──► planes, one per point of each phase
//! ```
//! As in `winograd_points.rs`, a vector has one tap of 16 kernels.

use std::marker::PhantomData;

use super::parallel::{DisjointSliceMut, ENOUGH_TASKS, for_each_index};
use super::pool::{CpuBuffer, scratch};
use super::simd::{Isa, SimdKernel, Vector};
use super::transpose::transpose;
use super::winograd_phases::{Direction, Phase};
use super::winograd_points::{LANES, Planes};
use super::winograd_tile::{Tile, Transform};

/// A weight of a convolution, `[out, in, kernel]`, or that of an adjoint, `[in, out, kernel]`, with `[in, out]` channels.
pub(super) struct Kernels<'a> {
    pub(super) weight: &'a [f32],
    pub(super) direction: Direction,
    pub(super) channels: [usize; 2],
    /// The number of taps of a kernel.
    pub(super) taps: usize,
}

/// G·w·Gᵀ of every pair of channels, in `planes` with a row for each input.
pub(super) fn to_points<T: Tile>(isa: Isa, kernels: &Kernels, phases: &[Phase], planes: Planes) -> CpuBuffer {
    /// Input channels of one task, the least and the most.
    const SOME: [usize; 2] = [4, 32];
    let Kernels { weight, direction, channels: [cin, cout], taps } = *kernels;
    let mut points = CpuBuffer::take(planes.count());
    let (to, panels) = (DisjointSliceMut::new(&mut points), planes.panels().collect::<Vec<_>>());
    let some = (panels.len() * cin / ENOUGH_TASKS).clamp(SOME[0], SOME[1]);
    let blocks = cin.div_ceil(some);
    for_each_index(panels.len() * blocks, &|task| {
        let (panel, first) = (panels[task / blocks].clone(), task % blocks * some);
        scratch((taps + 1) * LANES, |flat| {
            flat.fill(0.0); // for the channels and the taps that are missing
            for input in first..(first + some).min(cin) {
                for v in panel.clone() {
                    let out = v * LANES;
                    // The kernels of sixteen outputs and one input, which are `stride` apart.
                    let (start, stride) = match direction {
                        Direction::Adjoint => ((input * cout + out) * taps, taps),
                        Direction::Forward => ((out * cin + input) * taps, cin * taps),
                    };
                    transpose(isa, &weight[start..], stride, LANES.min(cout - out), taps, flat, LANES);
                    let [at, step] = planes.vector(v);
                    for (i, phase) in phases.iter().enumerate() {
                        let at = i * T::POINTS * planes.plane() + at + input * step;
                        let (to, plane, tile) = (&to, planes.plane(), PhantomData);
                        isa.dispatch(ToPoints::<T> { flat, phase, to, at, plane, tile });
                    }
                }
            }
        });
    });
    points
}

struct ToPoints<'a, T> {
    flat: &'a [f32],
    phase: &'a Phase,
    to: &'a DisjointSliceMut<'a>,
    at: usize,
    plane: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for ToPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for lane in (0..LANES).step_by(V::LANES) {
            let read = |i: usize, j: usize| V::read(&self.flat[self.phase.taps[i * T::TAPS + j] * LANES + lane..]);
            Transform::Weight.square::<V, T>(read, |i, j, x| {
                let at = (i * T::IN + j) * self.plane + self.at + lane;
                // SAFETY: no two tasks have the same channels.
                x.write(unsafe { self.to.part(at..at + V::LANES) });
            });
        }
    }
}

/// Gᵀ·m·G of the kernels between one output, a row of `planes`, and all inputs, into `dw[out, in, kernel]`.
pub(super) fn from_points<T: Tile>(
    isa: Isa,
    (points, planes): (&[f32], Planes),
    output: usize,
    phases: &[Phase],
    dw: &DisjointSliceMut,
    [cin, taps]: [usize; 2],
) {
    scratch((taps + 1) * LANES, |flat| {
        for v in 0..planes.vectors {
            let [at, step] = planes.vector(v);
            for (phase, points) in phases.iter().zip(points.chunks_exact(T::POINTS * planes.plane())) {
                let (at, plane, tile) = (at + output * step, planes.plane(), PhantomData);
                isa.dispatch(FromPoints::<T> { points, plane, phase, at, flat, tile });
            }
            let (start, some) = ((output * cin + v * LANES) * taps, LANES.min(cin - v * LANES));
            // SAFETY: no two tasks have the same output.
            let dw = unsafe { dw.part(start..start + some * taps) };
            transpose(isa, flat, LANES, taps, some, dw, taps);
        }
    });
}

struct FromPoints<'a, T> {
    points: &'a [f32],
    plane: usize,
    phase: &'a Phase,
    at: usize,
    flat: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<T: Tile> SimdKernel for FromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for lane in (0..LANES).step_by(V::LANES) {
            let read = |i: usize, j: usize| V::read(&self.points[(i * T::IN + j) * self.plane + self.at + lane..]);
            Transform::WeightAdjoint.square::<V, T>(read, |i, j, x| {
                x.write(&mut self.flat[self.phase.taps[i * T::TAPS + j] * LANES + lane..]);
            });
        }
    }
}
