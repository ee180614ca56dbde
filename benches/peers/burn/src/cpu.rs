//! burn's part of `benches/compare_peers.sh`, on its CPU backend flex: kernels, and a training step of `conv3`. Prints one line
//! of JSON.
//!
//! Names, shapes and medians are those of `benches/compare.rs`.
#![forbid(unsafe_code)]

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::module::{conv_transpose2d, conv2d, interpolate};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData};

const BATCH: usize = 64;

/// The numbers of the `k`-th tensor, the same in all libraries: `sin((i + k)²)`.
fn known<const D: usize>(k: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..count).map(|i| (((i + k) * (i + k)) as f64).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Creates a model's parameters in order, each scaled by its number of inputs.
struct Maker<'a> {
    made: u64,
    device: &'a Device,
}

impl Maker<'_> {
    fn next<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let inputs: usize = shape[1..].iter().product();
        self.made += 1;
        known(self.made - 1, shape, self.device) / (inputs as f32).sqrt()
    }

    fn param<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(self.next(shape).into_data(), self.device)
    }

    fn conv(&mut self, [i, o]: [usize; 2]) -> Conv2d {
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let mut conv = Conv2dConfig::new([i, o], [3, 3]).with_stride([2, 2]).with_padding(padding).init(self.device);
        (conv.weight, conv.bias) = (self.param([o, i, 3, 3]), Some(self.param([o])));
        conv
    }

    fn transposed(&mut self, [i, o]: [usize; 2]) -> ConvTranspose2d {
        let config = ConvTranspose2dConfig::new([i, o], [4, 4]).with_stride([2, 2]).with_padding([1, 1]);
        let mut conv = config.init(self.device);
        (conv.weight, conv.bias) = (self.param([i, o, 4, 4]), Some(self.param([o])));
        conv
    }

    /// burn stores the weight with the inputs first.
    fn linear(&mut self, i: usize, o: usize) -> Linear {
        let mut linear = LinearConfig::new(i, o).init(self.device);
        linear.weight = Param::from_data(self.next([o, i]).transpose().into_data(), self.device);
        linear.bias = Some(self.param([o]));
        linear
    }
}

/// `conv3` at 64 pixels, 20 latents.
#[derive(Module, Debug)]
struct Conv3 {
    encoder: Vec<Conv2d>,
    mu: Linear,
    logvar: Linear,
    linear: Linear,
    decoder: Vec<ConvTranspose2d>,
}

impl Conv3 {
    fn new(device: &Device) -> Conv3 {
        let mut make = Maker { made: 0, device };
        Conv3 {
            encoder: [[3, 64], [64, 128], [128, 256]].into_iter().map(|widths| make.conv(widths)).collect(),
            mu: make.linear(16384, 20),
            logvar: make.linear(16384, 20),
            linear: make.linear(20, 16384),
            decoder: [[256, 128], [128, 64], [64, 3]].into_iter().map(|widths| make.transposed(widths)).collect(),
        }
    }

    /// The squared error summed over pixels and the KL summed over latents, as a mean over images.
    fn loss(&self, x: &Tensor<4>, eps: &Tensor<2>) -> Tensor<1> {
        let h: Tensor<2> = self.encoder.iter().fold(x.clone(), |x, conv| relu(conv.forward(x))).flatten(1, 3);
        let (mu, logvar) = (self.mu.forward(h.clone()), self.logvar.forward(h));
        let z = mu.clone() + (logvar.clone() * 0.5).exp() * eps.clone();
        let seed = self.linear.forward(z).reshape([BATCH, 256, 8, 8]);
        let xhat = self.decoder.iter().fold(seed, |x, conv| conv.forward(relu(x)));
        let kl = (mu.square() + logvar.clone().exp() - 1.0 - logvar).sum() * 0.5;
        ((xhat - x.clone()).square().sum() + kl) / BATCH as f32
    }
}

/// Adds up the squares of all gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id).expect("every parameter has a gradient");
        self.sum += gradient.square().sum().into_scalar::<f32>() as f64;
    }
}

fn median<R>(runs: usize, mut body: impl FnMut() -> R) -> f64 {
    let mut time = || {
        let start = Instant::now();
        std::hint::black_box(body());
        start.elapsed().as_secs_f64()
    };
    let mut times: Vec<f64> = (0..runs + 3).map(|_| time()).skip(3).collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// The figures to print.
#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn say<R>(&mut self, name: &str, runs: usize, body: impl FnMut() -> R) {
        self.0.push(format!("{name:?}: {:.7}", median(runs, body)));
    }

    /// Times forward, and forward with backward from a gradient of ones.
    fn pair<I: Clone>(&mut self, name: &str, plain: &I, leaves: &I, op: impl Fn(I) -> Tensor<4>) {
        self.say(name, 15, || op(plain.clone()));
        self.say(&format!("{name}, with backward"), 15, || op(leaves.clone()).backward());
    }

    fn kernels(&mut self, device: &Device) {
        let (a, b) = (known(1, [1024, 1024], device), known(2, [1024, 1024], device));
        self.say("matmul 1024", 15, || a.clone().matmul(b.clone()));
        let tracked = device.clone().autodiff();
        let make = |k, shape| (known::<4>(k, shape, device), known::<4>(k, shape, &tracked).require_grad());
        let (image, image_leaf) = make(1, [BATCH, 64, 16, 16]);
        let (weight, leaf) = make(2, [64, 64, 3, 3]);
        self.pair("conv 3x3 64@16", &(image.clone(), weight), &(image_leaf.clone(), leaf), |(x, w)| {
            conv2d(x, w, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
        });
        let ((x, x_leaf), (weight, leaf)) = (make(1, [BATCH, 128, 8, 8]), make(2, [128, 64, 4, 4]));
        self.pair("transposed 4x4 s2 128to64@8", &(x, weight), &(x_leaf, leaf), |(x, w)| {
            conv_transpose2d(x, w, None, ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1))
        });
        // burn uses the batch's own statistics only if gradients are tracked.
        let norm = BatchNormConfig::new(64).init(&tracked);
        self.pair("batch norm 64@16", &known(1, [BATCH, 64, 16, 16], &tracked), &image_leaf, |x| norm.forward(x));
        let twice = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        let twice = twice.with_output_size([32, 32]);
        self.pair("bilinear x2 64@16", &image, &image_leaf, |x| interpolate(x, twice.clone()));
    }

    fn model(&mut self, device: &Device) {
        let device = &device.clone().autodiff();
        let model = Conv3::new(device);
        let (x, eps) = ((known(100, [BATCH, 3, 64, 64], device) + 1.0) * 0.5, known(101, [BATCH, 20], device));
        let loss = model.loss(&x, &eps);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let mut squares = Squares { gradients: &gradients, sum: 0.0 };
        model.visit(&mut squares);
        let (count, loss, gradient) = (model.num_params(), loss.into_scalar::<f32>(), squares.sum.sqrt());
        self.0.push(format!("\"parameters\": {count}, \"loss\": {loss}, \"gradient\": {gradient}"));
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        let mut model = Some(model);
        self.say("train_step_s", 8, || {
            let current = model.take()?;
            let loss = current.loss(&x, &eps);
            let gradients = GradientsParams::from_grads(loss.backward(), &current);
            model = Some(adam.step(1e-3, current, gradients));
            Some(loss.into_scalar::<f32>())
        });
    }
}

fn main() {
    let device = Device::flex();
    let mut report = Report::default();
    report.model(&device);
    report.kernels(&device);
    let head = format!("\"peer\": \"burn\", \"mode\": \"burn\", \"model\": \"conv3\", \"batch\": {BATCH}");
    println!("{{{head}, {}}}", report.0.join(", "));
}
