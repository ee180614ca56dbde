//! Tensors of f16 on a GPU. An operation on them gives what it gives for the same numbers in f32, rounded once to f16 where the result
//! is f16: within one unit in the last place, because a driver may round either way. So the laws of f32 are those of f16 too.

use reference::law::draws;
use reference::place::{everywhere, fetch, gpu, large_gpu};
use tensor::{
    Act, BatchNorm, Conv, ConvTranspose, Device, Dtype, GradientMonitor, Interpolation, OptimizerPart, OptimizerStep,
    Pool, Rule, RunningStats, Tensor, Unary,
};

/// Half of the largest relative error of f16, and the smallest number above 0.
const EPSILON: f64 = 1.0 / 2048.0;
const LEAST: f64 = 1.0 / (1 << 24) as f64;

/// The tensors that operations take: three images, which may be f16, and what is always f32.
struct Operands {
    x: Tensor,
    r: Tensor,
    small: Tensor,
    w3: Tensor,
    w5: Tensor,
    channel: Tensor,
}

impl Operands {
    /// Images of 16 channels, for Winograd's algorithm and sums in parts.
    fn new(device: &Device) -> Operands {
        let mut rng = draws(1).next().expect("one");
        let image = [4, 16, 8, 8];
        let mut drawn = |shape: &[usize]| rng.normal_tensor(shape).upload(device);
        let [x, r, small] = [image, image, [4, 16, 4, 4]].map(|shape| drawn(&shape).to_dtype(Dtype::F16));
        let [w3, w5, channel] = [&[16, 16, 3, 3][..], &[16, 16, 5, 5], &[16]].map(drawn);
        Operands { x, r, small, w3, w5, channel: channel.square() }
    }

    /// The same numbers in f32.
    fn wide(&self) -> Operands {
        let Operands { x, r, small, w3, w5, channel } = self;
        let [x, r, small] = [x, r, small].map(|x| x.to_dtype(Dtype::F32));
        Operands { x, r, small, w3: w3.clone(), w5: w5.clone(), channel: channel.clone() }
    }
}

type Results = Vec<(&'static str, Dtype, Tensor)>;

/// A copy to which something was done.
fn changed(x: &Tensor, change: impl Fn(&mut Tensor)) -> Tensor {
    let mut x = x.clone();
    change(&mut x);
    x
}

fn convolutions(Operands { x, r, small, w3, w5, channel }: &Operands) -> Results {
    let [same3, same5, half] = [(1, 1), (1, 2), (2, 1)].map(|(stride, padding)| Conv { stride, padding });
    let up = ConvTranspose { stride: 2, padding: 1, output_padding: 1 };
    vec![
        ("winograd", Dtype::F16, x.conv2d(w3, Some(channel), same3)),
        ("winograd, dx", Dtype::F16, x.conv2d_input_gradient(w3, same3, [8, 8])),
        ("winograd, dw", Dtype::F32, x.conv2d_weight_gradient(r, same3, [3, 3])),
        ("winograd, added", Dtype::F16, changed(r, |sum| sum.add_conv2d(x, w3, same3))),
        ("winograd, dx added", Dtype::F16, changed(r, |sum| sum.add_conv2d_input_gradient(x, w3, same3))),
        ("conv2d", Dtype::F16, x.conv2d(w5, Some(channel), same5)),
        ("conv2d, stride 2", Dtype::F16, x.conv2d(w3, None, half)),
        ("conv2d, dx", Dtype::F16, x.conv2d_input_gradient(w5, same5, [8, 8])),
        ("conv2d, dw", Dtype::F32, x.conv2d_weight_gradient(r, same5, [5, 5])),
        ("conv2d, dw of stride 2", Dtype::F32, x.conv2d_weight_gradient(small, half, [3, 3])),
        ("conv2d, added", Dtype::F16, changed(r, |sum| sum.add_conv2d(x, w5, same5))),
        ("conv2d, dx added", Dtype::F16, changed(r, |sum| sum.add_conv2d_input_gradient(small, w3, half))),
        ("conv_transpose2d", Dtype::F16, small.conv_transpose2d(w3, Some(channel), up)),
    ]
}

fn normalisations(Operands { x, r, channel, .. }: &Operands) -> Results {
    let [mut mean, mut var] = [channel.mul_scalar(0.5), channel.clone()];
    let running = RunningStats { mean: &mut mean, var: &mut var, momentum: 0.1 };
    let act = Act::LeakyRelu(0.1);
    let (stats, y) = x.batch_norm_train([channel, channel], Some(r), act, 1e-5, Some(running));
    let norm = BatchNorm { mean: &stats.mean, var: &stats.var, weight: channel, eps: 1e-5, act };
    let evaluated = x.batch_norm(norm, channel, None);
    let of_batch = x.batch_norm_gradient(norm, &evaluated, r, true, true);
    let constant = x.batch_norm_gradient(norm, &evaluated, r, false, true);
    let plain = x.batch_norm_gradient(BatchNorm { act: Act::Identity, ..norm }, &evaluated, r, true, false);
    // Vectors of channels may be f16, too. Here they are numbers that f16 has.
    let [ones, half] = [1.0, 0.5].map(|number| channel.full_like(number).to_dtype(x.dtype()));
    let [mut mean16, mut var16] = [ones.clone(), half.clone()];
    let running = RunningStats { mean: &mut mean16, var: &mut var16, momentum: 0.1 };
    let (_, narrow) = x.batch_norm_train([&half, &ones], None, act, 1e-5, Some(running));
    let norm16 = BatchNorm { mean: &half, var: &ones, weight: &half, eps: 1e-5, act };
    let narrow_evaluated = x.batch_norm(norm16, &ones, None);
    let narrow_gradient = x.batch_norm_gradient(norm16, &narrow_evaluated, r, true, true);
    vec![
        ("batch_norm_train", Dtype::F16, y),
        ("its mean", Dtype::F32, stats.mean.clone()),
        ("its variance", Dtype::F32, stats.var.clone()),
        ("its running variance", Dtype::F32, var),
        ("batch_norm", Dtype::F16, evaluated.clone()),
        ("batch_norm, dx", Dtype::F16, of_batch.dx),
        ("batch_norm, dweight", Dtype::F32, of_batch.dweight),
        ("batch_norm, dbias", Dtype::F32, of_batch.dbias),
        ("batch_norm, dresidual", Dtype::F16, of_batch.dresidual.expect("it was asked for")),
        ("batch_norm of constants, dx", Dtype::F16, constant.dx),
        ("batch_norm without activation, dx", Dtype::F16, plain.dx),
        ("batch_norm_train of f16 vectors", Dtype::F16, narrow),
        ("its running mean in f16", Dtype::F32, mean16),
        ("batch_norm of f16 vectors", Dtype::F16, narrow_evaluated),
        ("batch_norm of f16 vectors, dx", Dtype::F16, narrow_gradient.dx),
    ]
}

fn numbers(Operands { x, r, .. }: &Operands) -> Results {
    let wide = r.exp(); // f32 beside f16
    vec![
        ("relu", Dtype::F16, x.relu()),
        ("leaky_relu", Dtype::F16, x.leaky_relu(0.2)),
        ("silu", Dtype::F16, x.silu()),
        ("gelu", Dtype::F16, x.gelu()),
        ("mul_scalar", Dtype::F16, x.mul_scalar(3.0)),
        ("exp", Dtype::F32, x.exp()),
        ("sigmoid", Dtype::F32, x.sigmoid()),
        ("silu, dx", Dtype::F16, Unary::silu().gradient(x, r)),
        ("silu, dx from f32", Dtype::F16, Unary::silu().gradient(x, &wide)),
        ("exp, dx", Dtype::F32, Unary::exp().gradient(&x.exp(), r)),
        ("add", Dtype::F16, x.add(r)),
        ("mul", Dtype::F16, x.mul(r)),
        ("sub from f32", Dtype::F32, wide.sub(x)),
        ("mul of f32", Dtype::F32, x.mul(&wide)),
        ("mul with broadcasting", Dtype::F16, x.mul(&r.slice(0, 1, 1))),
        ("mul of f32 with broadcasting", Dtype::F32, x.mul(&wide.slice(1, 2, 1))),
        ("lt", Dtype::F32, x.lt(r)),
        ("add_assign", Dtype::F16, changed(x, |sum| sum.add_assign(r))),
        ("add_assign of f32", Dtype::F16, changed(x, |sum| sum.add_assign(&wide))),
        ("add_assign to f32", Dtype::F32, changed(&wide, |sum| sum.add_assign(x))),
        ("blend_assign", Dtype::F16, changed(x, |sum| sum.blend_assign(0.9, r, 0.2))),
    ]
}

fn others(Operands { x, r, small, .. }: &Operands) -> Results {
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let matrix = x.reshape([64, 64]);
    vec![
        ("sum over a dimension", Dtype::F32, x.sum(&[1], false)),
        ("sum of channels", Dtype::F32, x.sum(&[0, 2, 3], false)),
        ("sum_all", Dtype::F32, x.sum_all()),
        ("max", Dtype::F32, x.max(&[3], false)),
        ("permute", Dtype::F16, x.permute(&[3, 0, 2, 1])),
        ("expand", Dtype::F16, x.slice(0, 1, 1).expand([3, 16, 8, 8])),
        ("slice", Dtype::F16, x.slice(2, 3, 4)),
        ("concat", Dtype::F16, Tensor::concat(&[x, r], 1)),
        ("concat with f32", Dtype::F32, Tensor::concat(&[x, &r.exp()], 0)),
        ("reshape", Dtype::F16, matrix.clone()),
        ("max_pool2d", Dtype::F16, x.max_pool2d(pool)),
        ("max_pool2d, dx", Dtype::F16, x.max_pool2d_gradient(&r.max_pool2d(pool), pool)),
        ("avg_pool2d", Dtype::F16, x.avg_pool2d(pool)),
        ("avg_pool2d, dx", Dtype::F16, small.avg_pool2d_gradient(pool, [8, 8])),
        ("interpolate", Dtype::F16, x.interpolate([13, 16], Interpolation::Bilinear { align_corners: false })),
        ("interpolate, dx", Dtype::F16, x.interpolate_gradient([5, 4], Interpolation::Nearest)),
        // These have kernels of f32 only, so their operands are converted.
        ("matmul", Dtype::F32, matrix.matmul_nt(&r.reshape([64, 64]))),
        ("softmax", Dtype::F32, matrix.softmax(1)),
    ]
}

#[test]
fn operations_on_f16_round_what_those_on_f32_give() {
    for device in [gpu(), large_gpu()] {
        let operands = Operands::new(&device);
        let wide = operands.wide();
        for group in [convolutions, normalisations, numbers, others] {
            for ((what, dtype, found), (_, _, exact)) in group(&operands).into_iter().zip(group(&wide)) {
                assert_eq!((found.dtype(), exact.dtype()), (dtype, Dtype::F32), "{what} on {device}");
                let (found, exact) = (fetch(&found), fetch(&exact));
                assert!(exact.data().iter().any(|x| *x != 0.0), "{what}: nothing but zeros");
                // With the least limits g = dy·act′ is stored, as f16, before dx follows from it and from sums.
                let stored = if what.starts_with("batch_norm") && what.ends_with("dx") { 2.0 * EPSILON } else { 0.0 };
                let largest = exact.data().iter().fold(0.0, |largest: f64, &x| largest.max(f64::from(x).abs()));
                for (i, (&found, &exact)) in found.data().iter().zip(exact.data()).enumerate() {
                    let (found, exact) = (f64::from(found), f64::from(exact));
                    let (relative, least) = if dtype == Dtype::F16 { (2.0 * EPSILON, LEAST) } else { (1e-6, 1e-5) };
                    let allowed = relative * exact.abs() + least + stored * largest;
                    assert!((found - exact).abs() <= allowed, "{what} on {device}: {found} at {i}, not {exact}");
                }
            }
        }
    }
}

#[test]
fn f16_has_eleven_significant_bits_and_a_largest_number() {
    let device = gpu();
    let kept = [0.0, 1.0, -2.5, 65_504.0, 6.103_515_6e-5, 5.960_464_5e-8, 1.000_976_6];
    let x = Tensor::new(&kept, [7]).upload(&device).to_dtype(Dtype::F16);
    assert_eq!((x.dtype(), fetch(&x).data()), (Dtype::F16, &kept[..]));
    let drawn = draws(1).next().expect("one").normal_tensor([1000]);
    let rounded = fetch(&drawn.upload(&device).to_dtype(Dtype::F16));
    let error = |(a, b): (&f32, &f32)| f64::from((a - b).abs()) / f64::from(b.abs()).max(1e-4);
    let largest = drawn.data().iter().zip(rounded.data()).map(error).fold(0.0, f64::max);
    assert!((0.5 * EPSILON..=2.0 * EPSILON).contains(&largest), "{largest:e}");
    let large = Tensor::new(&[1e6, -1e6], [2]).upload(&device).to_dtype(Dtype::F16);
    assert_eq!(fetch(&large).data(), [f32::INFINITY, f32::NEG_INFINITY]);
}

/// The CPU keeps f32.
#[test]
fn a_conversion_without_effect_shares_the_elements() {
    everywhere(|device| {
        let x = draws(1).next().expect("one").normal_tensor([6]).upload(device);
        let same = x.to_dtype(Dtype::F32);
        assert_eq!((same.dtype(), fetch(&same).data()), (Dtype::F32, fetch(&x).data()));
    });
    let x = Tensor::new(&[0.1], [1]);
    assert_eq!((x.to_dtype(Dtype::F16).dtype(), x.to_dtype(Dtype::F16).data()), (Dtype::F32, &[0.1][..]));
}

/// A copy in place does not change the tensor that it was taken from.
#[test]
fn updates_copy_shared_elements_of_f16() {
    let x = Tensor::new(&[1.0, 2.0, 3.0], [3]).upload(&gpu()).to_dtype(Dtype::F16);
    let mut y = x.clone();
    y.add_assign(&x);
    assert_eq!((fetch(&x).data(), fetch(&y).data()), (&[1.0, 2.0, 3.0][..], &[2.0, 4.0, 6.0][..]));
}

/// A kernel that has only f32 and changes a tensor in place makes it f32 first.
#[test]
fn an_optimiser_s_parameters_become_f32() {
    let rule = Rule::Sgd { momentum: 0.0, nesterov: false };
    let [parameter, gradient] = [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]].map(|x| Tensor::new(&x, [3]).upload(&gpu()));
    let state = OptimizerPart::state(&gradient, rule);
    let mut parts = [OptimizerPart { parameter: parameter.to_dtype(Dtype::F16), gradient, state }];
    let step = OptimizerStep { rule, learning_rate: 0.5, weight_decay: 0.0, step: 1 };
    step.apply(&mut parts, &GradientMonitor::new(1, &gpu()));
    let moved = &parts[0].parameter;
    assert_eq!((moved.dtype(), fetch(moved).data()), (Dtype::F32, &[-4.0, -8.0, -12.0][..]));
}
