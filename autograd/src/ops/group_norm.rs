//! y = w·x̂ + b, with x̂ normalised over groups of channels of each image. `tensor/src/ops/group_norm.rs` has the formulas.

use tensor::GroupNormGradients;

use crate::var::Var;

impl Var {
    /// Normalisation of each image over `groups` groups of neighbouring channels and their pixels, with a scale and a shift for each
    /// channel: `[batch, channels, …]` → the same, `y = w·(x − μ)/√(σ² + ε) + b` (Wu and He, 1803.08494). As many groups as channels
    /// are an instance norm.
    ///
    /// # Panics
    /// Unless the groups divide the channels, and `weight` and `bias` are `[channels]`.
    #[track_caller]
    pub fn group_norm(&self, groups: usize, weight: Option<&Var>, bias: Option<&Var>, eps: f32) -> Var {
        let [w, b] = [weight, bias].map(|affine| affine.map(Var::value));
        let (y, stats) = self.value().native_group_norm(groups, w, b, eps);
        let (x, w) = (self.value().clone(), w.cloned());
        // What is missing needs no gradient, so any variable without a history stands for it.
        let none = Var::constant(stats.clone());
        Var::record("group_norm", y, |edge| {
            edge.joint([self, weight.unwrap_or(&none), bias.unwrap_or(&none)], move |dy, _| {
                let GroupNormGradients { dx, dweight, dbias } = x.group_norm_gradient(groups, w.as_ref(), &stats, dy);
                [Some(dx), Some(dweight), Some(dbias)]
            });
        })
    }
}
