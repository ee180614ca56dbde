//! How kernels are divided: for each parallel loop, how long each of its tasks took. Only with the feature `task-log`, which the program
//! `tasks` of the benchmarks uses; without it no loop looks at a clock.

use std::panic::Location;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A parallel loop that ran.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The line of the kernel that started it.
    pub place: &'static Location<'static>,
    /// The nanoseconds of each of its tasks.
    pub tasks: Vec<u64>,
}

/// The loops since the latest `start`, in the order in which they ended. `None` while nothing is recorded.
static LOOPS: Mutex<Option<Vec<Loop>>> = Mutex::new(None);

/// Starts recording. Kernels must not run at the same time.
pub fn start() {
    *LOOPS.lock().expect("no task panics while it holds the lock") = Some(Vec::new());
}

/// Stops recording, and returns the loops.
pub fn stop() -> Vec<Loop> {
    LOOPS.lock().expect("no task panics while it holds the lock").take().unwrap_or_default()
}

/// A loop that is running.
pub(crate) struct Running {
    place: &'static Location<'static>,
    tasks: Vec<AtomicU64>,
}

impl Running {
    #[track_caller]
    pub(crate) fn new(count: usize) -> Running {
        Running { place: Location::caller(), tasks: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Runs task `i`.
    pub(crate) fn time<R>(&self, i: usize, task: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = task();
        self.tasks[i].store(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(loops) = LOOPS.lock().expect("no task panics while it holds the lock").as_mut() {
            let tasks = self.tasks.iter().map(|time| time.load(Ordering::Relaxed)).collect();
            loops.push(Loop { place: self.place, tasks });
        }
    }
}
