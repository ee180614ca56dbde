//! A test of a GPU before it is used: every operation is computed there and on the CPU, from the same random numbers, and the
//! results are compared. It finds a driver that computes wrongly before a training run does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gpu::{Adapter, Context};
use pollster::block_on;
use tensor::{
    Act, BatchNorm, Conv, ConvTranspose, Device, Dtype, Generator, GradientMonitor, GroupedConv, Interpolation,
    OptimizerPart, OptimizerStep, Pool, Result, Rule, RunningStats, Tensor, Unary,
};

/// The largest difference that counts as equal, relative to the largest number of the result.
const TOLERANCE: f32 = 1e-4;
/// The same where a GPU has f16 and the CPU f32.
const TOLERANCE_F16: f32 = 4e-3;

/// What the test found.
#[derive(Debug)]
pub struct Checked {
    /// The number of operations.
    pub operations: usize,
    /// For each operation with a wrong result its name and the largest difference, relative to the largest number.
    pub wrong: Vec<(&'static str, f32)>,
    /// The duration, which is mostly the time to compile the kernels.
    pub took: Duration,
}

/// An operation with its inputs.
struct Case {
    name: &'static str,
    inputs: Vec<Tensor>,
    tolerance: f32,
    run: fn(&[Tensor]) -> Vec<Tensor>,
}

/// Computes every operation on `device` and on the CPU.
///
/// # Errors
/// If the device fails.
pub fn check(device: &Device) -> Result<Checked> {
    let (start, cases) = (Instant::now(), cases());
    let mut wrong = Vec::new();
    for case in &cases {
        let there: Vec<Tensor> = case.inputs.iter().map(|x| x.upload(device)).collect();
        let mut worst = 0.0_f32;
        for (found, expected) in (case.run)(&there).iter().zip((case.run)(&case.inputs)) {
            worst = larger(worst, difference(&block_on(found.read())?, expected.data()));
        }
        // A difference that is not a number is wrong too.
        if worst.is_nan() || worst > case.tolerance {
            wrong.push((case.name, worst));
        }
    }
    Ok(Checked { operations: cases.len(), wrong, took: start.elapsed() })
}

/// Checks a GPU unless the file `record` says that this version of the program has found it right with this driver. A GPU that is
/// right is added to the file; if the file cannot be written, the GPU is checked again the next time. Returns `None` if nothing
/// was to be done.
///
/// # Errors
/// If the device fails.
pub fn check_once(gpu: &Arc<Context>, record: &Path) -> Result<Option<Checked>> {
    let line = identity(gpu.adapter());
    let known = fs::read_to_string(record).unwrap_or_default();
    if known.lines().any(|known| known == line) {
        return Ok(None);
    }
    let checked = check(&Device::Gpu(gpu.clone()))?;
    if checked.wrong.is_empty() {
        let folder = record.parent().map_or(Ok(()), fs::create_dir_all);
        let _ = folder.and_then(|()| fs::write(record, format!("{known}{line}\n")));
    }
    Ok(Some(checked))
}

/// A GPU with its driver and the version of this program, for records of what was found out about it.
pub(crate) fn identity(Adapter { name, backend, driver, .. }: &Adapter) -> String {
    format!("{name}; {backend}; {driver}; vae {}", env!("CARGO_PKG_VERSION"))
}

/// The file of [`check_once`] in the folder of [`cache_folder`].
pub fn record() -> Option<PathBuf> {
    Some(cache_folder()?.join("checked-gpus.txt"))
}

/// Where this program keeps what it found out about the user's GPUs, and their compiled kernels. `None` if the user has no folder
/// for such files.
pub fn cache_folder() -> Option<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache =
        folder("XDG_CACHE_HOME").or_else(|| folder("LOCALAPPDATA")).or_else(|| Some(folder("HOME")?.join(".cache")));
    Some(cache?.join("vae"))
}

/// The largest difference, relative to the largest expected number.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let size = expected.iter().fold(f32::MIN_POSITIVE, |size, x| size.max(x.abs()));
    let each = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / size);
    each.fold(0.0, larger)
}

/// The larger number, or NaN if one is NaN.
fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

fn cases() -> Vec<Case> {
    let rng = &mut Generator::new(1);
    let mut all = Vec::new();
    let mut case = |name, inputs: &[&Tensor], run: fn(&[Tensor]) -> Vec<Tensor>| {
        let inputs = inputs.iter().map(|&x| x.clone()).collect();
        all.push(Case { name, inputs, tolerance: TOLERANCE, run });
    };
    let x = &rng.normal_tensor([4, 20, 8, 8]);
    let positive = &rng.uniform_tensor([4, 20, 8, 8], 0.5, 2.0);
    let channels = &rng.uniform_tensor([20], 0.5, 2.0);
    let [a, b] = &[[70, 150], [150, 90]].map(|shape| rng.normal_tensor(shape));
    let [w3, w4] = &[[24, 20, 3, 3], [20, 24, 4, 4]].map(|shape| rng.normal_tensor(shape));
    let (y3, y4) = (&rng.normal_tensor([4, 24, 8, 8]), &rng.normal_tensor([4, 24, 4, 4]));
    let index = &Tensor::new(&[4.0, 0.0, 69.0, 12.0], [4]);
    const SAME: Conv = Conv { stride: 1, padding: 1 };
    const HALF: Conv = Conv { stride: 2, padding: 1 };
    const POOL: Pool = Pool { kernel: 3, stride: 2, padding: 1 };
    const GROUPED: GroupedConv = GroupedConv { stride: 2, padding: 1, dilation: 2, groups: 10 };
    const BILINEAR: Interpolation = Interpolation::Bilinear { align_corners: false };

    case("matrix products", &[a, b], |x| {
        let (at, bt) = (x[0].transpose(0, 1), x[1].transpose(0, 1));
        vec![x[0].matmul(&x[1]), x[0].matmul_nt(&bt), at.matmul_tn(&x[1])]
    });
    case("convolution of stride 1", &[x, w3, y3], |x| {
        let dw = x[0].conv2d_weight_gradient(&x[2], SAME, [3, 3]);
        vec![x[0].conv2d(&x[1], None, SAME), x[2].conv2d_input_gradient(&x[1], SAME, [8, 8]), dw]
    });
    case("convolution of stride 2", &[x, w4, y4], |x| {
        let w = x[1].transpose(0, 1);
        let dw = x[0].conv2d_weight_gradient(&x[2], HALF, [4, 4]);
        vec![x[0].conv2d(&w, None, HALF), x[2].conv2d_input_gradient(&w, HALF, [8, 8]), dw]
    });
    case("transposed convolution", &[x, w4], |x| {
        vec![x[0].conv_transpose2d(&x[1], None, ConvTranspose { stride: 2, padding: 1, output_padding: 0 })]
    });
    case("batch norm in training", &[x, channels, positive], |x| {
        let [mut mean, mut var] = [x[1].full_like(0.0), x[1].full_like(1.0)];
        let running = Some(RunningStats { mean: &mut mean, var: &mut var, momentum: 0.1 });
        let (stats, y) = x[0].batch_norm_train([&x[1], &x[1]], Some(&x[2]), Act::Relu, 1e-5, running);
        let norm = BatchNorm { mean: &stats.mean, var: &stats.var, weight: &x[1], eps: 1e-5, act: Act::Relu };
        let g = x[0].batch_norm_gradient(norm, &y, &x[2], true, true);
        vec![y.clone(), stats.mean.clone(), stats.var.clone(), mean.clone(), var.clone(), g.dx, g.dweight, g.dbias]
    });
    case("batch norm in evaluation", &[x, channels, positive], |x| {
        let stats = x[0].channel_stats(None);
        let norm = BatchNorm { mean: &stats.mean, var: &stats.var, weight: &x[1], eps: 1e-5, act: Act::Identity };
        let y = x[0].batch_norm(norm, &x[1], None);
        let g = x[0].batch_norm_gradient(norm, &y, &x[2], false, false);
        vec![y, g.dx, g.dweight, g.dbias]
    });
    case("functions of one number", &[positive, x], |x| {
        let all = [Unary::relu(), Unary::leaky_relu(0.2), Unary::sigmoid(), Unary::tanh(), Unary::exp(), Unary::log()];
        let more = [Unary::sqrt(), Unary::abs(), Unary::square(), Unary::softplus(), Unary::clamp(0.7, 1.5)];
        let scaled = [Unary::add_scalar(0.5), Unary::mul_scalar(3.0)];
        let each = |f: Unary| [f.apply(&x[0]), f.gradient(&x[0], &x[1])];
        all.into_iter().chain(more).chain(scaled).flat_map(each).collect()
    });
    case("sums, differences, products and quotients", &[x, positive], |x| {
        let column = x[1].slice(0, 0, 1).slice(3, 0, 1);
        let mut sum = x[0].add(&column);
        sum.blend_assign(0.5, &x[1], 2.0);
        vec![x[0].add(&x[1]), x[0].sub(&x[1]), x[0].mul(&x[1]), x[0].div(&x[1]), x[0].mul(&column), sum]
    });
    case("sums and maxima over dimensions", &[x, a], |x| {
        let some = [x[0].sum(&[0, 2, 3], false), x[0].sum(&[1], false), x[1].sum(&[0], true), x[1].sum(&[1], false)];
        some.into_iter().chain([x[0].sum_all(), x[1].max(&[1], false), x[1].max(&[0], false)]).collect()
    });
    case("logarithms of sums of exponentials", &[a], |x| vec![x[0].logsumexp(0), x[0].log_softmax(1)]);
    case("choice by index", &[a, index, b], |x| {
        let labels = x[1].slice(0, 0, 4);
        let rows = x[0].index_select(&x[1]);
        let added = rows.index_select_gradient(&x[1], 70);
        vec![x[0].argmax(1), rows.gather(&labels), labels.gather_gradient(&labels, 150), rows, added]
    });
    case("pooling", &[x], |x| {
        let (most, mean) = (x[0].max_pool2d(POOL), x[0].avg_pool2d(POOL));
        let gradients = [x[0].max_pool2d_gradient(&mean, POOL), mean.avg_pool2d_gradient(POOL, [8, 8])];
        [most, mean, x[0].global_avg_pool2d()].into_iter().chain(gradients).collect()
    });
    case("resizing", &[x], |x| {
        let each = |how| [x[0].interpolate([16, 16], how), x[0].interpolate_gradient([4, 4], how)];
        [Interpolation::Nearest, BILINEAR].into_iter().flat_map(each).collect()
    });
    case("layout", &[x, positive], |x| {
        let joined = Tensor::concat(&[&x[0], &x[1]], 1);
        vec![x[0].permute(&[0, 2, 3, 1]), joined.slice(1, 10, 20), x[0].slice_gradient(0, 1, 5), x[0].full_like(2.5)]
    });
    case("batched products, running sums and choices", &[x, positive], |x| {
        let products = [x[0].bmm_nt(&x[1]), x[0].bmm(&x[1].slice(0, 0, 1))];
        let chosen = x[0].lt(&x[1]).where_cond(&x[0], &x[1]);
        products.into_iter().chain([x[0].cumsum(1), x[0].cumsum_gradient(3), chosen]).collect()
    });
    case("convolution in groups", &[x, w3], |x| {
        let (weight, conv) = (x[1].slice(0, 0, 20).slice(1, 0, 2), GROUPED);
        let y = x[0].grouped_conv2d(&weight, None, conv);
        let dx = y.grouped_conv2d_input_gradient(&weight, conv, [8, 8]);
        vec![x[0].grouped_conv2d_weight_gradient(&y, conv, [3, 3]), dx, y]
    });
    case("group norm", &[x, positive], |x| {
        let weight = x[1].slice(0, 0, 1).slice(2, 0, 1).slice(3, 0, 1);
        let weight = weight.reshape([weight.count()]);
        let (y, stats) = x[0].native_group_norm(2, Some(&weight), None, 1e-5);
        let g = x[0].group_norm_gradient(2, Some(&weight), &stats, &x[1]);
        vec![y, stats, g.dx, g.dweight, g.dbias]
    });
    case("draws from Gaussians and their divergence", &[x, positive], |x| {
        let [mu, logvar, eps] = [&x[0], &x[1], &x[0]];
        let [dmu, dlogvar] = eps.gaussian_kl_gradient(mu, logvar);
        let drawn = [mu.reparameterise(logvar, eps), mu.reparameterise_gradient(logvar, eps)];
        drawn.into_iter().chain([mu.gaussian_kl(logvar), dmu, dlogvar]).collect()
    });
    case("binary cross-entropy", &[x, positive], |x| {
        let size = x[0].count() / 4;
        let (logits, targets) = (x[0].reshape([4, size]), x[1].reshape([4, size]).slice(0, 0, 2));
        let y = logits.bce_with_logits(&targets);
        vec![y.bce_with_logits_gradient(&logits, &targets), y]
    });
    case("dropout's mask", &[x], |x| vec![Generator::new(3).mask([1000], 0.3, &x[0].device())]);
    case("optimisers and the gradient's norm", &[x, positive, a, b], |x| {
        let device = x[0].device();
        let adam = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false };
        let mut parts: Vec<OptimizerPart> = (0..11).map(|i| at_zero(&x[i % 4], adam)).collect();
        let mut monitor = GradientMonitor::new(1, &device);
        let gradients: Vec<Tensor> = parts.iter().map(|part| part.gradient.clone()).collect();
        let watched = x[0].sum_all();
        monitor.observe(0, &gradients.iter().collect::<Vec<_>>(), &[&watched], Some(1.0));
        let step = OptimizerStep { rule: adam, learning_rate: 0.1, weight_decay: 0.01, step: 1 };
        step.apply(&mut parts, &monitor);
        let sgd = Rule::Sgd { momentum: 0.9, nesterov: true };
        let mut others = [at_zero(&x[2], sgd), at_zero(&x[3], sgd)];
        OptimizerStep { rule: sgd, ..step }.apply(&mut others, &monitor);
        parts.into_iter().chain(others).flat_map(|part| [part.parameter, part.state]).collect()
    });
    case("storage as f16", &[x, w3, w4, channels], |x| {
        let [image, y] = [&x[0], &x[0].conv2d(&x[1], None, SAME)].map(|x| x.to_dtype(Dtype::F16));
        let half = image.conv2d(&x[2].transpose(0, 1), None, HALF);
        let (_, normal) = image.batch_norm_train([&x[3], &x[3]], Some(&image), Act::Relu, 1e-5, None);
        let convolved = [image.conv2d(&x[1], None, SAME), y.conv2d_input_gradient(&x[1], SAME, [8, 8])];
        let dw = [image.conv2d_weight_gradient(&y, SAME, [3, 3]), image.conv2d_weight_gradient(&half, HALF, [4, 4])];
        let adjoint = half.conv2d_input_gradient(&x[2].transpose(0, 1), HALF, [8, 8]);
        let others = [image.add(&image).silu(), image.sum(&[0, 2, 3], false), image.max_pool2d(POOL), adjoint, half];
        convolved.into_iter().chain(dw).chain(others).chain([normal]).collect()
    });
    all.last_mut().expect("just added").tolerance = TOLERANCE_F16;
    all
}

/// A parameter of zeros with this gradient.
fn at_zero(gradient: &Tensor, rule: Rule) -> OptimizerPart {
    let state = OptimizerPart::state(gradient, rule);
    OptimizerPart { parameter: gradient.full_like(0.0), gradient: gradient.clone(), state }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use gpu::Options;
    use tensor::{Accelerator, BufferId, Dtype, KERNELS, Launch, Limits, Pending, Shape, Span};

    use super::*;

    /// A GPU that writes down the kernels that it runs, and may compute one of them over half of its grid.
    #[derive(Debug)]
    struct Observed {
        gpu: Arc<Context>,
        ran: Mutex<BTreeSet<&'static str>>,
        broken: Option<&'static str>,
    }

    impl Accelerator for Observed {
        fn name(&self) -> &str {
            self.gpu.name()
        }
        fn limits(&self) -> Limits {
            self.gpu.limits()
        }
        fn alloc(&self, shape: &Shape, dtype: Dtype) -> BufferId {
            self.gpu.alloc(shape, dtype)
        }
        fn free(&self, id: BufferId) {
            self.gpu.free(id);
        }
        fn write(&self, id: BufferId, data: &[f32]) {
            self.gpu.write(id, data);
        }
        fn launch(&self, mut launch: Launch<'_>) {
            self.ran.lock().unwrap().insert(launch.kernel.entry);
            if self.broken == Some(launch.kernel.entry) {
                launch.groups[0] = launch.groups[0].div_ceil(2);
            }
            self.gpu.launch(launch);
        }
        fn read(&self, span: Span) -> Pending<Vec<f32>> {
            self.gpu.read(span)
        }
        fn end_step(&self) -> Pending<()> {
            self.gpu.end_step()
        }
    }

    fn observed(default_limits: bool, broken: Option<&'static str>) -> (Checked, BTreeSet<&'static str>) {
        let options = Options { default_limits, ..Options::default() };
        let gpu = block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
        let machine = Arc::new(Observed { gpu, ran: Mutex::default(), broken });
        let checked = check(&Device::Gpu(machine.clone())).expect("the device works");
        let ran = machine.ran.lock().unwrap().clone();
        (checked, ran)
    }

    #[test]
    fn a_check_runs_every_kernel_and_finds_nothing_wrong_on_a_gpu_that_works() {
        let (checked, mut ran) = observed(false, None);
        assert!(checked.wrong.is_empty(), "{:?}", checked.wrong);
        ran.extend(observed(true, None).1);
        let all: BTreeSet<&str> = KERNELS.iter().map(|kernel| kernel.entry).collect();
        assert_eq!(ran, all);
    }

    #[test]
    fn a_kernel_that_computes_half_of_its_result_is_found() {
        let (checked, _) = observed(false, Some("winograd"));
        assert_eq!(
            checked.wrong.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["convolution of stride 1", "storage as f16"]
        );
    }

    #[test]
    fn a_gpu_that_was_found_right_is_not_checked_again() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("a folder").join("checked.txt");
        let gpu = block_on(Context::open(Options::default())).unwrap_or_else(|error| panic!("{error}"));
        assert!(check_once(&gpu, &record).unwrap().is_some_and(|checked| checked.wrong.is_empty()));
        assert!(check_once(&gpu, &record).unwrap().is_none());
        fs::write(&record, "another GPU; Vulkan; driver; vae 0\n").unwrap();
        assert!(check_once(&gpu, &record).unwrap().is_some());
        assert_eq!(fs::read_to_string(&record).unwrap().lines().count(), 2);
    }
}
