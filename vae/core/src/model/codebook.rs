//! A codebook that is learnt (van den Oord, Vinyals and Kavukcuoglu, 1711.00937). A vector e is replaced by the nearest of K
//! codes, which is the code c with the largest e·c − ½|c|².
//!
//! The codes are not trained by gradients but follow exponential moving averages (appendix A.1; Razavi, van den Oord
//! and Vinyals, 1906.00446). γ is the decay, and n_k is the number of positions in a training batch whose nearest code
//! is k:
//!
//! ```text
//! N_k ← γ·N_k + (1 − γ)·n_k      M_k ← γ·M_k + (1 − γ)·Σ e at those positions      c_k = M_k / N_k
//! ```
//!
//! A code with N_k < 0.1, as all codes have at the start, is replaced by a vector e of the batch, which the seed and
//! the step choose, with N_k = 1. None of this transfers data from the device to the host.

use autograd::{Buffer, Var};
use nn::ForwardContext;
use tensor::Tensor;

use super::quantiser::{Quantised, Quantiser, one_hot, places, rows_as_maps, toward};
use crate::config::Config;
use crate::random::Purpose;

/// The value of N_k below which a code is replaced.
const DEAD: f32 = 0.1;

/// The codes and their moving averages.
pub(super) struct Codebook {
    codes: Buffer,  // [K, D]
    counts: Buffer, // [K, 1]: N
    sums: Buffer,   // [K, D]: M
    decay: f32,
    seed: u64,
}

nn::module!(Codebook { codes, counts, sums });

impl Codebook {
    pub(super) fn new(config: &Config) -> Codebook {
        let (k, d) = (config.model.codes, config.model.code_width);
        let buffer = |shape| Buffer::new(Tensor::zeros(shape));
        let (codes, counts, sums) = (buffer([k, d]), buffer([k, 1]), buffer([k, d]));
        Codebook { codes, counts, sums, decay: config.model.decay as f32, seed: config.seed }
    }

    /// Returns the index of the nearest code of each vector, `[places, D]` → `[places]`.
    fn nearest(&self, places: &Tensor) -> Tensor {
        let codes = self.codes.value();
        let half = codes.square().sum(&[1], true).mul_scalar(0.5); // [K, 1]
        codes.matmul_nt(places).sub(&half).argmax(0)
    }

    /// Replaces codes that are hardly used. Their new values are vectors of this batch.
    fn restart(&self, places: &Tensor, step: u64) {
        let (counts, k) = (self.counts.value(), self.counts.shape()[0]);
        let dead = counts.mul_scalar(-1.0).add_scalar(DEAD).mul_scalar(1e9).clamp(0.0, 1.0); // [K, 1]: 1 or 0
        let mut rng = Purpose::Codes.stream(self.seed, step);
        let chosen: Vec<f32> = (0..k).map(|_| rng.below(places.shape()[0]) as f32).collect();
        let fresh = places.index_select(&Tensor::new(&chosen, [k]).upload(&places.device()));
        let kept = dead.mul_scalar(-1.0).add_scalar(1.0);
        let mix = |old: &Tensor, new: &Tensor| old.mul(&kept).add(&new.mul(&dead));
        self.codes.set(mix(&self.codes.value(), &fresh));
        self.sums.set(mix(&self.sums.value(), &fresh));
        self.counts.set(counts.mul(&kept).add(&dead));
    }

    /// Updates the moving averages with the vectors of a batch and the one-hot indices of their codes.
    fn update(&self, places: &Tensor, chosen: &Tensor) {
        let (k, d) = (self.codes.shape()[0], self.codes.shape()[1]);
        let counts = toward(&self.counts.value(), &chosen.sum(&[0], false).reshape([k, 1]), self.decay);
        let sums = toward(&self.sums.value(), &chosen.matmul_tn(places).reshape([k, d]), self.decay);
        self.codes.set(sums.div(&counts));
        self.counts.set(counts);
        self.sums.set(sums);
    }
}

impl Quantiser for Codebook {
    /// The decoder receives e + sg(q − e), where sg stops the gradient. Its gradient therefore reaches e as if e had not been
    /// quantised (the straight-through estimator).
    fn quantise(&self, maps: &Var, ctx: &ForwardContext) -> Quantised {
        let [n, _, height, width] = maps.shape().nchw("quantise");
        let places = places(maps.value());
        let learns = ctx.train && !self.codes.is_frozen();
        if learns {
            self.restart(&places, ctx.step);
        }
        let nearest = self.nearest(&places);
        let q = self.look_up(&nearest.reshape([n, height, width]));
        let chosen = one_hot(&nearest, self.codes.shape()[0]);
        if learns {
            self.update(&places, &chosen);
        }
        let straight_through = maps + &Var::constant(q.sub(maps.value()));
        Quantised::new(straight_through, Some(nn::loss::sse(maps, &q)), &chosen)
    }

    fn indices(&self, maps: &Tensor) -> Tensor {
        let [n, _, height, width] = maps.shape().nchw("indices");
        self.nearest(&places(maps)).reshape([n, height, width])
    }

    fn look_up(&self, indices: &Tensor) -> Tensor {
        rows_as_maps(&self.codes.value(), indices)
    }

    fn counts(&self) -> Tensor {
        let counts = self.counts.value();
        counts.reshape([counts.shape()[0]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn book(codes: &[f32], k: usize, d: usize) -> Codebook {
        let mut settings = Settings::default();
        let (codes_key, width_key) = (format!("model.codes={k}"), format!("model.code_width={d}"));
        ["model.kind=vq", "model.decay=0.75", &codes_key, &width_key]
            .iter()
            .for_each(|setting| settings.assignment(setting).unwrap());
        let book = Codebook::new(&settings.resolve().unwrap());
        book.codes.set(Tensor::new(codes, [k, d]));
        book.sums.set(Tensor::new(codes, [k, d]));
        book.counts.set(Tensor::ones([k, 1]));
        book
    }

    #[test]
    fn the_nearest_code_is_found_and_the_first_of_equal_ones() {
        let book = book(&[0.0, 0.0, 3.0, 4.0, 3.0, 4.0, 100.0, 0.0], 4, 2);
        let places = Tensor::new(&[0.1, -0.1, 2.0, 3.0, 1.4, 2.1, 52.0, 1.0, 51.0, 3.0], [5, 2]);
        assert_eq!(book.nearest(&places).data(), [0.0, 1.0, 1.0, 3.0, 1.0]);
    }

    /// With γ = ¾: N = ¾·1 + ¼·2 and M = ¾·c + ¼·Σ e for the code that is nearest to two vectors, and ¾ of both for the
    /// others.
    #[test]
    fn codes_follow_moving_averages() {
        let book = book(&[0.0, 10.0, 20.0], 3, 1);
        let places = Tensor::new(&[8.0, 9.0], [2, 1]);
        let chosen = Tensor::new(&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [2, 3]);
        book.update(&places, &chosen);
        assert_eq!(book.counts.value().data(), [0.75, 1.25, 0.75]);
        assert_eq!(book.sums.value().data(), [0.0, 11.75, 15.0]);
        assert_eq!(book.codes.value().data(), [0.0, 11.75 / 1.25, 20.0]);
    }

    #[test]
    fn an_unused_code_is_replaced_by_a_vector_of_the_batch_and_others_stay() {
        let book = book(&[0.0, 10.0, 20.0, 30.0], 4, 1);
        book.counts.set(Tensor::new(&[5.0, 0.0999, 0.1, 0.0], [4, 1]));
        let places = Tensor::new(&[7.0, 7.5], [2, 1]);
        book.restart(&places, 3);
        let codes = book.codes.value();
        assert_eq!([codes.data()[0], codes.data()[2]], [0.0, 20.0]);
        assert!([1, 3].iter().all(|&k| places.data().contains(&codes.data()[k])), "{codes:?}");
        assert_eq!(book.counts.value().data(), [5.0, 1.0, 0.1, 1.0]);
        assert_eq!(book.sums.value().data()[1], codes.data()[1]);
    }

    /// The decoder's gradient reaches the feature maps unchanged, and the decoder's input are codes.
    #[test]
    fn gradients_pass_straight_through() {
        let book = book(&[0.0, 4.0, 100.0], 3, 1);
        let maps = Var::leaf(Tensor::new(&[1.0, 3.0, 5.0, -1.0], [1, 1, 2, 2]));
        let Quantised { codes, commitment, perplexity, used } = book.quantise(&maps, &ForwardContext::eval());
        let commitment = commitment.unwrap();
        assert_eq!(codes.value().data(), [0.0, 4.0, 4.0, 0.0]);
        let indices = book.indices(maps.value());
        assert_eq!(indices.data(), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(book.look_up(&indices).data(), codes.value().data());
        assert_eq!(commitment.value().data(), [4.0]);
        assert!((perplexity.value().data()[0] - 2.0).abs() < 1e-5, "two codes, half of the places each");
        assert_eq!(used.value().data(), [2.0]);
        let dy = Tensor::new(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
        assert_eq!(codes.backward_with(dy.clone()).of(&maps).unwrap().data(), dy.data());
        assert_eq!(commitment.backward().of(&maps).unwrap().data(), [2.0, -2.0, 2.0, -2.0]);
        assert_eq!(book.counts.value().data(), [1.0; 3], "evaluation leaves the codes alone");
    }
}
