//! argmax along every dimension: where the largest number is, the first of equals.

use reference::argmax::argmax;
use reference::law::{self, Within, between, draws};
use tensor::Tensor;

#[test]
fn places_are_the_reference_s() {
    for mut rng in draws(60) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 9)).collect();
        let dim = rng.below(shape.len());
        // Whole numbers below 4: most have equals.
        let many = rng.uniform_tensor(&shape[..], -4.0, 4.0);
        let few = Tensor::new(&many.data().iter().map(|x| x.round()).collect::<Vec<_>>(), &shape[..]);
        for (what, x) in [("distinct", many), ("equal", few)] {
            let what = format!("{what} {shape:?} along {dim}");
            law::forward(&what, &[x], |x| x[0].argmax(dim), |x| argmax(&x[0], dim), Within::Exact);
        }
    }
}

/// More rows than a workgroup has invocations, and numbers below every start that one might think of.
#[test]
fn long_and_very_negative_ones_too() {
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
fn nothing_has_no_largest() {
    Tensor::zeros([2, 0]).argmax(1);
}
