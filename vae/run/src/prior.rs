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

use pollster::block_on;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vae_core::config::{self, Config, PriorKind};
use vae_core::prior::{self, Fitting};
use vae_core::train::ModelAndOptimiser;
use vae_core::{Error, Result};

use crate::checkpoint::load_bytes;
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
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a prior and the state of its fit.
///
/// # Errors
/// If a tensor cannot be read from its device, or the file cannot be written.
pub fn save(folder: &mut Folder, meta: &Meta, fitting: &Fitting) -> Result<()> {
    let meta = Meta { epoch: fitting.epoch, ..meta.clone() };
    let json = serde_json::to_string(&meta).expect("numbers and words");
    let optimiser = fitting.optimiser_tensors();
    let module = ModelAndOptimiser { model: &*fitting.prior, optimiser: &optimiser };
    let bytes = block_on(nn::state::save(&module, &[(KEY, &json)])).map_err(|error| match error {
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
    let meta = meta.filter(|meta| meta.format == FORMAT && meta.kind == kind && meta.settings.check().is_ok());
    let meta =
        meta.ok_or_else(|| Error::file(&path, format!("is no {kind} prior that this program wrote; {advice}")))?;
    Ok(Some((path, bytes, meta)))
}

/// Builds the prior of a file, with the state of its fit.
fn restored(config: &Config, device: tensor::Device, path: &Path, bytes: &[u8], meta: &Meta) -> Result<Fitting> {
    // The metadata are not trusted: they must not build a huge prior.
    let claimed = 4.0 * prior::weights(config, &meta.settings);
    if claimed > 3.0 * bytes.len() as f64 + 1e6 {
        return Err(Error::file(
            path,
            "describes a larger prior than it contains; fit it again with vae fit-prior --again",
        ));
    }
    let prior = prior::build(meta.kind, config, &meta.settings, meta.seed)?;
    let mut fitting = Fitting::new(prior, meta.settings.clone(), meta.seed, device);
    let slots = fitting.optimiser_slots();
    load_bytes(&ModelAndOptimiser { model: &*fitting.prior, optimiser: &slots }, bytes, path)?;
    fitting.restore(meta.epoch, meta.images, &slots);
    Ok(fitting)
}

/// Returns the state of a fit that can be continued: one of the same weights, images, seed and settings as `wanted`.
///
/// # Errors
/// If the file is damaged.
pub fn resume(run: &LoadedRun, wanted: &Meta) -> Result<Option<Fitting>> {
    let Some((path, bytes, meta)) = read(&run.path, wanted.kind)? else { return Ok(None) };
    if (Meta { epoch: 0, ..meta.clone() }) != *wanted {
        return Ok(None);
    }
    restored(&run.predictor.config, run.predictor.device().clone(), &path, &bytes, &meta).map(Some)
}

impl LoadedRun {
    /// Draws samples from this prior from now on. Each kind but the model's own must have been fitted before.
    ///
    /// # Errors
    /// If the kind does not fit the model, or its file is missing, damaged, or of other weights.
    pub fn use_prior(&mut self, kind: PriorKind) -> Result<()> {
        prior::check(kind, &self.predictor.config)?;
        if kind == PriorKind::Standard {
            self.predictor.prior = None;
            return Ok(());
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
        let fitting = restored(&self.predictor.config, self.predictor.device().clone(), &path, &bytes, &meta)?;
        self.predictor.prior = Some(fitting.prior); // upcast
        Ok(())
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
            let prior = prior::build(meta.kind, &config, &meta.settings, meta.seed).unwrap();
            Fitting::new(prior, meta.settings.clone(), meta.seed, Device::Cpu)
        };
        let mut folder = Folder::open_unlocked(dir.path());
        let mut bytes = |fitting: &Fitting| {
            save(&mut folder, &meta, fitting).unwrap();
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
        let mut part = resume(&run, &meta).unwrap().expect("it was just written");
        assert_eq!(part.epoch, 1);
        for _ in 0..2 {
            block_on(part.epoch(&latents)).unwrap();
        }
        assert!(bytes(&part) == whole);
        let other = Meta { seed: 8, ..meta.clone() };
        assert!(resume(&run, &other).unwrap().is_none(), "a fit of another seed begins anew");
    }
}
