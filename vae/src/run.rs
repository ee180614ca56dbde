//! A run in its folder: every epoch a line in `metrics.jsonl`, checkpoints and curves; at the end the pictures.
//!
//! A file is there whole or not at all: it is written beside its place, flushed to the disk and renamed. Only the two that
//! grow, a line at a time (`.jsonl`), may end in a torn line after a crash.

#[cfg(unix)]
use std::fs::File;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nn::Module;
use nn::state::StateError;
use pollster::block_on;

use crate::config::{KlScheduleKind, Loss, LossKind, Reduction};
use crate::error::{Error, Result};
use crate::figure::{Row, curves, grid};
use crate::train::{EarlyStopping, Epoch, Progress, Trainer, Verdict};

/// The folder of one run.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Folders that were made for it, innermost first; they go again unless a file is written.
    made: Vec<PathBuf>,
}

impl Folder {
    /// Makes the folder, or takes one that holds no run, and sees that files can be written in it.
    pub fn prepare(path: &Path) -> Result<Folder> {
        if ["config.toml", "metrics.jsonl", "checkpoints"].iter().any(|name| path.join(name).exists()) {
            return Err(Error::config(format!(
                "{}: already holds a run; name another folder by --out",
                path.display()
            )));
        }
        let made = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let folder = Folder { path: path.to_owned(), made: made.map(Path::to_owned).collect() };
        let cannot =
            |error| Error::file(path, format!("no run can be written there: {error}; name another folder by --out"));
        fs::create_dir_all(path).map_err(cannot)?;
        tempfile::tempfile_in(path).map_err(cannot)?;
        Ok(folder)
    }

    /// The folder of a run that is there already.
    pub fn of_run(path: &Path) -> Folder {
        Folder { path: path.to_owned(), made: Vec::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, whole.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.made.clear();
        let path = self.path.join(name);
        let parent = path.parent().unwrap_or(&self.path);
        let written = || -> std::io::Result<()> {
            fs::create_dir_all(parent)?;
            let mut file = beside(parent)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            #[cfg(unix)]
            File::open(parent)?.sync_all()?; // the new name, too, survives a power cut
            Ok(())
        };
        written().map_err(|error| Error::file(&path, format!("cannot be written: {error}")))
    }

    /// Adds a line to a file, and hands it to the system at once.
    pub fn append(&mut self, name: &str, line: &str) -> Result<()> {
        self.made.clear();
        let path = self.path.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(|error| Error::file(&path, format!("cannot be written: {error}")))
    }

    /// The files in it, by name, and their sizes.
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        for prefix in ["", "checkpoints"] {
            for entry in fs::read_dir(self.path.join(prefix)).into_iter().flatten().flatten() {
                if let Some(data) = entry.metadata().ok().filter(fs::Metadata::is_file) {
                    files.push((Path::new(prefix).join(entry.file_name()).display().to_string(), data.len()));
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// A file to write before it gets its name; readable by whom the user's umask lets, not by the user alone.
pub(crate) fn beside(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// What the run tells while it goes on.
pub enum Event<'a> {
    /// A step is done.
    Step(&'a Progress),
    /// The training half of an epoch is done; validation comes.
    Validating,
    /// An epoch is done.
    Epoch(&'a Epoch),
    /// Something to worry about.
    Warning(String),
    /// What the test images say, at the end.
    Tested(String),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// Validation stopped improving; the weights are those of this epoch.
    Stopped {
        /// The last epoch.
        after: usize,
        /// The best one.
        best: usize,
    },
    /// Somebody asked it to stop.
    Interrupted,
}

/// Trains to the end, or until `tell` answers false.
pub fn run(trainer: &mut Trainer, folder: &mut Folder, tell: &mut dyn FnMut(Event) -> bool) -> Result<Outcome> {
    folder.write("config.toml", config_file(trainer).as_bytes())?;
    let (epochs, patience) = (trainer.config.train.epochs, trainer.config.train.early_stopping);
    let mut early = EarlyStopping::new(patience);
    let mut history: Vec<Epoch> = Vec::new();
    let mut outcome = Outcome::Finished;
    for number in 1..=epochs {
        let Some(epoch) = epoch(trainer, folder, number, tell).map_err(|error| kept(error, folder))? else {
            outcome = Outcome::Interrupted;
            break;
        };
        folder.append("metrics.jsonl", &epoch.json().to_string())?;
        let collapsed = |epoch: &Epoch| epoch.train.part("kl").filter(|&kl| kl < 0.1);
        if let Some(kl) = collapsed(&epoch)
            && history.iter().all(|before| collapsed(before).is_none())
        {
            tell(Event::Warning(format!(
                "the KL of epoch {number} is {kl:.3} nats: the posterior has collapsed onto the prior and the latents \
                 say nothing; try {}",
                against_collapse(&trainer.config.loss)
            )));
        }
        let verdict = early.observe(number, epoch.validation.losses.total);
        if verdict == Verdict::Best {
            checkpoint(trainer, folder, "best")?;
        }
        checkpoint(trainer, folder, "last")?;
        let go_on = tell(Event::Epoch(&epoch));
        history.push(epoch);
        folder.write("curves.png", &curves(&title(trainer), &history, unit(trainer)))?;
        if !go_on && number < epochs {
            outcome = Outcome::Interrupted;
            break;
        }
        if verdict == Verdict::Stop {
            outcome = Outcome::Stopped { after: number, best: early.best().map_or(number, |(best, _)| best) };
            break;
        }
    }
    if outcome == Outcome::Interrupted {
        checkpoint(trainer, folder, "last")?;
    } else if patience > 0 && early.best().is_some() {
        load(&*trainer.model, &folder.path.join("checkpoints/best.safetensors"))?;
    }
    pictures(trainer, folder)?;
    if let Some(table) = block_on(trainer.confusion(&trainer.dataset.test))? {
        folder.write("confusion.csv", table.csv().as_bytes())?;
        tell(Event::Tested(format!("on the test images: {table}")));
    }
    Ok(outcome)
}

/// What to try when the KL vanishes.
fn against_collapse(loss: &Loss) -> String {
    let weights = match (loss.kind, loss.schedule) {
        (LossKind::Weighted, _) => "a smaller loss.k2",
        (LossKind::Tc, _) => "smaller loss.alpha, loss.beta and loss.gamma",
        (LossKind::Beta, KlScheduleKind::Capacity) => "a larger loss.capacity",
        (LossKind::Beta, _) => "a smaller loss.beta",
    };
    let sums = if loss.reduction == Reduction::Mean { "loss.reduction = \"sum\", " } else { "" };
    let slowly = if loss.schedule == KlScheduleKind::Constant { "loss.schedule = \"linear\", " } else { "" };
    format!("{sums}{weights}, {slowly}or another seed")
}

/// Where the weights of the last good epoch are, for somebody whose run diverged or whose device failed.
fn kept(error: Error, folder: &Folder) -> Error {
    let last = folder.path.join("checkpoints/last.safetensors");
    let there = |what: &str| format!("{what}; the last good weights are in {}", last.display());
    match error {
        Error::Diverged(what) if last.exists() => Error::Diverged(there(&what)),
        Error::Device(tensor::Error::Device { device, what }) if last.exists() => {
            Error::Device(tensor::Error::Device { device, what: there(&what) })
        }
        error => error,
    }
}

/// One epoch, timed; None if it was interrupted.
fn epoch(
    trainer: &mut Trainer,
    folder: &mut Folder,
    number: usize,
    tell: &mut dyn FnMut(Event) -> bool,
) -> Result<Option<Epoch>> {
    let log = trainer.config.train.log_steps;
    let learning_rate = trainer.learning_rate(number); // validation may lower it for the next
    let start = Instant::now();
    let mut broken = None;
    let train = block_on(trainer.epoch(number, &mut |progress| {
        if log > 0 && progress.number().is_multiple_of(log) {
            broken = folder.append("steps.jsonl", &progress.json().to_string()).err();
        }
        tell(Event::Step(progress)) && broken.is_none()
    }))?;
    if let Some(error) = broken {
        return Err(error);
    }
    let Some(train) = train else { return Ok(None) };
    let images_per_second = trainer.dataset.train.count() as f64 / start.elapsed().as_secs_f64();
    tell(Event::Validating);
    let validation = block_on(trainer.validate())?;
    if !validation.losses.is_finite() {
        return Err(trainer.diverged("the validation loss".into(), trainer.steps()));
    }
    trainer.observe(validation.losses.total);
    let seconds = start.elapsed().as_secs_f64();
    Ok(Some(Epoch { epoch: number, train, validation, learning_rate, seconds, images_per_second }))
}

fn checkpoint(trainer: &Trainer, folder: &mut Folder, name: &str) -> Result<()> {
    let path = format!("checkpoints/{name}.safetensors");
    let config = trainer.config.to_toml(); // what the tensors belong to; one entry, since the order of two would vary
    let bytes = block_on(nn::state::save(&*trainer.model, Some(("config", &config))));
    let bytes = bytes.map_err(|error| Error::file(&folder.path.join(&path), error))?;
    folder.write(&path, &bytes)
}

/// The bytes of a checkpoint.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = || match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(std::io::Error::other("it is not a file")),
    };
    bytes().map_err(|error| Error::file(path, format!("cannot be read: {error}")))
}

/// Fills a model with the weights of a checkpoint.
pub fn load(model: &dyn Module, path: &Path) -> Result<()> {
    block_on(nn::state::load(model, &read(path)?)).map_err(|error| match error {
        StateError::Misfit(tensors) => {
            let more = if tensors.len() > 4 { format!("; and {} more", tensors.len() - 4) } else { String::new() };
            let some = tensors.iter().take(4).cloned().collect::<Vec<_>>().join("; ");
            Error::file(
                path,
                format!(
                    "belongs to another model: {some}{more}; build the one it was saved from by --recipe and --set"
                ),
            )
        }
        StateError::Damaged(what) => {
            Error::file(path, format!("is no whole checkpoint ({what}); copy or train it again"))
        }
        StateError::Device(error) => Error::Device(error),
    })
}

/// `reconstructions.png` and `samples.png`, of what gives images.
fn pictures(trainer: &Trainer, folder: &mut Folder) -> Result<()> {
    const COLUMNS: usize = 12;
    let shape = trainer.dataset.transform.shape();
    let len = COLUMNS * shape.iter().product::<usize>();
    if let Some([originals, reconstructions]) = block_on(trainer.reconstruct(4 * COLUMNS))? {
        let pairs = originals.chunks(len).zip(reconstructions.chunks(len));
        let back = if trainer.config.model.is_vae() { "from z = μ" } else { "from codes" };
        let pair = |(a, b)| [Row { name: "original", pixels: a }, Row { name: back, pixels: b }];
        let rows: Vec<Row> = pairs.flat_map(pair).collect();
        let words = format!("{}: validation images over their reconstructions", trainer.config.name);
        folder.write("reconstructions.png", &grid(&words, &rows, shape, 2))?;
    }
    let told = trainer.config.told_classes(); // a row for each label, or eight of any
    let names: Vec<String> = (0..told).map(|label| format!("label {label}")).collect();
    if let Some(samples) = block_on(trainer.sample(if told > 0 { told } else { 8 } * COLUMNS))? {
        let name = |row: usize| names.get(row).map_or("", String::as_str);
        let rows: Vec<Row> =
            samples.chunks(len).enumerate().map(|(row, pixels)| Row { name: name(row), pixels }).collect();
        let words = format!("{}: decoded draws from N(0, I)", trainer.config.name);
        folder.write("samples.png", &grid(&words, &rows, shape, rows.len()))?;
    }
    Ok(())
}

fn config_file(trainer: &Trainer) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "# A run of train {version}, every key resolved. Again: train --recipe <this file>\n\n{}",
        trainer.config.to_toml()
    )
}

fn title(trainer: &Trainer) -> String {
    let config = &trainer.config;
    let (model, loss) = (&config.model, config.loss_words());
    let told = format!("{} · {} · {} · {loss}", config.name, config.data.kind, model.words());
    match model.is_vae() {
        true => format!("{told}, effective β = {}", crate::objective::effective_beta(config)),
        false => told,
    }
}

fn unit(trainer: &Trainer) -> &'static str {
    match trainer.config.loss.reduction {
        Reduction::Sum => "nats an image",
        Reduction::Mean => "loss (means)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::data::Dataset;
    use crate::model::build;

    #[test]
    fn an_unused_folder_goes_again_and_a_used_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        drop(Folder::prepare(&path).unwrap());
        assert!(!dir.path().join("a").exists());
        let mut folder = Folder::prepare(&path).unwrap();
        folder.write("checkpoints/x", b"1").unwrap();
        drop(folder);
        assert!(path.join("checkpoints/x").exists());
        assert_eq!(Folder::prepare(&path).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn files_are_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        folder.write("a", b"old").unwrap();
        folder.write("a", b"new").unwrap();
        folder.append("b", "1").unwrap();
        folder.append("b", "2").unwrap();
        assert_eq!(folder.files(), [("a".to_owned(), 3), ("b".to_owned(), 4)]);
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
    }

    #[test]
    fn early_stopping_keeps_the_best_weights() {
        // A step this large spoils the weights again soon.
        let mut settings = Settings::default();
        for setting in [
            "model.width=2",
            "model.z_dim=3",
            "data.image_size=16",
            "data.limit=64",
            "train.batch_size=32",
            "train.epochs=60",
            "train.learning_rate=0.3",
            "train.early_stopping=2",
        ] {
            settings.assignment(setting).unwrap();
        }
        let config = settings.resolve().unwrap();
        let dataset = Dataset::load(&config).unwrap();
        let model = build(&config);
        let mut trainer = Trainer::new(config, dataset, model, tensor::Device::Cpu);
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let mut losses = Vec::new();
        let outcome = run(&mut trainer, &mut folder, &mut |event| {
            if let Event::Epoch(epoch) = event {
                losses.push(epoch.validation.losses.total);
            }
            true
        });
        let Outcome::Stopped { after, best } = outcome.unwrap() else { panic!("{losses:?}") };
        assert_eq!((after, losses.len()), (best + 2, after), "{losses:?}");
        assert_eq!(block_on(trainer.validate()).unwrap().losses.total, losses[best - 1]);
        let [best, last] =
            ["best", "last"].map(|name| fs::read(dir.path().join(format!("checkpoints/{name}.safetensors"))).unwrap());
        assert_ne!(best, last);
    }

    #[test]
    fn a_place_that_is_a_file_cannot_be_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), b"").unwrap();
        let error = Folder::prepare(&dir.path().join("f/run")).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("--out"), "{error}");
    }
}
