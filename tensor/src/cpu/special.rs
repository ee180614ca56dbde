//! Sine, cosine, powers, rounding and the normal distribution, without branches and calls like `elementary.rs`.
//!
//!   sin x = ± sin r or ± cos r,   n = round(2x/π),   r = x − n·π/2,   |r| ≤ π/4
//!   xᵉ = exp(e·ln |x|), with the sign of a whole power
//!   Φ(x) = ½·erfc(−x/√2) = ½ − ½·u·T(u²) for u = |x|/√2 < 1,   e^(−u²)·P(1/u²)/u beyond,   Φ(x) = 1 − Φ(−x)
//!
//! π/2 is subtracted in three parts, of which the first two have so few bits that their products with n are exact. The polynomials
//! are those of S. Moshier's Cephes library (sinf.c; erff and erfcf in ndtrf.c), as in `shaders/lib/special.wgsl`.

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
    0.398_942_3 * exp(-0.5 * x * x)
}

/// Φ(x), the probability that a normal number is below x. It is accurate also where it is small.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> f32 {
    let u = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let z = 0.5 * x * x;
    let mut p = 7.853_861_4e-5;
    p = p * z - 8.010_194e-4;
    p = p * z + 5.188_327_7e-3;
    p = p * z - 2.685_381_2e-2;
    p = p * z + 1.128_358_5e-1;
    p = p * z - 3.761_262_6e-1;
    p = p * z + std::f32::consts::FRAC_2_SQRT_PI;
    let near = 1.0 - u * p;
    let q = 1.0 / u;
    let y = q * q;
    let mut p = 2.326_82e-2;
    p = p * y - 1.387_039_4e-1;
    p = p * y + 3.687_424_7e-1;
    p = p * y - 5.824_733e-1;
    p = p * y + 6.210_005e-1;
    p = p * y - 4.944_515_3e-1;
    p = p * y + 3.404_88e-1;
    p = p * y - 2.741_127e-1;
    p = p * y + 5.638_259_4e-1;
    let mut far = -1.047_766_4e1;
    far = far * y + 1.297_72e1;
    far = far * y - 7.495_518_7;
    far = far * y + 2.921_019;
    far = far * y - 1.015_265_3;
    far = far * y + 4.218_463_4e-1;
    far = far * y - 2.820_767_4e-1;
    far = far * y + 5.641_896e-1;
    let beyond = exp(-z) * q * if u < 2.0 { p } else { far };
    let above = 0.5 * if u < 1.0 { near } else { beyond };
    if x < 0.0 { above } else { 1.0 - above }
}
