//! Variances against their formula in f64. The layer norm's tests are in `group_norm.rs`.

use autograd::Var;
use reference::Array;
use reference::law::{self, Within, between, draws};
use reference::reduce::var;

#[test]
fn variances_match_the_reference() {
    for mut rng in draws(20) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 2, 5)).collect();
        let dims = rng.permutation(shape.len())[..between(&mut rng, 1, shape.len())].to_vec();
        let (correction, keepdim) = (rng.below(2), rng.below(2) == 0);
        let x = [rng.normal_tensor(&shape[..])];
        let what = format!("{shape:?} over {dims:?}, correction {correction}, keepdim {keepdim}");
        let exact = |x: &[Array]| var(&x[0], &dims, correction, keepdim);
        law::forward(&what, &x, |x| x[0].var(&dims, correction, keepdim), exact, Within::Largest(1e-5));
        law::gradient(&what, &x, |x: &[Var]| x[0].var(&dims, correction, keepdim), exact);
    }
}
