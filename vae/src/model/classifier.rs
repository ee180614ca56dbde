//! A ResNet-18 that names what it sees; w = 64.
//!
//! ```text
//! x [n, C, S, S] → the encoder of resnet18 → means [n, 8w] → fc: logits [n, classes]
//! ```
//!
//! Names are torchvision's (`conv1.weight`, `layer2.0.downsample.0.weight`, `fc.weight`), so its encoder may begin a VAE's.

use autograd::Var;
use nn::{ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use crate::config::Config;
use crate::model::resnet::Trunk;

/// A ResNet-18 that names what it sees, torchvision's names: images `[n, C, S, S]` → logits `[n, classes]`.
pub struct Classifier {
    trunk: Trunk,
    fc: Linear,
}

impl Classifier {
    /// With PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Classifier {
        let trunk = Trunk::new(rng, config, config.channels());
        let fc = Linear::new(rng, trunk.features, config.classes());
        Classifier { trunk, fc }
    }

    /// What an image is told by: the means of the last maps, `[n, 8w]`.
    pub fn features(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.trunk.forward(x, ctx).global_avg_pool2d()
    }

    /// A number for each label: the larger, the more the image looks like it, `[n, classes]`.
    pub fn logits(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.name(&self.features(x, ctx), ctx)
    }

    /// The same of [`Classifier::features`], `[n, 8w]`.
    pub fn name(&self, features: &Var, ctx: &ForwardContext) -> Var {
        self.fc.forward(features, ctx)
    }
}

impl Module for Classifier {
    fn visit(&self, v: &mut Visitor) {
        self.trunk.visit(v);
        v.child("fc", &self.fc);
    }
}
