//! A complete training step for benchmarks: a model, its optimiser and one batch, without a data set or files.

use std::collections::HashMap;
use std::time::Instant;

use autograd::{Param, Var, autocast, no_grad};
use nn::ForwardContext;
use nn::optim::{Optimizer, scaled_loss};
use pollster::block_on;
use tensor::{Device, Dtype, Generator, GradientMonitor, LossScale, Shape, Tensor};
use vae::config::{Config, ModelKind, Precision};
use vae::distributed::StepTime;
use vae::learn;
use vae::model::{self, Vae};
use vae::objective::{END, Objective, ScheduleContext, Terms};

/// The configuration of a benchmark: `resnet18` (also `beta-resnet18`, the first paper's model: 23.9 million parameters, 32 × 32
/// RGB, z = 128), `basic`, `conv3`, `skip`, or `quickstart`, the model of the default run.
pub fn config(name: &str) -> Option<Config> {
    let (kind, channels, size, z_dim) = match name {
        "resnet18" | "beta-resnet18" => (ModelKind::Resnet18, 3, 32, 128),
        "quickstart" => (ModelKind::Resnet18, 1, 32, 16),
        "basic" => (ModelKind::Basic, 3, 32, 20),
        "conv3" => (ModelKind::Conv3, 3, 64, 20),
        "skip" => (ModelKind::Skip, 3, 64, 512),
        _ => return None,
    };
    let mut config = Config::default();
    (config.model.kind, config.model.z_dim) = (kind, z_dim);
    (config.data.channels, config.data.image_size) = (Some(channels), Some(size));
    if name == "quickstart" {
        config.model.width = 16;
    }
    Some(config)
}

/// What a step needs.
pub struct Step {
    model: Box<dyn Vae>,
    objective: Objective,
    params: Vec<(String, Param)>,
    adam: Optimizer,
    monitor: GradientMonitor,
    device: Device,
    dtype: Dtype, // of feature maps
    x: Tensor,
    eps: Tensor,
    steps: u64,
}

impl Step {
    /// The model of a configuration with a batch of `batch` random images, on a device.
    pub fn new(config: &Config, batch: usize, device: &Device) -> Step {
        let model = model::build(config);
        if config.model.freeze_encoder {
            learn::freeze_encoder(&*model, config.model.freeze_heads);
        }
        nn::upload(&*model, device);
        let params = nn::parameters(&*model);
        let mut rng = Generator::new(1);
        let (channels, size) = (config.channels(), config.image_size());
        let dtype = if config.train.precision == Precision::F16 { Dtype::F16 } else { Dtype::F32 };
        let loss_scale = (dtype == Dtype::F16).then(LossScale::default);
        Step {
            objective: Objective::new(config),
            params,
            adam: Optimizer::adam(),
            monitor: GradientMonitor::with_loss_scale(1, device, loss_scale),
            dtype,
            device: device.clone(),
            x: rng.uniform_tensor([batch, channels, size, size], 0.0, 1.0).upload(device),
            eps: rng.normal_tensor([batch, config.model.z_dim]).upload(device),
            model,
            steps: 0,
        }
    }

    /// Runs one step: forward, backward, Adam. Does not wait for a GPU.
    pub fn train(&mut self) {
        let terms = autocast(self.dtype, || self.loss(&ForwardContext::train(1, self.steps)));
        let mut gradients = scaled_loss(&terms.total, &self.monitor).backward();
        let all: Vec<&Tensor> = self.params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
        self.monitor.observe(0, &all, &terms.watched(), None);
        self.adam.step_with(&self.params, &mut gradients, 1e-3, &self.monitor);
        self.steps += 1;
        if let Device::Gpu(machine) = &self.device {
            block_on(machine.end_step()).expect("the GPU goes on");
        }
    }

    /// Runs one step on the CPU, and returns the model of its time in several processes.
    pub fn time(&mut self) -> StepTime {
        let start = Instant::now();
        let since = || start.elapsed().as_secs_f64();
        let terms = self.loss(&ForwardContext::train(1, self.steps));
        let mut ready = HashMap::new();
        let mut gradients = terms.total.backward_with_hook(&mut |leaf, gradient| {
            ready.insert(leaf, since());
            gradient
        });
        let backward = since();
        let bucket = |members: Vec<usize>| {
            let members = || members.iter().map(|&place| &self.params[place].1);
            let bytes = 4 * members().map(|param| param.shape().count()).sum::<usize>();
            let complete =
                members().filter_map(|param| ready.get(&param.id())).fold(0.0, |last, &time| f64::max(last, time));
            (bytes as f64, complete)
        };
        let buckets = vae::train::buckets(&self.params).into_iter().map(bucket).collect();
        let all: Vec<&Tensor> = self.params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
        self.monitor.observe(0, &all, &terms.watched(), None);
        self.adam.step_with(&self.params, &mut gradients, 1e-3, &self.monitor);
        self.steps += 1;
        StepTime { buckets, backward, optimiser: since() - backward }
    }

    /// Returns the loss of the latest step. Waits for a GPU.
    pub fn latest(&self) -> f32 {
        block_on(self.monitor.read(1)).expect("the GPU goes on")[0].watched[0]
    }

    /// Fills parameters, images and noise with the fixed numbers of `compare_peers.sh`. Returns the number of parameters, the
    /// loss, and the norm of its gradient. On the CPU only.
    pub fn known(&mut self) -> (usize, f32, f64) {
        let values = |k: u64, shape: &Shape, scale: f64, shift: f64| {
            let value = |i| ((((i + k) * (i + k)) as f64).sin() * scale + shift) as f32;
            Tensor::new(&(0..shape.count() as u64).map(value).collect::<Vec<f32>>(), *shape)
        };
        for (k, (_, param)) in (0..).zip(&self.params) {
            let inputs: usize = param.shape()[1..].iter().product();
            param.set(values(k, &param.shape(), 1.0 / (inputs as f64).sqrt(), 0.0));
        }
        (self.x, self.eps) = (values(100, self.x.shape(), 0.5, 0.5), values(101, self.eps.shape(), 1.0, 0.0));
        let total = self.loss(&ForwardContext::eval()).total;
        let (loss, gradients) = (total.value().data()[0], total.backward());
        let found = self.params.iter().flat_map(|(_, param)| gradients.get(param).expect("a gradient").data());
        let squares: f64 = found.map(|&number| f64::from(number).powi(2)).sum();
        (nn::count(&*self.model), loss, squares.sqrt())
    }

    /// Runs the forward pass in evaluation mode and returns the loss.
    pub fn forward(&self) -> f32 {
        let total = no_grad(|| self.loss(&ForwardContext::eval()).total);
        block_on(total.value().read()).expect("the GPU goes on")[0]
    }

    fn loss(&self, ctx: &ForwardContext) -> Terms {
        let (mu, logvar) = self.model.encode(&Var::constant(self.x.clone()), ctx);
        let z = mu.reparameterise(&logvar, &self.eps);
        let schedule = ScheduleContext { epochs: END, images: self.x.shape()[0] };
        self.objective.terms(&self.model.decode(&z, ctx), &self.x, [&z, &mu, &logvar], schedule, ctx)
    }
}
