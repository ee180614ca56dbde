//! Exponential, logarithm and what is built on them, without branches and without calls, so that the compiler computes as many at
//! once as a register holds. The standard library's functions are calls of the system's libm, one number at a time.
//!
//!   eˣ = 2ⁿ·eʳ,   n = round(x/ln 2),   r = x − n·ln 2,   |r| ≤ ½ ln 2
//!   ln x = n·ln 2 + ln m,   x = m·2ⁿ,   √½ ≤ m < √2
//!   tanh x = x + x³·P(x²) for |x| < 0.625,   ± (1 − 2/(e^(2|x|) + 1)) beyond
//!
//! ln 2 is subtracted in two parts, of which the first has so few bits that its product with n is exact (Cody and Waite 1980). The
//! polynomials are those of S. Moshier's Cephes library (expf.c, logf.c, tanhf.c), as in `shaders/lib/math.wgsl`.
//!
//! Every function is within 2 units in the last place of the exact result: `exp` and `ln` within 0.9 for all 2³² arguments, `tanh`
//! within 1.3, `softplus` within 1.7 and `logistic` within 1.9 for one argument in 61. Products and sums are rounded separately, and
//! never fused. All instruction sets and all platforms therefore give the same bits, in a vector and in what remains after the last
//! vector. Infinities and NaN give what the standard library's functions give.

/// ln 2 in two parts: the first has nine bits.
const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];

/// Adding 1.5·2²³ rounds a small number to a whole one, which the lowest bits of the sum then hold.
const ROUND: f32 = 12_582_912.0;

/// eˣ: 0 or infinity where the result is out of range.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinity. A NaN passes both comparisons. The 0 is not computed: a product that underflows
    // takes a hundred cycles on some processors, and half of the numbers of a masked softmax would.
    let zero = x < -104.0;
    let x = if zero { 0.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let (high, low) = (x - n * LN2[0], n * LN2[1]);
    let r = high - low;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let e = ((p * (r * r) - low) + high) + 1.0; // r would already be rounded
    // 2ⁿ in two factors, since n may be −150, below the smallest exponent, or 128, above the largest.
    let whole = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = whole >> 1;
    let y = e * power_of_two(half) * power_of_two(whole.wrapping_sub(half));
    if zero { 0.0 } else { y }
}

/// 2ⁿ for n from −126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// ln x: −∞ at ±0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = (if subnormal { x * 8_388_608.0 } else { x }).to_bits(); // 2²³
    // Bits of a number grow with it, so one subtraction finds the power of two above √½.
    let above = bits.wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let m = f32::from_bits((above & 0x007f_ffff).wrapping_add(std::f32::consts::FRAC_1_SQRT_2.to_bits()));
    let n = (above as i32 >> 23) as f32 - if subnormal { 23.0 } else { 0.0 };
    let y = ln_near_one(m - 1.0, n);
    let y = if x < f32::INFINITY { y } else { x }; // infinity and NaN
    let y = if x < 0.0 { f32::NAN } else { y };
    if x == 0.0 { f32::NEG_INFINITY } else { y }
}

/// ln((1 + x)·2ⁿ) for x from √½ − 1 to √2 − 1.
#[inline(always)]
fn ln_near_one(x: f32, n: f32) -> f32 {
    let z = x * x;
    let mut p = 7.037_683_6e-2;
    p = p * x - 1.151_461e-1;
    p = p * x + 1.167_699_9e-1;
    p = p * x - 1.242_014_1e-1;
    p = p * x + 1.424_932_3e-1;
    p = p * x - 1.666_805_8e-1;
    p = p * x + 2.000_071_5e-1;
    p = p * x - 2.499_999_4e-1;
    p = p * x + 3.333_333e-1;
    let y = x * z * p + n * LN2[1] - 0.5 * z;
    (x + y) + n * LN2[0]
}

/// ln(1 + x) for x from 0 to 1.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    // By arithmetic: after a condition, the compiler would compute the polynomial for both cases.
    let n = f32::from(u8::from(x > std::f32::consts::SQRT_2 - 1.0));
    let half = 0.5 * n;
    ln_near_one(x * (1.0 - half) - half, n)
}

/// tanh x, with the sign of x also at −0.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let mut p = -5.704_988_7e-3;
    p = p * z + 2.063_908_8e-2;
    p = p * z - 5.373_971_6e-2;
    p = p * z + 1.333_144_2e-1;
    p = p * z - 3.333_328e-1;
    let near = p * z * a + a;
    let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    (if a < 0.625 { near } else { far }).copysign(x)
}

/// 1 / (1 + e⁻ˣ), computed so that the exponential never overflows.
#[inline(always)]
pub(crate) fn logistic(x: f32) -> f32 {
    let e = exp(-x.abs());
    let sum = 1.0 + e;
    let lost = (1.0 - sum) + e; // in the rounding of the sum
    let y = (if x < 0.0 { e } else { 1.0 }) / sum;
    y - y * lost * (1.5 - 0.5 * sum) // 1/sum within an eighth
}

/// s = 1 / (1 + e⁻ˣ) and its derivative s·(1 − s), from one exponential.
#[inline(always)]
pub(crate) fn logistic_and_derivative(x: f32) -> (f32, f32) {
    let e = exp(-x.abs());
    let sum = 1.0 + e;
    let lost = (1.0 - sum) + e; // in the rounding of the sum
    let rounded = 1.0 / sum;
    let r = rounded - rounded * (lost * (1.5 - 0.5 * sum));
    (if x < 0.0 { e * r } else { r }, e * r * r)
}

/// ln(1 + eˣ), finite for every finite x.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    (if x > 0.0 { x } else { 0.0 }) + ln_1p(exp(-x.abs()))
}
