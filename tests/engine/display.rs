//! Tensors as text. The expected texts are PyTorch's, with the shape and the device behind.

use autograd::Var;
use tensor::Tensor;

#[track_caller]
fn printed(x: &Tensor, expected: &str) {
    assert_eq!(x.to_string(), expected, "\n{x}\n");
}

#[test]
fn numbers_are_aligned() {
    printed(&Tensor::scalar(2.5), "tensor(2.5000, shape=[], device=cpu)");
    printed(&Tensor::arange(0.0, 4.0, 1.0), "tensor([0., 1., 2., 3.], shape=[4], device=cpu)");
    printed(
        &Tensor::new(&[1.0, -2.5, 1.0 / 3.0, 4.0], [2, 2]),
        "tensor([[ 1.0000, -2.5000],\n        [ 0.3333,  4.0000]], shape=[2, 2], device=cpu)",
    );
    printed(&Tensor::new(&[100.0, -7.0], [2]), "tensor([100.,  -7.], shape=[2], device=cpu)");
    printed(&Tensor::zeros([2, 0]), "tensor([[],\n        []], shape=[2, 0], device=cpu)");
}

#[test]
fn numbers_of_very_different_sizes_have_exponents() {
    printed(&Tensor::new(&[1e-5, 1.0], [2]), "tensor([1.0000e-05, 1.0000e+00], shape=[2], device=cpu)");
    printed(&Tensor::new(&[2.5e9, 1e9], [2]), "tensor([2.5000e+09, 1.0000e+09], shape=[2], device=cpu)");
    printed(&Tensor::new(&[5e-5], [1]), "tensor([5.0000e-05], shape=[1], device=cpu)");
    printed(&Tensor::new(&[1.0, 1001.0], [2]), "tensor([1.0000e+00, 1.0010e+03], shape=[2], device=cpu)");
    printed(
        &Tensor::new(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0], [4]),
        "tensor([ nan,  inf, -inf,   1.], shape=[4], device=cpu)",
    );
}

#[test]
fn matrices_are_separated_by_an_empty_line() {
    printed(
        &Tensor::arange(0.0, 8.0, 1.0).reshape([2, 2, 2]),
        "tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]], shape=[2, 2, 2], device=cpu)",
    );
}

#[test]
fn the_middle_of_a_large_tensor_is_left_out() {
    let x = Tensor::arange(0.0, 1200.0, 1.0);
    printed(
        &x.add_scalar(1.5).slice(0, 0, 1001),
        "tensor([   1.5000,    2.5000,    3.5000,  ...,  999.5000, 1000.5000,\n        1001.5000], shape=[1001], device=cpu)",
    );
    let text = x.slice(0, 1, 999).to_string();
    assert!(!text.contains("..."), "{text}");
    let text = Tensor::ones([4, 3, 400]).to_string();
    let row = "[1., 1., 1.,  ..., 1., 1., 1.]";
    assert_eq!(text.matches(row).count(), 12, "{text}");
    let text = Tensor::ones([40, 40]).to_string();
    let expected = format!("tensor([{row},\n        {row},\n        {row},\n        ...,\n        {row},");
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn long_rows_are_broken() {
    let text = Tensor::ones([60]).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.len() <= 80), "{text}");
    assert!(lines[1].starts_with("        1., 1."), "{text}");
    assert_eq!(text.matches("1.").count(), 60);
    assert!(
        text.ends_with("\n       shape=[60], device=cpu)") || text.ends_with("], shape=[60], device=cpu)"),
        "{text}"
    );
}

#[test]
fn a_variable_says_what_made_it() {
    let x = Var::leaf(Tensor::ones([2]));
    assert_eq!(x.to_string(), "tensor([1., 1.], shape=[2], device=cpu) (leaf)");
    assert_eq!((&x * 2.0).to_string(), "tensor([2., 2.], shape=[2], device=cpu) (mul_scalar)");
}

#[cfg(feature = "gpu")]
#[test]
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))] // it waits for a device
fn a_tensor_on_a_gpu_is_printed_without_being_read() {
    let gpu = reference::place::gpu();
    let x = Tensor::ones([2, 3]).upload(&gpu);
    assert_eq!(x.to_string(), format!("tensor(shape=[2, 3], device={})", gpu.name()));
    assert!(x.cpu().to_string().starts_with("tensor([[1., 1., 1.],\n        [1., 1., 1.]]"));
}
