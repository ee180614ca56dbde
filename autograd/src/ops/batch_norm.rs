//! y = act(w·x̂ + b + residual). One pass over x, y and dy computes all four gradients; `tensor/src/ops/batch_norm.rs` has the formulas.

use tensor::{Act, BatchNorm, RunningStats, Tensor};

use crate::var::Var;

impl Var {
    /// Batch normalisation in training: `y = act(w·(x − μ)/√(σ² + ε) + b + residual)`, x, y and the residual
    /// `[batch, channels, height, width]`, w and b `[channels]`, μ and σ² the mean and biased variance of each channel in this batch.
    /// Running averages, if given, are updated. (Ioffe and Szegedy, 1502.03167.)
    ///
    /// # Panics
    /// If channels differ, if the residual's shape is not the image's, or, with running averages, if a channel has only one element,
    /// which has no variance.
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
        let parameters = [weight.value(), bias.value()];
        let (stats, y) = self.value().batch_norm_train(parameters, residual.map(Var::value), act, eps, running);
        record(self, [&stats.mean, &stats.var], weight, bias, residual, act, eps, y, true)
    }

    /// Batch normalisation in evaluation: the same with given, constant statistics, `[channels]` each.
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
        let norm = BatchNorm { mean: running_mean, var: running_var, weight: weight.value(), eps, act };
        let y = self.value().batch_norm(norm, bias.value(), residual.map(Var::value));
        record(self, [running_mean, running_var], weight, bias, residual, act, eps, y, false)
    }
}

fn record(
    x: &Var,
    [mean, var]: [&Tensor; 2],
    weight: &Var,
    bias: &Var,
    residual: Option<&Var>,
    act: Act,
    eps: f32,
    y: Tensor,
    of_batch: bool,
) -> Var {
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
