//! An extractor: a network that computes features of images for the scores, and the preprocessing of its images.
//!
//! ```text
//! pixels in [0, 1] → the network's channels, size and range (`preprocess`) → features, [images, width]
//! ```
//!
//! The features of a classifier of this program are those after its global average pooling. The classifier is that of a
//! run, a checkpoint, or, for digits, the built-in one. pytorch-fid's Inception-v3 gives 2,048 features; see
//! `inception`.
//!
//! The features of real images are cached in the folder of the run, as `cache/features-KEY.safetensors`. KEY is a
//! SHA-256 of the pixels, of the file of the network, and of the preprocessing, so that it changes with any of them.

use std::path::Path;

use autograd::{Buffer, Var, no_grad};
use nn::{ForwardContext, Module, Visitor};
use pollster::block_on;
use sha2::{Digest, Sha256};
use tensor::{Device, Generator, Tensor};
use vae_core::config::{Config, DataKind, ModelKind};
use vae_core::distributed::{Communicator, shared_batches};
use vae_core::model::Classifier;
use vae_core::{Error, Result, hex};
use vae_run::{Folder, LoadedRun, checkpoint, checkpoint_of, export};

use super::Options;
use super::frechet::Features;
use super::inception::{self, Inception};
use super::preprocess::Preprocess;

/// The built-in classifier of digits. `DIGITS_MOMENTS` are the mean and the standard deviation of the pixels that it
/// was trained on, MNIST's first 50,000 images at 32 × 32.
const DIGITS: &[u8] = include_bytes!("../weights/digits-classifier.safetensors");
const DIGITS_NAME: &str = "digits-classifier";
const DIGITS_MOMENTS: [f64; 2] = [0.100_267_237_362_132_35, 0.275_574_759_975_600_8];
/// The number of images in a batch.
const BATCH: usize = 64;

/// A network that computes features of images.
pub(super) struct Extractor {
    /// The name of the network. Only distances of the same extractor can be compared.
    pub(super) name: String,
    /// The number of features of an image.
    pub(super) width: usize,
    net: Net,
    preprocess: Preprocess,
    /// The SHA-256 of its file.
    digest: String,
    device: Device,
}

enum Net {
    Classifier(Box<Classifier>, Box<Config>),
    Inception(Inception),
}

impl Extractor {
    /// Returns the classifier in the options, or the built-in one if the images are digits, or `None`.
    ///
    /// # Errors
    /// Returns an error if the file is not a classifier. If its preprocessing needs the mean of its training images,
    /// also if these images are missing.
    pub(super) fn classifier(run: &LoadedRun, options: &Options) -> Result<Option<Extractor>> {
        let (config, device) = (&run.predictor.config, run.predictor.device());
        if let Some(place) = &options.extractor {
            let file = checkpoint_of(place)?;
            let (theirs, record) = export::contents(&file)?;
            if theirs.model.kind != ModelKind::Classifier {
                let what = format!(
                    "is a model of kind \"{}\": --extractor needs a classifier's run or checkpoint, such as the one that \
                     train --recipe mnist-classifier writes",
                    theirs.model.kind
                );
                return Err(Error::file(place, what));
            }
            let bytes = checkpoint::read_with_meta(&file)?.0;
            let name =
                place.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            let preprocess = match record {
                Some(record) => {
                    let transform = record.transform(&theirs).map_err(|what| Error::file(&file, what))?;
                    Preprocess::with_moments(&theirs, transform.mean, transform.std)
                }
                None => Preprocess::of(&theirs, &config.data.dir)?, // a checkpoint without a record of its images
            };
            let name = name.unwrap_or_else(|| place.display().to_string());
            return Extractor::of_classifier(name, &bytes, &file, theirs, preprocess, device).map(Some);
        }
        if !is_digits(config.data.kind) {
            return Ok(None);
        }
        Extractor::of_digits(device).map(Some)
    }

    /// Returns the built-in classifier of digits.
    fn of_digits(device: &Device) -> Result<Extractor> {
        let path = Path::new(DIGITS_NAME);
        let meta = checkpoint::meta(DIGITS).map_err(|what| Error::file(path, what))?;
        let config = meta.expect("it is a checkpoint of ours").config(path)?;
        let [mean, std] = DIGITS_MOMENTS;
        let preprocess = Preprocess { channels: 1, size: Some(config.image_size()), mean: vec![mean], std: vec![std] };
        Extractor::of_classifier(DIGITS_NAME.into(), DIGITS, path, config, preprocess, device)
    }

    fn of_classifier(
        name: String,
        bytes: &[u8],
        path: &Path,
        config: Config,
        preprocess: Preprocess,
        device: &Device,
    ) -> Result<Extractor> {
        let net = Classifier::new(&mut Generator::new(0), &config); // these weights are replaced
        checkpoint::load_bytes(&net, bytes, path)?;
        nn::upload(&net, device);
        let net = Net::Classifier(Box::new(net), Box::new(config.clone()));
        let (width, digest) = (8 * config.model.width, hex(Sha256::digest(bytes)));
        Ok(Extractor { name, width, net, preprocess, digest, device: device.clone() })
    }

    /// Returns pytorch-fid's Inception-v3, with weights from a safetensors file. Other tensors in the file, such as
    /// `fc.weight`, are ignored.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or if a tensor is missing or has another shape.
    pub(super) fn inception(file: &Path, device: &Device) -> Result<Extractor> {
        let bytes = checkpoint::read_with_meta(file)?.0;
        let net = Inception::new();
        let wants =
            "--inception needs the weights of pytorch-fid's Inception-v3 as safetensors, with torchvision's names";
        let filled = block_on(nn::state::load_partial(&net, &bytes, |_| true, |name| Some(name.to_owned())));
        let filled = filled.map_err(|error| Error::file(file, format!("{error}; {wants}")))?;
        let wrong = filled.missing.iter().map(|name| format!("{name} is missing")).chain(filled.misfit.iter().cloned());
        let wrong: Vec<String> = wrong.collect();
        if let Some(first) = wrong.first() {
            return Err(Error::file(
                file,
                format!("{first} ({} tensors are missing or do not fit); {wants}", wrong.len()),
            ));
        }
        nn::upload(&net, device);
        let preprocess = Preprocess { channels: 3, size: None, mean: vec![0.0; 3], std: vec![1.0; 3] };
        let (name, width, net) = ("Inception-v3".into(), inception::FEATURES, Net::Inception(net));
        Ok(Extractor { name, width, net, preprocess, digest: hex(Sha256::digest(&bytes)), device: device.clone() })
    }

    /// Describes the features in words.
    pub(super) fn words(&self) -> String {
        let size = self.preprocess.size.unwrap_or(inception::SIZE);
        format!("{} features of {} at {size} px", self.width, self.name)
    }

    /// Computes the features of images with this shape (channels, height, width) and pixels in [0, 1].
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn features(&self, ranks: &dyn Communicator, pixels: &[f32], shape: [usize; 3]) -> Result<Features> {
        let batches: Vec<&[f32]> = pixels.chunks(BATCH * shape.iter().product::<usize>()).collect();
        let numbers = block_on(shared_batches(ranks, batches.len(), async |i| {
            let x = Var::constant(self.preprocess.apply(batches[i], shape).upload(&self.device));
            let features = no_grad(|| match &self.net {
                Net::Classifier(net, _) => net.features(&x, &ForwardContext::eval()),
                Net::Inception(net) => net.features(&x),
            });
            Ok(Some(features.value().read().await?))
        }));
        Ok(Features { width: self.width, numbers: numbers?.unwrap_or_default() })
    }

    /// Returns the features of real images, from the cache of the run if they are there. If the cache cannot be written,
    /// as in a read-only folder, there is a warning.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn cached_features(
        &self,
        run: &LoadedRun,
        pixels: &[f32],
        shape: [usize; 3],
        warnings: &mut Vec<String>,
    ) -> Result<Features> {
        let name = format!("cache/features-{}.safetensors", self.key(pixels, shape));
        let images = pixels.len() / shape.iter().product::<usize>();
        let cached = CachedFeatures(Buffer::new(Tensor::zeros([images, self.width])));
        let bytes = std::fs::read(run.path.join(&name)).unwrap_or_default();
        // A damaged file is treated like a missing one.
        let (is_missing, ranks) = (block_on(nn::state::load(&cached, &bytes)).is_err(), &*run.predictor.ranks);
        if !ranks.any(is_missing)? {
            return Ok(Features { width: self.width, numbers: cached.0.value().data().to_vec() });
        }
        let features = self.features(ranks, pixels, shape)?;
        cached.0.set(Tensor::new(&features.numbers, [images, self.width]));
        if let (0, Ok(bytes)) = (ranks.rank(), block_on(nn::state::save(&cached, &[]))) {
            let warning = Folder::open_unlocked(&run.path).write(&name, &bytes).err().map(|error| error.to_string());
            warnings.extend(warning.filter(|warning| !warnings.contains(warning))); // it is asked for more than once
        }
        Ok(features)
    }

    /// Returns the key of the cache: a hash of everything on which the features depend.
    fn key(&self, pixels: &[f32], shape: [usize; 3]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{} {} {:?} {shape:?} ", self.name, self.digest, self.preprocess));
        pixels.iter().for_each(|x| hash.update(x.to_le_bytes()));
        hex(hash.finalize())
    }

    /// Returns the labels that a classifier predicts from features. The list is empty for Inception-v3.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn labels(&self, features: &Features) -> Result<Vec<usize>> {
        let Net::Classifier(net, _) = &self.net else { return Ok(Vec::new()) };
        let mut labels = Vec::new();
        for some in features.numbers.chunks(BATCH * self.width) {
            let x = Var::constant(Tensor::new(some, [some.len() / self.width, self.width]).upload(&self.device));
            let predicted = no_grad(|| net.logits_from_features(&x, &ForwardContext::eval()).value().argmax(1));
            labels.extend(block_on(predicted.read())?.iter().map(|&label| label as usize));
        }
        Ok(labels)
    }

    /// Returns the number of labels of a classifier, or `None` if its labels are not those of the images in `config`.
    pub(super) fn classes_of(&self, config: &Config) -> Option<usize> {
        let Net::Classifier(_, theirs) = &self.net else { return None };
        let same = theirs.data.kind == config.data.kind || [&**theirs, config].iter().all(|c| is_digits(c.data.kind));
        Some(theirs.classes()).filter(|&classes| same && classes == config.classes() && classes > 1)
    }
}

fn is_digits(kind: DataKind) -> bool {
    matches!(kind, DataKind::Digits | DataKind::Mnist)
}

/// Features as a module, to save and load them.
struct CachedFeatures(Buffer);

impl Module for CachedFeatures {
    fn visit(&self, v: &mut Visitor) {
        v.child("features", &self.0);
    }
}

#[cfg(test)]
mod tests {
    use vae_core::{data::digits, distributed::threads};

    use super::*;
    use crate::two_stage::accuracy;

    /// Any error in the preprocessing would lower the accuracy.
    #[test]
    fn the_built_in_classifier_recognises_the_built_in_digits() {
        let extractor = Extractor::of_digits(&Device::Cpu).unwrap();
        let [split, ..] = digits::splits(1).unwrap();
        let mut bytes = vec![0; 784];
        let pixels: Vec<f32> = (0..256)
            .flat_map(|place| {
                split.read(place, &mut bytes).unwrap();
                bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect::<Vec<_>>()
            })
            .collect();
        let labels = split.labels(&(0..256).collect::<Vec<_>>());
        let share = |pixels: &[f32], shape| {
            accuracy(
                &extractor.labels(&extractor.features(&threads::alone(), pixels, shape).unwrap()).unwrap(),
                &labels,
            )
        };
        assert!(share(&pixels, [1, 28, 28]) >= 0.98);
        let colour: Vec<f32> = pixels.chunks_exact(784).flat_map(|plane| plane.repeat(3)).collect();
        assert!(share(&colour, [3, 28, 28]) >= 0.98);
        let known = |kind| {
            let config =
                Config { data: vae_core::config::Data { kind, ..Config::default().data }, ..Config::default() };
            extractor.classes_of(&config)
        };
        assert_eq!(
            (known(DataKind::Digits), known(DataKind::Mnist), known(DataKind::Cifar10)),
            (Some(10), Some(10), None)
        );
        assert_eq!(extractor.words(), format!("{} features of digits-classifier at 32 px", extractor.width));
    }

    #[test]
    fn a_classifier_of_one_label_classifies_nothing() {
        let mut config = Config::default();
        let mut classes = |classes: usize| {
            (config.data.classes, config.model.width) = (Some(classes), 1);
            let net = Classifier::new(&mut Generator::new(0), &config);
            let net = Net::Classifier(Box::new(net), Box::new(config.clone()));
            let preprocess = Preprocess { channels: 1, size: None, mean: vec![0.0], std: vec![1.0] };
            let [name, digest] = [String::new(), String::new()];
            Extractor { name, width: 8, net, preprocess, digest, device: Device::Cpu }.classes_of(&config)
        };
        assert_eq!([2, 1].map(&mut classes), [Some(2), None]);
    }

    /// The images that the built-in classifier learnt from may be missing, but it is a classifier.
    #[test]
    fn a_checkpoint_of_a_classifier_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.safetensors");
        std::fs::write(&file, DIGITS).unwrap();
        let run = crate::latents::tests::untrained(&[]);
        let options = Options { images: 1, extractor: Some(file), inception: None, ..Options::default() };
        let error = Extractor::classifier(&run, &options).err().map(|error| error.to_string());
        assert!(error.as_ref().is_none_or(|error| !error.contains("--extractor needs a classifier")), "{error:?}");
    }

    /// A cache cannot be written where a file has the name of its folder.
    #[test]
    fn a_cache_that_cannot_be_written_is_warned_of_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cache"), b"in the way").unwrap();
        let mut run = crate::latents::tests::untrained(&[]);
        run.path = folder.path().into();
        let extractor = Extractor::of_digits(&Device::Cpu).unwrap();
        let mut warnings = Vec::new();
        for _ in 0..2 {
            extractor.cached_features(&run, &[0.5; 64], [1, 8, 8], &mut warnings).unwrap();
        }
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

    #[test]
    fn the_key_of_the_cache_changes_with_the_images() {
        let extractor = Extractor::of_digits(&Device::Cpu).unwrap();
        let key = |pixel: f32, shape| extractor.key(&[pixel; 64], shape);
        assert_eq!((key(0.5, [1, 8, 8]).len(), key(0.5, [1, 8, 8])), (64, key(0.5, [1, 8, 8])));
        assert!(key(0.5, [1, 8, 8]) != key(0.25, [1, 8, 8]) && key(0.5, [1, 8, 8]) != key(0.5, [1, 4, 16]));
    }
}
