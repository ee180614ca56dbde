//! The scores of latents.

use super::{Options, Scores};
use crate::error::Result;
use crate::trained::Trained;

/// Adds them.
pub(super) fn score(run: &Trained, options: &Options, scores: &mut Scores) -> Result<()> {
    let _ = (run, options, scores);
    Ok(())
}
