//! Loads the encoder of another model, and verifies that frozen weights do not change.
//!
//! The file has torchvision's names, either with `encoder.` in front (the checkpoint of a VAE) or without (a classifier
//! of this program, or torchvision's own weights). A tensor is loaded if its shape fits. The heads, which compute mu
//! and logvar, are not loaded.
//!
//! A SHA-256 of the frozen weights and running statistics, before and after training, proves that no byte of them
//! changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use nn::state::{LoadReport, StateError};
use nn::{Module, Slot};
use pollster::block_on;
use sha2::{Digest, Sha256};
use vae_core::learn::is_trunk;
use vae_core::{Error, Result, hex};

use crate::checkpoint::read;

/// The result of loading an encoder. `Display` gives one line; [`LoadedEncoder::list`] gives the names of all tensors.
#[derive(Clone, Debug)]
pub struct LoadedEncoder {
    /// The file that was loaded.
    pub path: PathBuf,
    /// The names of the tensors that were loaded, missing, of another shape, or skipped.
    pub filled: LoadReport,
}

/// Loads the encoder of a model, without its heads, from a safetensors file. Returns which tensors were loaded. With
/// `whole`, the file must contain the complete encoder.
///
/// # Errors
/// Returns an error if the file cannot be read, if no tensor of the encoder can be loaded, or, with `whole`, if a
/// tensor is missing or has another shape.
pub fn load_encoder(model: &dyn Module, path: &Path, whole: bool) -> Result<LoadedEncoder> {
    let bytes = read(path)?;
    let place = |name: &str| match name.split('.').next() {
        Some("encoder") => Some(name.to_owned()),
        _ => Some(format!("encoder.{name}")), // such as a classifier's; a decoder's tensors are then none of an encoder
    };
    let filled = block_on(nn::state::load_partial(model, &bytes, is_trunk, place)).map_err(|error| match error {
        StateError::Device(error) => Error::Device(error),
        error => Error::file(path, format!("{error}; name a safetensors file")),
    })?;
    let lacking = filled.missing.len() + filled.misfit.len();
    if filled.loaded.is_empty() || whole && lacking > 0 {
        let wants = match whole {
            true => {
                "model.freeze_encoder needs a file with the whole encoder (without it, --dry-run --json lists every tensor)"
            }
            false => "it contains no encoder that fits here",
        };
        let what = summary(&filled);
        return Err(Error::file(
            path,
            format!("{what}: {wants}; model.kind, model.width and model.stem must match the file"),
        ));
    }
    Ok(LoadedEncoder { path: path.to_owned(), filled })
}

impl fmt::Display for LoadedEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), summary(&self.filled))
    }
}

impl LoadedEncoder {
    /// Returns the names of all tensors, one per line, in groups: loaded, missing, of another shape, skipped. PyTorch's
    /// `num_batches_tracked` is not listed, because our batch norm has no such tensor.
    pub fn list(&self) -> String {
        let LoadReport { loaded, missing, misfit, skipped } = &self.filled;
        let mut text = format!("# The encoder started from {}\n", self.path.display());
        let kinds = [("loaded", loaded), ("not in the file", missing), ("misfit", misfit), ("skipped", skipped)];
        for (what, names) in kinds {
            text += &format!("\n{what}: {}\n", names.len());
            names.iter().for_each(|name| text += &format!("  {name}\n"));
        }
        text
    }
}

/// The frozen weights and running statistics of a model, which training must not change: their number and their SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The number of frozen tensors.
    pub tensors: usize,
    /// The SHA-256, in hexadecimal digits, of their numbers as little-endian f32, in the order in which the model
    /// declares them.
    pub sha256: String,
}

impl Frozen {
    /// Returns the hash of the frozen tensors of a model, or `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn of(model: &dyn Module) -> Result<Option<Frozen>> {
        let mut held = Vec::new();
        nn::visit(model, |_, slot| match slot {
            Slot::Param(param) if param.is_frozen() => held.push(param.value()),
            Slot::Buffer(buffer) if buffer.is_frozen() => held.push(buffer.value()),
            _ => {}
        });
        let mut digest = Sha256::new();
        for tensor in &held {
            block_on(tensor.read())?.iter().for_each(|x| digest.update(x.to_le_bytes()));
        }
        let sha256 = hex(digest.finalize());
        Ok(Some(Frozen { tensors: held.len(), sha256 }).filter(|frozen| frozen.tensors > 0))
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors, sha256 {}", self.tensors, self.sha256)
    }
}

/// Describes in one line what was loaded.
fn summary(filled: &LoadReport) -> String {
    let mut words = format!("loaded {}", groups(&filled.loaded));
    for (what, names) in [("not in the file", &filled.missing), ("skipped", &filled.skipped)] {
        if !names.is_empty() {
            words += &format!("; {what}: {}", groups(names));
        }
    }
    if let Some(first) = filled.misfit.first() {
        let more =
            if filled.misfit.len() > 1 { format!(" and {} more", filled.misfit.len() - 1) } else { String::new() };
        words += &format!("; does not fit: {first}{more}");
    }
    words
}

/// Describes tensors by their number and the first parts of their names, sorted: `22 tensors (conv1, layer1, …)`.
fn groups(names: &[String]) -> String {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        let name = name.strip_prefix("encoder.").unwrap_or(name);
        *groups.entry(name.split('.').next().unwrap_or(name)).or_default() += 1;
    }
    let list: Vec<&str> = groups.keys().copied().take(12).collect();
    let more = if groups.len() > list.len() { ", …" } else { "" };
    match names.len() {
        0 => "nothing".into(),
        1 => names[0].clone(),
        count => format!("{count} tensors ({}{more})", list.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use vae_core::config::{Config, Settings};
    use vae_core::learn;

    use super::*;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        ["model.width=2", "model.z_dim=3"].iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    /// Returns the tensors of a residual encoder, by torchvision's names.
    fn trunk(model: &dyn Module) -> BTreeMap<String, Vec<f32>> {
        let mut tensors = BTreeMap::new();
        nn::visit(model, |name, slot| {
            let value = match slot {
                nn::Slot::Param(param) => param.value(),
                nn::Slot::Buffer(buffer) => buffer.value(),
            };
            let name = name.strip_prefix("encoder.").unwrap_or(name);
            if ["conv1", "bn1", "layer"].iter().any(|part| name.starts_with(part)) {
                tensors.insert(name.to_owned(), value.data().to_vec());
            }
        });
        tensors
    }

    fn saved(dir: &Path, settings: &[&str]) -> (std::path::PathBuf, BTreeMap<String, Vec<f32>>) {
        let model = learn::build(&config(&[settings, &["seed=7"]].concat()));
        let path = dir.join("saved.safetensors");
        std::fs::write(&path, block_on(nn::state::save(&*model, &[])).unwrap()).unwrap();
        (path, trunk(&*model))
    }

    #[test]
    fn only_the_encoder_of_a_classifier_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.kind=classifier"]);
        let model = learn::build(&config(&[]));
        let heads = nn::parameters(&*model).into_iter().find(|(name, _)| name == "encoder.mu.weight").unwrap().1;
        let before = heads.value();
        let told = load_encoder(&*model, &path, true).unwrap().to_string();
        assert!(told.contains("loaded 100 tensors (bn1, conv1, layer1, layer2, layer3, layer4)"), "{told}");
        assert!(told.ends_with("skipped: 2 tensors (fc)"), "{told}");
        assert_eq!(trunk(&*model), theirs);
        assert_eq!(before.data(), heads.value().data());
    }

    #[test]
    fn only_the_encoder_of_a_vae_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.z_dim=5"]);
        let model = learn::build(&config(&[]));
        let decoder = nn::parameters(&*model).into_iter().find(|(name, _)| name == "decoder.conv1.weight").unwrap().1;
        let before = decoder.value();
        let told = load_encoder(&*model, &path, true).unwrap().to_string();
        assert!(told.contains("loaded 100 tensors") && told.contains("skipped: "), "{told}");
        let shortcut = "layer3.0.downsample.0.weight";
        assert_eq!((told.contains("decoder"), &trunk(&*model)[shortcut]), (true, &theirs[shortcut]));
        assert_eq!(before.data(), decoder.value().data());
    }

    /// The convolutions of a VGG or an AlexNet with the names of torchvision's state dict, and a tensor of its classifier.
    struct Torchvision<'a>(&'a dyn Module, autograd::Param);

    impl Module for Torchvision<'_> {
        fn visit(&self, v: &mut nn::Visitor) {
            nn::visit(self.0, |path, slot| match (path.strip_prefix("encoder.features."), slot) {
                (Some(name), Slot::Param(param)) => v.child(&format!("features.{name}"), param),
                (Some(name), Slot::Buffer(buffer)) => v.child(&format!("features.{name}"), buffer),
                (None, _) => {}
            });
            v.child("classifier.6.bias", &self.1);
        }
    }

    #[test]
    fn encoders_of_torchvision_are_loaded_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("torchvision.safetensors");
        for (kind, tensors) in [("vgg11", 8 * 6), ("vgg16", 13 * 6), ("alexnet", 5 * 2)] {
            let settings = [&format!("model.kind={kind}")[..], "data.image_size=64"];
            let theirs = learn::build(&config(&[&settings[..], &["seed=7"]].concat()));
            let file = Torchvision(&*theirs, autograd::Param::new(tensor::Tensor::zeros([1000])));
            std::fs::write(&path, block_on(nn::state::save(&file, &[])).unwrap()).unwrap();
            let model = learn::build(&config(&settings));
            let told = load_encoder(&*model, &path, true).unwrap().to_string();
            assert!(told.contains(&format!("loaded {tensors} tensors (features)")), "{told}");
            assert!(told.ends_with("skipped: classifier.6.bias"), "{told}");
            let weight = |model: &dyn Module| {
                let first = |(name, _): &(String, _)| name == "encoder.features.0.weight";
                nn::parameters(model).into_iter().find(first).unwrap().1.value().data().to_vec()
            };
            assert_eq!(weight(&*model), weight(&*theirs), "{kind}");
        }
    }

    #[test]
    fn a_stem_of_another_shape_is_reported_and_not_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = saved(dir.path(), &["model.kind=classifier", "model.stem=7x7-pool"]);
        let model = learn::build(&config(&[]));
        let loaded = load_encoder(&*model, &path, false).unwrap();
        let (told, list) = (loaded.to_string(), loaded.list());
        assert!(told.contains("loaded 99 tensors"), "{told}");
        let named = "\nmisfit: 1\n  encoder.conv1.weight is [2, 1, 7, 7], not [2, 1, 3, 3]\n";
        assert!(list.contains(named) && list.contains("\nskipped: 2\n  fc.bias\n  fc.weight\n"), "{list}");
        assert!(list.contains("\nloaded: 99\n  encoder.bn1.weight\n") && list.lines().count() == 1 + 8 + 102, "{list}");
        assert!(told.contains("does not fit: encoder.conv1.weight is [2, 1, 7, 7], not [2, 1, 3, 3]"), "{told}");
        assert!(!told.contains(" more"), "{told}");
        let refused = load_encoder(&*model, &path, true).unwrap_err();
        assert!(
            refused.to_string().contains("needs a file with the whole encoder") && refused.exit_code() == 1,
            "{refused}"
        );
        let large = learn::build(&config(&["model.stem=7x7-pool", "data.image_size=64"]));
        assert!(load_encoder(&*large, &path, true).unwrap().to_string().contains("loaded 100 tensors"));
    }

    /// Of an encoder of another width nothing fits. A message names the first tensor.
    #[test]
    fn tensors_of_another_shape_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.width=3"]);
        let refused = load_encoder(&*learn::build(&config(&[])), &path, false).unwrap_err().to_string();
        let words = format!(", not [2, 1, 3, 3] and {} more: it contains no encoder that fits here", theirs.len() - 1);
        assert!(refused.contains("loaded nothing") && refused.contains(&words), "{refused}");
    }

    #[test]
    fn tensors_that_fit_are_loaded_from_a_vae_of_another_kind() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.stem=7x7-pool"]); // a VAE: its names start with encoder.
        let model = learn::build(&config(&["model.kind=vq", "model.encoder=resnet18"]));
        let loaded = load_encoder(&*model, &path, false).unwrap();
        assert_eq!((loaded.filled.loaded.len(), loaded.filled.missing.len()), (99, 0));
        assert!(loaded.filled.skipped.iter().any(|name| name == "encoder.mu.weight"), "{:?}", loaded.filled.skipped);
        assert_eq!(trunk(&*model)["layer4.1.bn2.running_var"], theirs["layer4.1.bn2.running_var"]);
    }

    /// Changing any frozen tensor changes the hash. Changing any other tensor does not.
    #[test]
    fn the_hash_covers_exactly_the_frozen_tensors() {
        let free = learn::build(&config(&[]));
        assert_eq!(Frozen::of(&*free).unwrap(), None);
        let model = learn::build(&config(&["model.freeze_encoder=true"]));
        let before = Frozen::of(&*model).unwrap().unwrap();
        assert_eq!((before.tensors, before.sha256.len()), (100, 64));
        nn::visit(&*model, |path, slot| {
            let bump = |tensor: &mut tensor::Tensor| tensor.data_mut()[0] += 1.0;
            let old = match slot {
                Slot::Param(param) => (param.value(), param.update(bump)).0,
                Slot::Buffer(buffer) => (buffer.value(), buffer.update(bump)).0,
            };
            let same = Frozen::of(&*model).unwrap().unwrap() == before;
            assert_eq!(same, !is_trunk(path), "{path}");
            match slot {
                Slot::Param(param) => param.set(old),
                Slot::Buffer(buffer) => buffer.set(old),
            }
        });
        let all = learn::build(&config(&["model.freeze_encoder=true", "model.freeze_heads=true"]));
        assert_eq!(Frozen::of(&*all).unwrap().unwrap().tensors, 104);
    }

    #[test]
    fn a_file_without_an_encoder_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = saved(dir.path(), &["model.kind=dense", "model.hidden=2"]);
        let model = learn::build(&config(&[]));
        for (bytes, says) in [(None, "loaded nothing"), (Some(b"<html>".to_vec()), "not a whole safetensors file")] {
            bytes.iter().for_each(|bytes| std::fs::write(&path, bytes).unwrap());
            let refused = load_encoder(&*model, &path, false).unwrap_err().to_string();
            assert!(
                refused.contains(says) && refused.contains("saved.safetensors") && !refused.contains('\n'),
                "{refused}"
            );
        }
        let refused = load_encoder(&*model, &dir.path().join("none"), false).unwrap_err().to_string();
        assert!(refused.contains("cannot be read"), "{refused}");
    }
}
