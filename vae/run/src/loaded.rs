//! Loading a run: its configuration, the metrics of its epochs, and a model with the weights of its best epoch. If there
//! is no best epoch, the weights are those of the last checkpoint. The images are read when they are needed, so a model
//! is used without them.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use nn::Module;
use tensor::Device;
use vae_core::config::{Config, Settings};
use vae_core::data::{Dataset, Transform};
use vae_core::learn;
use vae_core::predict::Predictor;
use vae_core::train::{Epoch, Trainer};
use vae_core::{Error, Result};

use crate::checkpoint::{self, Meta};
use crate::dataset_record::{DatasetChanges, DatasetRecord, ImageHashes};
use crate::export::is_too_large;
use crate::folder::{BEST, checkpoint_of, contains_runs};
use crate::resume::history;

/// A run with its model.
pub struct LoadedRun {
    /// The folder of the run.
    pub path: PathBuf,
    /// The name of the run: the name of its folder, or a longer part of its path if several runs have the same folder
    /// name; see [`distinct_names`].
    pub name: String,
    /// The model with the weights of `epoch`.
    pub predictor: Predictor,
    /// The metrics of all epochs.
    pub history: Vec<Epoch>,
    /// The epoch of the weights, counted from 1; 0 if no epoch has ended.
    pub epoch: usize,
    /// The steps after that epoch that the weights include. There are some only if the run was interrupted in its first epoch.
    pub steps: usize,
    /// What a user should know about this run before its numbers are used.
    pub warning: Option<String>,
    /// The description of the images; `None` if the checkpoint is of an older version.
    record: Option<DatasetRecord>,
    images: OnceCell<(Dataset, Option<DatasetChanges>)>,
}

/// Loads the images of a run. `data.cache` may name a folder of another machine. A folder that does not exist is not made, and pictures
/// are decoded into memory.
fn load_images(config: &Config) -> Result<Dataset> {
    let mut config = config.clone();
    if !Path::new(&config.data.cache).is_dir() {
        config.data.cache.clear();
    }
    vae_data::load(&config)
}

/// Returns the configuration of a run, with the keys that command-line flags override. Each entry of `flags` is a key,
/// its value if the flag is given, and the name of the flag.
///
/// # Errors
/// Returns an error if the folder contains no run, or if its configuration is invalid.
pub fn configuration(folder: &Path, flags: &[(&str, Option<&str>, &str)]) -> Result<Config> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| match contains_runs(folder) {
        Some(contains_runs) => contains_runs,
        None if folder.is_file() => Error::config(format!("{}: is a file; name the folder of a run", folder.display())),
        None => Error::file(&path, format!("cannot be read: {error}; name the folder of a run")),
    })?;
    let mut settings = Settings::default();
    settings.file(&text, &path.display().to_string())?;
    for &(key, value, flag) in flags {
        value.map_or(Ok(()), |value| settings.flag(key, value, flag))?;
    }
    let config = settings.resolve()?;
    config.check()?;
    Ok(config)
}

/// What the folder of a run says besides its configuration.
struct Contents {
    history: Vec<Epoch>,
    epoch: usize,
    steps: usize,
    record: Option<DatasetRecord>,
    file: PathBuf,
}

/// Loads the weights of the best epoch of a run, or those of the last checkpoint, into a model.
fn load_best(folder: &Path, model: &dyn Module) -> Result<Contents> {
    let (history, file) = (history(folder)?, checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::read_with_meta(&file)?;
    checkpoint::load_bytes(model, &bytes, &file)?;
    let record = meta.as_ref().and_then(|meta| meta.data().cloned());
    let (epoch, steps) = epoch_and_steps(&history, meta, &file);
    Ok(Contents { epoch, steps, history, record, file })
}

/// Returns the epoch of the weights in a checkpoint, and the steps after it.
fn epoch_and_steps(history: &[Epoch], meta: Option<Meta>, file: &Path) -> (usize, usize) {
    match meta {
        Some(meta) if file.ends_with(BEST) => (meta.best().map_or(history.len(), |(epoch, _)| epoch), 0),
        // The lines of the history may be ahead of this file, if the disk was full or the run was ended between the two.
        Some(meta) => after_training(&meta),
        None => (history.len(), 0),
    }
}

/// Returns how many epochs a checkpoint has behind it, and how many steps of the next. Epochs are counted from 1, and its state is that of
/// the next step.
fn after_training(meta: &Meta) -> (usize, usize) {
    let state = meta.state();
    (state.epoch.saturating_sub(1), state.step)
}

/// Describes the weights after some epochs and some steps of the next: `epoch 3`, or `after 2 steps of epoch 4`.
pub fn describe_weights(epochs: usize, steps: usize) -> String {
    match steps {
        0 => format!("epoch {epochs}"),
        1 => format!("after 1 step of epoch {}", epochs + 1),
        _ => format!("after {steps} steps of epoch {}", epochs + 1),
    }
}

/// Returns the names of folders. Each name has as many parent folders in front as are needed to make all names
/// different. Different spellings of one path, such as `a` and `a/.`, give the same name.
pub fn distinct_names<P: AsRef<Path>>(folders: &[P]) -> Vec<String> {
    let whole = |folder: &P| folder.as_ref().canonicalize().unwrap_or_else(|_| folder.as_ref().to_owned());
    let paths: Vec<PathBuf> = folders.iter().map(whole).collect();
    let different = |all: &[&str]| all.iter().collect::<BTreeSet<_>>().len();
    let written: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let of_depth = |depth: usize| -> Vec<&str> {
        let ends =
            written.iter().map(|path| path.rmatch_indices(MAIN_SEPARATOR).nth(depth - 1).map_or(0, |(at, _)| at + 1));
        written.iter().zip(ends).map(|(path, from)| &path[from..]).collect()
    };
    let all = different(&written.iter().map(String::as_str).collect::<Vec<_>>());
    let names = (1..).map(of_depth).find(|names| different(names) == all);
    names.into_iter().flatten().map(str::to_owned).collect()
}

/// Adds the flag that names the folder of a run's images to an error that does not name it.
fn where_to_name_images(error: Error) -> Error {
    match error {
        Error::File { path, what } if !what.contains("--data-dir") => Error::File {
            path,
            what: format!("{what}; this needs the images of the run, whose folder --data-dir names"),
        },
        error => error,
    }
}

impl LoadedRun {
    /// Opens a run with this configuration on a device. The model has the weights of the best epoch. The images are not
    /// read, except for a run of an older version with `data.normalise = "standard"`.
    ///
    /// # Errors
    /// Returns an error if the checkpoint is missing, damaged or of another model, or if the metrics cannot be read.
    pub fn open(folder: &Path, config: Config, device: Device) -> Result<LoadedRun> {
        let model = learn::build(&config);
        let contents = load_best(folder, &*model)?;
        let recorded = contents.record.as_ref().map(|record| record.transform(&config));
        let recorded = recorded.transpose().map_err(|what| Error::file(&contents.file, what))?;
        let (transform, images) = match recorded.or_else(|| Transform::without_images(&config)) {
            Some(transform) => (transform, OnceCell::new()),
            None => {
                let dataset = load_images(&config)?;
                (dataset.transform.clone(), OnceCell::from((dataset, None)))
            }
        };
        let warning = contents.record.is_none().then(|| {
            format!(
                "{}: written by an older version, which did not record the images; if they have changed since, results differ",
                contents.file.display()
            )
        });
        let predictor = Predictor::new(config, model, transform, device);
        Ok(LoadedRun { warning, ..LoadedRun::new(folder, predictor, images, contents) })
    }

    /// Loads a model from the bytes of a checkpoint, without the folder of a run. `name` is the name of the model, and
    /// `images` changes the configuration of the images that it is shown.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a whole checkpoint of this program, or if the changed configuration is invalid.
    pub fn of_checkpoint(
        name: &str,
        bytes: &[u8],
        images: impl FnOnce(&mut Config),
        device: Device,
    ) -> Result<LoadedRun> {
        let file = PathBuf::from(format!("{name}.safetensors"));
        let refuse = |what: String| Error::file(&file, what);
        let meta = checkpoint::meta(bytes).map_err(refuse)?;
        let meta = meta.ok_or_else(|| refuse("is not a checkpoint of this program".into()))?;
        let record = meta.data().ok_or_else(|| refuse("does not say which images it was trained on".into()))?;
        let mut config = meta.config(&file)?;
        let transform = record.transform(&config).map_err(refuse)?;
        images(&mut config);
        config.check()?;
        let [claimed, _] = config.weight_and_image_bytes();
        if is_too_large(claimed, bytes.len() as f64, 1e7) {
            return Err(refuse("describes a larger model than it contains, so it is damaged".into()));
        }
        let model = learn::build(&config);
        checkpoint::load_bytes(&*model, bytes, &file)?;
        let (epoch, steps) = meta.best().map_or_else(|| after_training(&meta), |(epoch, _)| (epoch, 0));
        // Without the record, images that the user has are not compared with those of the training.
        let contents = Contents { history: Vec::new(), epoch, steps, record: None, file };
        let predictor = Predictor::new(config, model, transform, device);
        Ok(LoadedRun::new(Path::new(name), predictor, OnceCell::new(), contents))
    }

    /// Loads a run that has just ended. The model and the data set are taken from its trainer.
    ///
    /// # Errors
    /// Returns an error if the checkpoint is missing or damaged, or if the metrics cannot be read.
    pub fn from_trainer(folder: &Path, mut trainer: Trainer) -> Result<LoadedRun> {
        let mut found = None;
        trainer.load_final_weights(|model| {
            found = Some(load_best(folder, model)?);
            Ok(())
        })?;
        let (predictor, dataset) = trainer.into_parts();
        Ok(LoadedRun::new(folder, predictor, OnceCell::from((dataset, None)), found.expect("filled above")))
    }

    /// Creates a run from a model, its images and the metrics of its epochs, without reading a folder. The weights are
    /// those of the last epoch.
    pub fn of_parts(folder: &Path, predictor: Predictor, dataset: Dataset, history: Vec<Epoch>) -> LoadedRun {
        let (epoch, file) = (history.len(), folder.to_owned());
        let contents = Contents { history, epoch, steps: 0, record: None, file };
        LoadedRun::new(folder, predictor, OnceCell::from((dataset, None)), contents)
    }

    fn new(
        folder: &Path,
        predictor: Predictor,
        images: OnceCell<(Dataset, Option<DatasetChanges>)>,
        Contents { history, epoch, steps, record, .. }: Contents,
    ) -> LoadedRun {
        let name = distinct_names(&[folder]).concat();
        LoadedRun { path: folder.to_owned(), name, predictor, history, epoch, steps, warning: None, record, images }
    }

    /// Returns the training, validation and test images. The first call reads them, and compares them with those of the
    /// training; see [`LoadedRun::changes`].
    ///
    /// # Errors
    /// Returns an error if the images are missing or cannot be read.
    pub fn dataset(&self) -> Result<&Dataset> {
        if self.images.get().is_none() {
            let mut dataset = load_images(&self.predictor.config).map_err(where_to_name_images)?;
            dataset.transform = self.predictor.transform.clone();
            let compare = |record: &DatasetRecord| -> Result<_> {
                Ok(record.changes(ImageHashes::read(&self.path).as_ref(), &dataset, &ImageHashes::of(&dataset)?))
            };
            let changes = self.record.as_ref().map_or(Ok(None), compare)?;
            let _ = self.images.set((dataset, changes)); // it was empty
        }
        Ok(&self.images.get().expect("filled above").0)
    }

    /// Returns how the images differ from those of the training. Returns `None` if they do not, if they have not been
    /// read yet, or if the checkpoint is of an older version.
    pub fn changes(&self) -> Option<&DatasetChanges> {
        self.images.get().and_then(|(_, changes)| changes.as_ref())
    }

    /// Returns the names of the labels. The list is empty if the data set has no labels.
    pub fn class_names(&self) -> &[String] {
        match (&self.record, self.images.get()) {
            (Some(record), _) => &record.class_names,
            (None, Some((dataset, _))) => dataset.test.images().class_names(),
            (None, None) => &[],
        }
    }

    /// Returns the title of a figure of this run: the name of the run and what its weights are.
    pub fn title(&self) -> String {
        format!("{}, {}", self.name, describe_weights(self.epoch, self.steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use vae_core::config::DataKind;

    use crate::folder::LAST;
    use crate::tests::{config, train_steps, trainer};

    fn opened(folder: &Path, config: &Config) -> LoadedRun {
        LoadedRun::open(folder, config.clone(), Device::Cpu).unwrap()
    }

    #[test]
    fn a_run_is_opened_with_its_best_weights_and_its_transform() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beta=1");
        let config = config(&["data.normalise=standard", "train.learning_rate=0.001"]);
        train_steps(&config, &path, 1);
        let first = opened(&path, &config);
        assert_eq!((first.epoch, first.steps, first.history.len()), (0, 1, 0));
        assert_eq!(first.title(), "beta=1, after 1 step of epoch 1");
        train_steps(&config, &path, usize::MAX);
        let run = opened(&path, &config);
        let best = (0..2).min_by(|&a, &b| {
            let loss = |i: usize| run.history[i].validation.losses.total;
            loss(a).total_cmp(&loss(b))
        });
        assert_eq!((run.epoch, run.steps, run.history.len()), (best.unwrap() + 1, 0, 2));
        assert_eq!((run.path.as_path(), run.name.as_str(), &run.warning), (path.as_path(), "beta=1", &None));
        let begun = trainer(&config).dataset;
        assert_eq!(run.predictor.transform.mean, begun.transform.mean);
        let weights = |path: &Path| {
            let model = learn::build(&config);
            checkpoint::load(&*model, path).unwrap();
            nn::parameters(&*model).iter().map(|(_, param)| param.value().data().to_vec()).collect::<Vec<_>>()
        };
        let loaded: Vec<_> =
            nn::parameters(&*run.predictor.model).iter().map(|(_, param)| param.value().data().to_vec()).collect();
        assert_eq!(loaded, weights(&path.join(BEST)));

        // Without a best epoch, the weights are those of the last checkpoint.
        std::fs::remove_file(path.join(BEST)).unwrap();
        assert_eq!((opened(&path, &config).epoch, opened(&path, &config).steps), (2, 0));
        let parts = LoadedRun::of_parts(&path, opened(&path, &config).predictor, begun, run.history.clone());
        assert_eq!((parts.title().as_str(), parts.history.len()), ("beta=1, epoch 2", 2));
        std::fs::remove_file(path.join(LAST)).unwrap();
        assert!(LoadedRun::open(&path, config.clone(), Device::Cpu).is_err());
    }

    #[test]
    fn the_images_of_a_run_are_read_when_they_are_needed_and_compared() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&["data.kind=shapes", "data.images=240"]);
        train_steps(&config, dir.path(), 1);
        let run = opened(dir.path(), &config);
        let shapes = ["square", "ellipse", "heart"];
        assert_eq!(run.class_names(), shapes, "they are in the checkpoint");
        assert!(run.changes().is_none() && run.images.get().is_none());
        let begun = trainer(&config).dataset;
        assert_eq!((run.dataset().unwrap().train.count(), run.changes()), (64, None));
        assert_eq!(run.dataset().unwrap().test.indices(), begun.test.indices());

        let mut fewer = config.clone();
        fewer.data.limit = 60;
        let run = opened(dir.path(), &fewer);
        assert_eq!(run.dataset().unwrap().train.count(), 60);
        assert_eq!(run.changes().unwrap().to_string(), "train: 64 images, now 60 (0 new, 4 missing)");

        // Without a record, the names are those of the images, once they are read.
        let without = |images: OnceCell<(Dataset, Option<DatasetChanges>)>| {
            let contents =
                Contents { history: Vec::new(), epoch: 0, steps: 0, record: None, file: dir.path().to_owned() };
            LoadedRun::new(dir.path(), opened(dir.path(), &config).predictor, images, contents)
        };
        assert_eq!(without(OnceCell::new()).class_names(), [""; 0]);
        assert_eq!(without(OnceCell::from((begun, None))).class_names(), shapes);
    }

    #[test]
    fn flags_override_keys_and_missing_images_name_their_flag() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "device = \"cpu\"\n[data]\nkind = \"folder\"\nclasses = 2\n")
            .unwrap();
        let of = |value: Option<&str>| configuration(dir.path(), &[("data.dir", value, "--data-dir")]);
        let nowhere = dir.path().join("nowhere").display().to_string();
        assert_eq!(of(Some(&nowhere)).unwrap().data.dir, nowhere);
        let config = of(None).unwrap();
        assert_eq!((config.data.kind, config.data.dir), (DataKind::Folder, Config::default().data.dir));
        let error = configuration(dir.path(), &[("train.epochs", Some("x"), "--epochs")]).unwrap_err().to_string();
        assert!(error.contains("--epochs"), "{error}");
        let wrong = configuration(dir.path(), &[("train.batch_size", Some("0"), "--batch")]).unwrap_err().to_string();
        assert!(wrong.contains("train.batch_size"), "{wrong}");

        let file = |what: &str| Error::file(Path::new("images"), what.to_owned());
        let told = where_to_name_images(file("are missing")).to_string();
        assert_eq!(told, "images: are missing; this needs the images of the run, whose folder --data-dir names");
        assert_eq!(
            where_to_name_images(file("name it with --data-dir")).to_string(),
            "images: name it with --data-dir"
        );
        assert_eq!(where_to_name_images(Error::config("wrong")).to_string(), "wrong");
    }

    #[test]
    fn weights_are_described_by_epochs_and_steps() {
        assert_eq!(describe_weights(3, 0), "epoch 3");
        assert_eq!(describe_weights(3, 1), "after 1 step of epoch 4");
        assert_eq!(describe_weights(0, 2), "after 2 steps of epoch 1");
    }

    #[test]
    fn runs_with_the_same_folder_name_get_different_names() {
        let dir = tempfile::tempdir().unwrap();
        let create = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let [a, b, c] = ["random/beta=1", "pretrained/beta=1", "random/beta=4"].map(create);
        assert_eq!(distinct_names(&[&a]), ["beta=1"]);
        assert_eq!(distinct_names(&[&a, &c]), ["beta=1", "beta=4"]);
        assert_eq!(distinct_names(&[&a, &b, &c]), ["random/beta=1", "pretrained/beta=1", "random/beta=4"]);
        assert_eq!(distinct_names(&[&a, &a.join(".")]), ["beta=1", "beta=1"]); // the same folder twice
        assert_eq!(distinct_names(&[Path::new("nowhere/at/all")]), ["all"]);
        assert_eq!(distinct_names::<PathBuf>(&[]), [""; 0]);
    }

    #[test]
    fn a_folder_of_runs_is_not_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let error_of = |folder: &Path| configuration(folder, &[]).unwrap_err().to_string();
        let error = error_of(dir.path());
        assert!(error.contains("cannot be read") && error.ends_with("name the folder of a run"), "{error}");
        for name in ["seed=2", "seed=1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("config.toml"), "").unwrap();
        }
        let error = error_of(dir.path());
        assert!(error.contains("contains runs, but is not a run itself") && error.ends_with("seed=1"), "{error}");
        let checkpoint = checkpoint_of(dir.path()).unwrap_err().to_string();
        let resumed = crate::resume::ResumedRun::read(dir.path()).err().unwrap().to_string();
        assert_eq!([checkpoint, resumed], [error.clone(), error]);
        let file = dir.path().join("seed=1/config.toml");
        assert!(error_of(&file).ends_with("config.toml: is a file; name the folder of a run"), "{}", error_of(&file));
    }
}
