//! `gather` takes one element of each row and returns its gradient to it; `index_select` takes whole rows.

use autograd::Var;
use reference::gather;
use reference::law::{self, Within, between, draws};
use reference::place::everywhere;
use tensor::Tensor;

fn whole(index: &[usize]) -> Tensor {
    Tensor::new(&index.iter().map(|&i| i as f32).collect::<Vec<_>>(), [index.len()])
}

#[test]
fn gathered_elements_and_their_gradients_match_the_reference() {
    for mut rng in draws(40) {
        let (n, c) = (between(&mut rng, 1, 9), between(&mut rng, 1, 7));
        let index: Vec<usize> = (0..n).map(|_| rng.below(c)).collect();
        let x = [rng.normal_tensor([n, c]), whole(&index)];
        let what = format!("[{n}, {c}] at {index:?}");
        law::forward(&what, &x, |x| x[0].gather(&x[1]), |x| gather::gather(&x[0], &index), Within::Exact);
        let gathered = |x: &[Var]| x[0].gather(&whole(&index).upload(&x[0].value().device()));
        law::gradient(&what, &x[..1], gathered, |x| gather::gather(&x[0], &index));
    }
}

#[test]
fn rows_match_the_reference() {
    for mut rng in draws(40) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 5)).collect();
        let index: Vec<usize> = (0..rng.below(7)).map(|_| rng.below(shape[0])).collect(); // some twice, some never
        let x = [rng.normal_tensor(&shape[..]), whole(&index)];
        law::forward(
            &format!("{shape:?} at {index:?}"),
            &x,
            |x| x[0].index_select(&x[1]),
            |x| gather::index_select(&x[0], &index),
            Within::Exact,
        );
        if !index.is_empty() {
            let chosen = |x: &[Var]| x[0].index_select(&whole(&index).upload(&x[0].value().device()));
            law::gradient("index_select", &x[..1], chosen, |x| gather::index_select(&x[0], &index));
        }
    }
}

#[test]
#[should_panic(expected = "index 4 is not one of 0..4")]
fn an_index_past_the_end_is_refused() {
    Tensor::zeros([2, 4]).gather(&whole(&[1, 4]));
}

#[test]
#[should_panic(expected = "index 0.5 is not one of 0..4")]
fn a_fractional_index_is_refused() {
    Tensor::zeros([1, 4]).gather(&Tensor::new(&[0.5], [1]));
}

/// Rows are added in the order of their indices, so an embedding's gradient has the same bits each time.
#[test]
fn rows_that_are_taken_often_are_added_in_order() {
    let mut rng = draws(1).next().expect("one draw");
    let (index, dy) = ((0..300).map(|_| rng.below(3)).collect::<Vec<_>>(), rng.normal_tensor([300, 5]));
    let mut expected = vec![0.0f32; 15];
    for (i, &row) in index.iter().enumerate() {
        (0..5).for_each(|j| expected[row * 5 + j] += dy.data()[i * 5 + j]);
    }
    everywhere(|device| {
        let dx = dy.upload(device).index_select_gradient(&whole(&index).upload(device), 3);
        reference::compare::assert_same_bits("embedding", &dx, &Tensor::new(&expected, [3, 5]));
    });
}

/// Beyond 2²⁴, f32 has no odd numbers. The tensors have no elements, so that they need no memory.
#[test]
#[cfg_attr(panic = "abort", ignore = "it catches a panic")]
fn more_places_than_f32_can_number_are_refused() {
    let most = 1 << 24;
    everywhere(|device| {
        let zeros = |shape: &[usize]| Tensor::zeros(shape).upload(device);
        let none = zeros(&[0]);
        let choose = |n: usize| {
            zeros(&[0, n]).gather(&none);
            none.gather_gradient(&none, n);
            zeros(&[n, 0]).index_select(&none);
            zeros(&[n, 0]).argmax(0);
        };
        choose(most);
        let operations: [(&str, &dyn Fn()); 5] = [
            ("gather", &|| drop(zeros(&[0, most + 1]).gather(&none))),
            ("gather_gradient", &|| drop(none.gather_gradient(&none, most + 1))),
            ("index_select", &|| drop(zeros(&[most + 1, 0]).index_select(&none))),
            ("index_select_gradient", &|| drop(zeros(&[0, 2]).index_select_gradient(&none, most + 1))),
            ("argmax", &|| drop(zeros(&[most + 1, 0]).argmax(0))),
        ];
        for (name, operation) in operations {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(operation)).expect_err(name);
            let said = panic.downcast_ref::<String>().expect("a message");
            assert!(said.contains("16777217 places"), "{name}: {said}");
        }
    });
}

/// A GPU does not report errors immediately, so it cannot refuse an index. An index out of range must at least give NaN.
#[cfg(feature = "gpu")]
#[test]
fn an_index_out_of_range_gives_nan_on_a_gpu() {
    use reference::place::{fetch, gpu};
    let gpu = gpu();
    let x = Tensor::ones([4, 4]).upload(&gpu);
    let at = Tensor::new(&[1.0, 4.0, -1.0, 0.5], [4]).upload(&gpu);
    let picked = fetch(&x.gather(&at));
    assert_eq!(picked.data()[0], 1.0);
    assert!(picked.data()[1..].iter().all(|y| y.is_nan()), "{picked:?}");
    let rows = fetch(&x.index_select(&Tensor::new(&[4.0, 2.0], [2]).upload(&gpu)));
    assert!(rows.data()[..4].iter().all(|y| y.is_nan()), "{rows:?}");
    assert_eq!(rows.data()[4..], [1.0; 4]);
}
