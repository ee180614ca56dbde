//! A table of a module's layers: path, kind, output shape and parameters of each, and the sums, like that of torchinfo.

use std::collections::HashMap;
use std::fmt;

use autograd::no_grad;
use tensor::Shape;

use crate::module::{ForwardContext, Module, Slot, Trace, visit_modules};

/// The layers of a module that have parameters, in order of declaration. Its `Display` is a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// One row for each layer.
    pub layers: Vec<LayerSummary>,
}

/// One layer with parameters.
#[derive(Clone, PartialEq, Debug)]
pub struct LayerSummary {
    /// The dotted path of the layer; of the module itself, nothing.
    pub name: String,
    /// The name of its type, if it is a module of its own.
    pub kind: Option<&'static str>,
    /// The shape of its last result in the forward pass, if it had one.
    pub output: Option<Shape>,
    /// The number of values in its parameters, without running statistics.
    pub parameters: usize,
    /// How many of them are not frozen.
    pub trainable: usize,
}

impl Summary {
    /// The number of values in all parameters.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// The number of values in parameters that are not frozen.
    pub fn trainable(&self) -> usize {
        self.layers.iter().map(|layer| layer.trainable).sum()
    }

    /// The memory of all parameters in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * self.parameters()
    }
}

/// Summarises a module. `forward` runs it once, on an input of the shape that is of interest, with the context that it is given; no
/// history is recorded. Output shapes are those of this run.
///
/// ```
/// # use {nn::{Conv2d, ForwardContext, Layer, Linear}, autograd::Var, tensor::{Generator, Tensor}};
/// struct Net {
///     conv: Conv2d,
///     head: Linear,
/// }
/// nn::module!(Net { conv, head });
///
/// impl Net {
///     fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
///         self.head.forward(&self.conv.forward(x, ctx).relu().global_avg_pool2d(), ctx)
///     }
/// }
///
/// let rng = &mut Generator::new(1);
/// let net = Net { conv: Conv2d::new(rng, 3, 16, 3).padding(1).no_bias(), head: Linear::new(rng, 16, 10) };
/// let images = Var::constant(Tensor::zeros([1, 3, 32, 32]));
/// let summary = nn::summary(&net, |ctx| drop(net.forward(&images, ctx)));
/// assert_eq!(
///     summary.to_string(),
///     "layer  kind    output           parameters\n\
///      conv   Conv2d  [1, 16, 32, 32]         432\n\
///      head   Linear  [1, 10]                 170\n\
///      602 parameters, 602 of them trainable, 2408 bytes"
/// );
/// ```
pub fn summary(module: &dyn Module, forward: impl FnOnce(&ForwardContext)) -> Summary {
    let trace = Trace::default();
    no_grad(|| forward(&ForwardContext { trace: Some(&trace), ..ForwardContext::eval() }));
    let (mut kinds, mut layers) = (HashMap::new(), Vec::<LayerSummary>::new());
    let entered = |path: &str, kind| {
        kinds.insert(path.to_owned(), kind);
    };
    visit_modules(module, entered, |path, slot| {
        let Slot::Param(param) = slot else { return };
        let (name, count) = (path.rsplit_once('.').map_or("", |(layer, _)| layer), param.shape().count());
        if layers.last().is_none_or(|layer| layer.name != name) {
            let (name, output) = (name.to_owned(), trace.shape_of(param));
            layers.push(LayerSummary { name, kind: None, output, parameters: 0, trainable: 0 });
        }
        let layer = layers.last_mut().expect("it was just added");
        layer.parameters += count;
        layer.trainable += if param.is_frozen() { 0 } else { count };
    });
    layers.iter_mut().for_each(|layer| layer.kind = kinds.get(&layer.name).copied());
    Summary { layers }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "kind", "output", "parameters"].map(str::to_owned);
        let rows = self.layers.iter().map(|layer| {
            let output = layer.output.map_or(String::new(), |shape| shape.to_string());
            [layer.name.clone(), layer.kind.unwrap_or_default().to_owned(), output, layer.parameters.to_string()]
        });
        let rows: Vec<[String; 4]> = [head].into_iter().chain(rows).collect();
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        for [name, kind, output, parameters] in &rows {
            writeln!(f, "{name:a$}  {kind:b$}  {output:c$}  {parameters:>d$}")?;
        }
        let (all, trainable, bytes) = (self.parameters(), self.trainable(), self.bytes());
        write!(f, "{all} parameters, {trainable} of them trainable, {bytes} bytes")
    }
}
