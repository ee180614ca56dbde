//! Normalisation within each image (group norm: Wu and He, 1803.08494; layer norm: Ba, Kiros and Hinton, 1607.06450):
//!   x̂ = (x − μ)·r,   r = 1/√(σ² + ε),   y = w·x̂ + b
//! x, y: [batch, channels, …]; w, b: [channels]. μ and σ² are those of the M numbers of a group of neighbouring channels of one image;
//! σ² is divided by M. A layer norm is one group, whose channels are the numbers that it normalises.
//!
//! Backward, with g = w·dy:
//!   dx = r·(g − Σ g/M − x̂·Σ g·x̂/M)   with sums over the group;    dw = Σ dy·x̂,   db = Σ dy   over images and places.

use crate::cpu::group_norm::{self, Groups};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::launch::LaunchBuilder;
use crate::shape::Shape;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::SUM, shaders::GROUP_NORM];
pub(super) static GROUP_NORM: Kernel = Kernel::checked(&WGSL, "group_norm");
pub(super) static GROUP_NORM_GRADIENT: Kernel = Kernel::checked(&WGSL, "group_norm_gradient");
pub(super) static GROUP_NORM_SUMS: Kernel = Kernel::checked(&WGSL, "group_norm_sums");

/// The gradients of a group norm.
#[derive(Debug)]
pub struct GroupNormGradients {
    /// Of the image's shape.
    pub dx: Tensor,
    /// `[channels]`.
    pub dweight: Tensor,
    /// `[channels]`.
    pub dbias: Tensor,
}

impl Tensor {
    /// Normalisation of each image over `groups` groups of neighbouring channels and their pixels, with a scale and a shift for each
    /// channel: `[batch, channels, …]` → the same, `y = w·(x − μ)/√(σ² + ε) + b` (Wu and He, 1803.08494). As many groups as channels
    /// are an instance norm.
    ///
    /// # Panics
    /// Unless the groups divide the channels, and `weight` and `bias` are `[channels]`.
    #[track_caller]
    pub fn group_norm(&self, groups: usize, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f32) -> Tensor {
        self.native_group_norm(groups, weight, bias, eps).0
    }

    /// [`group_norm`](Tensor::group_norm), and what its gradient needs: μ and 1/√(σ² + ε) of each group, `[batch, groups, 2]`.
    /// (PyTorch's function of this name returns the same.)
    ///
    /// # Panics
    /// As `group_norm`.
    #[track_caller]
    pub fn native_group_norm(
        &self,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f32,
    ) -> (Tensor, Tensor) {
        let sizes = Groups::of(self, groups, [weight, bias]);
        let stats_shape = Shape::from([sizes.batch, groups, 2]);
        if self.shape().count() == 0 {
            return (self.clone(), Tensor::full_on(stats_shape, 0.0, &self.device()));
        }
        let [weight, bias] = [(weight, 1.0), (bias, 0.0)].map(|(given, value)| sizes.or_constant(self, given, value));
        if let Device::Gpu(_) = self.device() {
            let run = sizes.params(GROUP_NORM.groups(sizes.rows())).floats([eps]).read(self).read(&weight).read(&bias);
            let [y, stats] = run.write_all([*self.shape(), stats_shape]);
            return (y, stats);
        }
        let mut stats = Tensor::zeros(stats_shape);
        let y = Tensor::build("group_norm", &[self, &weight, &bias], *self.shape(), |y| {
            group_norm::forward(self.data(), [weight.data(), bias.data()], eps, y, stats.data_mut(), sizes);
        });
        (y, stats)
    }

    /// The gradients of [`group_norm`](Tensor::group_norm) at `self`, from the second result of
    /// [`native_group_norm`](Tensor::native_group_norm) and the gradient `dy` of the first. With g = w·dy and M numbers in a group:
    /// `dx = r·(g − Σ g/M − x̂·Σ g·x̂/M)`, `dw = Σ dy·x̂`, `db = Σ dy`.
    ///
    /// # Panics
    /// If the shapes are not those of one normalisation.
    #[track_caller]
    pub fn group_norm_gradient(
        &self,
        groups: usize,
        weight: Option<&Tensor>,
        stats: &Tensor,
        dy: &Tensor,
    ) -> GroupNormGradients {
        let what = "group_norm_gradient";
        let sizes = Groups::of(self, groups, [weight, None]);
        let Groups { batch, channels, .. } = sizes;
        let fits = self.shape() == dy.shape() && stats.shape()[..] == [batch, groups, 2];
        assert!(fits, "{what}: {} in {groups} groups, {} and {}", self.shape(), stats.shape(), dy.shape());
        if self.shape().count() == 0 {
            let [dweight, dbias] = [0; 2].map(|_| Tensor::full_on([channels], 0.0, &self.device()));
            return GroupNormGradients { dx: dy.clone(), dweight, dbias };
        }
        let weight = sizes.or_constant(self, weight, 1.0);
        if let Device::Gpu(_) = self.device() {
            let run = sizes.params(GROUP_NORM_GRADIENT.groups(sizes.rows())).floats([0.0]).read(self).read(&weight);
            let dx = run.read(stats).read(dy).write(self.shape());
            let run = sizes.params(GROUP_NORM_SUMS.groups(channels)).floats([0.0]).named(what).read(self);
            let [dweight, dbias] = run.read(stats).read(dy).write_all([[channels].into(), [channels].into()]);
            return GroupNormGradients { dx, dweight, dbias };
        }
        let mut sums = [Vec::new(), Vec::new()];
        let dx = Tensor::build(what, &[self, &weight, stats, dy], *self.shape(), |dx| {
            sums = group_norm::gradient([self.data(), dy.data()], weight.data(), stats.data(), dx, sizes);
        });
        let [dweight, dbias] = sums.map(|sums| Tensor::from_vec(sums, [channels]));
        GroupNormGradients { dx, dweight, dbias }
    }
}

impl Groups {
    #[track_caller]
    fn of(x: &Tensor, groups: usize, affine: [Option<&Tensor>; 2]) -> Groups {
        let shape = x.shape();
        let [batch, channels, plane] = shape.outer_size_inner(1, "group_norm");
        let divided = groups > 0 && channels.is_multiple_of(groups);
        assert!(divided, "group_norm: {shape} in {groups} groups");
        for affine in affine.into_iter().flatten() {
            assert_eq!(affine.shape()[..], [channels], "group_norm: {shape} with {}", affine.shape());
        }
        Groups { batch, channels, groups, plane }
    }

    /// The groups of all images.
    fn rows(self) -> usize {
        self.batch * self.groups
    }

    /// A parameter, or what has the same effect as none.
    fn or_constant(self, x: &Tensor, given: Option<&Tensor>, value: f32) -> Tensor {
        given.cloned().unwrap_or_else(|| Tensor::full_on([self.channels], value, &x.device()))
    }

    fn params(self, run: LaunchBuilder) -> LaunchBuilder {
        run.params([self.batch, self.channels, self.groups, self.plane])
    }
}
