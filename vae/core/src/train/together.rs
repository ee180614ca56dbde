//! Shards that go through the network at the same time, for `train.sync_batch_norm`: batch norm sees the images of all shards.
//!
//! The statistics of a layer need the feature maps of every shard. So the shards advance together, from batch norm to batch norm:
//!
//! ```text
//! shard 0   conv │ norm: its moments          │ all moments │ conv │ norm …
//! shard 1        │ conv │ norm: its moments   │ all moments        │ conv │ norm …
//! ```
//!
//! The first shard of a process is computed by the thread that trains, and each other one by a thread of its own (a [`Worker`]) with a copy
//! of the model that shares the memory of its weights. They take turns in the order of shards, so that a process uses no more
//! processors than it was given. When all have left their numbers, the first one exchanges them with the other processes. Every shard
//! gets the numbers of all shards in order, and adds them up itself. So the results have the same bits for any number of processes.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use autograd::{BatchGroup, Buffer, Gradients};
use nn::{ForwardContext, Module, Slot};
use tensor::{Device, Tensor};

use super::fault::Fault;
use super::shards::{Division, StepSum};
use super::{Pass, Trainer};
use crate::config::Config;
use crate::data::Prepared;
use crate::distributed::{Communicator, TreeSum, shards_of};
use crate::error::{Error, Result};
use crate::learn;
use crate::objective::TermWeights;

/// The shards of a batch that this process computes.
#[derive(Debug)]
struct Table {
    state: Mutex<Turn>,
    moved: Condvar,
}

/// Who computes, and what the shards tell each other.
#[derive(Debug)]
struct Turn {
    /// The place of the shard that computes.
    at: usize,
    /// The last numbers of each shard of this process, and those of all shards.
    own: Vec<Vec<f64>>,
    all: Arc<Vec<Vec<f64>>>,
    /// Whether a shard has failed. Nobody waits any more, and the results are of no use.
    broken: bool,
}

impl Table {
    fn new(places: usize) -> Arc<Table> {
        let turn = Turn { at: 0, own: vec![Vec::new(); places], all: Arc::default(), broken: false };
        Arc::new(Table { state: Mutex::new(turn), moved: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of this place.
    fn wait(&self, place: usize) -> MutexGuard<'_, Turn> {
        let not_yet = |turn: &mut Turn| turn.at != place && !turn.broken;
        self.moved.wait_while(self.lock(), not_yet).unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the turn of a place.
    fn pass_on(&self, mut turn: MutexGuard<'_, Turn>, place: usize) {
        turn.at = (place + 1) % turn.own.len();
        drop(turn);
        self.moved.notify_all();
    }

    fn break_up(&self) {
        self.lock().broken = true;
        self.moved.notify_all();
    }
}

/// A shard of this process but the first, in one batch.
#[derive(Clone, Debug)]
struct Seat {
    table: Arc<Table>,
    place: usize,
}

impl BatchGroup for Seat {
    fn gather(&self, own: &[f64]) -> Vec<Vec<f64>> {
        let mut turn = self.table.lock();
        turn.own[self.place] = own.to_vec();
        self.table.pass_on(turn, self.place);
        let turn = self.table.wait(self.place);
        if turn.broken { vec![own.to_vec()] } else { turn.all.to_vec() }
    }
}

/// The first shard of this process, in one batch. It exchanges numbers with other processes.
#[derive(Debug)]
struct Head {
    table: Arc<Table>,
    link: Link,
    error: RefCell<Option<Error>>,
}

/// The processes that have images of a batch.
struct Link {
    communicator: Rc<dyn Communicator>,
    /// The number of shards with images of each process. It is 0 for the last ones, if the batch is incomplete.
    shards: Vec<usize>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.shards)
    }
}

impl Link {
    /// Returns the numbers of all shards in order, each as many as those of the first own shard.
    fn exchange(&self, own: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let (rank, len) = (self.communicator.rank(), own[0].len());
        let ranks = self.shards.iter().take_while(|&&shards| shards > 0).count();
        let outgoing: Vec<f64> = own.concat();
        let mut all: Vec<Vec<f64>> = self.shards.iter().map(|shards| vec![0.0; shards * len]).collect();
        all[rank].clone_from(&outgoing);
        for step in 1..ranks {
            let (to, from) = ((rank + step) % ranks, (rank + ranks - step) % ranks);
            let incoming = bytemuck::cast_slice_mut(&mut all[from]);
            self.communicator.exchange(to, bytemuck::cast_slice(&outgoing), from, incoming)?;
        }
        Ok(all.concat().chunks_exact(len).map(<[f64]>::to_vec).collect())
    }
}

impl Head {
    /// Lets the others have their turns, and waits until all have left their numbers or ended.
    fn go_round(&self) -> MutexGuard<'_, Turn> {
        self.table.pass_on(self.table.lock(), 0);
        self.table.wait(0)
    }
}

impl BatchGroup for Head {
    fn gather(&self, own: &[f64]) -> Vec<Vec<f64>> {
        self.table.lock().own[0] = own.to_vec();
        let turn = self.go_round();
        if turn.broken {
            return vec![own.to_vec()];
        }
        let numbers = turn.own.clone();
        drop(turn);
        match self.link.exchange(&numbers) {
            Ok(all) => {
                self.table.lock().all = Arc::new(all.clone());
                all
            }
            Err(error) => {
                *self.error.borrow_mut() = Some(error);
                self.table.break_up();
                vec![own.to_vec()]
            }
        }
    }
}

/// A thread that computes one of the shards of this process.
pub(super) struct Worker {
    orders: Sender<Order>,
    results: Receiver<Done>,
}

/// A shard of a step.
struct Order {
    step: u64,
    /// The values of all parameters and buffers, in the order of the model.
    values: Vec<Tensor>,
    parts: Vec<Part>,
}

/// A part of a shard, with its number and its share of the images of the step.
struct Part {
    number: usize,
    share: f32,
    images: Prepared,
    seat: Seat,
}

/// What a worker has computed: the gradient of each parameter, the watched losses, and each moving buffer.
struct Done {
    gradients: Vec<Option<Tensor>>,
    watched: Vec<Tensor>,
    buffers: Vec<Tensor>,
}

/// The name, shape and state of each tensor of a model.
fn describe(model: &dyn Module) -> Vec<String> {
    let mut all = Vec::new();
    nn::visit(model, |name, slot| {
        all.push(match slot {
            Slot::Param(param) => format!("{name} {} {}", param.shape(), param.is_frozen()),
            Slot::Buffer(buffer) => format!("{name} {} {}", buffer.shape(), buffer.is_frozen()),
        });
    });
    all
}

impl Worker {
    /// Starts the thread, for a model with these tensors.
    fn start(config: Config, images: usize, fault: Option<Fault>, tensors: Vec<String>) -> Result<Worker> {
        let ((orders, inbox), (outbox, results)) = (channel::<Order>(), channel());
        let (ready, answer) = channel();
        let work = move || {
            let model = learn::build(&config);
            let threads = match tensor::start_own_threads(0) {
                Ok(threads) if describe(&*model) == tensors => threads,
                Ok(_) => {
                    return drop(ready.send(Err(Error::config(
                        "train.sync_batch_norm = true: the model is not the one of the configuration, so a process can compute only one of its shards; start as many processes as train.shards",
                    ))));
                }
                Err(error) => return drop(ready.send(Err(error.into()))),
            };
            drop(ready.send(Ok(())));
            let pass = Pass { config: &config, images, device: &Device::Cpu, fault };
            for order in inbox {
                if outbox.send(compute(&pass, &*model, order)).is_err() {
                    break;
                }
            }
            drop(threads);
        };
        let failed = |error: &dyn std::fmt::Display| Error::Thread(format!("a thread for a shard: {error}"));
        std::thread::Builder::new().name("shard".into()).spawn(work).map_err(|error| failed(&error))?;
        answer.recv().unwrap_or_else(|error| Err(failed(&error)))?;
        Ok(Worker { orders, results })
    }
}

/// Computes a shard of a step on a worker's model.
fn compute(pass: &Pass, model: &dyn learn::Learner, Order { step, values, parts }: Order) -> Done {
    let (mut values, mut moving) = (values.into_iter(), Vec::<Buffer>::new());
    nn::visit(model, |_, slot| {
        let value = values.next().expect("the models are equal");
        match slot {
            Slot::Param(param) => param.give_back(value),
            Slot::Buffer(buffer) => {
                buffer.set(value);
                moving.extend((!buffer.is_frozen()).then(|| buffer.clone()));
            }
        }
    });
    let params = nn::parameters(model);
    let (mut gradients, mut watched) = (Gradients::default(), Vec::new());
    for Part { number, share, images, seat } in parts {
        let leave = Leave(seat.clone());
        drop(seat.table.wait(seat.place));
        let context = ForwardContext { group: Some(Rc::new(seat)), ..ForwardContext::default() };
        let terms = pass.forward(model, &params, (step, number), &images, context).terms.scaled(share);
        gradients.add(terms.total.backward());
        terms.add_to(&mut watched);
        drop(terms);
        drop(leave);
    }
    let buffers = moving.iter().map(Buffer::value).collect();
    let gradients = params.iter().map(|(_, param)| gradients.take(param)).collect();
    // The optimiser changes weights in place if nobody shares their memory.
    params.iter().for_each(|(_, param)| drop(param.take()));
    Done { gradients, watched, buffers }
}

/// Ends the turn of a worker. If it panics, the others do not wait for it.
struct Leave(Seat);

impl Drop for Leave {
    fn drop(&mut self) {
        let Seat { table, place } = &self.0;
        match std::thread::panicking() {
            true => table.break_up(),
            false => table.pass_on(table.lock(), *place),
        }
    }
}

impl Trainer {
    /// Does what [`sum_of_shards`](Trainer::sum_of_shards) does, with the shards at the same time.
    pub(super) async fn sum_of_shards_together(
        &mut self,
        batches: &mut dyn Iterator<Item = Result<Prepared>>,
        images: usize,
    ) -> Result<(StepSum, TermWeights)> {
        self.check_sync()?;
        let (division, shards, ranks) = (Division::new(self.config()), self.own_shards(), self.communicator.size());
        let mut parts = Vec::new(); // by shard
        for shard in shards.clone() {
            let with_batch = |((number, range), batch): ((usize, Range<usize>), Result<Prepared>)| {
                batch.map(|batch| (number, range.len(), batch))
            };
            parts.push(division.parts(shard, images).zip(&mut *batches).map(with_batch).collect::<Result<Vec<_>>>()?);
        }
        self.clock.lap(|timing| &mut timing.data);
        let seen: Vec<usize> = parts.iter().map(|parts| parts.iter().map(|(_, len, _)| len).sum()).collect();
        let busy = seen.iter().filter(|&&images| images > 0).count();
        let tables: Vec<Arc<Table>> =
            (0..parts[0].len()).map(|i| Table::new(parts.iter().filter(|parts| parts.len() > i).count())).collect();
        let buffers = self.moving_buffers();
        let before: Vec<Tensor> = buffers.iter().map(Buffer::value).collect();
        while self.workers.len() + 1 < busy {
            let (images, tensors) = (self.dataset.train.count(), describe(self.model()));
            self.workers.push(Worker::start(self.config().clone(), images, self.fault, tensors)?);
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        for ((worker, parts), place) in self.workers.iter().zip(parts).zip(1..).take(busy.saturating_sub(1)) {
            let parts = parts.into_iter().zip(&tables).map(|((number, len, batch), table)| Part {
                number,
                share: len as f32 / images as f32,
                images: batch,
                seat: Seat { table: table.clone(), place },
            });
            let mut values = Vec::new();
            nn::visit(self.model(), |_, slot| {
                values.push(match slot {
                    Slot::Param(param) => param.value(),
                    Slot::Buffer(buffer) => buffer.value(),
                });
            });
            let _ = worker.orders.send(Order { step: self.steps, values, parts: parts.collect() });
        }

        let (mut sum, mut term_weights) = (StepSum::default(), TermWeights::default());
        for (i, ((number, len, batch), table)) in first.iter().zip(&tables).enumerate() {
            let with_images = |rank: usize| {
                shards_of(rank, ranks, division.shards)
                    .filter(|&shard| division.parts(shard, images).count() > i)
                    .count()
            };
            let link = Link { communicator: self.communicator.clone(), shards: (0..ranks).map(with_images).collect() };
            let head = Rc::new(Head { table: table.clone(), link, error: RefCell::new(None) });
            let context = ForwardContext { group: Some(head.clone()), ..ForwardContext::default() };
            let forward = self.pass().forward(self.model(), &self.params, (self.steps, *number), batch, context);
            let terms = forward.terms.scaled(*len as f32 / images as f32);
            self.clock.lap(|timing| &mut timing.forward);
            sum.gradients.add(terms.total.backward());
            terms.add_to(&mut sum.watched);
            term_weights = terms.term_weights();
            drop(head.go_round());
            self.clock.lap(|timing| &mut timing.backward);
            if let Some(error) = head.error.take() {
                return Err(error);
            }
        }

        let mut sums = TreeSum::new(division.shards);
        for ((shard, &seen), place) in shards.zip(&seen).zip(0..) {
            let share = seen as f32 / images as f32;
            let change = |(value, before): (Tensor, &Tensor)| value.sub(before).mul_scalar(share);
            if seen > 0 && place == 0 {
                sum.buffers = buffers.iter().map(Buffer::value).zip(&before).map(change).collect();
            } else if seen > 0 {
                let Done { gradients, watched, buffers } = self.workers[place - 1]
                    .results
                    .recv()
                    .map_err(|_| Error::Thread("a thread that computes a shard has failed (see above)".into()))?;
                sum = StepSum {
                    watched,
                    buffers: buffers.into_iter().zip(&before).map(change).collect(),
                    ..StepSum::default()
                };
                for ((_, param), gradient) in self.params.iter().zip(gradients) {
                    gradient.into_iter().for_each(|gradient| sum.gradients.set(param, gradient));
                }
            }
            self.trained += seen as u64;
            sums.push(shard, std::mem::take(&mut sum), StepSum::add);
        }
        self.communicator.alive(std::time::Duration::ZERO);
        let sum = self.sum_of_ranks(sums.into_sums(), None, &before).await?;
        for ((buffer, before), change) in buffers.iter().zip(&before).zip(&sum.buffers) {
            buffer.set(before.add(change));
        }
        Ok((sum, term_weights))
    }

    /// Refuses a device that cannot compute with batch norm over all shards.
    pub(super) fn check_sync(&self) -> Result<()> {
        match self.config().train.sync_batch_norm && *self.device() != Device::Cpu {
            true => Err(Error::config("train.sync_batch_norm = true: a GPU cannot do that; set device = \"cpu\"")),
            false => Ok(()),
        }
    }
}
