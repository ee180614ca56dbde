//! What looks at images for a score: a network with a name, and how images are brought before it.
//!
//! ```text
//! pixels in [0, 1] → its channels: grey repeated, colour by luma 0.299 R + 0.587 G + 0.114 B
//!                  → its size: 28 to at most 32 by a black border, else bilinear, as `data::Transform` does
//!                  → its range: (x − mean)/std of each channel
//!                  → features, [images, width]
//! ```
//!
//! A classifier of ours gives its globally pooled features; it is a run's, a checkpoint, or, for digits, the one inside the program.
//! pytorch-fid's Inception-v3 gives 2,048; see `inception`. What was seen in real images is kept in the folder of the run, as
//! `cache/features-KEY.safetensors`, KEY being a SHA-256 of the pixels, of the network's file and of how images are brought
//! before it: other data, another extractor or another resize are another key.

use std::path::Path;

use autograd::{Buffer, Var, no_grad};
use nn::{ForwardContext, Module, Visitor};
use pollster::block_on;
use sha2::{Digest, Sha256};
use tensor::{Device, Generator, Interpolation, Tensor};
use vae_core::config::{Config, DataKind, ModelKind, Normalise};
use vae_core::luma::LUMA;
use vae_core::model::Classifier;
use vae_core::{Error, Result};
use vae_run::Folder;
use vae_run::LoadedRun;
use vae_run::checkpoint;
use vae_run::checkpoint_of;
use vae_run::export;

use super::Options;
use super::frechet::Features;
use super::inception::{self, Inception};

/// A classifier of digits, and the mean and deviation of the pixels that it was trained on: MNIST's first 50,000 at 32 × 32.
const DIGITS: &[u8] = include_bytes!("../weights/digits-classifier.safetensors");
const DIGITS_NAME: &str = "digits-classifier";
const DIGITS_MOMENTS: [f64; 2] = [0.100_267_237_362_132_35, 0.275_574_759_975_600_8];
/// Images that are looked at together.
const BATCH: usize = 64;

/// A network that looks at images.
pub(super) struct Extractor {
    /// What it is called: who compares distances compares those of one name only.
    pub(super) name: String,
    /// Features of an image.
    pub(super) width: usize,
    net: Net,
    preprocess: Preprocess,
    /// Of the file that it was read from.
    digest: String,
    device: Device,
}

enum Net {
    Classifier(Box<Classifier>, Box<Config>),
    Inception(Inception),
}

/// How images are brought before a network.
#[derive(Clone, Debug, PartialEq)]
struct Preprocess {
    channels: usize,
    /// None: the network takes any.
    size: Option<usize>,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Extractor {
    /// The classifier that the options name, else the one for digits if these are digits. None if there is none.
    ///
    /// # Errors
    /// If the file is no classifier's, or the images that it was trained on are wanted for their mean and are not there.
    pub(super) fn classifier(run: &LoadedRun, options: &Options) -> Result<Option<Extractor>> {
        let (config, device) = (&run.predictor.config, run.predictor.device());
        if let Some(place) = &options.extractor {
            let file = checkpoint_of(place)?;
            let theirs = export::config(&file)?;
            if theirs.model.kind != ModelKind::Classifier {
                let what = format!(
                    "is a model of kind \"{}\": --extractor needs a classifier's run or checkpoint, such as the one that \
                     train --recipe mnist-classifier writes",
                    theirs.model.kind
                );
                return Err(Error::file(place, what));
            }
            let bytes = checkpoint::file(&file)?.0;
            let name =
                place.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            let preprocess = Preprocess::of(&theirs, &config.data.dir)?;
            let name = name.unwrap_or_else(|| place.display().to_string());
            return Extractor::of_classifier(name, &bytes, &file, theirs, preprocess, device).map(Some);
        }
        if !is_digits(config.data.kind) {
            return Ok(None);
        }
        Extractor::of_digits(device).map(Some)
    }

    /// The classifier inside the program.
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
        let net = Classifier::new(&mut Generator::new(0), &config); // weights that are replaced
        checkpoint::fill(&net, bytes, path)?;
        nn::upload(&net, device);
        let net = Net::Classifier(Box::new(net), Box::new(config.clone()));
        let (width, digest) = (8 * config.model.width, hexadecimal(&Sha256::digest(bytes)));
        Ok(Extractor { name, width, net, preprocess, digest, device: device.clone() })
    }

    /// pytorch-fid's Inception-v3, its weights as safetensors. What is in the file besides, such as `fc.weight`, is not needed.
    ///
    /// # Errors
    /// If the file cannot be read, or lacks one of its tensors.
    pub(super) fn inception(file: &Path, device: &Device) -> Result<Extractor> {
        let bytes = checkpoint::file(file)?.0;
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
        Ok(Extractor {
            name,
            width,
            net,
            preprocess,
            digest: hexadecimal(&Sha256::digest(&bytes)),
            device: device.clone(),
        })
    }

    /// What is compared, in words.
    pub(super) fn words(&self) -> String {
        let size = self.preprocess.size.unwrap_or(inception::SIZE);
        format!("{} features of {} at {size} px", self.width, self.name)
    }

    /// What it sees in images of this shape, whose pixels are in [0, 1].
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn features(&self, pixels: &[f32], shape: [usize; 3]) -> Result<Features> {
        let mut numbers = Vec::new();
        for some in pixels.chunks(BATCH * shape.iter().product::<usize>()) {
            let x = Var::constant(self.preprocess.bring(some, shape).upload(&self.device));
            let seen = no_grad(|| match &self.net {
                Net::Classifier(net, _) => net.features(&x, &ForwardContext::eval()),
                Net::Inception(net) => net.features(&x),
            });
            numbers.extend(block_on(seen.value().read())?);
        }
        Ok(Features { width: self.width, numbers })
    }

    /// The same of real images: from the run's cache, if they were looked at before.
    ///
    /// # Errors
    /// If the device fails, or the cache cannot be written.
    pub(super) fn kept_features(&self, run: &LoadedRun, pixels: &[f32], shape: [usize; 3]) -> Result<Features> {
        let name = format!("cache/features-{}.safetensors", self.key(pixels, shape));
        let images = pixels.len() / shape.iter().product::<usize>();
        let kept = Kept(Buffer::new(Tensor::zeros([images, self.width])));
        let bytes = std::fs::read(run.path.join(&name)).ok();
        // A file that is damaged is as good as none.
        if bytes.is_some_and(|bytes| block_on(nn::state::load(&kept, &bytes)).is_ok()) {
            return Ok(Features { width: self.width, numbers: kept.0.value().data().to_vec() });
        }
        let seen = self.features(pixels, shape)?;
        kept.0.set(Tensor::new(&seen.numbers, [images, self.width]));
        if let Ok(bytes) = block_on(nn::state::save(&kept, None)) {
            Folder::of_run(&run.path).write(&name, &bytes)?;
        }
        Ok(seen)
    }

    fn key(&self, pixels: &[f32], shape: [usize; 3]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{} {} {:?} {shape:?} ", self.name, self.digest, self.preprocess));
        pixels.iter().for_each(|x| hash.update(x.to_le_bytes()));
        hexadecimal(&hash.finalize())
    }

    /// The labels that a classifier gives images with these features. Inception-v3 gives none.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn labels(&self, features: &Features) -> Result<Vec<usize>> {
        let Net::Classifier(net, _) = &self.net else { return Ok(Vec::new()) };
        let mut labels = Vec::new();
        for some in features.numbers.chunks(BATCH * self.width) {
            let x = Var::constant(Tensor::new(some, [some.len() / self.width, self.width]).upload(&self.device));
            let named = no_grad(|| net.logits_from_features(&x, &ForwardContext::eval()).value().argmax(1));
            labels.extend(block_on(named.read())?.iter().map(|&label| label as usize));
        }
        Ok(labels)
    }

    /// How many labels it knows, if they are those of these images.
    pub(super) fn classes_of(&self, config: &Config) -> Option<usize> {
        let Net::Classifier(_, theirs) = &self.net else { return None };
        let same = theirs.data.kind == config.data.kind || [&**theirs, config].iter().all(|c| is_digits(c.data.kind));
        Some(theirs.classes()).filter(|&classes| same && classes == config.classes() && classes > 1)
    }
}

fn is_digits(kind: DataKind) -> bool {
    matches!(kind, DataKind::Digits | DataKind::Mnist)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Preprocess {
    /// Of a classifier of this configuration; `standard` measures the images that it was trained on, in this folder.
    fn of(config: &Config, data_dir: &str) -> Result<Preprocess> {
        let (channels, size) = (config.channels(), Some(config.image_size()));
        let (mean, std) = match config.data.normalise {
            Normalise::Unit => (vec![0.0; channels], vec![1.0; channels]),
            Normalise::Symmetric => (vec![0.5; channels], vec![0.5; channels]),
            Normalise::Standard => {
                let mut config = config.clone();
                config.data.dir = data_dir.to_owned();
                let transform = vae_data::load(&config)?.transform;
                (transform.mean, transform.std)
            }
        };
        Ok(Preprocess { channels, size, mean, std })
    }

    /// Images of this shape, whose pixels are in [0, 1], as the network sees them: `[images, channels, size, size]`.
    fn bring(&self, pixels: &[f32], [channels, height, width]: [usize; 3]) -> Tensor {
        let images = pixels.len() / (channels * height * width);
        let x = Tensor::new(pixels, [images, channels, height, width]);
        let x = match (channels, self.channels) {
            (from, to) if from == to => x,
            (1, to) => x.expand([images, to, height, width]),
            _ => x.mul(&Tensor::new(&LUMA.map(|weight| weight as f32), [1, 3, 1, 1])).sum(&[1], true),
        };
        let x = match self.size {
            Some(size @ 28..=32) if [height, width] == [28; 2] => bordered(&x, size),
            Some(size) if [height, width] != [size; 2] => {
                x.interpolate([size; 2], Interpolation::Bilinear { align_corners: false })
            }
            _ => x,
        };
        let each = |numbers: &[f64]| {
            let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
            Tensor::new(&numbers, [1, self.channels, 1, 1])
        };
        x.sub(&each(&self.mean)).div(&each(&self.std))
    }
}

/// Square images in the middle of black ones of this side.
fn bordered(x: &Tensor, size: usize) -> Tensor {
    let [images, channels, side, _] = x.shape().nchw("images");
    let border = (size - side) / 2;
    let mut out = Tensor::zeros([images, channels, size, size]);
    for (plane, out) in x.data().chunks_exact(side * side).zip(out.data_mut().chunks_exact_mut(size * size)) {
        for (row, line) in plane.chunks_exact(side).enumerate() {
            out[(row + border) * size + border..][..side].copy_from_slice(line);
        }
    }
    out
}

/// What was seen, on its way into a file and out again.
struct Kept(Buffer);

impl Module for Kept {
    fn visit(&self, v: &mut Visitor) {
        v.buffer("features", &self.0);
    }
}

#[cfg(test)]
mod tests {
    use vae_core::data::digits;

    use super::*;
    use crate::two_stage::accuracy;

    /// Whatever is wrong with the preprocess, the classifier names digits worse for it.
    #[test]
    fn the_classifier_inside_knows_the_digits_inside() {
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
            accuracy(&extractor.labels(&extractor.features(pixels, shape).unwrap()).unwrap(), &labels)
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
    }

    #[test]
    fn images_are_brought_to_channels_size_and_range() {
        let preprocess =
            |channels, size| Preprocess { channels, size, mean: vec![0.5; channels], std: vec![0.25; channels] };
        let grey = preprocess(1, Some(32)).bring(&[1.0; 784], [1, 28, 28]);
        assert_eq!((**grey.shape() == [1, 1, 32, 32], grey.data()[65], grey.data()[66]), (true, -2.0, 2.0));
        let colour = preprocess(3, Some(16)).bring(&[0.75; 64], [1, 8, 8]);
        assert_eq!((&colour.shape()[..], colour.data()), (&[1, 3, 16, 16][..], &[1.0; 768][..]));
        let red = [[1.0; 4], [0.0; 4], [0.0; 4]].concat();
        let luma = preprocess(1, None).bring(&red, [3, 2, 2]);
        assert!(luma.data().iter().all(|x| (x - 4.0 * (0.299 - 0.5)).abs() < 1e-6), "{:?}", luma.data());
    }
}
