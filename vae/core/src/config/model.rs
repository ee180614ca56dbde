//! The network: the keys of `[model]`. Each kind of model reads some of them. All read `init`; all that give images read
//! `output`; all VAEs read `z_dim`, `prior`, `conditional`, `init_encoder` and `freeze_…`.
//!
//! ```text
//! resnet18, resnet50   width stem upsample decoder_conv batch_norm
//! vgg11, vgg16, alexnet   width upsample decoder_conv batch_norm
//! basic, conv3         widths down
//! skip                 width slope block batch_norm
//! dense                hidden layers activation
//! ladder               width groups
//! classifier           width stem batch_norm
//! vq                   encoder and the keys of that kind, codes code_width decay init_encoder freeze_…
//! fsq                  encoder and the keys of that kind, levels decay init_encoder freeze_…
//! ```

use serde::{Deserialize, Serialize};

use super::keys::keys;
use super::named;

/// The largest number of groups of `ladder`, and of the sizes of their maps.
pub(super) const MOST_GROUPS: usize = 12;

keys! {
    /// The network.
    Model {
        /// The kind of model. All but `classifier`, `vq` and `fsq` are VAEs.
        kind: ModelKind = ModelKind::Resnet18;
        /// The number of latent dimensions.
        z_dim: usize = 128, at_least(1.0);
        /// The number of channels of the first stage, or of the largest maps of `ladder`. `resnet18`, `resnet50`, `vgg11`, `vgg16`,
        /// `alexnet` and `skip` have stages. The others, and smaller maps, have 2, 4 and 8 times as many, those of `alexnet` 3, 6, 4 and 4.
        width: usize = 64, at_least(1.0);
        /// The first layer of a ResNet's encoder.
        stem: Stem = Stem::Small;
        /// How a ResNet's decoder enlarges its maps.
        upsample: Upsampling = Upsampling::Bilinear;
        /// The convolutions of a ResNet's decoder.
        decoder_conv: DecoderConv = DecoderConv::Transposed;
        /// Whether there is batch normalisation after every convolution but the last. Without it, each convolution has a bias. The
        /// encoder of `alexnet` has none.
        batch_norm: bool = true;
        /// The number of features of each hidden layer of `dense`.
        hidden: usize = 256, at_least(1.0);
        /// The number of hidden layers of `dense`, in the encoder and in the decoder.
        layers: usize = 1, at_least(1.0);
        /// The activation after each hidden layer of `dense`.
        activation: Activation = Activation::Relu;
        /// The channels of each convolution of `basic` and `conv3`, such as `[32, 64]`; on the command line `32,64`. There may
        /// be 12 convolutions at most. The default, an empty list, means 32, 64 for `basic` and 64, 128, 256 for `conv3`.
        widths: Vec<usize> = Vec::new(), at_least(1.0);
        /// The number of groups of latents of `ladder` on maps of each size, from the smallest on; on the command line `2,1,1`. With n
        /// numbers, the maps have 1/2ⁿ, …, 1/2 of the image's side. There may be 12 groups at most.
        groups: Vec<usize> = vec![2, 1, 1], at_least(1.0);
        /// How `basic` and `conv3` halve their maps.
        down: Down = Down::Stride;
        /// The slope of the leaky ReLU of `skip` for negative numbers. The default is 11/48, the mean of 1/8 and 1/3.
        slope: f64 = 11.0 / 48.0, above(0.0);
        /// The blocks of `skip`.
        block: SkipBlock = SkipBlock::TwoConv;
        /// The activation of the decoder's last layer, which gives the pixels.
        output: Output = Output::Linear;
        /// The prior of a VAE's latents, which the KL compares the posteriors with.
        prior: ModelPrior = ModelPrior::Standard;
        /// The number of pseudo-inputs of the prior `vamp`.
        pseudo_inputs: usize = 500, at_least(1.0).at_most(1_000_000.0);
        /// Whether a VAE is conditional. Then each image's label is an input of the encoder, as planes beside the image, and of
        /// the decoder, as columns beside the latents.
        conditional: bool = false;
        /// The encoder and decoder of `vq` and `fsq`: `resnet18`, `resnet50`, `basic` or `conv3`.
        encoder: ModelKind = ModelKind::Basic;
        /// The number of vectors in the codebook of `vq`.
        codes: usize = 512, at_least(1.0).at_most(16_777_215.0);
        /// The length of each vector in the codebook of `vq`.
        code_width: usize = 64, at_least(1.0);
        /// The levels to which `fsq` rounds each number of a code, such as `[8, 5, 5, 5]`; on the command line `8,5,5,5`. Their
        /// product is the number of codes.
        levels: Vec<usize> = vec![8, 5, 5, 5], at_least(2.0);
        /// The decay of the running mean by which `vq` updates its codebook. `fsq` counts the uses of its codes with it.
        decay: f64 = 0.99, at_least(0.001).below(1.0);
        /// A checkpoint that the encoder's weights are loaded from; empty for new weights. It may be a classifier's, a VAE's, or
        /// any safetensors file with torchvision's names. All layers but the last are loaded.
        init_encoder: String = String::new();
        /// Whether the encoder stays as it is, with its running statistics. Its last layers, the heads, are trained nevertheless.
        freeze_encoder: bool = false;
        /// Whether the heads of a frozen encoder stay as they are too.
        freeze_heads: bool = false;
        /// A checkpoint of the same model that the weights are loaded from; empty for new weights.
        init: String = String::new();
    }
}

named! {
    /// A kind of model.
    ModelKind {
        /// A VAE: a ResNet-18 and its mirror image.
        Resnet18 = "resnet18",
        /// A VAE: a ResNet-50 and its mirror image.
        Resnet50 = "resnet50",
        /// A VAE: a VGG-11, and the decoder of `resnet18`.
        Vgg11 = "vgg11",
        /// A VAE: a VGG-16, and the decoder of `resnet18`.
        Vgg16 = "vgg16",
        /// A VAE: an AlexNet, and the decoder of `resnet18`.
        Alexnet = "alexnet",
        /// A VAE: two convolutions, and three transposed convolutions.
        Basic = "basic",
        /// A VAE: three convolutions, and three transposed convolutions of 4×4.
        Conv3 = "conv3",
        /// A VAE: residual blocks with a convolution in their shortcut.
        Skip = "skip",
        /// A VAE: linear layers.
        Dense = "dense",
        /// A hierarchical VAE: groups of latents on maps of several sizes, each drawn after those on smaller maps.
        Ladder = "ladder",
        /// A classifier: the encoder of `resnet18` and a linear layer.
        Classifier = "classifier",
        /// A vector-quantised autoencoder: its latents are vectors of a codebook.
        Vq = "vq",
        /// An autoencoder with finite scalar quantisation: each number of a latent vector is rounded to a few levels.
        Fsq = "fsq",
    }
}
named! {
    /// The prior of a VAE's latents.
    ModelPrior {
        /// N(0, I).
        Standard = "standard",
        /// The VampPrior: the mixture of the posteriors of `pseudo_inputs` images, which are trained with the model.
        Vamp = "vamp",
    }
}
named! {
    /// The first layer of a ResNet.
    Stem {
        /// A convolution of 3×3 and stride 2.
        Small = "3x3",
        /// That of ImageNet: a convolution of 7×7 and stride 2, then max pooling of 3×3 and stride 2.
        Large = "7x7-pool",
    }
}
named! {
    /// How a decoder enlarges its maps.
    Upsampling {
        /// Bilinear interpolation.
        Bilinear = "bilinear",
        /// Nearest-neighbour interpolation.
        Nearest = "nearest",
    }
}
named! {
    /// The convolutions of a decoder.
    DecoderConv {
        /// `ConvTranspose2d`.
        Transposed = "transposed",
        /// `Conv2d`.
        Plain = "plain",
    }
}
named! {
    /// How an encoder halves its maps.
    Down {
        /// Convolutions of stride 2; the decoder has transposed convolutions.
        Stride = "stride",
        /// Max pooling; the decoder has nearest-neighbour interpolation.
        Pool = "pool",
    }
}
named! {
    /// The activation of a hidden layer.
    Activation {
        /// max(x, 0).
        Relu = "relu",
        /// tanh x.
        Tanh = "tanh",
    }
}
named! {
    /// A block of `skip`.
    SkipBlock {
        /// Two convolutions, and one in the shortcut.
        TwoConv = "two-conv",
        /// A convolution; to its result, norm, activation, convolution and norm are added.
        PreActivation = "pre-activation",
    }
}
named! {
    /// The activation of a decoder's last layer.
    Output {
        /// None.
        Linear = "linear",
        /// 1 / (1 + e⁻ˣ), for pixels in [0, 1].
        Sigmoid = "sigmoid",
        /// tanh x, for pixels in [−1, 1].
        Tanh = "tanh",
    }
}

impl Model {
    /// Returns the kind that describes the layers: `resnet18` for a classifier, `model.encoder` for `vq` and `fsq`,
    /// and `model.kind` for all others.
    pub fn body(&self) -> ModelKind {
        match self.kind {
            ModelKind::Classifier => ModelKind::Resnet18,
            ModelKind::Vq | ModelKind::Fsq => self.encoder,
            kind => kind,
        }
    }

    /// Returns whether the model is a variational autoencoder. Other models have neither a posterior nor a KL.
    pub fn is_vae(&self) -> bool {
        !matches!(self.kind, ModelKind::Classifier) && !self.has_codes()
    }

    /// Returns the channels of each convolution of `basic` and `conv3`.
    pub fn conv_widths(&self) -> &[usize] {
        match (self.body(), &self.widths[..]) {
            (ModelKind::Basic, []) => &[32, 64],
            (_, []) => &[64, 128, 256],
            (_, widths) => widths,
        }
    }

    /// Returns the number that the image size must be a multiple of: the factor by which the encoder reduces it.
    pub fn divisor(&self) -> usize {
        match self.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 if self.stem == Stem::Large => 32, // the decoder's 16 divides it
            ModelKind::Vgg11 | ModelKind::Vgg16 => 32,
            ModelKind::Resnet18 | ModelKind::Resnet50 | ModelKind::Skip | ModelKind::Alexnet => 16,
            ModelKind::Basic | ModelKind::Conv3 => 1 << self.conv_widths().len(),
            ModelKind::Ladder => 1 << self.groups.len().min(MOST_GROUPS), // more are refused
            _ => 1,
        }
    }

    /// Returns whether the model has batch norms.
    pub fn has_batch_norm(&self) -> bool {
        let without = [ModelKind::Basic, ModelKind::Conv3, ModelKind::Dense, ModelKind::Ladder]; // a ladder has group norms
        self.batch_norm && !without.contains(&self.body())
    }

    /// Returns what a VAE is besides its layers, with a leading comma.
    fn more_words(&self) -> String {
        let conditional = if self.conditional { ", conditional" } else { "" };
        match self.prior {
            ModelPrior::Standard => conditional.into(),
            ModelPrior::Vamp => format!(", VampPrior of {} pseudo-inputs", self.pseudo_inputs),
        }
    }

    /// Returns a description of the model: its kind and the keys that this kind uses.
    pub fn words(&self) -> String {
        let shape = match self.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => format!("width {}, stem {}", self.width, self.stem),
            ModelKind::Skip => format!("width {}, {} blocks", self.width, self.block),
            ModelKind::Vgg11 | ModelKind::Vgg16 | ModelKind::Alexnet => format!("width {}", self.width),
            ModelKind::Basic | ModelKind::Conv3 => format!("widths {:?}, down by {}", self.conv_widths(), self.down),
            ModelKind::Ladder => format!("width {}, groups {:?}", self.width, self.groups),
            _ if self.activation == Activation::Relu => format!("{} × {} hidden", self.layers, self.hidden),
            _ => format!("{} × {} hidden, {}", self.layers, self.hidden, self.activation),
        };
        match self.kind {
            ModelKind::Classifier => format!("{}: {shape}", self.kind),
            ModelKind::Vq => {
                format!("{} by {}: {shape}, {} codes of {}", self.kind, self.encoder, self.codes, self.code_width)
            }
            ModelKind::Fsq => {
                let levels = self.levels.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
                format!("{} by {}: {shape}, {levels} = {} codes", self.kind, self.encoder, self.code_count())
            }
            kind => format!("{kind}: {shape}, z {}{}", self.z_dim, self.more_words()),
        }
    }
}
