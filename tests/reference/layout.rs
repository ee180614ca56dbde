//! Operations that move elements without computing.

use crate::{Array, build_ranked, place};

/// y[i_order(0), i_order(1), …] = x[i_0, i_1, …].
pub fn permute(x: &Array, order: &[usize]) -> Array {
    let sizes: Vec<usize> = order.iter().map(|&d| x.shape[d]).collect();
    build_ranked(&sizes, |index| {
        let mut from = vec![0; order.len()];
        order.iter().zip(index).for_each(|(&d, &i)| from[d] = i);
        x.data[place(&x.shape, &from)]
    })
}

/// Arrays concatenated along `dim`.
pub fn concat(parts: &[&Array], dim: usize) -> Array {
    let total: usize = parts.iter().map(|part| part.shape[dim]).sum();
    build_ranked(&parts[0].shape.with(dim, total), |index| {
        let mut index = index.to_vec();
        for part in parts {
            if index[dim] < part.shape[dim] {
                return part.data[place(&part.shape, &index)];
            }
            index[dim] -= part.shape[dim];
        }
        unreachable!("the parts fill the whole")
    })
}

/// `length` elements from `start` along `dim`.
pub fn slice(x: &Array, dim: usize, start: usize, length: usize) -> Array {
    build_ranked(&x.shape.with(dim, length), |index| {
        let mut index = index.to_vec();
        index[dim] += start;
        x.data[place(&x.shape, &index)]
    })
}
