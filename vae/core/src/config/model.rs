//! The network: the keys of `[model]`. Each kind reads some of them; `init` is everybody's, `output` that of all that give
//! images, `z_dim`, `conditional`, `init_encoder` and `freeze_…` those of every VAE.
//!
//! ```text
//! resnet18, resnet50   width stem upsample decoder_conv batch_norm
//! basic, conv3         widths down
//! skip                 width slope block batch_norm
//! dense                hidden layers
//! classifier           width stem batch_norm
//! vq                   encoder and the keys of that kind, codes code_width decay init_encoder freeze_…
//! ```

use serde::{Deserialize, Serialize};

use super::named;

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// The architecture: a VAE, `resnet18`, `resnet50`, `basic`, `conv3`, `skip` or `dense`; a `classifier`, which is the
    /// encoder of `resnet18` and a linear layer; or `vq`, a vector-quantised autoencoder. Default `resnet18`.
    pub kind: ModelKind,
    /// Latent dimensions. Default 128.
    pub z_dim: usize,
    /// Channels of the first stage; the others have 2, 4 and 8 times as many. Default 64.
    pub width: usize,
    /// The encoder's first layer: `3x3` of stride 2, or `7x7-pool`, ImageNet's 7×7 of stride 2 and max pooling.
    /// Default `3x3`.
    pub stem: Stem,
    /// How the decoder enlarges: `bilinear` or `nearest`. Default `bilinear`.
    pub upsample: Upsampling,
    /// The decoder's convolutions: `transposed` or `plain`. Default `transposed`.
    pub decoder_conv: DecoderConv,
    /// Batch normalisation after every convolution but the last; without it, each convolution has a bias. Default true.
    pub batch_norm: bool,
    /// Features of each hidden layer of `dense`. Default 256.
    pub hidden: usize,
    /// Hidden layers of `dense`, in the encoder and in the decoder. Default 1.
    pub layers: usize,
    /// Channels of each convolution of `basic` and `conv3`: `[32, 64]`, on the command line `32,64`; empty for the kind's
    /// own, 32, 64 and 64, 128, 256. Default empty.
    pub widths: Vec<usize>,
    /// How `basic` and `conv3` halve: `stride` 2, or max `pool` after stride 1, and nearest upsampling in the decoder.
    /// Default `stride`.
    pub down: Down,
    /// What `skip` multiplies numbers below 0 by, above 0. Default 11/48, the mean of 1/8 and 1/3.
    pub slope: f64,
    /// The blocks of `skip`: `two-conv` or `pre-activation`. Default `two-conv`.
    pub block: SkipBlock,
    /// What the decoder's numbers pass through to become pixels: `linear`, `sigmoid` (for `unit` data) or `tanh` (for
    /// `symmetric` data). Default `linear`.
    pub output: Output,
    /// Whether a VAE is told each image's label: as planes beside the image, and as columns beside the latents.
    /// Default false.
    pub conditional: bool,
    /// What `vq` encodes and decodes by: `resnet18`, `resnet50`, `basic` or `conv3`. Default `basic`.
    pub encoder: ModelKind,
    /// Vectors in the codebook of `vq`. Default 512.
    pub codes: usize,
    /// Numbers in each of them. Default 64.
    pub code_width: usize,
    /// How much of a code's running mean a step keeps, from 0.001 to below 1. Default 0.99.
    pub decay: f64,
    /// A checkpoint whose encoder training starts from, up to its last maps: a classifier's, a VAE's, or any safetensors
    /// file with torchvision's names; empty for fresh weights. Default empty.
    pub init_encoder: String,
    /// Whether the encoder stays as it is, running statistics too, up to its heads. Default false.
    pub freeze_encoder: bool,
    /// Whether its heads stay as well. Default false.
    pub freeze_heads: bool,
    /// A checkpoint of the same model whose weights training starts from; empty for fresh ones. Default empty.
    pub init: String,
}

named! {
    /// An architecture.
    ModelKind {
        /// A ResNet-18 and its mirror image.
        Resnet18 = "resnet18",
        /// A ResNet-50 and its mirror image.
        Resnet50 = "resnet50",
        /// Two convolutions, and three transposed ones.
        Basic = "basic",
        /// Three convolutions, and three transposed ones of 4×4.
        Conv3 = "conv3",
        /// Blocks with a convolution in their shortcut.
        Skip = "skip",
        /// Linear layers.
        Dense = "dense",
        /// A ResNet-18 that names what it sees.
        Classifier = "classifier",
        /// An autoencoder whose latents are vectors of a codebook.
        Vq = "vq",
    }
}
named! {
    /// An encoder's first layer.
    Stem {
        /// 3×3, stride 2.
        Small = "3x3",
        /// 7×7, stride 2, then max pooling 3×3 of stride 2.
        Large = "7x7-pool",
    }
}
named! {
    /// How a decoder enlarges.
    Upsampling {
        /// Weighted means of the four nearest.
        Bilinear = "bilinear",
        /// Copies of the nearest.
        Nearest = "nearest",
    }
}
named! {
    /// A decoder's convolutions.
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
        /// Convolutions of stride 2, transposed ones in the decoder.
        Stride = "stride",
        /// Max pooling, nearest upsampling in the decoder.
        Pool = "pool",
    }
}
named! {
    /// A block of `skip`.
    SkipBlock {
        /// Two convolutions, and one in the shortcut.
        TwoConv = "two-conv",
        /// A convolution; then norm, activation, convolution, norm are added to what it gave.
        PreActivation = "pre-activation",
    }
}
named! {
    /// What makes pixels of a decoder's numbers.
    Output {
        /// Nothing: they are pixels.
        Linear = "linear",
        /// 1 / (1 + e⁻ˣ), in [0, 1].
        Sigmoid = "sigmoid",
        /// tanh x, in [−1, 1].
        Tanh = "tanh",
    }
}

impl Model {
    /// The kind whose layers it has: a classifier's and a `vq`'s are another's.
    pub fn body(&self) -> ModelKind {
        match self.kind {
            ModelKind::Classifier => ModelKind::Resnet18,
            ModelKind::Vq => self.encoder,
            kind => kind,
        }
    }

    /// Whether it is a variational autoencoder: the others have neither posterior nor KL.
    pub fn is_vae(&self) -> bool {
        !matches!(self.kind, ModelKind::Classifier | ModelKind::Vq)
    }

    /// Channels of each convolution of `basic` and `conv3`.
    pub fn conv_widths(&self) -> &[usize] {
        match (self.body(), &self.widths[..]) {
            (ModelKind::Basic, []) => &[32, 64],
            (_, []) => &[64, 128, 256],
            (_, widths) => widths,
        }
    }

    /// What an image's side must be a multiple of: whatever the encoder divides it by.
    pub fn divisor(&self) -> usize {
        match self.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 if self.stem == Stem::Large => 32, // the decoder's 16 divides it
            ModelKind::Resnet18 | ModelKind::Resnet50 | ModelKind::Skip => 16,
            ModelKind::Basic | ModelKind::Conv3 => 1 << self.conv_widths().len(),
            _ => 1,
        }
    }

    /// Whether there is a batch norm in it.
    pub fn has_batch_norm(&self) -> bool {
        let may = matches!(self.body(), ModelKind::Resnet18 | ModelKind::Resnet50 | ModelKind::Skip);
        may && self.batch_norm
    }

    /// The model in words: its kind and the keys that it reads.
    pub fn words(&self) -> String {
        let shape = match self.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => format!("width {}, stem {}", self.width, self.stem),
            ModelKind::Skip => format!("width {}, {} blocks", self.width, self.block),
            ModelKind::Basic | ModelKind::Conv3 => format!("widths {:?}, down by {}", self.conv_widths(), self.down),
            _ => format!("{} × {} hidden", self.layers, self.hidden),
        };
        match self.kind {
            ModelKind::Classifier => format!("{}: {shape}", self.kind),
            ModelKind::Vq => {
                format!("{} by {}: {shape}, {} codes of {}", self.kind, self.encoder, self.codes, self.code_width)
            }
            kind => format!("{kind}: {shape}, z {}{}", self.z_dim, if self.conditional { ", conditional" } else { "" }),
        }
    }
}

impl Default for Model {
    fn default() -> Model {
        Model {
            kind: ModelKind::Resnet18,
            z_dim: 128,
            width: 64,
            stem: Stem::Small,
            upsample: Upsampling::Bilinear,
            decoder_conv: DecoderConv::Transposed,
            batch_norm: true,
            hidden: 256,
            layers: 1,
            widths: Vec::new(),
            down: Down::Stride,
            slope: 11.0 / 48.0,
            block: SkipBlock::TwoConv,
            output: Output::Linear,
            conditional: false,
            encoder: ModelKind::Basic,
            codes: 512,
            code_width: 64,
            decay: 0.99,
            init_encoder: String::new(),
            freeze_encoder: false,
            freeze_heads: false,
            init: String::new(),
        }
    }
}
