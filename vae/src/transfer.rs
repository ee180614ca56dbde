//! Beginning with another model's encoder: whatever bears torchvision's names, with `encoder.` before them (a VAE's
//! checkpoint) or without (a classifier's, torchvision's own), is taken where its shape fits; heads are not.

use std::collections::BTreeMap;
use std::path::Path;

use nn::Module;
use nn::state::{Filled, StateError};
use pollster::block_on;

use crate::error::{Error, Result};
use crate::learn::is_trunk;
use crate::run::read;

/// Fills a model's encoder, up to its heads, from a safetensors file, and says in words what was loaded and what was not.
/// With `whole`, all of it must be in the file.
///
/// # Errors
/// If the file cannot be read, holds nothing of the encoder, or not all of it with `whole`.
pub fn load_encoder(model: &dyn Module, path: &Path, whole: bool) -> Result<String> {
    let bytes = read(path)?;
    let place = |name: &str| match name.split('.').next() {
        Some("encoder") => Some(name.to_owned()),
        Some("decoder") => None,
        _ => Some(format!("encoder.{name}")),
    };
    let filled = block_on(nn::state::load_part(model, &bytes, is_trunk, place)).map_err(|error| match error {
        StateError::Device(error) => Error::Device(error),
        error => Error::file(path, format!("{error}; name a safetensors file")),
    })?;
    let lacking = filled.missing.len() + filled.misfit.len();
    if filled.loaded.is_empty() || whole && lacking > 0 {
        let wants =
            if whole { "model.freeze_encoder needs all of the encoder there" } else { "it begins no encoder here" };
        let what = words(&filled);
        return Err(Error::file(
            path,
            format!("{what}: {wants}; model.kind, model.width and model.stem must be the file's"),
        ));
    }
    Ok(format!("{}: {}", path.display(), words(&filled)))
}

fn words(filled: &Filled) -> String {
    let mut words = format!("loaded {}", groups(&filled.loaded));
    for (what, names) in [("not in the file", &filled.missing), ("skipped", &filled.skipped)] {
        if !names.is_empty() {
            words += &format!("; {what}: {}", groups(names));
        }
    }
    if let Some(first) = filled.misfit.first() {
        let more =
            if filled.misfit.len() > 1 { format!(" and {} more", filled.misfit.len() - 1) } else { String::new() };
        words += &format!("; misfit: {first}{more}");
    }
    words
}

/// `22 tensors (conv1, layer1 …)`: names by their first part, in the order they are first met.
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
    use super::*;
    use crate::config::{Config, Settings};
    use crate::learn;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        ["model.width=2", "model.z_dim=3"].iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    /// The tensors of a residual encoder, by torchvision's names.
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
        std::fs::write(&path, block_on(nn::state::save(&*model, None)).unwrap()).unwrap();
        (path, trunk(&*model))
    }

    #[test]
    fn a_classifier_s_encoder_is_taken_whole_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.kind=classifier"]);
        let model = learn::build(&config(&[]));
        let heads = nn::parameters(&*model).into_iter().find(|(name, _)| name == "encoder.mu.weight").unwrap().1;
        let before = heads.value();
        let told = load_encoder(&*model, &path, true).unwrap();
        assert!(told.contains("loaded 100 tensors (bn1, conv1, layer1, layer2, layer3, layer4)"), "{told}");
        assert!(told.ends_with("skipped: 2 tensors (fc)"), "{told}");
        assert_eq!(trunk(&*model), theirs);
        assert_eq!(before.data(), heads.value().data());
    }

    #[test]
    fn a_vae_s_encoder_is_taken_and_its_decoder_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = saved(dir.path(), &["model.z_dim=5"]);
        let model = learn::build(&config(&[]));
        let decoder = nn::parameters(&*model).into_iter().find(|(name, _)| name == "decoder.conv1.weight").unwrap().1;
        let before = decoder.value();
        let told = load_encoder(&*model, &path, true).unwrap();
        assert!(told.contains("loaded 100 tensors") && told.contains("skipped: "), "{told}");
        let shortcut = "layer3.0.downsample.0.weight";
        assert_eq!((told.contains("decoder"), &trunk(&*model)[shortcut]), (true, &theirs[shortcut]));
        assert_eq!(before.data(), decoder.value().data());
    }

    #[test]
    fn a_stem_of_another_shape_stays_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = saved(dir.path(), &["model.kind=classifier", "model.stem=7x7-pool"]);
        let model = learn::build(&config(&[]));
        let told = load_encoder(&*model, &path, false).unwrap();
        assert!(told.contains("loaded 99 tensors"), "{told}");
        assert!(told.contains("misfit: encoder.conv1.weight is [2, 1, 7, 7], not [2, 1, 3, 3]"), "{told}");
        let refused = load_encoder(&*model, &path, true).unwrap_err();
        assert!(refused.to_string().contains("needs all of the encoder") && refused.exit_code() == 1, "{refused}");
        let large = learn::build(&config(&["model.stem=7x7-pool", "data.image_size=64"]));
        assert!(load_encoder(&*large, &path, true).unwrap().contains("loaded 100 tensors"));
    }

    #[test]
    fn a_file_without_an_encoder_is_refused_in_a_line() {
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
