//! The images that a command line names: splits of the run's data set, picture files, and folders of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use vae_core::config::Config;
use vae_core::data::Split;
use vae_core::{Error, Result};
use vae_data::folder::{self, OwnPicture};
use vae_data::pictures::Damaged;
use vae_run::LoadedRun;

use super::load::warn_of_changes;
use crate::console::eprint_line;

/// What to do about a damaged picture.
const ADVICE: &str = "--skip-damaged leaves out damaged pictures";

/// Images of one kind in the order of the command line.
pub(super) struct Source {
    /// The images.
    pub(super) split: Split,
    /// The label of each image; −1 for none.
    pub(super) labels: Vec<i64>,
    /// The name of each image: the path of its file, or a name such as `test/00007`.
    pub(super) names: Vec<String>,
}

/// What the command line names.
#[derive(Default)]
pub(super) struct Given {
    /// The images.
    pub(super) sources: Vec<Source>,
    /// What was left out, a sentence each.
    notes: Vec<String>,
}

impl Given {
    /// Prints what was left out. A command does so when it has succeeded, because an error is one line.
    pub(super) fn print_notes(&self) {
        self.notes.iter().for_each(|note| eprint_line(note));
    }
}

/// Reads the images that the words name: `train`, `validation` or `test`, folders of pictures, and pictures.
///
/// # Errors
/// If there are none, a picture cannot be read, or the model needs labels that pictures do not have.
pub(super) fn read(run: &LoadedRun, words: &[PathBuf], command: &str, skip_damaged: bool) -> Result<Given> {
    let has_splits = words.iter().any(|word| split_name(word).is_some());
    let mut own = OwnList { is_alone: words.len() == 1, ..OwnList::default() };
    let mut given = Given::default();
    for word in words {
        match split_name(word) {
            Some(name) => {
                own.read(run, command, has_splits, skip_damaged, &mut given)?;
                given.sources.push(split_of(run, name)?);
            }
            None => own.add(word, &mut given.notes)?,
        }
    }
    own.read(run, command, has_splits, skip_damaged, &mut given)?;
    Ok(given)
}

/// The name of a split, if the word is one. A folder of this name is written as `./test`.
fn split_name(word: &Path) -> Option<&'static str> {
    ["train", "validation", "test"].into_iter().find(|name| word == Path::new(name))
}

fn split_of(run: &LoadedRun, name: &str) -> Result<Source> {
    let dataset = run.dataset()?;
    warn_of_changes(run);
    let split = match name {
        "train" => &dataset.train,
        "validation" => &dataset.validation,
        _ => &dataset.test,
    };
    if split.count() == 0 {
        return Err(Error::config(format!("{name}: this split of the images is empty; choose another one")));
    }
    let names = (0..split.count()).map(|place| match split.file_name(place) {
        Some(file) => file.to_owned(),
        None => format!("{name}/{place:05}"),
    });
    let labels = (0..split.count()).map(|place| split.label(place) as i64);
    Ok(Source { names: names.collect(), labels: labels.collect(), split: split.clone() })
}

/// Pictures that are read together, because nothing else is between them on the command line.
#[derive(Default)]
struct OwnList {
    pictures: Vec<OwnPicture>,
    /// The name of the label of each picture.
    labels: Vec<Option<String>>,
    /// Whether one folder is all that the command line names.
    is_alone: bool,
}

impl OwnList {
    fn add(&mut self, word: &Path, notes: &mut Vec<String>) -> Result<()> {
        if !word.is_dir() {
            self.pictures.push(OwnPicture::file(word));
            self.labels.push(None);
            return Ok(());
        }
        let folder::Pictures { pictures, labels, note } = folder::list(word)?;
        notes.extend(note.map(|note| format!("{}: {note}", word.display())));
        for mut picture in pictures {
            self.labels.push(labels.get(usize::from(picture.label)).cloned());
            if !self.is_alone {
                picture.name = format!("{}/{}", word.display().to_string().trim_end_matches(['/', '\\']), picture.name);
            }
            self.pictures.push(picture);
        }
        Ok(())
    }

    /// Reads the pictures and empties the list.
    fn read(
        &mut self,
        run: &LoadedRun,
        command: &str,
        has_splits: bool,
        skip_damaged: bool,
        given: &mut Given,
    ) -> Result<()> {
        let OwnList { pictures, labels, .. } = std::mem::take(self);
        if pictures.is_empty() {
            return Ok(());
        }
        let config = &run.predictor.config;
        refuse_conditional(config, command)?;
        let damaged = if skip_damaged { Damaged::Skip } else { Damaged::Stop(ADVICE) };
        let folder::Read { images, kept, notes } = folder::read(&pictures, config, damaged)?;
        if kept.is_empty() {
            return Err(Error::config(format!("all pictures are damaged, so there is nothing to {command}")));
        }
        let numbers = label_numbers(run, &labels, has_splits);
        let number = |&index: &usize| labels[index].as_ref().and_then(|name| numbers.get(name)).copied().unwrap_or(-1);
        given.notes.extend(notes);
        given.sources.push(Source {
            labels: kept.iter().map(number).collect(),
            names: kept.iter().map(|&index| pictures[index].name.clone()).collect(),
            split: Split::all(images),
        });
        Ok(())
    }
}

/// The number of each label of pictures. It is the number that the run's images have for a label of this name, if those are
/// encoded too. Otherwise labels count in the order of their names.
fn label_numbers(run: &LoadedRun, labels: &[Option<String>], has_splits: bool) -> BTreeMap<String, i64> {
    match has_splits {
        true => run.class_names().iter().cloned().zip(0..).collect(),
        false => labels.iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().zip(0..).collect(),
    }
}

/// A conditional model needs labels, which picture files do not have.
///
/// # Errors
/// If the model is conditional.
fn refuse_conditional(config: &Config, command: &str) -> Result<()> {
    if config.condition_classes() == 0 {
        return Ok(());
    }
    Err(Error::config(format!(
        "the model needs labels (model.conditional), and other pictures have none that it knows; {command} train, validation \
         or test"
    )))
}
