//! The sum of a step's gradients over several processes (ranks), while the backward pass still runs.
//!
//! Gradients are added up in buckets. A bucket is one large gradient, or several small ones in a row:
//!
//! ```text
//! backward pass   │ decoder.conv1 … │ decoder.layer4 … │ … │ encoder.conv1
//! messages                          │ bucket 0         │ bucket 1 │ …     │ the last bucket │ losses, flags, buffers
//! ```
//!
//! The buckets follow the parameters from the last to the first, because the backward pass comes to the last layers first. Every rank
//! starts them in this order, each as soon as it and all before it are complete. [`Communicator::start`] runs them beside the pass.

use std::ops::Range;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use autograd::Param;
use tensor::Tensor;

use crate::distributed::{Communicator, all_reduce};
use crate::error::{Error, Result};

/// Gradients with fewer numbers share a bucket: 256 kB, of which a message costs much more than its latency.
const SMALL: usize = 1 << 16;

/// What a rank has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The number of steps.
    pub steps: u64,
    /// The bytes of all steps.
    pub bytes: u64,
    /// Those of them that were sent, and answered, before the backward pass of their step had ended.
    pub overlapped: u64,
}

/// A sum over ranks that is under way.
pub(super) struct Reduction {
    communicator: Rc<dyn Communicator>,
    shards: usize,
    /// The shards of each sum of this rank.
    ranges: Vec<Range<usize>>,
    buckets: Vec<Vec<usize>>,
    /// The gradients that are complete, by parameter: one for each sum of this rank.
    given: Vec<Option<Vec<Tensor>>>,
    seen: Vec<bool>,
    /// The buckets that were started.
    running: Vec<Receiver<Result<Reduced>>>,
}

/// A bucket that was added up.
struct Reduced {
    total: Tensor,
    sent: usize,
    ended: Instant,
}

/// Divides parameters, of which the frozen ones have no gradient, into the buckets of a step by several processes. Returns the places of
/// their members.
pub fn buckets(params: &[(String, Param)]) -> Vec<Vec<usize>> {
    let (mut buckets, mut few, mut len) = (Vec::new(), Vec::new(), 0);
    for (i, (_, param)) in params.iter().enumerate().rev().filter(|(_, (_, param))| !param.is_frozen()) {
        let count = param.shape().count();
        if count >= SMALL {
            buckets.push(vec![i]);
            continue;
        }
        few.push(i);
        len += count;
        if len >= SMALL {
            buckets.push(std::mem::take(&mut few));
            len = 0;
        }
    }
    buckets.extend((!few.is_empty()).then_some(few));
    buckets
}

impl Reduction {
    /// Begins a sum. `ranges` are the shards of each sum of this rank.
    pub(super) fn new(
        communicator: Rc<dyn Communicator>,
        shards: usize,
        ranges: Vec<Range<usize>>,
        params: &[(String, Param)],
    ) -> Reduction {
        let given = params.iter().map(|_| None).collect();
        let (buckets, seen) = (buckets(params), vec![false; params.len()]);
        Reduction { communicator, shards, ranges, buckets, given, seen, running: Vec::new() }
    }

    /// Returns whether the gradient of this parameter was given.
    pub(super) fn has(&self, param: usize) -> bool {
        self.seen[param]
    }

    /// Takes the gradient of a parameter, one tensor on the CPU for each sum of this rank, and starts the buckets that are complete.
    pub(super) fn give(&mut self, param: usize, sums: Vec<Tensor>) {
        self.given[param] = Some(sums);
        self.seen[param] = true;
        while let Some(bucket) = self.buckets.get(self.running.len())
            && bucket.iter().all(|&param| self.given[param].is_some())
        {
            let mut members: Vec<Vec<Tensor>> = bucket.iter().filter_map(|&param| self.given[param].take()).collect();
            let sums = match members.len() {
                1 => members.remove(0),
                _ => (0..self.ranges.len()).map(|sum| joined(members.iter().map(|member| &member[sum]))).collect(),
            };
            self.start(sums);
        }
    }

    fn start(&mut self, mut sums: Vec<Tensor>) {
        let (sender, receiver) = channel();
        let (shards, ranges) = (self.shards, self.ranges.clone());
        self.communicator.start(Box::new(move |communicator| {
            let numbers = sums.iter_mut().map(Tensor::data_mut);
            let sent = all_reduce(communicator, shards, &mut ranges.into_iter().zip(numbers).collect::<Vec<_>>());
            let total = sums.swap_remove(0);
            drop(sender.send(sent.map(|sent| Reduced { total, sent, ended: Instant::now() })));
        }));
        self.running.push(receiver);
    }

    /// Waits for all buckets, and for one more bucket `last`. Returns the sum of each parameter's gradient, none for a frozen one, and
    /// the sum of the last bucket.
    ///
    /// # Errors
    /// If another rank has ended.
    pub(super) fn finish(
        mut self,
        params: &[(String, Param)],
        last: Vec<Tensor>,
        traffic: &mut Traffic,
    ) -> Result<(Vec<Option<Tensor>>, Tensor)> {
        let end = Instant::now();
        debug_assert_eq!(self.running.len(), self.buckets.len(), "a gradient was not given");
        self.start(last);
        traffic.steps += 1;
        let mut totals = Vec::with_capacity(self.running.len());
        for receiver in &self.running {
            let gone = || Error::Thread("the thread that exchanges messages with other processes has ended".into());
            let Reduced { total, sent, ended } = receiver.recv().unwrap_or_else(|_| Err(gone()))?;
            traffic.bytes += sent as u64;
            traffic.overlapped += if ended <= end { sent as u64 } else { 0 };
            totals.push(total);
        }
        let last = totals.pop().expect("it was started");
        let mut gradients: Vec<Option<Tensor>> = params.iter().map(|_| None).collect();
        for (bucket, total) in self.buckets.iter().zip(totals) {
            if let [alone] = bucket[..] {
                gradients[alone] = Some(total);
                continue;
            }
            let mut rest = total.data();
            for &param in bucket {
                let (numbers, after) = rest.split_at(params[param].1.shape().count());
                rest = after;
                gradients[param] = Some(Tensor::new(numbers, params[param].1.shape()));
            }
        }
        Ok((gradients, last))
    }
}

/// The numbers of several tensors, one after the other.
pub(super) fn joined<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Tensor {
    let numbers: Vec<f32> = tensors.flat_map(|tensor| tensor.data().iter().copied()).collect();
    Tensor::new(&numbers, [numbers.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::threads::{ThreadRank, group};

    fn params(shapes: &[&[usize]]) -> Vec<(String, Param)> {
        let param = |shape: &&[usize]| (String::new(), Param::new(Tensor::zeros(*shape)));
        shapes.iter().map(param).collect()
    }

    #[test]
    fn small_gradients_in_a_row_share_a_bucket() {
        let some = params(&[&[2, SMALL / 2], &[10], &[5], &[SMALL - 1], &[1]]);
        some[2].1.freeze(true);
        assert_eq!(buckets(&some), [vec![4, 3], vec![0], vec![1]]);
        assert_eq!(buckets(&params(&[&[SMALL]])), [[0]]);
    }

    /// Each rank gives the number of its rank, plus one, as every gradient.
    fn summed(rank: ThreadRank) -> (Vec<Option<Tensor>>, Traffic) {
        let params = params(&[&[2, SMALL / 2], &[2, 5], &[5], &[3]]);
        params[2].1.freeze(true);
        let (number, mut traffic) = (rank.rank() as f32 + 1.0, Traffic::default());
        let range = rank.rank()..rank.rank() + 1;
        let mut reduction = Reduction::new(Rc::new(rank), 2, vec![range], &params);
        for place in [3, 1, 0] {
            assert!(!reduction.has(place));
            reduction.give(place, vec![Tensor::full(params[place].1.shape(), number)]);
            assert!(reduction.has(place));
        }
        let last = Tensor::new(&[number, 10.0 * number], [2]);
        let (gradients, last) = reduction.finish(&params, vec![last], &mut traffic).unwrap();
        assert_eq!(last.data(), [3.0, 30.0]);
        (gradients, traffic)
    }

    #[test]
    fn gradients_are_added_up_over_ranks_and_counted() {
        let ranks: Vec<_> = group(2).into_iter().map(|rank| std::thread::spawn(move || summed(rank))).collect();
        for (gradients, traffic) in ranks.into_iter().map(|rank| rank.join().unwrap()) {
            let expected = [Some([2, SMALL / 2].to_vec()), Some(vec![2, 5]), None, Some(vec![3])];
            let shapes = gradients.iter().map(|sum| sum.as_ref().map(|sum| sum.shape().to_vec()));
            assert_eq!(shapes.collect::<Vec<_>>(), expected);
            assert!(gradients.iter().flatten().all(|sum| sum.data().iter().all(|x| *x == 3.0)));
            // Half of the numbers, and half of the sums. A thread adds up while it waits, so only the last bucket is not hidden.
            let numbers = SMALL + 10 + 3;
            let bytes = |numbers: usize| 4 * numbers as u64;
            assert_eq!((traffic.steps, traffic.bytes - traffic.overlapped), (1, bytes(2)));
            assert!(traffic.overlapped.abs_diff(bytes(numbers)) <= 8, "{traffic:?}, {numbers} numbers");
        }
    }
}
