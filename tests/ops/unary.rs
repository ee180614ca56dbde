//! Every function of the table: its values, its gradient, and its behaviour for large arguments.

use approx::assert_relative_eq;
use autograd::Var;
use reference::law::{self, Within, draws};
use reference::place::{everywhere, fetch};
use reference::{map, unary};
use tensor::{Device, Isa, Tensor};

struct Function {
    name: &'static str,
    tensor: fn(&Tensor, [f32; 2]) -> Tensor,
    var: fn(&Var, [f32; 2]) -> Var,
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): f = |$x:ident| $f:expr, df = |$k:ident| $df:expr, saved $saved:ident;)*) => {
        const TABLE: &[Function] = &[$(
            Function {
                name: stringify!($name),
                tensor: |x, [$($p,)* ..]| x.$name($($p),*),
                var: |x, [$($p,)* ..]| x.$name($($p),*),
            },
        )*];
    };
}
tensor::unary_table!(functions);

#[test]
fn values_match_the_reference() {
    for function in TABLE {
        let row = unary::row(function.name);
        let parameters = row.parameters.map(f64::from);
        // One element, odd numbers of elements, and more than one core's share.
        for (mut rng, shape) in draws(4).zip([vec![], vec![1, 7], vec![3, 5, 2], vec![3, 23, 501]]) {
            let x = rng.uniform_tensor(&shape[..], row.range[0], row.range[1]);
            law::forward(
                &format!("{} of {shape:?}", function.name),
                &[x],
                |x| (function.tensor)(&x[0], row.parameters),
                |x| map(&x[0], |x| (row.f)(x, parameters)),
                Within::Each(1e-6),
            );
        }
    }
}

#[test]
fn gradients_match_the_reference() {
    for function in TABLE {
        let row = unary::row(function.name);
        let parameters = row.parameters.map(f64::from);
        for mut rng in draws(6) {
            let x = rng.uniform_tensor([3, 41], row.range[0], row.range[1]);
            law::gradient(
                function.name,
                &[x],
                |x| (function.var)(&x[0], row.parameters),
                |x| map(&x[0], |x| (row.f)(x, parameters)),
            );
        }
    }
}

/// The gradients are loops over slices. A tensor longer than one slice must be processed to its end, in order.
#[test]
fn gradients_of_long_tensors_are_taken_element_by_element() {
    let x = Tensor::new(&(0..50_001).map(|i| i as f32 - 25_000.0).collect::<Vec<_>>(), [50_001]);
    everywhere(|device| {
        let leaf = Var::leaf(x.upload(device));
        let gradients = leaf.square().backward_with(Tensor::ones([50_001]).upload(device));
        let dx = fetch(gradients.of(&leaf).expect("a gradient"));
        dx.data().iter().zip(x.data()).for_each(|(dx, x)| assert_eq!(*dx, 2.0 * x));
    });
}

#[test]
fn large_arguments_do_not_overflow() {
    let x = Tensor::new(&[-1e4, -100.0, 100.0, 1e4], [4]);
    everywhere(|device| {
        let leaf = Var::leaf(x.upload(device));
        let (sigmoid, tanh, softplus) = (leaf.sigmoid(), leaf.tanh(), leaf.softplus());
        let logistic = fetch(sigmoid.value());
        assert_eq!((logistic.data()[0], logistic.data()[3]), (0.0, 1.0));
        if *device == Device::Cpu {
            // A denormal number, which a GPU may flush to 0.
            assert_relative_eq!(f64::from(logistic.data()[1]), (-100.0f64).exp(), max_relative = 0.05);
        }
        assert!((0.0..1e-43).contains(&logistic.data()[1]));
        assert_eq!(fetch(tanh.value()).data(), [-1.0, -1.0, 1.0, 1.0]);
        assert_eq!(fetch(softplus.value()).data()[0], 0.0);
        assert_eq!(fetch(softplus.value()).data()[2..], [100.0, 1e4]);
        for y in [sigmoid, tanh, softplus] {
            let gradients = y.backward_with(Tensor::ones([4]).upload(device));
            assert!(fetch(gradients.of(&leaf).expect("a gradient")).data().iter().all(|g| g.is_finite()));
        }
    });
}

/// A GPU must give what the CPU gives, in a vector of infinities and beside other numbers.
#[test]
fn infinities_have_the_values_of_the_cpu() {
    let x = Tensor::new(&[f32::NEG_INFINITY, f32::INFINITY, -1.0, f32::NEG_INFINITY, 2.0], [5]);
    everywhere(|device| {
        for function in TABLE {
            let parameters = unary::row(function.name).parameters;
            let y = fetch(&(function.tensor)(&x.upload(device), parameters));
            let expected = (function.tensor)(&x, parameters);
            for (i, (y, e)) in y.data().iter().zip(expected.data()).enumerate() {
                let same =
                    if e.is_finite() { (y - e).abs() <= 1e-6 * e.abs() } else { y == e || y.is_nan() && e.is_nan() };
                assert!(same, "{} of {} on {device}: {y}, not {e}", function.name, x.data()[i]);
            }
        }
    });
}

/// Zeros, the least and the largest numbers, and what no logarithm has.
#[test]
fn logarithms_are_right_at_the_ends_of_the_line() {
    let x = [
        0.0,
        -0.0,
        1e-45,
        1e-40,
        1.2e-38,
        3.402e38,
        f32::MAX,
        f32::INFINITY,
        -1e-45,
        -2.0,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    everywhere(|device| {
        let y = fetch(&Tensor::new(&x, [12]).upload(device).log());
        for (&x, &y) in x.iter().zip(y.data()) {
            let exact = f64::from(x).ln();
            let near = (f64::from(y) - exact).abs() <= 1e-6 * exact.abs();
            assert!(near || y.is_nan() && exact.is_nan() || f64::from(y) == exact, "log of {x:e} on {device}: {y}");
        }
    });
}

/// Every quadrant, whole and fractional powers on both sides of 0, and numbers between two whole ones.
#[test]
fn sines_powers_and_roundings_are_those_of_every_part_of_the_line() {
    let close = |what: &str, y: &Tensor, exact: &dyn Fn(f64) -> f64, x: &Tensor| {
        for (&y, &x) in fetch(y).data().iter().zip(x.data()) {
            let (y, exact) = (f64::from(y), exact(f64::from(x)));
            let near = (y - exact).abs() <= 1e-6 * exact.abs().max(1.0);
            assert!(near || y.is_nan() && exact.is_nan() || y == exact, "{what} of {x}: {y}, not {exact}");
        }
    };
    let (wide, few) = (Tensor::linspace(-8000.0, 8000.0, 9973), Tensor::linspace(-2.0, 2.0, 41));
    let halves = Tensor::new(&[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 8_388_609.0, 1e9, -3e8, 0.499_999_97], [10]);
    everywhere(|device| {
        close("sin", &wide.upload(device).sin(), &f64::sin, &wide);
        close("cos", &wide.upload(device).cos(), &f64::cos, &wide);
        close("round", &halves.upload(device).round(), &f64::round_ties_even, &halves);
        for e in [0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5] {
            close(&format!("power {e}"), &few.upload(device).pow(e), &|x| x.powf(f64::from(e)), &few);
        }
    });
}

/// The straight-through estimator rounds the value and passes the gradient on.
#[test]
fn a_straight_through_rounding_has_the_gradient_of_its_input() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::new(&[0.4, 1.6], [2]).upload(device));
        let y = x.round_ste();
        assert_eq!(fetch(y.value()).data(), [0.0, 2.0]);
        let gradients = y.backward_with(Tensor::new(&[3.0, -5.0], [2]).upload(device));
        assert_eq!(fetch(gradients.of(&x).expect("a gradient")).data(), [3.0, -5.0]);
    });
}

/// Far below 0 a Gaussian unit is small but not lost in the rounding of 1 + erf.
#[test]
fn gelu_is_accurate_where_it_is_small() {
    // x·Φ(x) for these x, by the continued fraction of Φ with 60 digits.
    let x = [Tensor::new(&[-5.0, -4.0, -3.0], [3])];
    let exact = [-1.433_257_859_5e-6, -1.266_849_673_6e-4, -4.049_694_094_6e-3];
    law::forward("gelu", &x, |x| x[0].gelu(), |_| reference::Array::new([3], exact.to_vec()), Within::Each(3e-6));
}

/// NaN must stay NaN, so that it is noticed. A loss that hides it looks correct.
#[test]
fn nan_stays_nan_through_every_function() {
    everywhere(|device| {
        let x = Tensor::new(&[1.0, f32::NAN, -f32::NAN, 2.0, f32::NAN], [5]).upload(device);
        for function in TABLE {
            let parameters = unary::row(function.name).parameters;
            let y = fetch(&(function.tensor)(&x, parameters));
            let nan: Vec<bool> = y.data().iter().map(|y| y.is_nan()).collect();
            assert_eq!(nan, [false, true, true, false, true], "{} on {device}: {y:?}", function.name);
        }
    });
}

#[test]
fn corners_have_the_derivative_of_their_left_side_or_none() {
    everywhere(|device| {
        let zero = Var::leaf(Tensor::zeros([1]).upload(device));
        let slope = |y: Var| fetch(y.backward().of(&zero).expect("a gradient")).data()[0];
        assert_eq!(slope(zero.relu()), 0.0);
        assert_eq!(slope(zero.pow(0.0)), 0.0); // that of the constant 1
        assert_eq!(slope(zero.abs()), 0.0);
        assert_relative_eq!(slope(zero.leaky_relu(0.2)), 0.2);
    });
}

/// Every 8191st bit pattern of f32, so numbers of all sizes and NaN, and all patterns around the places where something changes: zero,
/// the smallest and largest numbers, 1, the ends of what `exp` can represent, and the ends of the intervals of the polynomials.
fn bit_patterns() -> Vec<f32> {
    let spread = (0..=u32::MAX).step_by(8191);
    let places = [
        0.0,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
        1.0,
        0.5,
        2.0,
        1e-3,
        88.722_84,
        87.336_54,
        103.972_08,
        104.0,
        89.0,
    ];
    let ends = [
        std::f32::consts::SQRT_2,
        std::f32::consts::FRAC_1_SQRT_2,
        0.625,
        9.010_913,
        std::f32::consts::LN_2,
        0.881_373_6,
    ];
    let around = places.into_iter().chain(ends).flat_map(|x: f32| {
        (0..200u32)
            .map(move |i| x.to_bits().wrapping_add(i).wrapping_sub(100))
            .flat_map(|bits| [bits, bits ^ (1 << 31)])
    });
    spread.chain(around).map(f32::from_bits).collect()
}

/// The function in f64, where the standard library's is accurate to a small part of a unit of f32.
fn exact(name: &str) -> fn(f64) -> f64 {
    match name {
        "exp" => f64::exp,
        "log" => f64::ln,
        "tanh" => f64::tanh,
        "sigmoid" => |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) },
        "softplus" => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
        _ => panic!("{name} is not computed by a polynomial"),
    }
}

/// The functions that the CPU computes by polynomials.
fn polynomials() -> impl Iterator<Item = &'static Function> {
    TABLE.iter().filter(|function| ["exp", "log", "tanh", "sigmoid", "softplus"].contains(&function.name))
}

/// The distance of two neighbours of f32 at x, which are denormal below the smallest normal number.
fn unit(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.clamp(-126, 127) - 23)
}

/// At most 2 units in the last place from the exact result, and zeros, infinities and NaN where it has them.
#[test]
fn polynomials_are_accurate_for_every_kind_of_number() {
    let numbers = bit_patterns();
    let x = Tensor::new(&numbers, [numbers.len()]);
    for function in polynomials() {
        let exact = exact(function.name);
        let expected: Vec<f64> = numbers.iter().map(|&x| exact(f64::from(x))).collect();
        for isa in Isa::available() {
            let y = isa.force(|| (function.tensor)(&x, [0.0; 2]));
            for ((&x, &y), &exact) in numbers.iter().zip(y.data()).zip(&expected) {
                let rounded = exact as f32;
                let fine = if !rounded.is_finite() || exact == 0.0 {
                    y == rounded && y.is_sign_negative() == rounded.is_sign_negative() || y.is_nan() && exact.is_nan()
                } else {
                    (f64::from(y) - exact).abs() <= 2.0 * unit(exact)
                };
                assert!(fine, "{} of {x:e} ({:08x}) on {isa:?}: {y:e}, not {exact:e}", function.name, x.to_bits());
            }
        }
    }
}

#[test]
fn polynomials_are_exact_where_the_result_is_a_simple_number() {
    let of = |name: &str, x: f32| {
        let function = polynomials().find(|function| function.name == name).expect("a polynomial");
        (function.tensor)(&Tensor::new(&[x], [1]), [0.0; 2]).data()[0].to_bits()
    };
    for isa in Isa::available() {
        isa.force(|| {
            let cases = [
                ("exp", 0.0, 1.0),
                ("exp", -0.0, 1.0),
                ("exp", f32::NEG_INFINITY, 0.0),
                ("exp", 88.722_84, f32::INFINITY),
                ("exp", -103.98, 0.0),
                ("exp", -103.9, f32::from_bits(1)),
                ("log", 1.0, 0.0),
                ("log", -0.0, f32::NEG_INFINITY),
                ("tanh", 0.0, 0.0),
                ("tanh", -0.0, -0.0),
                ("tanh", 1e-40, 1e-40),
                ("tanh", 20.0, 1.0),
                ("sigmoid", 0.0, 0.5),
                ("softplus", 40.0, 40.0),
                ("softplus", f32::INFINITY, f32::INFINITY),
            ];
            for (name, x, y) in cases {
                assert_eq!(of(name, x), y.to_bits(), "{name} of {x} on {isa:?}");
            }
            for x in bit_patterns().into_iter().step_by(997).filter(|x| !x.is_nan()) {
                assert_eq!(of("tanh", -x), of("tanh", x) ^ (1 << 31), "tanh is odd, at {x} on {isa:?}");
            }
        });
    }
}

/// A number has the same bits on every instruction set, and also among those that remain after the last full vector.
#[test]
fn polynomials_have_the_same_bits_in_every_vector_and_in_what_remains() {
    let numbers: Vec<f32> = bit_patterns().into_iter().step_by(1009).filter(|x| !x.is_nan()).collect();
    let bits = |function: &Function, numbers: &[f32]| -> Vec<u32> {
        let y = (function.tensor)(&Tensor::new(numbers, [numbers.len()]), [0.0; 2]);
        // A NaN that an operation creates may have either sign.
        y.data().iter().map(|y| if y.is_nan() { f32::NAN.to_bits() } else { y.to_bits() }).collect()
    };
    for function in polynomials() {
        let alone: Vec<u32> = numbers.iter().flat_map(|&x| Isa::Portable.force(|| bits(function, &[x]))).collect();
        for isa in Isa::available() {
            for len in [numbers.len(), 1, 3, 5, 7, 15, 16, 17, 31, 33, 63, 100] {
                for first in [0, numbers.len() - len] {
                    let got = isa.force(|| bits(function, &numbers[first..][..len]));
                    assert_eq!(got, alone[first..][..len], "{} on {isa:?}, {len} from {first} on", function.name);
                }
            }
        }
    }
}
