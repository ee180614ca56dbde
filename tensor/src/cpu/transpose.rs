//! Transposes a block of a matrix while it is packed: `to[i·width + r] = from[r·stride + i]`.
//!
//! Element by element this would cost as much as the arithmetic that follows. AVX-512 transposes 16 × 16 numbers in registers.
//! Neighbouring rows are interleaved in units of one number, then of two. The resulting 4 × 4 blocks are then moved to the right
//! quarters of their registers in two rounds. That takes 64 instructions for 256 numbers.

use super::simd::Isa;

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
            for r in (0..rows).step_by(16) {
                for i in (0..len).step_by(16) {
                    let block = [(rows - r).min(16), (len - i).min(16)];
                    let (from, to) = (&from[r * stride + i..], &mut to[i * width + r..]);
                    // SAFETY: Avx512 was detected, and the block is within the slices, as checked above.
                    unsafe { x86::turn(from.as_ptr(), stride, block, to.as_mut_ptr(), width) }
                }
            }
        }
        _ => {
            for r in 0..rows {
                let from = &from[r * stride..][..len];
                from.iter().zip(to[r..].iter_mut().step_by(width)).for_each(|(x, out)| *out = *x);
            }
        }
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
    pub(super) unsafe fn turn(from: *const f32, stride: usize, [rows, len]: [usize; 2], to: *mut f32, width: usize) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lands_and_none_else_changes() {
        for isa in Isa::available() {
            for (rows, len, stride, width) in
                [(1, 1, 1, 1), (16, 16, 16, 16), (8, 64, 70, 8), (48, 33, 40, 50), (5, 17, 17, 8)]
            {
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
