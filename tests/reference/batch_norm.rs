//! y = act(w·(x − μ)/√(σ² + ε) + b + residual), per channel.

use tensor::Act;

use crate::{Array, at, build};

/// Mean and biased variance (divided by the count) of each channel of [batch, channels, height, width].
pub fn stats(x: &Array) -> (Array, Array) {
    let [batch, channels, height, width] = x.shape.nchw("x");
    let count = (batch * height * width) as f64;
    let over_channel = |c: usize, f: &dyn Fn(f64) -> f64| {
        let mut sum = 0.0;
        for n in 0..batch {
            for i in 0..height {
                for j in 0..width {
                    sum += f(at(x, [n, c, i, j]));
                }
            }
        }
        sum / count
    };
    let mean = build([channels], |[c]| over_channel(c, &|x| x));
    let var = build([channels], |[c]| over_channel(c, &|x| (x - mean.data[c]).powi(2)));
    (mean, var)
}

/// Normalisation with the statistics of the batch.
pub fn train(x: &Array, w: &Array, b: &Array, residual: Option<&Array>, act: Act, eps: f64) -> Array {
    let (mean, var) = stats(x);
    eval(x, &mean, &var, w, b, residual, act, eps)
}

/// Normalisation with the given statistics.
pub fn eval(
    x: &Array,
    mean: &Array,
    var: &Array,
    w: &Array,
    b: &Array,
    residual: Option<&Array>,
    act: Act,
    eps: f64,
) -> Array {
    build(x.shape.nchw("x"), |[n, c, i, j]| {
        let normal = (at(x, [n, c, i, j]) - mean.data[c]) / (var.data[c] + eps).sqrt();
        let residual = residual.map_or(0.0, |r| at(r, [n, c, i, j]));
        apply(act, w.data[c] * normal + b.data[c] + residual)
    })
}

fn apply(act: Act, x: f64) -> f64 {
    match act {
        Act::Identity => x,
        Act::Relu => x.max(0.0),
        Act::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
    }
}
