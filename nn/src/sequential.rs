//! Layers one after another, named 0, 1, 2, … as in PyTorch.

use autograd::Var;

use crate::module::{ForwardContext, Layer, Module, Visitor};

/// Layers one after another, PyTorch's `Sequential`. The names of their tensors begin with `0.`, `1.`, and so on.
pub struct Sequential(Vec<Box<dyn Layer>>);

impl Sequential {
    /// These layers, in this order.
    pub fn new(layers: Vec<Box<dyn Layer>>) -> Sequential {
        Sequential(layers)
    }
}

impl Module for Sequential {
    fn visit(&self, v: &mut Visitor) {
        self.0.visit(v);
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.0.iter().fold(x.clone(), |x, layer| layer.forward(&x, ctx))
    }
}
