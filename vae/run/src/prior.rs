//! The file of a fitted prior, `checkpoints/prior-KIND.safetensors` in the folder of a run.
//!
//! ```text
//! NAME                    the tensors of the prior
//! train.adam.m.NAME, …    Adam's moments, with which a fit is continued
//! __metadata__.prior      JSON: {format, kind, weights, images, seed, epoch, settings}
//! ```
//!
//! `weights` is the SHA-256 of the checkpoint whose latents the prior was fitted to. A prior of other weights is refused, because
//! their decoder gives its latents another meaning. The file contains no time and no path, so equal fits write equal bytes.

use std::fs;
use std::path::{Path, PathBuf};

use nn::Module;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vae_core::config::{self, Config, PriorKind};
use vae_core::prior::{self, Fitting, Prior};
use vae_core::train::ModelAndOptimiser;
use vae_core::{Error, Result, hex};

use crate::checkpoint::load_bytes;
use crate::export::is_too_large;
use crate::folder::{Folder, checkpoint_of};
use crate::loaded::LoadedRun;

const FORMAT: u32 = 1;
/// The key in the metadata.
const KEY: &str = "prior";

/// What a fit depends on, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    format: u32,
    /// The kind of prior.
    pub kind: PriorKind,
    weights: String,
    /// The number of images whose latents it is fitted to.
    pub images: usize,
    /// The seed of the fit.
    pub seed: u64,
    /// The number of epochs so far.
    pub epoch: usize,
    /// The keys of `[prior]`.
    pub settings: config::Prior,
}

impl Meta {
    /// Describes a fit before its first epoch.
    ///
    /// # Errors
    /// If the checkpoint of the run cannot be read.
    pub fn new(run: &Path, kind: PriorKind, images: usize, seed: u64, settings: config::Prior) -> Result<Meta> {
        Ok(Meta { format: FORMAT, kind, weights: weights_of(run)?, images, seed, epoch: 0, settings })
    }
}

/// Returns the name of the file of a prior in the folder of a run.
pub fn file_name(kind: PriorKind) -> String {
    format!("checkpoints/prior-{kind}.safetensors")
}

/// Returns the SHA-256 of the checkpoint that a run is used with.
fn weights_of(run: &Path) -> Result<String> {
    let path = checkpoint_of(run)?;
    let bytes = fs::read(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    Ok(hex(Sha256::digest(bytes)))
}

/// Writes a prior and the state of its fit.
///
/// # Errors
/// If a tensor cannot be read from its device, or the file cannot be written.
pub fn save_fit(folder: &mut Folder, meta: &Meta, fitting: &Fitting) -> Result<()> {
    let meta = Meta { epoch: fitting.epoch, ..meta.clone() };
    let optimiser = fitting.optimiser_tensors();
    save(folder, &meta, &ModelAndOptimiser { model: &*fitting.prior, optimiser: &optimiser })
}

/// Writes a prior.
///
/// # Errors
/// As [`save_fit`].
pub fn save(folder: &mut Folder, meta: &Meta, module: &dyn Module) -> Result<()> {
    let json = serde_json::to_string(meta).expect("numbers and words");
    let bytes = block_on(nn::state::save(module, &[(KEY, &json)])).map_err(|error| match error {
        nn::state::StateError::Device(error) => Error::Device(error),
        error => Error::Diverged(error.to_string()),
    })?;
    folder.write(&file_name(meta.kind), &bytes)
}

/// Reads a file and what its metadata say, or returns `None` if there is no file.
fn read(run: &Path, kind: PriorKind) -> Result<Option<(PathBuf, Vec<u8>, Meta)>> {
    let path = run.join(file_name(kind));
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    let advice = "fit the prior again with vae fit-prior --again";
    let (_, json) = nn::state::contents(&bytes, KEY).map_err(|error| Error::file(&path, error).with_advice(advice))?;
    let meta = json.and_then(|json| serde_json::from_str::<Meta>(&json).ok());
    let meta = meta.filter(|meta| meta.format == FORMAT && meta.kind == kind && meta.settings.check_for(kind).is_ok());
    let meta =
        meta.ok_or_else(|| Error::file(&path, format!("is no {kind} prior that this program wrote; {advice}")))?;
    Ok(Some((path, bytes, meta)))
}

/// Checks that a file is as large as the prior that it describes. The metadata are not trusted, and must not build a huge prior.
fn check_size(config: &Config, path: &Path, bytes: &[u8], meta: &Meta) -> Result<()> {
    let claimed = 4.0 * prior::weights(meta.kind, config, &meta.settings);
    if is_too_large(claimed, bytes.len() as f64, 1e6) {
        return Err(Error::file(
            path,
            "describes a larger prior than it contains; fit it again with vae fit-prior --again",
        ));
    }
    Ok(())
}

/// Restores the state of an earlier fit of the same weights, seed and settings as `wanted`, if there is one and the images of the run are
/// those that it was trained on.
///
/// # Errors
/// If the file is damaged.
pub fn resume(run: &LoadedRun, wanted: &Meta, fitting: &mut Fitting) -> Result<()> {
    let Some((path, bytes, meta)) = read(&run.path, wanted.kind)? else { return Ok(()) };
    // If the images have changed since training, the earlier fit may be of others than the present ones.
    if run.changes().is_some() || (Meta { epoch: 0, ..meta.clone() }) != *wanted {
        return Ok(());
    }
    check_size(&run.predictor.config, &path, &bytes, &meta)?;
    let slots = fitting.optimiser_slots();
    load_bytes(&ModelAndOptimiser { model: &*fitting.prior, optimiser: &slots }, &bytes, &path)?;
    fitting.restore(meta.epoch, meta.images, &slots);
    Ok(())
}

impl LoadedRun {
    /// Draws samples from this prior from now on. Each kind but the model's own must have been fitted before.
    ///
    /// # Errors
    /// As [`LoadedRun::load_prior`].
    pub fn use_prior(&mut self, kind: PriorKind) -> Result<()> {
        self.predictor.prior = self.load_prior(kind)?;
        Ok(())
    }

    /// Returns the kinds of priors that can be drawn from: that of the model, and those that were fitted to its weights.
    pub fn priors(&self) -> Vec<PriorKind> {
        let is_fitted = |kind: PriorKind| self.path.join(file_name(kind)).exists();
        let usable = |kind: &PriorKind| match kind {
            PriorKind::Standard => prior::check(*kind, &self.predictor.config).is_ok(),
            kind => is_fitted(*kind) && self.load_prior(*kind).is_ok(),
        };
        PriorKind::ALL.into_iter().filter(usable).collect()
    }

    /// Loads a fitted prior onto the device of the model, or returns `None` for the model's own.
    ///
    /// # Errors
    /// If the kind does not fit the model, or its file is missing, damaged, or of other weights.
    pub fn load_prior(&self, kind: PriorKind) -> Result<Option<Box<dyn Prior>>> {
        let config = &self.predictor.config;
        prior::check(kind, config)?;
        if kind == PriorKind::Standard {
            return Ok(None);
        }
        let Some((path, bytes, meta)) = read(&self.path, kind)? else {
            let run = self.path.display();
            return Err(Error::config(format!(
                "--prior {kind}: {run} has no such prior; fit it with vae fit-prior {run} --prior {kind}"
            )));
        };
        if meta.weights != weights_of(&self.path)? {
            let what = "was fitted to other weights of this run, which has been trained further since";
            return Err(Error::file(&path, format!("{what}; fit it again with vae fit-prior --prior {kind}")));
        }
        check_size(config, &path, &bytes, &meta)?;
        let prior = prior::blank(kind, config, &meta.settings)?;
        load_bytes(&*prior, &bytes, &path)?;
        nn::upload(&*prior, self.predictor.device());
        Ok(Some(prior))
    }

    /// Draws samples from the prior that is fitted to the codes of a model, if there is one: a model with codes has no other way
    /// to draw images. Returns a warning about one that cannot be used.
    pub fn use_prior_of_codes(&mut self) -> Option<String> {
        let kind = PriorKind::Transformer;
        if !self.predictor.config.model.has_codes() || !self.path.join(file_name(kind)).exists() {
            return None;
        }
        self.use_prior(kind).err().map(|error| format!("{error}; until then, it is not used"))
    }
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use tensor::Device;

    use super::*;
    use crate::tests::{config, train_steps};

    /// A fit that is continued from its file ends with the bytes of one that was not interrupted.
    #[test]
    fn an_interrupted_fit_continues_with_the_same_bytes() {
        let settings = ["model.kind=fsq", "model.widths=4,4", "model.levels=3,2", "prior.width=8", "prior.epochs=3"];
        let (dir, config) = (tempfile::tempdir().unwrap(), config(&settings));
        train_steps(&config, dir.path(), usize::MAX);
        let run = LoadedRun::open(dir.path(), config.clone(), Device::Cpu).unwrap();
        let split = &run.dataset().unwrap().train;
        let latents = block_on(run.predictor.latents(split, &split.first(40))).unwrap().unwrap();
        let meta = Meta::new(dir.path(), PriorKind::Transformer, 40, 7, config.prior.clone()).unwrap();
        let begun = || {
            let prior = prior::trainable(meta.kind, &config, &meta.settings, meta.seed).unwrap();
            Fitting::new(prior, meta.settings.clone(), meta.seed, Device::Cpu, &latents)
        };
        let mut folder = Folder::open_unlocked(dir.path());
        let mut bytes = |fitting: &Fitting| {
            save_fit(&mut folder, &meta, fitting).unwrap();
            fs::read(dir.path().join(file_name(meta.kind))).unwrap()
        };
        let mut whole = begun();
        for _ in 0..3 {
            block_on(whole.epoch(&latents)).unwrap();
        }
        let whole = bytes(&whole);
        let mut part = begun();
        block_on(part.epoch(&latents)).unwrap();
        assert!(bytes(&part) != whole);
        let mut part = begun();
        resume(&run, &meta, &mut part).unwrap();
        assert_eq!(part.epoch, 1);
        for _ in 0..2 {
            block_on(part.epoch(&latents)).unwrap();
        }
        assert!(bytes(&part) == whole);
        let (other, mut begun) = (Meta { seed: 8, ..meta.clone() }, begun());
        resume(&run, &other, &mut begun).unwrap();
        assert_eq!(begun.epoch, 0, "a fit of another seed begins anew");
    }
}
