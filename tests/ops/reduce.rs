//! Sums, means, maxima and minima over every choice of dimensions.

use autograd::Var;
use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use reference::{Array, map, reduce};
use tensor::{Generator, Tensor};

/// A shape, some of its dimensions in any order, and whether the reduced dimensions are kept.
fn case(rng: &mut Generator) -> (Vec<usize>, Vec<usize>, bool) {
    let shape: Vec<usize> = (0..rng.below(6)).map(|_| between(rng, 1, 5)).collect();
    let order = rng.permutation(shape.len());
    let dims = order[..rng.below(shape.len() + 1)].to_vec();
    (shape, dims, rng.below(2) == 0)
}

/// Large enough for tiles: one long sum, several, and sums along columns, of which there are few, many, and more than a task takes.
fn large() -> [(Vec<usize>, Vec<usize>, bool); 8] {
    [
        (vec![100_003], vec![0], false),
        (vec![3, 20_001], vec![1], false),
        (vec![5001, 7], vec![0], true),
        (vec![6, 5, 40, 41], vec![0, 2, 3], false),
        (vec![607, 1100], vec![0], false),
        (vec![5, 9001], vec![0], false),
        (vec![3, 801, 21], vec![1], false),
        (vec![300, 37], vec![1], false),
    ]
}

/// The largest Σ |x| over these dimensions, to which the rounding of a sum in f32 is relative.
fn largest_of_sizes(x: &Tensor, dims: &[usize]) -> f64 {
    let sums = reduce::sum(&map(&Array::of(x), f64::abs), dims, false);
    sums.data.into_iter().fold(0.0, f64::max)
}

#[test]
fn values_match_the_reference() {
    for ((shape, dims, keepdim), mut rng) in
        draws(150).map(|mut rng| (case(&mut rng), rng)).chain(large().into_iter().zip(draws(8)))
    {
        let x = [rng.normal_tensor(&shape[..])];
        let what = format!("{shape:?} over {dims:?}, keepdim {keepdim}");
        let kept: usize = (0..shape.len()).filter(|d| !dims.contains(d)).map(|d| shape[d]).product();
        let terms = largest_of_sizes(&x[0], &dims);
        law::forward(
            &format!("sum {what}"),
            &x,
            |x| x[0].sum(&dims, keepdim),
            |x| reduce::sum(&x[0], &dims, keepdim),
            Within::LargestOrBy(1e-6, 1e-6 * terms),
        );
        law::forward(
            &format!("mean {what}"),
            &x,
            |x| x[0].mean(&dims, keepdim),
            |x| reduce::mean(&x[0], &dims, keepdim),
            Within::LargestOrBy(1e-6, 1e-6 * terms * kept as f64 / x[0].count() as f64),
        );
        law::forward(
            &format!("max {what}"),
            &x,
            |x| x[0].max(&dims, keepdim),
            |x| reduce::max(&x[0], &dims, keepdim),
            Within::Exact,
        );
        law::forward(
            &format!("min {what}"),
            &x,
            |x| x[0].min(&dims, keepdim),
            |x| reduce::min(&x[0], &dims, keepdim),
            Within::Exact,
        );
    }
}

#[test]
fn all_at_once_is_over_all_dimensions() {
    let x = [Generator::new(1).uniform_tensor([3, 4, 5], 0.5, 2.0)];
    law::forward("sum_all", &x, |x| x[0].sum_all(), |x| reduce::sum(&x[0], &[0, 1, 2], false), Within::Largest(1e-6));
    law::forward(
        "mean_all",
        &x,
        |x| x[0].mean_all(),
        |x| reduce::mean(&x[0], &[0, 1, 2], false),
        Within::Largest(1e-6),
    );
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(40) {
        let (shape, dims, keepdim) = case(&mut rng);
        // All of one sign. A GPU sums in f32, where sums that cancel would leave more rounding than result.
        let x = [rng.uniform_tensor(&shape[..], 0.5, 2.0)];
        let what = format!("{shape:?} over {dims:?}, keepdim {keepdim}");
        law::gradient(&format!("sum {what}"), &x, |x| x[0].sum(&dims, keepdim), |x| reduce::sum(&x[0], &dims, keepdim));
        law::gradient(
            &format!("mean {what}"),
            &x,
            |x| x[0].mean(&dims, keepdim),
            |x| reduce::mean(&x[0], &dims, keepdim),
        );
        // Numbers that are further apart than the steps of the differences, in random order.
        let places = rng.permutation(x[0].count());
        let apart = [Tensor::from_vec(places.into_iter().map(|i| 0.25 * i as f32 - 1.0).collect(), &shape[..])];
        law::gradient(
            &format!("max {what}"),
            &apart,
            |x| x[0].max(&dims, keepdim),
            |x| reduce::max(&x[0], &dims, keepdim),
        );
        law::gradient(
            &format!("min {what}"),
            &apart,
            |x| x[0].min(&dims, keepdim),
            |x| reduce::min(&x[0], &dims, keepdim),
        );
        let all: Vec<usize> = (0..shape.len()).collect();
        law::gradient("sum_all", &x, |x| x[0].sum_all(), |x| reduce::sum(&x[0], &all, false));
        law::gradient("mean_all", &x, |x| x[0].mean_all(), |x| reduce::mean(&x[0], &all, false));
    }
}

/// The largest elements share the gradient, as in PyTorch's `amax`.
#[test]
fn equal_extrema_share_the_gradient_equally() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::new(&[3.0, 1.0, 3.0, 1.0, 2.0, 1.0], [2, 3]).upload(device));
        let dy = || Tensor::new(&[4.0, 6.0], [2]).upload(device);
        let gradient = |y: Var| fetch(y.backward_with(dy()).of(&x).expect("a gradient")).data().to_vec();
        assert_eq!(gradient(x.max(&[1], false)), [2.0, 0.0, 2.0, 0.0, 6.0, 0.0]);
        assert_eq!(gradient(x.min(&[1], false)), [0.0, 4.0, 0.0, 3.0, 0.0, 3.0]);
    });
}

/// The largest of them is `f32::MIN`, which none of them equals.
#[test]
fn the_maximum_of_infinities_below_zero_has_no_gradient() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::new(&[f32::NEG_INFINITY, f32::NEG_INFINITY, 1.0, 0.0], [2, 2]).upload(device));
        let gradients = x.max(&[1], false).sum_all().backward();
        assert_eq!(fetch(gradients.of(&x).expect("a gradient")).data(), [0.0, 0.0, 1.0, 0.0], "{device}");
    });
}

#[test]
fn a_sum_over_nothing_is_zero() {
    everywhere(|device| {
        let x = Tensor::zeros([3, 0, 2]).upload(device);
        assert_eq!(fetch(&x.sum(&[1], false)).data(), [0.0; 6]);
        assert_eq!(fetch(&x.sum_all()).data(), [0.0]);
        assert_eq!(fetch(&x.sum(&[0], false)).shape()[..], [0, 2]);
    });
}

/// Sums over the dimensions that broadcasting repeated: ⟨broadcast(x), y⟩ = ⟨x, sum_to(y)⟩.
#[test]
fn summing_to_a_shape_is_the_adjoint_of_broadcasting() {
    for mut rng in draws(60) {
        let whole: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 5)).collect();
        let missing = rng.below(whole.len() + 1);
        let part: Vec<usize> = whole[missing..].iter().map(|&n| if rng.below(2) == 0 { 1 } else { n }).collect();
        let (x, y) = (rng.normal_tensor(&part[..]), rng.normal_tensor(&whole[..]));
        everywhere(|device| {
            let [x, y, zeros] = [&x, &y, &Tensor::zeros(&whole[..])].map(|x| x.upload(device));
            law::adjoint(&format!("{part:?} in {whole:?}"), &x, &x.add(&zeros), &y, &y.sum_to(x.shape()));
        });
    }
}

/// A hundred thousand times 1/3. Added one by one in f32, the sum has an error of a thousandth.
#[test]
fn long_sums_do_not_drift() {
    let x = [Tensor::full([2, 300_001], 1.0 / 3.0)];
    law::forward("sum", &x, |x| x[0].sum(&[1], false), |x| reduce::sum(&x[0], &[1], false), Within::Each(1e-7));
}

#[test]
#[should_panic(expected = "sum: no dimension 2 in [3, 4]")]
fn a_missing_dimension_is_refused() {
    Tensor::zeros([3, 4]).sum(&[2], false);
}
