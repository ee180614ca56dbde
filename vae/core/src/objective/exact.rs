//! The three terms of the KL with the exact aggregate posterior q(z) = 1/N Σ_n q(z|x_n) over a whole data set.
//!
//! The estimate of the mutual information from a batch of B images is at most log B; the exact value is at most log N.
//! The computation compares each of N draws with each of N posteriors. These are N²·D numbers, which are computed in
//! blocks. The logsumexp of a row is the logsumexp over the results of its blocks.

use autograd::{Var, no_grad};

use super::latent_terms::{LatentTerms, pair_densities, same_shape, terms_from_densities};

/// The number of values in a block.
const BLOCK: usize = 1 << 20;

/// Returns the terms over a whole data set. z is one draw from the posterior of each image, and mu and logvar are the
/// parameters of the posteriors, each `[N, D]`. The terms are scalars in nats without gradients.
///
/// # Panics
/// If the shapes differ, or there are no images.
#[track_caller]
pub fn exact_latent_terms(z: &Var, mu: &Var, logvar: &Var) -> LatentTerms {
    blocked(z, mu, logvar, block_shape(same_shape(z, mu, logvar)))
}

/// Returns the draws and the posteriors that are compared at once, so that a block has at most [`BLOCK`] values.
fn block_shape([n, d]: [usize; 2]) -> [usize; 2] {
    let columns = (BLOCK / d).clamp(1, n);
    [(BLOCK / (columns * d)).clamp(1, n), columns]
}

fn blocked(z: &Var, mu: &Var, logvar: &Var, [rows, columns]: [usize; 2]) -> LatentTerms {
    let n = z.shape()[0];
    let parts = |size: usize| (0..n).step_by(size).map(move |first| (first, size.min(n - first)));
    no_grad(|| {
        let share = -(n as f32).ln();
        let (mut joint, mut product) = (Vec::new(), Vec::new());
        for (first, count) in parts(rows) {
            let z = z.slice(0, first, count);
            let (mut joints, mut singles) = (Vec::new(), Vec::new());
            for (first, count) in parts(columns) {
                let pairs = pair_densities(&z, &mu.slice(0, first, count), &logvar.slice(0, first, count));
                joints.push(pairs.sum(&[2], false).logsumexp(1).reshape([z.shape()[0], 1]));
                singles.push(pairs.logsumexp(1).reshape([z.shape()[0], 1, z.shape()[1]]));
            }
            joint.push(stack(&joints, 1).logsumexp(1).add_scalar(share));
            product.push(stack(&singles, 1).logsumexp(1).add_scalar(share).sum(&[1], false));
        }
        terms_from_densities(z, mu, logvar, &stack(&joint, 0), &stack(&product, 0))
    })
}

fn stack(parts: &[Var], dim: usize) -> Var {
    Var::concat(&parts.iter().collect::<Vec<_>>(), dim)
}

#[cfg(test)]
mod tests {
    use tensor::{Generator, Tensor};

    use super::*;
    use crate::config::Estimator;
    use crate::objective::latent_terms;

    fn values(terms: &LatentTerms) -> [f32; 3] {
        [&terms.mi, &terms.tc, &terms.dw_kl].map(|term| term.value().data()[0])
    }

    /// Returns a draw from each of N posteriors, and their parameters, `[N, 3]`.
    fn posteriors(n: usize) -> [Var; 3] {
        let mut rng = Generator::new(5);
        let mut normal = || rng.normal_tensor([n, 3]);
        let (mu, logvar, eps) = (Var::constant(normal()), Var::constant(normal()), normal());
        [mu.reparameterise(&logvar, &eps), mu, logvar]
    }

    #[test]
    fn a_data_set_of_one_batch_has_the_terms_of_the_batch() {
        let [z, mu, logvar] = posteriors(11);
        let batch = values(&latent_terms(&z, &mu, &logvar, Estimator::Batch, 11));
        for got in [exact_latent_terms(&z, &mu, &logvar), blocked(&z, &mu, &logvar, [4, 3])].map(|terms| values(&terms))
        {
            assert!(got.iter().zip(batch).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?} {batch:?}");
        }
    }

    #[test]
    fn a_block_is_as_large_as_memory_allows() {
        for (shape, block) in [
            ([11, 3], [11, 11]),
            ([1_000, 8], [131, 1_000]), // 131·1,000·8 is just below 2^20
            ([300_000, 512], [1, 2_048]),
            ([5, 1 << 21], [1, 1]),
        ] {
            assert_eq!(block_shape(shape), block, "{shape:?}");
        }
    }

    #[test]
    fn mutual_information_is_limited_by_the_data_set_and_not_by_a_batch() {
        // 200 images with disjoint posteriors, in one latent: MI = ln 200, but batches of 8 give at most ln 8.
        let mu = Var::constant(Tensor::new(&(0..200).map(|i| 10.0 * i as f32).collect::<Vec<_>>(), [200, 1]));
        let logvar = Var::constant(Tensor::full([200, 1], -4.0));
        let [mi, tc, _] = values(&exact_latent_terms(&mu, &mu, &logvar));
        assert!((mi - 200_f32.ln()).abs() < 1e-4 && tc.abs() < 1e-4, "{mi} {tc}");
        let some = |x: &Var| x.slice(0, 0, 8);
        let batch = latent_terms(&some(&mu), &some(&mu), &some(&logvar), Estimator::Batch, 200);
        assert!((values(&batch)[0] - 8_f32.ln()).abs() < 1e-4);
    }
}
