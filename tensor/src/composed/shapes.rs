//! Joining, cutting and reshaping by the names of PyTorch, from `concat`, `slice` and `reshape`.

use crate::tensor::Tensor;

/// Defines the functions for a type that has `concat`, `slice` and `reshape`.
#[macro_export]
#[doc(hidden)]
macro_rules! shapes {
    ($type:ident) => {
        impl $type {
            /// Parts of equal shapes, joined along a new dimension `dim`: two of `[3, 4]` become `[2, 3, 4]`, `[3, 2, 4]` or `[3, 4, 2]`.
            ///
            /// # Panics
            /// Without parts, if their shapes differ, if `dim` is larger than their number of dimensions, or if they have six
            /// dimensions already.
            #[track_caller]
            pub fn stack(parts: &[&$type], dim: usize) -> $type {
                let first = parts.first().expect("stack: no parts").shape();
                for part in parts {
                    assert_eq!(part.shape(), first, "stack: {first} and {}", part.shape());
                }
                assert!(dim <= first.len(), "stack: a new dimension {dim} in {first}");
                let parts: Vec<$type> = parts.iter().map(|part| part.unsqueeze(dim)).collect();
                $type::concat(&parts.iter().collect::<Vec<_>>(), dim)
            }

            /// Parts of `size` along `dim`: `[5, 2]` in parts of 2 along dimension 0 is `[2, 2]`, `[2, 2]` and `[1, 2]`.
            ///
            /// # Panics
            /// If `size` is 0 or the dimension does not exist.
            #[track_caller]
            pub fn split(&self, size: usize, dim: usize) -> Vec<$type> {
                let [_, whole, _] = self.shape().outer_size_inner(dim, "split");
                assert!(size > 0, "split: {} into parts of size 0", self.shape());
                let part = |start: usize| self.slice(dim, start, size.min(whole - start));
                (0..whole.max(1)).step_by(size).map(part).collect()
            }

            /// At most `count` parts of equal size along `dim`, of which the last one may be smaller: `[5, 2]` in 3 chunks along
            /// dimension 0 is `[2, 2]`, `[2, 2]` and `[1, 2]`.
            ///
            /// # Panics
            /// If `count` is 0 or the dimension does not exist.
            #[track_caller]
            pub fn chunk(&self, count: usize, dim: usize) -> Vec<$type> {
                let [_, whole, _] = self.shape().outer_size_inner(dim, "chunk");
                assert!(count > 0, "chunk: {} into no parts", self.shape());
                self.split(whole.div_ceil(count).max(1), dim)
            }

            /// The same elements without the dimension `dim`, which has size 1: `[3, 1, 4]` → `[3, 4]`.
            ///
            /// # Panics
            /// If the dimension does not exist or has another size.
            #[track_caller]
            pub fn squeeze(&self, dim: usize) -> $type {
                let [_, size, _] = self.shape().outer_size_inner(dim, "squeeze");
                assert_eq!(size, 1, "squeeze: dimension {dim} of {}", self.shape());
                let mut sizes = self.shape().to_vec();
                sizes.remove(dim);
                self.reshape(&sizes[..])
            }

            /// The same elements with a new dimension of size 1 in front of dimension `dim`, or behind the last: `[3, 4]` →
            /// `[3, 1, 4]`.
            ///
            /// # Panics
            /// If `dim` is larger than the number of dimensions, or there are six already.
            #[track_caller]
            pub fn unsqueeze(&self, dim: usize) -> $type {
                let mut sizes = self.shape().to_vec();
                assert!(dim <= sizes.len(), "unsqueeze: a new dimension {dim} in {}", self.shape());
                sizes.insert(dim, 1);
                self.reshape(&sizes[..])
            }

            /// The same elements with all dimensions from `dim` on as one: PyTorch's `flatten(start_dim)`. `[2, 3, 4]` from
            /// dimension 1 on becomes `[2, 12]`.
            ///
            /// # Panics
            /// If the dimension does not exist.
            #[track_caller]
            pub fn flatten(&self, dim: usize) -> $type {
                let [_, size, inner] = self.shape().outer_size_inner(dim, "flatten");
                let mut sizes = self.shape()[..dim].to_vec();
                sizes.push(size * inner);
                self.reshape(&sizes[..])
            }

            /// The elements `times[d]` times along each dimension d, aligned at the last one. More numbers than dimensions add
            /// dimensions in front: `[2, 3]` repeated `[2, 1, 4]` times is `[2, 2, 12]`.
            ///
            /// # Panics
            /// With fewer numbers than dimensions, or more than six.
            #[track_caller]
            pub fn repeat(&self, times: &[usize]) -> $type {
                assert!(times.len() >= self.shape().len(), "repeat: {times:?} of {}", self.shape());
                let along = |x: $type, (dim, &times): (usize, &usize)| match times {
                    0 => x.slice(dim, 0, 0),
                    1 => x,
                    _ => $type::concat(&vec![&x; times], dim),
                };
                times.iter().enumerate().fold(self.reshape(self.shape().padded(times.len())), along)
            }
        }
    };
}
shapes!(Tensor);
