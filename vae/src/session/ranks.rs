//! The processes that train one run together, as the command line sees them.

use std::rc::Rc;
use std::time::Duration;

use vae_core::Result;
use vae_core::distributed::{Communicator, shards_of, threads};

/// How long a process may be silent while it reads images, and while it downloads them.
const READING: Duration = Duration::from_secs(3600);
const DOWNLOADING: Duration = Duration::from_secs(24 * 3600);

/// This process among those that train together.
pub struct Ranks {
    /// What connects them.
    pub communicator: Rc<dyn Communicator>,
    /// The default number of threads of this process; `None` for one per core.
    pub threads: Option<u64>,
    /// The number of this process on its machine, counted from 0. It chooses the GPU.
    pub place: usize,
    /// The number of processes on this machine, which share its memory.
    pub on_machine: usize,
}

impl Ranks {
    /// A process that trains alone.
    pub fn alone() -> Ranks {
        Ranks { communicator: Rc::new(threads::alone()), threads: None, place: 0, on_machine: 1 }
    }

    /// Returns whether this process prints and writes the files.
    pub fn is_first(&self) -> bool {
        self.communicator.rank() == 0
    }

    /// Tells the others that this process reads images now, and may be silent for up to an hour.
    pub fn reads_images(&self) {
        self.communicator.alive(READING);
    }

    /// Tells the others that this process downloads images now, and may be silent for up to a day.
    pub fn downloads_images(&self) {
        self.communicator.alive(DOWNLOADING);
    }

    /// Returns whether there are others.
    pub fn are_several(&self) -> bool {
        self.communicator.size() > 1
    }

    /// Describes how several processes share the shards of a step.
    pub(super) fn words(&self, shards: usize) -> Option<String> {
        let size = self.communicator.size();
        let most = (0..size).map(|rank| shards_of(rank, size, shards).len()).max().unwrap_or(shards);
        let uneven = match shards.is_multiple_of(size) {
            true => String::new(),
            false => ", others fewer: a multiple of the number of processes shares the work equally".to_owned(),
        };
        (size > 1).then(|| format!("{size}, each with {most} of {shards} shards{uneven}"))
    }

    /// Returns the text that the first process has made, on every process. The others do not call `make`.
    ///
    /// # Errors
    /// If `make` fails, or another process has ended.
    pub fn from_first(&self, make: impl FnOnce() -> Result<String>) -> Result<String> {
        let text = if self.is_first() { make()? } else { String::new() };
        Ok(String::from_utf8_lossy(&self.communicator.share(text.as_bytes())?).into_owned())
    }
}
