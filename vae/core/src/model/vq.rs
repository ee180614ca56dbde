//! VQ-VAE (van den Oord, Vinyals and Kavukcuoglu, 1711.00937): each vector of the encoder's last feature maps is
//! replaced by the nearest of K codes.
//!
//! ```text
//! x [n, C, S, S] → an encoder without heads → 1×1 convolution → e [n, D, s, s] → nearest codes q [n, D, s, s]
//! q → 1×1 convolution, ReLU → the decoder that mirrors the encoder → [n, C, S, S]
//! ```
//!
//! The nearest code c has the largest e·c − ½|c|². The decoder receives e + sg(q − e), where sg stops the gradient. Its
//! gradient therefore reaches e as if e had not been quantised (the straight-through estimator).
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
use nn::{Conv2d, ForwardContext, Layer, Module, Visitor};
use tensor::{Generator, Tensor};

use crate::config::{Config, ModelKind};
use crate::model::{convolutional, resnet};
use crate::random::Purpose;

/// The value of N_k below which a code is replaced.
const DEAD: f32 = 0.1;

/// A VQ-VAE (van den Oord et al., 1711.00937): images `[n, C, S, S]` → feature maps `[n, D, s, s]` → the nearest of K
/// codes at each position → images. The codes follow moving averages and get no gradients.
pub struct Vq {
    trunk: Box<dyn Layer>,
    /// 1×1 convolutions from the encoder's channels to the width of the codes, and back.
    code: Conv2d,
    back: Conv2d,
    decoder_trunk: Box<dyn Layer>,
    book: Codebook,
}

/// The codes and their moving averages.
struct Codebook {
    codes: Buffer,  // [K, D]
    counts: Buffer, // [K, 1]: N
    sums: Buffer,   // [K, D]: M
    decay: f32,
    seed: u64,
}

/// Quantised feature maps.
pub struct Quantised {
    /// The codes, `[n, D, s, s]`. Their gradient flows to the feature maps that they replace.
    pub codes: Var,
    /// The commitment loss Σ |e − sg(q)|², summed over the positions of an image, averaged over images and unweighted:
    /// a scalar. sg stops the gradient.
    pub commitment: Var,
    /// The perplexity exp(−Σ p ln p), the effective number of codes in use: a scalar. p is the fraction of the batch's
    /// positions that each code has.
    pub perplexity: Var,
}

impl Vq {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Vq {
        let (model, channels) = (&config.model, config.channels());
        let (trunk, features): (Box<dyn Layer>, usize) = match model.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => {
                let trunk = resnet::Trunk::new(rng, config, channels);
                let features = trunk.features;
                (Box::new(trunk), features)
            }
            _ => {
                let trunk = convolutional::Trunk::new(rng, config, channels);
                (Box::new(trunk), *model.conv_widths().last().expect("one convolution at least"))
            }
        };
        let code = Conv2d::new(rng, features, model.code_width, 1);
        let back = Conv2d::new(rng, model.code_width, features, 1);
        let decoder_trunk: Box<dyn Layer> = match model.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => Box::new(resnet::DecoderTrunk::new(rng, config)),
            _ => Box::new(convolutional::DecoderTrunk::new(rng, config)),
        };
        Vq { trunk, code, back, decoder_trunk, book: Codebook::new(config) }
    }

    /// Returns the feature maps before quantisation, `[n, D, s, s]`.
    pub fn encode(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.code.forward(&self.trunk.forward(x, ctx), ctx)
    }

    /// Returns the index of the nearest code at each position of the feature maps, `[n, D, s, s]` → `[n, s, s]`.
    pub fn indices(&self, maps: &Tensor) -> Tensor {
        let [n, _, height, width] = maps.shape().nchw("indices");
        self.book.nearest(&places(maps)).reshape([n, height, width])
    }

    /// Returns the codes with these indices, `[n, s, s]` → `[n, D, s, s]`.
    pub fn look_up(&self, indices: &Tensor) -> Tensor {
        let [n, height, width] = [0, 1, 2].map(|dim| indices.shape()[dim]);
        let codes = self.book.codes.value();
        let places = codes.index_select(&indices.reshape([n * height * width]));
        places.reshape([n, height, width, codes.shape()[1]]).permute(&[0, 3, 1, 2])
    }

    /// Returns how often each code was the nearest in a batch of training, as a moving average, `[K]`.
    pub fn code_counts(&self) -> Tensor {
        let counts = self.book.counts.value();
        counts.reshape([counts.shape()[0]])
    }

    /// Replaces each position of the feature maps by its nearest code. In training this also updates the codes.
    pub fn quantise(&self, maps: &Var, ctx: &ForwardContext) -> Quantised {
        let [n, _, height, width] = maps.shape().nchw("quantise");
        let places = places(maps.value());
        let learns = ctx.train && !self.book.codes.is_frozen();
        if learns {
            self.book.restart(&places, ctx.step);
        }
        let codes = self.book.codes.value();
        let nearest = self.book.nearest(&places);
        let q = self.look_up(&nearest.reshape([n, height, width]));
        let chosen = Tensor::ones([n * height * width]).upload(&places.device());
        let chosen = chosen.gather_gradient(&nearest, codes.shape()[0]); // one-hot, [places, K]
        if learns {
            self.book.update(&places, &chosen);
        }
        let shares = chosen.mean(&[0], false);
        let entropy = shares.mul(&shares.add_scalar(1e-10).log()).sum_all().mul_scalar(-1.0);
        Quantised {
            commitment: nn::loss::sse(maps, &q),
            codes: maps + &Var::constant(q.sub(maps.value())),
            perplexity: Var::constant(entropy.exp()),
        }
    }

    /// Decodes quantised feature maps to images before the output activation.
    pub fn decode(&self, codes: &Var, ctx: &ForwardContext) -> Var {
        self.decoder_trunk.forward(&self.back.forward(codes, ctx).relu(), ctx)
    }
}

/// Returns the vectors at all positions of feature maps, `[n, D, s, s]` → `[n·s·s, D]`.
fn places(maps: &Tensor) -> Tensor {
    let [n, d, height, width] = maps.shape().nchw("places");
    maps.permute(&[0, 2, 3, 1]).reshape([n * height * width, d])
}

impl Codebook {
    fn new(config: &Config) -> Codebook {
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
        let toward = |old: Tensor, new: Tensor| old.mul_scalar(self.decay).add(&new.mul_scalar(1.0 - self.decay));
        let (k, d) = (self.codes.shape()[0], self.codes.shape()[1]);
        let counts = toward(self.counts.value(), chosen.sum(&[0], false).reshape([k, 1]));
        let sums = toward(self.sums.value(), chosen.matmul_tn(places).reshape([k, d]));
        self.codes.set(sums.div(&counts));
        self.counts.set(counts);
        self.sums.set(sums);
    }
}

impl Module for Vq {
    fn visit(&self, v: &mut Visitor) {
        v.child("encoder", &Half(&*self.trunk, &self.code));
        v.child("codebook", &self.book);
        v.child("decoder", &Half(&*self.decoder_trunk, &self.back));
    }
}

/// An encoder or decoder and the convolution between it and the codes, which is named `code`.
struct Half<'a>(&'a dyn Layer, &'a Conv2d);

impl Module for Half<'_> {
    fn visit(&self, v: &mut Visitor) {
        self.0.visit(v);
        v.child("code", self.1);
    }
}

nn::module!(Codebook { codes, counts, sums });

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
        let mut settings = Settings::default();
        ["model.kind=vq", "model.codes=2", "model.code_width=1", "data.image_size=4"]
            .iter()
            .for_each(|setting| settings.assignment(setting).unwrap());
        let config = settings.resolve().unwrap();
        let mut vq = Vq::new(&mut Generator::new(1), &config);
        vq.book = book(&[0.0, 4.0], 2, 1);
        let maps = Var::leaf(Tensor::new(&[1.0, 3.0, 5.0, -1.0], [1, 1, 2, 2]));
        let Quantised { codes, commitment, perplexity } = vq.quantise(&maps, &ForwardContext::eval());
        assert_eq!(codes.value().data(), [0.0, 4.0, 4.0, 0.0]);
        let indices = vq.indices(maps.value());
        assert_eq!(indices.data(), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(vq.look_up(&indices).data(), codes.value().data());
        assert_eq!(commitment.value().data(), [4.0]);
        assert!((perplexity.value().data()[0] - 2.0).abs() < 1e-5, "two codes, half of the places each");
        let dy = Tensor::new(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
        assert_eq!(codes.backward_with(dy.clone()).of(&maps).unwrap().data(), dy.data());
        assert_eq!(commitment.backward().of(&maps).unwrap().data(), [2.0, -2.0, 2.0, -2.0]);
        assert_eq!(vq.book.counts.value().data(), [1.0, 1.0], "evaluation leaves the codes alone");
    }
}
