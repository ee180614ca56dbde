//! Runs that are trained at the same time, each on a thread of its own with a share of the threads that compute.
//!
//! A run alone keeps many cores busy only if its layers are large: each kernel ends when its slowest task does, and what is small is
//! computed by one thread. Runs side by side do not wait for each other. On two cores, two runs with one thread each take 0.64 of the time
//! of the same runs one after the other for `mnist-cnn` at half its width, 0.77 for `quickstart`, and 0.92 for `beta-resnet18`. The
//! results are equal to the bit, because those of a run do not depend on its threads. On a GPU, runs follow each other.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use vae_core::config::Config;
use vae_core::{Error, Result as VaeResult};
use vae_data::memory;

use super::grid::ResultLine;
use super::points::Point;
use super::{RunOptions, stop};
use crate::console::labelled;
use crate::device::Chosen;
use crate::say;

/// How many runs are trained at the same time, and the threads of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jobs {
    count: usize,
    threads: usize,
}

impl Jobs {
    /// One run after the other, with all threads.
    pub const ONE: Jobs = Jobs { count: 1, threads: 0 };

    /// As many runs of these as were asked for. `None` asks for one on a GPU, and otherwise for as many as threads and memory allow.
    ///
    /// # Errors
    /// If so many runs need more memory than is free, or compute on a GPU.
    pub fn new(asked: Option<u64>, runs: &[&Config], chosen: &Chosen) -> VaeResult<Jobs> {
        let largest = runs.iter().map(|config| config.memory(1)).fold(0.0, f64::max);
        if chosen.gpu.is_some() {
            return match asked {
                None | Some(1) => Ok(Jobs::ONE),
                Some(asked) => {
                    Err(Error::config(format!("--jobs {asked}: a GPU trains one run at a time; leave it out")))
                }
            };
        }
        Jobs::of(asked, runs.len(), largest, memory::available() as f64, chosen.threads())
    }

    fn of(asked: Option<u64>, runs: usize, need: f64, available: f64, threads: usize) -> VaeResult<Jobs> {
        let most = runs.min(threads).max(1);
        let fit = if need > 0.0 { (available / need) as usize } else { most };
        let fit = fit.max(1); // whether one run fits is checked before
        let count = most.min(asked.map_or(fit, |asked| asked as usize));
        if count > fit {
            let [need, available] = [need, available].map(|bytes| bytes / (1_u64 << 30) as f64);
            let words =
                format!("{count} runs need up to {need:.1} GiB of memory each, but {available:.1} GiB are free");
            return Err(Error::config(format!("--jobs {count}: {words}; ask for fewer")));
        }
        Ok(Jobs { count, threads: threads / count })
    }

    /// The same threads for at most so many runs.
    pub fn at_most(self, runs: usize) -> Jobs {
        let count = self.count.min(runs).max(1);
        Jobs { count, threads: self.count * self.threads / count }
    }

    /// How many runs are trained at the same time.
    pub fn count(self) -> usize {
        self.count
    }

    /// A sentence about them. `None` if there is only one.
    pub fn words(self) -> Option<String> {
        let threads = if self.threads == 1 { "1 thread".into() } else { format!("{} threads", self.threads) };
        (self.count > 1).then(|| format!("{} runs are trained at the same time, with {threads} each", self.count))
    }

    /// Calls `work` for each number in order, for as many at once as there are jobs, until it returns `false` or an error. Calls that have
    /// begun go on to their end; after an error, the runs in them stop after their present step. Returns whether all calls returned `true`.
    ///
    /// # Errors
    /// The first error of `work`, or if the system does not start the threads.
    pub fn for_each(self, mut numbers: Range<usize>, work: impl Fn(usize) -> Result<bool> + Sync) -> Result<bool> {
        if self.count == 1 {
            return numbers.try_fold(true, |go_on, i| Ok(go_on && work(i)?));
        }
        let (next, stopped) = (AtomicUsize::new(numbers.start), AtomicBool::new(false));
        let failure = Mutex::new(None);
        let fail = |error: anyhow::Error| {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            stopped.store(true, Ordering::Relaxed);
            stop();
        };
        let worker = || {
            let threads = match tensor::start_own_threads(self.threads) {
                Ok(threads) => threads,
                Err(error) => return fail(Error::Thread(error.to_string()).into()),
            };
            while !stopped.load(Ordering::Relaxed) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= numbers.end {
                    break;
                }
                match work(i) {
                    Ok(true) => {}
                    Ok(false) => stopped.store(true, Ordering::Relaxed),
                    Err(error) => fail(error),
                }
            }
            drop(threads);
        };
        std::thread::scope(|scope| {
            (0..self.count).for_each(|_| {
                scope.spawn(worker);
            });
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(!stopped.into_inner()),
        }
    }

    /// Trains the run of a point in this folder, as [`Point::train`] does. Prints `start` before it, and after it that it has ended.
    ///
    /// # Errors
    /// As `Point::train`.
    pub fn train(
        self,
        start: &str,
        point: &Point,
        path: &Path,
        chosen: &Chosen,
        options: RunOptions,
    ) -> VaeResult<Option<ResultLine>> {
        let alone = self.count == 1;
        say!("{start}{}", if alone { "\n" } else { "" });
        let line = self.label(&point.name, || point.train(path, chosen, options))?;
        if line.is_some() {
            say!("{}", if alone { String::new() } else { format!("{}: ended", point.name) });
        }
        Ok(line)
    }

    /// Does `work` for the run with this name. Beside others, its lines begin with the name.
    pub fn label<R>(self, name: &str, work: impl FnOnce() -> R) -> R {
        if self.count == 1 { work() } else { labelled(name, work) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_share_threads_and_fit_the_memory() {
        let jobs = |asked, runs, need, threads| {
            Jobs::of(asked, runs, need, 10.0, threads).map(|jobs| (jobs.count, jobs.threads))
        };
        assert_eq!(jobs(None, 56, 1.0, 2).unwrap(), (2, 1));
        assert_eq!(jobs(None, 3, 1.0, 16).unwrap(), (3, 5));
        assert_eq!(jobs(None, 56, 4.0, 16).unwrap(), (2, 8)); // memory for two
        assert_eq!(jobs(None, 56, 40.0, 16).unwrap(), (1, 16)); // the check of a single run refuses it
        assert_eq!(jobs(None, 0, 0.0, 2).unwrap(), (1, 2));
        assert_eq!(jobs(Some(4), 56, 1.0, 16).unwrap(), (4, 4));
        assert_eq!(jobs(Some(9), 56, 1.0, 2).unwrap(), (2, 1)); // no more runs than threads
        let of = |count, threads| Jobs { count, threads };
        assert_eq!([1, 2, 9].map(|runs| of(4, 2).at_most(runs)), [of(1, 8), of(2, 4), of(4, 2)]);
        let refused = jobs(Some(4), 56, 4.0, 16).unwrap_err().to_string();
        assert!(refused.contains("--jobs 4") && refused.contains("ask for fewer"), "{refused}");
    }

    #[test]
    fn each_item_is_worked_on_once_until_one_stops() {
        for jobs in [Jobs::ONE, Jobs { count: 3, threads: 1 }] {
            let seen = Mutex::new(Vec::new());
            let all = |i: usize| {
                seen.lock().unwrap().push(i);
                Ok(i != 40)
            };
            assert!(jobs.for_each(3..40, all).unwrap());
            seen.lock().unwrap().sort_unstable();
            assert_eq!(*seen.lock().unwrap(), (3..40).collect::<Vec<_>>());
            seen.lock().unwrap().clear();
            assert!(!jobs.for_each(40..1000, all).unwrap());
            assert!(seen.lock().unwrap().len() < 960);
        }
    }
}
