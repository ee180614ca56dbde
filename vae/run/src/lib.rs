//! The folder of a training run: writing it, resuming from it, and loading it.
//!
//! [`run()`] trains a model and writes the folder: one line per epoch in `metrics.jsonl`, checkpoints in the format
//! that [`checkpoint`] describes, and the seconds of each epoch ([`Timings`]). [`dataset_record`] describes the images of
//! a run. [`ResumedRun`] continues an interrupted run from its last checkpoint. [`loaded`] opens a run for use, [`transfer`] loads the encoder of another model,
//! [`export`] writes weights for PyTorch, and [`info`] describes files. [`prior`] keeps priors that were fitted to a run's latents.

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod dataset_record;
pub mod export;
pub mod folder;
pub mod info;
pub mod loaded;
pub mod prior;
mod ranks;
mod resume;
#[cfg(test)]
mod tests;
mod timings;
mod training;
pub mod transfer;
mod writer;

pub use dataset_record::{DatasetChanges, DatasetRecord};
pub use folder::{BEST, Folder, LAST, checkpoint_of, write_new};
pub use loaded::LoadedRun;
pub use ranks::{RankSpeed, check_equal_runs};
pub use resume::{ResumedRun, history};
pub use timings::{EpochTiming, Timings};
pub use training::{
    Event, Outcome, RunFigures, RunFile, collapsed_kl, describe, hint_against_collapse, loss_unit, run,
    with_absolute_paths,
};
