//! VAEs of plain convolutions without norms: `basic` and `conv3`. The diagram shows their default channels.
//!
//! ```text
//! basic  x [n, C, S, S] → 32, S/2 → 64, S/4 → mu, logvar [n, z]             convolutions 3×3, stride 2, and ReLUs
//!        z [n, z] → 64, S/4 → 64, S/2 → 32, S → C, S                        transposed 3×3, stride 2, the last 1
//! conv3  x [n, C, S, S] → 64, S/2 → 128, S/4 → 256, S/8 → mu, logvar [n, z]
//!        z [n, z] → 256, S/8 → 128, S/4 → 64, S/2 → C, S                    transposed 4×4, stride 2
//! ```
//!
//! One linear layer connects feature maps and latents in each direction. In the decoder of `conv3` a ReLU follows it.
//! The `basic` of the papers has one layer of 2z features for both heads; `mu` and `logvar` are its two halves. With
//! `model.down = "pool"` all strides are 1, max pooling halves the size, nearest-neighbour upsampling doubles it, and
//! the decoder of `conv3` has 3×3 convolutions.

use autograd::{Interpolation, Pool, Var};
use nn::{Conv2d, ConvTranspose2d, ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use crate::config::{Config, Down, ModelKind};
use crate::model::Vae;
use crate::model::gaussian::Gaussian;

/// A VAE of plain convolutions without norms, `[n, C, S, S]` → mu, logvar `[n, z]` → `[n, C, S, S]`. `basic` has two
/// 3×3 convolutions of stride 2 and three transposed 3×3. `conv3` has three 3×3 convolutions of stride 2 and three
/// transposed 4×4.
pub struct Convolutional {
    encoder: Encoder,
    decoder: Decoder,
}

impl Convolutional {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Convolutional {
        let widths = config.model.conv_widths();
        let (side, last) = (config.image_size() >> widths.len(), *widths.last().expect("one convolution at least"));
        let first_shape = [last, side, side];
        let encoder = Encoder::new(rng, config, first_shape.iter().product());
        Convolutional { encoder, decoder: Decoder::new(rng, config, first_shape) }
    }
}

impl Vae for Convolutional {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        self.encoder.forward(x, ctx)
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        self.decoder.forward(z, ctx)
    }
}

nn::module!(Convolutional { encoder, decoder });

struct Encoder {
    trunk: Trunk,
    gaussian: Gaussian,
}

impl Encoder {
    fn new(rng: &mut Generator, config: &Config, features: usize) -> Encoder {
        let (trunk, z) = (Trunk::new(rng, config, config.encoder_channels()), config.model.z_dim);
        Encoder { trunk, gaussian: Gaussian::new(rng, features, z) }
    }

    fn forward(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let x = self.trunk.forward(x, ctx);
        let [batch, channels, height, width] = x.shape().nchw("encoder");
        self.gaussian.forward(&x.reshape([batch, channels * height * width]), ctx)
    }
}

nn::module!(Encoder { ..trunk, ..gaussian });

/// An encoder without its heads, for images with any number of channels.
pub(crate) struct Trunk {
    convs: Vec<Conv2d>,
    /// The pooling after each convolution of stride 1.
    pool: Option<Pool>,
}

impl Trunk {
    pub(crate) fn new(rng: &mut Generator, config: &Config, channels: usize) -> Trunk {
        let (stride, pool) = match config.model.down {
            Down::Stride => (2, None),
            Down::Pool => (1, Some(Pool { kernel: 2, stride: 2, padding: 0 })),
        };
        let mut input = channels;
        let mut conv =
            |&width| Conv2d::new(rng, std::mem::replace(&mut input, width), width, 3).stride(stride).padding(1);
        let convs = config.model.conv_widths().iter().map(&mut conv).collect();
        Trunk { convs, pool }
    }
}

impl Layer for Trunk {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let mut x = x.clone();
        for (conv, i) in self.convs.iter().zip(1..) {
            x = conv.forward(&x, ctx).relu();
            if let Some(pool) = self.pool {
                x = x.max_pool2d(pool);
            }
            ctx.record_stage(format_args!("encoder.conv{i}"), &x);
        }
        x
    }
}

impl Module for Trunk {
    fn visit(&self, v: &mut Visitor) {
        self.convs.iter().zip(1..).for_each(|(conv, i)| v.child(&format!("conv{i}"), conv));
    }
}

struct Decoder {
    linear: Linear,
    relu: bool,
    /// Channels, rows and columns of the first feature maps.
    first_shape: [usize; 3],
    decoder_trunk: DecoderTrunk,
}

/// A transposed convolution with an optional enlargement before it.
struct Up {
    enlarge: bool,
    conv: ConvTranspose2d,
}

impl Decoder {
    fn new(rng: &mut Generator, config: &Config, first_shape: [usize; 3]) -> Decoder {
        let linear = Linear::new(rng, config.decoder_inputs(), first_shape.iter().product());
        let relu = config.model.kind != ModelKind::Basic;
        Decoder { linear, relu, first_shape, decoder_trunk: DecoderTrunk::new(rng, config) }
    }

    fn forward(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let x = self.linear.forward(z, ctx);
        let x = if self.relu { x.relu() } else { x };
        let [channels, height, width] = self.first_shape;
        self.decoder_trunk.forward(&x.reshape([z.shape()[0], channels, height, width]), ctx)
    }
}

nn::module!(Decoder { linear, ..decoder_trunk });

/// A decoder without its linear layer: feature maps, as many as the encoder's last → images.
pub(crate) struct DecoderTrunk {
    convs: Vec<Up>,
}

impl DecoderTrunk {
    pub(crate) fn new(rng: &mut Generator, config: &Config) -> DecoderTrunk {
        let (model, colours) = (&config.model, config.channels());
        let same = |rng: &mut Generator, input, output| ConvTranspose2d::new(rng, input, output, 3).padding(1);
        let doubling = |rng: &mut Generator, input, output| match (model.down, model.body()) {
            (Down::Pool, _) => same(rng, input, output),
            (Down::Stride, ModelKind::Basic) => same(rng, input, output).stride(2).output_padding(1),
            (Down::Stride, _) => ConvTranspose2d::new(rng, input, output, 4).stride(2).padding(1),
        };
        let basic = model.body() == ModelKind::Basic;
        // The output channels of each doubling convolution. Those of `basic` end with its first width at full size,
        // those of `conv3` with the image channels.
        let widths = model.conv_widths().iter().rev().copied();
        let outputs: Vec<usize> = if basic { widths.collect() } else { widths.skip(1).chain([colours]).collect() };
        let mut input = *model.conv_widths().last().expect("one convolution at least");
        let mut convs = Vec::new();
        for output in outputs {
            convs.push(Up { enlarge: model.down == Down::Pool, conv: doubling(rng, input, output) });
            input = output;
        }
        if basic {
            convs.push(Up { enlarge: false, conv: same(rng, input, colours) });
        }
        DecoderTrunk { convs }
    }
}

impl Layer for DecoderTrunk {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let mut x = x.clone();
        for (i, up) in self.convs.iter().enumerate() {
            if i > 0 {
                x = x.relu();
                ctx.record_stage(format_args!("decoder.conv{i}"), &x);
            }
            if up.enlarge {
                let [_, _, height, width] = x.shape().nchw("decoder");
                x = x.interpolate([2 * height, 2 * width], Interpolation::Nearest);
            }
            x = up.conv.forward(&x, ctx);
        }
        x
    }
}

impl Module for DecoderTrunk {
    fn visit(&self, v: &mut Visitor) {
        self.convs.iter().zip(1..).for_each(|(up, i)| v.child(&format!("conv{i}"), &up.conv));
    }
}
