//! Attention against its formula in f64, with and without a mask, and with keys that all queries share.

use autograd::Var;
use reference::law::{self, Within, between, draws};
use reference::place::fetch;
use reference::softmax::softmax;
use reference::{Array, binary, bmm, map};
use tensor::{Generator, Tensor};

fn attention(x: &[Array], mask: Option<&Array>) -> Array {
    let width = *x[0].shape.last().expect("a width") as f64;
    let scores = map(&bmm::nn(&x[0], &bmm::transposed(&x[1])), |s| s / width.sqrt());
    let scores = mask.map_or(scores.clone(), |mask| binary::broadcast(&scores, mask, |s, m| s + m));
    let last = scores.shape.len() - 1;
    bmm::nn(&softmax(&scores, last), &x[2])
}

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(10) {
        let [batch, queries, keys, width, out] = [0; 5].map(|_| between(&mut rng, 1, 4));
        let heads = between(&mut rng, 1, 2);
        let q = rng.normal_tensor([batch, heads, queries, width]);
        let k = rng.normal_tensor([batch, 1, keys, width]); // shared by all heads
        let x = [q, k, rng.normal_tensor([batch, heads, keys, out])];
        let what = format!("{} to {}", x[0].shape(), x[1].shape());
        let op = |x: &[Var]| x[0].scaled_dot_product_attention(&x[1], &x[2], None);
        law::gradient(&what, &x, op, |x| attention(x, None));
        let mask = rng.normal_tensor([queries, keys]);
        let op = |x: &[Tensor]| x[0].scaled_dot_product_attention(&x[1], &x[2], Some(&x[3]));
        let masked = [&x[..], &[mask]].concat();
        law::forward(&what, &masked, op, |x| attention(x, Some(&x[3])), Within::Largest(1e-5));
    }
}

/// What comes after a position must not reach its result, nor its gradient.
#[test]
fn a_causal_mask_hides_what_comes_later() {
    assert_eq!(Tensor::causal_mask(2).data(), [0.0, -1e30, 0.0, 0.0]);
    let mut rng = Generator::new(3);
    let [q, k, v] = [0; 3].map(|_| rng.normal_tensor([5, 4]));
    reference::place::everywhere(|device| {
        let [q, k, v] = [&q, &k, &v].map(|x| x.upload(device));
        let mask = Var::constant(Tensor::causal_mask(5).upload(device));
        let values = Var::leaf(v.clone());
        let [q, k] = [q, k].map(Var::constant);
        let y = q.scaled_dot_product_attention(&k, &values, Some(&mask));
        reference::compare::assert_close("the first", &y.value().at(0), &Array::of(&fetch(&v).at(0)), 1e-6);
        let gradients = y.at(2).sum_all().backward();
        let gradient = fetch(gradients.of(&values).expect("a gradient"));
        assert!(gradient.at(..3).data().iter().all(|&x| x > 0.0), "{gradient}");
        assert!(gradient.at(3..).data().iter().all(|&x| x == 0.0), "{gradient}");
    });
}
