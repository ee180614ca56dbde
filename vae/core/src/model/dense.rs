//! A VAE of linear layers with activations between them.
//!
//! ```text
//! x [n, C, S, S] → [n, C·S·S] → hidden … hidden → mu, logvar [n, z]
//! z [n, z]       → hidden … hidden → [n, C·S·S] → [n, C, S, S]
//! ```
//!
//! Encoder and decoder have `model.layers` hidden layers each, with `model.hidden` features. After each hidden layer
//! comes `model.activation`.

use autograd::Var;
use nn::{ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use crate::config::{Activation, Config};
use crate::model::Vae;
use crate::model::gaussian::Gaussian;

/// A VAE of linear layers with activations between them: `[n, C, S, S]` → `model.layers` layers of `model.hidden` features →
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
            hidden: Hidden::new(rng, config.encoder_channels() * shape[1] * shape[2], config),
            gaussian: Gaussian::new(rng, model.hidden, z),
        };
        let hidden = Hidden::new(rng, config.decoder_inputs(), config);
        let decoder = Decoder { hidden, output: Linear::new(rng, model.hidden, pixels), shape };
        Dense { encoder, decoder }
    }
}

impl Vae for Dense {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let [batch, channels, height, width] = x.shape().nchw("dense");
        let flat = x.reshape([batch, channels * height * width]);
        self.encoder.gaussian.forward(&self.encoder.hidden.forward(&flat, ctx), ctx)
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let pixels = self.decoder.output.forward(&self.decoder.hidden.forward(z, ctx), ctx);
        let [channels, height, width] = self.decoder.shape;
        pixels.reshape([z.shape()[0], channels, height, width])
    }
}

nn::module!(Dense { encoder, decoder });

struct Encoder {
    hidden: Hidden,
    gaussian: Gaussian,
}
nn::module!(Encoder { ..hidden, ..gaussian });

struct Decoder {
    hidden: Hidden,
    output: Linear,
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
}

nn::module!(Decoder { ..hidden, output });

/// The hidden layers, which are named linear1, linear2, ….
struct Hidden {
    layers: Vec<Linear>,
    activation: Activation,
}

impl Hidden {
    fn new(rng: &mut Generator, input: usize, config: &Config) -> Hidden {
        let (features, count) = (config.model.hidden, config.model.layers);
        let layer = |i| Linear::new(rng, if i == 0 { input } else { features }, features);
        Hidden { layers: (0..count).map(layer).collect(), activation: config.model.activation }
    }

    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.layers.iter().fold(x.clone(), |x, layer| {
            let x = layer.forward(&x, ctx);
            match self.activation {
                Activation::Relu => x.relu(),
                Activation::Tanh => x.tanh(),
            }
        })
    }
}

impl Module for Hidden {
    fn visit(&self, v: &mut Visitor) {
        self.layers.iter().zip(1..).for_each(|(layer, i)| v.child(&format!("linear{i}"), layer));
    }
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;

    /// The posterior's mean of a small model, computed by hand from its parameters.
    #[test]
    fn a_hidden_layer_has_the_activation_of_the_configuration() {
        for (activation, f) in [(Activation::Relu, (|x| x.max(0.0)) as fn(f64) -> f64), (Activation::Tanh, f64::tanh)] {
            let mut config = Config::default();
            (config.model.activation, config.model.hidden, config.model.z_dim) = (activation, 3, 2);
            config.data.image_size = Some(2);
            let model = Dense::new(&mut Generator::new(1), &config);
            let parameters = nn::parameters(&model);
            let layer = |name: &str, x: &[f64]| -> Vec<f64> {
                let of = |part: &str| {
                    let found = parameters.iter().find(|(path, _)| *path == format!("encoder.{name}.{part}"));
                    found.expect("a parameter").1.value().data().iter().map(|&w| f64::from(w)).collect::<Vec<_>>()
                };
                let (weight, bias) = (of("weight"), of("bias"));
                let row = |(row, bias): (&[f64], &f64)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias;
                weight.chunks(x.len()).zip(&bias).map(row).collect()
            };
            let x = [2.0, -3.0, 1.5, 4.0];
            let hidden: Vec<f64> = layer("linear1", &x).into_iter().map(f).collect();
            let expected = layer("mu", &hidden);
            let image = Var::constant(Tensor::new(&x.map(|x| x as f32), [1, 1, 2, 2]));
            let (mu, _) = model.encode(&image, &ForwardContext::eval());
            let close = mu.value().data().iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5);
            assert!(close, "{activation}: {mu}, expected {expected:?}");
        }
    }
}
