//! A summary of a model: the number of parameters, and the output shape of each layer, which one forward pass of a
//! blank image determines.

use autograd::no_grad;
use nn::{ForwardContext, Module, Slot, Trace};
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
        let trace = Trace::default();
        let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
        no_grad(|| {
            model.evaluate(&Batch::of_step(image, vec![0], ScheduleContext { epochs: 0.0, images: 1 }, 0, 0), &ctx)
        });
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
