//! Describes the contents of a file: a checkpoint or other safetensors, the folder of a run, or NumPy arrays.
//!
//! The description of every kind of file lists its tensors with name, type and shape. That of a checkpoint also has the
//! configuration, the position in training, the best epoch, and whether the checksum is correct. A damaged checkpoint
//! is described as far as it can be read.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::Path;

use safetensors::SafeTensors;
use serde::Serialize;
use vae_core::config::Config;
use vae_core::error::single_line;
use vae_core::objective::number;
use vae_core::{Error, Result};
use vae_data::npy;

use crate::checkpoint;
use crate::folder::checkpoint_of;
use crate::resume::history;

/// The number of characters of a metadata value that are shown.
const SHOWN: usize = 100;

/// The description of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The path of the file.
    pub path: String,
    /// The kind of file.
    pub kind: Kind,
    /// The size in bytes.
    pub bytes: u64,
    /// The number of epochs that have ended (folder of a run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Whether the checksum is correct (checkpoints only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum_ok: Option<bool>,
    /// The position in training (checkpoints only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The configuration of the run, without paths and device (checkpoints only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<Config>>,
    /// Why the metadata of a checkpoint cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The metadata of a safetensors file that is not a checkpoint of this program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The number of elements of all tensors together.
    pub numbers: u64,
    /// The tensors, in the order of the file.
    pub tensors: Vec<Entry>,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A checkpoint that `train` wrote.
    Checkpoint,
    /// The folder of a run. The description is that of its best checkpoint, or of its last if there is no best one.
    Run,
    /// Safetensors of another program.
    Safetensors,
    /// One or several NumPy arrays.
    Numpy,
}

/// The position of a checkpoint in training.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The epoch of the next step, counted from 1.
    pub epoch: usize,
    /// The number of steps done in this epoch.
    pub step: usize,
    /// The best epoch so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// The epoch with the lowest validation loss.
#[derive(Clone, Debug, Serialize)]
pub struct Best {
    /// The number of the epoch, counted from 1.
    pub epoch: usize,
    /// Its validation loss: a number, or a string such as "NaN" for a value that JSON has no number for.
    pub loss: serde_json::Value,
}

/// A tensor.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The name of the tensor; empty for the array in an `.npy` file.
    pub name: String,
    /// The element type, as the file names it.
    pub dtype: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub count: u64,
}

/// Describes a file, or the folder of a run.
///
/// # Errors
/// Returns an error if the file cannot be read, or if it is of no known kind.
pub fn read(path: &Path) -> Result<Info> {
    if path.is_dir() {
        let of_run = read(&checkpoint_of(path)?)?;
        let epochs = history(path)?.len();
        return Ok(Info { kind: Kind::Run, epochs: Some(epochs), ..of_run });
    }
    let mut info = Info {
        path: single_line(&path.display().to_string()),
        kind: Kind::Numpy,
        bytes: std::fs::metadata(path).map_or(0, |data| data.len()),
        epochs: None,
        checksum_ok: None,
        standing: None,
        config: None,
        problem: None,
        metadata: BTreeMap::new(),
        numbers: 0,
        tensors: Vec::new(),
    };
    if npy::is_numpy(&start(path)?) {
        let arrays = npy::read_headers(path)?.into_iter();
        info.tensors = arrays.map(|(name, npy::Header { descr, shape, .. })| entry(&name, descr, shape)).collect();
    } else {
        safetensors(path, &mut info)?;
    }
    info.numbers = info.tensors.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.count));
    Ok(info)
}

/// Returns the first 256 bytes of a file.
fn start(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    let read = std::fs::metadata(path).and_then(|data| match data.is_file() {
        true => std::fs::File::open(path)?.take(256).read_to_end(&mut start),
        false => Err(std::io::Error::other("it is neither a file nor a run's folder")),
    });
    read.map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    Ok(start)
}

/// Adds the contents of a safetensors file to a description.
fn safetensors(path: &Path, info: &mut Info) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let other = |what: String| {
        let ours = "name a checkpoint or other safetensors, an .npz or .npy, or a run's folder";
        Error::file(path, format!("is not a file that this program knows ({what}); {ours}"))
    };
    nn::state::contents(&bytes, "").map_err(|error| other(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| other(error.to_string()))?;
    let named = header.offset_keys().into_iter().filter_map(|name| Some((header.info(&name)?, name)));
    info.tensors =
        named.map(|(tensor, name)| entry(&name, format!("{:?}", tensor.dtype), tensor.shape.clone())).collect();
    info.kind = Kind::Safetensors;
    let Some((is_whole, meta)) = checkpoint::inspect(&bytes) else {
        info.metadata.extend(header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        return Ok(());
    };
    (info.kind, info.checksum_ok) = (Kind::Checkpoint, Some(is_whole));
    let config = meta.map(|meta| {
        let state = meta.state();
        let best = meta.best().map(|(epoch, loss)| Best { epoch, loss: number(loss) });
        info.standing = Some(Standing { epoch: state.epoch, step: state.step, best });
        meta.config(path).map_err(|error| error.to_string())
    });
    match config.and_then(|config| config) {
        Ok(config) => info.config = Some(Box::new(config)),
        Err(what) => info.problem = Some(single_line(&what)),
    }
    Ok(())
}

fn entry(name: &str, dtype: String, shape: Vec<usize>) -> Entry {
    let count = shape.iter().fold(1, |count: u64, &size| count.saturating_mul(size as u64));
    Entry { name: single_line(name), dtype: single_line(&dtype), shape, count }
}

/// Text for people: the file in the first line, its tensors at the end.
impl Display for Info {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            Kind::Checkpoint => "a checkpoint",
            Kind::Run => "a run's checkpoint",
            Kind::Safetensors => "safetensors",
            Kind::Numpy => "NumPy's arrays",
        };
        writeln!(f, "{}  {:.1} kB, {what}", self.path, self.bytes as f64 / 1e3)?;
        match self.checksum_ok {
            Some(true) => writeln!(f, "checksum  ok")?,
            Some(false) => writeln!(f, "checksum  wrong: the file is damaged")?,
            None => {}
        }
        if let Some(epochs) = self.epochs {
            writeln!(f, "epochs    {epochs}")?;
        }
        if let Some(Standing { epoch, step, best }) = &self.standing {
            writeln!(f, "at epoch {epoch}, after {step} of its steps")?;
            if let Some(Best { epoch, loss }) = best {
                writeln!(f, "best      epoch {epoch}, validation loss {loss}")?;
            }
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "its run   {problem}")?;
        }
        if let Some(config) = &self.config {
            writeln!(f, "configuration")?;
            config.to_toml().lines().filter(|line| !line.is_empty()).try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        for (key, value) in &self.metadata {
            let more = if value.chars().count() > SHOWN { " …" } else { "" };
            let value: String = value.chars().take(SHOWN).collect();
            writeln!(f, "metadata  {}: {}{more}", single_line(key), single_line(&value))?;
        }
        write!(f, "{} tensors, {} numbers", self.tensors.len(), self.numbers)?;
        let longest = |of: fn(&Entry) -> usize| self.tensors.iter().map(of).max().unwrap_or(0).min(60);
        let [name, dtype] = [longest(|tensor| tensor.name.chars().count()), longest(|tensor| tensor.dtype.len())];
        self.tensors
            .iter()
            .try_for_each(|tensor| write!(f, "\n  {:name$}  {:dtype$}  {:?}", tensor.name, tensor.dtype, tensor.shape))
    }
}
