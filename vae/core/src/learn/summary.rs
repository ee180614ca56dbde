//! A summary of a model: the number of parameters, and the output shape of each layer, which one forward pass of a
//! blank image determines.

use nn::{LayerSummary, Module};
use serde::Serialize;
use tensor::{Device, Tensor};

use crate::config::Config;
use crate::learn::{Batch, Learner};
use crate::objective::ScheduleContext;

/// The parameters and layers of a model.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The number of values in all parameters, without running statistics.
    pub parameters: usize,
    /// The number of values in parameters that are not frozen.
    pub trainable_parameters: usize,
    /// The number of values in the encoder's parameters; for a classifier, in all parameters.
    pub encoder_parameters: usize,
    /// The number of values in the decoder's parameters.
    pub decoder_parameters: usize,
    /// The number of values in the parameters of the discriminator of `factor`, `csvae` and `vae-gan`; 0 without one.
    pub discriminator_parameters: usize,
    /// The shape of the model input: channels, rows, columns.
    pub input_shape: [usize; 3],
    /// The layers with parameters, in order.
    pub layers: Vec<LayerRow>,
}

/// A layer with parameters.
#[derive(Clone, Debug, Serialize)]
pub struct LayerRow {
    /// The dotted path of the layer.
    pub name: String,
    /// The shape of its output for one image.
    #[serde(rename = "output_shape")]
    pub output: Vec<usize>,
    /// The number of values in its parameters.
    pub parameters: usize,
}

impl Summary {
    /// Creates the summary of a model that was built from `config`.
    pub fn new(config: &Config, model: &dyn Learner) -> Summary {
        let (channels, size) = (config.channels(), config.image_size());
        let parameters = nn::parameters(model as &dyn Module);
        let device = parameters.first().map_or(Device::Cpu, |(_, param)| param.value().device());
        let image = Tensor::zeros([1, channels, size, size]).upload(&device);
        let layers = nn::summary(model as &dyn Module, |ctx| {
            let blank = Batch::of_step(image, vec![0], ScheduleContext { epochs: 0.0, images: 1 }, 0, 0);
            drop(model.evaluate(&blank, ctx));
        });
        let of = |part: &str| {
            let layers = layers.layers.iter().filter(|layer| layer.name.split('.').next() == Some(part));
            layers.map(|layer| layer.parameters).sum::<usize>()
        };
        let [decoder_parameters, discriminator_parameters] = ["decoder", "discriminator"].map(of);
        Summary {
            parameters: layers.parameters(),
            trainable_parameters: layers.trainable(),
            encoder_parameters: layers.parameters() - decoder_parameters - discriminator_parameters,
            decoder_parameters,
            discriminator_parameters,
            input_shape: [channels, size, size],
            layers: layers.layers.into_iter().map(LayerRow::of_image).collect(),
        }
    }
}

impl LayerRow {
    /// The row of a layer whose output is that of one image.
    fn of_image(layer: LayerSummary) -> LayerRow {
        let output = layer.output.map_or(Vec::new(), |shape| shape[1..].to_vec());
        LayerRow { name: layer.name, output, parameters: layer.parameters }
    }
}
