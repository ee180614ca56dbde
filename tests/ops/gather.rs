//! `pick` takes one number of each row and sends its gradient back there; `rows` takes whole rows.

use reference::gather;
use reference::law::{self, Within, between, draws};
use tensor::Tensor;

fn whole(index: &[usize]) -> Tensor {
    Tensor::new(&index.iter().map(|&i| i as f32).collect::<Vec<_>>(), [index.len()])
}

#[test]
fn picked_numbers_and_their_gradients_are_the_reference_s() {
    for mut rng in draws(40) {
        let (n, c) = (between(&mut rng, 1, 9), between(&mut rng, 1, 7));
        let index: Vec<usize> = (0..n).map(|_| rng.below(c)).collect();
        let x = [rng.normal_tensor([n, c])];
        let (what, at) = (format!("[{n}, {c}] at {index:?}"), whole(&index));
        law::forward(&what, &x, |x| x[0].pick(&at), |x| gather::pick(&x[0], &index), Within::Exact);
        law::gradient(&what, &x, |x| x[0].pick(&at), |x| gather::pick(&x[0], &index));
    }
}

#[test]
fn rows_are_the_reference_s() {
    for mut rng in draws(40) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 5)).collect();
        let index: Vec<usize> = (0..rng.below(7)).map(|_| rng.below(shape[0])).collect(); // some twice, some never
        let x = [rng.normal_tensor(&shape[..])];
        let at = whole(&index);
        law::forward(
            &format!("{shape:?} at {index:?}"),
            &x,
            |x| x[0].rows(&at),
            |x| gather::rows(&x[0], &index),
            Within::Exact,
        );
    }
}

#[test]
#[should_panic(expected = "index 4 is not one of 0..4")]
fn an_index_past_the_end_is_refused() {
    Tensor::zeros([2, 4]).pick(&whole(&[1, 4]));
}

#[test]
#[should_panic(expected = "index 0.5 is not one of 0..4")]
fn half_an_index_is_refused() {
    Tensor::zeros([1, 4]).pick(&Tensor::new(&[0.5], [1]));
}
