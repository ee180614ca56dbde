//! The state of a trainer between two steps. Together with the tensors of the model and of
//! [`Trainer::optimiser_tensors`] it determines all further steps. Random draws are functions of the seed and of the
//! step, epoch or image, so there is no generator state to store.

use autograd::{Buffer, Param};
use nn::optim::Schedule;
use nn::{Module, Visitor};
use tensor::{LossScale, Tensor};

use super::Trainer;
use crate::objective::Losses;

/// The state of a trainer without its tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainerState {
    /// The epoch of the next step, counted from 1, or the epoch whose steps are complete but whose validation is not.
    pub epoch: usize,
    /// The number of steps in it so far.
    pub step: usize,
    /// The sums of the losses of these steps over images.
    pub sums: Losses,
    /// The number of Adam's steps, t.
    pub adam: u64,
    /// With the schedule `plateau`: the best validation loss, the number of epochs since, and the factor of the
    /// learning rate.
    pub plateau: Option<(f64, usize, f64)>,
    /// The loss scale, if the run has one.
    pub loss_scale: Option<LossScale>,
}

/// A model and the optimiser's tensors as one module. The names of the latter begin with `train.`.
pub struct ModelAndOptimiser<'a> {
    /// The model.
    pub model: &'a dyn Module,
    /// The optimiser's tensors with their names.
    pub optimiser: &'a [(String, Buffer)],
}

impl Module for ModelAndOptimiser<'_> {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.optimiser.iter().for_each(|(name, tensor)| v.child(name, tensor));
    }
}

/// The prefixes of the names of moments and averages.
const M: &str = "train.adam.m.";
const V: &str = "train.adam.v.";
const EMA: &str = "train.ema.";

impl Trainer {
    /// Returns the state.
    pub fn state(&self) -> TrainerState {
        let plateau = match &self.schedule {
            Schedule::Plateau(plateau) => Some((plateau.best, plateau.waited, plateau.scale)),
            _ => None,
        };
        let (epoch, step) = if self.done == 0 { (self.epoch + 1, 0) } else { (self.epoch, self.done) };
        let (sums, adam, loss_scale) = (self.sums.clone(), self.adam.steps(), self.loss_scale);
        TrainerState { epoch, step, sums, adam, plateau, loss_scale }
    }

    /// Returns the optimiser's tensors with their names: Adam's moments, and the averages of the weights and running
    /// statistics.
    pub fn optimiser_tensors(&self) -> Vec<(String, Buffer)> {
        let mut optimiser = Vec::new();
        for (name, param) in &self.params {
            if let Some(Ok([m, v])) = self.adam.state(param).map(<[Tensor; 2]>::try_from) {
                optimiser.push((format!("{M}{name}"), Buffer::new(m)));
                optimiser.push((format!("{V}{name}"), Buffer::new(v)));
            }
        }
        let averages = self.ema.iter().flat_map(nn::optim::Ema::averages);
        optimiser.extend(averages.map(|(name, average)| (format!("{EMA}{name}"), Buffer::new(average))));
        optimiser
    }

    /// Returns zero tensors on the CPU to load the optimiser's tensors into: the moments in `names` that this trainer
    /// may have, and all averages. Earlier versions did not average running statistics, so the averages of those are
    /// only there if they are in `names`.
    pub fn optimiser_slots(&self, names: &[String]) -> Vec<(String, Buffer)> {
        let place = |name: String, param: &Param| (name, Buffer::new(Tensor::zeros(param.shape())));
        let mut slots = Vec::new();
        for (name, param) in &self.params {
            let names_moments = [M, V].map(|kind| format!("{kind}{name}"));
            if names_moments.iter().any(|name| names.contains(name)) {
                slots.extend(names_moments.map(|name| place(name, param)));
            }
        }
        for (name, like) in self.ema.iter().flat_map(nn::optim::Ema::averages) {
            let (slot, is_param) = (format!("{EMA}{name}"), self.params.iter().any(|(param, _)| param == name));
            if is_param || names.contains(&slot) {
                slots.push((slot, Buffer::new(Tensor::zeros(like.shape()))));
            }
        }
        slots
    }

    /// Restores the state of another trainer of the same configuration. `slots` contain its optimiser's tensors. The
    /// model's tensors must have been loaded already.
    pub fn restore_state(&mut self, state: TrainerState, slots: &[(String, Buffer)]) {
        let find = |kind: &str, name: &str| {
            let wanted = format!("{kind}{name}");
            slots.iter().find(|(known, _)| *known == wanted).map(|(_, tensor)| tensor.value())
        };
        let moments =
            self.params.iter().filter_map(|(name, param)| Some((param, vec![find(M, name)?, find(V, name)?])));
        self.adam.restore(state.adam, moments);
        if let Some(ema) = &mut self.ema {
            ema.restart(); // running statistics that the checkpoint has no average of start from their values in it
            let averages = slots.iter().filter_map(|(name, average)| Some((name.strip_prefix(EMA)?, average.value())));
            for (name, average) in averages {
                let set = ema.set(name, average.upload(self.predictor.device()));
                set.expect("the slots are those of the averages");
            }
        }
        if let (Schedule::Plateau(plateau), Some(known)) = (&mut self.schedule, state.plateau) {
            (plateau.best, plateau.waited, plateau.scale) = known;
        }
        if self.loss_scale.is_some() && state.loss_scale.is_some() {
            self.loss_scale = state.loss_scale;
            self.read_every(self.monitor.history());
        }
        self.steps = ((state.epoch - 1) * self.steps_per_epoch() + state.step) as u64;
        self.epoch = if state.step == 0 { state.epoch - 1 } else { state.epoch };
        (self.done, self.sums) = (state.step, state.sums);
    }
}
