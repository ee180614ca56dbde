//! An autoregressive prior of codes (van den Oord et al., 1711.00937, section 3.3), as a small transformer (Vaswani et al.,
//! 1706.03762; with the norm before each block, Radford et al., 2019). The codes k₁ … k_L of an image are read row by row:
//!
//! ```text
//! p(k) = Π_i p(k_i | k_1 … k_{i−1})
//! h = token[start, k_1 … k_{L−1}] + position
//! for each block:  h ← h + attention(norm h),  h ← h + W₂·gelu(W₁·norm h)
//! p(k_i | …) = softmax(W·norm h_i)
//! ```
//!
//! The attention is causal, so one pass gives the probabilities of all positions. To draw, the positions are computed one after
//! the other.

use autograd::{Var, no_grad};
use nn::{Embedding, ForwardContext, Layer, LayerNorm, Linear, TransformerEncoderLayer, loss};
use tensor::{Device, Generator, Tensor};

use super::categorical::draw_index;
use super::{Prior, Trainable};
use crate::config;

/// The number of images that are drawn at once.
const CHUNK: usize = 256;

/// A prior of codes, `[count, L]`, each below the number of codes.
pub(super) struct Transformer {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<TransformerEncoderLayer>,
    norm: LayerNorm,
    head: Linear,
    codes: usize,
    length: usize,
}

nn::module!(Transformer { tokens, positions, blocks, norm, head });

impl Transformer {
    /// Creates a prior of sequences of `length` codes, each below `codes`.
    pub(super) fn new(rng: &mut Generator, settings: &config::Prior, codes: usize, length: usize) -> Transformer {
        let width = settings.width();
        Transformer {
            tokens: Embedding::new(rng, codes + 1, width), // the last is the start
            positions: Embedding::new(rng, length, width),
            blocks: (0..settings.blocks()).map(|_| TransformerEncoderLayer::new(rng, width, settings.heads)).collect(),
            norm: LayerNorm::new([width]),
            head: Linear::new(rng, width, codes).no_bias(),
            codes,
            length,
        }
    }

    /// Returns the number of weights of such a prior.
    pub(super) fn weights(settings: &config::Prior, codes: usize, length: usize) -> f64 {
        let [width, blocks, codes, length] = [settings.width(), settings.blocks(), codes, length].map(|n| n as f64);
        width * (2.0 * codes + length) + blocks * 12.0 * width * width
    }

    /// Returns the tokens of the start, `[batch, 1]`.
    fn start(&self, batch: usize, device: &Device) -> Tensor {
        Tensor::ones([batch, 1]).mul_scalar(self.codes as f32).upload(device)
    }

    /// Returns the vectors h of the start and the codes so far, `[batch, n]` → `[batch, n, width]`, for n ≤ L.
    fn vectors(&self, tokens: &Tensor, ctx: &ForwardContext) -> Var {
        let (n, device) = (tokens.shape()[1], tokens.device());
        let places: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let places = Var::constant(Tensor::new(&places, [n]).upload(&device));
        let mask = Var::constant(Tensor::causal_mask(n).upload(&device));
        let h = self.tokens.forward(&Var::constant(tokens.clone()), ctx) + self.positions.forward(&places, ctx);
        self.blocks.iter().fold(h, |h, block| block.forward(&h, Some(&mask), ctx))
    }

    /// Returns the logits of the codes after some vectors h, `[batch, n, width]` → `[batch·n, codes]`.
    fn head(&self, h: &Var, ctx: &ForwardContext) -> Var {
        let [batch, n] = [h.shape()[0], h.shape()[1]];
        self.head.forward(&self.norm.forward(h, ctx), ctx).reshape([batch * n, self.codes])
    }

    /// Returns the logits of each code given those before it, `[batch, L]` → `[batch·L, codes]`.
    fn logits(&self, codes: &Tensor, ctx: &ForwardContext) -> Var {
        let start = self.start(codes.shape()[0], &codes.device());
        let tokens = match self.length {
            1 => start,
            length => Tensor::concat(&[&start, &codes.slice(1, 0, length - 1)], 1),
        };
        self.head(&self.vectors(&tokens, ctx), ctx)
    }

    /// Draws the codes of a few images, `[count, L]`.
    fn draw_at_once(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let (ctx, mut tokens) = (ForwardContext::eval(), self.start(count, device));
        for n in 0..self.length {
            let logits = no_grad(|| self.head(&self.vectors(&tokens, &ctx).slice(1, n, 1), &ctx));
            let next = draw_index(logits.value(), rng).reshape([count, 1]);
            tokens = Tensor::concat(&[&tokens, &next], 1);
        }
        tokens.slice(1, 1, self.length)
    }
}

impl Prior for Transformer {
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let parts: Vec<Tensor> =
            (0..count).step_by(CHUNK).map(|first| self.draw_at_once(CHUNK.min(count - first), device, rng)).collect();
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    fn nats(&self, latents: &Tensor) -> Tensor {
        let (count, ctx) = (latents.shape()[0], ForwardContext::eval());
        let probabilities = no_grad(|| self.logits(latents, &ctx).log_softmax(1));
        let of_codes = probabilities.value().gather(&latents.reshape([count * self.length]));
        of_codes.reshape([count, self.length]).sum(&[1], false).mul_scalar(-1.0)
    }

    fn words(&self) -> String {
        format!("transformer prior of {} codes of {}", self.length, self.codes)
    }
}

impl Trainable for Transformer {
    /// The mean of −ln p(k_i | …) over positions and images: nats per code.
    fn loss(&self, codes: &Tensor, _: &mut Generator) -> Var {
        let logits = self.logits(codes, &ForwardContext::eval());
        loss::cross_entropy(&logits, &codes.reshape([codes.shape().count()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformer(codes: usize, length: usize) -> Transformer {
        let settings = config::Prior { width: Some(8), heads: 2, ..config::Prior::default() };
        Transformer::new(&mut Generator::new(1), &settings, codes, length)
    }

    /// A later code changes no probability of an earlier one, and an earlier one changes those of later ones.
    #[test]
    fn a_code_depends_on_those_before_it_only() {
        let prior = transformer(5, 4);
        let logits = |codes: [f32; 4]| {
            let logits = prior.logits(&Tensor::new(&codes, [1, 4]), &ForwardContext::eval());
            logits.value().data().to_vec()
        };
        let (a, b) = (logits([0.0, 1.0, 2.0, 3.0]), logits([0.0, 1.0, 4.0, 3.0]));
        assert_eq!(a[..15], b[..15]);
        assert_ne!(a[15..], b[15..]);
        let c = logits([1.0, 1.0, 2.0, 3.0]);
        assert_eq!(a[..5], c[..5], "the first code depends on no other");
        assert!((1..4).all(|i| a[5 * i..][..5] != c[5 * i..][..5]));
    }

    #[test]
    fn the_nats_of_images_are_the_loss_of_their_codes() {
        let (prior, codes) = (transformer(5, 3), Tensor::new(&[0.0, 1.0, 2.0, 4.0, 4.0, 3.0], [2, 3]));
        let nats = prior.nats(&codes);
        for i in 0..2 {
            let loss = prior.loss(&codes.slice(0, i, 1), &mut Generator::new(0)).item();
            assert!((nats.data()[i] - 3.0 * loss).abs() < 1e-5, "{nats:?}, {loss}");
        }
    }

    /// exp(−L·loss) is a distribution: over all sequences it sums to 1. Sequences are drawn with its probabilities.
    #[test]
    fn sequences_are_drawn_with_the_probabilities_of_the_loss() {
        let prior = transformer(3, 2);
        let of = |a: usize, b: usize| {
            let loss = prior.loss(&Tensor::new(&[a as f32, b as f32], [1, 2]), &mut Generator::new(0));
            (-2.0 * f64::from(loss.item())).exp()
        };
        let p: Vec<f64> = (0..9).map(|i| of(i / 3, i % 3)).collect();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{p:?}");
        let drawn = prior.draw(20_000, &Device::Cpu, &mut Generator::new(7));
        let mut counts = [0.0; 9];
        drawn.data().chunks_exact(2).for_each(|pair| counts[3 * pair[0] as usize + pair[1] as usize] += 1.0 / 20_000.0);
        assert!(p.iter().any(|&p| (p - 1.0 / 9.0).abs() > 0.03), "not uniform: {p:?}");
        for (p, share) in p.iter().zip(counts) {
            assert!((p - share).abs() < 5.0 * (p / 20_000.0).sqrt(), "{share}, expected {p}");
        }
    }

    #[test]
    fn the_number_of_weights_is_estimated() {
        for (codes, length) in [(5, 4), (512, 64)] {
            let settings = config::Prior::default();
            let prior = Transformer::new(&mut Generator::new(1), &settings, codes, length);
            let (truth, estimate) = (nn::count(&prior) as f64, Transformer::weights(&settings, codes, length));
            assert!((estimate / truth - 1.0).abs() < 0.05, "{estimate} for {truth}");
        }
    }

    #[test]
    fn a_vector_is_the_sum_of_those_of_a_code_and_its_position() {
        let settings = config::Prior { width: Some(8), heads: 2, blocks: Some(0), ..config::Prior::default() };
        let prior = Transformer::new(&mut Generator::new(1), &settings, 5, 4);
        let vectors = prior.vectors(&Tensor::new(&[5.0, 2.0], [1, 2]), &ForwardContext::eval());
        let tables = nn::parameters(&prior);
        let row = |table: usize, i: usize| tables[table].1.value().data()[8 * i..][..8].to_vec();
        assert_eq!((tables[0].0.as_str(), tables[1].0.as_str()), ("tokens.weight", "positions.weight"));
        let expected = [(5, 0), (2, 1)].into_iter().flat_map(|(code, place)| {
            row(0, code).into_iter().zip(row(1, place)).map(|(a, b)| a + b).collect::<Vec<f32>>()
        });
        assert_eq!(vectors.value().data(), expected.collect::<Vec<f32>>());
    }

    /// The loss is per code, and −ln p of a sequence is a sum over its codes.
    #[test]
    fn the_nats_of_a_sequence_are_a_sum() {
        let (prior, codes) = (transformer(5, 4), Tensor::new(&[0.0, 1.0, 2.0, 3.0], [1, 4]));
        let loss = prior.loss(&codes, &mut Generator::new(1)).item();
        assert_eq!(prior.nats(&codes).item(), 4.0 * loss);
    }
}
