//! Describes the contents of a file: a checkpoint or other safetensors, the folder of a run, or NumPy arrays.
//!
//! The description of every kind of file lists its tensors with name, type and shape. That of a checkpoint also has the
//! configuration, the position in training, the best epoch, and whether the checksum is correct. A damaged checkpoint
//! is described as far as it can be read. The configuration of a run is that of its `config.toml`. A checkpoint does not
//! store paths and the device, so they are not shown.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::Path;

use safetensors::SafeTensors;
use serde::Serialize;
use serde_json::Value;
use vae_core::config::Config;
use vae_core::error::single_line;
use vae_core::objective::number;
use vae_core::{Error, Result};
use vae_data::npy;

use crate::checkpoint;
use crate::folder::checkpoint_of;
use crate::loaded::configuration;
use crate::resume::history;

/// The number of characters of a metadata value that are shown.
const SHOWN: usize = 100;
/// The name of the counters that are stored for PyTorch; see `nn::state`.
const COUNTER: &str = "num_batches_tracked";
/// Keys that a checkpoint does not store. Reading one gives their default values.
const NOT_STORED: [(&str, &str); 6] = [
    ("", "device"),
    ("data", "dir"),
    ("data", "cache"),
    ("model", "init"),
    ("model", "init_encoder"),
    ("train", "checkpoint_minutes"),
];

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
    /// The configuration: of a run all keys, of a checkpoint those that it stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The same as TOML.
    #[serde(skip)]
    toml: String,
    /// Why the metadata of a checkpoint cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The metadata of a safetensors file that is not a checkpoint of this program.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The number of elements of all tensors together.
    pub numbers: u64,
    /// The tensors: of NumPy files in the order of the file, of others in the order of their names, with whole numbers in
    /// numeric order and PyTorch's counters last.
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
    /// The number of complete epochs.
    pub epochs: usize,
    /// The number of steps after them, in the next epoch.
    pub steps: usize,
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
    pub loss: Value,
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
        let mut info = Info { kind: Kind::Run, epochs: Some(epochs), ..of_run };
        match configuration(path, &[]) {
            Ok(config) => info.set_config(&config, &[]),
            Err(error) => info.problem = Some(single_line(&error.to_string())),
        }
        return Ok(info);
    }
    let mut info = Info {
        path: single_line(&path.display().to_string()),
        kind: Kind::Numpy,
        bytes: std::fs::metadata(path).map_or(0, |data| data.len()),
        epochs: None,
        checksum_ok: None,
        standing: None,
        config: None,
        toml: String::new(),
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
        info.tensors.sort_by_cached_key(|tensor| (tensor.name.ends_with(COUNTER), in_order(&tensor.name)));
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
        info.standing = Some(Standing { epochs: state.epoch.saturating_sub(1), steps: state.step, best });
        meta.config(path).map_err(|error| error.to_string())
    });
    match config.and_then(|config| config) {
        Ok(config) => info.set_config(&config, &NOT_STORED),
        Err(what) => info.problem = Some(single_line(&what)),
    }
    Ok(())
}

fn entry(name: &str, dtype: String, shape: Vec<usize>) -> Entry {
    let count = shape.iter().fold(1, |count: u64, &size| count.saturating_mul(size as u64));
    Entry { name: single_line(name), dtype: single_line(&dtype), shape, count }
}

/// A sort key of a name: its parts between dots, with whole numbers in numeric order.
fn in_order(name: &str) -> Vec<(u64, String)> {
    name.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part.to_owned())).collect()
}

impl Info {
    /// Sets the configuration, without those keys of `without` that have their default values.
    fn set_config(&mut self, config: &Config, without: &[(&str, &str)]) {
        let (mut values, default) = (serde_json::json!(config), serde_json::json!(Config::default()));
        let mut left_out = Vec::new();
        for &(table, key) in without {
            let pointer = if table.is_empty() { String::new() } else { format!("/{table}") };
            let (Some(Value::Object(keys)), Some(default)) = (values.pointer_mut(&pointer), default.pointer(&pointer))
            else {
                continue;
            };
            if keys.get(key) == default.get(key) {
                keys.remove(key);
                left_out.push((table, key));
            }
        }
        self.toml.clear(); // a run's checkpoint has set it
        let mut table = "";
        for line in config.to_toml().lines().filter(|line| !line.is_empty()) {
            table = line.strip_prefix('[').map_or(table, |name| name.trim_end_matches(']'));
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            if !left_out.iter().any(|(of, name)| (*of, *name) == (table, key)) {
                self.toml += &format!("{line}\n");
            }
        }
        self.config = Some(values);
    }

    /// Writes a line for each part of a checkpoint with the number of its tensors.
    fn write_groups(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let mut groups: Vec<(&str, usize, u64)> = Vec::new();
        for tensor in &self.tensors {
            let parts = if tensor.name.starts_with("train.adam.") {
                3
            } else if tensor.name.starts_with("train.") {
                2
            } else {
                1
            };
            let end = tensor.name.match_indices('.').nth(parts - 1).map_or(tensor.name.len(), |(at, _)| at);
            let name = if tensor.name.ends_with(COUNTER) { COUNTER } else { &tensor.name[..end] };
            match groups.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, tensors, numbers)) => {
                    (*tensors, *numbers) = (*tensors + 1, numbers.saturating_add(tensor.count))
                }
                None => groups.push((name, 1, tensor.count)),
            }
        }
        write!(f, "; --tensors lists them")?;
        let width = groups.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0).min(60);
        groups.iter().try_for_each(|(name, tensors, numbers)| {
            write!(f, "\n  {name:width$}  {tensors:>5} tensors  {numbers:>10} numbers")
        })
    }
}

/// Text for people: the file in the first line, its tensors at the end. Of a checkpoint the tensors are counted, unless the
/// format is `{:#}`, which lists them.
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
        if let Some(Standing { epochs, steps, best }) = &self.standing {
            match (epochs, steps) {
                (0, 0) => writeln!(f, "weights   before the first epoch")?,
                (epochs, 0) => writeln!(f, "weights   after epoch {epochs}")?,
                (epochs, steps) => writeln!(f, "weights   in epoch {}, after {steps} of its steps", epochs + 1)?,
            }
            if let Some(Best { epoch, loss }) = best {
                writeln!(f, "best      epoch {epoch}, validation loss {loss}")?;
            }
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "its run   {problem}")?;
        }
        if self.config.is_some() {
            writeln!(f, "configuration")?;
            self.toml.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        for (key, value) in &self.metadata {
            let more = if value.chars().count() > SHOWN { " …" } else { "" };
            let value: String = value.chars().take(SHOWN).collect();
            writeln!(f, "metadata  {}: {}{more}", single_line(key), single_line(&value))?;
        }
        write!(f, "{} tensors, {} numbers", self.tensors.len(), self.numbers)?;
        if matches!(self.kind, Kind::Checkpoint | Kind::Run) && !f.alternate() {
            return self.write_groups(f);
        }
        let longest = |of: fn(&Entry) -> usize| self.tensors.iter().map(of).max().unwrap_or(0).min(60);
        let [name, dtype] = [longest(|tensor| tensor.name.chars().count()), longest(|tensor| tensor.dtype.len())];
        self.tensors
            .iter()
            .try_for_each(|tensor| write!(f, "\n  {:name$}  {:dtype$}  {:?}", tensor.name, tensor.dtype, tensor.shape))
    }
}

#[cfg(test)]
mod tests;
