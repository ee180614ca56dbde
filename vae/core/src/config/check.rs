//! Rejects configurations that cannot be trained, before any tensor is allocated. Each message states the rule and what
//! to change.

use super::{
    Augment, Binarise, Config, DataKind, DeviceChoice, KlScheduleKind, Loss, LossKind, ModelKind, NoiseTarget,
    Normalise, Output, PADDING, Precision, Reconstruction, SHAPES_IMAGES, SHAPES_MAX, SHAPES_ROTATIONS, SplitBy,
};
use crate::error::{Error, Result};

impl Config {
    /// Checks every rule that does not depend on the files of the data set.
    ///
    /// # Errors
    /// If a rule is violated. The message names the key and a valid value.
    pub fn check(&self) -> Result<()> {
        self.check_name()?;
        self.check_loss()?; // before the output, because the loss restricts it
        self.check_model()?;
        self.check_kind()?;
        self.check_data()?;
        self.check_training()?;
        self.prior.check()?;
        self.check_model_prior()?;
        self.train_images().map_or(Ok(()), |images| self.check_last_batch(images))
    }

    fn check_name(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let ok = !self.name.is_empty()
            && self.name.len() <= 64
            && !self.name.starts_with('.')
            && self.name.chars().all(plain);
        rule(ok, || {
            format!(
                "name = {:?}: it is the name of a folder; use only letters, digits, - _ and ., at most 64",
                self.name
            )
        })
    }

    fn check_model(&self) -> Result<()> {
        let model = &self.model;
        for (key, size, needs) in [
            ("z_dim", model.z_dim, "a latent needs at least one dimension"),
            ("width", model.width, "a stage needs at least one channel"),
            ("hidden", model.hidden, "a hidden layer needs at least one feature"),
            ("layers", model.layers, "there must be at least one hidden layer"),
        ] {
            rule(size >= 1, || format!("model.{key} = 0: {needs}"))?;
        }
        rule(model.widths.len() <= 12 && model.widths.iter().all(|&width| width >= 1), || {
            format!("model.widths = {:?}: give at most 12 convolutions with at least one channel each", model.widths)
        })?;
        let slope = model.slope as f32; // the kernels compute with f32
        rule(slope.is_finite() && slope > 0.0, || {
            format!("model.slope = {}: it must be a number above 0, such as 0.2", model.slope)
        })?;
        let (size, multiple) = (self.image_size(), model.divisor());
        rule(size > 0 && size.is_multiple_of(multiple), || {
            let halved = match model.body() {
                ModelKind::Resnet18 | ModelKind::Resnet50 => format!(" with model.stem = \"{}\"", model.stem),
                ModelKind::Basic | ModelKind::Conv3 => format!(" with {} convolutions", model.conv_widths().len()),
                ModelKind::Ladder => format!(" with {} sizes of maps", model.groups.len()),
                _ => String::new(),
            };
            format!(
                "data.image_size = {size}: {}{halved} needs a multiple of {multiple}; the next one is {}",
                model.kind,
                size.div_ceil(multiple).max(1) * multiple
            )
        })?;
        rule(model.body() != ModelKind::Alexnet || size >= 64, || {
            format!(
                "data.image_size = {size}: alexnet reduces an image below one pixel unless it has 64 or more; set 64"
            )
        })?;
        let (crop, kind) = (self.crop(), self.data.kind);
        rule(self.data.crop.is_none() || kind.crop().is_some(), || {
            format!("data.crop = {crop}: {kind} cannot be cropped; only celeba, chairs and folder can")
        })?;
        let channels = self.channels();
        rule(channels == 1 || channels == 3, || {
            format!("data.channels = {channels}: it must be 1 (grey) or 3 (colour)")
        })?;
        let (wanted, pixels) = match self.model.output {
            Output::Linear => return Ok(()),
            Output::Sigmoid => (Normalise::Unit, "[0, 1]"),
            Output::Tanh => (Normalise::Symmetric, "[−1, 1]"),
        };
        rule(self.data.normalise == wanted, || {
            format!(
                "model.output = \"{}\" produces pixels in {pixels}, but data.normalise = \"{}\": \
                 set data.normalise = \"{wanted}\", or model.output = \"linear\"",
                self.model.output, self.data.normalise
            )
        })
    }

    /// Rules for keys that only some kinds of model support.
    fn check_kind(&self) -> Result<()> {
        let (model, kind) = (&self.model, self.model.kind);
        rule(model.is_vae() || self.loss.kind == LossKind::Beta, || {
            format!(
                "loss.kind = \"{}\" is for models with a posterior, and model.kind = \"{kind}\" has none; leave it at \"beta\"",
                self.loss.kind
            )
        })?;
        rule(model.is_vae() || self.loss.schedule == KlScheduleKind::Constant, || {
            format!(
                "loss.schedule = \"{}\" changes the weight of the KL, and model.kind = \"{kind}\" has no KL; leave it at \"constant\"",
                self.loss.schedule
            )
        })?;
        rule(model.is_vae() || !model.conditional, || {
            format!(
                "model.conditional gives labels to a VAE, and model.kind = \"{kind}\" is not a VAE; set it to false"
            )
        })?;
        let labels = match kind {
            ModelKind::Classifier => Some("model.kind = \"classifier\" predicts"),
            _ => model.conditional.then_some("model.conditional uses"),
        };
        if let Some(labels) = labels {
            let (data, classes) = (self.data.kind, self.classes());
            rule(classes != 0, || {
                format!(
                    "{labels} labels, but only the files say how many labels data.kind = \"{data}\" has; set data.classes"
                )
            })?;
            rule(classes != 1, || {
                format!(
                    "{labels} labels, but all images of data.kind = \"{data}\" have the same label; choose other data or another model"
                )
            })?;
        }
        rule(kind != ModelKind::Classifier || self.data.noise_target == NoiseTarget::Noisy, || {
            "data.noise_target = \"clean\" is for models that reconstruct images, and model.kind = \"classifier\" does not; \
             leave it at \"noisy\""
                .into()
        })?;
        let transfers = [
            ("init_encoder", !model.init_encoder.is_empty()),
            ("freeze_encoder", model.freeze_encoder),
            ("freeze_heads", model.freeze_heads),
        ];
        for (key, wanted) in transfers {
            rule(!wanted || kind != ModelKind::Classifier, || {
                format!(
                    "model.{key} is for models that contain an encoder, and model.kind = \"{kind}\" is an encoder itself; leave it out"
                )
            })?;
        }
        rule(!model.freeze_heads || model.freeze_encoder, || {
            "model.freeze_heads freezes the heads of a frozen encoder; set model.freeze_encoder = true too".into()
        })?;
        rule(model.init.is_empty() || model.init_encoder.is_empty(), || {
            "model.init and model.init_encoder both set the encoder's weights; leave one of them out".into()
        })?;
        self.check_codes()?;
        self.check_ladder()
    }

    fn check_loss(&self) -> Result<()> {
        let Loss { beta, k1, k2, alpha, gamma, commitment, .. } = self.loss;
        for (key, weight, term) in [
            ("beta", beta, "KL"),
            ("k1", k1, "reconstruction"),
            ("k2", k2, "KL"),
            ("alpha", alpha, "MI"),
            ("gamma", gamma, "DW-KL"),
            ("commitment", commitment, "commitment"),
        ] {
            rule(weight.is_finite() && weight >= 0.0, || {
                format!("loss.{key} = {weight}: the weight of the {term} term must be 0 or more")
            })?;
        }
        let weighted = self.loss.kind == LossKind::Weighted;
        rule(!weighted || k1 > 0.0 || k2 > 0.0, || "loss.k1 = 0 and loss.k2 = 0: one of them must be above 0".into())?;
        rule(!weighted || beta == 1.0, || {
            format!(
                "loss.beta = {beta}: the KL of loss.kind = \"weighted\" has the weight loss.k2; leave loss.beta at 1"
            )
        })?;
        self.check_kl_schedule()?;
        self.check_variance()?;
        self.check_bounds()?;
        self.check_aggregate()?;
        self.check_adversarial()?;
        self.check_unused()?;
        if self.loss.reconstruction == Reconstruction::Bce {
            rule(self.data.normalise == Normalise::Unit, || {
                format!(
                    "loss.reconstruction = \"bce\" needs targets in [0, 1], but data.normalise = \"{}\": \
                     set data.normalise = \"unit\", or another loss.reconstruction, such as \"sse\"",
                    self.data.normalise
                )
            })?;
            rule(self.model.output == Output::Sigmoid, || {
                format!(
                    "loss.reconstruction = \"bce\" needs model.output = \"sigmoid\", not \"{}\": \
                     set it so, or another loss.reconstruction, such as \"sse\"",
                    self.model.output
                )
            })?;
        }
        Ok(())
    }

    fn check_data(&self) -> Result<()> {
        let data = &self.data;
        rule(data.noise_std.is_finite() && data.noise_std >= 0.0, || {
            format!(
                "data.noise_std = {}: it must be 0 (off) or more; 1 is the whole range of brightness",
                data.noise_std
            )
        })?;
        let binary = data.binarise != Binarise::None;
        let refused = |why: &str| format!("data.binarise = \"{}\": {why}", data.binarise);
        rule(!binary || data.normalise == Normalise::Unit, || {
            let range = format!("it needs pixels in [0, 1], but data.normalise = \"{}\"; set \"unit\"", data.normalise);
            refused(&range)
        })?;
        rule(!binary || data.noise_std == 0.0, || {
            refused("noise would make the pixels grey again; leave data.noise_std at 0")
        })?;
        rule(!binary || data.kind != DataKind::BinarizedMnist, || {
            refused("the pixels of data.kind = \"binarized-mnist\" are 0 and 1 already; leave it out")
        })?;
        rule((0.0..=1.0).contains(&data.noise_fraction), || {
            format!("data.noise_fraction = {}: it must be a share of the images from 0 to 1", data.noise_fraction)
        })?;
        let size = self.image_size();
        rule(data.augment != Augment::FlipCrop || size > 2 * PADDING, || {
            format!(
                "data.augment = \"flip-crop\" shifts images by up to {PADDING} pixels: data.image_size = {size} is too small"
            )
        })?;
        rule(data.classes.is_none_or(|classes| (1..=1 << 16).contains(&classes)), || {
            format!("data.classes = {}: it must be 1 to 65536", self.classes())
        })?;
        let kind = data.kind;
        for (key, value, default) in
            [("images", data.images, SHAPES_IMAGES), ("rotations", data.rotations, SHAPES_ROTATIONS)]
        {
            rule(kind == DataKind::Shapes || value == default, || {
                format!(
                    "data.{key} = {value}: only data.kind = \"shapes\" uses it, not \"{kind}\"; data.limit limits other data"
                )
            })?;
        }
        for (key, is_set) in [
            ("split", data.split != SplitBy::Auto),
            ("skip_damaged", data.skip_damaged),
            ("cache", !data.cache.is_empty()),
        ] {
            rule(kind == DataKind::Folder || !is_set, || {
                format!("data.{key} is for the pictures of data.kind = \"folder\", not for \"{kind}\"; leave it out")
            })?;
        }
        rule(data.images == 0 || data.images >= 12, || {
            format!(
                "data.images = {}: at least 12 are needed: ten for training, one for validation, one for testing",
                data.images
            )
        })?;
        rule((1..=360).contains(&data.rotations), || {
            format!("data.rotations = {}: it must be 1 to 360", data.rotations)
        })?;
        let drawn = self.shapes_images();
        rule(kind != DataKind::Shapes || drawn <= SHAPES_MAX, || {
            format!("data.images = {}: that makes {drawn} images; the maximum is {}", data.images, SHAPES_MAX)
        })
    }

    fn check_training(&self) -> Result<()> {
        let train = &self.train;
        rule(train.epochs >= 1, || "train.epochs = 0: it must be at least 1".into())?;
        rule(train.batch_size >= 1, || "train.batch_size = 0: a step needs at least one image".into())?;
        rule((1..=1_000_000).contains(&train.accumulate), || {
            format!("train.accumulate = {}: a step needs 1 to 1000000 batches", train.accumulate)
        })?;
        let (shards, batch) = (train.shards, train.batch_size);
        rule(shards >= 1 && batch.is_multiple_of(shards.max(1)), || {
            let fits = (1..=batch.min(shards)).rev().find(|shards| batch.is_multiple_of(*shards)).unwrap_or(1);
            format!(
                "train.shards = {shards}: the {batch} images of train.batch_size cannot be divided into {shards} equal shards; \
                 set train.shards = {fits}, or another train.batch_size"
            )
        })?;
        rule(shards <= 1 || self.model.kind != ModelKind::Vq, || {
            format!(
                "train.shards = {shards}: the codebook of model.kind = \"vq\" changes within a step, so its shards would not see the same codes; set train.shards = 1, or model.kind = \"fsq\""
            )
        })?;
        rule(!train.sync_batch_norm || self.model.has_batch_norm(), || {
            "train.sync_batch_norm = true: this model has no batch norm; leave it out".into()
        })?;
        rule(!train.sync_batch_norm || self.device != DeviceChoice::Gpu, || {
            "train.sync_batch_norm = true: a GPU cannot do that; set device = \"cpu\"".into()
        })?;
        let body = self.model.body();
        let deep = matches!(body, ModelKind::Resnet18 | ModelKind::Resnet50 | ModelKind::Skip);
        rule(!train.activation_checkpointing || deep, || {
            format!(
                "train.activation_checkpointing = true: only resnet18, resnet50 and skip have blocks to compute again, not {body}; leave it out, and lower train.batch_size with train.accumulate to save memory"
            )
        })?;
        rule(train.precision == Precision::F32 || body != ModelKind::Dense, || {
            "train.precision = \"f16\": it stores feature maps of convolutions, and model.kind = \"dense\" has none; leave it out".into()
        })?;
        let rate = train.learning_rate;
        rule(rate.is_finite() && rate > 0.0, || {
            format!("train.learning_rate = {rate}: it must be a number above 0, such as 0.001")
        })?;
        for (key, memory) in [("beta1", train.beta1), ("beta2", train.beta2)] {
            rule((0.0..1.0).contains(&(memory as f32)), || {
                format!("train.{key} = {memory}: it must be in [0, 1), such as 0.9")
            })?;
        }
        for (key, amount) in [("weight_decay", train.weight_decay), ("clip", train.clip)] {
            rule(amount.is_finite() && amount >= 0.0, || {
                format!("train.{key} = {amount}: it must be 0 (off) or more")
            })?;
        }
        rule((0.0..1.0).contains(&(train.ema as f32)), || {
            format!("train.ema = {}: it must be 0 (off) or below 1, such as 0.999", train.ema)
        })?;
        rule(train.checkpoint_minutes.is_finite() && train.checkpoint_minutes >= 0.0, || {
            format!("train.checkpoint_minutes = {}: it must be 0 (off) or more", train.checkpoint_minutes)
        })?;
        rule(train.plateau_patience >= 1, || "train.plateau_patience = 0: wait for at least one epoch".into())
    }

    /// Checks that batch norm never trains on a single value per channel, which has no variance: with feature maps of
    /// 1×1, a batch, or a shard of it, must have more than one image.
    ///
    /// # Errors
    /// If the last batch or shard of `images` images has only one.
    pub fn check_last_batch(&self, images: usize) -> Result<()> {
        let shards = if self.train.sync_batch_norm { 1 } else { self.train.shards };
        let size = self.train.batch_size / shards;
        // The side of the last feature maps with a norm. The last pool of a VGG has none after it.
        let divisor = self.model.divisor();
        let is_vgg = matches!(self.model.body(), ModelKind::Vgg11 | ModelKind::Vgg16);
        let smallest = self.image_size() / if is_vgg { divisor / 2 } else { divisor };
        let last = if images.is_multiple_of(size) { size.min(images) } else { images % size };
        rule(!self.model.has_batch_norm() || smallest > 1 || last != 1, || {
            let (what, keys) = match shards {
                1 => ("batches", "train.batch_size"),
                _ => ("shards", "train.batch_size, train.shards"),
            };
            format!(
                "with {what} of {size} the last one has only 1 of {images} images, and a batch norm on 1×1 maps \
                 cannot train on one: change {keys} or data.limit, or set model.batch_norm = false"
            )
        })
    }
}

/// Returns a description of the loss, which is printed at the start of a run.
pub fn describe_loss(config: &Config) -> String {
    let (words, reduction) = (config.loss_words(), config.loss.reduction);
    match config.model.kind {
        ModelKind::Classifier => format!("{words}, mean over images"),
        ModelKind::Vq | ModelKind::Fsq => format!("{words}, {reduction} over pixels and codes, mean over images"),
        _ => format!(
            "{words}, {reduction} over pixels and latents, mean over images; \
             effective β = {} (the weight of the KL relative to the reconstruction){}",
            config.effective_beta(),
            config.loss.schedule_words(config.train.epochs)
        ),
    }
}

impl Config {
    /// Returns a description of the terms of the loss and their weights.
    pub fn loss_words(&self) -> String {
        match self.model.kind {
            ModelKind::Classifier => "cross-entropy".into(),
            ModelKind::Vq => format!("{} + {} × commitment", self.loss.reconstruction_words(), self.loss.commitment),
            ModelKind::Fsq => self.loss.reconstruction_words(),
            _ => self.loss.words(),
        }
    }
}

impl Loss {
    /// Returns a description of the terms and their weights.
    pub fn words(&self) -> String {
        let reconstruction = self.reconstruction_words();
        match self.kind {
            LossKind::Beta if self.schedule == KlScheduleKind::Capacity => {
                format!("{reconstruction} + {} × |KL - C|", self.gamma)
            }
            LossKind::Beta => format!("{reconstruction} + {} × KL", self.beta),
            LossKind::Weighted => format!("{} × {reconstruction} + {} × KL", self.k1, self.k2),
            LossKind::Tc => format!(
                "{reconstruction} + {} × MI + {} × TC + {} × DW-KL, estimator {}",
                self.alpha, self.beta, self.gamma, self.estimator
            ),
            LossKind::Dip | LossKind::Mmd | LossKind::Factor | LossKind::Csvae => self.aggregate_words(&reconstruction),
            LossKind::VaeGan | LossKind::SoftIntro => self.adversarial_words(&reconstruction),
            LossKind::Iwae => {
                let mean = if self.bounds > 1 { format!(", mean of {} bounds", self.bounds) } else { String::new() };
                format!("IWAE of {reconstruction}, K = {}{mean}, gradient {}", self.samples, self.gradient)
            }
        }
    }
}

pub(super) fn rule(kept: bool, message: impl FnOnce() -> String) -> Result<()> {
    if kept { Ok(()) } else { Err(Error::config(message())) }
}

#[cfg(test)]
mod tests;
