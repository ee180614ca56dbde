//! Batch normalisation over all dimensions except the channels (Ioffe and Szegedy, 1502.03167), fused with what usually follows it:
//!   x̂ = (x − μ) / √(σ² + ε),   y = act(w·x̂ + b + residual)
//! x, y, residual: [batch, channels, height, width]; w, b, μ, σ²: [channels]. In training, μ and σ² are those of the batch (σ² is
//! divided by the count, M); in evaluation they are running averages.
//!
//! Backward, with g = dy · act′, where act′ follows from y:
//!   db = Σ g,   dw = Σ g·x̂,   dresidual = g,
//!   dx = w/√(σ² + ε) · (g − db/M − x̂·dw/M) in training, where μ and σ² depend on x too;   w/√(σ² + ε) · g in evaluation.

use std::sync::Arc;

use crate::act::Act;
use crate::cpu::channels::{Block, Channels, Gradient, Moments, Normalise, Numbers};
use crate::cpu::parallel::{DisjointSliceMut, for_each_index, for_each_item};
use crate::cpu::simd::Isa;
use crate::device::{Accelerator, Device};
use crate::kernel::{Dtype, Kernel};
use crate::launch::LaunchBuilder;
use crate::tensor::Tensor;
use crate::trace;

static WGSL: [&str; 3] = [shaders::GRID, shaders::SUM, shaders::BATCH_NORM];
pub(super) static BATCH_NORM: Kernel = Kernel::checked(&WGSL, "batch_norm").of_any_dtype();
pub(super) static BATCH_NORM_STATS: Kernel = Kernel::checked(&WGSL, "batch_norm_stats").of_any_dtype();
pub(super) static BATCH_NORM_SUMS: Kernel = Kernel::checked(&WGSL, "batch_norm_sums").of_any_dtype();
pub(super) static BATCH_NORM_GRADIENT: Kernel = Kernel::checked(&WGSL, "batch_norm_gradient").of_any_dtype();
pub(super) static BATCH_NORM_TRAIN: Kernel = Kernel::unchecked(&WGSL, "batch_norm_train").of_any_dtype();
pub(super) static BATCH_NORM_GRADIENT_TRAIN: Kernel =
    Kernel::unchecked(&WGSL, "batch_norm_gradient_train").of_any_dtype();

/// The most numbers of a channel that a workgroup of `batch_norm_train` holds: 256 invocations with 16 quads each.
const HELD: usize = 256 * 16 * 4;

/// The mean and variance of each channel.
#[derive(Clone, Debug)]
pub struct BatchStats {
    /// `[channels]`.
    pub mean: Tensor,
    /// `[channels]`, divided by `count` (biased).
    pub var: Tensor,
    /// The number of elements per channel, M.
    pub count: usize,
}

/// Running averages over batches: running ← (1 − momentum)·running + momentum·new. The new variance is divided by M − 1.
#[derive(Debug)]
pub struct RunningStats<'a> {
    /// `[channels]`.
    pub mean: &'a mut Tensor,
    /// `[channels]`.
    pub var: &'a mut Tensor,
    /// The weight of the new values.
    pub momentum: f32,
}

/// How a batch is normalised, `y = act(w·(x − μ)/√(σ² + ε) + b + residual)`: everything except x, b and the residual.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// μ, `[channels]`.
    pub mean: &'a Tensor,
    /// σ², `[channels]`.
    pub var: &'a Tensor,
    /// w, `[channels]`.
    pub weight: &'a Tensor,
    /// ε, added to the variance.
    pub eps: f32,
    /// The activation.
    pub act: Act,
}

/// The gradients of a batch normalisation.
#[derive(Debug)]
pub struct BatchNormGradients {
    /// `[batch, channels, height, width]`.
    pub dx: Tensor,
    /// `[channels]`.
    pub dweight: Tensor,
    /// `[channels]`.
    pub dbias: Tensor,
    /// `[batch, channels, height, width]`, if it was asked for.
    pub dresidual: Option<Tensor>,
}

impl Tensor {
    /// The mean and biased variance of each channel of `[batch, channels, height, width]`. Running averages, if given, are updated:
    /// `running ← (1 − momentum)·running + momentum·new`, with the unbiased variance, as in PyTorch.
    ///
    /// # Panics
    /// Unless there are four dimensions and at least one element per channel, or two with running averages, which have one number for
    /// each channel.
    #[track_caller]
    pub fn channel_stats(&self, mut running: Option<RunningStats>) -> BatchStats {
        let channels = channels(self);
        let (c, count) = (channels.channels, channels.count());
        check_count(self, count, running.is_some());
        if let Some(running) = &mut running {
            running.check(self);
        }
        if let Device::Gpu(machine) = self.device() {
            let [mut mean, mut var] = [(); 2].map(|()| Tensor::on_device(&machine, [c].into()));
            let run = with_sizes(BATCH_NORM_STATS.groups(c), channels)
                .named("channel_stats")
                .set("RUNNING", usize::from(running.is_some()));
            let momentum = running.as_ref().map_or(0.0, |running| running.momentum);
            let run = run.floats([momentum, count as f32 / (count as f32 - 1.0)]).read(self);
            match &mut running {
                Some(running) => run.update([&mut mean, &mut var, running.mean, running.var]),
                None => {
                    let [mut none, mut nor] = [(); 2].map(|()| Tensor::on_device(&machine, [0].into()));
                    run.update([&mut mean, &mut var, &mut none, &mut nor]);
                }
            }
            return BatchStats { mean, var, count };
        }
        let (x, isa, begun) = (self.data(), Isa::current(), trace::begin());
        let mut moments = vec![[0.0; 2]; c];
        for_each_block(channels, &mut moments, |block, out| isa.dispatch(Moments { x, block, out }));
        let stats = BatchStats::of_moments(&moments, count, running);
        begun.end("channel_stats", [self.shape()], stats.mean.shape());
        stats
    }

    /// Batch normalisation in training: [`channel_stats`](Tensor::channel_stats), and with these statistics
    /// [`batch_norm`](Tensor::batch_norm). On the CPU a task does both for a few channels, while their numbers are in a cache. On
    /// a GPU both are one launch if the channels are small enough.
    ///
    /// # Panics
    /// As these two.
    #[track_caller]
    pub fn batch_norm_train(
        &self,
        [weight, bias]: [&Tensor; 2],
        residual: Option<&Tensor>,
        act: Act,
        eps: f32,
        mut running: Option<RunningStats>,
    ) -> (BatchStats, Tensor) {
        let channels = channels(self);
        if let Some(running) = &mut running {
            running.check(self);
        }
        if let Device::Cpu = self.device() {
            return train_on_the_cpu(self, channels, [weight, bias], residual, act, eps, running);
        }
        let Some((machine, quads)) = fits_a_workgroup(self, channels) else {
            let stats = self.channel_stats(running);
            let norm = BatchNorm { mean: &stats.mean, var: &stats.var, weight, eps, act };
            let y = self.batch_norm(norm, bias, residual);
            return (stats, y);
        };
        check_residual(self, residual);
        let [weight, bias] = &[weight, bias].map(single);
        let count = channels.count();
        let (c, momentum) = ([channels.channels], running.as_ref().map_or(0.0, |running| running.momentum));
        let [mut mean, mut var, mut none, mut nor] = [c, c, [0], [0]].map(|c| Tensor::on_device(&machine, c.into()));
        let mut y = Tensor::on_device_as(&machine, *self.shape(), self.dtype());
        BatchNorm { mean: &mean, var: &var, weight, eps, act }.check(self, bias);
        let run = with_sizes(BATCH_NORM_TRAIN.groups(c[0]), channels).set("RUNNING", usize::from(running.is_some()));
        let run =
            run.set("ACTIVE", usize::from(act.slope().is_some())).set("RESIDUAL", usize::from(residual.is_some()));
        let run = run.set("QUADS", quads).floats([momentum, count as f32 / (count as f32 - 1.0), eps]);
        let run = run.floats([act.slope().unwrap_or(1.0)]).read(self).read(weight).read(bias);
        let run = run.read(residual.unwrap_or(bias));
        match running {
            Some(running) => run.update([&mut y, &mut mean, &mut var, running.mean, running.var]),
            None => run.update([&mut y, &mut mean, &mut var, &mut none, &mut nor]),
        }
        (BatchStats { mean, var, count }, y)
    }

    /// Batch normalisation of `[batch, channels, height, width]`, with an activation and an optional residual:
    /// `y = act(w·x̂ + b + residual)`, `x̂ = (x − μ)/√(σ² + ε)` (Ioffe and Szegedy, 1502.03167).
    ///
    /// # Panics
    /// If channels differ, or the residual's shape is not this tensor's.
    #[track_caller]
    pub fn batch_norm(&self, norm: BatchNorm, bias: &Tensor, residual: Option<&Tensor>) -> Tensor {
        let channels = channels(self);
        norm.check(self, bias);
        check_residual(self, residual);
        if let Device::Gpu(_) = self.device() {
            let [mean, var, weight, bias] = &[norm.mean, norm.var, norm.weight, bias].map(single);
            let run =
                norm.run(BATCH_NORM.over(self.count()), channels).set("RESIDUAL", usize::from(residual.is_some()));
            let run = run.read(self).read(mean).read(var).read(weight).read(bias);
            return run.read(residual.unwrap_or(bias)).dtype(self.dtype()).write(self.shape());
        }
        let inputs: Vec<&Tensor> = [self, norm.mean, norm.var, norm.weight, bias].into_iter().chain(residual).collect();
        let (x, residual, bias, isa) = (self.data(), residual.map(Tensor::data), bias.data(), Isa::current());
        Tensor::build("batch_norm", &inputs, *self.shape(), |y| {
            let y = &DisjointSliceMut::new(y);
            for_each_index(channels.channels.div_ceil(channels.of_block()), &|i| {
                let block = channels.block(i);
                let (numbers, bias) = (&norm.of(block), &bias[block.channels()]);
                isa.dispatch(Normalise { x, residual, y, block, numbers, bias, act: norm.act });
            });
        })
    }

    /// The gradients of [`batch_norm`](Tensor::batch_norm) at `self`, from its result `y` and the result's gradient `dy`. With
    /// g = dy·act′: `db = Σ g`, `dw = Σ g·x̂`, `dresidual = g`, and `dx = w/√(σ² + ε)·(g − db/M − x̂·dw/M)` with M elements per
    /// channel, or `w/√(σ² + ε)·g` if the statistics are constants.
    /// `of_batch` says whether mean and variance were those of the batch, `residual` whether there was a residual.
    ///
    /// # Panics
    /// If the shapes are not those of one normalisation.
    #[track_caller]
    pub fn batch_norm_gradient(
        &self,
        norm: BatchNorm,
        y: &Tensor,
        dy: &Tensor,
        of_batch: bool,
        residual: bool,
    ) -> BatchNormGradients {
        let channels = channels(self);
        norm.check(self, norm.weight);
        let (what, shape) = ("batch_norm_gradient", self.shape());
        let same = shape == y.shape() && y.shape() == dy.shape();
        assert!(same, "{what}: {}, {} and {}", self.shape(), y.shape(), dy.shape());

        let active = norm.act != Act::Identity;
        let vectors = [norm.mean, norm.var, norm.weight].map(single);
        let [mean, var, weight] = vectors.each_ref();
        if let (Some((_, quads)), true) = (fits_a_workgroup(self, channels), of_batch) {
            let run = norm.run(BATCH_NORM_GRADIENT_TRAIN.groups(channels.channels), channels).named(what);
            let run = run.set("QUADS", quads);
            let run = run.set("RESIDUAL", usize::from(residual && active)).read(self).read(mean).read(var);
            let run = run.read(weight).read(y).read(dy);
            let g_shape = if residual && active { *self.shape() } else { [0].into() };
            let c = [channels.channels].into();
            let all = [(*self.shape(), self.dtype()), (g_shape, dy.dtype()), (c, Dtype::F32), (c, Dtype::F32)];
            let [dx, g, dweight, dbias] = run.write_as(all);
            let dresidual = residual.then(|| if active { g } else { dy.clone() });
            return BatchNormGradients { dx, dweight, dbias, dresidual };
        }
        if let Device::Gpu(_) = self.device() {
            let run = norm.run(BATCH_NORM_SUMS.groups(channels.channels), channels).named(what);
            let run = run.read(self).read(mean).read(var).read(y).read(dy);
            let of_channels = [channels.channels].into();
            let g_shape = if norm.act == Act::Identity { of_channels } else { *self.shape() }; // not used, since g is dy
            let all = [(g_shape, dy.dtype()), (of_channels, Dtype::F32), (of_channels, Dtype::F32)];
            let [g, dweight, dbias] = run.write_as(all);
            let g = if norm.act == Act::Identity { dy.clone() } else { g };
            let run = norm
                .run(BATCH_NORM_GRADIENT.over(self.count()), channels)
                .named(what)
                .set("OF_BATCH", usize::from(of_batch));
            let run = run.read(self).read(mean).read(var).read(weight);
            let dx = run.read(&g).read(&dweight).read(&dbias).dtype(self.dtype()).write(self.shape());
            return BatchNormGradients { dx, dweight, dbias, dresidual: residual.then_some(g) };
        }
        let begun = trace::begin();
        let (x, dy_tensor, dy, isa) = (self.data(), dy, dy.data(), Isa::current());
        let y = if active { y.data() } else { dy }; // without an activation, act′ is 1 for any y, so y need not be read
        let slope = norm.act.slope().unwrap_or(1.0);
        let mut sums = vec![[0.0; 2]; channels.channels];
        let mut gradient = |g: Option<&DisjointSliceMut>| {
            Tensor::filled_by(*self.shape(), |dx| {
                let dx = &DisjointSliceMut::new(dx);
                for_each_block(channels, &mut sums, |block, sums| {
                    isa.dispatch(Gradient { x, y, dy, dx, g, block, numbers: &norm.of(block), slope, of_batch, sums });
                });
            })
        };
        let (dx, dresidual) = if residual && active {
            let mut dx = None;
            let g = Tensor::filled_by(*self.shape(), |g| dx = Some(gradient(Some(&DisjointSliceMut::new(g)))));
            (dx.expect("just computed"), Some(g))
        } else {
            (gradient(None), residual.then(|| dy_tensor.clone())) // without an activation, g is dy
        };
        let inputs = [self, norm.mean, norm.var, norm.weight].map(Tensor::shape).into_iter().chain([shape, shape]);
        begun.end(what, inputs, dx.shape());
        let pick = |i: usize| column(&sums, i);
        BatchNormGradients { dx, dweight: pick(0), dbias: pick(1), dresidual }
    }
}

/// [`Tensor::batch_norm_train`] on the CPU.
#[track_caller]
fn train_on_the_cpu(
    x: &Tensor,
    channels: Channels,
    [weight, bias]: [&Tensor; 2],
    residual: Option<&Tensor>,
    act: Act,
    eps: f32,
    running: Option<RunningStats>,
) -> (BatchStats, Tensor) {
    check_count(x, channels.count(), running.is_some());
    check_residual(x, residual);
    check_vectors(x, [weight, bias]);
    let inputs: Vec<&Tensor> = [x, weight, bias].into_iter().chain(residual).collect();
    let mut moments = vec![[0.0; 2]; channels.channels];
    let y = Tensor::build("batch_norm", &inputs, *x.shape(), |y| {
        let (y, isa) = (&DisjointSliceMut::new(y), Isa::current());
        let (x, residual, weight, bias) = (x.data(), residual.map(Tensor::data), weight.data(), bias.data());
        for_each_block(channels, &mut moments, |block, moments| {
            isa.dispatch(Moments { x, block, out: &mut *moments });
            let of_channel =
                |(&[mean, var], &weight): (&[f32; 2], &f32)| Numbers { mean, invstd: invstd(var, eps), weight };
            let numbers: &Vec<Numbers> = &moments.iter().zip(&weight[block.channels()]).map(of_channel).collect();
            isa.dispatch(Normalise { x, residual, y, block, numbers, bias: &bias[block.channels()], act });
        });
    });
    (BatchStats::of_moments(&moments, channels.count(), running), y)
}

/// Calls `task` in parallel for every block of channels, with the block's items.
fn for_each_block(channels: Channels, of_channels: &mut [[f32; 2]], task: impl Fn(Block, &mut [[f32; 2]]) + Sync) {
    let mut blocks: Vec<_> = of_channels.chunks_mut(channels.of_block()).collect();
    for_each_item(&mut blocks, |i, of_block| task(channels.block(i), of_block));
}

fn invstd(var: f32, eps: f32) -> f32 {
    1.0 / (var + eps).sqrt()
}

/// One of the two numbers of every channel.
fn column(numbers: &[[f32; 2]], i: usize) -> Tensor {
    Tensor::filled_by([numbers.len()].into(), |out| out.iter_mut().zip(numbers).for_each(|(x, pair)| *x = pair[i]))
}

impl BatchStats {
    /// The statistics of channels with these means and variances, with which it updates running averages.
    fn of_moments(moments: &[[f32; 2]], count: usize, running: Option<RunningStats>) -> BatchStats {
        let stats = BatchStats { mean: column(moments, 0), var: column(moments, 1), count };
        if let Some(mut running) = running {
            stats.blend_into(&mut running);
        }
        stats
    }

    /// Updates running averages on the CPU with these statistics: `running ← (1 − momentum)·running + momentum·new`. The variance becomes
    /// unbiased.
    ///
    /// # Panics
    /// If a channel has only one element, which has no variance.
    #[track_caller]
    pub fn blend_into(&self, running: &mut RunningStats) {
        assert!(self.count > 1, "batch_norm: one element per channel has no variance");
        let unbiased = self.count as f32 / (self.count - 1) as f32;
        let momentum = running.momentum;
        let blend = |running: &mut Tensor, new: &Tensor, scale: f32| {
            let pairs = running.data_mut().iter_mut().zip(new.data());
            pairs.for_each(|(r, &new)| *r = (1.0 - momentum) * *r + momentum * (scale * new));
        };
        blend(running.mean, &self.mean, 1.0);
        blend(running.var, &self.var, unbiased);
    }
}

fn with_sizes(run: LaunchBuilder, Channels { batch, channels, plane }: Channels) -> LaunchBuilder {
    run.params([batch, channels, plane])
}

/// For an image on a GPU of which a workgroup can hold a whole channel: the GPU, and the quads of numbers that each invocation holds.
fn fits_a_workgroup(x: &Tensor, channels: Channels) -> Option<(Arc<dyn Accelerator>, usize)> {
    let Device::Gpu(machine) = x.device() else { return None };
    let count = channels.count();
    let fits = channels.plane.is_multiple_of(4) && (2..=HELD).contains(&count) && machine.limits().buffers >= 10;
    fits.then(|| (machine, count.div_ceil(4 * 256)))
}

/// The numbers of channels in f32, as the shaders read them.
fn single(vector: &Tensor) -> Tensor {
    vector.to_dtype(Dtype::F32)
}

impl RunningStats<'_> {
    /// Checks that each channel of x has running averages, and stores them in f32.
    #[track_caller]
    fn check(&mut self, x: &Tensor) {
        check_vectors(x, [self.mean, self.var]);
        for average in [&mut self.mean, &mut self.var] {
            if average.dtype() != Dtype::F32 {
                **average = single(average);
            }
        }
    }
}

/// Each channel has a number in each of these.
#[track_caller]
fn check_vectors<const N: usize>(x: &Tensor, vectors: [&Tensor; N]) {
    for given in vectors {
        assert_eq!(given.shape()[..], [x.shape()[1]], "batch_norm: {} with statistics {}", x.shape(), given.shape());
    }
}

#[track_caller]
fn check_count(x: &Tensor, count: usize, running: bool) {
    assert!(count > 0, "batch_norm: {} has no element in a channel", x.shape());
    assert!(count > 1 || !running, "batch_norm: {} has one element per channel, which has no variance", x.shape());
}

#[track_caller]
fn check_residual(x: &Tensor, residual: Option<&Tensor>) {
    if let Some(residual) = residual {
        assert_eq!(x.shape(), residual.shape(), "batch_norm: {} plus {}", x.shape(), residual.shape());
    }
}

#[track_caller]
fn channels(x: &Tensor) -> Channels {
    let [batch, channels, height, width] = x.shape().nchw("batch_norm");
    Channels { batch, channels, plane: height * width }
}

impl BatchNorm<'_> {
    /// Adds the sizes, ε and the activation to a launch.
    fn run(&self, run: LaunchBuilder, channels: Channels) -> LaunchBuilder {
        let run = with_sizes(run, channels).set("ACTIVE", usize::from(self.act.slope().is_some()));
        run.floats([self.eps, self.act.slope().unwrap_or(1.0)])
    }

    fn of(&self, block: Block) -> Vec<Numbers> {
        let [mean, var, weight] = [self.mean, self.var, self.weight].map(Tensor::data);
        let of_channel = |c: usize| Numbers { mean: mean[c], invstd: invstd(var[c], self.eps), weight: weight[c] };
        block.channels().map(of_channel).collect()
    }

    #[track_caller]
    fn check(&self, x: &Tensor, bias: &Tensor) {
        check_vectors(x, [self.mean, self.var, self.weight, bias]);
    }
}
