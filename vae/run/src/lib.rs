//! The folder of a run: what training writes there, and how it is read again.
//!
//! [`run`] trains and writes: every epoch a line in `metrics.jsonl`, checkpoints ([`checkpoint`] describes the format), the time that was
//! spent ([`Timings`]). [`ResumedRun`] goes on from the last checkpoint, however the run was interrupted. [`loaded`] opens a finished
//! run for use, [`transfer`] starts from another model's encoder, [`export`] writes weights for PyTorch, and [`info`] describes files.

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod export;
pub mod folder;
pub mod info;
pub mod loaded;
mod resume;
mod timings;
mod training;
pub mod transfer;
mod writer;

pub use folder::{BEST, Folder, LAST, checkpoint_of, write_new};
pub use loaded::LoadedRun;
pub use resume::{ResumedRun, history};
pub use timings::{EpochTiming, Timings};
pub use training::{Event, Outcome, RunFigures, RunFile, describe, hint_against_collapse, loss_unit, run};
