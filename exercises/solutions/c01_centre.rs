//! Hint: The mean over the rows is the mean along dimension 0. Its shape [columns] broadcasts against [rows, columns].

use tensor::Tensor;

pub fn centre_columns(x: &Tensor) -> Tensor {
    x - x.mean(&[0], true)
}
