//! Weights for PyTorch: a run's model, its encoder or its decoder, as safetensors that `safetensors.torch.load_file` reads and
//! `load_state_dict` takes strictly.
//!
//! ```text
//! model     encoder.conv1.weight, … decoder.conv1.bias           the names of our own checkpoints
//! encoder   conv1.weight, bn1.running_mean, … mu.bias            without "encoder.": torchvision's, and the heads
//! decoder   linear.weight, layer4.0.conv1.weight, … conv1.bias   without "decoder."
//! ```
//!
//! A classifier's names are torchvision's as they are; its encoder is all but `fc`. Tensors are f32; each norm also has its
//! counter of batches, `num_batches_tracked`, an i64 that is 0. The metadata are those of PyTorch's own files, `format: pt`.

use std::path::Path;

use autograd::{Buffer, Var, no_grad};
use nn::{ForwardContext, Module, Slot, Visitor};
use pollster::block_on;
use tensor::Generator;
use vae_core::config::{Config, ModelKind};
use vae_core::learn;
use vae_core::model::{self, Classifier, Vq};
use vae_core::{Error, Result};

use crate::checkpoint;

/// What is taken out of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The encoder, with its heads.
    Encoder,
    /// The decoder.
    Decoder,
    /// All of it.
    Model,
}

/// The configuration of the run that a checkpoint is of.
///
/// # Errors
/// If the file cannot be read, is no checkpoint, or cannot hold the model that it tells of.
pub fn config(file: &Path) -> Result<Config> {
    let (bytes, meta) = checkpoint::file(file)?;
    let meta =
        meta.ok_or_else(|| Error::file(file, "has no metadata about its run; name a checkpoint that train wrote"))?;
    let config = meta
        .config(file)
        .and_then(|config| config.check().map(|()| config))
        .map_err(|error| Error::file(file, format!("the configuration in its metadata cannot be read: {error}")))?;
    // Nothing is built by a claim: the estimate is rough, so a model three times the file's size still passes.
    let ([claimed, _], held) = (config.weight_and_image_bytes(), bytes.len() as f64);
    if claimed > 3.0 * held + 1e7 {
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
    Ok(config)
}

/// The bytes of a part of the model in a checkpoint of this configuration.
///
/// # Errors
/// If the checkpoint is not the configuration's, or the model has no such part.
pub fn part(config: &Config, file: &Path, part: Part) -> Result<Vec<u8>> {
    if part == Part::Decoder && config.model.kind == ModelKind::Classifier {
        return Err(Error::config("--part decoder: model.kind = \"classifier\" has no decoder; use encoder or model"));
    }
    let model = learn::build(config);
    checkpoint::load(&*model, file)?;
    saved(&Taken { model: &*model, part })
}

/// Four images `x` of random numbers in [0, 1), and what the model in a checkpoint makes of them in evaluation. Of a VAE:
/// `mu`, `logvar`, and `xhat`, decoded from random latents `z` before the output activation; a conditional one is given
/// its labels' planes and columns in `x` and `z` as random numbers, too. Of a `vq`: `maps`, and `xhat` decoded from them; of a
/// classifier: `logits`.
///
/// # Errors
/// If the checkpoint is not the configuration's, or its images are too large for an example.
pub fn outputs(config: &Config, file: &Path) -> Result<Vec<u8>> {
    let [_, image] = config.weight_and_image_bytes();
    if image > 1e9 {
        let (size, gigabytes) = (config.image_size(), (4e-9 * image).ceil());
        return Err(Error::config(format!(
            "--check: four images of data.image_size = {size} need about {gigabytes} GB; leave it out"
        )));
    }
    let (mut rng, ctx, size) = (Generator::new(0), ForwardContext::eval(), config.image_size());
    let mut images = |channels| rng.uniform_tensor([4, channels, size, size], 0.0, 1.0);
    let any = &mut Generator::new(0); // of weights that are replaced
    let tensors = match config.model.kind {
        ModelKind::Classifier => {
            let (model, x) = (Classifier::new(any, config), images(config.channels()));
            checkpoint::load(&model, file)?;
            let logits = no_grad(|| model.logits(&Var::constant(x.clone()), &ctx));
            vec![("x", x), ("logits", logits.value().clone())]
        }
        ModelKind::Vq => {
            let (model, x) = (Vq::new(any, config), images(config.channels()));
            checkpoint::load(&model, file)?;
            let maps = no_grad(|| model.encode(&Var::constant(x.clone()), &ctx));
            let xhat = no_grad(|| model.decode(&maps, &ctx));
            vec![("x", x), ("maps", maps.value().clone()), ("xhat", xhat.value().clone())]
        }
        _ => {
            let (model, x) = (model::build(config), images(config.encoder_channels()));
            checkpoint::load(&*model, file)?;
            let z = rng.normal_tensor([4, config.decoder_inputs()]);
            let (mu, logvar) = no_grad(|| model.encode(&Var::constant(x.clone()), &ctx));
            let xhat = no_grad(|| model.decode(&Var::constant(z.clone()), &ctx));
            let [mu, logvar, xhat] = [mu, logvar, xhat].map(|var| var.value().clone());
            vec![("x", x), ("z", z), ("mu", mu), ("logvar", logvar), ("xhat", xhat)]
        }
    };
    saved(&Tensors(tensors.into_iter().map(|(name, tensor)| (name, Buffer::new(tensor))).collect()))
}

fn saved(module: &dyn Module) -> Result<Vec<u8>> {
    block_on(nn::state::save(module, Some(("format", "pt")))).map_err(|error| match error {
        nn::state::StateError::Device(error) => Error::Device(error),
        error => unreachable!("a model in memory is whole: {error}"),
    })
}

/// A part of a model under its own names.
struct Taken<'a> {
    model: &'a dyn Module,
    part: Part,
}

impl Taken<'_> {
    /// What a tensor of the model is called in the part, if it is there.
    fn name<'n>(&self, path: &'n str) -> Option<&'n str> {
        match (self.part, path.split_once('.')) {
            (Part::Model, _) => Some(path),
            (Part::Encoder, Some(("encoder", rest))) | (Part::Decoder, Some(("decoder", rest))) => Some(rest),
            (Part::Encoder, Some(("decoder" | "codebook" | "fc", _))) | (Part::Decoder, _) => None,
            (Part::Encoder, _) => Some(path), // a classifier's
        }
    }
}

impl Module for Taken<'_> {
    fn visit(&self, v: &mut Visitor) {
        nn::visit(self.model, |path, slot| match (self.name(path), slot) {
            (Some(name), Slot::Param(param)) => v.param(name, param),
            (Some(name), Slot::Buffer(buffer)) => v.buffer(name, buffer),
            (None, _) => {}
        });
    }
}

/// Tensors with names of their own.
struct Tensors(Vec<(&'static str, Buffer)>);

impl Module for Tensors {
    fn visit(&self, v: &mut Visitor) {
        self.0.iter().for_each(|(name, tensor)| v.buffer(name, tensor));
    }
}
