//! Results have the same bits with 1, 2 and 3 threads: the shape alone determines how work is split, and partial sums are added
//! in a fixed order.

use autograd::Var;
use reference::compare;
use tensor::{Act, Conv, ConvTranspose, Device, Generator, Interpolation, Isa, Pool, Tensor};

/// Compares all results of a computation that is large enough for several threads.
fn agree(what: &str, compute: impl Fn() -> Vec<Tensor> + Sync) {
    for isa in Isa::available() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
            pool.install(|| isa.force(&compute))
        };
        let alone = on(1);
        for threads in [2, 3] {
            for (i, (got, expected)) in on(threads).iter().zip(&alone).enumerate() {
                compare::assert_same_bits(&format!("{what}, result {i}, {threads} threads, {isa:?}"), got, expected);
            }
        }
    }
}

/// The value and all gradients of an operation on leaves of these shapes.
fn value_and_gradients(shapes: &[&[usize]], op: impl Fn(&[Var]) -> Var) -> Vec<Tensor> {
    let mut rng = Generator::new(11);
    let leaves: Vec<Var> = shapes.iter().map(|&shape| Var::leaf(rng.normal_tensor(shape))).collect();
    let y = op(&leaves);
    let mut out = vec![y.value().clone()];
    let gradients = y.backward_with(rng.normal_tensor(y.shape()));
    out.extend(leaves.iter().map(|x| gradients.of(x).expect("a gradient").clone()));
    out
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn matrix_products() {
    agree("matmul", || value_and_gradients(&[&[130, 300], &[300, 257]], |x| x[0].matmul(&x[1])));
    agree("a long sum", || value_and_gradients(&[&[5, 5000], &[7, 5000]], |x| x[0].matmul_nt(&x[1])));
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn convolutions() {
    let conv = Conv { stride: 1, padding: 1 };
    agree("conv2d", || {
        value_and_gradients(&[&[8, 16, 15, 17], &[24, 16, 3, 3], &[24]], |x| x[0].conv2d(&x[1], Some(&x[2]), conv))
    });
    agree("conv2d, stride 2", || {
        let conv = Conv { stride: 2, padding: 1 };
        value_and_gradients(&[&[8, 3, 32, 32], &[16, 3, 3, 3]], |x| x[0].conv2d(&x[1], None, conv))
    });
    agree("conv_transpose2d", || {
        let conv = ConvTranspose { stride: 2, padding: 1, output_padding: 1 };
        value_and_gradients(&[&[8, 16, 9, 8], &[16, 24, 3, 3], &[24]], |x| {
            x[0].conv_transpose2d(&x[1], Some(&x[2]), conv)
        })
    });
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn normalisation_and_resizing() {
    agree("batch_norm", || {
        value_and_gradients(&[&[9, 17, 16, 16], &[17], &[17], &[9, 17, 16, 16]], |x| {
            x[0].batch_norm(&x[1], &x[2], Some(&x[3]), Act::Relu, 1e-5, None)
        })
    });
    agree("interpolate", || {
        value_and_gradients(&[&[8, 16, 16, 15]], |x| {
            x[0].interpolate([31, 33], Interpolation::Bilinear { align_corners: false })
        })
    });
    agree("max_pool2d", || {
        value_and_gradients(&[&[8, 16, 31, 33]], |x| x[0].max_pool2d(Pool { kernel: 3, stride: 2, padding: 1 }))
    });
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn sums_and_broadcasts() {
    agree("one long sum", || value_and_gradients(&[&[200_003]], |x| x[0].square().sum_all()));
    agree("sums over images", || value_and_gradients(&[&[9, 17, 31, 33]], |x| x[0].mean(&[0, 2, 3], true)));
    agree("log_softmax", || value_and_gradients(&[&[5000, 10]], |x| x[0].log_softmax(1)));
    agree("a broadcast product", || value_and_gradients(&[&[300, 200], &[200]], |x| &x[0] * &x[1]));
}

/// One matrix, several, few and many columns: rows and columns are divided among the threads.
#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn sums_along_columns() {
    for (shape, dim) in [([3001, 70], 0), ([300, 1100], 0), ([9, 9000], 0), ([40_000, 3], 0), ([4096, 33], 1)] {
        agree(&format!("sum of {shape:?} over {dim}"), || {
            value_and_gradients(&[&shape], |x| x[0].square().sum(&[dim], false))
        });
        agree(&format!("logsumexp of {shape:?} over {dim}"), || {
            value_and_gradients(&[&shape], |x| x[0].logsumexp(dim))
        });
    }
    // Columns whose exact sum is zero, of numbers of very different sizes: what is left shows in which order they were added.
    agree("sums that cancel", || {
        let mut rng = Generator::new(4);
        let half = rng.normal_tensor([100_000]).mul(&rng.uniform_tensor([100_000], 0.0, 60.0).exp());
        let x: Vec<f32> = half.data().iter().copied().chain(half.data().iter().map(|x| -x)).collect();
        vec![Tensor::new(&x, [4000, 50]).sum(&[0], false), Tensor::new(&x, [200_000]).sum(&[0], false)]
    });
    agree("sums of several matrices", || value_and_gradients(&[&[5, 1200, 31]], |x| x[0].sum(&[1], true)));
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn functions_of_one_number() {
    agree("exp, tanh, sigmoid, softplus and log", || {
        value_and_gradients(&[&[7, 9001]], |x| x[0].tanh().exp().softplus().sigmoid().log())
    });
    let targets = Generator::new(6).uniform_tensor([30, 1001], 0.0, 1.0);
    agree("binary cross-entropy of rows", || value_and_gradients(&[&[90, 1001]], |x| x[0].bce_with_logits(&targets)));
}

/// Parts of a tensor are drawn by different threads, each from its place in the stream.
#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn random_numbers() {
    agree("random numbers", || {
        let mut rng = Generator::stream(3, 8);
        rng.uniform();
        let drawn = [
            rng.normal_tensor([50_001]),
            rng.mask([40_003], 0.3, &Device::Cpu),
            rng.uniform_tensor([30_007], -1.0, 2.0),
            rng.normal_tensor([3]),
        ];
        drawn.to_vec()
    });
}
