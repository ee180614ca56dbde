//! Hint: `data().chunks(d)` gives the rows. `min_by` with `f32::total_cmp` finds the smallest distance, and `enumerate` its index.

use tensor::Tensor;

pub fn nearest(z: &Tensor, codebook: &Tensor) -> Vec<usize> {
    let d = z.shape()[1];
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let nearest = |row: &[f32]| {
        let distances = codebook.data().chunks(d).map(|entry| distance(row, entry)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
    };
    z.data().chunks(d).map(nearest).collect()
}
