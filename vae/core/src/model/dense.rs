//! A VAE of linear layers with ReLUs between them.
//!
//! ```text
//! x [n, C, S, S] → [n, C·S·S] → hidden … hidden → mu, logvar [n, z]
//! z [n, z]       → hidden … hidden → [n, C·S·S] → [n, C, S, S]
//! ```
//!
//! Encoder and decoder have `model.layers` hidden layers each, with `model.hidden` features.

use autograd::Var;
use nn::{ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use crate::config::Config;
use crate::model::Vae;
use crate::model::gaussian::Gaussian;

/// A VAE of linear layers with ReLUs between them: `[n, C, S, S]` → `model.layers` layers of `model.hidden` features →
/// mu, logvar `[n, z]`, and the same in reverse.
pub struct Dense {
    encoder: Encoder,
    decoder: Decoder,
}

impl Dense {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Dense {
        let (model, shape) = (&config.model, [config.channels(), config.image_size(), config.image_size()]);
        let (pixels, z) = (shape.iter().product(), model.z_dim);
        let encoder = Encoder {
            hidden: hidden(rng, config.encoder_channels() * shape[1] * shape[2], model.hidden, model.layers),
            gaussian: Gaussian::new(rng, model.hidden, z),
        };
        let hidden = hidden(rng, config.decoder_inputs(), model.hidden, model.layers);
        let decoder = Decoder { hidden, output: Linear::new(rng, model.hidden, pixels), shape };
        Dense { encoder, decoder }
    }
}

fn hidden(rng: &mut Generator, input: usize, features: usize, layers: usize) -> Vec<Linear> {
    (0..layers).map(|i| Linear::new(rng, if i == 0 { input } else { features }, features)).collect()
}

impl Vae for Dense {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let [batch, channels, height, width] = x.shape().nchw("dense");
        let flat = x.reshape([batch, channels * height * width]);
        self.encoder.gaussian.forward(&forward_layers(&self.encoder.hidden, &flat, ctx), ctx)
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let pixels = self.decoder.output.forward(&forward_layers(&self.decoder.hidden, z, ctx), ctx);
        let [channels, height, width] = self.decoder.shape;
        pixels.reshape([z.shape()[0], channels, height, width])
    }
}

fn forward_layers(layers: &[Linear], x: &Var, ctx: &ForwardContext) -> Var {
    layers.iter().fold(x.clone(), |x, layer| layer.forward(&x, ctx).relu())
}

nn::module!(Dense { encoder, decoder });

struct Encoder {
    hidden: Vec<Linear>,
    gaussian: Gaussian,
}

impl Module for Encoder {
    fn visit(&self, v: &mut Visitor) {
        visit_hidden(v, &self.hidden);
        self.gaussian.visit(v);
    }
}

struct Decoder {
    hidden: Vec<Linear>,
    output: Linear,
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
}

impl Module for Decoder {
    fn visit(&self, v: &mut Visitor) {
        visit_hidden(v, &self.hidden);
        v.child("output", &self.output);
    }
}

fn visit_hidden(v: &mut Visitor, hidden: &[Linear]) {
    hidden.iter().zip(1..).for_each(|(layer, i)| v.child(&format!("linear{i}"), layer));
}
