//! The configuration of a run. The structs describe every key: its meaning, type, default and range; [`Config::sections`] lists
//! these descriptions. `layers` reads settings from recipe, environment and flags. `check` refuses what cannot be trained,
//! before any tensor exists.

mod adversarial;
mod aggregate;
mod check;
mod codes;
mod crop;
mod keys;
mod ladder;
mod layers;
mod loss;
mod memory;
mod model;
mod named;
mod prior;
mod sizes;
mod split;
mod unused;
mod weights;

use serde::{Deserialize, Serialize};

pub use check::describe_loss;
pub use crop::Crop;
use keys::keys;
pub use keys::{Bound, Key, Kind, Range, Section};
pub use layers::{Settings, unknown_key};
pub use loss::{
    Dip, Estimator, GradientEstimator, KlScheduleKind, Loss, LossKind, Reconstruction, Reduction, Variance,
};
pub use model::{Activation, DecoderConv, Down, Model, ModelKind, ModelPrior, Output, SkipBlock, Stem, Upsampling};
use named::named;
pub use prior::{Prior, PriorKind};
pub(crate) use sizes::{HUES, PLACES, SHAPES};
pub use sizes::{PADDING, SHAPES_IMAGES, SHAPES_MAX, SHAPES_ROTATIONS, sizes_in_ratio, split_sizes};
pub use split::{Ratio, SplitBy};

keys! {
    /// The configuration of a run. It decides all of the run's numbers: the same configuration gives the same losses.
    Config {
        /// The name of the run. It names the run's folder and is the title of its plots. Letters, digits, `-`, `_` and `.` are
        /// allowed, 64 at most; the first is no `.`.
        name: String = String::from("run");
        /// The seed of all random numbers: initial weights, split of the data, order and noise. It is below 2⁶³.
        seed: u64 = 1;
        /// The device to compute on.
        device: DeviceChoice = DeviceChoice::Auto;

        tables {
            /// The network.
            model: Model;
            /// The objective that training minimises.
            loss: Loss;
            /// The images.
            data: Data;
            /// The optimiser and the length of the training.
            train: Train;
            /// The prior that `vae fit-prior` fits to the latents of a trained run.
            prior: Prior;
        }
    }
}

keys! {
    /// The images.
    Data {
        /// The data set. All but `digits` and `shapes` are read from files in `data.dir`.
        kind: DataKind = DataKind::Digits;
        /// The folder that holds the files of the data set.
        dir: String = String::from("data");
        /// The width and height in pixels to which images are scaled. The default depends on `data.kind`: 32 for `digits`,
        /// `mnist`, `fashion-mnist`, `binarized-mnist` and `cifar10`, 64 for the others. The network needs a multiple of some number, which an
        /// error names.
        image_size: Option<usize> = None, at_least(1.0);
        /// The number of colour channels, 1 (grey) or 3 (colour). The default is that of `data.kind`; for `shapes` it is 1.
        channels: Option<usize> = None, one_of(&[1.0, 3.0]);
        /// The part of each picture that is used, for `celeba`, `chairs` and `folder`. A number such as `148` is the side of a
        /// square around the centre, in pixels. The default is 148 for `celeba`, 400 for `chairs`, and `centre` for `folder`.
        crop: Option<Crop> = None;
        /// How the pictures of `folder` are divided into training, validation and test pictures. A ratio such as `8:1:1`
        /// divides them at random by the seed. `folders` takes the sub-folders `train`, `validation` (or `valid`, or `val`) and
        /// `test`. A path such as `parts.csv`, relative to `data.dir`, names a list with a line `path,part` for each picture.
        /// `auto` means `folders` if there are sub-folders `train` and `test`, else `10:1:1`.
        split: SplitBy = SplitBy::Auto;
        /// Leave out the pictures of `folder` that are damaged, and count them. Otherwise a damaged picture is an error.
        skip_damaged: bool = false;
        /// A folder in which the decoded pictures of `folder` are kept in a file, and read from it while training. Then pictures need not
        /// fit into memory, and each is decoded only once, also by later runs. The default, an empty text, keeps them in memory.
        cache: String = String::new();
        /// The number of labels, for classifiers and conditional models. The default is that of `data.kind`. It must be set for
        /// `stanford-dogs`, `chairs` and `folder`, where it depends on the files.
        classes: Option<usize> = None, at_least(1.0).at_most(65536.0);
        /// The range to which pixels are scaled.
        normalise: Normalise = Normalise::Unit;
        /// Train on the first N images only; 0 for all.
        limit: usize = 0;
        /// Whether each pixel becomes 0 or 1, a draw whose probability of 1 is the pixel. The draws of validation and test images
        /// never change, whatever the seed of the run.
        binarise: Binarise = Binarise::None;
        /// The augmentation of training images, drawn again each time that an image is seen.
        augment: Augment = Augment::None;
        /// The standard deviation of Gaussian noise that is added to training images; 0 for none. Black is 0 and full
        /// brightness is 1.
        noise_std: f64 = 0.0, at_least(0.0);
        /// The fraction of training images that get noise.
        noise_fraction: f64 = 1.0, at_least(0.0).at_most(1.0);
        /// The image that a model should reconstruct from a noisy image. The default, `noisy`, makes the noise a part of the
        /// training data.
        noise_target: NoiseTarget = NoiseTarget::Noisy;
        /// The number of images of `shapes`; 0 for all combinations. The seed decides which combinations are drawn.
        images: usize = SHAPES_IMAGES, at_least(12.0).or(&[0.0]);
        /// The number of rotations of `shapes`, evenly spaced over the full turn.
        rotations: usize = SHAPES_ROTATIONS, at_least(1.0).at_most(360.0);
    }
}

keys! {
    /// The optimiser, Adam, and the length of the training.
    Train {
        /// The largest number of epochs. An epoch is one pass over the training images.
        epochs: usize = 5, at_least(1.0);
        /// The number of images in a batch. Each batch is one step of the optimiser, unless `train.accumulate` is set.
        batch_size: usize = 64, at_least(1.0);
        /// The number of batches whose gradients are averaged for one step of the optimiser. A step then sees
        /// `batch_size·accumulate` images in the memory of `batch_size`. Batch norm, and losses that compare the images of
        /// a batch, see one batch at a time.
        accumulate: usize = 1, at_least(1.0).at_most(1000000.0);
        /// The number of shards of a batch. Each shard has `batch_size/shards` images and goes forward and backward on its own, and
        /// their gradients are added in a fixed order. Several processes (docs/cluster.md) divide the shards among them, and
        /// their number does not change the results. Batch norm, and losses that compare the images of a batch, see one shard at a
        /// time; see `sync_batch_norm`.
        shards: usize = 1, at_least(1.0);
        /// Let batch norm see all shards of a batch as one, on the CPU. They then go through the network at the same time, so the
        /// shards of a process need the memory of a whole batch.
        sync_batch_norm: bool = false;
        /// Compute the values inside the blocks of a ResNet or of skip again in the backward pass instead of keeping them. Feature maps
        /// then need about half of the memory, and a step takes about a quarter longer. The results are the same, bit for bit.
        activation_checkpointing: bool = false;
        /// The type in which a GPU stores feature maps. `f16` halves their memory, and all sums stay f32. It needs a GPU that has it;
        /// elsewhere the run computes in f32. The loss is scaled so that small gradients do not vanish.
        precision: Precision = Precision::F32;
        /// Adam's learning rate at the start.
        learning_rate: f64 = 1e-3, above(0.0);
        /// The decay rate of Adam's running mean of the gradient.
        beta1: f64 = 0.9, at_least(0.0).below(1.0);
        /// The decay rate of Adam's running mean of the squared gradient.
        beta2: f64 = 0.999, at_least(0.0).below(1.0);
        /// The schedule of the learning rate.
        schedule: ScheduleKind = ScheduleKind::Constant;
        /// The number of epochs without a better validation loss after which `plateau` lowers the learning rate.
        plateau_patience: usize = 3, at_least(1.0);
        /// The factor of L2 regularisation: this times each weight is added to its gradient, as in PyTorch's Adam.
        weight_decay: f64 = 0.0, at_least(0.0);
        /// The largest norm of the whole gradient; a longer gradient is scaled down to it. 0 turns this off.
        clip: f64 = 0.0, at_least(0.0);
        /// The number of epochs without a better validation loss after which training stops; 0 for never. The best weights are
        /// kept.
        early_stopping: usize = 0;
        /// Write a line to steps.jsonl every N steps; 0 for none.
        log_steps: usize = 0;
        /// The decay d of a moving average of the weights and running statistics, such as 0.999; 0 for none. After step t,
        /// `w̄ ← d_t·w̄ + (1 − d_t)·w` with d_t = min(d, (1 + t)/(10 + t)). The average is what is validated, drawn and kept as
        /// the best weights.
        ema: f64 = 0.0, at_least(0.0).below(1.0);
        /// The minutes between two checkpoints within an epoch; 0 for none. There is also a checkpoint at the end of each epoch.
        checkpoint_minutes: f64 = 5.0, at_least(0.0);
    }
}

named! {
    /// A device to compute on.
    DeviceChoice {
        /// A GPU if there is one, else the CPU.
        Auto = "auto",
        /// This machine's processor.
        Cpu = "cpu",
        /// A graphics processor.
        Gpu = "gpu",
    }
}
named! {
    /// A data set.
    DataKind {
        /// The 10,000 test digits of MNIST. They are inside the program.
        Digits = "digits",
        /// MNIST: 70,000 handwritten digits.
        Mnist = "mnist",
        /// Fashion-MNIST: 70,000 pictures of clothing.
        FashionMnist = "fashion-mnist",
        /// CIFAR-10: 60,000 colour images of ten classes.
        Cifar10 = "cifar10",
        /// STL-10: 113,000 colour images, most of them without labels.
        Stl10 = "stl10",
        /// Stanford Dogs: 20,580 dogs, cut out of pictures.
        StanfordDogs = "stanford-dogs",
        /// CelebA: 202,599 faces.
        Celeba = "celeba",
        /// Renders of 1,393 chairs.
        Chairs = "chairs",
        /// dSprites: 737,280 black and white images of three shapes.
        Dsprites = "dsprites",
        /// MNIST in black and white: the fixed draws of Larochelle and Murray. It has no labels.
        BinarizedMnist = "binarized-mnist",
        /// Squares, ellipses and hearts, drawn by the program.
        Shapes = "shapes",
        /// The pictures of any folder. Sub-folders are labels.
        Folder = "folder",
    }
}
named! {
    /// Binary images.
    Binarise {
        /// Pixels stay grey.
        None = "none",
        /// Training images are drawn again in every epoch.
        Dynamic = "dynamic",
        /// Training images are drawn once.
        Fixed = "fixed",
    }
}
named! {
    /// An augmentation of training images.
    Augment {
        /// No augmentation.
        None = "none",
        /// Half of the images are mirrored.
        Flip = "flip",
        /// Half of the images are mirrored, and all are moved by up to 4 pixels.
        FlipCrop = "flip-crop",
    }
}
named! {
    /// The image that a model should reconstruct from a noisy image.
    NoiseTarget {
        /// The noisy image itself.
        Noisy = "noisy",
        /// The image without noise.
        Clean = "clean",
    }
}
named! {
    /// The range to which pixels are scaled.
    Normalise {
        /// [0, 1].
        Unit = "unit",
        /// [−1, 1].
        Symmetric = "symmetric",
        /// Mean 0 and standard deviation 1 in every channel of the training images.
        Standard = "standard",
    }
}
named! {
    /// The type of feature maps on a GPU.
    Precision {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits, with 11 significant ones, up to 65,504.
        F16 = "f16",
    }
}
named! {
    /// A schedule of the learning rate.
    ScheduleKind {
        /// The rate stays the same.
        Constant = "constant",
        /// The rate falls linearly: `lr·(E − e)/E` in epoch e of E, counted from 0.
        Linear = "linear",
        /// The rate falls along a cosine: `lr·½(1 + cos πe/E)` in epoch e of E, counted from 0.
        Cosine = "cosine",
        /// The rate is divided by 10 after `plateau_patience` epochs without a better validation loss.
        Plateau = "plateau",
    }
}

impl Config {
    /// Returns the descriptions of all keys, one section per table of a file.
    pub fn sections() -> Vec<Section> {
        let top = Section { name: "", doc: "The run as a whole.".into(), keys: Config::keys("") };
        std::iter::once(top).chain(Config::tables()).collect()
    }

    /// Returns the number of images of one step of the optimiser: those of all batches whose gradients are averaged.
    pub fn images_per_step(&self) -> usize {
        self.train.batch_size.saturating_mul(self.train.accumulate)
    }

    /// Returns the width and height of the model input.
    pub fn image_size(&self) -> usize {
        self.data.image_size.unwrap_or(self.data.kind.image_size())
    }

    /// Returns the number of channels of the images.
    pub fn channels(&self) -> usize {
        self.data.channels.unwrap_or(self.data.kind.channels())
    }

    /// Returns the number of input channels of a VAE's encoder: the channels of the images, and one per label in a
    /// conditional model.
    pub fn encoder_channels(&self) -> usize {
        self.channels() + self.label_inputs()
    }

    /// Returns the number of inputs of a VAE's decoder: the latents, and one per label in a conditional model.
    pub fn decoder_inputs(&self) -> usize {
        self.model.z_dim + self.label_inputs()
    }

    /// Returns how many numbers say the label to encoder and decoder: one per label in a conditional model, but none with
    /// `loss.kind = "csvae"`, where the label only moves latents.
    pub fn label_inputs(&self) -> usize {
        if self.loss.kind == LossKind::Csvae { 0 } else { self.condition_classes() }
    }

    /// Returns the number of labels of a conditional model, or 0 if the model is not conditional.
    pub fn condition_classes(&self) -> usize {
        if self.model.conditional { self.classes() } else { 0 }
    }

    /// Returns the number of labels, or 0 if only the files determine it.
    pub fn classes(&self) -> usize {
        self.data.classes.or(self.data.kind.classes()).unwrap_or(0)
    }

    /// Returns the part of each picture that is used.
    pub fn crop(&self) -> Crop {
        self.data.crop.unwrap_or(self.data.kind.crop().unwrap_or(Crop::None))
    }

    /// Returns the configuration with all keys as a TOML file, which repeats the run.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tables of numbers and words, and seeds below 2⁶³")
    }
}

impl DataKind {
    /// Returns the default of `data.image_size`.
    pub fn image_size(self) -> usize {
        match self {
            DataKind::Digits | DataKind::Mnist | DataKind::FashionMnist => 32,
            DataKind::BinarizedMnist | DataKind::Cifar10 => 32,
            _ => 64,
        }
    }

    /// Returns the default of `data.channels`.
    pub fn channels(self) -> usize {
        match self {
            DataKind::Cifar10 | DataKind::Stl10 | DataKind::StanfordDogs | DataKind::Celeba | DataKind::Folder => 3,
            _ => 1,
        }
    }

    /// Returns the default of `data.crop`, or `None` if the data set cannot be cropped.
    pub fn crop(self) -> Option<Crop> {
        match self {
            DataKind::Celeba => Some(Crop::Pixels(148)),
            DataKind::Chairs => Some(Crop::Pixels(400)),
            DataKind::Folder => Some(Crop::Centre),
            _ => None,
        }
    }

    /// Returns the number of labels, or `None` if only the files determine it.
    pub fn classes(self) -> Option<usize> {
        match self {
            DataKind::Digits | DataKind::Mnist | DataKind::FashionMnist | DataKind::Cifar10 => Some(10),
            DataKind::Stl10 => Some(11), // ten classes, and one for images without labels
            DataKind::Celeba | DataKind::BinarizedMnist => Some(1),
            DataKind::Dsprites | DataKind::Shapes => Some(3),
            DataKind::StanfordDogs | DataKind::Chairs | DataKind::Folder => None,
        }
    }
}

#[cfg(test)]
mod tests;
