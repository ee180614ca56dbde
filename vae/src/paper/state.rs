//! `plan.json` in the folder of a paper's runs: what was asked for, so that `--resume` goes on with it and `--judge` reads the runs by it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vae_core::{Error, Result};

use super::PaperOptions;
use super::scale::Scale;

/// The name of the file.
pub const PLAN: &str = "plan.json";

/// The options of a paper's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The paper.
    pub paper: String,
    /// Whether the runs are those of `--quick`.
    pub quick: bool,
    /// Whether other images stand in for those that are missing.
    pub stand_in: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The shares of the paper's epochs and channels.
    pub scale: Scale,
    /// The settings of every run.
    pub set: Vec<String>,
    /// The beginnings of the names of the runs.
    pub only: Vec<String>,
}

impl State {
    /// The state of these options.
    pub fn of(paper: &str, asked: &PaperOptions) -> State {
        State {
            paper: paper.to_owned(),
            quick: asked.quick,
            stand_in: asked.stand_in,
            seeds: asked.seeds.clone(),
            scale: asked.scale,
            set: asked.set.clone(),
            only: asked.only.clone(),
        }
    }

    /// Reads the state of a folder; `None` if it has none.
    ///
    /// # Errors
    /// If the file is damaged, or of another paper.
    pub fn read(folder: &Path, paper: &str) -> Result<Option<State>> {
        let path = folder.join(PLAN);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
        let state: State = serde_json::from_str(&text).map_err(|error| {
            Error::file(&path, format!("is not a plan ({error}); remove it and name the options again"))
        })?;
        if state.paper != paper {
            return Err(Error::file(
                &path,
                format!("is a plan of the paper {}, not of {paper}; name another --out", state.paper),
            ));
        }
        Ok(Some(state))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }

    /// Takes these options over.
    pub fn restore(self, asked: &mut PaperOptions) {
        asked.quick = self.quick;
        asked.stand_in = self.stand_in;
        asked.seeds = self.seeds;
        asked.scale = self.scale;
        asked.set = self.set;
        asked.only = self.only;
    }
}
