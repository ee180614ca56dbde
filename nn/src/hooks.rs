//! Functions that see the results of layers and the gradients of parameters, by name and as soon as they exist: PyTorch's
//! `register_forward_hook` and `register_hook`. A program passes them to the one forward or backward pass that they belong to.

use std::cell::RefCell;
use std::collections::HashMap;

use autograd::{Gradients, Param, Var};
use tensor::Tensor;

use crate::module::{ForwardHook, Module, Trace, parameters};

/// The backward pass of a loss, with a function that is called with the name and the gradient of each parameter in `params`, as soon as
/// its gradient is complete and in the order of the backward pass. What it returns, a tensor of the same shape, replaces the gradient.
/// See [`Var::backward_with_hook`].
///
/// ```
/// # use {autograd::Var, nn::{ForwardContext, Layer, Linear}, tensor::{Generator, Tensor}};
/// let layer = Linear::new(&mut Generator::new(1), 3, 2);
/// let loss = layer.forward(&Var::constant(Tensor::ones([5, 3])), &ForwardContext::eval()).square().mean_all();
/// let mut names = Vec::new();
/// nn::backward_with_hook(&loss, &nn::parameters(&layer), |name, gradient| {
///     names.push(name.to_owned());
///     gradient
/// });
/// names.sort();
/// assert_eq!(names, ["bias", "weight"]);
/// ```
///
/// # Panics
/// If `loss` is not one number, an earlier backward pass consumed part of its history, or the function changes a gradient's shape.
#[track_caller]
pub fn backward_with_hook(
    loss: &Var,
    params: &[(String, Param)],
    mut hook: impl FnMut(&str, Tensor) -> Tensor,
) -> Gradients {
    let names: HashMap<u64, &str> = params.iter().map(|(name, param)| (param.id(), name.as_str())).collect();
    loss.backward_with_hook(&mut |leaf, gradient| match names.get(&leaf) {
        Some(name) => hook(name, gradient),
        None => gradient,
    })
}

impl Trace {
    /// A trace that also calls a function with the dotted name and the result of each layer of `module` that has a
    /// parameter of its own, as soon as it is computed. Layers without one, such as activations, pooling and dropout, have no result here.
    ///
    /// ```
    /// # use {autograd::Var, nn::{ForwardContext, Layer, Linear, Sequential, Trace}, tensor::{Generator, Tensor}};
    /// let mut rng = Generator::new(1);
    /// let model = Sequential::new(vec![Box::new(Linear::new(&mut rng, 3, 4)), Box::new(Linear::new(&mut rng, 4, 2))]);
    /// let trace = Trace::with_hook(&model, |name, result| println!("layer {name}: {}", result.shape()));
    /// let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
    /// model.forward(&Var::constant(Tensor::ones([5, 3])), &ctx); // layer 0: [5, 4], layer 1: [5, 2]
    /// assert_eq!(trace.named_results(&model)[1].0, "1");
    /// ```
    pub fn with_hook(module: &dyn Module, hook: impl FnMut(&str, &Tensor) + 'static) -> Trace {
        let (names, hook) = (layer_names(module), RefCell::new(hook));
        let call = move |param: u64, result: &Tensor| {
            if let Some(name) = names.get(&param) {
                hook.borrow_mut()(name, result);
            }
        };
        let mut trace = Trace::default();
        trace.hook = Some(ForwardHook(Box::new(call)));
        trace
    }

    /// Every recorded result of a layer of `module`, in order, with the layer's dotted name. That of `module` itself is empty.
    pub fn named_results(&self, module: &dyn Module) -> Vec<(String, Tensor)> {
        let names = layer_names(module);
        let named = |(param, result): &(u64, Tensor)| Some((names.get(param)?.clone(), result.clone()));
        self.results.borrow().iter().filter_map(named).collect()
    }
}

/// The name of the layer that owns each parameter: `conv1` for `conv1.weight`.
fn layer_names(module: &dyn Module) -> HashMap<u64, String> {
    let layer = |path: String| path.rsplit_once('.').map_or(String::new(), |(layer, _)| layer.to_owned());
    parameters(module).into_iter().map(|(path, param)| (param.id(), layer(path))).collect()
}
