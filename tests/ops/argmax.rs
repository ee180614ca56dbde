//! argmax along every dimension: the index of the largest element, the first one of equal elements.

use reference::argmax::argmax;
use reference::law::{self, Within, between, draws};
use tensor::Tensor;

#[test]
fn places_match_the_reference() {
    for mut rng in draws(60) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 9)).collect();
        let dim = rng.below(shape.len());
        // Integers below 4: most occur several times.
        let many = rng.uniform_tensor(&shape[..], -4.0, 4.0);
        let few = Tensor::new(&many.data().iter().map(|x| x.round()).collect::<Vec<_>>(), &shape[..]);
        for (what, x) in [("distinct", many), ("equal", few)] {
            let what = format!("{what} {shape:?} along {dim}");
            law::forward(&what, &[x], |x| x[0].argmax(dim), |x| argmax(&x[0], dim), Within::Exact);
        }
    }
}

/// More rows than a workgroup has invocations, with elements below any plausible initial value.
#[test]
fn long_and_very_negative_rows_match_the_reference() {
    for mut rng in draws(2) {
        let x = [rng.normal_tensor([700, 130]).add_scalar(-3e38)];
        let far = [Tensor::new(&[-3.4e38, -3.3e38, -3.35e38], [3, 1])];
        for x in [x, far] {
            for dim in [0, 1] {
                law::forward("argmax", &x, |x| x[0].argmax(dim), |x| argmax(&x[0], dim), Within::Exact);
            }
        }
    }
}

#[test]
#[should_panic(expected = "argmax: [2, 0] has nothing along dimension 1")]
fn an_empty_dimension_is_refused() {
    Tensor::zeros([2, 0]).argmax(1);
}
