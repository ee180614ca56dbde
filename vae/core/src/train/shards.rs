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
//! Buffers, such as the running statistics of batch norm, change in the forward pass. Every shard starts from their values before
//! the step, r, and their new values are r + Σ wₛ·(rₛ − r), where wₛ is the share of the shard in the images of the step. A buffer
//! that no shard changes keeps its bits.
//!
//! Several processes (ranks) divide the shards among them. The sum of a step is then a list of numbers that they add up together. A
//! rank without a certain tensor sends −0 in its place, because x + (−0) has the bits of x for every x.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use autograd::{Buffer, Gradients};
use nn::Slot;
use tensor::{Device, Shape, Tensor};

use super::Trainer;
use crate::config::Config;
use crate::data::Prepared;
use crate::distributed::{Communicator, TreeSum, all_reduce, shards_of};
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
    buffers: Vec<Tensor>,
}

impl StepSum {
    fn add(&mut self, other: StepSum) {
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
    /// If there are more processes than shards.
    pub fn join(&mut self, communicator: Rc<dyn Communicator>) -> Result<()> {
        let (ranks, shards) = (communicator.size(), self.config().train.shards);
        if ranks > shards {
            return Err(Error::config(format!(
                "train.shards = {shards}: {ranks} processes need at least {ranks} shards, one for each; set train.shards to a multiple of {ranks}"
            )));
        }
        self.communicator = communicator;
        Ok(())
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
        let buffers = if division.shards > 1 { self.moving_buffers() } else { Vec::new() };
        let before: Vec<Tensor> = buffers.iter().map(Buffer::value).collect();
        let (mut sums, mut term_weights) = (TreeSum::new(division.shards), TermWeights::default());
        for shard in self.own_shards() {
            let (mut sum, mut seen) = (StepSum::default(), 0);
            for ((part, range), batch) in division.parts(shard, images).zip(&mut *batches) {
                let batch = batch?;
                self.clock.lap(|timing| &mut timing.data);
                let terms =
                    self.forward(self.steps, part, &batch, None).terms.scaled(range.len() as f32 / images as f32);
                self.clock.lap(|timing| &mut timing.forward);
                sum.gradients.add(terms.total.backward());
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
        let sum = self.sum_of_ranks(sums.into_sums(), &before).await?;
        for ((buffer, before), change) in buffers.iter().zip(&before).zip(&sum.buffers) {
            buffer.set(before.add(change));
        }
        Ok((sum, term_weights))
    }

    /// Returns the buffers that training changes.
    fn moving_buffers(&self) -> Vec<Buffer> {
        let mut buffers = Vec::new();
        nn::visit(self.model(), |_, slot| match slot {
            Slot::Buffer(buffer) if !buffer.is_frozen() => buffers.push(buffer.clone()),
            _ => {}
        });
        buffers
    }

    /// Adds up what the processes have summed. The first number counts those that want to stop.
    async fn sum_of_ranks(&mut self, mut sums: Vec<(Range<usize>, StepSum)>, buffers: &[Tensor]) -> Result<StepSum> {
        if self.communicator.size() == 1 {
            return Ok(sums.pop().expect("one tree").1);
        }
        let scalar = Shape::from([]);
        let shapes: Vec<Shape> = self.params.iter().map(|(_, param)| param.shape()).collect();
        let shapes = [shapes, vec![scalar; WATCHED], buffers.iter().map(|buffer| *buffer.shape()).collect()].concat();
        let mut all = Vec::with_capacity(sums.len());
        for (range, sum) in sums {
            let gradients = self.params.iter().map(|(_, param)| sum.gradients.get(param));
            let watched = (0..WATCHED).map(|i| sum.watched.get(i));
            let tensors: Vec<Option<&Tensor>> =
                gradients.chain(watched).chain((0..buffers.len()).map(|i| sum.buffers.get(i))).collect();
            let len = 1 + shapes.len() + shapes.iter().map(Shape::count).sum::<usize>();
            let mut numbers = std::mem::take(&mut self.numbers); // the memory of the last step
            numbers.clear();
            numbers.reserve_exact(len);
            numbers.push(if self.wants_stop { 1.0 } else { 0.0 });
            numbers.extend(tensors.iter().map(|tensor| if tensor.is_some() { 1.0 } else { 0.0 }));
            for (tensor, shape) in tensors.into_iter().zip(&shapes) {
                match tensor {
                    Some(tensor) if tensor.device() == Device::Cpu => numbers.extend_from_slice(tensor.data()),
                    Some(tensor) => numbers.extend(tensor.read().await?),
                    None => numbers.resize(numbers.len() + shape.count(), -0.0),
                }
            }
            all.push((range, numbers));
        }
        self.clock.lap(|timing| &mut timing.reading);
        let total = all_reduce(&*self.communicator, self.config().train.shards, all)?;
        self.must_stop = total[0] > 0.0;
        let (present, mut rest) = total[1..].split_at(shapes.len());
        let mut tensors = shapes.iter().zip(present).map(|(shape, present)| {
            let (numbers, after) = rest.split_at(shape.count());
            rest = after;
            (*present > 0.0).then(|| Tensor::new(numbers, *shape).upload(self.predictor.device()))
        });
        let mut sum = StepSum::default();
        for (_, param) in &self.params {
            tensors.next().flatten().into_iter().for_each(|gradient| sum.gradients.set(param, gradient));
        }
        sum.watched = tensors.by_ref().take(WATCHED).flatten().collect();
        sum.buffers = tensors.flatten().collect();
        self.numbers = total;
        self.clock.lap(|timing| &mut timing.communication);
        Ok(sum)
    }

    /// Returns the number of images that this process has computed, since the last call.
    pub fn take_trained(&mut self) -> u64 {
        std::mem::take(&mut self.trained)
    }
}
