//! Every function of the table: its values, its gradient, and its behaviour for large arguments.

use approx::assert_relative_eq;
use autograd::Var;
use reference::law::{self, Within, draws};
use reference::place::{everywhere, fetch};
use reference::{map, unary};
use tensor::{Device, Tensor};

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
        assert_eq!(slope(zero.abs()), 0.0);
        assert_relative_eq!(slope(zero.leaky_relu(0.2)), 0.2);
    });
}
