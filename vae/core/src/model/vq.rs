//! Autoencoders with discrete latents: each vector of the encoder's last feature maps is replaced by one of K codes. `vq` is the
//! VQ-VAE (van den Oord, Vinyals and Kavukcuoglu, 1711.00937), whose codes are learnt (`codebook`). `fsq` rounds each number of
//! the vector (Mentzer et al., 2309.15505; `fsq`).
//!
//! ```text
//! x [n, C, S, S] → an encoder without heads → 1×1 convolution → e [n, D, s, s] → codes q [n, D, s, s]
//! q → 1×1 convolution, ReLU → the decoder that mirrors the encoder → [n, C, S, S]
//! ```

use autograd::Var;
use nn::{Conv2d, ForwardContext, Layer, Module, Visitor};
use tensor::{Generator, Tensor};

use super::codebook::Codebook;
use super::fsq::Fsq;
use super::quantiser::{Quantised, Quantiser};
use crate::config::{Config, ModelKind};
use crate::model::{convolutional, resnet};

/// An autoencoder with discrete latents: images `[n, C, S, S]` → feature maps `[n, D, s, s]` → a code at each position →
/// images.
pub struct Vq {
    trunk: Box<dyn Layer>,
    /// 1×1 convolutions from the encoder's channels to the width of the codes, and back.
    code: Conv2d,
    back: Conv2d,
    decoder_trunk: Box<dyn Layer>,
    quantiser: Box<dyn Quantiser>,
}

impl Vq {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Vq {
        let (model, channels) = (&config.model, config.channels());
        let (trunk, features): (Box<dyn Layer>, usize) = match model.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => {
                let trunk = resnet::Trunk::new(rng, config, channels);
                let features = trunk.features;
                (Box::new(trunk), features)
            }
            _ => {
                let trunk = convolutional::Trunk::new(rng, config, channels);
                (Box::new(trunk), *model.conv_widths().last().expect("one convolution at least"))
            }
        };
        let code = Conv2d::new(rng, features, model.code_length(), 1);
        let back = Conv2d::new(rng, model.code_length(), features, 1);
        let decoder_trunk: Box<dyn Layer> = match model.body() {
            ModelKind::Resnet18 | ModelKind::Resnet50 => Box::new(resnet::DecoderTrunk::new(rng, config)),
            _ => Box::new(convolutional::DecoderTrunk::new(rng, config)),
        };
        let quantiser: Box<dyn Quantiser> = match model.kind {
            ModelKind::Fsq => Box::new(Fsq::new(config)),
            _ => Box::new(Codebook::new(config)),
        };
        Vq { trunk, code, back, decoder_trunk, quantiser }
    }

    /// Returns the feature maps before quantisation, `[n, D, s, s]`.
    pub fn encode(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.code.forward(&self.trunk.forward(x, ctx), ctx)
    }

    /// Returns the index of the code at each position of the feature maps, `[n, D, s, s]` → `[n, s, s]`.
    pub fn indices(&self, maps: &Tensor) -> Tensor {
        self.quantiser.indices(maps)
    }

    /// Returns the codes with these indices, `[n, s, s]` → `[n, D, s, s]`.
    pub fn look_up(&self, indices: &Tensor) -> Tensor {
        self.quantiser.look_up(indices)
    }

    /// Returns how often each code was used in a batch of training, as a moving average, `[K]`.
    pub fn code_counts(&self) -> Tensor {
        self.quantiser.counts()
    }

    /// Replaces each position of the feature maps by its code. In training this also updates the codes of `vq`.
    pub fn quantise(&self, maps: &Var, ctx: &ForwardContext) -> Quantised {
        self.quantiser.quantise(maps, ctx)
    }

    /// Decodes quantised feature maps to images before the output activation.
    pub fn decode(&self, codes: &Var, ctx: &ForwardContext) -> Var {
        self.decoder_trunk.forward(&self.back.forward(codes, ctx).relu(), ctx)
    }
}

impl Module for Vq {
    fn visit(&self, v: &mut Visitor) {
        v.child("encoder", &Half(&*self.trunk, &self.code));
        v.child("codebook", &*self.quantiser);
        v.child("decoder", &Half(&*self.decoder_trunk, &self.back));
    }
}

/// An encoder or decoder and the convolution between it and the codes, which is named `code`.
struct Half<'a>(&'a dyn Layer, &'a Conv2d);

impl Module for Half<'_> {
    fn visit(&self, v: &mut Visitor) {
        self.0.visit(v);
        v.child("code", self.1);
    }
}
