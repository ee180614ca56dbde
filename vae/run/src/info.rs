//! What a file holds: a checkpoint of ours or any safetensors, the folder of a run, or NumPy's arrays.
//!
//! Of a checkpoint its configuration, where training stands, the best epoch, and whether its bytes come to its checksum; of all of
//! them every tensor by name, type and shape. What is damaged or foreign is told as far as it can be read.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::Path;

use safetensors::SafeTensors;
use serde::Serialize;
use vae_core::config::Config;
use vae_core::error::line;
use vae_core::objective::number;
use vae_core::{Error, Result};
use vae_data::npy;

use crate::checkpoint;
use crate::folder::checkpoint_of;
use crate::resume::history;

/// Letters of a line of foreign metadata that are shown.
const SHOWN: usize = 100;

/// What a file holds.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The file.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub bytes: u64,
    /// Of a run's folder: epochs that have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Of a checkpoint: whether its bytes come to the checksum in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum_ok: Option<bool>,
    /// Of a checkpoint: where training stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Of a checkpoint: its run's configuration, without paths and device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<Config>>,
    /// Why what a checkpoint says of its run cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What others wrote beside their tensors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Numbers in all tensors together.
    pub numbers: u64,
    /// The tensors, in the order in which they lie there.
    pub tensors: Vec<Entry>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A checkpoint that `train` wrote.
    Checkpoint,
    /// The folder of a run, told of by its best checkpoint, else its last.
    Run,
    /// Safetensors of somebody else.
    Safetensors,
    /// An array, or several, of NumPy.
    Numpy,
}

/// Where the training of a checkpoint stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The epoch that the next step belongs to, from 1.
    pub epoch: usize,
    /// Steps done in it.
    pub step: usize,
    /// The epoch with the least validation loss, and that loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// The epoch that was best.
#[derive(Clone, Debug, Serialize)]
pub struct Best {
    /// From 1.
    pub epoch: usize,
    /// A number, or a word for what JSON has none for.
    pub loss: serde_json::Value,
}

/// A tensor.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its name; empty of an array that has none.
    pub name: String,
    /// The type of its numbers, in the file's own words.
    pub dtype: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// How many numbers.
    pub count: u64,
}

/// What is in a file, or in the folder of a run.
///
/// # Errors
/// If it cannot be read, or is nothing of this kind.
pub fn read(path: &Path) -> Result<Info> {
    if path.is_dir() {
        let of_run = read(&checkpoint_of(path)?)?;
        let epochs = history(path)?.len();
        return Ok(Info { kind: Kind::Run, epochs: Some(epochs), ..of_run });
    }
    let mut info = Info {
        path: line(&path.display().to_string()),
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
        let arrays = npy::contents(path)?.into_iter();
        info.tensors = arrays.map(|(name, npy::Header { descr, shape, .. })| entry(&name, descr, shape)).collect();
    } else {
        safetensors(path, &mut info)?;
    }
    info.numbers = info.tensors.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.count));
    Ok(info)
}

/// The first bytes of a file.
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

/// Whatever can be told of safetensors.
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
    let Some((is_whole, meta)) = checkpoint::told(&bytes) else {
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
        Err(what) => info.problem = Some(line(&what)),
    }
    Ok(())
}

fn entry(name: &str, dtype: String, shape: Vec<usize>) -> Entry {
    let count = shape.iter().fold(1, |count: u64, &size| count.saturating_mul(size as u64));
    Entry { name: line(name), dtype: line(&dtype), shape, count }
}

/// For people: what is in one line first, the tensors last.
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
            writeln!(f, "metadata  {}: {}{more}", line(key), line(&value))?;
        }
        write!(f, "{} tensors, {} numbers", self.tensors.len(), self.numbers)?;
        let longest = |of: fn(&Entry) -> usize| self.tensors.iter().map(of).max().unwrap_or(0).min(60);
        let [name, dtype] = [longest(|tensor| tensor.name.chars().count()), longest(|tensor| tensor.dtype.len())];
        self.tensors
            .iter()
            .try_for_each(|tensor| write!(f, "\n  {:name$}  {:dtype$}  {:?}", tensor.name, tensor.dtype, tensor.shape))
    }
}
