//! Matrix products in all three layouts, at sizes near those of tiles, blocks and chunks.

use reference::law::{self, Within, draws, one_of};
use reference::matmul;
use reference::place::{everywhere, fetch};
use tensor::{Generator, Tensor};

/// Numbers of rows, columns and inner elements: below, at and above tiles of 4, 8, 12, 24 and 48.
const SIZES: [usize; 15] = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 25, 31, 48, 49, 97];

/// Sizes that split the work: more rows than a block, many blocks of columns, several chunks of a sum, also in whole
/// tiles, and a sum so long that it is split, too. For a GPU: tiles of every form, several of them, with sums in parts and whole.
const LARGE: [[usize; 3]; 9] = [
    [520, 5, 9],
    [18, 48, 600],
    [3, 1700, 11],
    [17, 50, 600],
    [4, 6, 2100],
    [1, 1, 5000],
    [514, 97, 513],
    [31, 530, 300],
    [300, 63, 300],
];

fn laws(rng: &mut Generator, [m, n, k]: [usize; 3]) {
    let (a, b) = (rng.normal_tensor([m, k]), rng.normal_tensor([k, n]));
    let (at, bt) = (rng.normal_tensor([k, m]), rng.normal_tensor([n, k]));
    let within = Within::By(4e-6 * (k as f64).sqrt()); // a sum of products of normals grows with √k
    let what = format!("[{m}, {k}]·[{k}, {n}]");
    law::forward(
        &format!("nn {what}"),
        &[a.clone(), b.clone()],
        |x| x[0].matmul(&x[1]),
        |x| matmul::nn(&x[0], &x[1]),
        within,
    );
    law::forward(&format!("nt {what}"), &[a, bt], |x| x[0].matmul_nt(&x[1]), |x| matmul::nt(&x[0], &x[1]), within);
    law::forward(&format!("tn {what}"), &[at, b], |x| x[0].matmul_tn(&x[1]), |x| matmul::tn(&x[0], &x[1]), within);
}

#[test]
fn products_match_the_reference() {
    for mut rng in draws(60) {
        let size = [0; 3].map(|_| one_of(&mut rng, &SIZES));
        laws(&mut rng, size);
    }
}

#[test]
fn large_products_match_the_reference() {
    for (mut rng, size) in draws(LARGE.len() as u64).zip(LARGE) {
        laws(&mut rng, size);
    }
}

#[test]
fn a_product_with_an_empty_inner_dimension_is_zero() {
    everywhere(|device| {
        let [a, b, bt, none, some] = [[3, 0], [0, 2], [2, 0], [0, 4], [4, 2]].map(|s| Tensor::zeros(s).upload(device));
        assert_eq!(fetch(&a.matmul(&b)).data(), [0.0; 6]);
        assert_eq!(fetch(&a.matmul_nt(&bt)).data(), [0.0; 6]);
        assert_eq!(fetch(&none.matmul(&some)).shape()[..], [0, 2]);
    });
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(12) {
        let [m, n, k] = [0; 3].map(|_| one_of(&mut rng, &[1, 2, 3, 5, 9, 13]));
        let (a, b) = (rng.normal_tensor([m, k]), rng.normal_tensor([k, n]));
        let bt = rng.normal_tensor([n, k]);
        let what = format!("[{m}, {k}]·[{k}, {n}]");
        law::gradient(&format!("matmul {what}"), &[a.clone(), b], |x| x[0].matmul(&x[1]), |x| matmul::nn(&x[0], &x[1]));
        law::gradient(&format!("matmul_nt {what}"), &[a, bt], |x| x[0].matmul_nt(&x[1]), |x| matmul::nt(&x[0], &x[1]));
    }
}

#[test]
#[should_panic(expected = "matmul: [2, 3] times [4, 5]")]
fn mismatched_sizes_are_refused_with_both_shapes() {
    Tensor::zeros([2, 3]).matmul(&Tensor::zeros([4, 5]));
}
