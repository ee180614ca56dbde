//! Normal numbers from random bits, by Box and Muller:  √(−2 ln u)·(cos 2πv, sin 2πv).
//!
//! Recorded runs depend on these numbers, so they must be the same on every platform and in every version. The logarithm, the cosine
//! and the sine are those of FreeBSD's msun (e_log.c, k_cos.c, k_sin.c, e_rem_pio2.c), which is what the `libm` crate computes. Only
//! the arguments that occur here are handled, without branches, so that the compiler computes several at once. The bits are those of
//! `libm`: this was compared for an eighth of the 2³² values that u and v can have and for all near quarter turns, and a test compares
//! some of them.
//!
//! Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun Microsystems, Inc. business. Permission to
//! use, copy, modify, and distribute this software is freely granted, provided that this notice is preserved.

use super::simd::{SimdKernel, Vector};

/// Pairs that are computed together.
const PAIRS: usize = 64;

/// Bytes of random bits for each number.
const WORD: usize = 4;

/// Normals from random bits: each pair of numbers needs two words, also where only its first is wanted.
pub(crate) struct Normals<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) out: &'a mut [f32],
}

impl SimdKernel for Normals<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (mut radius, mut angle) = ([0.0; PAIRS], [0.0; PAIRS]);
        let mut normals = [0.0f32; 2 * PAIRS];
        for (out, bytes) in self.out.chunks_mut(2 * PAIRS).zip(self.bytes.chunks(2 * PAIRS * WORD)) {
            for (i, word) in bytes.chunks_exact(2 * WORD).enumerate() {
                radius[i] = fraction([word[0], word[1], word[2], word[3]]);
                angle[i] = fraction([word[4], word[5], word[6], word[7]]);
            }
            radius.iter_mut().for_each(|r| *r = (-2.0 * ln(*r)).sqrt());
            for i in 0..PAIRS {
                let [cos, sin] = cos_sin(std::f64::consts::TAU * angle[i]);
                normals[2 * i] = (radius[i] * cos) as f32;
                normals[2 * i + 1] = (radius[i] * sin) as f32;
            }
            out.copy_from_slice(&normals[..out.len()]);
        }
    }
}

/// (bits + ½)·2⁻³², in (0, 1), so that the logarithm is finite.
#[inline(always)]
fn fraction(bytes: [u8; WORD]) -> f64 {
    (small(u64::from(u32::from_le_bytes(bytes))) + 0.5) * (1.0 / 4_294_967_296.0)
}

/// A whole number below 2⁵². Not every instruction set converts whole numbers of 64 bits.
#[inline(always)]
fn small(x: u64) -> f64 {
    const SHIFT: f64 = 4_503_599_627_370_496.0; // 2⁵², whose lowest bit is 1
    f64::from_bits(SHIFT.to_bits() | x) - SHIFT
}

/// ln x for normal x other than 1.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const ROOT: u64 = 0x3fe6_a09e_0000_0000; // about √½
    const LN2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    const L: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    let bits = x.to_bits().wrapping_add(ONE - ROOT);
    let k = small(bits >> 52) - 1023.0;
    let f = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + ROOT) - 1.0;
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let odd = w * (L[1] + w * (L[3] + w * L[5]));
    let even = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    s * (half_square + (even + odd)) + k * LN2[1] - half_square + f + k * LN2[0]
}

/// cos x and sin x for x from 0 to 2π.
#[inline(always)]
fn cos_sin(x: f64) -> [f64; 2] {
    /// The high words from which on x is nearest to ½π, π, 1½π and 2π.
    const FROM: [u64; 4] = [0x3fe9_21fc, 0x4002_d97d, 0x400f_6a7b, 0x4015_fdbd];
    const HALF_PI: [f64; 2] = [1.570_796_326_734_125_6, 6.077_100_506_506_192e-11]; // in two parts
    const MIDDLE: [f64; 2] = [6.077_100_506_303_966e-11, 2.022_266_248_795_950_6e-21]; // the second of these, in two parts
    /// The high words of ½π, π, 1½π and 2π.
    const QUARTERS: [u64; 4] = [0x3ff9_21fb, 0x4009_21fb, 0x4012_d97c, 0x4019_21fb];
    let quarters = FROM.map(|from| if x >= f64::from_bits(from << 32) { 1.0 } else { 0.0 });
    let n: f64 = quarters[0] + quarters[1] + quarters[2] + quarters[3];
    let mut above = x - n * HALF_PI[0];
    let mut low = n * HALF_PI[1];
    // So near to a quarter turn, the first digits cancel, and ½π is needed in three parts.
    let word = x.to_bits() >> 32;
    let cancels = (word == QUARTERS[0]) | (word == QUARTERS[1]) | (word == QUARTERS[2]) | (word == QUARTERS[3]);
    let closer = above - n * MIDDLE[0];
    let lower = n * MIDDLE[1] - ((above - closer) - n * MIDDLE[0]);
    above = if cancels { closer } else { above };
    low = if cancels { lower } else { low };
    let y = above - low;
    let rest = (above - y) - low;
    let [cos, sin] = [cos_near_zero(y, rest), sin_near_zero(y, rest, n == 0.0)];
    let swapped = n == 1.0 || n == 3.0;
    let [a, b] = if swapped { [sin, cos] } else { [cos, sin] };
    [if n == 1.0 || n == 2.0 { -a } else { a }, if n == 2.0 || n == 3.0 { -b } else { b }]
}

/// sin(x + rest) for |x| ≤ ¼π. If `exact`, rest is 0.
#[inline(always)]
fn sin_near_zero(x: f64, rest: f64, exact: bool) -> f64 {
    const S: [f64; 6] = [
        -1.666_666_666_666_663_2e-1,
        8.333_333_333_322_49e-3,
        -1.984_126_982_985_795e-4,
        2.755_731_370_707_006_8e-6,
        -2.505_076_025_340_686_3e-8,
        1.589_690_995_211_55e-10,
    ];
    let z = x * x;
    let w = z * z;
    let r = S[1] + z * (S[2] + z * S[3]) + z * w * (S[4] + z * S[5]);
    let v = z * x;
    if exact { x + v * (S[0] + z * r) } else { x - ((z * (0.5 * rest - v * r) - rest) - v * S[0]) }
}

/// cos(x + rest) for |x| ≤ ¼π.
#[inline(always)]
fn cos_near_zero(x: f64, rest: f64) -> f64 {
    const C: [f64; 6] = [
        4.166_666_666_666_66e-2,
        -1.388_888_888_887_411e-3,
        2.480_158_728_947_673e-5,
        -2.755_731_435_139_066_3e-7,
        2.087_572_321_298_175e-9,
        -1.135_964_755_778_819_5e-11,
    ];
    let z = x * x;
    let w = z * z;
    let r = z * (C[0] + z * (C[1] + z * C[2])) + w * w * (C[3] + z * (C[4] + z * C[5]));
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * r - x * rest))
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::*;

    /// The numbers of these random words.
    fn normals(isa: Isa, words: &[u32], count: usize) -> Vec<u32> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut out = vec![0.0; count];
        isa.dispatch(Normals { bytes: &bytes, out: &mut out });
        out.into_iter().map(f32::to_bits).collect()
    }

    /// The formula, with the functions of `libm`.
    fn expected(u: u32, v: u32) -> [u32; 2] {
        let open = |bits: u32| (f64::from(bits) + 0.5) / 4_294_967_296.0;
        let (radius, angle) = (libm::sqrt(-2.0 * libm::log(open(u))), std::f64::consts::TAU * open(v));
        [((radius * libm::cos(angle)) as f32).to_bits(), ((radius * libm::sin(angle)) as f32).to_bits()]
    }

    #[test]
    fn the_bits_are_those_of_libm_also_around_every_quarter_turn() {
        let spread = (0..200_000u32).map(|i| i.wrapping_mul(2_654_435_761));
        let corners = (0..=8).flat_map(|eighth| (0..500).map(move |i| (eighth * 0x2000_0000u64 + i) as u32));
        let corners = corners.flat_map(|i| [i, i.wrapping_sub(500)]);
        let words: Vec<u32> = spread.chain(corners).flat_map(|i| [i, i ^ 0x5a5a_5a5a, !i, i]).collect();
        let all: Vec<u32> = words.chunks_exact(2).flat_map(|pair| expected(pair[0], pair[1])).collect();
        for isa in Isa::available() {
            assert!(normals(isa, &words, words.len()) == all, "{isa:?}");
        }
    }

    /// The functions themselves, before products and the rounding to f32 hide a difference.
    #[test]
    fn logarithm_cosine_and_sine_have_the_bits_of_libm() {
        let spread = (0..300_000u32).map(|i| i.wrapping_mul(2_654_435_761));
        let corners = (0..=4u64)
            .flat_map(|quarter| (0..40_000).map(move |i| (quarter << 30).wrapping_add(i).wrapping_sub(20_000) as u32));
        for bits in spread.chain(corners) {
            let x = fraction(bits.to_le_bytes());
            let angle = std::f64::consts::TAU * x;
            let [cos, sin] = cos_sin(angle);
            assert_eq!(ln(x).to_bits(), libm::log(x).to_bits(), "ln {x}");
            assert_eq!([cos, sin].map(f64::to_bits), [libm::cos(angle), libm::sin(angle)].map(f64::to_bits), "{angle}");
        }
    }

    #[test]
    fn any_count_begins_with_the_same_numbers() {
        let words: Vec<u32> = (0..400u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        for isa in Isa::available() {
            let all = normals(isa, &words, 400);
            for count in [1, 2, 3, 127, 128, 129, 255, 399] {
                assert_eq!(normals(isa, &words[..usize::next_multiple_of(count, 2)], count), all[..count], "{count}");
            }
        }
    }
}
