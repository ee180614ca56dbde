//! A choice between two tensors with broadcasting of all three, and where its gradient goes.

use autograd::Var;
use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use reference::where_cond::where_cond;
use tensor::{Generator, Tensor};

/// Three shapes that broadcast, of which the first is that of the condition.
fn shapes(rng: &mut Generator) -> [Vec<usize>; 3] {
    let whole: Vec<usize> = (0..between(rng, 1, 3)).map(|_| between(rng, 1, 5)).collect();
    [0, 1, 2].map(|_| {
        let missing = rng.below(2).min(whole.len() - 1);
        whole[missing..].iter().map(|&size| if rng.below(4) == 0 { 1 } else { size }).collect()
    })
}

/// Zeros and other numbers.
fn condition(rng: &mut Generator, shape: &[usize]) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_vec((0..count).map(|_| [0.0, 1.0, -0.5][rng.below(3)]).collect(), shape)
}

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(30) {
        let [c, a, b] = shapes(&mut rng);
        let x = [condition(&mut rng, &c), rng.normal_tensor(&a[..]), rng.normal_tensor(&b[..])];
        let what = format!("{c:?} ? {a:?} : {b:?}");
        let op = |x: &[Tensor]| x[0].where_cond(&x[1], &x[2]);
        law::forward(&what, &x, op, |x| where_cond(&x[0], &x[1], &x[2]), Within::Each(0.0));
        let exact = reference::Array::of(&x[0]);
        let op = |v: &[Var]| Var::where_cond(&x[0].upload(&v[0].value().device()), &v[0], &v[1]);
        law::gradient(&what, &x[1..], op, |x| where_cond(&exact, &x[0], &x[1]));
    }
}

/// What is not chosen does not matter, in the value and in the gradient.
#[test]
fn numbers_that_are_not_chosen_may_be_anything() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::new(&[-1.0, 4.0], [2]).upload(device));
        let zero = Var::constant(x.value().zeros_like());
        let y = Var::where_cond(&x.gt(&zero), &x.sqrt(), &zero);
        assert_eq!(fetch(y.value()).data(), [0.0, 2.0]);
        let long = Tensor::arange(0.0, 40_001.0, 1.0).upload(device);
        let half = long.full_like(20_000.0);
        let y = fetch(&long.lt(&half).where_cond(&long, &half));
        y.data().iter().enumerate().for_each(|(i, &y)| assert_eq!(y, i.min(20_000) as f32));
    });
}

/// NaN is not 0, as in PyTorch.
#[test]
fn nan_chooses_the_first() {
    everywhere(|device| {
        let c = Tensor::new(&[f32::NAN, 0.0, -0.0], [3]).upload(device);
        let [a, b] = [1.0, 2.0].map(|x| c.full_like(x));
        assert_eq!(fetch(&c.where_cond(&a, &b)).data(), [1.0, 2.0, 2.0], "{device}");
    });
}

#[test]
#[should_panic(expected = "where_cond: [2], [3] and [3] do not broadcast")]
fn shapes_that_do_not_broadcast_are_refused() {
    Tensor::ones([2]).where_cond(&Tensor::ones([3]), &Tensor::ones([3]));
}
