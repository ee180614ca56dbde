//! Sums, differences, products and quotients, with broadcasting of either operand and of both.

use autograd::Var;
use reference::Array;
use reference::binary::broadcast;
use reference::compare::{assert_close, assert_same_bits};
use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use tensor::{Generator, Tensor};

struct Function {
    name: &'static str,
    tensor: fn(&Tensor, &Tensor) -> Tensor,
    var: fn(&Var, &Var) -> Var,
    exact: fn(f64, f64) -> f64,
}

const TABLE: [Function; 4] = [
    Function { name: "add", tensor: Tensor::add, var: |a, b| a + b, exact: |a, b| a + b },
    Function { name: "sub", tensor: Tensor::sub, var: |a, b| a - b, exact: |a, b| a - b },
    Function { name: "mul", tensor: Tensor::mul, var: |a, b| a * b, exact: |a, b| a * b },
    Function { name: "div", tensor: Tensor::div, var: |a, b| a / b, exact: |a, b| a / b },
];

/// A comparison's name, the operation on tensors and on variables, and what it computes.
type Comparison = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(&Var, &Var) -> Tensor, fn(&f64, &f64) -> bool);

const COMPARISONS: [Comparison; 6] = [
    ("eq", Tensor::eq, Var::eq, f64::eq),
    ("ne", Tensor::ne, Var::ne, f64::ne),
    ("lt", Tensor::lt, Var::lt, f64::lt),
    ("le", Tensor::le, Var::le, f64::le),
    ("gt", Tensor::gt, Var::gt, f64::gt),
    ("ge", Tensor::ge, Var::ge, f64::ge),
];

/// Two shapes that broadcast: any dimension of either may be 1, and one may have fewer dimensions.
fn shapes(rng: &mut Generator) -> [Vec<usize>; 2] {
    let whole: Vec<usize> = (0..rng.below(5)).map(|_| between(rng, 1, 5)).collect();
    [0, 1].map(|_| {
        let missing = rng.below(3).saturating_sub(1).min(whole.len());
        whole[missing..].iter().map(|&size| if rng.below(3) == 0 { 1 } else { size }).collect()
    })
}

fn inputs(rng: &mut Generator, [a, b]: &[Vec<usize>; 2]) -> [Tensor; 2] {
    let sign = rng.normal_tensor(&b[..]);
    let away_from_zero = sign.data().iter().map(|x| x.signum() * (x.abs() + 0.5)).collect::<Vec<_>>();
    [rng.normal_tensor(&a[..]), Tensor::new(&away_from_zero, &b[..])]
}

#[test]
fn values_match_the_reference() {
    let known = [
        [vec![2, 3, 4, 5], vec![3, 1, 1]],
        [vec![3, 1, 1], vec![2, 3, 4, 5]],
        [vec![4, 1, 6], vec![5, 1]],
        [vec![], vec![2, 3]],
        [vec![7, 1], vec![1, 9]],
        [vec![40, 50, 21], vec![50, 1]],
        [vec![40_001], vec![40_001]],
    ];
    for (shapes, mut rng) in draws(100).map(|mut rng| (shapes(&mut rng), rng)).chain(known.into_iter().zip(draws(9))) {
        let x = inputs(&mut rng, &shapes);
        for function in TABLE {
            let op = |x: &[Tensor]| (function.tensor)(&x[0], &x[1]);
            let what = format!("{} {:?} {:?}", function.name, shapes[0], shapes[1]);
            law::forward(&what, &x, op, |x| broadcast(&x[0], &x[1], function.exact), Within::Each(1e-7));
        }
    }
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(40) {
        let shapes = shapes(&mut rng);
        let x = inputs(&mut rng, &shapes);
        for function in TABLE {
            let what = format!("{} {:?} {:?}", function.name, shapes[0], shapes[1]);
            let op = |x: &[Var]| (function.var)(&x[0], &x[1]);
            law::gradient(&what, &x, op, |x| broadcast(&x[0], &x[1], function.exact));
        }
    }
}

#[test]
fn comparisons_match_the_reference() {
    for mut rng in draws(30) {
        let shapes = shapes(&mut rng);
        // Few different numbers, so that many are equal.
        let x = [0, 1].map(|i| {
            let count = shapes[i].iter().product();
            Tensor::from_vec((0..count).map(|_| rng.below(3) as f32 - 1.0).collect(), &shapes[i][..])
        });
        for (name, tensor, var, exact) in COMPARISONS {
            let what = format!("{name} {:?} {:?}", shapes[0], shapes[1]);
            let exact = |x: &[Array]| broadcast(&x[0], &x[1], |a, b| f64::from(u8::from(exact(&a, &b))));
            law::forward(&what, &x, |x| tensor(&x[0], &x[1]), exact, Within::Exact);
            let variables = x.clone().map(Var::leaf);
            assert_same_bits(&what, &var(&variables[0], &variables[1]), &tensor(&x[0], &x[1]));
        }
    }
}

/// NaN is unequal to every number, itself included.
#[test]
fn nan_is_unequal_to_itself() {
    let nan = f32::NAN;
    let [a, b] = [[nan, nan, 1.0, 1.0, 0.0], [nan, 1.0, nan, 1.0, -0.0]].map(|x| Tensor::new(&x, [5]));
    everywhere(|device| {
        let (a, b) = (a.upload(device), b.upload(device));
        for (name, compare, expected) in [
            ("eq", Tensor::eq as fn(&Tensor, &Tensor) -> Tensor, [0.0, 0.0, 0.0, 1.0, 1.0]),
            ("ne", Tensor::ne, [1.0, 1.0, 1.0, 0.0, 0.0]),
        ] {
            assert_eq!(fetch(&compare(&a, &b)).data(), expected, "{name} on {device}");
        }
    });
}

#[test]
fn adding_in_place_is_adding() {
    for mut rng in draws(3) {
        let (a, b) = (rng.normal_tensor([3, 9001]), rng.normal_tensor([3, 9001]));
        let expected = a.add(&b);
        everywhere(|device| {
            let (a, b) = (a.upload(device), b.upload(device));
            let mut sum = a.clone();
            sum.add_assign(&b);
            assert_same_bits("a += b", &sum, &expected);
            sum.add_assign(&b); // it is no longer shared
            assert_same_bits("a + b += b", &sum, &expected.add(&fetch(&b)));
            let again = sum.clone();
            sum.add_assign(&again); // added to itself
            assert_same_bits("s += s", &sum, &fetch(&again).mul_scalar(2.0));
        });
    }
}

#[test]
fn blending_in_place_weights_both_tensors() {
    let mut rng = draws(1).next().expect("one draw");
    let (a, b) = (rng.normal_tensor([3, 9001]), rng.normal_tensor([3, 9001]));
    let expected = a.mul_scalar(0.75).add(&b.mul_scalar(0.3));
    everywhere(|device| {
        let there = a.upload(device);
        let mut blend = there.clone();
        blend.blend_assign(0.75, &b.upload(device), 0.3);
        assert_close("0.75·a + 0.3·b", &blend, &Array::of(&expected), 1e-6);
        assert_same_bits("a, which shared its elements", &there, &a);
    });
}

#[test]
#[should_panic(expected = "mul: shapes [2, 3] and [2, 4] do not broadcast")]
fn shapes_that_do_not_broadcast_are_refused_with_both() {
    Tensor::zeros([2, 3]).mul(&Tensor::zeros([2, 4]));
}
