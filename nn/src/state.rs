//! Parameters and buffers by name, as safetensors bytes: PyTorch's names and layouts, little-endian f32.
//! PyTorch's `num_batches_tracked`, an i64 beside each pair of running statistics, is ignored when loading and written as 0.
//! Tensors whose names begin with `train.` belong to an optimiser and are ignored when a module is loaded.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use tensor::{Device, Shape, Tensor};

use crate::module::{Module, Slot, visit};

/// Why a state cannot be loaded or saved. Each message is one line and names every tensor that is wrong.
#[derive(Debug)]
pub enum StateError {
    /// The bytes are not a complete safetensors file.
    Damaged(String),
    /// The names or shapes are not those of the module.
    Mismatch(Vec<String>),
    /// A tensor could not be copied to or from its device.
    Device(tensor::Error),
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StateError::Damaged(why) => write!(f, "not a whole safetensors file: {why}"),
            StateError::Mismatch(tensors) => write!(f, "tensors do not fit the model: {}", tensors.join("; ")),
            StateError::Device(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StateError {}

impl From<tensor::Error> for StateError {
    fn from(error: tensor::Error) -> StateError {
        StateError::Device(error)
    }
}

/// Every tensor of a module as a safetensors file, with these entries of metadata, in this order.
///
/// # Errors
/// If a tensor cannot be read from its device.
pub async fn save(module: &dyn Module, metadata: &[(&str, &str)]) -> Result<Vec<u8>, StateError> {
    let mut slots = Vec::new();
    visit(module, |path, slot| {
        let tensor = value(slot);
        slots.push((path.to_owned(), *tensor.shape(), tensor.read())); // all reads start before the first is awaited
    });
    let mut all: BTreeMap<String, (Vec<usize>, Option<Vec<f32>>)> = BTreeMap::new(); // None: a counter
    for (path, shape, data) in slots {
        if let Some(layer) = path.strip_suffix("running_var") {
            all.insert(format!("{layer}{COUNTER}"), (vec![], None));
        }
        let data = data.await?;
        all.insert(path, (shape.to_vec(), Some(data)));
    }
    let views = all.iter().map(|(name, (shape, data))| {
        let (dtype, bytes) = data.as_ref().map_or((Dtype::I64, &[0; 8][..]), |f| (Dtype::F32, bytemuck::cast_slice(f)));
        (name, TensorView::new(dtype, shape.clone(), bytes).expect("as many bytes as the shape says"))
    });
    let file = safetensors::serialize(views, None).expect("names are unique and shapes fit");
    Ok(if metadata.is_empty() { file } else { with_metadata(&file, metadata) })
}

/// A safetensors file with metadata. The crate `safetensors` takes them as a `HashMap`, whose order differs from one process to the
/// next. Here equal files have equal bytes.
fn with_metadata(file: &[u8], metadata: &[(&str, &str)]) -> Vec<u8> {
    let (len, rest) = file.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(len.try_into().expect("eight bytes")) as usize);
    let quoted = |text: &str| serde_json::to_string(text).expect("text");
    let entries: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let tensors = header.trim_ascii_end().strip_prefix(b"{").expect("the header is an object");
    let comma = if tensors == b"}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{{{}}}{comma}", entries.join(",")).into_bytes();
    header.extend(tensors);
    header.resize(header.len().next_multiple_of(8), b' '); // so that the data are aligned
    [&(header.len() as u64).to_le_bytes(), &header[..], data].concat()
}

const COUNTER: &str = "num_batches_tracked";
/// The names of an optimiser's tensors begin with this.
const OPTIMISER_PREFIX: &str = "train.";

/// The names of a file's tensors, and its metadata entry `key`, if it has one.
///
/// # Errors
/// If the bytes are damaged.
pub fn contents(bytes: &[u8], key: &str) -> Result<(Vec<String>, Option<String>), StateError> {
    let names = open(bytes)?.names().into_iter().map(str::to_owned).collect();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| StateError::Damaged(error.to_string()))?;
    Ok((names, header.metadata().as_ref().and_then(|entries| entries.get(key).cloned())))
}

/// Loads all tensors of a module from a safetensors file. On an error no tensor has changed.
///
/// # Errors
/// If the bytes are damaged, or if any tensor is missing, extra, not f32 or of another shape. The error names each of them.
pub async fn load(module: &dyn Module, bytes: &[u8]) -> Result<(), StateError> {
    let file = open(bytes)?;
    let mut wrong = Vec::new();
    let tensors = file.tensors().into_iter().filter(|(name, _)| !name.ends_with(COUNTER));
    let mut found: BTreeMap<String, Result<Tensor, String>> = tensors.map(|(name, view)| (name, read(&view))).collect();
    let mut fills: Vec<(Tensor, Device, Setter)> = Vec::new();
    visit(module, |path, slot| {
        let old = value(slot);
        match found.remove(path) {
            None => wrong.push(format!("{path} {} is missing", old.shape())),
            Some(Err(what)) => wrong.push(format!("{path} {what}")),
            Some(Ok(new)) if new.shape() != old.shape() => {
                wrong.push(format!("{path} is {}, not {}", new.shape(), old.shape()));
            }
            Some(Ok(new)) => fills.push((new, old.device(), setter(slot))),
        }
    });
    found.retain(|name, _| !name.starts_with(OPTIMISER_PREFIX));
    wrong.extend(found.into_iter().map(|(name, tensor)| match tensor {
        Ok(tensor) => format!("{name} {} is not in the model", tensor.shape()),
        Err(what) => format!("{name} {what}"),
    }));
    if !wrong.is_empty() {
        return Err(StateError::Mismatch(wrong));
    }
    for (new, device, set) in fills {
        set(new.to(&device).await?);
    }
    Ok(())
}

/// The result of loading part of a module, by the names of the module's and the file's tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of the module that were loaded.
    pub loaded: Vec<String>,
    /// Tensors of the module that the file does not have.
    pub missing: Vec<String>,
    /// Tensors that the file has in another shape or type, with the file's shape or type.
    pub misfit: Vec<String>,
    /// Tensors of the file that were not asked for, or that the module does not have.
    pub skipped: Vec<String>,
}

/// Loads part of a module. `place` maps the name of a tensor in the file to its name in the module, or to `None` if it is not wanted.
/// `part` says which tensors of the module are to be loaded.
///
/// # Errors
/// If the bytes are damaged.
pub async fn load_partial(
    module: &dyn Module,
    bytes: &[u8],
    part: impl Fn(&str) -> bool,
    place: impl Fn(&str) -> Option<String>,
) -> Result<LoadReport, StateError> {
    let file = open(bytes)?;
    let mut filled = LoadReport::default();
    let mut found = BTreeMap::new();
    for (name, view) in file.tensors() {
        match place(&name).filter(|path| part(path)) {
            _ if name.ends_with(COUNTER) || name.starts_with(OPTIMISER_PREFIX) => {}
            Some(path) => {
                let twice = found.insert(path, (name, read(&view)));
                filled.skipped.extend(twice.map(|(name, _)| name)); // the last of several names wins
            }
            None => filled.skipped.push(name),
        }
    }
    let mut fills: Vec<(Tensor, Device, Setter)> = Vec::new();
    visit(module, |path, slot| {
        if !part(path) {
            return;
        }
        let old = value(slot);
        match found.remove(path) {
            None => filled.missing.push(path.to_owned()),
            Some((_, Err(what))) => filled.misfit.push(format!("{path} {what}")),
            Some((_, Ok(new))) if new.shape() != old.shape() => {
                filled.misfit.push(format!("{path} is {}, not {}", new.shape(), old.shape()));
            }
            Some((_, Ok(new))) => {
                filled.loaded.push(path.to_owned());
                fills.push((new, old.device(), setter(slot)));
            }
        }
    });
    filled.skipped.extend(found.into_values().map(|(name, _)| name));
    filled.skipped.sort();
    for (new, device, set) in fills {
        set(new.to(&device).await?);
    }
    Ok(filled)
}

/// The most bytes that a tensor's name may have.
const MAX_NAME_LENGTH: usize = 256;

/// The tensors of a file. Their names are checked, so that they can be printed.
///
/// # Errors
/// If the bytes are not those of a safetensors file.
pub fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, StateError> {
    if has_overflowing_offset(bytes) {
        return Err(StateError::Damaged("a tensor ends where no file reaches".into()));
    }
    let describe = |error: SafeTensorError| error.to_string().chars().filter(|c| !c.is_control()).take(400).collect();
    let file = SafeTensors::deserialize(bytes).map_err(|error| StateError::Damaged(describe(error)))?;
    let printed = |name: &&str| name.len() <= MAX_NAME_LENGTH && !name.chars().any(char::is_control);
    match file.names().into_iter().find(|name| !printed(name)) {
        Some(name) => {
            let start: String = name.chars().take(40).collect();
            Err(StateError::Damaged(format!("a tensor is called {start:?}, {} bytes in all", name.len())))
        }
        None => Ok(file),
    }
}

/// Whether an offset in the header has twenty digits, as 2⁶⁴ has. `safetensors` 0.8 adds the length of the header to the last offset
/// without a check for overflow. Names and metadata are JSON strings, whose digits do not count.
fn has_overflowing_offset(bytes: &[u8]) -> bool {
    let len = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len)).min(bytes.len() as u64) as usize;
    let header = bytes.get(8..len.saturating_add(8).min(bytes.len())).unwrap_or_default();
    let (mut in_string, mut is_escaped, mut digits) = (false, false, 0);
    header.iter().any(|byte| {
        if in_string {
            (in_string, is_escaped) = (*byte != b'"' || is_escaped, *byte == b'\\' && !is_escaped);
        } else {
            in_string = *byte == b'"';
            digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        }
        digits >= 20
    })
}

fn read(view: &TensorView) -> Result<Tensor, String> {
    if view.dtype() != Dtype::F32 {
        return Err(format!("is {:?}, not F32", view.dtype()));
    }
    if view.shape().len() > tensor::MAX_RANK {
        return Err(format!("has {} dimensions", view.shape().len()));
    }
    // Slices of a file are not aligned.
    let data: Vec<f32> = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Tensor::new(&data, Shape::new(view.shape())))
}

fn value(slot: Slot) -> Tensor {
    match slot {
        Slot::Param(param) => param.value(),
        Slot::Buffer(buffer) => buffer.value(),
    }
}

type Setter = Box<dyn FnOnce(Tensor)>;

fn setter(slot: Slot) -> Setter {
    match slot {
        Slot::Param(param) => {
            let param = param.clone();
            Box::new(move |value| param.set(value))
        }
        Slot::Buffer(buffer) => {
            let buffer = buffer.clone();
            Box::new(move |value| buffer.set(value))
        }
    }
}
