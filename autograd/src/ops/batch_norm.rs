//! y = act(w·x̂ + b + residual). One pass over x, y and dy computes all four gradients; `tensor/src/ops/batch_norm.rs` has the formulas.
//!
//! With several parts of a batch, part p with Mₚ elements per channel, mean μₚ and variance σₚ², the statistics of the batch are
//!   M = Σ Mₚ,   μ = Σ Mₚ·μₚ/M,   σ² = Σ Mₚ·(σₚ² + (μₚ − μ)²)/M,
//! and dx of a part has the sums db and dw of all parts: dx = w/√(σ² + ε)·(g − Σ dbₚ/M − x̂·Σ dwₚ/M).

use std::rc::Rc;

use tensor::{Act, BatchNorm, BatchNormGradients, BatchStats, RunningStats, Tensor};

use crate::group::BatchGroup;
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

    /// The same as [`batch_norm`](Var::batch_norm) for one of several parts of a batch, on the CPU: the statistics are those of all
    /// parts, and the gradient of x is that of a loss which all parts add to. Those of w and b are the part's own.
    ///
    /// # Panics
    /// As `batch_norm`, or if a tensor is not on the CPU.
    #[track_caller]
    pub fn batch_norm_of_part(
        &self,
        weight: &Var,
        bias: &Var,
        residual: Option<&Var>,
        act: Act,
        eps: f32,
        running: Option<RunningStats>,
        group: &Rc<dyn BatchGroup>,
    ) -> Var {
        let stats = of_all_parts(&self.value().channel_stats(None), &**group);
        running.into_iter().for_each(|mut running| stats.blend_into(&mut running));
        let BatchStats { mean, var, count } = stats;
        let norm = BatchNorm { mean: &mean, var: &var, weight: weight.value(), eps, act };
        let y = self.value().batch_norm(norm, bias.value(), residual.map(Var::value));
        let (x, result, w, group) = (self.value().clone(), y.clone(), weight.value().clone(), group.clone());
        let residual_too = residual.is_some();
        let gradients = move |dy: &Tensor| {
            let norm = BatchNorm { mean: &mean, var: &var, weight: &w, eps, act };
            let mut own = x.batch_norm_gradient(norm, &result, dy, false, residual_too);
            let of_part: Vec<f64> =
                [&own.dbias, &own.dweight].into_iter().flat_map(|sum| sum.data()).map(|&sum| f64::from(sum)).collect();
            let channels = w.count();
            let mut sums = vec![0.0; 2 * channels];
            group
                .gather(&of_part)
                .iter()
                .for_each(|part| sums.iter_mut().zip(part).for_each(|(sum, more)| *sum += more));
            // dx of constant statistics, less scale·(db/M + (x − μ)·slope).
            let of_channels = |f: &dyn Fn(usize) -> f64| {
                Tensor::new(&(0..channels).map(|c| f(c) as f32).collect::<Vec<_>>(), [channels, 1, 1])
            };
            let invstd = |c: usize| 1.0 / f64::from(var.data()[c] + eps).sqrt();
            let scale = |c: usize| f64::from(w.data()[c]) * invstd(c) / count as f64;
            let shift = of_channels(&|c| scale(c) * sums[c]);
            let slope = of_channels(&|c| scale(c) * invstd(c) * sums[channels + c]);
            let deviations = x.sub(&mean.reshape([channels, 1, 1]));
            own.dx = own.dx.sub(&deviations.mul(&slope)).sub(&shift);
            own
        };
        with_gradients("batch_norm_of_part", y, [self, weight, bias], residual, gradients)
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

/// The statistics of a batch from those of one of its parts.
fn of_all_parts(own: &BatchStats, group: &dyn BatchGroup) -> BatchStats {
    let channels = own.mean.count();
    let mut numbers = vec![own.count as f64];
    numbers.extend(own.mean.data().iter().chain(own.var.data()).map(|&x| f64::from(x)));
    let parts = group.gather(&numbers);
    let count: f64 = parts.iter().map(|part| part[0]).sum();
    let mean = |c: usize| parts.iter().map(|part| part[0] * part[1 + c]).sum::<f64>() / count;
    let var = |c: usize| {
        let squares = |part: &Vec<f64>| part[0] * (part[1 + channels + c] + (part[1 + c] - mean(c)).powi(2));
        parts.iter().map(squares).sum::<f64>() / count
    };
    let of_channels =
        |f: &dyn Fn(usize) -> f64| Tensor::new(&(0..channels).map(|c| f(c) as f32).collect::<Vec<_>>(), [channels]);
    BatchStats { mean: of_channels(&mean), var: of_channels(&var), count: count as usize }
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
    with_gradients("batch_norm", y, [x, weight, bias], residual, gradients)
}

/// A normalisation with the rule that computes all of its gradients at once.
fn with_gradients(
    operation: &'static str,
    y: Tensor,
    inputs: [&Var; 3],
    residual: Option<&Var>,
    gradients: impl FnOnce(&Tensor) -> BatchNormGradients + 'static,
) -> Var {
    let [x, weight, bias] = inputs;
    Var::record(operation, y, |edge| match residual {
        None => edge.joint(inputs, move |dy, _| {
            let g = gradients(dy);
            [Some(g.dx), Some(g.dweight), Some(g.dbias)]
        }),
        Some(residual) => edge.joint([x, weight, bias, residual], move |dy, _| {
            let g = gradients(dy);
            [Some(g.dx), Some(g.dweight), Some(g.dbias), g.dresidual]
        }),
    })
}
