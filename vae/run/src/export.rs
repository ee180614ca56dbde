//! Exports weights for PyTorch: the model of a run, its encoder or its decoder, as a safetensors file.
//! `safetensors.torch.load_file` reads the file, and `load_state_dict` accepts it with `strict=True`.
//!
//! ```text
//! model     encoder.conv1.weight, … decoder.conv1.bias           the same names as in a checkpoint
//! encoder   conv1.weight, bn1.running_mean, … mu.bias            without "encoder.": torchvision's names, and the heads
//! decoder   linear.weight, layer4.0.conv1.weight, … conv1.bias   without "decoder."
//! ```
//!
//! A classifier has torchvision's names already. Its encoder is everything except `fc`. The tensors are f32. Each batch
//! norm also has `num_batches_tracked`, an i64 with the value 0. The metadata are:
//!
//! ```text
//! format   "pt", as in PyTorch's own files
//! vae      JSON: {"part": "model", "config": {…}, "data": {"channels": 1, "image_size": 32, "mean": [0.0], "std": [1.0], …}}
//! ```
//!
//! `config` is the configuration without paths, and `data` the [`DatasetRecord`]: with both, another program can convert
//! pixels to model input and model output to pixels. The keys `data.classes` and `model.widths` have their values even where
//! they follow from other keys, so that the reader needs no defaults. [`pytorch`] is such a program.

pub mod pytorch;

use std::path::Path;

use autograd::{Buffer, Var, no_grad};
use nn::{ForwardContext, Module, Slot, Visitor};
use pollster::block_on;
use serde_json::json;
use tensor::{Generator, Tensor};
use vae_core::config::{Binarise, Config, ModelKind};
use vae_core::data::{Images, Split, Transform};
use vae_core::learn::{self, Batch};
use vae_core::model::{Classifier, Vq};
use vae_core::objective::{Objective, ScheduleContext};
use vae_core::{Error, Result};

use crate::checkpoint;
use crate::dataset_record::DatasetRecord;

/// The key of our metadata.
const KEY: &str = "vae";

/// The part of a model that is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The encoder, with its heads.
    Encoder,
    /// The decoder.
    Decoder,
    /// The whole model.
    Model,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Encoder => "encoder",
            Part::Decoder => "decoder",
            Part::Model => "model",
        }
    }
}

/// Returns the configuration in a checkpoint, and the description of the images. Checkpoints of older versions do not have
/// the latter.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a checkpoint, or is too small for the model that it describes.
pub fn contents(file: &Path) -> Result<(Config, Option<DatasetRecord>)> {
    let (bytes, meta) = checkpoint::read_with_meta(file)?;
    let meta =
        meta.ok_or_else(|| Error::file(file, "has no metadata about its run; name a checkpoint that train wrote"))?;
    let config = meta
        .config(file)
        .and_then(|config| config.check().map(|()| config))
        .map_err(|error| Error::file(file, format!("the configuration in its metadata cannot be read: {error}")))?;
    // The metadata are not trusted: a damaged configuration must not build a huge model. The estimate is rough, so a
    // model of three times the size of the file is still accepted.
    let ([claimed, _], held) = (config.weight_and_image_bytes(), bytes.len() as f64);
    if is_too_large(claimed, held, 1e7) {
        let megabytes = |bytes: f64| (bytes / 1e6).ceil();
        return Err(Error::file(
            file,
            format!(
                "describes a model of {} MB but contains {} MB, so it is damaged",
                megabytes(claimed),
                megabytes(held)
            ),
        ));
    }
    Ok((config, meta.data().cloned()))
}

/// Returns whether the size of a model that metadata describe is implausible for a file of `held` bytes.
pub(crate) fn is_too_large(claimed: f64, held: f64, slack: f64) -> bool {
    claimed > 3.0 * held + slack
}

/// Returns a part of the model in a checkpoint as the bytes of a safetensors file. `config` and `data` are those of
/// [`contents`].
///
/// # Errors
/// Returns an error if the checkpoint does not match the configuration, or if the model has no such part.
pub fn part(config: &Config, data: Option<&DatasetRecord>, file: &Path, part: Part) -> Result<Vec<u8>> {
    if part == Part::Decoder && config.model.kind == ModelKind::Classifier {
        return Err(Error::config("--part decoder: model.kind = \"classifier\" has no decoder; use encoder or model"));
    }
    let model = learn::build(config);
    checkpoint::load(&*model, file)?;
    let metadata = json!({ "part": part.name(), "config": complete(config), "data": data }).to_string();
    encode(&ModelPart { model: &*model, part }, &metadata)
}

/// Sets the keys of the model whose values follow from other keys.
fn complete(config: &Config) -> Config {
    let mut config = config.clone();
    config.data.classes = Some(config.classes()).filter(|&classes| classes > 0);
    if matches!(config.model.body(), ModelKind::Basic | ModelKind::Conv3) {
        config.model.widths = config.model.conv_widths().to_vec();
    }
    config
}

/// Returns example inputs and outputs of the model in a checkpoint, as the bytes of a safetensors file. PyTorch code
/// can compare its own outputs with them. `config` and `data` are those of [`contents`].
///
/// The model is in evaluation mode. The file contains:
///
/// - `images`, four images of random pixels in [0, 1], from dark to bright, or black and white for `data.binarise`, and
///   `x`, the model input for them,
/// - for a VAE, `mu` and `logvar`, and `xhat`, decoded from random latents `z`, before the output activation,
/// - for a `vq` or `fsq` model, `maps`, their codes, `quantised`, and `xhat`, decoded from `quantised`,
/// - for a classifier, `logits`,
/// - for a conditional model, `labels`, the label of each image and of each row of `z`,
/// - for all but a classifier, `pixels` in [0, 1], for `xhat`.
///
/// If `data` is `None`, there are no `images` and no `pixels`.
///
/// # Errors
/// Returns an error if the checkpoint does not match the configuration, or if the images are too large for an example.
pub fn example_outputs(config: &Config, data: Option<&DatasetRecord>, file: &Path) -> Result<Vec<u8>> {
    const COUNT: usize = 4;
    let [_, image] = config.weight_and_image_bytes();
    if image > 1e9 {
        let (size, gigabytes) = (config.image_size(), (4e-9 * image).ceil());
        return Err(Error::config(format!(
            "--check: four images of data.image_size = {size} need about {gigabytes} GB; leave it out"
        )));
    }
    let (mut rng, ctx, [channels, size]) =
        (Generator::new(0), ForwardContext::eval(), [config.channels(), config.image_size()]);
    let transform = match data {
        Some(data) => data.transform(config).map_err(|what| Error::file(file, what))?,
        None => Transform::from_moments(size, vec![0.0; channels], vec![1.0; channels]).expect("0 and 1"),
    };
    let pixels = channels * size * size;
    let mut bytes: Vec<u8> = (0..COUNT * pixels).map(|i| rng.below(64 * (1 + i / pixels)) as u8).collect();
    if config.data.binarise != Binarise::None {
        bytes.iter_mut().for_each(|byte| *byte = if byte.is_multiple_of(2) { 0 } else { 255 }); // which a draw does not change
    }
    let mut images = Tensor::zeros([COUNT, channels, size, size]);
    images.data_mut().iter_mut().zip(&bytes).for_each(|(pixel, &byte)| *pixel = f32::from(byte) / 255.0);
    let split = Split::all(Images::new(bytes, vec![0; COUNT], channels, [size, size]));
    let input = transform.batch(&split, &split.first(COUNT))?;
    let (x, any) = (Var::constant(input.clone()), &mut Generator::new(0)); // initial weights, which are replaced
    let mut tensors = vec![("images", images), ("x", input)];
    let xhat = no_grad(|| -> Result<Option<Var>> {
        Ok(match config.model.kind {
            ModelKind::Classifier => {
                let model = Classifier::new(any, config);
                checkpoint::load(&model, file)?;
                tensors.push(("logits", model.logits(&x, &ctx).value().clone()));
                None
            }
            ModelKind::Vq | ModelKind::Fsq => {
                let loaded = VqParts { model: Vq::new(any, config), objective: Objective::new(config) };
                checkpoint::load(&loaded, file)?;
                let model = loaded.model;
                let maps = model.encode(&x, &ctx);
                let quantised = model.quantise(&maps, &ctx).codes;
                tensors.extend([("maps", maps.value().clone()), ("quantised", quantised.value().clone())]);
                Some(model.decode(&quantised, &ctx))
            }
            _ => {
                let model = learn::build(config);
                checkpoint::load(&*model, file)?;
                let classes = config.condition_classes();
                let labels: Vec<usize> = (0..COUNT).map(|_| rng.below(classes.max(1))).collect();
                if classes > 0 {
                    let numbers: Vec<f32> = labels.iter().map(|&label| label as f32).collect();
                    tensors.push(("labels", Tensor::new(&numbers, [COUNT])));
                }
                let z = Var::constant(rng.normal_tensor([COUNT, config.model.z_dim]));
                let context = ScheduleContext { epochs: 0.0, images: COUNT };
                let batch = Batch::of_step(x.value().clone(), labels.clone(), context, 0, 0);
                let [mu, logvar] = model.encode(&batch).expect("a VAE encodes");
                tensors.extend(
                    [("z", &z), ("mu", &mu), ("logvar", &logvar)].map(|(name, var)| (name, var.value().clone())),
                );
                model.sample(&z, &labels)
            }
        })
    })?;
    if let Some(xhat) = xhat {
        let mut pixels = no_grad(|| config.model.output.apply(&xhat)).value().clone();
        transform.to_unit(pixels.data_mut());
        tensors.extend([("xhat", xhat.value().clone()), ("pixels", pixels)]);
    }
    tensors.retain(|(name, _)| data.is_some() || !["images", "pixels"].contains(name));
    let tensors = Tensors(tensors.into_iter().map(|(name, tensor)| (name, Buffer::new(tensor))).collect());
    encode(&tensors, &json!({ "part": "check", "config": complete(config) }).to_string())
}

/// Returns the tensors of a module as the bytes of a safetensors file with PyTorch's metadata and these.
fn encode(module: &dyn Module, metadata: &str) -> Result<Vec<u8>> {
    block_on(nn::state::save(module, &[("format", "pt"), (KEY, metadata)])).map_err(|error| match error {
        nn::state::StateError::Device(error) => Error::Device(error),
        error => unreachable!("a model in memory is whole: {error}"),
    })
}

/// A `vq` model with the tensor of its likelihood, as a checkpoint has them.
struct VqParts {
    model: Vq,
    objective: Objective,
}
nn::module!(VqParts { ..model, ..objective });

/// A part of a model, with the names that the part has on its own.
struct ModelPart<'a> {
    model: &'a dyn Module,
    part: Part,
}

impl ModelPart<'_> {
    /// Returns the name of a tensor in the part, or `None` if the tensor is not in the part.
    fn name<'n>(&self, path: &'n str) -> Option<&'n str> {
        match (self.part, path.split_once('.')) {
            // Only training needs it.
            (_, Some(("discriminator", _))) => None,
            (Part::Model, _) => Some(path),
            // The latents of both are counted from the centre of a label.
            (_, Some(("subspace", _))) => Some(path),
            (Part::Encoder, Some(("encoder", rest))) | (Part::Decoder, Some(("decoder", rest))) => Some(rest),
            (Part::Encoder, Some(("decoder" | "codebook" | "prior" | "fc", _))) | (Part::Decoder, _) => None,
            (Part::Encoder, _) => Some(path), // a classifier has no prefix
        }
    }
}

impl Module for ModelPart<'_> {
    fn visit(&self, v: &mut Visitor) {
        nn::visit(self.model, |path, slot| match (self.name(path), slot) {
            (Some(name), Slot::Param(param)) => v.child(name, param),
            (Some(name), Slot::Buffer(buffer)) => v.child(name, buffer),
            (None, _) => {}
        });
    }
}

/// Named tensors.
struct Tensors(Vec<(&'static str, Buffer)>);

impl Module for Tensors {
    fn visit(&self, v: &mut Visitor) {
        self.0.iter().for_each(|(name, tensor)| v.child(name, tensor));
    }
}

#[cfg(test)]
mod tests;
