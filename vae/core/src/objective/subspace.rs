//! The loss of the conditional subspace VAE (CSVAE; Klys, Snell and Zemel, 1812.06190). The last w latents of an image hold what its
//! label y says, and the others what it does not say.
//!
//! ```text
//! p(z_w | y) = N(c_y, I),  p(z_other) = N(0, I)           c: [labels, w], parameters
//! q(y | z_other) = softmax(f(z_other))                     f: linear layers with LeakyReLU(0.2) between them, [B, z − w] → [B, labels]
//! I = ln(labels) − mean entropy of q(y | z_other)          nats; 0 if the latents tell nothing about the label
//!
//! the VAE minimises             reconstruction + β·KL(q(z|x) ‖ p(z|y)) + γ·I
//! the discriminator minimises   −mean ln q(y | z_other)    of the images' own labels
//! ```
//!
//! I is the paper's ∫ q ln q and a constant, so that it is never negative. Two things differ from the paper: q(z|x) does not see the label, so
//! that images without labels have latents too, and the variance of p(z_w|y) is 1, which sets the scale of these latents.
//!
//! Latents are counted from the centre of their label: u = z − c_y in the last w latents. All users of a model then see the prior N(0, I), as
//! they do for other models, and one u with two labels decodes to an image and its counterpart.
//!
//! As with `factor`, one backward pass gives both gradients: the parameters of f are constants in I, and the draws are in the
//! discriminator's loss.

use std::rc::Rc;

use autograd::{Param, Var};
use nn::{ForwardContext, Module, Visitor};
use tensor::Tensor;

use super::Terms;
use super::factor::Discriminator;
use crate::config::{Config, LossKind};
use crate::random::Purpose;

/// How far the centres are apart at first: they are normal draws times this.
const SPREAD: f32 = 3.0;

/// The weight γ, the centres and the discriminator.
#[derive(Clone, Debug)]
pub(super) struct Subspace {
    gamma: f64,
    z_dim: usize,
    centres: Param, // [labels, w]
    discriminator: Rc<Discriminator>,
}

impl Subspace {
    /// Returns `None` for the other losses.
    pub(super) fn new(config: &Config) -> Option<Subspace> {
        let (loss, z_dim, labels) = (&config.loss, config.model.z_dim, config.condition_classes());
        if loss.kind != LossKind::Csvae {
            return None;
        }
        let mut rng = Purpose::Weights.stream(config.seed, 1); // the model's are those of stream 0
        let centres = Param::new(rng.normal_tensor([labels, loss.subspace]).mul_scalar(SPREAD));
        let sizes = [z_dim - loss.subspace, loss.discriminator_width, loss.discriminator_layers, labels];
        let discriminator = Rc::new(Discriminator::new(&mut rng, sizes));
        Some(Subspace { gamma: loss.gamma, z_dim, centres, discriminator })
    }

    /// Returns the centre of the prior of each image, `[B, z]`, for one-hot vectors of labels `[B, labels]`. It is 0 but in the last w
    /// latents.
    pub(super) fn centre(&self, labels: &Tensor) -> Var {
        let [count, width] = self.centres.shape().matrix("centres");
        let zeros = Tensor::zeros([count, self.z_dim - width]).upload(&labels.device());
        Var::constant(labels.clone()).matmul(&Var::concat(&[&Var::constant(zeros), &self.centres.var()], 1))
    }

    /// Adds γ·I to the loss of a batch, and the loss of the discriminator to its gradient. `z` are the draws, `[B, z]`, and `labels` the
    /// one-hot vectors of their labels, `[B, labels]`.
    pub(super) fn add_to(&self, terms: Terms, z: &Var, labels: &Tensor, ctx: &ForwardContext) -> Terms {
        let [images, count] = labels.shape().matrix("labels");
        let other = z.slice(1, 0, self.z_dim - self.centres.shape()[1]);
        let log_q = |z: &Var| self.discriminator.forward(z, ctx).log_softmax(1);
        let per_image = 1.0 / images as f32;
        let parameters = nn::parameters(&*self.discriminator);
        let log_read = nn::with_constants(parameters.iter().map(|(_, parameter)| parameter), || log_q(&other));
        let negative_entropy = (log_read.exp() * &log_read).sum_all().mul_scalar(per_image);
        let information = negative_entropy.add_scalar((count as f32).ln());
        let cross_entropy = (log_q(&other.detach()) * Var::constant(labels.clone())).sum_all().mul_scalar(-per_image);
        terms.plus("label_information", self.gamma, information).with_opponent("discriminator", 1.0, cross_entropy)
    }
}

impl Module for Subspace {
    fn visit(&self, v: &mut Visitor) {
        v.child("subspace.centres", &self.centres);
        v.child("discriminator", &*self.discriminator);
    }
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator};

    use super::*;
    use crate::objective::factor::reference;

    const LABELS: [usize; 5] = [0, 2, 1, 2, 2];

    /// Three labels, five latents of which the last two are theirs.
    fn subspace() -> Subspace {
        let mut rng = Generator::new(3);
        let centres = Param::new(rng.normal_tensor([3, 2]));
        Subspace { gamma: 2.0, z_dim: 5, centres, discriminator: Rc::new(Discriminator::new(&mut rng, [3, 6, 2, 3])) }
    }

    fn one_hot(labels: &[usize]) -> Tensor {
        let rows = labels.iter().flat_map(|&label| (0..3).map(move |i| f32::from(i == label)));
        Tensor::new(&rows.collect::<Vec<_>>(), [labels.len(), 3])
    }

    /// q(y | z) of a row of latents, in f64.
    fn q(parameters: &[Array], z: &[f64]) -> Vec<f64> {
        let logits = reference::outputs(parameters, &z[..3]);
        let sum: f64 = logits.iter().map(|x| x.exp()).sum();
        logits.iter().map(|x| x.exp() / sum).collect()
    }

    /// Returns I and the discriminator's loss by their definition.
    fn by_definition(parameters: &[Array], z: &Array) -> [f64; 2] {
        let images = LABELS.len() as f64;
        let rows: Vec<Vec<f64>> = z.data.chunks(5).map(|z| q(parameters, z)).collect();
        let entropy: f64 = rows.iter().flatten().map(|q| -q * q.ln()).sum();
        let cross_entropy: f64 = rows.iter().zip(LABELS).map(|(q, label)| -q[label].ln()).sum();
        [3_f64.ln() - entropy / images, cross_entropy / images]
    }

    fn terms(subspace: &Subspace, z: &Var) -> Terms {
        let zero = Terms::weighted([("kl", 1.0, z.mul_scalar(0.0).sum_all())]);
        subspace.add_to(zero, z, &one_hot(&LABELS), &ForwardContext::eval())
    }

    /// Differences of I give the gradient of the draws, and those of the discriminator's loss that of its parameters.
    #[test]
    fn each_player_has_the_gradient_of_its_own_loss() {
        let (subspace, z) = (subspace(), Generator::new(5).normal_tensor([5, 5]).mul_scalar(2.0));
        let params = nn::parameters(&*subspace.discriminator);
        let values: Vec<Array> = params.iter().map(|(_, param)| Array::of(&param.value())).collect();
        let op = |inputs: &[Var]| terms(&subspace, &inputs[0]).total;
        let opponent = by_definition(&values, &Array::of(&z))[1]; // a constant of z
        let reference = |inputs: &[Array]| Array::new([], vec![2.0 * by_definition(&values, &inputs[0])[0] + opponent]);
        let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, std::slice::from_ref(&z), 3));
        checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));

        let found = terms(&subspace, &Var::leaf(z.clone()));
        let losses = pollster::block_on(found.read()).unwrap();
        let [information, loss] = by_definition(&values, &Array::of(&z));
        assert!(
            information > 0.0 && (losses.part("label_information").unwrap() - information).abs() < 1e-5,
            "{losses}"
        );
        assert!((losses.part("discriminator").unwrap() - loss).abs() < 1e-5, "{losses}, expected {loss}");
        assert!((losses.total - 2.0 * information).abs() < 1e-5, "{losses}");
        reference::check_gradients(&params, found.total, |values| by_definition(values, &Array::of(&z))[1]);
    }

    #[test]
    fn the_last_latents_have_the_centre_of_their_label() {
        let subspace = subspace();
        let centres = subspace.centres.value();
        let found = subspace.centre(&one_hot(&LABELS));
        for (row, label) in found.value().data().chunks(5).zip(LABELS) {
            assert_eq!(row, [&[0.0; 3], &centres.data()[2 * label..2 * label + 2]].concat());
        }
        let gradients = found.sum_all().backward();
        let counts = [1.0, 1.0, 1.0, 1.0, 3.0, 3.0]; // of each label, in both latents
        assert_eq!(gradients.get(&subspace.centres).unwrap().data(), counts);
    }

    /// A discriminator that gives each label the same probability reads nothing, and one that is sure reads ln 3.
    #[test]
    fn information_is_between_0_and_the_logarithm_of_the_labels() {
        let subspace = subspace();
        let params = nn::parameters(&*subspace.discriminator);
        let last = &params[params.len() - 2..];
        last[0].1.set(Tensor::zeros(last[0].1.shape()));
        let z = Var::constant(Generator::new(1).normal_tensor([5, 5]));
        for (bias, expected) in [([0.0; 3], 0.0), ([0.0, 60.0, 0.0], 3_f32.ln())] {
            last[1].1.set(Tensor::new(&bias, [3]));
            let found = terms(&subspace, &z).part("label_information").unwrap().item();
            assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
        }
    }

    #[test]
    fn its_tensors_are_named() {
        let names: Vec<String> = nn::parameters(&subspace()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..2], ["subspace.centres", "discriminator.hidden.0.weight"]);
    }
}
