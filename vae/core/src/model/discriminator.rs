//! The discriminator of a VAE-GAN: convolutions that halve the image, and a linear layer.
//!
//! ```text
//! x [n, C, S, S] → 32, S/2 → 64, S/4 → 128, S/8 → f(x) [n, 1]        convolutions 4×4, stride 2, with LeakyReLU(0.2)
//!                  φ(x) = the output of layer `loss.feature_layer`
//! ```
//!
//! The channels are `loss.discriminator_channels`. There is no batch norm, so that the score of an image does not depend on the others.
//! With `loss.spectral_norm` each layer divides its weight by its largest singular value (`nn::SpectralNorm`). Without such a limit,
//! the features grow while the discriminator learns, and with them their distance in the loss.

use autograd::Var;
use nn::{Conv2d, ForwardContext, Layer, Linear, Module, SpectralNorm, Visitor};
use tensor::Generator;

use crate::config::Config;

/// The slope of the LeakyReLU for negative numbers.
const SLOPE: f32 = 0.2;

/// The discriminator of a VAE-GAN, images `[n, C, S, S]` → scores `[n, 1]`.
pub struct Discriminator {
    convs: Vec<MaybeNormed<Conv2d>>,
    output: MaybeNormed<Linear>,
    /// The number of convolutions that lead to the features.
    depth: usize,
}

/// A layer with or without spectral norm. Both have the same names for their weights.
enum MaybeNormed<L> {
    Plain(L),
    Normed(SpectralNorm<L>),
}

impl Discriminator {
    /// Creates the discriminator of a configuration with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Discriminator {
        let (channels, mut input) = (&config.loss.discriminator_channels, config.channels());
        let side = config.image_size() >> channels.len();
        let normed = config.loss.spectral_norm;
        let mut convs = Vec::with_capacity(channels.len());
        for &width in channels {
            let conv = Conv2d::new(rng, std::mem::replace(&mut input, width), width, 4).stride(2).padding(1);
            convs.push(match normed {
                true => MaybeNormed::Normed(SpectralNorm::new(rng, conv)),
                false => MaybeNormed::Plain(conv),
            });
        }
        let output = Linear::new(rng, input * side * side, 1);
        let output = match normed {
            true => MaybeNormed::Normed(SpectralNorm::new(rng, output)),
            false => MaybeNormed::Plain(output),
        };
        Discriminator { convs, output, depth: config.loss.feature_layer }
    }

    /// Returns the features φ, `[n, channels, side, side]`, and the scores f, `[n, 1]`, of images `[n, C, S, S]`.
    pub fn forward(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let (mut x, mut features) = (x.clone(), x.clone());
        for (conv, layer) in self.convs.iter().zip(1..) {
            x = conv.forward(&x, ctx).leaky_relu(SLOPE);
            if layer == self.depth {
                features = x.clone();
            }
        }
        let batch = x.shape()[0];
        let scores = self.output.forward(&x.reshape([batch, x.shape().count() / batch.max(1)]), ctx);
        (features, scores)
    }
}

nn::module!(Discriminator { convs, output });

impl<L: nn::Weighted> Module for MaybeNormed<L> {
    fn visit(&self, v: &mut Visitor) {
        match self {
            MaybeNormed::Plain(layer) => layer.visit(v),
            MaybeNormed::Normed(layer) => layer.visit(v),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            MaybeNormed::Plain(layer) => layer.kind(),
            MaybeNormed::Normed(layer) => layer.kind(),
        }
    }
}

impl<L: nn::Weighted> MaybeNormed<L> {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        match self {
            MaybeNormed::Plain(layer) => layer.forward(x, ctx),
            MaybeNormed::Normed(layer) => layer.forward(x, ctx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;
    use crate::config::Settings;

    fn discriminator(settings: &[&str]) -> Discriminator {
        let mut all = Settings::default();
        ["loss.kind=vae-gan", "loss.discriminator_channels=3,4", "data.image_size=16"]
            .iter()
            .chain(settings)
            .for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        Discriminator::new(&mut Generator::new(1), &config)
    }

    #[test]
    fn features_are_those_of_the_layer_and_each_image_has_a_score() {
        let x = Var::constant(Generator::new(2).uniform_tensor([5, 1, 16, 16], 0.0, 1.0));
        for (layer, shape) in [(1, [5, 3, 8, 8]), (2, [5, 4, 4, 4])] {
            let discriminator = discriminator(&[&format!("loss.feature_layer={layer}")]);
            let (features, scores) = discriminator.forward(&x, &ForwardContext::eval());
            assert_eq!((features.shape()[..].to_vec(), scores.shape()[..].to_vec()), (shape.to_vec(), vec![5, 1]));
        }
    }

    /// With spectral norm, the features of two images are no farther apart than a bound that does not depend on the weights.
    #[test]
    fn spectral_norm_limits_the_scores_and_has_the_same_names() {
        let [normed, plain] = ["true", "false"].map(|on| discriminator(&[&format!("loss.spectral_norm={on}")]));
        let names = |of: &Discriminator| nn::parameters(of).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&normed), names(&plain));
        assert_eq!(names(&normed)[0], "convs.0.weight");
        let apart = |of: &Discriminator| {
            nn::parameters(of).iter().for_each(|(_, param)| param.set(param.value().mul_scalar(100.0)));
            let [a, b] = [0.2, 0.8].map(|grey| Var::constant(Tensor::full([1, 1, 16, 16], grey)));
            let [a, b] = [a, b].map(|x| of.forward(&x, &ForwardContext::eval()).1.item());
            (a - b).abs()
        };
        let (normed, plain) = (apart(&normed), apart(&plain));
        // A convolution of 4×4 with stride 2 uses each pixel four times, so it stretches by at most √4.
        let distance = 0.6 * 16.0;
        assert!(normed <= 2.0 * 2.0 * distance && plain > 1e3, "{normed}, {plain}");
    }
}
