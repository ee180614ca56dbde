//! Where training stands between two steps: with the tensors of [`Trainer::optimiser_tensors`] and the model's own, all that decides
//! the steps to come. What is drawn at random is a function of the seed and of (step | epoch | image): there is no state of a
//! generator to keep.

use autograd::{Buffer, Param};
use nn::optim::Schedule;
use nn::{Module, Visitor};
use tensor::Tensor;

use super::Trainer;
use crate::objective::Losses;

/// The numbers of a trainer that are not in tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainerState {
    /// The epoch that the next step belongs to, counted from 1; or whose steps are all done, and whose validation comes.
    pub epoch: usize,
    /// Steps done in it.
    pub step: usize,
    /// The sums of their losses over images.
    pub sums: Losses,
    /// Adam's t.
    pub adam: u64,
    /// Of `plateau`: the best validation loss, epochs since, and what the learning rate is multiplied by.
    pub plateau: Option<(f64, usize, f64)>,
}

/// A model with an optimiser's tensors optimiser it, as `train.NAME`.
pub struct ModelAndOptimiser<'a> {
    /// The model.
    pub model: &'a dyn Module,
    /// The optimiser's tensors, by name.
    pub optimiser: &'a [(String, Buffer)],
}

impl Module for ModelAndOptimiser<'_> {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.optimiser.iter().for_each(|(name, tensor)| v.buffer(name, tensor));
    }
}

/// What the moments and the average of a parameter are called.
const M: &str = "train.adam.m.";
const V: &str = "train.adam.v.";
const EMA: &str = "train.ema.";

impl Trainer {
    /// Where it stands.
    pub fn state(&self) -> TrainerState {
        let plateau = match &self.schedule {
            Schedule::Plateau(plateau) => Some((plateau.best, plateau.waited, plateau.scale)),
            _ => None,
        };
        let (epoch, step) = if self.done == 0 { (self.epoch + 1, 0) } else { (self.epoch, self.done) };
        TrainerState { epoch, step, sums: self.sums.clone(), adam: self.adam.steps(), plateau }
    }

    /// The optimiser's tensors, by name: Adam's moments, and the averages of the weights.
    pub fn optimiser_tensors(&self) -> Vec<(String, Buffer)> {
        let mut optimiser = Vec::new();
        for (name, param) in &self.params {
            if let Some([m, v]) = self.adam.moments(param) {
                optimiser.push((format!("{M}{name}"), Buffer::new(m)));
                optimiser.push((format!("{V}{name}"), Buffer::new(v)));
            }
        }
        let averages = self.ema.iter().flat_map(nn::optim::Ema::averages);
        optimiser.extend(averages.map(|(name, average)| (format!("{EMA}{name}"), Buffer::new(average))));
        optimiser
    }

    /// Places on the CPU for those of these tensors that an optimiser of this trainer may have, and for all averages.
    pub fn optimiser_slots(&self, names: &[String]) -> Vec<(String, Buffer)> {
        let place = |name: String, param: &Param| (name, Buffer::new(Tensor::zeros(param.shape())));
        let mut slots = Vec::new();
        for (name, param) in &self.params {
            let names_moments = [M, V].map(|kind| format!("{kind}{name}"));
            if names_moments.iter().any(|name| names.contains(name)) {
                slots.extend(names_moments.map(|name| place(name, param)));
            }
        }
        let averages = self.ema.iter().flat_map(nn::optim::Ema::averages);
        slots.extend(averages.map(|(name, like)| (format!("{EMA}{name}"), Buffer::new(Tensor::zeros(like.shape())))));
        slots
    }

    /// Goes to where another trainer of this configuration stood, with its optimiser's tensors in their slots. The model's are
    /// filled already.
    pub fn restore_state(&mut self, state: TrainerState, slots: &[(String, Buffer)]) {
        let find = |kind: &str, name: &str| {
            let wanted = format!("{kind}{name}");
            slots.iter().find(|(known, _)| *known == wanted).map(|(_, tensor)| tensor.value())
        };
        let moments = self.params.iter().filter_map(|(name, param)| Some((param, [find(M, name)?, find(V, name)?])));
        self.adam.restore(state.adam, moments);
        if let Some(ema) = &mut self.ema {
            for (name, average) in self.params.iter().filter_map(|(name, _)| Some((name, find(EMA, name)?))) {
                ema.set(name, average.upload(self.predictor.device()));
            }
        }
        if let (Schedule::Plateau(plateau), Some(known)) = (&mut self.schedule, state.plateau) {
            (plateau.best, plateau.waited, plateau.scale) = known;
        }
        let steps = self.dataset.train.count().div_ceil(self.config().train.batch_size);
        self.steps = ((state.epoch - 1) * steps + state.step) as u64;
        self.epoch = if state.step == 0 { state.epoch - 1 } else { state.epoch };
        (self.done, self.sums) = (state.step, state.sums);
    }
}
