//! Finite scalar quantisation (Mentzer, Minnen, Agustsson and Tschannen, 2309.15505; the listing in appendix A.1). Each number of
//! a vector is bounded and rounded to one of L_d levels. The codebook is implied: it has K = Π L_d codes and nothing to learn.
//!
//! ```text
//! h_d = (L_d − 1)·(1 − 10⁻³)/2        o_d = ½ for even L_d, else 0
//! b_d = h_d·tanh(e_d + tan(o_d/h_d)) − o_d
//! q_d = round(b_d) / ⌊L_d/2⌋          in [−1, 1]
//! index = Σ_d (q_d·⌊L_d/2⌋ + ⌊L_d/2⌋)·Π_{i<d} L_i
//! ```
//!
//! The offset o makes room for an even number of whole numbers: with L = 8, b is in (−4, 3). The gradient of the rounding is
//! that of the identity (the straight-through estimator), so there is no commitment loss, and no code can die.

use autograd::{Buffer, Var};
use nn::ForwardContext;
use tensor::Tensor;

use super::quantiser::{Quantised, Quantiser, one_hot, rows_as_maps, toward};
use crate::config::Config;

/// The part of the range that tanh leaves out, so that no number is rounded beyond the last level.
const MARGIN: f64 = 1e-3;

/// The levels of each number of a code.
pub(super) struct Fsq {
    levels: Vec<usize>,
    /// How often each code was used in a batch of training, as a moving average, `[K, 1]`. It changes no result.
    counts: Buffer,
    decay: f32,
}

nn::module!(Fsq { counts });

impl Fsq {
    pub(super) fn new(config: &Config) -> Fsq {
        let (levels, decay) = (config.model.levels.clone(), config.model.decay as f32);
        Fsq { counts: Buffer::new(Tensor::zeros([config.model.code_count(), 1])), levels, decay }
    }

    /// Returns one constant for each number of a code, which broadcasts to feature maps: `[1, D, 1, 1]`.
    fn each(&self, like: &Tensor, constant: impl Fn(usize) -> f64) -> Tensor {
        let numbers: Vec<f32> = self.levels.iter().map(|&levels| constant(levels) as f32).collect();
        Tensor::new(&numbers, [1, numbers.len(), 1, 1]).upload(&like.device())
    }

    /// Returns the bounded maps b.
    fn bounded(&self, maps: &Var) -> Var {
        let constant = |f: &dyn Fn(usize) -> f64| Var::constant(self.each(maps.value(), f));
        let shifted = maps + &constant(&|levels| (offset(levels) / half_range(levels)).tan());
        &(&shifted.tanh() * &constant(&half_range)) - &constant(&offset)
    }

    /// Returns the index of each position for rounded maps, `[n, D, s, s]` → `[n, s, s]`.
    fn indices_of(&self, rounded: &Tensor) -> Tensor {
        let mut factors = vec![1.0];
        factors.extend(self.levels.iter().scan(1.0, |product, &levels| {
            *product *= levels as f32;
            Some(*product)
        }));
        let d = self.levels.len();
        let factors = Tensor::new(&factors[..d], [1, d, 1, 1]).upload(&rounded.device());
        let indices = rounded.add(&self.each(rounded, |levels| (levels / 2) as f64)).mul(&factors).sum(&[1], false);
        // NaN has no index. It stays in the codes, so the loss is NaN, and the run ends as one that diverged.
        indices.eq(&indices).where_cond(&indices, &indices.zeros_like())
    }

    /// Returns the implied codebook, `[K, D]`.
    fn codebook(&self) -> Tensor {
        let count: usize = self.levels.iter().product();
        let mut numbers = Vec::with_capacity(count * self.levels.len());
        for index in 0..count {
            let mut rest = index;
            for &levels in &self.levels {
                let half = (levels / 2) as f32;
                numbers.push(((rest % levels) as f32 - half) / half);
                rest /= levels;
            }
        }
        Tensor::new(&numbers, [count, self.levels.len()])
    }
}

impl Quantiser for Fsq {
    fn quantise(&self, maps: &Var, ctx: &ForwardContext) -> Quantised {
        let rounded = self.bounded(maps).round_ste();
        let count = self.counts.shape()[0];
        let chosen = one_hot(&self.indices_of(rounded.value()), count);
        if ctx.train && !self.counts.is_frozen() {
            let used = chosen.sum(&[0], false).reshape([count, 1]);
            self.counts.set(toward(&self.counts.value(), &used, self.decay));
        }
        let scale = Var::constant(self.each(maps.value(), |levels| 1.0 / (levels / 2) as f64));
        Quantised::new(&rounded * &scale, None, &chosen)
    }

    fn indices(&self, maps: &Tensor) -> Tensor {
        self.indices_of(&self.bounded(&Var::constant(maps.clone())).value().round())
    }

    fn look_up(&self, indices: &Tensor) -> Tensor {
        rows_as_maps(&self.codebook().upload(&indices.device()), indices)
    }

    fn counts(&self) -> Tensor {
        let counts = self.counts.value();
        counts.reshape([counts.shape()[0]])
    }
}

/// Returns half of the range of b, h.
fn half_range(levels: usize) -> f64 {
    (levels - 1) as f64 * (1.0 - MARGIN) / 2.0
}

/// Returns the offset of b, o.
fn offset(levels: usize) -> f64 {
    if levels.is_multiple_of(2) { 0.5 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn fsq(levels: &str) -> Fsq {
        let mut settings = Settings::default();
        ["model.kind=fsq", "model.decay=0.75", &format!("model.levels={levels}")]
            .iter()
            .for_each(|setting| settings.assignment(setting).unwrap());
        Fsq::new(&settings.resolve().unwrap())
    }

    /// Vectors, `[n, D]`, as maps with one position, `[n, D, 1, 1]`.
    fn maps(rows: &[[f32; 4]]) -> Var {
        Var::leaf(Tensor::new(rows.as_flattened(), [rows.len(), 4, 1, 1]))
    }

    /// The answers are those of the paper's listing (appendix A.1), run with NumPy in f64.
    #[test]
    fn numbers_are_bounded_rounded_and_numbered_as_in_the_paper() {
        let fsq = fsq("8,5,2,3");
        let z = maps(&[
            [0.0; 4],
            [-9.0; 4],
            [9.0; 4],
            [0.3, -0.4, 0.2, 0.7],
            [-0.8, 1.1, -1.9, -0.5],
            [1.5, 0.2, 0.9, -0.2],
        ]);
        let bounded = fsq.bounded(&z);
        let expected = [
            [-1.4e-5, 0.0, -0.042679, 0.0],
            [-3.9965, -1.998, -0.9995, -0.999],
            [2.9965, 1.998, -0.0005, 0.999],
            [0.957832, -0.759138, -0.029173, 0.603763],
            [-2.512958, 1.599397, -0.663199, -0.461655],
            [2.744847, 0.394356, -0.007727, -0.197178],
        ];
        for (found, expected) in bounded.value().data().iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 2e-6, "{found}, expected {expected}");
        }
        let codes = fsq.quantise(&z, &ForwardContext::eval()).codes;
        let expected = [
            [0.0, 0.0, 0.0, 0.0],
            [-1.0, -1.0, -1.0, -1.0],
            [0.75, 1.0, 0.0, 1.0],
            [0.25, -0.5, 0.0, 1.0],
            [-0.75, 1.0, -1.0, 0.0],
            [0.75, 0.0, 0.0, 0.0],
        ];
        assert_eq!(codes.value().data(), expected.as_flattened());
        assert_eq!(fsq.indices(z.value()).data(), [140.0, 0.0, 239.0, 213.0, 113.0, 143.0]);
    }

    /// Every index has a code of its own, and the code has this index.
    #[test]
    fn an_index_and_its_code_are_one_to_one() {
        let fsq = fsq("8,5,2,3");
        let all: Vec<f32> = (0..240).map(|i| i as f32).collect();
        let codes = fsq.look_up(&Tensor::new(&all, [240, 1, 1]));
        let half = fsq.each(&codes, |levels| (levels / 2) as f64);
        assert_eq!(fsq.indices_of(&codes.mul(&half)).data(), all);
        assert!(codes.data().iter().all(|x| (-1.0..=1.0).contains(x)));
    }

    /// A run that diverges is noticed by its loss. The search for an index must not panic before that.
    #[test]
    fn nan_stays_in_the_codes() {
        let fsq = fsq("8,5,2,3");
        let z = maps(&[[0.0, f32::NAN, 0.0, 0.0], [9.0; 4]]);
        let codes = fsq.quantise(&z, &ForwardContext::train(1, 1)).codes;
        let nan: Vec<bool> = codes.value().data().iter().map(|x| x.is_nan()).collect();
        assert_eq!(nan, [false, true, false, false, false, false, false, false]);
        assert_eq!(fsq.indices(z.value()).data(), [0.0, 239.0]);
    }

    /// The gradient of q is that of b / ⌊L/2⌋, as if nothing had been rounded.
    #[test]
    fn gradients_pass_through_the_rounding() {
        let fsq = fsq("8,5,2,3");
        let z = maps(&[[0.3, -0.4, 0.2, 0.7]]);
        let gradients = fsq.quantise(&z, &ForwardContext::eval()).codes.sum_all().backward();
        let found = gradients.of(&z).unwrap().data().to_vec();
        for ((found, &levels), e) in found.iter().zip(&fsq.levels).zip([0.3_f64, -0.4, 0.2, 0.7]) {
            let (h, o) = (half_range(levels), offset(levels));
            let expected = h * (1.0 - (e + (o / h).tan()).tanh().powi(2)) / (levels / 2) as f64;
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{levels} levels: {found}, expected {expected}");
        }
    }

    #[test]
    fn uses_are_counted_in_training_only() {
        let fsq = fsq("2,2");
        let z = Var::leaf(Tensor::new(&[-9.0, -9.0, 9.0, -9.0, 9.0, -9.0], [3, 2, 1, 1]));
        let quantised = fsq.quantise(&z, &ForwardContext::eval());
        assert_eq!(fsq.counts().data(), [0.0; 4]);
        assert_eq!(quantised.used.value().data(), [2.0]);
        let entropy = -(1.0_f64 / 3.0).ln() / 3.0 - (2.0_f64 / 3.0).ln() * 2.0 / 3.0;
        assert!((f64::from(quantised.perplexity.value().data()[0]) - entropy.exp()).abs() < 1e-5);
        fsq.quantise(&z, &ForwardContext::train(1, 1));
        assert_eq!(fsq.counts().data(), [0.25, 0.5, 0.0, 0.0]);
    }
}
