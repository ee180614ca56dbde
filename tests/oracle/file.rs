//! A golden file: named tensors, and metadata that describes them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use reference::{Array, compare};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;
use tensor::Tensor;

pub(crate) struct File {
    pub(crate) op: Option<String>,
    pub(crate) attrs: Value,
    pub(crate) train: Option<Value>,
    pub(crate) model: Option<Value>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<File> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(|| format!("{}", path.display()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let json = |key: &str| metadata.get(key).map(|text| serde_json::from_str(text)).transpose();
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            ensure!(view.dtype() == Dtype::F32, "{}: {name} is {:?}", path.display(), view.dtype());
            let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            tensors.insert(name, Tensor::new(&numbers.collect::<Vec<_>>(), view.shape()));
        }
        Ok(File {
            op: metadata.get("op").cloned(),
            attrs: json("attrs")?.unwrap_or(Value::Null),
            train: json("train")?,
            model: json("model")?,
            tensors,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("the file has no tensor {name}"))
    }

    /// The tensors whose names begin with `prefix`, with the prefix removed.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
        self.tensors.iter().filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }
}

/// Compares a tensor with the file's, with a tolerance relative to the largest absolute value.
pub(crate) fn agree(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) -> Result<()> {
    if got.shape() != expected.shape() {
        bail!("{what} is {}, the file's is {}", got.shape(), expected.shape());
    }
    compare::close(got, &Array::of(expected), tolerance).map_err(|difference| anyhow::anyhow!("{what} {difference}"))
}
