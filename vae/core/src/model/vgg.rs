//! VGG-11, VGG-16 (Simonyan and Zisserman, 1409.1556) and AlexNet (Krizhevsky, 1404.5997) as encoders, with the decoder of `resnet18`.
//! w = `model.width`, 64 by default; M is max pooling, and a ReLU follows each convolution.
//!
//! ```text
//! vgg11    w M 2w M 4w 4w M 8w 8w M 8w 8w M                                 3×3, M of 2×2
//! vgg16    w w M 2w 2w M 4w 4w 4w M 8w 8w 8w M 8w 8w 8w M                   → maps [n, 8w, S/32, S/32]
//! alexnet  w (11×11, stride 4) M 3w (5×5) M 6w 4w 4w (3×3) M                M of 3×3, stride 2
//!          → means [n, 8w] or [n, 4w] → mu, logvar [n, z]
//! ```
//!
//! With `model.batch_norm`, a batch norm follows each convolution of a VGG, as in torchvision's vgg11_bn. AlexNet has none in its encoder.
//! The encoder's parameters have the names of torchvision, `features.0.weight`, where activations and pools count as layers too, so
//! the convolutions of torchvision's checkpoints load by name.

use autograd::{Act, Pool, Var};
use nn::{BatchNorm2d, Conv2d, ForwardContext, Layer, Module, Visitor};
use tensor::{Generator, Tensor};

use crate::config::{Config, ModelKind};
use crate::model::Vae;
use crate::model::gaussian::Gaussian;
use crate::model::residual::norm_act;
use crate::model::resnet::Decoder;

/// A VAE whose encoder is a VGG-11, a VGG-16 or an AlexNet: `[n, C, S, S]` → spatial means → mu, logvar `[n, z]`. The decoder is that of
/// `resnet18`. S is a multiple of 32 for VGG; for AlexNet a multiple of 16 and at least 64.
pub struct Vgg {
    encoder: Encoder,
    decoder: Decoder,
}

impl Vgg {
    /// Creates the model with torchvision's initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Vgg {
        let trunk = Trunk::new(rng, config, config.encoder_channels());
        let gaussian = Gaussian::new(rng, trunk.features, config.model.z_dim);
        Vgg { encoder: Encoder { trunk, gaussian }, decoder: Decoder::new(rng, config) }
    }
}

impl Vae for Vgg {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let means = self.encoder.trunk.forward(x, ctx).global_avg_pool2d();
        self.encoder.gaussian.forward(&means, ctx)
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        self.decoder.forward(z, ctx)
    }
}

nn::module!(Vgg { encoder, decoder });

struct Encoder {
    trunk: Trunk,
    gaussian: Gaussian,
}

nn::module!(Encoder { ..trunk, ..gaussian });

/// An encoder without its heads.
struct Trunk {
    steps: Vec<Step>,
    /// The number of channels of the last feature maps.
    features: usize,
}

/// A convolution, its norm, its activation, and the pooling after it.
struct Step {
    conv: Conv2d,
    norm: Option<BatchNorm2d>,
    pool: Option<Pool>,
    /// The number of the convolution among the layers of torchvision.
    number: usize,
}

/// A convolution of a plan.
#[derive(Clone, Copy)]
struct Planned {
    /// The output channels, as a multiple of w.
    channels: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    pooled: bool,
}

impl Trunk {
    fn new(rng: &mut Generator, config: &Config, channels: usize) -> Trunk {
        let (kind, width) = (config.model.body(), config.model.width);
        let is_alexnet = kind == ModelKind::Alexnet;
        let kernel = if is_alexnet { 3 } else { 2 };
        let pool = Pool { kernel, stride: 2, padding: 0 };
        let normed = config.model.batch_norm && !is_alexnet;
        let (mut input, mut number) = (channels, 0);
        let steps = plan(kind).into_iter().map(|Planned { channels, kernel, stride, padding, pooled }| {
            let output = channels * width;
            let conv =
                Conv2d::new(rng, std::mem::replace(&mut input, output), output, kernel).stride(stride).padding(padding);
            if !is_alexnet {
                initialise(rng, &conv);
            }
            let norm = normed.then(|| BatchNorm2d::new(output));
            let step = Step { conv, norm, pool: pooled.then_some(pool), number };
            number += 2 + usize::from(normed) + usize::from(pooled);
            step
        });
        let steps = steps.collect();
        Trunk { steps, features: input }
    }
}

/// Draws the weight of a convolution of a VGG from N(0, 2/fan_out), fan_out = outputs·k², with a bias of 0, as torchvision does. With
/// PyTorch's default, so many convolutions without norms lose the image behind their biases.
fn initialise(rng: &mut Generator, conv: &Conv2d) {
    for (name, param) in nn::parameters(conv) {
        let shape = param.shape();
        param.set(match name.as_str() {
            "weight" => rng.normal_tensor(shape).mul_scalar((2.0 / (shape[0] * shape[2] * shape[3]) as f32).sqrt()),
            _ => Tensor::zeros(shape),
        });
    }
}

/// Returns the convolutions of a kind of encoder.
fn plan(kind: ModelKind) -> Vec<Planned> {
    let of_3x3 = |channels, pooled| Planned { channels, kernel: 3, stride: 1, padding: 1, pooled };
    let counts = match kind {
        ModelKind::Alexnet => {
            let first = Planned { channels: 1, kernel: 11, stride: 4, padding: 2, pooled: true };
            let second = Planned { channels: 3, kernel: 5, stride: 1, padding: 2, pooled: true };
            return vec![first, second, of_3x3(6, false), of_3x3(4, false), of_3x3(4, true)];
        }
        ModelKind::Vgg16 => [2, 2, 3, 3, 3],
        _ => [1, 1, 2, 2, 2],
    };
    let stage = |(count, channels)| (1..=count).map(move |i| of_3x3(channels, i == count));
    counts.into_iter().zip([1, 2, 4, 8, 8]).flat_map(stage).collect()
}

impl Layer for Trunk {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let (mut x, mut stage) = (x.clone(), 0);
        for step in &self.steps {
            x = norm_act(&step.norm, &step.conv.forward(&x, ctx), None, Act::Relu, ctx);
            if let Some(pool) = step.pool {
                x = x.max_pool2d(pool);
                stage += 1;
                ctx.record_stage(format_args!("encoder.stage{stage}"), &x);
            }
        }
        x
    }
}

impl Module for Trunk {
    fn visit(&self, v: &mut Visitor) {
        v.child("features", &Numbered(&self.steps));
    }
}

/// The layers with the numbers of torchvision.
struct Numbered<'a>(&'a [Step]);

impl Module for Numbered<'_> {
    fn visit(&self, v: &mut Visitor) {
        for Step { conv, norm, number, .. } in self.0 {
            v.child(&number.to_string(), conv);
            v.child(&(number + 1).to_string(), norm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::model::build;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        ["data.kind=cifar10", "data.image_size=64", "model.z_dim=3"]
            .iter()
            .chain(settings)
            .for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        config
    }

    /// The counts are those of `sum(p.numel() for p in torchvision.models.vgg11().features.parameters())` and so on.
    #[test]
    fn convolutions_have_the_number_of_parameters_of_torchvision() {
        for (kind, norm, count) in [
            ("vgg11", false, 9_220_480),
            ("vgg11", true, 9_225_984),
            ("vgg16", false, 14_714_688),
            ("vgg16", true, 14_723_136),
            ("alexnet", false, 2_469_696),
            ("alexnet", true, 2_469_696),
        ] {
            let config = config(&[&format!("model.kind={kind}"), &format!("model.batch_norm={norm}")]);
            let trunk = Trunk::new(&mut Generator::new(1), &config, 3);
            assert_eq!(nn::count(&trunk), count, "{kind}, batch norm {norm}");
        }
    }

    #[test]
    fn layers_have_the_numbers_of_torchvision_and_their_widths_scale() {
        for (settings, names) in [
            (
                &["model.kind=vgg11", "model.batch_norm=false"][..],
                "0 [2, 3, 3, 3], 3 [4, 2, 3, 3], 6 [8, 4, 3, 3], 8 [8, 8, 3, 3], 11 [16, 8, 3, 3], 13 [16, 16, 3, 3], \
                 16 [16, 16, 3, 3], 18 [16, 16, 3, 3]",
            ),
            (
                &["model.kind=vgg11"],
                "0 [2, 3, 3, 3], 1 [2], 4 [4, 2, 3, 3], 5 [4], 8 [8, 4, 3, 3], 9 [8], 11 [8, 8, 3, 3], 12 [8], \
                 15 [16, 8, 3, 3], 16 [16], 18 [16, 16, 3, 3], 19 [16], 22 [16, 16, 3, 3], 23 [16], 25 [16, 16, 3, 3], 26 [16]",
            ),
            (
                &["model.kind=alexnet"],
                "0 [2, 3, 11, 11], 3 [6, 2, 5, 5], 6 [12, 6, 3, 3], 8 [8, 12, 3, 3], 10 [8, 8, 3, 3]",
            ),
        ] {
            let model = build(&config(&[&["model.width=2"], settings].concat()));
            let found: Vec<String> = nn::parameters(&*model)
                .into_iter()
                .filter_map(|(name, param)| {
                    let number = name.strip_prefix("encoder.features.")?.strip_suffix(".weight")?;
                    Some(format!("{number} {:?}", param.shape().to_vec()))
                })
                .collect();
            assert_eq!(found.join(", "), names, "{settings:?}");
        }
        let last = |kind: &str| plan_numbers(&config(&[kind, "model.width=2", "model.batch_norm=false"]));
        assert_eq!(last("model.kind=vgg16"), [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]);
    }

    /// A darker image has smaller features, also behind 13 convolutions without norms.
    #[test]
    fn an_untrained_vgg_does_not_lose_the_image() {
        for kind in ["vgg11", "vgg16"] {
            let config = config(&[&format!("model.kind={kind}"), "model.batch_norm=false", "model.width=8"]);
            let rng = &mut Generator::new(1);
            let trunk = Trunk::new(rng, &config, 3);
            let x = rng.uniform_tensor([1, 3, 64, 64], 0.0, 1.0);
            let features = |x: Tensor| trunk.forward(&Var::constant(x), &ForwardContext::eval()).value().clone();
            let (bright, dark) = (features(x.clone()), features(x.mul_scalar(0.1)));
            let length = |x: &Tensor| x.square().sum_all().item().sqrt();
            let apart = length(&bright.sub(&dark)) / length(&bright);
            assert!(apart > 0.5, "{kind}: {apart}");
        }
    }

    fn plan_numbers(config: &Config) -> Vec<usize> {
        Trunk::new(&mut Generator::new(1), config, 3).steps.iter().map(|step| step.number).collect()
    }
}
