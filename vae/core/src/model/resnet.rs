//! ResNet-18 and ResNet-50 as encoders, with mirrored networks as decoders. w = `model.width`, 64 by default; the
//! expansion e is 1 for ResNet-18 and 4 for ResNet-50.
//!
//! ```text
//! x [n, C, S, S] → stem w, S/2 → stages ew, S/2 → 2ew, S/4 → 4ew, S/8 → 8ew, S/16 → means [n, 8ew] → mu, logvar [n, z]
//! z [n, z] → linear [n, 8ew] → S/16 → stages 4ew, S/8 → 2ew, S/4 → ew, S/2 → w, S/2 → ×2, convolution: C, S
//!
//! resnet18  blocks of 3×3, 3×3:           encoder 2 2 2 2, decoder 2 2 2 2; the decoder's convolutions are transposed
//! resnet50  bottlenecks of 1×1, 3×3, 1×1: encoder 3 4 6 3, decoder 3 6 4 3
//! ```
//!
//! In the encoder, the first block of each stage but the first halves the size, with a 1×1 convolution as its shortcut.
//! In the decoder, the last block of each of the first three stages doubles the size, in its 3×3 convolution and in its
//! shortcut. The shortcut is 3×3 in resnet18 and 1×1 in resnet50. In resnet50 the last block of the fourth stage also
//! has a shortcut, because it reduces the channels. The encoder's parameters have the names of torchvision, so the
//! convolutions of torchvision checkpoints load by name.

use autograd::{Act, Interpolation, Pool, Var};
use nn::{BatchNorm2d, Conv2d, ConvTranspose2d, ForwardContext, Layer, Linear, Module, Sequential, Visitor};
use tensor::Generator;

use crate::config::{Config, DecoderConv, ModelKind, Stem, Upsampling};
use crate::model::Vae;
use crate::model::gaussian::Gaussian;
use crate::model::residual::{Block, Shortcut, Unit, in_chain};

/// A residual VAE (He et al., 1512.03385). The encoder is a ResNet-18 or ResNet-50, `[n, C, S, S]` → spatial means
/// `[n, 8w]` or `[n, 32w]` → mu, logvar `[n, z]`. The decoder is its mirror image. S is a multiple of 16.
pub struct Resnet {
    encoder: Encoder,
    decoder: Decoder,
}

impl Resnet {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Resnet {
        let encoder = Encoder::new(rng, config);
        Resnet { encoder, decoder: Decoder::new(rng, config) }
    }
}

impl Vae for Resnet {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        self.encoder.forward(x, ctx)
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        self.decoder.forward(z, ctx)
    }
}

nn::module!(Resnet { encoder, decoder });

struct Encoder {
    trunk: Trunk,
    gaussian: Gaussian,
}

impl Encoder {
    fn new(rng: &mut Generator, config: &Config) -> Encoder {
        let trunk = Trunk::new(rng, config, config.encoder_channels());
        let gaussian = Gaussian::new(rng, trunk.features, config.model.z_dim);
        Encoder { trunk, gaussian }
    }

    fn forward(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        self.gaussian.forward(&self.trunk.forward(x, ctx).global_avg_pool2d(), ctx)
    }
}

nn::module!(Encoder { ..trunk, ..gaussian });

/// An encoder without its heads: images with any number of channels → feature maps `[n, 8ew, S/16, S/16]`.
pub(crate) struct Trunk {
    stem: Unit,
    pool: Option<Pool>,
    stages: [Sequential; 4],
    /// The number of channels of the last feature maps.
    pub(crate) features: usize,
}

impl Trunk {
    pub(crate) fn new(rng: &mut Generator, config: &Config, channels: usize) -> Trunk {
        let (w, norm) = (config.model.width, config.model.batch_norm);
        let (kernel, pool) = match config.model.stem {
            Stem::Small => (3, None),
            Stem::Large => (7, Some(Pool { kernel: 3, stride: 2, padding: 1 })),
        };
        let stem = conv_norm(rng, channels, w, kernel, 2, norm);
        let (expansion, counts) = blocks(config.model.body());
        let mut input = w;
        let mut stage = |i: usize| {
            let (middle, output) = (w << i, expansion * (w << i));
            let block = |rng: &mut Generator, n: usize| -> Box<dyn Layer> {
                let from = if n == 0 { input } else { output };
                let stride = if n == 0 && i > 0 { 2 } else { 1 };
                in_chain(config, encoder_block(rng, from, middle, output, stride, norm))
            };
            let stage = Sequential::new((0..counts[i]).map(|n| block(rng, n)).collect());
            input = output;
            stage
        };
        let stages = [stage(0), stage(1), stage(2), stage(3)];
        Trunk { stem, pool, stages, features: input }
    }
}

impl Layer for Trunk {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let mut x = self.stem.forward(x, None, Act::Relu, ctx);
        if let Some(pool) = self.pool {
            x = x.max_pool2d(pool);
        }
        ctx.record_stage("encoder.stem", &x);
        for (stage, i) in self.stages.iter().zip(1..) {
            x = stage.forward(&x, ctx);
            ctx.record_stage(format_args!("encoder.layer{i}"), &x);
        }
        x
    }
}

impl Module for Trunk {
    fn visit(&self, v: &mut Visitor) {
        self.stem.visit(v, "conv1", "bn1");
        for (i, stage) in self.stages.iter().enumerate() {
            v.child(&format!("layer{}", i + 1), stage);
        }
    }
}

/// Returns the expansion of a block (output channels / middle channels) and the number of blocks in each stage.
fn blocks(kind: ModelKind) -> (usize, [usize; 4]) {
    match kind {
        ModelKind::Resnet50 => (4, [3, 4, 6, 3]),
        _ => (1, [2, 2, 2, 2]),
    }
}

fn encoder_block(rng: &mut Generator, input: usize, middle: usize, output: usize, stride: usize, norm: bool) -> Block {
    let units = if middle == output {
        vec![conv_norm(rng, input, output, 3, stride, norm), conv_norm(rng, output, output, 3, 1, norm)]
    } else {
        let narrow = conv_norm(rng, input, middle, 1, 1, norm);
        vec![narrow, conv_norm(rng, middle, middle, 3, stride, norm), conv_norm(rng, middle, output, 1, 1, norm)]
    };
    let changes = stride != 1 || input != output;
    let shortcut =
        changes.then(|| Shortcut { name: "downsample", unit: conv_norm(rng, input, output, 1, stride, norm) });
    Block { units, shortcut }
}

/// Creates a convolution that keeps the size at stride 1, with its norm. Without norms it has a bias.
fn conv_norm(rng: &mut Generator, input: usize, output: usize, kernel: usize, stride: usize, norm: bool) -> Unit {
    let conv = Conv2d::new(rng, input, output, kernel).stride(stride).padding(kernel / 2);
    let conv = if norm { conv.no_bias() } else { conv };
    Unit { conv: Box::new(conv), enlarge: None, norm: norm.then(|| BatchNorm2d::new(output)) }
}

/// A decoder: latents `[n, z]` → images.
pub(crate) struct Decoder {
    linear: Linear,
    /// The side of the first feature maps.
    first_size: usize,
    decoder_trunk: DecoderTrunk,
}

impl Decoder {
    pub(crate) fn new(rng: &mut Generator, config: &Config) -> Decoder {
        let (expansion, _) = blocks(config.model.body());
        let linear = Linear::new(rng, config.decoder_inputs(), expansion * 8 * config.model.width);
        Decoder { linear, first_size: config.image_size() / 16, decoder_trunk: DecoderTrunk::new(rng, config) }
    }

    pub(crate) fn forward(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let x = self.linear.forward(z, ctx);
        let [batch, channels] = x.shape().matrix("decoder");
        let x = x
            .reshape([batch, channels, 1, 1])
            .interpolate([self.first_size, self.first_size], self.decoder_trunk.interpolation);
        self.decoder_trunk.forward(&x, ctx)
    }
}

nn::module!(Decoder { linear, ..decoder_trunk });

/// A decoder without its linear layer: feature maps `[n, 8ew, S/16, S/16]` → images.
pub(crate) struct DecoderTrunk {
    interpolation: Interpolation,
    /// In the order of execution: `layer4` … `layer1`.
    stages: [Sequential; 4],
    conv1: Unit,
}

impl DecoderTrunk {
    pub(crate) fn new(rng: &mut Generator, config: &Config) -> DecoderTrunk {
        let w = config.model.width;
        let interpolation = match config.model.upsample {
            Upsampling::Bilinear => Interpolation::Bilinear { align_corners: false },
            Upsampling::Nearest => Interpolation::Nearest,
        };
        let up = Up { interpolation, conv: config.model.decoder_conv, norm: config.model.batch_norm };
        let (expansion, counts) = blocks(config.model.body());
        let stages = [3, 2, 1, 0].map(|i| {
            let (middle, input) = (w << i, expansion * (w << i));
            let output = if i == 0 { w } else { input / 2 };
            let block = |rng: &mut Generator, output, enlarge| -> Box<dyn Layer> {
                let block = match expansion {
                    1 => up.block(rng, input, output, enlarge),
                    _ => up.bottleneck(rng, input, middle, output, enlarge),
                };
                in_chain(config, block)
            };
            let mut stage: Vec<_> = (1..counts[i]).map(|_| block(rng, input, false)).collect();
            stage.push(block(rng, output, i > 0));
            Sequential::new(stage)
        });
        let conv1 = Unit { norm: None, ..up.conv3x3(rng, w, config.channels(), true, true) };
        DecoderTrunk { interpolation, stages, conv1 }
    }
}

impl Layer for DecoderTrunk {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let mut x = x.clone();
        for (stage, i) in self.stages.iter().zip([4, 3, 2, 1]) {
            x = stage.forward(&x, ctx);
            ctx.record_stage(format_args!("decoder.layer{i}"), &x);
        }
        self.conv1.forward(&x, None, Act::Identity, ctx)
    }
}

impl Module for DecoderTrunk {
    fn visit(&self, v: &mut Visitor) {
        for (stage, i) in self.stages.iter().zip([4, 3, 2, 1]) {
            v.child(&format!("layer{i}"), stage);
        }
        self.conv1.visit(v, "conv1", "bn1");
    }
}

/// The decoder's options.
struct Up {
    interpolation: Interpolation,
    conv: DecoderConv,
    norm: bool,
}

impl Up {
    fn block(&self, rng: &mut Generator, input: usize, output: usize, enlarge: bool) -> Block {
        let units =
            vec![self.conv3x3(rng, input, input, false, false), self.conv3x3(rng, input, output, enlarge, enlarge)];
        let shortcut =
            enlarge.then(|| Shortcut { name: "upsample", unit: self.conv3x3(rng, input, output, true, true) });
        Block { units, shortcut }
    }

    fn bottleneck(&self, rng: &mut Generator, input: usize, middle: usize, output: usize, enlarge: bool) -> Block {
        let narrow = self.conv1x1(rng, input, middle, false);
        let units =
            vec![narrow, self.conv3x3(rng, middle, middle, enlarge, false), self.conv1x1(rng, middle, output, false)];
        let changes = input != output;
        let shortcut = changes.then(|| Shortcut { name: "upsample", unit: self.conv1x1(rng, input, output, enlarge) });
        Block { units, shortcut }
    }

    /// Creates a 1×1 convolution with its norm. A transposed 1×1 convolution would be the same function.
    fn conv1x1(&self, rng: &mut Generator, input: usize, output: usize, enlarge: bool) -> Unit {
        Unit { enlarge: enlarge.then_some(self.interpolation), ..conv_norm(rng, input, output, 1, 1, self.norm) }
    }

    /// Creates a 3×3 convolution with its norm. It always has a bias if there are no norms.
    fn conv3x3(&self, rng: &mut Generator, input: usize, output: usize, enlarge: bool, bias: bool) -> Unit {
        let bias = bias || !self.norm;
        let conv: Box<dyn Layer> = match self.conv {
            DecoderConv::Transposed => {
                let conv = ConvTranspose2d::new(rng, input, output, 3).padding(1);
                Box::new(if bias { conv } else { conv.no_bias() })
            }
            DecoderConv::Plain => {
                let conv = Conv2d::new(rng, input, output, 3).padding(1);
                Box::new(if bias { conv } else { conv.no_bias() })
            }
        };
        Unit { conv, enlarge: enlarge.then_some(self.interpolation), norm: self.norm.then(|| BatchNorm2d::new(output)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Stem};
    use crate::learn::Summary;
    use crate::model::build;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        all.assignment("data.kind=cifar10").unwrap();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    #[test]
    fn encoder_parameters_have_the_names_of_torchvision() {
        let model = build(&config(&["model.width=2", "model.z_dim=3"]));
        let mut names = Vec::new();
        nn::visit(&*model, |name, _| names.push(name.to_owned()));
        for name in [
            "encoder.conv1.weight",
            "encoder.bn1.running_mean",
            "encoder.layer2.0.downsample.0.weight",
            "encoder.layer2.0.downsample.1.running_var",
            "encoder.layer4.1.bn2.bias",
            "encoder.logvar.bias",
            "decoder.linear.weight",
            "decoder.layer4.1.upsample.0.bias",
            "decoder.layer4.1.upsample.1.weight",
            "decoder.layer1.1.conv2.weight",
            "decoder.conv1.bias",
        ] {
            assert!(names.iter().any(|n| n == name), "{name} is missing");
        }
        for name in ["encoder.layer1.0.downsample.0.weight", "encoder.conv1.bias", "decoder.layer1.1.upsample.0.weight"]
        {
            assert!(names.iter().all(|n| n != name), "{name} should not be there");
        }
        assert_eq!(names[..2], ["encoder.conv1.weight", "encoder.bn1.weight"]);
    }

    #[test]
    fn bottlenecks_have_the_names_and_counts_of_torchvision_and_are_mirrored_in_the_decoder() {
        let model = build(&config(&["model.kind=resnet50", "model.width=2", "model.z_dim=3"]));
        let shapes: Vec<_> =
            nn::parameters(&*model).into_iter().map(|(name, param)| (name, param.shape().to_vec())).collect();
        for (name, shape) in [
            ("encoder.layer1.0.downsample.0.weight", [8, 2, 1, 1]),
            ("encoder.layer1.0.conv1.weight", [2, 2, 1, 1]),
            ("encoder.layer2.0.conv2.weight", [4, 4, 3, 3]),
            ("encoder.layer2.3.conv3.weight", [16, 4, 1, 1]),
            ("encoder.layer3.5.conv1.weight", [8, 32, 1, 1]),
            ("encoder.layer4.2.conv3.weight", [64, 16, 1, 1]),
            ("decoder.layer4.2.conv3.weight", [32, 16, 1, 1]),
            ("decoder.layer4.2.upsample.0.weight", [32, 64, 1, 1]),
            ("decoder.layer3.5.conv2.weight", [8, 8, 3, 3]),
            ("decoder.layer2.3.upsample.0.weight", [8, 16, 1, 1]),
            ("decoder.layer1.2.upsample.0.weight", [2, 8, 1, 1]),
            ("decoder.conv1.weight", [2, 3, 3, 3]),
        ] {
            assert!(shapes.contains(&(name.into(), shape.into())), "{name} {shape:?} is missing");
        }
        let blocks =
            |stage: &str, last: usize| shapes.iter().all(|(name, _)| !name.starts_with(&format!("{stage}.{last}.")));
        for (stage, count) in [("layer4", 3), ("layer3", 6), ("layer2", 4), ("layer1", 3)] {
            assert!(
                blocks(&format!("decoder.{stage}"), count) && blocks(&format!("encoder.{stage}"), count),
                "{stage}"
            );
        }
        let biases: Vec<_> =
            shapes.iter().filter(|(name, _)| name.contains("conv") && name.ends_with("bias")).collect();
        assert_eq!(biases.len(), 1, "only the last convolution has one: {biases:?}");
    }

    #[test]
    fn every_option_and_size_gives_images_of_the_input_size() {
        for (stem, size) in [(Stem::Small, 16), (Stem::Small, 48), (Stem::Large, 64)] {
            for options in
                [["upsample=bilinear", "decoder_conv=transposed"], ["upsample=nearest", "decoder_conv=plain"]]
            {
                let mut config = config(&["model.width=2", "model.z_dim=3"]);
                config.model.stem = stem;
                config.data.image_size = Some(size);
                config.model.batch_norm = size != 16;
                if options[0].ends_with("nearest") {
                    config.model.upsample = Upsampling::Nearest;
                    config.model.decoder_conv = DecoderConv::Plain;
                }
                config.check().unwrap();
                let summary = Summary::new(&config, &*crate::learn::build(&config));
                assert_eq!(summary.layers.last().unwrap().output, vec![3, size, size], "{options:?}");
                let mu = summary.layers.iter().find(|row| row.name == "encoder.mu").unwrap();
                assert_eq!((&mu.output[..], mu.parameters), (&[3][..], 16 * 3 + 3));
            }
        }
    }
}
