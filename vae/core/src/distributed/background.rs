//! A communicator on a thread of its own, so that messages travel while the caller computes.
//!
//! The thread that owns the communicator runs [`Jobs::run`]. A [`Handle`] is the communicator of another thread. It passes every call on
//! as a job, and the jobs run one after the other in the order of the calls. [`Communicator::start`] returns before its job has run; the
//! other methods wait for theirs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Communicator, Job};
use crate::error::{Error, Result};

/// A communicator that another thread works for.
pub struct Handle {
    rank: usize,
    size: usize,
    jobs: Sender<Job>,
}

/// The jobs of a [`Handle`].
pub struct Jobs(Receiver<Job>);

/// Creates the handle of a communicator with this rank and size, and its jobs.
pub fn background(rank: usize, size: usize) -> (Handle, Jobs) {
    let (sender, receiver) = channel();
    (Handle { rank, size, jobs: sender }, Jobs(receiver))
}

impl Jobs {
    /// Runs the jobs on the communicator, until the handle is dropped.
    pub fn run(self, communicator: &dyn Communicator) {
        self.0.into_iter().for_each(|job| job(communicator));
    }
}

impl Handle {
    /// Runs `call` on the other thread, and waits for its result.
    fn ask<R: Send + 'static>(&self, call: impl FnOnce(&dyn Communicator) -> Result<R> + Send + 'static) -> Result<R> {
        let (sender, answer) = channel();
        self.start(Box::new(move |communicator| drop(sender.send(call(communicator)))));
        let gone = || Error::Thread("the thread that exchanges messages with other processes has ended".into());
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Communicator for Handle {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        let bytes = bytes.to_vec();
        self.ask(move |communicator| communicator.send(to, &bytes))
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let mut message = vec![0; bytes.len()];
        let message = self.ask(move |communicator| communicator.receive(from, &mut message).map(|()| message))?;
        bytes.copy_from_slice(&message);
        Ok(())
    }

    fn exchange(&self, to: usize, outgoing: &[u8], from: usize, incoming: &mut [u8]) -> Result<()> {
        let (outgoing, mut message) = (outgoing.to_vec(), vec![0; incoming.len()]);
        let message =
            self.ask(move |communicator| communicator.exchange(to, &outgoing, from, &mut message).map(|()| message))?;
        incoming.copy_from_slice(&message);
        Ok(())
    }

    fn start(&self, job: Job) {
        // If the other thread has ended, the job is dropped, and whoever waits for its result notices.
        let _ = self.jobs.send(job);
    }

    fn alive(&self, pause: Duration) {
        self.start(Box::new(move |communicator| communicator.alive(pause)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::distributed::threads::group;

    /// Calls `work` with a handle for each of two ranks, whose communicators run on threads of their own.
    fn on_two<R: Send>(work: impl Fn(Handle) -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let work = &work;
            let spawn = |rank: crate::distributed::threads::ThreadRank| {
                let (handle, jobs) = background(rank.rank(), 2);
                scope.spawn(move || jobs.run(&rank));
                scope.spawn(move || work(handle))
            };
            let threads: Vec<_> = group(2).into_iter().map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn jobs_run_in_the_order_of_the_calls() {
        static DONE: AtomicUsize = AtomicUsize::new(0);
        let heard = on_two(|handle| {
            let other = 1 - handle.rank();
            if handle.rank() == 0 {
                handle.start(Box::new(move |communicator| {
                    std::thread::sleep(Duration::from_millis(20));
                    communicator.send(other, &[1]).unwrap();
                    DONE.store(1, Ordering::SeqCst);
                }));
                handle.send(other, &[2]).unwrap();
                assert_eq!(DONE.load(Ordering::SeqCst), 1, "the send waits for the job before it");
            }
            let mut bytes = [0; 2];
            if handle.rank() == 1 {
                bytes.iter_mut().for_each(|byte| handle.receive(0, std::slice::from_mut(byte)).unwrap());
            }
            let mut incoming = [0];
            handle.exchange(other, &[handle.rank() as u8], other, &mut incoming).unwrap();
            (bytes, incoming, handle.any(handle.rank() == 1).unwrap())
        });
        assert_eq!(heard, [([0, 0], [1], true), ([1, 2], [0], true)]);
    }

    #[test]
    fn a_handle_whose_thread_has_ended_returns_an_error() {
        let (handle, jobs) = background(0, 2);
        drop(jobs);
        let error = handle.send(1, &[1]).unwrap_err().to_string();
        assert!(error.contains("the thread that exchanges messages with other processes has ended"), "{error}");
    }
}
