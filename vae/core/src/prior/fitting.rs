//! Fitting a prior by gradients. Adam minimises the prior's loss on batches of latents. The learning rate rises over the first
//! 5 % of the steps and then falls along half a period of a cosine.
//!
//! The order of the latents depends on the seed and the epoch, and noise on the seed and the step. The state between two epochs
//! is therefore the weights, Adam's moments and the number of epochs.

use autograd::{Buffer, Param, no_grad};
use nn::optim::{Optimizer, Schedule};
use tensor::{Device, Tensor};

use super::Trainable;
use crate::config;
use crate::error::{Error, Result};
use crate::random::Purpose;

/// The prefixes of the names of Adam's moments.
const MOMENTS: [&str; 2] = ["train.adam.m.", "train.adam.v."];
/// The streams of random numbers: those of epochs begin at 1, those of steps and of validation batches further on.
const STEPS: u64 = 1 << 32;
const VALIDATION: u64 = 1 << 48;

/// A prior while it is fitted.
pub struct Fitting {
    /// The prior.
    pub prior: Box<dyn Trainable>,
    /// The number of epochs so far.
    pub epoch: usize,
    settings: config::Prior,
    seed: u64,
    params: Vec<(String, Param)>,
    adam: Optimizer,
    device: Device,
}

/// Every `async` method waits for the device. Its error is that of the device, or says that a loss is not finite.
impl Fitting {
    /// Begins to fit a prior to latents, `[images, …]` on the CPU, and moves the prior to the device.
    pub fn new(
        prior: Box<dyn Trainable>,
        settings: config::Prior,
        seed: u64,
        device: Device,
        latents: &Tensor,
    ) -> Fitting {
        prior.prepare(latents);
        nn::upload(&*prior, &device);
        let params = nn::parameters(&*prior);
        Fitting { prior, epoch: 0, settings, seed, params, adam: Optimizer::adam(), device }
    }

    /// Trains on all latents once, `[images, …]` on the CPU, and returns the mean loss.
    pub async fn epoch(&mut self, latents: &Tensor) -> Result<f64> {
        let (count, size) = (latents.shape()[0], self.settings.batch_size);
        let order = Purpose::Prior.stream(self.seed, 1 + self.epoch as u64).permutation(count);
        let per_epoch = count.div_ceil(size);
        let all = per_epoch * self.settings.epochs();
        let schedule = Schedule::WarmUp { epochs: all.div_ceil(20), then: Box::new(Schedule::Cosine) };
        let mut losses = Vec::with_capacity(per_epoch);
        for (i, rows) in order.chunks(size).enumerate() {
            let step = self.epoch * per_epoch + i;
            let mut rng = Purpose::Prior.stream(self.seed, STEPS + step as u64);
            let loss = self.prior.loss(&rows_of(latents, rows).upload(&self.device), &mut rng);
            let rate = schedule.rate(self.settings.learning_rate, step, all);
            self.adam.step(&self.params, &mut loss.backward(), rate);
            losses.push((loss.value().clone(), rows.len()));
        }
        self.epoch += 1;
        self.mean(&losses).await
    }

    /// Returns the mean loss of latents that it is not trained on.
    pub async fn validate(&self, latents: &Tensor) -> Result<f64> {
        let places: Vec<usize> = (0..latents.shape()[0]).collect();
        let mut losses = Vec::new();
        for (rows, i) in places.chunks(self.settings.batch_size).zip(0..) {
            let mut rng = Purpose::Prior.stream(self.seed, VALIDATION + i);
            let loss = no_grad(|| self.prior.loss(&rows_of(latents, rows).upload(&self.device), &mut rng));
            losses.push((loss.value().clone(), rows.len()));
        }
        self.mean(&losses).await
    }

    /// Returns the mean of the losses of batches over their latents.
    async fn mean(&self, losses: &[(Tensor, usize)]) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for (loss, rows) in losses {
            sum += f64::from(loss.read().await?[0]) * *rows as f64;
            count += rows;
        }
        let mean = sum / count as f64;
        match mean.is_finite() {
            true => Ok(mean),
            false => Err(Error::Diverged(format!(
                "the loss of the {} is not finite in epoch {}; lower prior.learning_rate ({})",
                self.prior.words(),
                self.epoch,
                self.settings.learning_rate
            ))),
        }
    }

    /// Returns the tensors of the optimiser with their names, for a file.
    pub fn optimiser_tensors(&self) -> Vec<(String, Buffer)> {
        let state = |param: &Param| self.adam.state(param).unwrap_or_default();
        let named = |name: &str, state: Vec<Tensor>| -> Vec<_> {
            MOMENTS.iter().zip(state).map(|(kind, tensor)| (format!("{kind}{name}"), Buffer::new(tensor))).collect()
        };
        self.params.iter().flat_map(|(name, param)| named(name, state(param))).collect()
    }

    /// Returns zero tensors on the CPU to load the tensors of the optimiser into.
    pub fn optimiser_slots(&self) -> Vec<(String, Buffer)> {
        let zeros = |param: &Param| Buffer::new(Tensor::zeros(param.shape()));
        let slots = |name: &str, param: &Param| MOMENTS.map(|kind| (format!("{kind}{name}"), zeros(param)));
        self.params.iter().flat_map(|(name, param)| slots(name, param)).collect()
    }

    /// Continues after `epoch` epochs of `images` latents, with the tensors of [`Fitting::optimiser_slots`]. The weights of
    /// the prior must have been loaded already.
    pub fn restore(&mut self, epoch: usize, images: usize, slots: &[(String, Buffer)]) {
        let steps = epoch * images.div_ceil(self.settings.batch_size);
        let moments = slots.chunks_exact(2).map(|pair| pair.iter().map(|(_, tensor)| tensor.value()).collect());
        self.adam.restore(steps as u64, self.params.iter().map(|(_, param)| param).zip(moments));
        self.epoch = epoch;
    }
}

/// Returns rows of a tensor on the CPU.
fn rows_of(latents: &Tensor, rows: &[usize]) -> Tensor {
    let width = latents.shape().count() / latents.shape()[0];
    let numbers: Vec<f32> = rows.iter().flat_map(|&row| &latents.data()[row * width..][..width]).copied().collect();
    Tensor::new(&numbers, [rows.len(), width])
}

/// Returns the mean of −ln p(k) over `codes`, in nats, where p is the frequency of each code among `seen`: the loss of a prior
/// that draws each position independently. Every code counts once more than it was seen, so that none is impossible.
pub fn frequency_nats(seen: &Tensor, codes: &Tensor, count: usize) -> f64 {
    let mut counts = vec![1.0; count];
    seen.data().iter().for_each(|&code| counts[code as usize] += 1.0);
    let all = counts.iter().sum::<f64>();
    let nats = codes.data().iter().map(|&code| -(counts[code as usize] / all).ln());
    nats.sum::<f64>() / codes.data().len() as f64
}

#[cfg(test)]
mod tests {
    use pollster::block_on;
    use tensor::Generator;

    use super::*;
    use crate::config::{Config, PriorKind, Settings};

    fn config() -> Config {
        let mut all = Settings::default();
        ["model.kind=vq", "model.codes=4", "data.image_size=8", "model.widths=2,2", "prior.width=8", "prior.heads=2"]
            .iter()
            .chain(&["prior.epochs=3", "prior.batch_size=50", "prior.learning_rate=0.02"])
            .for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    fn fitting(config: &Config) -> Fitting {
        let prior = super::super::trainable(PriorKind::Transformer, config, &config.prior, 1).unwrap();
        Fitting::new(prior, config.prior.clone(), 1, Device::Cpu, &equal_codes(120))
    }

    /// Codes that follow a rule: all four of an image are equal. Their entropy is that of one code, ln 4.
    fn equal_codes(count: usize) -> Tensor {
        let codes: Vec<f32> = (0..count).flat_map(|i| [(i % 4) as f32; 4]).collect();
        Tensor::new(&codes, [count, 4])
    }

    #[test]
    fn a_prior_learns_what_occurs_together() {
        let codes = equal_codes(2000);
        let mut fitting = fitting(&config());
        let losses: Vec<f64> = (0..3).map(|_| block_on(fitting.epoch(&codes)).unwrap()).collect();
        let (nats, best) = (block_on(fitting.validate(&codes)).unwrap(), 4_f64.ln() / 4.0);
        assert!(losses[2] < losses[0] && nats > best - 1e-3 && nats < best + 0.02, "{losses:?}, {nats}, {best}");
        assert!((frequency_nats(&codes, &codes, 4) - 4_f64.ln()).abs() < 1e-9, "codes alone are uniform");
        let drawn = fitting.prior.draw(40, &Device::Cpu, &mut Generator::new(2));
        let equal = drawn.data().chunks_exact(4).filter(|codes| codes.iter().all(|code| *code == codes[0])).count();
        assert!(equal >= 37, "{equal} of 40");
    }

    /// The bits of a fit that was stopped after an epoch and continued are those of one that was not.
    #[test]
    fn a_continued_fit_is_the_same_fit() {
        let codes = equal_codes(120);
        let mut whole = fitting(&config());
        let mut first = fitting(&config());
        for _ in 0..2 {
            block_on(whole.epoch(&codes)).unwrap();
        }
        block_on(first.epoch(&codes)).unwrap();
        let mut second = fitting(&config());
        let state = |fitting: &Fitting| -> Vec<Vec<f32>> {
            fitting.params.iter().map(|(_, param)| param.value().data().to_vec()).collect()
        };
        second.params.iter().zip(&first.params).for_each(|((_, to), (_, from))| to.set(from.value()));
        assert_eq!(second.optimiser_slots().len(), first.optimiser_tensors().len());
        second.restore(1, 120, &first.optimiser_tensors());
        let loss = block_on(second.epoch(&codes)).unwrap();
        assert!(state(&second) == state(&whole) && state(&second) != state(&first) && loss.is_finite());
    }

    #[test]
    fn frequencies_are_those_of_the_codes_seen_and_none_is_impossible() {
        let (seen, codes) = (Tensor::new(&[0.0, 0.0, 1.0], [3, 1]), Tensor::new(&[0.0, 2.0], [2, 1]));
        let expected = -((3.0_f64 / 6.0).ln() + (1.0_f64 / 6.0).ln()) / 2.0;
        assert!((frequency_nats(&seen, &codes, 3) - expected).abs() < 1e-12);
    }

    /// The learning rate goes on falling in a later epoch.
    #[test]
    fn the_last_steps_are_small() {
        let (codes, mut fitting) = (equal_codes(120), fitting(&config()));
        let weights =
            |fitting: &Fitting| fitting.params.iter().map(|(_, param)| param.value()).collect::<Vec<Tensor>>();
        let change = |fitting: &mut Fitting| {
            let before = weights(fitting);
            block_on(fitting.epoch(&codes)).unwrap();
            let squares =
                weights(fitting).iter().zip(&before).map(|(a, b)| a.sub(b).square().sum_all().item()).sum::<f32>();
            squares.sqrt()
        };
        let changes = [0, 1, 2].map(|_| change(&mut fitting));
        assert!(changes[2] < 0.35 * changes[0], "{changes:?}");
    }
}
