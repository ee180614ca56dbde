//! c[…, i, j] = Σ_k a[…, i, k]·b[…, k, j], where the dimensions in front broadcast.

use crate::binary::broadcast;
use crate::{Array, build_ranked, layout, place};

/// a·b for each matrix: `[…, m, k]`·`[…, k, n]`.
pub fn nn(a: &Array, b: &Array) -> Array {
    let [a_batch, b_batch] = [a, b].map(|x| Array::new(&x.shape[..x.shape.len() - 2], ones(&x.shape)));
    let batch = broadcast(&a_batch, &b_batch, |a, b| a * b).shape;
    let [[m, inner], [_, n]] = [a, b].map(|x| [x.shape[x.shape.len() - 2], x.shape[x.shape.len() - 1]]);
    let mut sizes = batch.to_vec();
    sizes.extend([m, n]);
    let element = |x: &Array, index: &[usize], last: [usize; 2]| {
        let front = x.shape.len() - 2;
        let own = &index[index.len() - 2 - front..index.len() - 2];
        let mut own: Vec<usize> =
            own.iter().zip(&x.shape[..]).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect();
        own.extend(last);
        x.data[place(&x.shape, &own)]
    };
    build_ranked(&sizes, |index| {
        let [i, j] = [index[index.len() - 2], index[index.len() - 1]];
        (0..inner).map(|k| element(a, index, [i, k]) * element(b, index, [k, j])).sum()
    })
}

/// The matrices transposed.
pub fn transposed(x: &Array) -> Array {
    let rank = x.shape.len();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    layout::permute(x, &order)
}

fn ones(shape: &[usize]) -> Vec<f64> {
    vec![1.0; shape[..shape.len() - 2].iter().product()]
}
