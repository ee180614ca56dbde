//! Transposes a block of a matrix while it is packed: `to[i·width + r] = from[r·stride + i]`.
//!
//! Element by element this would cost as much as the arithmetic that follows. AVX-512 transposes 16 × 16 numbers in registers.
//! Neighbouring rows are interleaved in units of one number, then of two. The resulting 4 × 4 blocks are then moved to the right
//! quarters of their registers in two rounds. That takes 64 instructions for 256 numbers. AVX2 does the same with 8 × 8 numbers and
//! halves of registers, and the others with 4 × 4.

use super::simd::{Isa, SimdKernel, Vector};

/// `to[i·width + r] = from[r·stride + i]` for `r < rows`, `i < len`. The rest of `to` is unchanged.
///
/// # Panics
/// If a slice is too short.
pub(crate) fn transpose(isa: Isa, from: &[f32], stride: usize, rows: usize, len: usize, to: &mut [f32], width: usize) {
    if rows == 0 || len == 0 {
        return;
    }
    assert!(rows <= width && from.len() >= (rows - 1) * stride + len && to.len() >= (len - 1) * width + rows);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            // SAFETY: Avx512 was detected, and the blocks are within the slices, as checked above.
            each_block::<16>(rows, len, |r, i, block| unsafe {
                x86::turn16(from[r * stride + i..].as_ptr(), stride, block, to[i * width + r..].as_mut_ptr(), width);
            });
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            // SAFETY: as above.
            each_block::<8>(rows, len, |r, i, block| unsafe {
                x86::turn8(from[r * stride + i..].as_ptr(), stride, block, to[i * width + r..].as_mut_ptr(), width);
            });
        }
        _ => isa.dispatch(Turn4 { from, stride, rows, len, to, width }),
    }
}

/// Calls `turn(row, column, [rows, columns])` for every block of at most N × N numbers.
fn each_block<const N: usize>(rows: usize, len: usize, mut turn: impl FnMut(usize, usize, [usize; 2])) {
    for r in (0..rows).step_by(N) {
        for i in (0..len).step_by(N) {
            turn(r, i, [(rows - r).min(N), (len - i).min(N)]);
        }
    }
}

/// Transposes blocks of 4 × 4 in registers of four numbers, and the edges number by number.
struct Turn4<'a> {
    from: &'a [f32],
    stride: usize,
    rows: usize,
    len: usize,
    to: &'a mut [f32],
    width: usize,
}

impl SimdKernel for Turn4<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Turn4 { from, stride, rows, len, to, width } = self;
        each_block::<4>(rows, len, |r, i, [rows, len]| {
            if V::LANES == 4 && [rows, len] == [4, 4] {
                let mut block = [V::splat(0.0); 4];
                for k in 0..4 {
                    block[k] = V::read(&from[(r + k) * stride + i..]);
                }
                let [a, b, c, d] = block;
                // Two perfect shuffles of four rows exchange rows and columns.
                let ([a, b], [c, d]) = (a.interleave(c), b.interleave(d));
                let ([a, b], [c, d]) = (a.interleave(c), b.interleave(d));
                let block = [a, b, c, d];
                for k in 0..4 {
                    block[k].write(&mut to[(i + k) * width + r..]);
                }
                return;
            }
            for k in 0..rows {
                for j in 0..len {
                    to[(i + j) * width + r + k] = from[(r + k) * stride + i + j];
                }
            }
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// How far ahead of a block its rows are prefetched. They are short and far apart, so the processor's own prefetching is too late.
    const AHEAD: usize = 48;

    /// Transposes one block of at most 16 × 16 numbers.
    ///
    /// # Safety
    /// The processor has AVX-512. `from` is valid for reading `rows` rows of `len` numbers, `stride` apart, and `to` for writing `len`
    /// rows of `rows` numbers, `width` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn turn16(from: *const f32, stride: usize, [rows, len]: [usize; 2], to: *mut f32, width: usize) {
        let first = |n: usize| ((1u32 << n) - 1) as __mmask16;
        let mut r = [_mm512_setzero_ps(); 16];
        for (i, r) in r.iter_mut().enumerate().take(rows) {
            // SAFETY: i is below `rows`, and the mask stops at `len`. A prefetch may point anywhere.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(i * stride + AHEAD).cast());
                *r = _mm512_maskz_loadu_ps(first(len), from.add(i * stride));
            }
        }
        let mut pairs = [_mm512_setzero_ps(); 16]; // interleaved in units of one
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        let twos = |a, b, high| {
            let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
            _mm512_castpd_ps(if high { _mm512_unpackhi_pd(a, b) } else { _mm512_unpacklo_pd(a, b) })
        };
        let mut fours = [_mm512_setzero_ps(); 16]; // quarter q of fours[4g + j]: column 4q + j of rows 4g … 4g + 3
        for g in 0..4 {
            let [a, b, c, d] = [pairs[4 * g], pairs[4 * g + 1], pairs[4 * g + 2], pairs[4 * g + 3]];
            fours[4 * g] = twos(a, c, false);
            fours[4 * g + 1] = twos(a, c, true);
            fours[4 * g + 2] = twos(b, d, false);
            fours[4 * g + 3] = twos(b, d, true);
        }
        let mut turned = [_mm512_setzero_ps(); 16];
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            turned[j] = _mm512_shuffle_f32x4::<0x88>(even, even2);
            turned[4 + j] = _mm512_shuffle_f32x4::<0x88>(odd, odd2);
            turned[8 + j] = _mm512_shuffle_f32x4::<0xdd>(even, even2);
            turned[12 + j] = _mm512_shuffle_f32x4::<0xdd>(odd, odd2);
        }
        // A masked store costs as much as several full ones. Where rows of the result are adjacent, the numbers that a full store
        // writes past its row are overwritten by the next store.
        let end = (len - 1) * width + rows;
        for (i, turned) in turned.iter().enumerate().take(len) {
            let whole = rows == 16 || rows == width && i * width + 16 <= end;
            // SAFETY: i is below `len`. The mask stops at `rows`; a full store ends within the result.
            unsafe {
                if whole {
                    _mm512_storeu_ps(to.add(i * width), *turned);
                } else {
                    _mm512_mask_storeu_ps(to.add(i * width), first(rows), *turned);
                }
            }
        }
    }

    /// Transposes one block of at most 8 × 8 numbers.
    ///
    /// # Safety
    /// As [`turn16`], with AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn turn8(from: *const f32, stride: usize, [rows, len]: [usize; 2], to: *mut f32, width: usize) {
        let first =
            |n: usize| _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        let mut r = [_mm256_setzero_ps(); 8];
        for (i, r) in r.iter_mut().enumerate().take(rows) {
            // SAFETY: i is below `rows`, and the mask stops at `len`. A prefetch may point anywhere.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(i * stride + AHEAD).cast());
                let from = from.add(i * stride);
                *r = if len == 8 { _mm256_loadu_ps(from) } else { _mm256_maskload_ps(from, first(len)) };
            }
        }
        let mut fours = [_mm256_setzero_ps(); 8]; // half h of fours[4g + j]: column 4h + j of rows 4g … 4g + 3
        for g in 0..2 {
            let [a, b, c, d] = [r[4 * g], r[4 * g + 1], r[4 * g + 2], r[4 * g + 3]];
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (low2, high2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            fours[4 * g] = _mm256_shuffle_ps::<0x44>(low, low2);
            fours[4 * g + 1] = _mm256_shuffle_ps::<0xee>(low, low2);
            fours[4 * g + 2] = _mm256_shuffle_ps::<0x44>(high, high2);
            fours[4 * g + 3] = _mm256_shuffle_ps::<0xee>(high, high2);
        }
        let mut turned = [_mm256_setzero_ps(); 8];
        for j in 0..4 {
            turned[j] = _mm256_permute2f128_ps::<0x20>(fours[j], fours[4 + j]);
            turned[4 + j] = _mm256_permute2f128_ps::<0x31>(fours[j], fours[4 + j]);
        }
        let end = (len - 1) * width + rows;
        for (i, &turned) in turned.iter().enumerate().take(len) {
            // SAFETY: i is below `len`. A full store ends within the result, as in `turn16`; the others write `rows` numbers.
            unsafe {
                let mut to = to.add(i * width);
                if rows == 8 || rows == width && i * width + 8 <= end {
                    _mm256_storeu_ps(to, turned);
                    continue;
                }
                let mut rest = _mm256_castps256_ps128(turned);
                if rows & 4 != 0 {
                    _mm_storeu_ps(to, rest);
                    (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(turned));
                }
                if rows & 2 != 0 {
                    _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                    (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
                }
                if rows & 1 != 0 {
                    _mm_store_ss(to, rest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lands_and_none_else_changes() {
        for isa in Isa::available() {
            for (rows, len, stride, width) in [
                (1, 1, 1, 1),
                (16, 16, 16, 16),
                (8, 64, 70, 8),
                (48, 33, 40, 50),
                (5, 17, 17, 8),
                (6, 31, 31, 6),
                (7, 13, 14, 7),
            ] {
                let from: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
                let mut to = vec![-1.0; len * width];
                transpose(isa, &from, stride, rows, len, &mut to, width);
                for (at, &got) in to.iter().enumerate() {
                    let (i, r) = (at / width, at % width);
                    let expected = if r < rows { from[r * stride + i] } else { -1.0 };
                    assert_eq!(got, expected, "{isa:?} {rows}×{len} at {i}, {r}");
                }
            }
        }
    }
}
