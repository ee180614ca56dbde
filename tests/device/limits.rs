//! A GPU at its limits: tensors larger than the largest buffer, more workgroups than one dimension of a grid may have, and the
//! minimal limits that every WebGPU device guarantees.

use std::sync::Arc;

use gpu::{Context, Options};
use pollster::block_on;
use reference::compare::{assert_close, assert_same_bits};
use reference::place::{fetch, gpu};
use reference::{Array, batch_norm, matmul, reduce};
use tensor::{Accelerator, Device, Generator, Tensor};

/// A context of its own with the minimal limits of WebGPU.
fn small() -> (Arc<Context>, Device) {
    let options = Options { default_limits: true, ..Options::default() };
    let context = block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
    (context.clone(), Device::Gpu(context))
}

#[test]
fn uploading_and_reading_returns_the_same_elements() {
    let device = gpu();
    for shape in [vec![], vec![1], vec![3, 5], vec![7, 0, 2], vec![64, 3, 33, 31]] {
        let x = Generator::new(1).normal_tensor(&shape[..]);
        let there = x.upload(&device);
        assert_eq!((there.shape(), there.device()), (x.shape(), device.clone()));
        assert_eq!(block_on(there.read()).expect("the device works"), x.data());
        assert_same_bits("there and back", &there, &x);
    }
}

#[test]
fn every_device_has_the_guaranteed_limits() {
    let limits = small().0.limits();
    assert_eq!((limits.buffers, limits.groups, 4 * limits.buffer_len), (8, 65_535, 128 << 20));
}

/// The error names the tensor and says what to do. Every later read and end of a step returns it, and nothing panics.
#[test]
fn a_tensor_larger_than_a_buffer_is_a_persistent_error() {
    let (context, device) = small();
    let x = Tensor::full([3], 2.0).upload(&device);
    assert_eq!(block_on(x.read()).expect("nothing is wrong yet"), [2.0; 3]);
    block_on(context.end_step()).expect("nothing is wrong yet");

    let large = Tensor::ones([1]).upload(&device).expand([1 << 25 | 1]);
    let after = large.mul_scalar(2.0).add(&large); // nothing is read, so nothing panics
    let errors = [
        block_on(context.end_step()).expect_err("a step with that tensor"),
        block_on(large.read()).expect_err("the tensor itself"),
        block_on(after.read()).expect_err("what came of it"),
        block_on(x.read()).expect_err("nothing after a failure is to be trusted"),
        block_on(x.add_scalar(1.0).to(&Device::Cpu)).expect_err("work after it"),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.starts_with(device.name()), "{text}");
        for part in ["[33554433]", "128.0 MiB", "lower train.batch_size", "--device cpu"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}

/// A buffer's number means another buffer in another context, so a launch that mixes the two would read wrong elements.
#[test]
fn tensors_of_two_contexts_do_not_mix() {
    let (a, b) = (Tensor::ones([8]).upload(&small().1), Tensor::ones([8]).upload(&small().1));
    let operations: [&dyn Fn(); 4] =
        [&|| drop(a.add(&b)), &|| a.clone().add_assign(&b), &|| drop(Tensor::concat(&[&a, &b], 0)), &|| {
            drop(a.reshape([2, 4]).matmul(&b.reshape([4, 2])))
        }];
    for (i, operation) in operations.into_iter().enumerate() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(operation));
        let panic = result.err().unwrap_or_else(|| panic!("operation {i} mixes them"));
        let said = panic.downcast_ref::<String>().expect("a message");
        assert!(said.contains("another context of"), "operation {i}: {said}");
    }
}

/// One dimension of a grid has at most 65,535 workgroups. Kernels that count elements, rows, channels or tiles use a second
/// dimension beyond that.
#[test]
fn more_workgroups_than_one_dimension_takes() {
    let (_, device) = small();
    let mut rng = Generator::new(2);

    let [x, y] = [[5_592_410, 3], [1, 3]].map(|shape| rng.uniform_tensor(shape, -1.0, 1.0)); // in workgroups of 256: 65,537
    assert_same_bits("items", &x.upload(&device).add(&y.upload(&device)), &x.add(&y));

    let x = rng.normal_tensor([66_000, 65]);
    let expected = reduce::sum(&Array::of(&x), &[1], false);
    assert_close("rows", &x.upload(&device).sum(&[1], false), &expected, 1e-6);

    let x = rng.normal_tensor([2, 66_000, 1, 2]);
    let (mean, var) = batch_norm::stats(&Array::of(&x));
    let stats = x.upload(&device).channel_stats(None);
    assert_close("means of channels", &stats.mean, &mean, 1e-6);
    assert_close("variances of channels", &stats.var, &var, 1e-5);

    let [x, y] = [[1, 1], [1, 16_777_217]].map(|shape| rng.uniform_tensor(shape, 0.5, 1.0)); // in workgroups of up to 256: 65,537
    let expected = matmul::nn(&Array::of(&x), &Array::of(&y));
    assert_close("tiles", &x.upload(&device).matmul(&y.upload(&device)), &expected, 1e-6);
}

/// Buffers are reused. Old elements must never show through, in particular not in the padding to a multiple of four.
#[test]
fn old_elements_of_a_buffer_are_not_visible() {
    let (_, device) = small();
    let nan = Tensor::full([61], f32::NAN);
    for count in [1, 2, 3, 5, 57, 61] {
        drop([0; 6].map(|_| nan.upload(&device)));
        let x = Generator::new(count as u64).normal_tensor([count]);
        let there = x.upload(&device);
        let sum = there.square().add_scalar(1.0).sum_all();
        let expected = x.data().iter().map(|&x| f64::from(x).powi(2) + 1.0).sum::<f64>();
        approx::assert_relative_eq!(f64::from(fetch(&sum).data()[0]), expected, max_relative = 1e-6);
    }
}

/// A freed buffer may be filled again before work that reads it has run. That work must see the old elements.
#[test]
fn a_later_upload_does_not_change_earlier_work() {
    let (context, device) = small();
    let mut results = Vec::new();
    for i in 0..600 {
        let x = Tensor::full([1000], i as f32).upload(&device);
        results.push(x.mul_scalar(2.0)); // x is dropped, and the next tensor reuses its buffer
    }
    assert!(context.counters().buffers < 700, "{:?}", context.counters());
    for (i, y) in results.iter().enumerate() {
        assert_same_bits(&format!("number {i}"), y, &Tensor::full([1000], 2.0 * i as f32));
    }
}
