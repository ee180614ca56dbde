//! The transforms of Winograd's tiles, one line of a tile at a time, for any vector registers.
//!
//! ```text
//!   Bᵀ·d   a line of n pixels   → values at n points        G·w   r weights → values at n points        n = m + r − 1
//!   Aᵀ·m   values at n points   → a line of m results       and the adjoints A and Gᵀ of the last two
//! ```
//! There is no explicit matrix product. For points ±a, ±b the rows of a point and its negative share an even and an odd part: one row is
//! their sum, the other their difference. The points 0, ±¾, ±3/2, ∞ give a rounding error three times smaller than the usual 0, ±1, ±2, ∞,
//! and ±½, ±5/4, ∞ one that is half of that of 0, ±1, 2, ∞.
//!
//! Row j of Bᵀ holds the coefficients of Π_(l≠j) (x − p_l), and the row of ∞ those of Π_l (x − p_l). Row j of G is
//! (1, …, p_j^(r−1)) / Π_(l≠j) (p_j − p_l). Column j of Aᵀ is (1, p_j, …, p_j^(m−1)). In G and Aᵀ, ∞ has a single 1, for the highest power.

use std::mem::MaybeUninit;

use super::simd::Vector;

/// The size of a tile, and the transforms of one of its lines.
pub(crate) trait Tile: Sync {
    /// Outputs per side, m.
    const OUT: usize;
    /// Weights per side, r.
    const TAPS: usize;
    /// Inputs per side, and points, n.
    const IN: usize = Self::OUT + Self::TAPS - 1;
    /// Points of a square.
    const POINTS: usize = Self::IN * Self::IN;
    /// Bᵀ·d: a line of IN pixels to values at IN points.
    fn input<V: Vector>(d: &mut [V; 6]);
    /// Aᵀ·m: values at IN points to a line of OUT pixels.
    fn output<V: Vector>(m: &mut [V; 6]);
    /// A·y, the adjoint of `output`.
    fn output_adjoint<V: Vector>(y: &mut [V; 6]);
    /// G·w: TAPS weights to values at IN points.
    fn weight<V: Vector>(w: &mut [V; 6]);
    /// Gᵀ·m, the adjoint of `weight`.
    fn weight_adjoint<V: Vector>(m: &mut [V; 6]);
}

/// c·x.
#[inline(always)]
fn times<V: Vector>(c: f32, x: V) -> V {
    V::splat(c).mul(x)
}

/// x + c·y.
#[inline(always)]
fn plus<V: Vector>(x: V, c: f32, y: V) -> V {
    x.add_product(V::splat(c), y)
}

/// The rows of Bᵀ for ±p, if the other points are ±q and ∞: x₃ − q²·x₁ ± p·(x₂ − q²·x₀). A point 0 moves x on by one pixel.
#[inline(always)]
fn input_at<V: Vector>(p: f32, q: f32, [x0, x1, x2, x3]: [V; 4]) -> [V; 2] {
    let (same, other) = (plus(x3, -q * q, x1), times(p, plus(x2, -q * q, x0)));
    [same.add(other), same.sub(other)]
}

/// The values of y₀ + y₁·x + y₂·x² + y₃·x³ at ±p, which are rows of A.
#[inline(always)]
fn values_at<V: Vector>(p: f32, [y0, y1, y2, y3]: [V; 4]) -> [V; 2] {
    let (even, odd) = (plus(y0, p * p, y2), times(p, plus(y1, p * p, y3)));
    [even.add(odd), even.sub(odd)]
}

/// F(2 × 2, 3 × 3): points 0, ±1, ∞.
pub(crate) struct Two;

impl Tile for Two {
    const OUT: usize = 2;
    const TAPS: usize = 3;

    #[inline(always)]
    fn input<V: Vector>(d: &mut [V; 6]) {
        let [d0, d1, d2, d3, ..] = *d;
        (d[0], d[1], d[2], d[3]) = (d2.sub(d0), d2.add(d1), d2.sub(d1), d3.sub(d1));
    }

    #[inline(always)]
    fn output<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, ..] = *m;
        (m[0], m[1]) = (m0.add(m1).add(m2), m1.sub(m2).add(m3));
    }

    #[inline(always)]
    fn output_adjoint<V: Vector>(y: &mut [V; 6]) {
        let [y0, y1, ..] = *y;
        (y[1], y[2], y[3]) = (y0.add(y1), y0.sub(y1), y1);
    }

    #[inline(always)]
    fn weight<V: Vector>(w: &mut [V; 6]) {
        let [w0, w1, w2, ..] = *w;
        let even = w0.add(w2);
        (w[0], w[1], w[2], w[3]) = (times(-1.0, w0), times(0.5, even.add(w1)), times(0.5, even.sub(w1)), w2);
    }

    #[inline(always)]
    fn weight_adjoint<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, ..] = *m;
        let even = times(0.5, m1.add(m2));
        (m[0], m[1], m[2]) = (even.sub(m0), times(0.5, m1.sub(m2)), even.add(m3));
    }
}

/// F(4 × 4, 3 × 3): points 0, ±a, ±b, ∞.
pub(crate) struct Four;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// One over the product of each point's distances to the others, by which `G` divides.
const N0: f32 = 1.0 / (A2 * B2);
const NA: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const NB: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

impl Tile for Four {
    const OUT: usize = 4;
    const TAPS: usize = 3;

    #[inline(always)]
    fn input<V: Vector>(d: &mut [V; 6]) {
        let [d0, d1, d2, d3, d4, d5] = *d;
        d[0] = plus(plus(d4, A2 * B2, d0), -(A2 + B2), d2);
        [d[1], d[2]] = input_at(A, B, [d1, d2, d3, d4]);
        [d[3], d[4]] = input_at(B, A, [d1, d2, d3, d4]);
        d[5] = plus(plus(d5, A2 * B2, d1), -(A2 + B2), d3);
    }

    #[inline(always)]
    fn output<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, m4, m5] = *m;
        let (even_a, odd_a) = (m1.add(m2), m1.sub(m2));
        let (even_b, odd_b) = (m3.add(m4), m3.sub(m4));
        m[0] = m0.add(even_a).add(even_b);
        m[1] = plus(times(A, odd_a), B, odd_b);
        m[2] = plus(times(A2, even_a), B2, even_b);
        m[3] = plus(plus(m5, A * A2, odd_a), B * B2, odd_b);
    }

    #[inline(always)]
    fn output_adjoint<V: Vector>(y: &mut [V; 6]) {
        let [y0, y1, y2, y3, ..] = *y;
        [y[1], y[2]] = values_at(A, [y0, y1, y2, y3]);
        [y[3], y[4]] = values_at(B, [y0, y1, y2, y3]);
        y[5] = y3;
    }

    #[inline(always)]
    fn weight<V: Vector>(w: &mut [V; 6]) {
        let [w0, w1, w2, ..] = *w;
        let (even_a, odd_a) = (times(NA, plus(w0, A2, w2)), times(NA * A, w1));
        let (even_b, odd_b) = (times(NB, plus(w0, B2, w2)), times(NB * B, w1));
        w[0] = times(N0, w0);
        (w[1], w[2]) = (even_a.add(odd_a), even_a.sub(odd_a));
        (w[3], w[4]) = (even_b.add(odd_b), even_b.sub(odd_b));
        w[5] = w2;
    }

    #[inline(always)]
    fn weight_adjoint<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, m4, m5] = *m;
        let (even_a, odd_a) = (times(NA, m1.add(m2)), times(NA * A, m1.sub(m2)));
        let (even_b, odd_b) = (times(NB, m3.add(m4)), times(NB * B, m3.sub(m4)));
        m[0] = plus(even_a.add(even_b), N0, m0);
        m[1] = odd_a.add(odd_b);
        m[2] = plus(plus(m5, A2, even_a), B2, even_b);
    }
}

/// F(4 × 4, 2 × 2): points ±c, ±d, ∞.
pub(crate) struct FourByTwo;

// One over the product of each point's distances to the others is NC and ND, or the negative of it for −c and −d.
const C: f32 = 0.5;
const D: f32 = 1.25;
const C2: f32 = C * C;
const D2: f32 = D * D;
const NC: f32 = 1.0 / (2.0 * C * (C2 - D2));
const ND: f32 = 1.0 / (2.0 * D * (D2 - C2));

impl Tile for FourByTwo {
    const OUT: usize = 4;
    const TAPS: usize = 2;

    #[inline(always)]
    fn input<V: Vector>(d: &mut [V; 6]) {
        let [d0, d1, d2, d3, d4, _] = *d;
        [d[0], d[1]] = input_at(C, D, [d0, d1, d2, d3]);
        [d[2], d[3]] = input_at(D, C, [d0, d1, d2, d3]);
        d[4] = plus(plus(d4, C2 * D2, d0), -(C2 + D2), d2);
    }

    #[inline(always)]
    fn output<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, m4, _] = *m;
        let (even_c, odd_c) = (m0.add(m1), m0.sub(m1));
        let (even_d, odd_d) = (m2.add(m3), m2.sub(m3));
        m[0] = even_c.add(even_d);
        m[1] = plus(times(C, odd_c), D, odd_d);
        m[2] = plus(times(C2, even_c), D2, even_d);
        m[3] = plus(plus(m4, C * C2, odd_c), D * D2, odd_d);
    }

    #[inline(always)]
    fn output_adjoint<V: Vector>(y: &mut [V; 6]) {
        let [y0, y1, y2, y3, ..] = *y;
        [y[0], y[1]] = values_at(C, [y0, y1, y2, y3]);
        [y[2], y[3]] = values_at(D, [y0, y1, y2, y3]);
        y[4] = y3;
    }

    #[inline(always)]
    fn weight<V: Vector>(w: &mut [V; 6]) {
        let [w0, w1, ..] = *w;
        let (even_c, odd_c) = (times(NC, w0), times(NC * C, w1));
        let (even_d, odd_d) = (times(ND, w0), times(ND * D, w1));
        (w[0], w[1]) = (odd_c.add(even_c), odd_c.sub(even_c));
        (w[2], w[3]) = (odd_d.add(even_d), odd_d.sub(even_d));
        w[4] = w1;
    }

    #[inline(always)]
    fn weight_adjoint<V: Vector>(m: &mut [V; 6]) {
        let [m0, m1, m2, m3, m4, _] = *m;
        m[0] = plus(times(NC, m0.sub(m1)), ND, m2.sub(m3));
        m[1] = plus(plus(m4, NC * C, m0.add(m1)), ND * D, m2.add(m3));
    }
}

/// The transforms by name. (A function passed as an argument would not be compiled for the instruction set in use.)
#[derive(Clone, Copy)]
pub(super) enum Transform {
    Input,
    Output,
    OutputAdjoint,
    Weight,
    WeightAdjoint,
}

impl Transform {
    #[inline(always)]
    fn line<V: Vector, T: Tile>(self, x: &mut [V; 6]) {
        match self {
            Transform::Input => T::input(x),
            Transform::Output => T::output(x),
            Transform::OutputAdjoint => T::output_adjoint(x),
            Transform::Weight => T::weight(x),
            Transform::WeightAdjoint => T::weight_adjoint(x),
        }
    }

    /// Transforms the columns and then the rows of a square, which `read(row, column)` gives, and passes each result to `write`.
    /// Finished columns are kept in memory, since there are fewer than 36 registers.
    #[inline(always)]
    pub(super) fn square<V: Vector, T: Tile>(
        self,
        read: impl Fn(usize, usize) -> V,
        mut write: impl FnMut(usize, usize, V),
    ) {
        let (from, to) = match self {
            Transform::Input => (T::IN, T::IN),
            Transform::Output => (T::IN, T::OUT),
            Transform::OutputAdjoint => (T::OUT, T::IN),
            Transform::Weight => (T::TAPS, T::IN),
            Transform::WeightAdjoint => (T::IN, T::TAPS),
        };
        let nothing = V::splat(0.0);
        let mut half = [[MaybeUninit::<V>::uninit(); 6]; 6];
        for j in 0..from {
            let mut column = [nothing; 6];
            for i in 0..from {
                column[i] = read(i, j);
            }
            self.line::<V, T>(&mut column);
            for i in 0..to {
                half[i][j].write(column[i]);
            }
        }
        for i in 0..to {
            let mut row = [nothing; 6];
            for j in 0..from {
                // SAFETY: the loop above wrote it, for every i below `to` and j below `from`.
                row[j] = unsafe { half[i][j].assume_init() };
            }
            self.line::<V, T>(&mut row);
            for j in 0..to {
                write(i, j, row[j]);
            }
        }
    }
}
