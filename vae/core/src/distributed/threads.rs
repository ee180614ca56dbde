//! Ranks that are threads of one process. A message is a vector in a channel, so `send` never waits.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Communicator, Job};
use crate::error::{Error, Result};

/// One of the threads.
pub struct ThreadRank {
    rank: usize,
    /// Channels to and from each rank, also to this one itself.
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

/// Creates the ranks of a group of `size` threads. Each is moved to its thread.
pub fn group(size: usize) -> Vec<ThreadRank> {
    let mut ranks: Vec<ThreadRank> =
        (0..size).map(|rank| ThreadRank { rank, to: Vec::new(), from: Vec::new() }).collect();
    for sender in 0..size {
        for receiver in 0..size {
            let (to, from) = channel();
            ranks[sender].to.push(to);
            ranks[receiver].from.push(from); // in the order of senders, because they are the outer loop
        }
    }
    ranks
}

/// The only rank of a process that trains alone.
pub fn alone() -> ThreadRank {
    group(1).remove(0)
}

impl ThreadRank {
    fn gone(&self, rank: usize) -> Error {
        Error::Rank(format!("rank {rank} of {} has ended, so rank {} cannot go on", self.size(), self.rank))
    }
}

impl Communicator for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.to[to].send(bytes.to_vec()).map_err(|_| self.gone(to))
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let message = self.from[from].recv().map_err(|_| self.gone(from))?;
        bytes.copy_from_slice(&message);
        Ok(())
    }

    fn start(&self, job: Job) {
        job(self);
    }
}
