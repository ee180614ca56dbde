//! The seeded generator: the same numbers on every machine, independent streams, and the documented distributions.

use approx::assert_abs_diff_eq;
use reference::compare::assert_same_bits;
use reference::law::{between, draws};
use reference::place::everywhere;
use tensor::{Device, Generator, Isa};

#[test]
fn numbers_depend_only_on_seed_and_stream() {
    let draw = |seed, stream| Generator::stream(seed, stream).normal_tensor([9]).data().to_vec();
    assert_eq!(draw(3, 5), draw(3, 5));
    assert_ne!(draw(3, 5), draw(3, 6));
    assert_ne!(draw(3, 5), draw(4, 5));
    assert_eq!(Generator::new(3).uniform().to_bits(), Generator::stream(3, 0).uniform().to_bits());
}

/// An odd number of normals leaves half a pair unused. Only the number of elements matters, not the shape.
#[test]
fn a_tensor_of_normals_is_its_elements_drawn_in_order() {
    let long = Generator::new(1).normal_tensor([10]);
    let short = Generator::new(1).normal_tensor([3, 3]);
    assert_eq!(short.data()[..], long.data()[..9]);
}

/// Masks have the same bits on every device and use as many random words: also from the middle of the generator's block of
/// sixteen, and for streams and seeds that use all their bits.
#[test]
fn masks_are_the_same_on_every_device() {
    for mut rng in draws(20) {
        let (seed, stream) = (between(&mut rng, 0, usize::MAX - 1) as u64, between(&mut rng, 0, usize::MAX - 1) as u64);
        let (before, probability) = (rng.below(40), rng.uniform());
        let counts = [between(&mut rng, 1, 50), between(&mut rng, 1, 5000), 16];
        let masks = |device: &Device| {
            let mut drawing = Generator::stream(seed, stream);
            for _ in 0..before {
                drawing.uniform();
            }
            let masks = counts.map(|count| drawing.mask([count], probability, device));
            (masks, drawing.uniform().to_bits())
        };
        let (expected, next) = masks(&Device::Cpu);
        everywhere(|device| {
            let (got, then) = masks(device);
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got.device(), *device);
                assert_same_bits(&format!("a mask of {probability} after {before}"), got, expected);
            }
            assert_eq!(then, next, "what is drawn after it");
        });
    }
}

/// Tensors are drawn in parts. Each element is still the next draw, on every instruction set, also if the first is in the middle of a
/// block of sixteen, and so is the number after the tensor.
#[test]
fn a_tensor_is_one_draw_per_element() {
    for isa in Isa::available() {
        for (before, count) in [(0, 1000), (3, 1025), (5, 16), (0, 0), (7, 40_003), (16, 70_000)] {
            let (mut one, mut two) = (Generator::stream(6, 2), Generator::stream(6, 2));
            (0..before).for_each(|_| assert_eq!(one.uniform(), two.uniform()));
            let (mask, uniform) =
                isa.force(|| (one.mask([count], 0.2, &Device::Cpu), one.uniform_tensor([count], -1.0, 3.0)));
            for (i, &kept) in mask.data().iter().enumerate() {
                assert_eq!(
                    kept,
                    if two.uniform() < 0.2 { 0.0 } else { 1.25 },
                    "mask, number {i} of {count} on {isa:?}"
                );
            }
            for (i, &x) in uniform.data().iter().enumerate() {
                assert_eq!(x, -1.0 + 4.0 * two.uniform(), "uniform, number {i} of {count} on {isa:?}");
            }
            assert_eq!(one.uniform(), two.uniform(), "what is drawn after {count} on {isa:?}");
        }
    }
}

/// Recorded runs depend on these bits. They have been the same since normals were computed one by one with the `libm` crate.
#[test]
fn normals_keep_their_bits() {
    for isa in Isa::available() {
        let x = isa.force(|| Generator::stream(11, 5).normal_tensor([200_001]));
        let sum = x.data().iter().fold(0u64, |sum, x| sum.wrapping_mul(31).wrapping_add(u64::from(x.to_bits())));
        assert_eq!(sum, 17_070_701_554_169_827_553, "{isa:?}");
    }
}

/// Normals are drawn in pairs, of which an odd count leaves a half.
#[test]
fn a_long_tensor_of_normals_is_many_short_ones() {
    for isa in Isa::available() {
        isa.force(|| {
            let (mut one, mut two) = (Generator::new(8), Generator::new(8));
            let long = one.normal_tensor([50_001]);
            let short: Vec<f32> = (0..25_001).flat_map(|_| two.normal_tensor([2]).data().to_vec()).collect();
            assert_eq!(long.data()[..], short[..50_001], "{isa:?}");
            assert_eq!(one.uniform(), two.uniform(), "what is drawn after it, on {isa:?}");
        });
    }
}

#[test]
fn uniforms_fill_their_interval_evenly() {
    let x = Generator::new(2).uniform_tensor([100_000], -2.0, 6.0);
    assert!(x.data().iter().all(|x| (-2.0..6.0).contains(x)));
    let mut bins = [0u32; 16];
    x.data().iter().for_each(|x| bins[((x + 2.0) * 2.0) as usize] += 1);
    assert!(bins.iter().all(|n| (5_850..6_650).contains(n)), "{bins:?}"); // 6,250 ± 5 standard deviations
}

#[test]
fn normals_have_the_moments_of_a_normal_and_are_independent() {
    let x = Generator::new(3).normal_tensor([200_000]);
    let moment = |f: &dyn Fn(f64) -> f64| x.data().iter().map(|&x| f(f64::from(x))).sum::<f64>() / 200_000.0;
    assert_abs_diff_eq!(moment(&|x| x), 0.0, epsilon = 0.012);
    assert_abs_diff_eq!(moment(&|x| x * x), 1.0, epsilon = 0.017);
    assert_abs_diff_eq!(moment(&|x| x.powi(3)), 0.0, epsilon = 0.045);
    assert_abs_diff_eq!(moment(&|x| x.powi(4)), 3.0, epsilon = 0.12);
    let neighbours = x.data().windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum::<f64>() / 200_000.0;
    assert_abs_diff_eq!(neighbours, 0.0, epsilon = 0.012);
}

#[test]
fn permutations_contain_all_elements_with_equal_probability() {
    let mut rng = Generator::new(4);
    let mut counts = [[0u32; 5]; 5];
    for _ in 0..20_000 {
        let order = rng.permutation(5);
        order.iter().enumerate().for_each(|(place, &i)| counts[i][place] += 1);
    }
    assert!(counts.iter().flatten().all(|n| (3_700..4_300).contains(n)), "{counts:?}");
}

#[test]
fn below_is_uniform() {
    let mut rng = Generator::new(5);
    let mut counts = [0u32; 7];
    (0..70_000).for_each(|_| counts[rng.below(7)] += 1);
    assert!(counts.iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
}
