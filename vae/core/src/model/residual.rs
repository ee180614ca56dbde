//! The building blocks of residual networks: y = relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)), or the same with
//! three convolutions.
//!
//! In a block that enlarges, the convolutions that change the number of channels, on the main path and on the shortcut,
//! have an input that is enlarged by 2. Parameters have the names of torchvision: `conv1 bn1 conv2 bn2 …`, and
//! `downsample.0 downsample.1` for the shortcut (`upsample.…` in a decoder).

use autograd::{Act, Interpolation, Var};
use nn::{BatchNorm2d, Checkpointed, ForwardContext, Layer, Module, Visitor};

use crate::config::Config;

/// A convolution with an optional enlargement before it and an optional batch norm after it.
pub(crate) struct Unit {
    pub(crate) conv: Box<dyn Layer>,
    pub(crate) enlarge: Option<Interpolation>,
    pub(crate) norm: Option<BatchNorm2d>,
}

impl Unit {
    /// Returns act(norm(conv(x)) + residual).
    pub(crate) fn forward(&self, x: &Var, residual: Option<&Var>, act: Act, ctx: &ForwardContext) -> Var {
        let y = match self.enlarge {
            Some(how) => self.conv.forward(&double(x, how), ctx),
            None => self.conv.forward(x, ctx),
        };
        norm_act(&self.norm, &y, residual, act, ctx)
    }

    pub(crate) fn visit(&self, v: &mut Visitor, conv: &str, norm: &str) {
        v.child(conv, &self.conv);
        v.child(norm, &self.norm);
    }
}

/// Returns act(norm(y) + residual).
pub(crate) fn norm_act(
    norm: &Option<BatchNorm2d>,
    y: &Var,
    residual: Option<&Var>,
    act: Act,
    ctx: &ForwardContext,
) -> Var {
    if let Some(norm) = norm {
        return norm.forward_fused(y, residual, act, ctx);
    }
    let y = match residual {
        Some(residual) => y + residual,
        None => y.clone(),
    };
    match act {
        Act::Identity => y,
        Act::Relu => y.relu(),
        Act::LeakyRelu(slope) => y.leaky_relu(slope),
    }
}

/// Returns a block as a layer, whose inner values are computed again in the backward pass if the configuration asks for that.
pub(crate) fn in_chain(config: &Config, block: impl Layer + 'static) -> Box<dyn Layer> {
    if config.train.activation_checkpointing { Box::new(Checkpointed::new(block)) } else { Box::new(block) }
}

fn double(x: &Var, how: Interpolation) -> Var {
    let [_, _, height, width] = x.shape().nchw("double");
    x.interpolate([2 * height, 2 * width], how)
}

/// A residual block of two convolutions, or of three in a bottleneck.
pub(crate) struct Block {
    pub(crate) units: Vec<Unit>,
    pub(crate) shortcut: Option<Shortcut>,
}

/// The shortcut of a block whose input and output shapes differ: a convolution named `downsample.0` or `upsample.0`.
pub(crate) struct Shortcut {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
}

impl Module for Block {
    fn visit(&self, v: &mut Visitor) {
        for (unit, i) in self.units.iter().zip(1..) {
            unit.visit(v, &format!("conv{i}"), &format!("bn{i}"));
        }
        if let Some(shortcut) = &self.shortcut {
            v.child(shortcut.name, shortcut);
        }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let (last, first) = self.units.split_last().expect("a block has convolutions");
        let y = first.iter().fold(x.clone(), |y, unit| unit.forward(&y, None, Act::Relu, ctx));
        match &self.shortcut {
            None => last.forward(&y, Some(x), Act::Relu, ctx),
            Some(shortcut) => {
                let around = shortcut.unit.forward(x, None, Act::Identity, ctx);
                last.forward(&y, Some(&around), Act::Relu, ctx)
            }
        }
    }
}

impl Module for Shortcut {
    fn visit(&self, v: &mut Visitor) {
        self.unit.visit(v, "0", "1");
    }
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;

    #[test]
    fn without_a_norm_the_residual_is_added_before_the_activation() {
        let [y, residual] = [[1.0, -3.0], [2.0, 1.0]].map(|numbers| Var::constant(Tensor::new(&numbers, [1, 2, 1, 1])));
        for (act, sum) in [(Act::Identity, [3.0, -2.0]), (Act::Relu, [3.0, 0.0]), (Act::LeakyRelu(0.25), [3.0, -0.5])] {
            let out = norm_act(&None, &y, Some(&residual), act, &ForwardContext::eval());
            assert_eq!(out.value().data(), sum);
        }
        assert_eq!(norm_act(&None, &y, None, Act::Relu, &ForwardContext::eval()).value().data(), [1.0, 0.0]);
    }
}
