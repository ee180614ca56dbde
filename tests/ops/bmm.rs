//! Batched matrix products, whose batch dimensions broadcast, with each operand transposed.

use autograd::Var;
use reference::bmm::{nn, transposed};
use reference::law::{self, Within, between, draws};
use tensor::{Generator, Tensor};

/// The batch dimensions of two operands, which broadcast.
fn batches(rng: &mut Generator) -> [Vec<usize>; 2] {
    let whole: Vec<usize> = (0..rng.below(4)).map(|_| between(rng, 1, 3)).collect();
    [0, 1].map(|_| {
        let missing = rng.below(3).saturating_sub(1).min(whole.len());
        whole[missing..].iter().map(|&size| if rng.below(3) == 0 { 1 } else { size }).collect()
    })
}

fn operand(rng: &mut Generator, batch: &[usize], matrix: [usize; 2]) -> Tensor {
    rng.uniform_tensor(&[batch, &matrix].concat()[..], 0.5, 1.5)
}

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(20) {
        let ([a, b], [m, n, k]) = (batches(&mut rng), [0; 3].map(|_| between(&mut rng, 1, 7)));
        let what = format!("{a:?} × [{m}, {k}] and {b:?} × [{k}, {n}]");
        let x = [operand(&mut rng, &a, [m, k]), operand(&mut rng, &b, [k, n])];
        law::forward(&what, &x, |x| x[0].bmm(&x[1]), |x| nn(&x[0], &x[1]), Within::Each(1e-6));
        law::gradient(&what, &x, |x| x[0].bmm(&x[1]), |x| nn(&x[0], &x[1]));
        let x = [operand(&mut rng, &a, [m, k]), operand(&mut rng, &b, [n, k])];
        let exact = |x: &[reference::Array]| nn(&x[0], &transposed(&x[1]));
        law::forward(&format!("{what}, nt"), &x, |x| x[0].bmm_nt(&x[1]), exact, Within::Each(1e-6));
        law::gradient(&format!("{what}, nt"), &x, |x| x[0].bmm_nt(&x[1]), exact);
        let x = [operand(&mut rng, &a, [k, m]), operand(&mut rng, &b, [k, n])];
        let exact = |x: &[reference::Array]| nn(&transposed(&x[0]), &x[1]);
        law::forward(&format!("{what}, tn"), &x, |x| x[0].bmm_tn(&x[1]), exact, Within::Each(1e-6));
    }
}

/// More than one tile in each direction, and sums longer than a step.
#[test]
fn several_tiles_match_the_reference() {
    let mut rng = Generator::new(4);
    for [m, n, k] in [[70, 130, 37], [5, 65, 16], [129, 3, 90]] {
        let x = [operand(&mut rng, &[2, 1], [m, k]), operand(&mut rng, &[3], [k, n])];
        law::forward("bmm", &x, |x| x[0].bmm(&x[1]), |x| nn(&x[0], &x[1]), Within::Each(2e-6));
        let x = [x[0].transpose(2, 3), x[1].clone()];
        let exact = |x: &[reference::Array]| nn(&transposed(&x[0]), &x[1]);
        law::forward("bmm_tn", &x, |x| x[0].bmm_tn(&x[1]), exact, Within::Each(2e-6));
    }
}

#[test]
fn products_without_terms_are_zero() {
    let x = [Tensor::zeros([2, 3, 0]), Tensor::zeros([2, 0, 4])];
    law::forward("bmm", &x, |x| x[0].bmm(&x[1]), |x| nn(&x[0], &x[1]), Within::Exact);
    assert_eq!(Tensor::ones([2, 0, 3]).bmm(&Tensor::ones([3, 4])).shape()[..], [2, 0, 4]);
}

#[test]
fn matmul_of_more_dimensions_is_batched() {
    let (a, b) = (Tensor::ones([2, 3, 4]), Tensor::ones([4, 5]));
    assert_eq!(a.matmul(&b).data(), a.bmm(&b).data());
    assert_eq!(Var::constant(a).matmul(&Var::constant(b)).shape()[..], [2, 3, 5]);
}

#[test]
#[should_panic(expected = "bmm: matrices [2, 3, 4] and [3, 4, 5]")]
fn batches_that_do_not_broadcast_are_refused() {
    Tensor::ones([2, 3, 4]).matmul(&Tensor::ones([3, 4, 5]));
}

#[test]
#[should_panic(expected = "bmm_nt: matrices [2, 3, 4] and [4, 5]")]
fn inner_sizes_that_differ_are_refused() {
    Tensor::ones([2, 3, 4]).bmm_nt(&Tensor::ones([4, 5]));
}

#[test]
#[should_panic(expected = "bmm: matrices [4] and [4, 5]")]
fn a_vector_is_no_matrix() {
    Tensor::ones([4]).bmm(&Tensor::ones([4, 5]));
}
