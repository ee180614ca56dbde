//! Sine, cosine, powers, rounding and the normal distribution, without branches and calls like `elementary.rs`.
//!
//!   sin x = ± sin r or ± cos r,   n = round(2x/π),   r = x − n·π/2,   |r| ≤ π/4
//!   xᵉ = exp(e·ln |x|), with the sign of a whole power
//!   Φ(x) = e^(−x²/2)·s·P(s),   s = 1/(1 + 0.32·|x|),   for x < 0;   Φ(x) = 1 − Φ(−x)
//!
//! π/2 is subtracted in three parts, of which the first two have so few bits that their products with n are exact. The polynomials
//! of the sine are those of S. Moshier's Cephes library (sinf.c). P has degree 9. It is a least-squares fit whose weights were changed until
//! the largest errors were equal: s·P(s) differs from e^(x²/2)·Φ(x) by at most 3.3e-8 of it. `shaders/lib/special.wgsl` has the same
//! polynomials.

use super::elementary::{exp, ln};

/// π/2 in three parts.
const HALF_PI: [f32; 3] = [201.0 / 128.0, 4.837_513e-4, 7.549_79e-8];

/// Adding 1.5·2²³ rounds a small number to a whole one, which the lowest bits of the sum then hold.
const ROUND: f32 = 12_582_912.0;

/// From 2²³ on, every number is whole.
const WHOLE: f32 = 8_388_608.0;

/// sin x within 1e-6 for |x| ≤ 8192. Beyond, the error grows with |x|.
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    sine(x, 0)
}

/// cos x within 1e-6 for |x| ≤ 8192. Beyond, the error grows with |x|.
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    sine(x, 1)
}

/// sin(x + quarters·π/2).
#[inline(always)]
fn sine(x: f32, quarters: u32) -> f32 {
    let rounded = x * std::f32::consts::FRAC_2_PI + ROUND;
    let n = rounded - ROUND;
    let r = ((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2];
    let z = r * r;
    let mut p = -1.951_529_6e-4;
    p = p * z + 8.332_161e-3;
    p = p * z - 1.666_665_5e-1;
    let sine = p * z * r + r;
    let mut p = 2.443_315_7e-5;
    p = p * z - 1.388_731_6e-3;
    p = p * z + 4.166_664_6e-2;
    let cosine = p * z * z - 0.5 * z + 1.0;
    let quadrant = rounded.to_bits().wrapping_add(quarters);
    let y = if quadrant & 1 == 0 { sine } else { cosine };
    if quadrant & 2 == 0 { y } else { -y }
}

/// The nearest whole number, the even one of two.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    let size = x.abs();
    let rounded = (size + WHOLE) - WHOLE;
    (if size < WHOLE { rounded } else { size }).copysign(x)
}

/// xᵉ: NaN for a negative x unless e is whole, 1 for e = 0.
#[inline(always)]
pub(crate) fn pow(x: f32, e: f32) -> f32 {
    let size = exp(e * ln(x.abs()));
    let (whole, even) = (round(e) == e, round(0.5 * e) == 0.5 * e);
    let below = if even { size } else { -size };
    let below = if whole { below } else { f32::NAN };
    let y = if x < 0.0 { below } else { size };
    if e == 0.0 { 1.0 } else { y }
}

/// The density of the normal distribution, e^(−x²/2)/√(2π).
#[inline(always)]
pub(crate) fn normal_density(x: f32) -> f32 {
    let z = 0.5 * x * x; // as below, where the compiler then uses the same exponential
    0.398_942_3 * exp(-z)
}

/// Φ(x), the probability that a normal number is below x. It is accurate also where it is small.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let z = 0.5 * x * x;
    let s = 1.0 / (1.0 + 0.32 * x.abs());
    let mut p = -2.107_828_7e-2;
    p = p * s + 9.540_78e-2;
    p = p * s - 1.467_084_7e-1;
    p = p * s + 6.532_906e-2;
    p = p * s - 9.378_186e-3;
    p = p * s + 5.865_417_8e-2;
    p = p * s + 8.782_906e-2;
    p = p * s + 1.146_223_6e-1;
    p = p * s + 1.276_609_5e-1;
    p = p * s + 1.276_615_3e-1;
    let beyond = exp(-z) * (p * s);
    if x < 0.0 { beyond } else { 1.0 - beyond }
}
