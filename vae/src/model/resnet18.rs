//! ResNet-18 and its mirror image, widths w, 2w, 4w, 8w (w = 64).
//!
//! Encoder: x [n, C, S, S] → stem → stages at S/2, S/4, S/8, S/16 → mean of each channel [n, 8w] → mu, logvar [n, z].
//! Decoder: z [n, z] → linear [n, 8w] → enlarged to S/16 → stages 4 3 2 1, the first three ending ×2 → ×2, convolution
//! to C. Encoder names are torchvision's, so its checkpoints' convolutions load by name.

use autograd::{Act, Conv, ConvTranspose, Interpolation, Pool, Var};
use nn::{BatchNorm2d, Conv2d, ConvTranspose2d, Layer, Linear, Module, Pass, Visitor};
use tensor::Generator;

use crate::config::{Config, DecoderConv, Stem, Upsampling};
use crate::model::residual::{Block, Shortcut, Stage, Unit};
use crate::model::{Vae, clamp_logvar};

/// The residual VAE.
pub struct Resnet18 {
    encoder: Encoder,
    decoder: Decoder,
}

impl Resnet18 {
    /// With PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Resnet18 {
        let encoder = Encoder::new(rng, config);
        Resnet18 { encoder, decoder: Decoder::new(rng, config) }
    }
}

impl Vae for Resnet18 {
    fn encode(&self, x: &Var, pass: &Pass) -> (Var, Var) {
        self.encoder.forward(x, pass)
    }

    fn decode(&self, z: &Var, pass: &Pass) -> Var {
        self.decoder.forward(z, pass)
    }
}

impl Module for Resnet18 {
    fn visit(&self, v: &mut Visitor) {
        v.child("encoder", &self.encoder);
        v.child("decoder", &self.decoder);
    }
}

struct Encoder {
    stem: Unit,
    pool: Option<Pool>,
    stages: [Stage; 4],
    mu: Linear,
    logvar: Linear,
}

impl Encoder {
    fn new(rng: &mut Generator, config: &Config) -> Encoder {
        let (w, norm) = (config.model.width, config.model.batch_norm);
        let (kernel, pool) = match config.model.stem {
            Stem::Small => (3, None),
            Stem::Large => (7, Some(Pool { kernel: 3, stride: 2, padding: 1 })),
        };
        let stem = down(rng, config.channels(), w, kernel, 2, norm);
        let stages = [(w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 2)].map(|(input, output, stride)| {
            Stage(vec![encoder_block(rng, input, output, stride, norm), encoder_block(rng, output, output, 1, norm)])
        });
        let mu = Linear::new(rng, 8 * w, config.model.z_dim);
        Encoder { stem, pool, stages, mu, logvar: Linear::new(rng, 8 * w, config.model.z_dim) }
    }

    fn forward(&self, x: &Var, pass: &Pass) -> (Var, Var) {
        let mut x = self.stem.forward(x, None, Act::Relu, pass);
        if let Some(pool) = self.pool {
            x = x.max_pool2d(pool);
        }
        for stage in &self.stages {
            x = stage.forward(&x, pass);
        }
        let x = x.global_avg_pool2d();
        (self.mu.forward(&x, pass), clamp_logvar(&self.logvar.forward(&x, pass)))
    }
}

impl Module for Encoder {
    fn visit(&self, v: &mut Visitor) {
        self.stem.visit(v, "conv1", "bn1");
        for (i, stage) in self.stages.iter().enumerate() {
            v.child(&format!("layer{}", i + 1), stage);
        }
        v.child("mu", &self.mu);
        v.child("logvar", &self.logvar);
    }
}

fn encoder_block(rng: &mut Generator, input: usize, output: usize, stride: usize, norm: bool) -> Block {
    let (first, second) = (down(rng, input, output, 3, stride, norm), down(rng, output, output, 3, 1, norm));
    let narrows = stride != 1 || input != output;
    let shortcut = narrows.then(|| Shortcut { name: "downsample", unit: down(rng, input, output, 1, stride, norm) });
    Block { first, second, shortcut }
}

/// A convolution that keeps the size at stride 1, and its norm; without norms it has a bias.
fn down(rng: &mut Generator, input: usize, output: usize, kernel: usize, stride: usize, norm: bool) -> Unit {
    let conv = Conv2d::new(rng, input, output, kernel, Conv { stride, padding: kernel / 2 }, !norm);
    Unit { conv: Box::new(conv), enlarge: None, norm: norm.then(|| BatchNorm2d::new(output)) }
}

struct Decoder {
    linear: Linear,
    /// Side of the first maps.
    seed: usize,
    how: Interpolation,
    /// In the order they run: `layer4` … `layer1`.
    stages: [Stage; 4],
    conv1: Unit,
}

impl Decoder {
    fn new(rng: &mut Generator, config: &Config) -> Decoder {
        let w = config.model.width;
        let how = match config.model.upsample {
            Upsampling::Bilinear => Interpolation::Bilinear { align_corners: false },
            Upsampling::Nearest => Interpolation::Nearest,
        };
        let up = Up { how, conv: config.model.decoder_conv, norm: config.model.batch_norm };
        let linear = Linear::new(rng, config.model.z_dim, 8 * w);
        let stages = [(8 * w, 4 * w, true), (4 * w, 2 * w, true), (2 * w, w, true), (w, w, false)].map(
            |(input, output, enlarge)| {
                Stage(vec![up.block(rng, input, input, false), up.block(rng, input, output, enlarge)])
            },
        );
        let conv1 = Unit { norm: None, ..up.unit(rng, w, config.channels(), true) };
        Decoder { linear, seed: config.image_size() / 16, how, stages, conv1 }
    }

    fn forward(&self, z: &Var, pass: &Pass) -> Var {
        let x = self.linear.forward(z, pass);
        let [batch, channels] = x.shape().matrix("decoder");
        let mut x = x.reshape([batch, channels, 1, 1]).interpolate([self.seed, self.seed], self.how);
        for stage in &self.stages {
            x = stage.forward(&x, pass);
        }
        self.conv1.forward(&x, None, Act::Identity, pass)
    }
}

impl Module for Decoder {
    fn visit(&self, v: &mut Visitor) {
        v.child("linear", &self.linear);
        for (stage, i) in self.stages.iter().zip([4, 3, 2, 1]) {
            v.child(&format!("layer{i}"), stage);
        }
        self.conv1.visit(v, "conv1", "bn1");
    }
}

/// The decoder's options.
struct Up {
    how: Interpolation,
    conv: DecoderConv,
    norm: bool,
}

impl Up {
    fn block(&self, rng: &mut Generator, input: usize, output: usize, enlarge: bool) -> Block {
        let (first, second) = (self.unit(rng, input, input, false), self.unit(rng, input, output, enlarge));
        let shortcut = enlarge.then(|| Shortcut { name: "upsample", unit: self.unit(rng, input, output, true) });
        Block { first, second, shortcut }
    }

    /// A 3×3 convolution and its norm; with a bias where it enlarges, or has no norm.
    fn unit(&self, rng: &mut Generator, input: usize, output: usize, enlarge: bool) -> Unit {
        let bias = enlarge || !self.norm;
        let conv: Box<dyn Layer> = match self.conv {
            DecoderConv::Transposed => {
                let same = ConvTranspose { stride: 1, padding: 1, output_padding: 0 };
                Box::new(ConvTranspose2d::new(rng, input, output, 3, same, bias))
            }
            DecoderConv::Plain => Box::new(Conv2d::new(rng, input, output, 3, Conv { stride: 1, padding: 1 }, bias)),
        };
        Unit { conv, enlarge: enlarge.then_some(self.how), norm: self.norm.then(|| BatchNorm2d::new(output)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Stem};
    use crate::model::{Summary, build};

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        all.assignment("data.kind=cifar10").unwrap();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    #[test]
    fn the_counts_of_the_papers_come_out() {
        for (settings, count) in [
            (&["model.z_dim=10"][..], 23_728_791),
            (&["model.z_dim=32"], 23_762_627),
            (&["model.z_dim=64"], 23_811_843),
            (&["model.z_dim=128"], 23_910_275),
            (&["data.channels=1"], 23_907_969),
            (&["model.batch_norm=false", "model.z_dim=20"], 23_734_635),
            (&["model.stem=7x7-pool"], 23_917_955),
            (&["model.upsample=nearest", "model.decoder_conv=plain"], 23_910_275),
        ] {
            let model = build(&config(settings));
            assert_eq!(nn::count(&*model), count, "{settings:?}");
        }
        let model = Resnet18::new(&mut Generator::new(1), &config(&[]));
        assert_eq!((nn::count(&model.encoder), nn::count(&model.decoder)), (11_300_160, 12_610_115));
    }

    #[test]
    fn names_are_torchvisions() {
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
    fn every_option_and_size_gives_images_of_the_size_it_takes() {
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
                let summary = Summary::new(&config, &*build(&config));
                assert_eq!(summary.layers.last().unwrap().output, vec![3, size, size], "{options:?}");
                let mu = summary.layers.iter().find(|row| row.name == "encoder.mu").unwrap();
                assert_eq!((&mu.output[..], mu.parameters), (&[3][..], 16 * 3 + 3));
            }
        }
    }
}
