//! The loss of the FactorVAE (Kim and Mnih, 1802.05983, eq. 2 and algorithm 2), which penalises the total correlation TC of the
//! latents. A discriminator D estimates it: it learns to tell draws z ~ q(z) from draws z' of the product of the marginals q(z_d).
//!
//! ```text
//! D(z) = sigmoid(f(z))                                          f: linear layers with LeakyReLU(0.2) between them, [B, z] → [B, 1]
//! TC   = KL(q(z) ‖ Π_d q(z_d)) ≈ mean of ln D(z)/(1 − D(z))      = mean of f(z)
//!
//! the VAE minimises             reconstruction + β·KL + γ·TC
//! the discriminator minimises   −½·mean ln D(z) − ½·mean ln(1 − D(z'))
//!                               = ½·mean softplus(−f(z)) + ½·mean softplus(f(z'))
//! ```
//!
//! z' is made from the z of the batch: the values of each latent are permuted among the images, each latent by a permutation of its
//! own. The paper permutes the draws of a second batch, which would cost another pass through the encoder. A discriminator that
//! cannot tell them apart has D = ½, a loss of ln 2 and TC = 0.
//!
//! One backward pass over the sum of both losses gives both gradients. In the VAE's loss the parameters of D are constants, and in D's
//! loss the draws are, so no gradient of one loss reaches the other's parameters. Adam moves those of D at a rate and with decay rates
//! of their own (`train`).

use std::rc::Rc;

use autograd::Var;
use nn::{ForwardContext, Layer, Linear, Module, Visitor};
use tensor::{Generator, Tensor};

use super::Terms;
use crate::config::{Config, LossKind};
use crate::random::Purpose;

/// The slope of the LeakyReLU for negative numbers.
const SLOPE: f32 = 0.2;

/// The weight γ and the discriminator.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    gamma: f64,
    discriminator: Rc<Discriminator>,
}

impl Factor {
    /// Returns `None` for the other losses.
    pub(super) fn new(config: &Config) -> Option<Factor> {
        let loss = &config.loss;
        if loss.kind != LossKind::Factor {
            return None;
        }
        let mut rng = Purpose::Weights.stream(config.seed, 1); // the model's are those of stream 0
        let sizes = [config.model.z_dim, loss.discriminator_width, loss.discriminator_layers, 1];
        Some(Factor { gamma: loss.gamma, discriminator: Rc::new(Discriminator::new(&mut rng, sizes)) })
    }

    /// Adds γ·TC to the loss of a batch, and the loss of the discriminator to its gradient. `z` are the draws, `[B, z]`, and
    /// `permutation` the places in them from which z' is taken, `[B·z]`.
    pub(super) fn add_to(&self, terms: Terms, z: &Var, permutation: &Tensor, ctx: &ForwardContext) -> Terms {
        let [images, width] = z.shape().matrix("factor");
        let f = |z: &Var| self.discriminator.forward(z, ctx);
        let parameters = nn::parameters(&*self.discriminator);
        let tc = nn::with_constants(parameters.iter().map(|(_, parameter)| parameter), || f(z)).mean_all();
        let z = z.detach();
        let permuted = z.value().reshape([images * width, 1]).index_select(permutation).reshape([images, width]);
        let drawn = f(&z).mul_scalar(-1.0).softplus().mean_all();
        let loss = (drawn + f(&Var::constant(permuted)).softplus().mean_all()).mul_scalar(0.5);
        terms.plus("tc", self.gamma, tc).with_opponent("discriminator", 1.0, loss)
    }
}

impl Module for Factor {
    fn visit(&self, v: &mut Visitor) {
        v.child("discriminator", &*self.discriminator);
    }
}

/// Hidden layers, and a layer of outputs.
#[derive(Debug)]
pub(super) struct Discriminator {
    hidden: Vec<Linear>,
    output: Linear,
}

impl Discriminator {
    pub(super) fn new(rng: &mut Generator, [latents, width, layers, outputs]: [usize; 4]) -> Discriminator {
        let inputs = std::iter::once(latents).chain(std::iter::repeat(width));
        let hidden = inputs.take(layers).map(|input| Linear::new(rng, input, width)).collect();
        Discriminator { hidden, output: Linear::new(rng, width, outputs) }
    }

    /// Returns f(z), `[B, outputs]`.
    pub(super) fn forward(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let features = self.hidden.iter().fold(z.clone(), |x, layer| layer.forward(&x, ctx).leaky_relu(SLOPE));
        self.output.forward(&features, ctx)
    }
}

nn::module!(Discriminator { hidden, output });

/// What tests compare a discriminator with.
#[cfg(test)]
pub(super) mod reference {
    use autograd::check::Array;
    use autograd::{Param, Var};

    /// Returns the outputs for a row of latents, in f64. The parameters are those of the layers in order, each a weight and a bias.
    pub(crate) fn outputs(parameters: &[Array], z: &[f64]) -> Vec<f64> {
        let layers = parameters.len() / 2;
        parameters.chunks(2).enumerate().fold(z.to_vec(), |x, (layer, pair)| {
            let outputs = pair[1].data.iter().enumerate().map(|(o, bias)| {
                let y = bias + x.iter().zip(&pair[0].data[o * x.len()..]).map(|(x, w)| x * w).sum::<f64>();
                if y < 0.0 && layer + 1 < layers { 0.2 * y } else { y }
            });
            outputs.collect()
        })
    }

    /// Checks that the gradient of `total` for these parameters is that of `loss`, by differences.
    pub(crate) fn check_gradients(params: &[(String, Param)], total: Var, loss: impl Fn(&[Array]) -> f64) {
        let values: Vec<Array> = params.iter().map(|(_, param)| Array::of(&param.value())).collect();
        let gradients = total.backward();
        for (i, (name, param)) in params.iter().enumerate() {
            let gradient = gradients.get(param).expect("the discriminator learns");
            for (element, &found) in gradient.data().iter().enumerate() {
                let at = |h: f64| {
                    let mut values = values.clone();
                    values[i].data[element] += h;
                    loss(&values)
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((f64::from(found) - expected).abs() < 1e-5, "{name}[{element}]: {found}, expected {expected}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::Device;

    use super::*;

    fn factor(latents: usize) -> Factor {
        let discriminator = Discriminator::new(&mut Generator::new(3), [latents, 8, 2, 1]);
        Factor { gamma: 3.0, discriminator: Rc::new(discriminator) }
    }

    /// Places from which each latent is taken from an image of its own: moved on by another number of images for each latent.
    fn permutation(images: usize, latents: usize, step: usize) -> Tensor {
        let place = |image: usize, latent: usize| (image + latent * (step + 1)) % images * latents + latent;
        let places = (0..images * latents).map(|at| place(at / latents, at % latents) as f32);
        Tensor::new(&places.collect::<Vec<_>>(), [images * latents])
    }

    /// Returns f of a row, in f64.
    fn f(parameters: &[Array], z: &[f64]) -> f64 {
        reference::outputs(parameters, z)[0]
    }

    /// Returns TC and the discriminator's loss by their definition: cross-entropies of D = 1/(1 + e^−f).
    fn by_definition(parameters: &[Array], z: &Array, places: &[f32]) -> [f64; 2] {
        let width = z.shape[1];
        let d = |z: &[f64]| 1.0 / (1.0 + (-f(parameters, z)).exp());
        let permuted: Vec<f64> = places.iter().map(|&place| z.data[place as usize]).collect();
        let images = z.shape[0] as f64;
        let tc: f64 = z.data.chunks(width).map(|z| d(z).ln() - (1.0 - d(z)).ln()).sum();
        let drawn: f64 = z.data.chunks(width).map(|z| -d(z).ln()).sum();
        let shuffled: f64 = permuted.chunks(width).map(|z| -(1.0 - d(z)).ln()).sum();
        [tc / images, 0.5 * (drawn + shuffled) / images]
    }

    fn terms(factor: &Factor, z: &Var, places: &Tensor) -> Terms {
        let zero = Terms::weighted([("kl", 1.0, z.mul_scalar(0.0).sum_all())]);
        factor.add_to(zero, z, places, &ForwardContext::eval())
    }

    /// Differences of TC give the gradient of the draws, and those of the discriminator's loss that of its parameters.
    #[test]
    fn each_player_has_the_gradient_of_its_own_loss() {
        let (factor, z, places) = (factor(3), Generator::new(5).normal_tensor([6, 3]), permutation(6, 3, 1));
        let params = nn::parameters(&*factor.discriminator);
        let values: Vec<Array> = params.iter().map(|(_, param)| Array::of(&param.value())).collect();
        let op = |inputs: &[Var]| terms(&factor, &inputs[0], &places).total;
        // The value of the total has the loss of the discriminator too. As a constant of z it has no gradient.
        let opponent = by_definition(&values, &Array::of(&z), places.data())[1];
        let reference = |inputs: &[Array]| {
            Array::new([], vec![3.0 * by_definition(&values, &inputs[0], places.data())[0] + opponent])
        };
        let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, std::slice::from_ref(&z), 3));
        checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));

        let leaf = Var::leaf(z.clone());
        let found = terms(&factor, &leaf, &places);
        let losses = pollster::block_on(found.read()).unwrap();
        let [tc, loss] = by_definition(&values, &Array::of(&z), places.data());
        assert!((losses.part("tc").unwrap() - tc).abs() < 1e-5 && (losses.total - 3.0 * tc).abs() < 1e-5, "{losses}");
        assert!((losses.part("discriminator").unwrap() - loss).abs() < 1e-5, "{losses}, expected {loss}");
        let loss = |values: &[Array]| by_definition(values, &Array::of(&z), places.data())[1];
        reference::check_gradients(&params, found.total, loss);
    }

    /// The discriminator alone learns the total correlation of two equal latents, −½·ln(1 − ρ²) nats for a correlation of ρ.
    #[test]
    fn a_trained_discriminator_knows_the_total_correlation() {
        let (factor, mut rng, rho) = (factor(2), Generator::new(8), 0.8_f32);
        let params = nn::parameters(&factor);
        let mut adam = nn::optim::Optimizer::adam();
        let mut last = Vec::new();
        for step in 0..1500 {
            let z = rng.normal_tensor([256, 2]);
            let pairs: Vec<f32> =
                z.data().chunks(2).flat_map(|z| [z[0], rho * z[0] + (1.0 - rho * rho).sqrt() * z[1]]).collect();
            let z = Var::constant(Tensor::new(&pairs, [256, 2]));
            let found = terms(&factor, &z, &permutation(256, 2, step));
            last.push(found.part("tc").unwrap().item());
            adam.step(&params, &mut found.total.backward(), 3e-3);
        }
        let mean = last[1000..].iter().sum::<f32>() / 500.0;
        let expected = -0.5 * (1.0 - rho * rho).ln(); // 0.51 nats
        assert!((mean - expected).abs() < 0.1, "{mean}, expected {expected}");
    }

    #[test]
    fn the_discriminator_is_named_and_thaws() {
        let factor = factor(2);
        let names: Vec<String> = nn::parameters(&factor).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "discriminator.hidden.0.weight");
        assert_eq!((names.len(), names.last().map(String::as_str)), (6, Some("discriminator.output.bias")));
        let [images, width] = [4, 2];
        terms(&factor, &Var::constant(Tensor::zeros([images, width])), &permutation(images, width, 1));
        assert!(nn::parameters(&factor).iter().all(|(_, param)| !param.is_frozen()));
    }
}
