//! Processes that train one model together. Each of them is a *rank*, numbered from 0, and holds a copy of the model.
//!
//! A [`Communicator`] carries bytes between ranks. [`threads`] is one inside a process, for tests; the crate `distributed` has one
//! for MPI. Everything that ranks do together is built on `send` and `receive`: [`Communicator::broadcast`],
//! [`Communicator::gather`], and the sum of gradients in `reduce.rs`, which has the same bits for any number of ranks. With
//! [`background`], messages travel while the caller computes.

pub mod background;
mod batches;
mod reduce;
mod step_time;
pub mod threads;

use std::time::Duration;

use crate::error::Result;

pub use batches::shared_batches;
pub use reduce::{SumOf, TreeSum, all_reduce, shards_of};
pub use step_time::{Network, StepTime};

/// Work for the thread that exchanges messages; see [`Communicator::start`].
pub type Job = Box<dyn FnOnce(&dyn Communicator) + Send>;

/// One of the processes that train together. All ranks call the same methods in the same order.
///
/// # Errors
/// Every method that returns a result fails if another rank has ended or shows no sign of life.
pub trait Communicator {
    /// Returns the number of this process, counted from 0.
    fn rank(&self) -> usize;

    /// Returns the number of processes.
    fn size(&self) -> usize;

    /// Sends a message to another rank. Messages between two ranks arrive in order. It may wait until the other receives.
    fn send(&self, to: usize, bytes: &[u8]) -> Result<()>;

    /// Waits for the next message of another rank, which has as many bytes as `bytes`.
    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()>;

    /// Sends a message to one rank while it waits for one of another rank, or of the same. An engine whose `send` waits for the
    /// receiver does both at once.
    fn exchange(&self, to: usize, outgoing: &[u8], from: usize, incoming: &mut [u8]) -> Result<()> {
        self.send(to, outgoing)?;
        self.receive(from, incoming)
    }

    /// Runs a job that calls this communicator. It may run later, on another thread, but before the calls that come after this one. If
    /// it cannot run, it is dropped.
    fn start(&self, job: Job);

    /// Tells the other ranks that this one makes progress. It may then be silent for `pause` longer than usual, for example
    /// because it writes files.
    fn alive(&self, pause: Duration) {
        let _ = pause;
    }

    /// Replaces `bytes` on every rank by those of rank `from`. The ranks form a binomial tree: those that have the message
    /// double in each round.
    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let (size, place) = (self.size(), (self.rank() + self.size() - from) % self.size());
        let rank = |place: usize| (place + from) % size;
        let mut step = 1;
        while step < size && place & step == 0 {
            step <<= 1;
        }
        if place > 0 {
            self.receive(rank(place - step), bytes)?;
        }
        while step > 1 {
            step >>= 1;
            if place + step < size {
                self.send(rank(place + step), bytes)?;
            }
        }
        Ok(())
    }

    /// Returns the messages of all ranks, in the order of ranks, on rank 0; none on the others. They may differ in length.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        if self.rank() > 0 {
            self.send(0, &(bytes.len() as u64).to_le_bytes())?;
            self.send(0, bytes)?;
            return Ok(Vec::new());
        }
        let mut all = vec![bytes.to_vec()];
        for rank in 1..self.size() {
            let mut len = [0; 8];
            self.receive(rank, &mut len)?;
            let mut bytes = vec![0; u64::from_le_bytes(len) as usize];
            self.receive(rank, &mut bytes)?;
            all.push(bytes);
        }
        Ok(all)
    }

    /// Returns the message of rank 0 on every rank. The messages of the others are ignored.
    fn share(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut len = (bytes.len() as u64).to_le_bytes();
        self.broadcast(0, &mut len)?;
        let mut bytes = bytes.to_vec();
        bytes.resize(u64::from_le_bytes(len) as usize, 0);
        self.broadcast(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Returns on every rank whether `vote` is true on any of them.
    fn any(&self, vote: bool) -> Result<bool> {
        if self.size() == 1 {
            return Ok(vote);
        }
        let votes = self.gather(&[u8::from(vote)])?;
        Ok(self.share(&[u8::from(votes.concat().contains(&1))])? == [1])
    }

    /// Returns when every rank has called it.
    fn barrier(&self) -> Result<()> {
        self.any(false).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The first of several ranks, which notes what it is asked to do. Its messages go nowhere.
    struct Noting {
        size: usize,
        notes: RefCell<Vec<String>>,
    }

    impl Noting {
        fn new(size: usize) -> Noting {
            Noting { size, notes: RefCell::default() }
        }
    }

    impl Communicator for Noting {
        fn rank(&self) -> usize {
            0
        }

        fn size(&self) -> usize {
            self.size
        }

        fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
            self.notes.borrow_mut().push(format!("{bytes:?} to {to}"));
            Ok(())
        }

        fn receive(&self, from: usize, _: &mut [u8]) -> Result<()> {
            self.notes.borrow_mut().push(format!("from {from}"));
            Ok(())
        }

        fn start(&self, job: Job) {
            job(self);
        }

        fn alive(&self, pause: Duration) {
            self.notes.borrow_mut().push(format!("alive for {pause:?}"));
        }
    }

    #[test]
    fn a_broadcast_sends_a_message_to_a_rank_in_each_round() {
        for (size, receivers) in [(1, &[][..]), (2, &[1]), (3, &[2, 1]), (4, &[2, 1]), (5, &[4, 2, 1])] {
            let ranks = Noting::new(size);
            ranks.broadcast(0, &mut [7]).unwrap();
            let expected: Vec<String> = receivers.iter().map(|to| format!("[7] to {to}")).collect();
            assert_eq!(*ranks.notes.borrow(), expected, "{size} ranks");
        }
    }

    #[test]
    fn a_sign_of_life_is_passed_on() {
        let (handle, jobs) = background::background(0, 2);
        handle.alive(Duration::from_secs(3));
        drop(handle);
        let ranks = Noting::new(2);
        jobs.run(&ranks);
        assert_eq!(*ranks.notes.borrow(), ["alive for 3s"]);
    }

    #[test]
    fn a_thread_runs_a_job_at_once() {
        let (sender, receiver) = std::sync::mpsc::channel();
        threads::alone().start(Box::new(move |ranks| sender.send(ranks.size()).unwrap()));
        assert_eq!(receiver.try_recv(), Ok(1));
    }
}
