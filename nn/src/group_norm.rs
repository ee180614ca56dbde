//! Group and instance normalisation: y = w·(x − μ)/√(σ² + ε) + b, where μ and σ² are those of a group of channels of one image, or of
//! one channel of one image. Nothing depends on the other images of the batch.

use autograd::{Param, Var};
use tensor::Tensor;

use crate::module::{ForwardContext, Layer, Module, Visitor};
use crate::norm::checked_eps;

/// Normalisation of each image over groups of neighbouring channels, PyTorch's `GroupNorm` (Wu and He, 1803.08494):
/// `y = w·(x − μ)/√(σ² + ε) + b`, x and y `[batch, channels, …]`. Weight and bias `[channels]`.
#[derive(Debug)]
pub struct GroupNorm {
    groups: usize,
    affine: Option<[Param; 2]>,
    eps: f32,
}

impl GroupNorm {
    /// A layer for this many channels in this many groups, with scale 1, shift 0 and ε = 1e-5.
    ///
    /// # Panics
    /// Unless the groups divide the channels.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> GroupNorm {
        let divided = groups > 0 && channels.is_multiple_of(groups);
        assert!(divided, "GroupNorm: {groups} groups do not divide {channels} channels");
        GroupNorm { groups, affine: Some(scale_and_shift(channels)), eps: 1e-5 }
    }

    /// The ε that is added to the variance.
    ///
    /// # Panics
    /// Unless it is positive and finite.
    #[track_caller]
    pub fn eps(mut self, eps: f32) -> GroupNorm {
        self.eps = checked_eps("GroupNorm", eps);
        self
    }

    /// Without scale and shift (PyTorch's `affine=False`).
    pub fn no_affine(mut self) -> GroupNorm {
        self.affine = None;
        self
    }
}

/// Normalisation of each channel of each image, PyTorch's `InstanceNorm2d` (Ulyanov et al., 1607.08022): `y = (x − μ)/√(σ² + ε)`,
/// x and y `[batch, channels, height, width]`. It has no running statistics.
#[derive(Debug)]
pub struct InstanceNorm2d {
    channels: usize,
    affine: Option<[Param; 2]>,
    eps: f32,
}

impl InstanceNorm2d {
    /// A layer for this many channels without scale and shift, as PyTorch's is by default, with ε = 1e-5.
    pub fn new(channels: usize) -> InstanceNorm2d {
        InstanceNorm2d { channels, affine: None, eps: 1e-5 }
    }

    /// The ε that is added to the variance.
    ///
    /// # Panics
    /// Unless it is positive and finite.
    #[track_caller]
    pub fn eps(mut self, eps: f32) -> InstanceNorm2d {
        self.eps = checked_eps("InstanceNorm2d", eps);
        self
    }

    /// With a scale, 1 at first, and a shift, 0 at first, for each channel: `y = w·(x − μ)/√(σ² + ε) + b`.
    pub fn affine(mut self) -> InstanceNorm2d {
        self.affine = Some(scale_and_shift(self.channels));
        self
    }
}

fn scale_and_shift(channels: usize) -> [Param; 2] {
    [Param::new(Tensor::ones([channels])), Param::new(Tensor::zeros([channels]))]
}

impl Module for GroupNorm {
    fn visit(&self, v: &mut Visitor) {
        visit(v, &self.affine);
    }
}

impl Module for InstanceNorm2d {
    fn visit(&self, v: &mut Visitor) {
        visit(v, &self.affine);
    }
}

fn visit(v: &mut Visitor, affine: &Option<[Param; 2]>) {
    for (name, param) in ["weight", "bias"].into_iter().zip(affine.iter().flatten()) {
        v.child(name, param);
    }
}

fn normalised(x: &Var, groups: usize, affine: &Option<[Param; 2]>, eps: f32, ctx: &ForwardContext) -> Var {
    let Some([weight, bias]) = affine else { return x.group_norm(groups, None, None, eps) };
    let y = x.group_norm(groups, Some(&weight.var()), Some(&bias.var()), eps);
    ctx.record_output(weight, &y);
    y
}

impl Layer for GroupNorm {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        normalised(x, self.groups, &self.affine, self.eps, ctx)
    }
}

impl Layer for InstanceNorm2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let [_, channels, _, _] = x.shape().nchw("instance_norm");
        assert_eq!(channels, self.channels, "InstanceNorm2d: {} with {} channels", x.shape(), self.channels);
        normalised(x, self.channels, &self.affine, self.eps, ctx)
    }
}
