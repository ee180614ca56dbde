//! Batch normalisation over every dimension but the channels (Ioffe and Szegedy, 1502.03167), with what usually follows it:
//!   x̂ = (x − μ) / √(σ² + ε),   y = act(w·x̂ + b + residual)
//! x, y, residual: [batch, channels, height, width]; w, b, μ, σ²: [channels]. μ and σ² are those of the batch in training
//! (σ² divided by the count, M), running averages in evaluation.
//!
//! Backward, with g = dy · act′ read off y:
//!   db = Σ g,   dw = Σ g·x̂,   dresidual = g,
//!   dx = w/√(σ² + ε) · (g − db/M − x̂·dw/M) in training, where μ and σ² depend on x too;   w/√(σ² + ε) · g in evaluation.

use rayon::prelude::*;

use super::reduce::sum_slice;
use crate::cpu::parallel::Disjoint;
use crate::cpu::simd::Isa;
use crate::tensor::Tensor;

/// What follows a normalisation: each has a derivative that its result tells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Act {
    /// Nothing.
    Identity,
    /// max(x, 0).
    Relu,
    /// x above 0, slope·x (slope > 0) below.
    LeakyRelu(f32),
}

impl Act {
    #[inline(always)]
    fn apply(self, x: f32) -> f32 {
        match self {
            Act::Identity => x,
            Act::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Act::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
        }
    }

    #[inline(always)]
    fn derivative(self, y: f32) -> f32 {
        match self {
            Act::Identity => 1.0,
            Act::Relu => {
                if y > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Act::LeakyRelu(slope) => {
                if y > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
        }
    }
}

/// Mean and variance of each channel, and of how many numbers.
#[derive(Clone, Debug)]
pub struct BatchStats {
    /// [channels].
    pub mean: Tensor,
    /// [channels], divided by `count` (biased).
    pub var: Tensor,
    /// Numbers a channel, M.
    pub count: usize,
}

/// How a batch is normalised: everything but the data.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// μ, [channels].
    pub mean: &'a Tensor,
    /// σ², [channels].
    pub var: &'a Tensor,
    /// w, [channels].
    pub weight: &'a Tensor,
    /// Added to the variance.
    pub eps: f32,
    /// What follows.
    pub act: Act,
}

/// The gradients of a batch normalisation.
#[derive(Debug)]
pub struct BatchNormGradients {
    /// [batch, channels, height, width].
    pub dx: Tensor,
    /// [channels].
    pub dweight: Tensor,
    /// [channels].
    pub dbias: Tensor,
    /// [batch, channels, height, width].
    pub dresidual: Tensor,
}

impl Tensor {
    /// Mean and biased variance of each channel of [batch, channels, height, width].
    ///
    /// # Panics
    /// Unless there are four dimensions and at least one number a channel.
    #[track_caller]
    pub fn channel_stats(&self) -> BatchStats {
        let [batch, channels, height, width] = self.shape().nchw("batch_norm");
        let (plane, count) = (height * width, batch * height * width);
        assert!(count > 0, "batch_norm: {} has no number a channel", self.shape());
        let (x, isa) = (self.data(), Isa::current());
        let stats = |c: usize| {
            isa.run(|| {
                let planes = || (0..batch).map(|n| &x[(n * channels + c) * plane..][..plane]);
                let mean = planes().map(sum_slice).sum::<f64>() / count as f64;
                let var = planes().map(|x| sum_squares(x, mean as f32)).sum::<f64>() / count as f64;
                (mean as f32, var as f32)
            })
        };
        let (mean, var): (Vec<f32>, Vec<f32>) = (0..channels).into_par_iter().map(stats).unzip();
        BatchStats { mean: Tensor::new(&mean, [channels]), var: Tensor::new(&var, [channels]), count }
    }

    /// y = act(w·x̂ + b + residual).
    ///
    /// # Panics
    /// If channels differ, or the residual's shape is not this tensor's.
    #[track_caller]
    pub fn batch_norm(&self, norm: BatchNorm, bias: &Tensor, residual: Option<&Tensor>) -> Tensor {
        let [_, channels, height, width] = self.shape().nchw("batch_norm");
        norm.check(self, bias);
        if let Some(residual) = residual {
            assert_eq!(self.shape(), residual.shape(), "batch_norm: {} plus {}", self.shape(), residual.shape());
        }
        let plane = height * width;
        let (x, bias, residual) = (self.data(), bias.data(), residual.map(Tensor::data));
        Tensor::build(*self.shape(), |y| {
            crate::cpu::parallel::rows(y, plane, |row, y| {
                let (c, at) = (row % channels, row * plane);
                let (mean, scale, shift) = (norm.mean.data()[c], norm.weight.data()[c] * norm.invstd(c), bias[c]);
                let x = &x[at..][..plane];
                match residual {
                    None => y.iter_mut().zip(x).for_each(|(y, x)| *y = norm.act.apply((x - mean) * scale + shift)),
                    Some(r) => {
                        let pairs = x.iter().zip(&r[at..][..plane]);
                        y.iter_mut()
                            .zip(pairs)
                            .for_each(|(y, (x, r))| *y = norm.act.apply((x - mean) * scale + shift + r));
                    }
                }
            });
        })
    }

    /// The gradients of [`batch_norm`](Tensor::batch_norm) at `self`, from its result `y` and the result's gradient.
    /// `of_batch` says that mean and variance were those of the batch.
    ///
    /// # Panics
    /// If the shapes are not those of one normalisation.
    #[track_caller]
    pub fn batch_norm_gradient(&self, norm: BatchNorm, y: &Tensor, dy: &Tensor, of_batch: bool) -> BatchNormGradients {
        let [batch, channels, height, width] = self.shape().nchw("batch_norm_gradient");
        norm.check(self, norm.weight);
        assert!(
            self.shape() == y.shape() && y.shape() == dy.shape(),
            "batch_norm_gradient: {} and {}",
            y.shape(),
            dy.shape()
        );
        let (plane, isa) = (height * width, Isa::current());
        let count = (batch * plane) as f64;

        // g overwrites nothing: where nothing follows the normalisation it is dy itself.
        let dresidual = match norm.act {
            Act::Identity => dy.clone(),
            act => {
                let (dy, y) = (dy.data(), y.data());
                Tensor::build(*self.shape(), |g| {
                    crate::cpu::parallel::over(g, |first, g| {
                        let pairs = dy[first..].iter().zip(&y[first..]);
                        g.iter_mut().zip(pairs).for_each(|(g, (dy, &y))| *g = dy * act.derivative(y));
                    });
                })
            }
        };
        let (x, g) = (self.data(), dresidual.data());
        let mut sums = vec![(0.0f32, 0.0f32); channels];
        let dx = Tensor::build(*self.shape(), |dx| {
            let dx = Disjoint::new(dx);
            sums.par_iter_mut().enumerate().for_each(|(c, sums)| {
                isa.run(|| {
                    let (mean, invstd) = (norm.mean.data()[c], norm.invstd(c));
                    let scale = norm.weight.data()[c] * invstd;
                    let at = |n: usize| (n * channels + c) * plane..(n * channels + c + 1) * plane;
                    let db = (0..batch).map(|n| sum_slice(&g[at(n)])).sum::<f64>();
                    let dw =
                        (0..batch).map(|n| sum_products(&g[at(n)], &x[at(n)], mean)).sum::<f64>() * f64::from(invstd);
                    *sums = (dw as f32, db as f32);
                    let (mean_g, slope) = match of_batch {
                        true => ((db / count) as f32, (dw / count) as f32 * invstd),
                        false => (0.0, 0.0),
                    };
                    for n in 0..batch {
                        // SAFETY: each task has channels of its own.
                        let dx = unsafe { dx.part(at(n)) };
                        let pairs = g[at(n)].iter().zip(&x[at(n)]);
                        dx.iter_mut()
                            .zip(pairs)
                            .for_each(|(dx, (g, x))| *dx = scale * (g - mean_g - (x - mean) * slope));
                    }
                });
            });
        });
        let (dweight, dbias): (Vec<f32>, Vec<f32>) = sums.into_iter().unzip();
        let dweight = Tensor::new(&dweight, [channels]);
        BatchNormGradients { dx, dweight, dbias: Tensor::new(&dbias, [channels]), dresidual }
    }
}

impl BatchNorm<'_> {
    #[inline(always)]
    fn invstd(&self, channel: usize) -> f32 {
        1.0 / (self.var.data()[channel] + self.eps).sqrt()
    }

    #[track_caller]
    fn check(&self, x: &Tensor, bias: &Tensor) {
        for given in [self.mean, self.var, self.weight, bias] {
            assert_eq!(
                given.shape()[..],
                [x.shape()[1]],
                "batch_norm: {} with statistics {}",
                x.shape(),
                given.shape()
            );
        }
    }
}

/// Σ (x − mean)².
#[inline(always)]
fn sum_squares(x: &[f32], mean: f32) -> f64 {
    sum_products_of(x, x, |a, _| (a - mean) * (a - mean))
}

/// Σ g·(x − mean).
#[inline(always)]
fn sum_products(g: &[f32], x: &[f32], mean: f32) -> f64 {
    sum_products_of(g, x, |g, x| g * (x - mean))
}

#[inline(always)]
fn sum_products_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut sums = [0.0f64; 8];
    let (mut a, mut b) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in (&mut a).zip(&mut b) {
        for i in 0..8 {
            sums[i] += f64::from(f(a[i], b[i]));
        }
    }
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(&a, &b)| f64::from(f(a, b))).sum();
    sums.iter().sum::<f64>() + rest
}
