//! A step in shards. `train.shards = S` cuts each batch into S parts of equal size. Each part goes forward and backward on its own,
//! and the gradients are added by a binary tree over the number of the shard (`distributed`). With `train.accumulate` a shard has a
//! part of each batch, which are added in order before the tree begins:
//!
//! ```text
//! gradient of a step = tree over s (Σ over batches a of the gradient of part s of batch a)
//! part number        = a·S + s, which decides the noise
//! ```
//!
//! The last step of an epoch may have fewer images. They fill the parts in order, and the last parts are empty.
//!
//! With `train.sync_batch_norm` the shards go through the network at the same time (`together.rs`).
//!
//! Buffers, such as the running statistics of batch norm, change in the forward pass. Every shard starts from their values before
//! the step, r, and their new values are r + Σ wₛ·(rₛ − r), where wₛ is the share of the shard in the images of the step. A buffer
//! that no shard changes keeps its bits.
//!
//! Several processes (ranks) divide the shards among them, and add up their sums together (`buckets.rs`). A
//! rank without a certain tensor sends −0 in its place, because x + (−0) has the bits of x for every x.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use autograd::{Buffer, Gradients, Param, Var};
use nn::Slot;
use nn::optim::scaled_loss;
use tensor::{Device, Shape, Tensor};

use super::Trainer;
use super::buckets::{Reduction, Traffic};
use crate::config::Config;
use crate::data::Prepared;
use crate::distributed::{Communicator, TreeSum, shards_of};
use crate::error::{Error, Result};
use crate::objective::TermWeights;

/// The most losses of a step: the total and five parts, as many as `tensor::GradientMonitor` watches.
const WATCHED: usize = 6;

/// How the images of a step are divided.
#[derive(Clone, Copy)]
pub(super) struct Division {
    batch: usize,
    accumulate: usize,
    pub(super) shards: usize,
}

impl Division {
    pub(super) fn new(config: &Config) -> Division {
        Division { batch: config.train.batch_size, accumulate: config.train.accumulate, shards: config.train.shards }
    }

    /// Returns the parts of a shard in a step with this many images: the number of each, and the range of its images. Empty parts
    /// are left out.
    pub(super) fn parts(self, shard: usize, images: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let Division { batch, accumulate, shards } = self;
        let size = batch / shards;
        let parts = (0..accumulate).map(move |a| {
            let first = a.saturating_mul(batch).saturating_add(shard * size);
            (a * shards + shard, first.min(images)..first.saturating_add(size).min(images))
        });
        parts.take_while(|(_, range)| !range.is_empty())
    }

    /// Returns the number of parts of a step with all of its images.
    pub(super) fn parts_per_step(self) -> usize {
        self.accumulate * self.shards
    }
}

/// What is summed over the shards of a step. A shard without images has nothing.
#[derive(Default)]
pub(super) struct StepSum {
    pub(super) gradients: Gradients,
    /// The total loss and its parts.
    pub(super) watched: Vec<Tensor>,
    /// By how much the buffers change.
    pub(super) buffers: Vec<Tensor>,
}

impl StepSum {
    pub(super) fn add(&mut self, other: StepSum) {
        self.gradients.add(other.gradients);
        for (sums, more) in [(&mut self.watched, other.watched), (&mut self.buffers, other.buffers)] {
            match sums.is_empty() {
                true => *sums = more,
                false => sums.iter_mut().zip(&more).for_each(|(sum, more)| sum.add_assign(more)),
            }
        }
    }
}

impl Trainer {
    /// Trains as one of several processes, which share the shards of each step. Their configurations and images must be equal.
    ///
    /// # Errors
    /// If there are more processes than shards, or the device cannot do `train.sync_batch_norm`.
    pub fn join(&mut self, communicator: Rc<dyn Communicator>) -> Result<()> {
        let (ranks, shards) = (communicator.size(), self.config().train.shards);
        if ranks > shards {
            return Err(Error::config(format!(
                "train.shards = {shards}: {ranks} processes need at least {ranks} shards, one for each; set train.shards to a multiple of {ranks}"
            )));
        }
        self.communicator = communicator;
        self.check_sync()
    }

    /// Returns the processes that train this model together.
    pub fn communicator(&self) -> &dyn Communicator {
        &*self.communicator
    }

    /// Returns the shards that this process computes.
    pub(super) fn own_shards(&self) -> Range<usize> {
        shards_of(self.communicator.rank(), self.communicator.size(), self.config().train.shards)
    }

    /// Returns the images of each part that this process computes in a step, in the order of computation.
    pub(super) fn own_parts(&self, places: &[usize]) -> Vec<Vec<usize>> {
        let division = Division::new(self.config());
        let parts = self.own_shards().flat_map(|shard| division.parts(shard, places.len()));
        parts.map(|(_, range)| places[range].to_vec()).collect()
    }

    /// Returns the sum over all shards of a step of `images` images, and the names and weights of its losses. They are empty on a
    /// process whose shards have no images. The batches are those of [`own_parts`](Trainer::own_parts).
    pub(super) async fn sum_of_shards(
        &mut self,
        batches: &mut dyn Iterator<Item = Result<Prepared>>,
        images: usize,
    ) -> Result<(StepSum, TermWeights)> {
        let division = Division::new(self.config());
        if self.config().train.sync_batch_norm && division.shards > 1 {
            return self.sum_of_shards_together(batches, images).await;
        }
        let buffers = if division.shards > 1 { self.moving_buffers() } else { Vec::new() };
        let before: Vec<Tensor> = buffers.iter().map(Buffer::value).collect();
        let (mut sums, mut term_weights) = (TreeSum::new(division.shards), TermWeights::default());
        let (mut reduction, shards) = (None, self.own_shards());
        for shard in shards.clone() {
            let (mut sum, mut seen) = (StepSum::default(), 0);
            let mut parts = division.parts(shard, images).zip(&mut *batches).peekable();
            while let Some(((part, range), batch)) = parts.next() {
                let batch = batch?;
                self.clock.lap(|timing| &mut timing.data);
                let terms =
                    self.forward(self.steps, part, &batch, None).terms.scaled(range.len() as f32 / images as f32);
                self.clock.lap(|timing| &mut timing.forward);
                let is_last = shard + 1 == shards.end && parts.peek().is_none();
                match is_last && self.communicator.size() > 1 && *self.device() == Device::Cpu {
                    true => reduction = Some(self.backward_and_reduce(&terms.total, shard, &mut sum, &mut sums)),
                    false => sum.gradients.add(scaled_loss(&terms.total, &self.monitor).backward()),
                }
                terms.add_to(&mut sum.watched);
                term_weights = terms.term_weights();
                seen += range.len();
                self.clock.lap(|timing| &mut timing.backward);
                self.communicator.alive(Duration::ZERO);
            }
            if seen > 0 {
                self.trained += seen as u64;
                let share = seen as f32 / images as f32;
                for (buffer, before) in buffers.iter().zip(&before) {
                    sum.buffers.push(buffer.value().sub(before).mul_scalar(share));
                    buffer.set(before.clone());
                }
            }
            sums.push(shard, sum, StepSum::add);
        }
        let sum = self.sum_of_ranks(sums.into_sums(), reduction, &before).await?;
        for ((buffer, before), change) in buffers.iter().zip(&before).zip(&sum.buffers) {
            buffer.set(before.add(change));
        }
        Ok((sum, term_weights))
    }

    /// The backward pass of the last part of this process. The other gradients are in `sum`, that of the shard so far, and in `sums`.
    /// Each gradient goes to the sum over processes as soon as it is complete.
    fn backward_and_reduce(
        &self,
        loss: &Var,
        shard: usize,
        sum: &mut StepSum,
        sums: &mut TreeSum<StepSum>,
    ) -> Reduction {
        let [joined, before] = sums.joined_by(shard);
        let start = joined.first().map_or(shard, |(range, _)| range.start);
        let mut ranges: Vec<Range<usize>> = before.iter().map(|(range, _)| range.clone()).collect();
        ranges.push(start..shard + 1);
        let mut reduction = Reduction::new(self.communicator.clone(), self.config().train.shards, ranges, &self.params);
        let places: HashMap<u64, usize> = self.params.iter().map(|(_, param)| param.id()).zip(0..).collect();
        loss.backward_into(&mut |leaf, mut gradient| {
            let Some(&place) = places.get(&leaf) else { return };
            let param = &self.params[place].1;
            // The order of additions is that of `TreeSum::push`, which finds nothing to add afterwards.
            for sum in [&mut *sum].into_iter().chain(joined.iter_mut().rev().map(|(_, sum)| sum)) {
                if let Some(mut more) = sum.gradients.take(param) {
                    more.add_assign(&gradient);
                    gradient = more;
                }
            }
            let mut all: Vec<Tensor> =
                before.iter_mut().map(|(_, sum)| sum.gradients.take(param).unwrap_or_else(|| nothing(param))).collect();
            all.push(gradient);
            reduction.give(place, all);
        });
        reduction
    }

    /// Returns the buffers that training changes.
    pub(super) fn moving_buffers(&self) -> Vec<Buffer> {
        let mut buffers = Vec::new();
        nn::visit(self.model(), |_, slot| match slot {
            Slot::Buffer(buffer) if !buffer.is_frozen() => buffers.push(buffer.clone()),
            _ => {}
        });
        buffers
    }

    /// Adds up what the processes have summed. `reduction` has the gradients that were given to it in the last backward pass, and `sums`
    /// the others. What is no gradient is added up at the end, as a list of numbers: that of the processes that want to stop, and
    /// those that have each gradient, loss and buffer, and then the losses and the changes of the buffers.
    pub(super) async fn sum_of_ranks(
        &mut self,
        mut sums: Vec<(Range<usize>, StepSum)>,
        reduction: Option<Reduction>,
        buffers: &[Tensor],
    ) -> Result<StepSum> {
        if self.communicator.size() == 1 {
            return Ok(sums.pop().expect("one tree").1);
        }
        let (device, ranges) = (self.predictor.device(), sums.iter().map(|(range, _)| range.clone()).collect());
        let mut reduction = reduction.unwrap_or_else(|| {
            Reduction::new(self.communicator.clone(), self.config().train.shards, ranges, &self.params)
        });
        let mut present = vec![0.0; self.params.len()];
        for (place, (_, param)) in self.params.iter().enumerate().filter(|(_, (_, param))| !param.is_frozen()) {
            let mut all = Vec::with_capacity(sums.len());
            for (_, sum) in &mut sums {
                all.push(match sum.gradients.take(param) {
                    Some(gradient) if gradient.device() == Device::Cpu => Some(gradient),
                    Some(gradient) => Some(Tensor::new(&gradient.read().await?, param.shape())),
                    None => None,
                });
            }
            let is_new = !reduction.has(place);
            present[place] = if !is_new || all.iter().any(Option::is_some) { 1.0 } else { 0.0 };
            if is_new {
                reduction.give(place, all.into_iter().map(|sum| sum.unwrap_or_else(|| nothing(param))).collect());
            }
        }
        self.clock.lap(|timing| &mut timing.reading);
        let shapes = [vec![Shape::from([]); WATCHED], buffers.iter().map(|buffer| *buffer.shape()).collect()].concat();
        let mut lists = Vec::with_capacity(sums.len());
        for (_, sum) in &sums {
            let tensors = (0..WATCHED).map(|i| sum.watched.get(i));
            let tensors: Vec<Option<&Tensor>> = tensors.chain((0..buffers.len()).map(|i| sum.buffers.get(i))).collect();
            let mut numbers = vec![if self.wants_stop { 1.0 } else { 0.0 }];
            numbers.extend(&present);
            numbers.extend(tensors.iter().map(|tensor| if tensor.is_some() { 1.0 } else { 0.0 }));
            for (tensor, shape) in tensors.into_iter().zip(&shapes) {
                match tensor {
                    Some(tensor) => numbers.extend(tensor.read().await?),
                    None => numbers.resize(numbers.len() + shape.count(), -0.0),
                }
            }
            lists.push(Tensor::new(&numbers, [numbers.len()]));
        }
        let (gradients, last) = reduction.finish(&self.params, lists, &mut self.traffic)?;
        let (numbers, rest) = last.data().split_at(1 + self.params.len());
        let (present, mut rest) = (numbers, rest.split_at(shapes.len()));
        self.must_stop = present[0] > 0.0;
        let mut sum = StepSum::default();
        for (((_, param), gradient), &present) in self.params.iter().zip(gradients).zip(&present[1..]) {
            if let Some(gradient) = gradient.filter(|_| present > 0.0) {
                sum.gradients.set(param, if *device == Device::Cpu { gradient } else { gradient.upload(device) });
            }
        }
        let mut tensors = shapes.iter().zip(rest.0).map(|(shape, present)| {
            let (numbers, after) = rest.1.split_at(shape.count());
            rest.1 = after;
            (*present > 0.0).then(|| Tensor::new(numbers, *shape).upload(device))
        });
        sum.watched = tensors.by_ref().take(WATCHED).flatten().collect();
        sum.buffers = tensors.flatten().collect();
        self.clock.lap(|timing| &mut timing.communication);
        Ok(sum)
    }

    /// Returns the number of images that this process has computed, since the last call.
    pub fn take_trained(&mut self) -> u64 {
        std::mem::take(&mut self.trained)
    }

    /// Returns what this process has sent for its steps, since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }
}

/// What a process without the gradient of this parameter adds to the sum.
fn nothing(param: &Param) -> Tensor {
    Tensor::full(param.shape(), -0.0)
}
