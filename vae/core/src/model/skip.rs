//! A VAE of blocks that halve or enlarge, with a convolution in their shortcut. w = `model.width`, 64 by default; act
//! is a leaky ReLU.
//!
//! ```text
//! x [n, C, S, S] → down w, S/2 → down 2w, S/4 → down 4w, S/8 → down 8w, S/16 → S/16 × S/16: mu, logvar [n, z]
//! z [n, z, 1, 1] → up 8w, S/16 → up 4w, S/8 → up 2w, S/4 → up w, S/2 → up w/2, S → convolution 3×3: C, S
//!
//! two-conv        down: y = norm(conv₂(pool(act(norm(conv₁ x)))))    out = act(y + conv(pool x))     conv₁ to half of out
//!                 up:   y = norm(conv₂(act(norm(conv₁(enlarged x)))))  out = act(y + conv(enlarged x))
//! pre-activation  h = conv₁ x, of stride 2, or of x enlarged         out = h + norm(conv₂(act(norm h)))
//!                 z [n, z] → linear 8w, S/16 → up 4w, S/8 → up 2w, S/4 → up w, S/2 → up w, S → convolution 3×3: C, S
//! ```
//!
//! The paper's model has `two-conv` blocks. In `pre-activation` blocks the shortcut is the identity, and a linear layer
//! computes the first feature maps of the decoder. This interpretation of the paper's text has the 19,682,307
//! parameters that it states, at 64 pixels and z = 512. All convolutions are 3×3 and have a bias. Pooling is average
//! pooling over 2×2, and enlarging is nearest-neighbour interpolation.

use autograd::{Act, Interpolation, Pool, Var};
use nn::{BatchNorm2d, Conv2d, ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use crate::config::{Config, SkipBlock};
use crate::model::residual::{in_chain, norm_act};
use crate::model::{Vae, clamp_logvar};

/// A VAE of blocks with convolutions in their shortcuts: `[n, C, S, S]` → four blocks that halve → mu, logvar `[n, z]`
/// → five blocks that enlarge → `[n, C, S, S]`. `pre-activation` replaces the first block of the decoder by a linear
/// layer. S is a multiple of 16.
pub struct Skip {
    encoder: Encoder,
    decoder: Decoder,
}

impl Skip {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Skip {
        let (w, z, colours, first_size) =
            (config.model.width, config.model.z_dim, config.channels(), config.image_size() / 16);
        let mut block = |input, output, resize| in_chain(config, Block::new(rng, config, input, output, resize));
        let down = [(config.encoder_channels(), w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w)];
        let down = down.map(|(input, output)| block(input, output, Resize::Halve));
        let (first, last) = match config.model.block {
            SkipBlock::TwoConv => (Some((config.decoder_inputs(), 8 * w, first_size)), w.div_ceil(2)),
            SkipBlock::PreActivation => (None, w),
        };
        let up = [(8 * w, 4 * w, 2), (4 * w, 2 * w, 2), (2 * w, w, 2), (w, last, 2)];
        let up = first.into_iter().chain(up);
        let up = up.map(|(input, output, times)| block(input, output, Resize::Enlarge(times))).collect();
        let mu = Conv2d::new(rng, 8 * w, z, first_size);
        let encoder = Encoder { down, mu, logvar: Conv2d::new(rng, 8 * w, z, first_size) };
        let maps = [8 * w, first_size, first_size];
        let linear = first.is_none().then(|| Linear::new(rng, config.decoder_inputs(), maps.iter().product()));
        Skip { encoder, decoder: Decoder { linear, maps, up, conv1: conv3x3(rng, last, colours) } }
    }
}

impl Vae for Skip {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let x = forward_blocks(&self.encoder.down, x.clone(), "encoder.down", ctx);
        let head = |conv: &Conv2d| {
            let y = conv.forward(&x, ctx);
            let [batch, latents, _, _] = y.shape().nchw("skip");
            y.reshape([batch, latents])
        };
        (head(&self.encoder.mu), clamp_logvar(&head(&self.encoder.logvar)))
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let [batch, latents] = z.shape().matrix("skip");
        let [channels, height, width] = self.decoder.maps;
        let z = match &self.decoder.linear {
            Some(linear) => linear.forward(z, ctx).reshape([batch, channels, height, width]),
            None => z.reshape([batch, latents, 1, 1]),
        };
        let x = forward_blocks(&self.decoder.up, z, "decoder.up", ctx);
        self.decoder.conv1.forward(&x, ctx)
    }
}

nn::module!(Skip { encoder, decoder });

struct Encoder {
    down: [Box<dyn Layer>; 4],
    mu: Conv2d,
    logvar: Conv2d,
}

impl Module for Encoder {
    fn visit(&self, v: &mut Visitor) {
        self.down.iter().zip(1..).for_each(|(block, i)| v.child(&format!("down{i}"), block));
        v.child("mu", &self.mu);
        v.child("logvar", &self.logvar);
    }
}

struct Decoder {
    /// The linear layer of the `pre-activation` decoder.
    linear: Option<Linear>,
    maps: [usize; 3],
    up: Vec<Box<dyn Layer>>,
    conv1: Conv2d,
}

impl Module for Decoder {
    fn visit(&self, v: &mut Visitor) {
        v.child("linear", &self.linear);
        self.up.iter().zip(1..).for_each(|(block, i)| v.child(&format!("up{i}"), block));
        v.child("conv1", &self.conv1);
    }
}

/// The change of size by a block.
#[derive(Clone, Copy)]
enum Resize {
    Halve,
    Enlarge(usize),
}

struct Block {
    resize: Resize,
    act: Act,
    conv1: Conv2d,
    bn1: Option<BatchNorm2d>,
    conv2: Conv2d,
    bn2: Option<BatchNorm2d>,
    /// The convolution in the shortcut of a `two-conv` block; `None` for a `pre-activation` block.
    shortcut: Option<Conv2d>,
}

impl Block {
    fn new(rng: &mut Generator, config: &Config, input: usize, output: usize, resize: Resize) -> Block {
        let model = &config.model;
        let norm = |channels| model.batch_norm.then(|| BatchNorm2d::new(channels));
        let act = Act::LeakyRelu(model.slope as f32);
        match model.block {
            SkipBlock::TwoConv => {
                let middle = output.div_ceil(2);
                let (conv1, conv2) = (conv3x3(rng, input, middle), conv3x3(rng, middle, output));
                let shortcut = Some(conv3x3(rng, input, output));
                Block { resize, act, conv1, bn1: norm(middle), conv2, bn2: norm(output), shortcut }
            }
            SkipBlock::PreActivation => {
                let stride = if matches!(resize, Resize::Halve) { 2 } else { 1 };
                let conv1 = Conv2d::new(rng, input, output, 3).stride(stride).padding(1);
                let conv2 = conv3x3(rng, output, output);
                Block { resize, act, conv1, bn1: norm(output), conv2, bn2: norm(output), shortcut: None }
            }
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let first = |h: &Var| norm_act(&self.bn1, h, None, self.act, ctx);
        let second =
            |y: &Var, around: &Var, act| norm_act(&self.bn2, &self.conv2.forward(y, ctx), Some(around), act, ctx);
        let Some(shortcut) = &self.shortcut else {
            let h = match self.resize {
                Resize::Halve => self.conv1.forward(x, ctx), // its stride is 2
                Resize::Enlarge(times) => self.conv1.forward(&enlarge(x, times), ctx),
            };
            return second(&first(&h), &h, Act::Identity);
        };
        let (y, x) = match self.resize {
            Resize::Halve => (halve(&first(&self.conv1.forward(x, ctx))), halve(x)),
            Resize::Enlarge(times) => {
                let x = enlarge(x, times);
                (first(&self.conv1.forward(&x, ctx)), x)
            }
        };
        second(&y, &shortcut.forward(&x, ctx), self.act)
    }
}

/// Applies blocks in sequence. Each is recorded as a stage with its number.
fn forward_blocks(blocks: &[Box<dyn Layer>], x: Var, name: &str, ctx: &ForwardContext) -> Var {
    blocks.iter().zip(1..).fold(x, |x, (block, i)| {
        let x = block.forward(&x, ctx);
        ctx.record_stage(format_args!("{name}{i}"), &x);
        x
    })
}

fn conv3x3(rng: &mut Generator, input: usize, output: usize) -> Conv2d {
    Conv2d::new(rng, input, output, 3).padding(1)
}

fn halve(x: &Var) -> Var {
    x.avg_pool2d(Pool { kernel: 2, stride: 2, padding: 0 })
}

fn enlarge(x: &Var, times: usize) -> Var {
    let [_, _, height, width] = x.shape().nchw("enlarge");
    x.interpolate([times * height, times * width], Interpolation::Nearest)
}

nn::module!(Block { conv1, bn1, conv2, bn2, shortcut });
