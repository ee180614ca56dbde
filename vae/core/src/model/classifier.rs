//! A ResNet-18 classifier; w = `model.width`, 64 by default.
//!
//! ```text
//! x [n, C, S, S] → the encoder of resnet18 → global average pooling [n, 8w] → fc: logits [n, classes]
//! ```
//!
//! Parameters have the names of torchvision (`conv1.weight`, `layer2.0.downsample.0.weight`, `fc.weight`), so a
//! classifier can initialise the encoder of a VAE.

use autograd::Var;
use nn::{ForwardContext, Layer, Linear};
use tensor::Generator;

use crate::config::Config;
use crate::model::resnet::Trunk;

/// A ResNet-18 classifier with the parameter names of torchvision: images `[n, C, S, S]` → logits `[n, classes]`.
pub struct Classifier {
    trunk: Trunk,
    fc: Linear,
}

impl Classifier {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Classifier {
        let trunk = Trunk::new(rng, config, config.channels());
        let fc = Linear::new(rng, trunk.features, config.classes());
        Classifier { trunk, fc }
    }

    /// Returns the features of images: the spatial means of the last feature maps, `[n, 8w]`.
    pub fn features(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.trunk.forward(x, ctx).global_avg_pool2d()
    }

    /// Returns the logits of images, `[n, classes]`.
    pub fn logits(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.logits_from_features(&self.features(x, ctx), ctx)
    }

    /// Returns the logits from the features `[n, 8w]` that [`Classifier::features`] returns.
    pub fn logits_from_features(&self, features: &Var, ctx: &ForwardContext) -> Var {
        self.fc.forward(features, ctx)
    }
}

nn::module!(Classifier { ..trunk, fc });
