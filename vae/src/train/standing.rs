//! Where training stands between two steps: with the tensors of [`Trainer::beside`] and the model's own, all that decides
//! the steps to come. What is drawn at random is a function of the seed and of (step | epoch | image): there is no state of a
//! generator to keep.

use autograd::{Buffer, Param};
use nn::optim::Schedule;
use nn::{Module, Visitor};
use tensor::Tensor;

use super::{Losses, Trainer};

/// The numbers of a trainer that are not in tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
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

/// A model with an optimiser's tensors beside it, as `train.NAME`.
pub(crate) struct Whole<'a> {
    pub(crate) model: &'a dyn Module,
    pub(crate) beside: &'a [(String, Buffer)],
}

impl Module for Whole<'_> {
    fn visit(&self, v: &mut Visitor) {
        self.model.visit(v);
        self.beside.iter().for_each(|(name, tensor)| v.buffer(name, tensor));
    }
}

/// What the moments and the average of a parameter are called.
const M: &str = "train.adam.m.";
const V: &str = "train.adam.v.";
const EMA: &str = "train.ema.";

impl Trainer {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        let plateau = match &self.schedule {
            Schedule::Plateau(plateau) => Some((plateau.best, plateau.waited, plateau.scale)),
            _ => None,
        };
        let (epoch, step) = if self.done == 0 { (self.epoch + 1, 0) } else { (self.epoch, self.done) };
        Standing { epoch, step, sums: self.sums.clone(), adam: self.adam.steps(), plateau }
    }

    /// The optimiser's tensors, by name: Adam's moments, and the averages of the weights.
    pub(crate) fn beside(&self) -> Vec<(String, Buffer)> {
        let mut beside = Vec::new();
        for (name, param) in &self.params {
            if let Some([m, v]) = self.adam.moments(param) {
                beside.push((format!("{M}{name}"), Buffer::new(m)));
                beside.push((format!("{V}{name}"), Buffer::new(v)));
            }
        }
        let averages = self.ema.iter().flat_map(nn::optim::Ema::averages);
        beside.extend(averages.map(|(name, average)| (format!("{EMA}{name}"), Buffer::new(average))));
        beside
    }

    /// Places on the CPU for those of these tensors that an optimiser of this trainer may have, and for all averages.
    pub(crate) fn places(&self, names: &[String]) -> Vec<(String, Buffer)> {
        let place = |name: String, param: &Param| (name, Buffer::new(Tensor::zeros(param.shape())));
        let mut places = Vec::new();
        for (name, param) in &self.params {
            let names_moments = [M, V].map(|kind| format!("{kind}{name}"));
            if names_moments.iter().any(|name| names.contains(name)) {
                places.extend(names_moments.map(|name| place(name, param)));
            }
        }
        let averages = self.ema.iter().flat_map(nn::optim::Ema::averages);
        places.extend(averages.map(|(name, like)| (format!("{EMA}{name}"), Buffer::new(Tensor::zeros(like.shape())))));
        places
    }

    /// Goes to where another trainer of this configuration stood, with its optimiser's tensors in their places. The model's are
    /// filled already.
    pub(crate) fn stand(&mut self, standing: Standing, places: &[(String, Buffer)]) {
        let find = |kind: &str, name: &str| {
            let wanted = format!("{kind}{name}");
            places.iter().find(|(known, _)| *known == wanted).map(|(_, tensor)| tensor.value())
        };
        let moments = self.params.iter().filter_map(|(name, param)| Some((param, [find(M, name)?, find(V, name)?])));
        self.adam.restore(standing.adam, moments);
        if let Some(ema) = &mut self.ema {
            for (name, average) in self.params.iter().filter_map(|(name, _)| Some((name, find(EMA, name)?))) {
                ema.set(name, average.upload(&self.device));
            }
        }
        if let (Schedule::Plateau(plateau), Some(known)) = (&mut self.schedule, standing.plateau) {
            (plateau.best, plateau.waited, plateau.scale) = known;
        }
        let steps = self.dataset.train.count().div_ceil(self.config.train.batch_size);
        self.steps = ((standing.epoch - 1) * steps + standing.step) as u64;
        self.epoch = if standing.step == 0 { standing.epoch - 1 } else { standing.epoch };
        (self.done, self.sums) = (standing.step, standing.sums);
    }

    /// The model with the averages in its weights' place, if it has averages, for good: nothing is to be trained after.
    pub(crate) fn settle_on(&mut self, fill: impl FnOnce(&dyn Module) -> crate::Result<()>) -> crate::Result<()> {
        self.ema = None;
        fill(&*self.model)
    }

    /// What `read` gives of the model as it is validated.
    pub(crate) fn with_averages<R>(&self, read: impl FnOnce(&dyn Module) -> R) -> R {
        let _averaged = self.ema.as_ref().map(nn::optim::Ema::swap_in);
        read(&*self.model)
    }
}
