//! This library's part of `benches/compare_cpu.sh` and `compare_peers.sh`: seconds per step, forward pass and kernel, as one
//! line of JSON.
//!
//!     cargo run --release -p benches --bin compare [BATCH] [--model=NAME[-frozen]] [--kernels | --library | --known | --machine]
//!
//! A model called `…-frozen` has a frozen encoder, as with `model.freeze_encoder`. Names and shapes are those of
//! `benches/peers/compare.py`. Every figure is a median over repeated runs after a warm-up. `--kernels` are the operations of the
//! residual models, `--library` those that other models are built from. `--known` adds numbers that show
//! that two libraries compute the same model: the number of parameters, the loss, and the norm of its gradient, for fixed
//! inputs. `--machine` prints the instruction set and its peak rate on one core.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use autograd::{Conv, ConvTranspose, GroupedConv, Interpolation, Var};
use benches::Step;
use tensor::{Act, Device, Generator, Isa, Tensor};

/// The least time that an operation is repeated before it is timed.
const WARM_UP: Duration = Duration::from_millis(200);

fn main() {
    tensor::start_threads(0).expect("the first to start threads");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--machine") {
        let isa = Isa::preferred().unwrap_or_else(|error| {
            eprintln!("error: {error}");
            std::process::exit(2)
        });
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        println!("here: {isa}, {:.0} GFLOP/s in registers on one core, {threads} threads", isa.peak_flops() / 1e9);
        return;
    }
    let batch = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(64);
    let name = arguments.iter().find_map(|a| a.strip_prefix("--model=")).unwrap_or("resnet18");
    let (mut figures, mut known) = (Vec::new(), None);
    if arguments.iter().any(|a| a == "--kernels") {
        kernels(&mut figures);
    } else if arguments.iter().any(|a| a == "--library") {
        library(&mut figures);
    } else {
        let whole = name.trim_end_matches("-frozen");
        let mut config = benches::config(whole).unwrap_or_else(|| {
            eprintln!("error: no model {whole}: resnet18, basic, conv3, skip or quickstart");
            std::process::exit(2)
        });
        config.model.freeze_encoder = name.ends_with("-frozen");
        let mut step = Step::new(&config, batch, &Device::Cpu);
        figures.push(("train_step_s".to_owned(), median(8, || step.train())));
        figures.push(("forward_s".to_owned(), median(8, || step.forward())));
        known = arguments.iter().any(|a| a == "--known").then(|| step.known());
    }
    let mut line = format!("{{\"peer\": \"here\", \"mode\": \"cpu\", \"model\": \"{name}\", \"batch\": {batch}");
    for (name, seconds) in figures {
        write!(line, ", \"{name}\": {seconds:.7}").expect("a string takes all");
    }
    if let Some((parameters, loss, gradient)) = known {
        write!(line, ", \"parameters\": {parameters}, \"loss\": {loss}, \"gradient\": {gradient}")
            .expect("a string takes all");
    }
    println!("{line}}}");
}

fn median<R>(runs: usize, mut body: impl FnMut() -> R) -> f64 {
    // A processor that was idle takes longer at first.
    let start = Instant::now();
    let mut warm = 0;
    while warm < 3 || start.elapsed() < WARM_UP {
        black_box(body());
        warm += 1;
    }
    let time = |_| {
        let start = Instant::now();
        black_box(body());
        start.elapsed().as_secs_f64()
    };
    let mut times: Vec<f64> = (0..runs).map(time).collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// Times each kernel forward, and forward with backward from a gradient of ones.
fn kernels(figures: &mut Vec<(String, f64)>) {
    let rng = &mut Generator::new(1);
    for n in [512, 1024, 2048] {
        let (a, b) = (rng.normal_tensor([n, n]), rng.normal_tensor([n, n]));
        figures.push((format!("matmul {n}"), median(15, || a.matmul(&b))));
    }
    for (name, cin, cout, side, kernel, stride, padding) in [
        ("conv 3x3 64@16", 64, 64, 16, 3, 1, 1),
        ("conv 3x3 128@8", 128, 128, 8, 3, 1, 1),
        ("conv 3x3 256@4", 256, 256, 4, 3, 1, 1),
        ("conv 3x3 512@2", 512, 512, 2, 3, 1, 1),
        ("conv 3x3 s2 64to128@16", 64, 128, 16, 3, 2, 1),
        ("conv 1x1 s2 64to128@16", 64, 128, 16, 1, 2, 0),
    ] {
        let inputs = [rng.normal_tensor([64, cin, side, side]), rng.normal_tensor([cout, cin, kernel, kernel])];
        pair(figures, name, &inputs, |x| x[0].conv2d(&x[1], None, Conv { stride, padding }));
    }
    for (name, cin, cout, side, kernel, stride) in
        [("transposed 4x4 s2 128to64@8", 128, 64, 8, 4, 2), ("transposed 3x3 64@16", 64, 64, 16, 3, 1)]
    {
        let inputs = [rng.normal_tensor([64, cin, side, side]), rng.normal_tensor([cin, cout, kernel, kernel])];
        let conv = ConvTranspose { stride, padding: 1, output_padding: 0 };
        pair(figures, name, &inputs, |x| x[0].conv_transpose2d(&x[1], None, conv));
    }
    let image = rng.normal_tensor([64, 64, 16, 16]);
    let inputs = [image.clone(), Tensor::ones([64]), Tensor::zeros([64])];
    pair(figures, "batch norm 64@16", &inputs, |x| x[0].batch_norm(&x[1], &x[2], None, Act::Identity, 1e-5, None));
    let how = Interpolation::Bilinear { align_corners: false };
    pair(figures, "bilinear x2 64@16", &[image], |x| x[0].interpolate([32, 32], how));
}

/// Times operations that the residual models do not use.
fn library(figures: &mut Vec<(String, f64)>) {
    let rng = &mut Generator::new(1);
    for (name, cin, cout, groups, dilation, stride) in [
        ("conv 3x3 8 groups 64@16", 64, 64, 8, 1, 1),
        ("conv 3x3 2 groups 256@16", 256, 256, 2, 1, 1),
        ("conv 3x3 depthwise 128@16", 128, 128, 128, 1, 1),
        ("conv 3x3 depthwise s2 128@16", 128, 128, 128, 1, 2),
        ("conv 3x3 dilation 2 64@16", 64, 64, 1, 2, 1),
    ] {
        let inputs = [rng.normal_tensor([64, cin, 16, 16]), rng.normal_tensor([cout, cin / groups, 3, 3])];
        let conv = GroupedConv { stride, padding: dilation, dilation, groups };
        pair(figures, name, &inputs, |x| x[0].grouped_conv2d(&x[1], None, conv));
    }
    let (image, [weight, bias]) = (rng.normal_tensor([64, 64, 16, 16]), [Tensor::ones([64]), Tensor::zeros([64])]);
    let affine = [image.clone(), weight, bias];
    pair(figures, "group norm 8 groups 64@16", &affine, |x| x[0].group_norm(8, Some(&x[1]), Some(&x[2]), 1e-5));
    let rows = rng.normal_tensor([4096, 256]);
    let affine = [rows.clone(), Tensor::ones([256]), Tensor::zeros([256])];
    pair(figures, "layer norm 4096x256", &affine, |x| x[0].layer_norm([256], Some(&x[1]), Some(&x[2]), 1e-5));
    let one = |figures: &mut _, name, x: &Tensor, op: fn(&Var) -> Var| {
        pair(figures, name, std::slice::from_ref(x), |x| op(&x[0]));
    };
    one(figures, "softmax 4096x256", &rows, |x| x.softmax(1));
    one(figures, "cumsum 4096x256, rows", &rows, |x| x.cumsum(1));
    one(figures, "cumsum 4096x256, columns", &rows, |x| x.cumsum(0));
    one(figures, "var 4096x256", &rows, |x| x.var(&[1], 1, false));
    one(figures, "max 4096x256", &rows, |x| x.max(&[1], false));
    one(figures, "gelu 64@16", &image, Var::gelu);
    one(figures, "gelu tanh 64@16", &image, Var::gelu_tanh);
    one(figures, "silu 64@16", &image, Var::silu);
    one(figures, "sin 64@16", &image, Var::sin);
    let indices = Tensor::from_vec((0..4096).map(|i| (i * 37 % 1000) as f32).collect(), [4096]);
    let table = rng.normal_tensor([1000, 256]);
    pair(figures, "index_select 4096 of 1000x256", &[table], |x| x[0].index_select(&indices));
    let batches = [rng.normal_tensor([64, 128, 64]), rng.normal_tensor([64, 64, 128])];
    pair(figures, "bmm 64x128x64x128", &batches, |x| x[0].bmm(&x[1]));
    let heads = [0, 1, 2].map(|_| rng.normal_tensor([64, 128, 64]));
    let mask = Var::constant(Tensor::causal_mask(128));
    pair(figures, "attention 64x128x64", &heads, |x| x[0].scaled_dot_product_attention(&x[1], &x[2], Some(&mask)));
}

fn pair(figures: &mut Vec<(String, f64)>, name: &str, inputs: &[Tensor], op: impl Fn(&[Var]) -> Var) {
    let constants: Vec<Var> = inputs.iter().cloned().map(Var::constant).collect();
    figures.push((name.to_owned(), median(15, || op(&constants))));
    let leaves: Vec<Var> = inputs.iter().cloned().map(Var::leaf).collect();
    let ones = Tensor::ones(op(&constants).shape());
    figures.push((format!("{name}, with backward"), median(15, || op(&leaves).backward_with(ones.clone()))));
}
