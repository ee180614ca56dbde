//! `at` takes the elements that its indices and ranges name, and its gradient goes back to those places.

use reference::law::{self, Within, between, draws};
use reference::{Array, layout};
use tensor::{Generator, Index, Tensor};

/// A shape, and an index or a range for some of its dimensions.
fn case(rng: &mut Generator) -> (Vec<usize>, Vec<Index>) {
    let shape: Vec<usize> = (0..between(rng, 1, 4)).map(|_| between(rng, 1, 5)).collect();
    let named = rng.below(shape.len() + 1);
    let mut index = |&size: &usize| {
        let start = rng.below(size);
        match rng.below(4) {
            0 => Index::One(start),
            1 => Index::Part { start, end: None },
            2 => Index::Part { start: 0, end: None },
            _ => Index::Part { start, end: Some(between(rng, start + 1, size)) },
        }
    };
    let indices = shape[..named].iter().map(&mut index).collect();
    (shape, indices)
}

/// One slice for each dimension, and then without the dimensions of single elements.
fn exact(x: &Array, indices: &[Index]) -> Array {
    let (mut y, mut sizes) = (x.clone(), x.shape.to_vec());
    for (dim, index) in indices.iter().enumerate().rev() {
        let [start, end] = match *index {
            Index::One(i) => [i, i + 1],
            Index::Part { start, end } => [start, end.unwrap_or(x.shape[dim])],
        };
        y = layout::slice(&y, dim, start, end - start);
        sizes[dim] = end - start;
        if let Index::One(_) = index {
            sizes.remove(dim);
        }
    }
    Array::new(&sizes[..], y.data)
}

/// `$x.at` with a list whose length is known only at run time.
macro_rules! at {
    ($x:expr, $indices:expr) => {
        match $indices[..] {
            [] => $x.clone(),
            [a] => $x.at([a]),
            [a, b] => $x.at([a, b]),
            [a, b, c] => $x.at([a, b, c]),
            [a, b, c, d] => $x.at([a, b, c, d]),
            _ => unreachable!("shapes of up to four dimensions are drawn"),
        }
    };
}

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(40) {
        let (shape, indices) = case(&mut rng);
        let (x, what) = ([rng.normal_tensor(&shape[..])], format!("{shape:?} at {indices:?}"));
        law::forward(&what, &x, |x| at!(x[0], indices), |x| exact(&x[0], &indices), Within::Exact);
        law::gradient(&what, &x, |x| at!(x[0], indices), |x| exact(&x[0], &indices));
    }
}

#[test]
fn numbers_ranges_tuples_and_arrays_are_indices() {
    let x = Tensor::arange(0.0, 24.0, 1.0).reshape([2, 3, 4]);
    let part = |y: Tensor| (y.shape().to_vec(), y.data().to_vec());
    assert_eq!(part(x.at([1, 2, 3])), (vec![], vec![23.0]));
    assert_eq!(part(x.at((1, .., 2))), (vec![3], vec![14.0, 18.0, 22.0]));
    assert_eq!(part(x.at((0, 1..))), part(x.slice(0, 0, 1).slice(1, 1, 2).reshape([2, 4])));
    assert_eq!(part(x.at(1)), part(x.slice(0, 1, 1).reshape([3, 4])));
    assert_eq!(part(x.at((..1, 1..=2, ..=0))), (vec![1, 2, 1], vec![4.0, 8.0]));
    assert_eq!(part(x.at((.., .., 1..3))), part(x.slice(2, 1, 2)));
    assert_eq!(part(x.at(1..1)), (vec![0, 3, 4], vec![]));
    assert_eq!(x.at(..).data().as_ptr(), x.data().as_ptr());
}

#[test]
#[should_panic(expected = "at: 3..4 of dimension 1 of [2, 3]")]
fn an_index_past_the_end_is_refused() {
    Tensor::zeros([2, 3]).at((.., 3));
}

#[test]
#[should_panic(expected = "at: 3 indices for [2, 3]")]
fn more_indices_than_dimensions_are_refused() {
    Tensor::zeros([2, 3]).at((0, 0, ..));
}
