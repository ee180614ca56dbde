//! Activation checkpointing of a layer: y = f(x), whose inner values are computed again in the backward pass.

use std::rc::Rc;

use autograd::{Var, checkpoint};

use crate::module::{ForwardContext, Layer, Module, Visitor};

/// A layer of which only the input is kept for the backward pass, which computes the values inside again: see
/// [`autograd::checkpoint`]. It has the parameters of the layer, with the same names. Results, gradients and running statistics are the
/// same, bit for bit.
///
/// In a chain of n such layers the memory for values falls from that of all layers to that of n inputs and one layer. A step computes
/// every layer twice forward and once backward, which takes about a quarter longer.
pub struct Checkpointed(Rc<dyn Layer>);

impl Checkpointed {
    /// Wraps a layer.
    pub fn new(layer: impl Layer + 'static) -> Checkpointed {
        Checkpointed(Rc::new(layer))
    }
}

impl Module for Checkpointed {
    fn visit(&self, v: &mut Visitor) {
        self.0.visit(v);
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }
}

impl Layer for Checkpointed {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        if ctx.trace.is_some() {
            return self.0.forward(x, ctx); // a trace records the values inside
        }
        let (layer, ctx) = (self.0.clone(), ForwardContext { trace: None, group: ctx.group.clone(), ..*ctx });
        checkpoint(move |x| layer.forward(x, &ctx), x)
    }
}
