//! Seeded random numbers, the same on every platform: ChaCha8 for the bits, and for normals functions of our own
//! (`cpu/box_muller.rs`).
//!
//! ChaCha computes each block of bits from its number. The parts of a tensor are therefore drawn in parallel, each from its place in
//! the stream.
//!
//! A generator has a seed and a *stream*. The streams of a seed are independent of each other. Noise that must not depend on the
//! order of drawing, such as that of image 17 or of step 3, uses the number as its stream.

use chacha20::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::cpu::box_muller::Normals;
use crate::cpu::parallel;
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::shape::Shape;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::RANDOM];
pub(crate) static DROPOUT_MASK: Kernel = Kernel::checked(&WGSL, "dropout_mask");

/// A stream of random numbers: ChaCha8 of a seed, the same on every platform. All tensors are drawn on the CPU, except those of
/// [`mask`](Generator::mask).
#[derive(Debug)]
pub struct Generator {
    bits: ChaCha8Rng,
}

impl Generator {
    /// Stream 0 of a seed.
    pub fn new(seed: u64) -> Generator {
        Generator::stream(seed, 0)
    }

    /// One of the 2⁶⁴ independent streams of a seed.
    pub fn stream(seed: u64, stream: u64) -> Generator {
        let mut bits = ChaCha8Rng::seed_from_u64(seed);
        bits.set_stream(stream);
        Generator { bits }
    }

    /// A whole number in `0..bound`, all equally likely.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "Generator::below: nothing is below 0");
        // Lemire's method: the high half of a product. The few values that would favour small results are rejected.
        let bound = bound as u64;
        loop {
            let product = u128::from(self.bits.next_u64()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number in `[0, 1)`, one of 2²⁴ equally spaced values.
    pub fn uniform(&mut self) -> f32 {
        fraction(self.bits.next_u32())
    }

    /// The numbers `0..count` in random order (Fisher and Yates).
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// A tensor of numbers uniform in `[low, high)`.
    pub fn uniform_tensor(&mut self, shape: impl Into<Shape>, low: f32, high: f32) -> Tensor {
        self.uniform_numbers(shape.into(), low, high)
    }

    // Without a type parameter, so that it is compiled here and not in each crate that calls it. The same holds below.
    fn uniform_numbers(&mut self, shape: Shape, low: f32, high: f32) -> Tensor {
        let span = high - low;
        Tensor::build("uniform_tensor", &[], shape, |out| self.fill_fractions(out, |x| low + span * x))
    }

    /// A dropout mask on a device: each element is 0 with this probability, which is in [0, 1), and 1/(1 − probability) otherwise. The
    /// bits are the same on every device.
    pub fn mask(&mut self, shape: impl Into<Shape>, probability: f32, device: &Device) -> Tensor {
        self.mask_of(shape.into(), probability, device)
    }

    fn mask_of(&mut self, shape: Shape, probability: f32, device: &Device) -> Tensor {
        let keep = 1.0 / (1.0 - probability);
        let Device::Gpu(machine) = device else {
            let of = |x| if x < probability { 0.0 } else { keep };
            return Tensor::build("mask", &[], shape, |out| self.fill_fractions(out, of));
        };
        let word = self.bits.get_word_pos();
        let key = self.bits.get_seed();
        let key = key.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")) as usize);
        let halves = |x: u64| [(x & 0xffff_ffff) as usize, (x >> 32) as usize];
        let skipped = (word % 16) as usize;
        let run = DROPOUT_MASK.over((skipped + shape.count()).div_ceil(16)).params(key);
        let run = run.params(halves((word / 16) as u64)).params(halves(self.bits.get_stream()));
        let run = run.params([skipped, shape.count()]).floats([probability, keep]).named("mask");
        self.bits.set_word_pos(word + shape.count() as u128);
        run.write_on(machine, shape)
    }

    /// A tensor of draws from N(0, 1), by Box and Muller.
    pub fn normal_tensor(&mut self, shape: impl Into<Shape>) -> Tensor {
        self.normal_numbers(shape.into())
    }

    fn normal_numbers(&mut self, shape: Shape) -> Tensor {
        let isa = Isa::current();
        Tensor::build("normal_tensor", &[], shape, |out| {
            self.fill(out, 2, &|bytes, out| isa.dispatch(Normals { bytes, out }));
        })
    }

    /// Fills `out` with `f` of numbers in `[0, 1)`.
    fn fill_fractions(&mut self, out: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
        let isa = Isa::current();
        self.fill(out, 1, &|bytes, out| {
            isa.run(|| out.iter_mut().zip(words(bytes)).for_each(|(out, word)| *out = f(fraction(word))));
        });
    }

    /// Fills `out` from the next random words, one for each element, rounded up to a multiple of `together`. The function gets the
    /// bytes of the words of a part, and the part.
    fn fill(&mut self, out: &mut [f32], together: usize, convert: &(dyn Fn(&[u8], &mut [f32]) + Sync)) {
        let (seed, stream, start) = (self.bits.get_seed(), self.bits.get_stream(), self.bits.get_word_pos());
        let words = out.len().next_multiple_of(together);
        parallel::dispatch_chunks(out, &|first, part| {
            let mut bits = ChaCha8Rng::from_seed(seed);
            bits.set_stream(stream);
            bits.set_word_pos(start + first as u128);
            let mut bytes = [0; 4 * AT_ONCE];
            for part in part.chunks_mut(AT_ONCE) {
                let bytes = &mut bytes[..4 * part.len().next_multiple_of(together)];
                bits.fill_bytes(bytes);
                convert(bytes, part);
            }
        });
        self.bits.set_word_pos(start + words as u128);
    }
}

/// Elements that are drawn at once, so that their bits stay in the cache.
const AT_ONCE: usize = 1024;

/// A number in `[0, 1)` from the upper 24 bits.
#[inline(always)]
fn fraction(word: u32) -> f32 {
    (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0)
}

/// The words in these bytes.
#[inline(always)]
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_never_change() {
        // Runs are reproducible only as long as these numbers stay the same.
        let mut g = Generator::new(1);
        let drawn: Vec<u32> = (0..3).map(|_| g.uniform().to_bits()).collect();
        let normal = Generator::stream(1, 7).normal_tensor([2]);
        let bits: Vec<u32> = normal.data().iter().map(|x| x.to_bits()).collect();
        assert_eq!(drawn, [1_057_793_037, 1_053_692_568, 1_065_094_798]);
        assert_eq!(bits, [3_219_150_326, 1_053_331_041]);
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let x = Generator::new(3).normal_tensor([200_001]);
        let n = x.count() as f64;
        let mean = x.data().iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let fourth = x.data().iter().map(|&v| f64::from(v).powi(4)).sum::<f64>() / n;
        let variance = x.data().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.015 && (fourth - 3.0).abs() < 0.15);
    }

    #[test]
    fn below_is_even_and_bounded() {
        let mut g = Generator::new(5);
        let mut seen = [0; 7];
        (0..70_000).for_each(|_| seen[g.below(7)] += 1);
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
    }

    #[test]
    fn a_permutation_holds_each_number_once_and_streams_differ() {
        let order = Generator::stream(9, 1).permutation(100);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(order, Generator::stream(9, 2).permutation(100));
    }
}
