//! A model in numbers: parameters, and each layer's output shape, found by sending one blank image through.

use autograd::no_grad;
use nn::{ForwardContext, Module, Slot, Trace};
use serde::Serialize;
use tensor::{Device, Tensor};

use crate::config::Config;
use crate::learn::{Batch, Learner};
use crate::objective::Moment;

/// A model's parameters and layers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// All numbers in parameters; running statistics are not counted.
    pub parameters: usize,
    /// Those that training changes.
    pub trainable_parameters: usize,
    /// The encoder's; all of a classifier's.
    pub encoder_parameters: usize,
    /// The decoder's.
    pub decoder_parameters: usize,
    /// What the model sees: channels, rows, columns.
    pub input_shape: [usize; 3],
    /// Layers with parameters, in order.
    pub layers: Vec<LayerRow>,
}

/// A layer with parameters.
#[derive(Clone, Debug, Serialize)]
pub struct LayerRow {
    /// Its dotted path.
    pub name: String,
    /// The shape of its result for one image.
    #[serde(rename = "output_shape")]
    pub output: Vec<usize>,
    /// Numbers in its parameters.
    pub parameters: usize,
}

impl Summary {
    /// The numbers of a model that was built by `config`.
    pub fn new(config: &Config, model: &dyn Learner) -> Summary {
        let (channels, size) = (config.channels(), config.image_size());
        let parameters = nn::parameters(model as &dyn Module);
        let device = parameters.first().map_or(Device::Cpu, |(_, param)| param.value().device());
        let image = Tensor::zeros([1, channels, size, size]).upload(&device);
        let trace = Trace::default();
        let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
        no_grad(|| model.evaluate(&Batch::of_step(image, vec![0], Moment { epochs: 0.0, images: 1 }, 0, 0), &ctx));
        let mut summary = Summary {
            parameters: 0,
            trainable_parameters: 0,
            encoder_parameters: 0,
            decoder_parameters: 0,
            input_shape: [channels, size, size],
            layers: Vec::new(),
        };
        nn::visit(model as &dyn Module, |path, slot| {
            let Slot::Param(param) = slot else { return };
            let count = param.shape().count();
            summary.parameters += count;
            summary.trainable_parameters += if param.is_frozen() { 0 } else { count };
            match path.starts_with("decoder.") {
                true => summary.decoder_parameters += count,
                false => summary.encoder_parameters += count,
            }
            let layer = path.rsplit_once('.').map_or(path, |(layer, _)| layer);
            match summary.layers.last_mut().filter(|row| row.name == layer) {
                Some(row) => row.parameters += count,
                None => {
                    let output = trace.shape_of(param).map_or(Vec::new(), |shape| shape[1..].to_vec());
                    summary.layers.push(LayerRow { name: layer.to_owned(), output, parameters: count });
                }
            }
        });
        summary
    }
}
