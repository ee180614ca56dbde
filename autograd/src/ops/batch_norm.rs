//! y = act(w·x̂ + b + residual). One pass over x, y and dy gives all four gradients; the formulas stand beside the kernels.

use tensor::{Act, BatchNorm, BatchStats, RunningStats, Tensor};

use crate::var::Var;

impl Var {
    /// Normalises each channel of `[batch, channels, height, width]` by the batch's own mean and variance, towards which
    /// running averages move, if given.
    ///
    /// # Panics
    /// If channels differ, or the residual's shape is not the image's.
    #[track_caller]
    pub fn batch_norm(
        &self,
        weight: &Var,
        bias: &Var,
        residual: Option<&Var>,
        act: Act,
        eps: f32,
        running: Option<RunningStats>,
    ) -> Var {
        let BatchStats { mean, var, .. } = self.value().channel_stats(running);
        normalised(self, &mean, &var, weight, bias, residual, act, eps, true)
    }

    /// Normalises each channel by given, constant statistics: batch normalisation in evaluation.
    ///
    /// # Panics
    /// If channels differ, or the residual's shape is not the image's.
    #[track_caller]
    pub fn batch_norm_eval(
        &self,
        running_mean: &Tensor,
        running_var: &Tensor,
        weight: &Var,
        bias: &Var,
        residual: Option<&Var>,
        act: Act,
        eps: f32,
    ) -> Var {
        normalised(self, running_mean, running_var, weight, bias, residual, act, eps, false)
    }
}

#[track_caller]
fn normalised(
    x: &Var,
    mean: &Tensor,
    var: &Tensor,
    weight: &Var,
    bias: &Var,
    residual: Option<&Var>,
    act: Act,
    eps: f32,
    of_batch: bool,
) -> Var {
    let norm = BatchNorm { mean, var, weight: weight.value(), eps, act };
    let y = x.value().batch_norm(norm, bias.value(), residual.map(Var::value));
    let (kept, result) = (x.value().clone(), y.clone());
    let (mean, var, w) = (mean.clone(), var.clone(), weight.value().clone());
    let residual_too = residual.is_some();
    let gradients = move |dy: &Tensor| {
        let norm = BatchNorm { mean: &mean, var: &var, weight: &w, eps, act };
        kept.batch_norm_gradient(norm, &result, dy, of_batch, residual_too)
    };
    Var::record("batch_norm", y, |edge| match residual {
        None => edge.joint([x, weight, bias], move |dy, _| {
            let g = gradients(dy);
            [Some(g.dx), Some(g.dweight), Some(g.dbias)]
        }),
        Some(residual) => edge.joint([x, weight, bias, residual], move |dy, _| {
            let g = gradients(dy);
            [Some(g.dx), Some(g.dweight), Some(g.dbias), g.dresidual]
        }),
    })
}
