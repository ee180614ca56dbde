//! Matrix products with wide tiles, for devices with more registers (a software GPU), and without naga's bounds checks. They
//! must give the same results as narrow tiles with all checks.

use gpu::{Context, Options, Tuning};
use pollster::block_on;
use reference::Array;
use reference::compare::assert_close;
use tensor::{Accelerator, Conv, ConvTranspose, Device, Generator, Tensor};

fn holds(device: &Device) {
    let mut rng = Generator::new(1);
    let check = |what: &str, inputs: &[Tensor], op: &dyn Fn(&[Tensor]) -> Tensor| {
        let there: Vec<Tensor> = inputs.iter().map(|x| x.upload(device)).collect();
        assert_close(what, &op(&there), &Array::of(&op(inputs)), 1e-5);
    };
    // Rows and columns below and above the size of each tile, with whole and partial tiles.
    for [m, n, k] in [[20, 257, 33], [33, 129, 4100], [130, 50, 64]] {
        let mut draw = |shape: [usize; 2]| rng.normal_tensor(shape);
        let (a, b, at, bt) = (draw([m, k]), draw([k, n]), draw([k, m]), draw([n, k]));
        check(&format!("nn {m} {n} {k}"), &[a.clone(), b.clone()], &|x| x[0].matmul(&x[1]));
        check(&format!("nt {m} {n} {k}"), &[a, bt], &|x| x[0].matmul_nt(&x[1]));
        check(&format!("tn {m} {n} {k}"), &[at, b], &|x| x[0].matmul_tn(&x[1]));
    }
    let mut rng = Generator::new(2);
    for [batch, cin, cout, side, kernel, stride] in [[3, 5, 70, 11, 3, 1], [2, 40, 20, 9, 3, 2]] {
        let conv = Conv { stride, padding: kernel / 2 };
        let turned = ConvTranspose { stride, padding: kernel / 2, output_padding: 0 };
        let x = rng.normal_tensor([batch, cin, side, side]);
        let w = rng.normal_tensor([cout, cin, kernel, kernel]);
        let bias = rng.normal_tensor([cout]);
        let dy = x.conv2d(&w, None, conv);
        let name = format!("[{batch}, {cin}, {side}, {side}] to {cout}, {kernel}x{kernel} at stride {stride}");
        check(&format!("conv2d {name}"), &[x.clone(), w.clone(), bias], &|x| x[0].conv2d(&x[1], Some(&x[2]), conv));
        check(&format!("its dx, {name}"), &[dy.clone(), w.clone()], &|x| {
            x[0].conv2d_input_gradient(&x[1], conv, [side, side])
        });
        check(&format!("its dw, {name}"), &[x, dy.clone()], &|x| {
            x[0].conv2d_weight_gradient(&x[1], conv, [kernel, kernel])
        });
        check(&format!("conv_transpose2d {name}"), &[dy, w], &|x| x[0].conv_transpose2d(&x[1], None, turned));
    }
}

#[test]
fn wide_and_unchecked_tiles_equal_narrow_and_checked_ones() {
    for checked in [true, false] {
        let options = Options { checked, ..Options::default() };
        let context = block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
        if context.adapter().software {
            assert_eq!(context.limits().registers, 128);
        }
        holds(&Device::Gpu(context));
    }
}

/// Tiles of every shape, with many parts of sums and with few, with and without Winograd's algorithm.
#[test]
fn every_tuning_gives_the_same_results() {
    for (registers, target_workgroups, winograd) in [(32, 16, false), (32, 300, true), (64, 1, false), (128, 64, false)]
    {
        let tuning = Tuning { registers, target_workgroups, winograd };
        let options = Options { checked: true, tuning: Some(tuning), ..Options::default() };
        let context = block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(context.tuning(), tuning);
        holds(&Device::Gpu(context));
    }
}
