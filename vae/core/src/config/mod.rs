//! What a run is: every key, its unit and its default. `layers` reads them from recipe, environment and flags; `check`
//! refuses, before any tensor exists, what cannot be trained.

mod check;
mod crop;
mod layers;
mod loss;
mod memory;
mod model;
mod named;
mod sizes;
mod weights;

use serde::{Deserialize, Serialize};

pub use check::describe_loss;
pub use crop::Crop;
pub use layers::Settings;
pub use loss::{Estimator, KlScheduleKind, Loss, LossKind, Reconstruction, Reduction};
pub use model::{DecoderConv, Down, Model, ModelKind, Output, SkipBlock, Stem, Upsampling};
use named::named;
pub(crate) use sizes::{HUES, PLACES, SHAPES};
pub use sizes::{PADDING, SHAPES_IMAGES, SHAPES_MOST, SHAPES_ROTATIONS, split_sizes};

/// A whole run. Everything that decides a run's numbers is in here; the same configuration gives the same losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the run is called: names its folder and titles its plots. Default `run`.
    pub name: String,
    /// Seed of all random numbers: weights, split, order, noise. Below 2⁶³. Default 1.
    pub seed: u64,
    /// Where to compute: `auto`, `cpu` or `gpu`. Default `auto`.
    pub device: DeviceChoice,
    /// The network.
    pub model: Model,
    /// What is minimised.
    pub loss: Loss,
    /// The images.
    pub data: Data,
    /// How it is minimised.
    pub train: Train,
}

/// The images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Which images: `digits` (inside the program), `shapes` (drawn); or files, `mnist`, `fashion-mnist`, `cifar10`, `stl10`,
    /// `stanford-dogs`, `celeba`, `chairs`, `dsprites`, or `folder`, any folder of pictures. Default `digits`.
    pub kind: DataKind,
    /// The folder that holds the files. Default `data`.
    pub dir: String,
    /// Side of the images that the model sees, pixels. Default: what suits `data.kind`, 32 for `digits`, `mnist`,
    /// `fashion-mnist` and `cifar10`, else 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Colour channels that the model sees, 1 or 3. Default: those of `data.kind`, 1 for `shapes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// What is shown of the pictures of `celeba`, `chairs` and `folder`: `none`, all, stretched to a square; `centre`, the largest
    /// square; or a number of pixels each way around the centre, such as `148`. Default: 148 for `celeba`, 400 for
    /// `chairs`, else `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// How many different things the images show, for models that are told or that name them. Default: those of `data.kind`;
    /// of `stanford-dogs`, `chairs` and `folder` only the files tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The range of the pixels: `unit` [0, 1], `symmetric` [−1, 1], or `standard`, mean 0 and deviation 1 in every
    /// channel of the training images. Default `unit`.
    pub normalise: Normalise,
    /// Train on the first so many images only; 0 for all. Default 0.
    pub limit: usize,
    /// What training images go through each time they are seen: `none`; `flip`, half of them mirrored; or `flip-crop`, which
    /// also moves them by up to 4 pixels. Default `none`.
    pub augment: Augment,
    /// Deviation of the Gaussian noise that is added to training images, where black is 0 and full 1; 0 for none. Default 0.
    pub noise_std: f64,
    /// The part of the training images that get noise, in [0, 1]. Default 1.
    pub noise_fraction: f64,
    /// What is to be given back for a noisy image: it itself, `noisy`, or the image without noise, `clean`. Default `noisy`:
    /// noise "to some training images" is in what is learnt from.
    pub noise_target: NoiseTarget,
    /// Of `shapes`: how many images, drawn from all combinations by the seed; 0 for all. Default 12,000.
    pub images: usize,
    /// Of `shapes`: rotations, evenly spaced over the full turn. Default 40.
    pub rotations: usize,
}

/// How the loss is minimised: Adam, and when to stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Passes over the training images, at most. Default 5.
    pub epochs: usize,
    /// Images a step. Default 64.
    pub batch_size: usize,
    /// Adam's step size at the start. Default 0.001.
    pub learning_rate: f64,
    /// Adam's memory of the gradient, in [0, 1). Default 0.9.
    pub beta1: f64,
    /// Adam's memory of the squared gradient, in [0, 1). Default 0.999.
    pub beta2: f64,
    /// How the learning rate changes: `constant`; `linear` and `cosine`, which fall from epoch to epoch and would reach 0
    /// an epoch after the last; or `plateau`, a tenth after `plateau_patience` epochs without a better validation loss.
    /// Default `constant`.
    pub schedule: ScheduleKind,
    /// Epochs without improvement before `plateau` lowers the rate. Default 3.
    pub plateau_patience: usize,
    /// Added to the gradient for each unit of weight (L2, as PyTorch's Adam). Default 0.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient, scaled down to it; 0 for none. Default 0.
    pub clip: f64,
    /// Stop after so many epochs without a better validation loss, and keep the best weights; 0 for never. Default 0.
    pub early_stopping: usize,
    /// Write a line to steps.jsonl every so many steps; 0 for none. Default 0.
    pub log_steps: usize,
    /// The decay d, in [0, 1), of a moving average of the weights, `w̄ ← d·w̄ + (1 − d)·w` after each step, such as 0.999: it is
    /// what is validated, drawn and kept as the best. 0 for none. Default 0.
    pub ema: f64,
    /// Minutes between two checkpoints in the middle of an epoch, besides those at its end; 0 for none. Default 5.
    pub checkpoint_minutes: f64,
}

named! {
    /// Where to compute.
    DeviceChoice {
        /// The fastest there is.
        Auto = "auto",
        /// This machine's processor.
        Cpu = "cpu",
        /// A graphics processor.
        Gpu = "gpu",
    }
}
named! {
    /// A set of images.
    DataKind {
        /// MNIST's 10,000 test digits, inside the program.
        Digits = "digits",
        /// MNIST, 70,000 digits.
        Mnist = "mnist",
        /// Fashion-MNIST, 70,000 pieces of clothing.
        FashionMnist = "fashion-mnist",
        /// CIFAR-10, 60,000 colour images.
        Cifar10 = "cifar10",
        /// STL-10, 113,000 colour images.
        Stl10 = "stl10",
        /// Stanford Dogs, 20,580 dogs cut out of pictures.
        StanfordDogs = "stanford-dogs",
        /// CelebA, 202,599 faces.
        Celeba = "celeba",
        /// Renders of 1,393 chairs.
        Chairs = "chairs",
        /// dSprites, 737,280 black and white images of three shapes.
        Dsprites = "dsprites",
        /// Squares, ellipses and hearts, drawn when asked for.
        Shapes = "shapes",
        /// Any folder of pictures.
        Folder = "folder",
    }
}
named! {
    /// What training images go through.
    Augment {
        /// Nothing.
        None = "none",
        /// Half of them are mirrored.
        Flip = "flip",
        /// That, and they are moved by up to 4 pixels.
        FlipCrop = "flip-crop",
    }
}
named! {
    /// What is to be given back for a noisy image.
    NoiseTarget {
        /// It itself.
        Noisy = "noisy",
        /// The image without noise.
        Clean = "clean",
    }
}
named! {
    /// The range of pixels.
    Normalise {
        /// [0, 1].
        Unit = "unit",
        /// [−1, 1].
        Symmetric = "symmetric",
        /// Mean 0, deviation 1.
        Standard = "standard",
    }
}
named! {
    /// How the learning rate changes.
    ScheduleKind {
        /// It does not.
        Constant = "constant",
        /// `lr·(E − e)/E`, e from 0.
        Linear = "linear",
        /// `lr·½(1 + cos πe/E)`, e from 0.
        Cosine = "cosine",
        /// A tenth whenever the validation loss stands still.
        Plateau = "plateau",
    }
}

impl Config {
    /// Side of the images that the model sees.
    pub fn image_size(&self) -> usize {
        self.data.image_size.unwrap_or(self.data.kind.image_size())
    }

    /// Channels of the images that the model sees.
    pub fn channels(&self) -> usize {
        self.data.channels.unwrap_or(self.data.kind.channels())
    }

    /// Channels that a VAE's encoder sees: the images', and a plane for each label if it is told them.
    pub fn encoder_channels(&self) -> usize {
        self.channels() + self.told_classes()
    }

    /// Numbers that a VAE's decoder is given: the latents, and one for each label if it is told them.
    pub fn decoder_inputs(&self) -> usize {
        self.model.z_dim + self.told_classes()
    }

    /// Labels that the model is told; 0 if it is not.
    pub fn told_classes(&self) -> usize {
        if self.model.conditional { self.classes() } else { 0 }
    }

    /// How many different things the images show; 0 where only the files tell.
    pub fn classes(&self) -> usize {
        self.data.classes.or(self.data.kind.classes()).unwrap_or(0)
    }

    /// What is shown of each picture.
    pub fn crop(&self) -> Crop {
        self.data.crop.unwrap_or(self.data.kind.crop().unwrap_or(Crop::None))
    }

    /// The file that repeats this run: every key, whatever it came from.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tables of numbers and words, and seeds below 2⁶³")
    }
}

impl DataKind {
    /// Side that the images have unless told otherwise.
    pub fn image_size(self) -> usize {
        match self {
            DataKind::Digits | DataKind::Mnist | DataKind::FashionMnist | DataKind::Cifar10 => 32,
            _ => 64,
        }
    }

    /// Channels that the images have unless told otherwise.
    pub fn channels(self) -> usize {
        match self {
            DataKind::Cifar10 | DataKind::Stl10 | DataKind::StanfordDogs | DataKind::Celeba | DataKind::Folder => 3,
            _ => 1,
        }
    }

    /// What is shown of its pictures unless told otherwise; none if it is no choice.
    pub fn crop(self) -> Option<Crop> {
        match self {
            DataKind::Celeba => Some(Crop::Pixels(148)),
            DataKind::Chairs => Some(Crop::Pixels(400)),
            DataKind::Folder => Some(Crop::None),
            _ => None,
        }
    }

    /// How many different things the images show; none where only the files tell.
    pub fn classes(self) -> Option<usize> {
        match self {
            DataKind::Digits | DataKind::Mnist | DataKind::FashionMnist | DataKind::Cifar10 => Some(10),
            DataKind::Stl10 => Some(11), // ten, and the unlabelled
            DataKind::Celeba => Some(1),
            DataKind::Dsprites | DataKind::Shapes => Some(3),
            DataKind::StanfordDogs | DataKind::Chairs | DataKind::Folder => None,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            name: "run".into(),
            seed: 1,
            device: DeviceChoice::Auto,
            model: Model::default(),
            loss: Loss::default(),
            data: Data::default(),
            train: Train::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Data {
        Data {
            kind: DataKind::Digits,
            dir: "data".into(),
            image_size: None,
            channels: None,
            crop: None,
            classes: None,
            normalise: Normalise::Unit,
            limit: 0,
            augment: Augment::None,
            noise_std: 0.0,
            noise_fraction: 1.0,
            noise_target: NoiseTarget::Noisy,
            images: SHAPES_IMAGES,
            rotations: SHAPES_ROTATIONS,
        }
    }
}

impl Default for Train {
    fn default() -> Train {
        Train {
            epochs: 5,
            batch_size: 64,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            schedule: ScheduleKind::Constant,
            plateau_patience: 3,
            weight_decay: 0.0,
            clip: 0.0,
            early_stopping: 0,
            log_steps: 0,
            ema: 0.0,
            checkpoint_minutes: 5.0,
        }
    }
}
