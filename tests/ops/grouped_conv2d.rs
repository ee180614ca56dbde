//! Convolutions with groups, dilation, stride and padding, and their gradients; depthwise ones, and one group as in `conv2d`.

use autograd::Var;
use reference::Array;
use reference::grouped_conv2d::grouped_conv2d;
use reference::law::{self, Exact, Within, between, draws};
use tensor::{Conv, Generator, GroupedConv, Tensor};

use crate::conv2d::on_both_algorithms;

/// An image, a weight, a bias and a convolution that fit, with up to `most` channels in each group.
fn case(rng: &mut Generator, most: usize) -> ([Tensor; 3], GroupedConv) {
    let [stride, dilation, groups] = [0; 3].map(|_| between(rng, 1, 3));
    let conv = GroupedConv { stride, padding: rng.below(3), dilation, groups };
    let ([inputs, outputs], kernel) = ([0; 2].map(|_| between(rng, 1, most)), [0; 2].map(|_| between(rng, 1, 3)));
    let size =
        kernel.map(|kernel| (dilation * (kernel - 1) + 1).saturating_sub(2 * conv.padding).max(1) + rng.below(4));
    let batch = between(rng, 1, 3);
    let image = rng.uniform_tensor([batch, groups * inputs, size[0], size[1]], 0.5, 1.5);
    let weight = rng.uniform_tensor([groups * outputs, inputs, kernel[0], kernel[1]], 0.5, 1.5);
    ([image, weight, rng.uniform_tensor([groups * outputs], 0.5, 1.5)], conv)
}

#[test]
fn values_and_gradients_match_the_reference() {
    for (i, mut rng) in draws(40).enumerate() {
        let (x, conv) = case(&mut rng, [2, 7][i % 2]);
        let what = format!("{} with {}, {conv:?}", x[0].shape(), x[1].shape());
        let exact = |x: &[Array]| grouped_conv2d(&x[0], &x[1], x.get(2), conv);
        let op = |x: &[Tensor]| x[0].grouped_conv2d(&x[1], x.get(2), conv);
        let [biased, plain] = [Exact::new(&x, &exact), Exact::new(&x[..2], &exact)];
        on_both_algorithms(&what, |what| {
            biased.forward(what, op, Within::Largest(1e-6));
            plain.forward(&format!("{what}, no bias"), op, Within::Largest(1e-6));
            biased.gradient(what, |x: &[Var]| x[0].grouped_conv2d(&x[1], x.get(2), conv));
        });
    }
}

/// More numbers than a workgroup has invocations: depthwise, and with so many channels in a group that a CPU multiplies matrices.
#[test]
fn many_channels_match_the_reference() {
    let mut rng = Generator::new(7);
    let conv = |stride, dilation, groups| GroupedConv { stride, padding: 1, dilation, groups };
    for (conv, [inputs, outputs]) in [(conv(1, 1, 24), [1, 1]), (conv(2, 1, 2), [16, 17]), (conv(1, 2, 3), [18, 16])] {
        let what = format!("{inputs} to {outputs} channels, {conv:?}");
        let channels = [inputs, outputs].map(|channels| channels * conv.groups);
        let x = [
            rng.uniform_tensor([2, channels[0], 9, 12], 0.5, 1.5),
            rng.uniform_tensor([channels[1], inputs, 3, 3], 0.5, 1.5),
            rng.uniform_tensor([channels[1]], 50.0, 150.0),
        ];
        let exact = |x: &[Array]| grouped_conv2d(&x[0], &x[1], Some(&x[2]), conv);
        let op = |x: &[Tensor]| x[0].grouped_conv2d(&x[1], Some(&x[2]), conv);
        let dy = rng.uniform_tensor(x[0].grouped_conv2d(&x[1], None, conv).shape(), 0.5, 1.5);
        on_both_algorithms(&what, |what| {
            law::forward(what, &x, op, exact, Within::Largest(2e-6));
            reference::place::everywhere(|device| {
                let [x, w, dy] = [&x[0], &x[1], &dy].map(|x| x.upload(device));
                let y = x.grouped_conv2d(&w, None, conv);
                law::adjoint(what, &x, &y, &dy, &dy.grouped_conv2d_input_gradient(&w, conv, [9, 12]));
                law::adjoint(what, &w, &y, &dy, &x.grouped_conv2d_weight_gradient(&dy, conv, [3, 3]));
            });
        });
    }
}

#[test]
fn one_group_without_gaps_is_a_convolution() {
    let mut rng = Generator::new(8);
    let (x, w) = (rng.normal_tensor([2, 3, 8, 8]), rng.normal_tensor([4, 3, 3, 3]));
    let grouped = x.grouped_conv2d(&w, None, GroupedConv { stride: 2, padding: 1, dilation: 1, groups: 1 });
    let plain = x.conv2d(&w, None, Conv { stride: 2, padding: 1 });
    reference::compare::assert_close("one group", &grouped, &Array::of(&plain), 1e-5);
}

/// With so many channels and pixels that a CPU uses Winograd's algorithm for each group.
#[test]
fn groups_are_convolutions_of_their_own() {
    let mut rng = Generator::new(9);
    let (conv, alone) = (GroupedConv { stride: 1, padding: 1, dilation: 1, groups: 3 }, Conv { stride: 1, padding: 1 });
    let x = rng.normal_tensor([3, 3 * 16, 12, 12]);
    let (w, bias) = (rng.normal_tensor([3 * 17, 16, 3, 3]), rng.normal_tensor([3 * 17]));
    let y = x.grouped_conv2d(&w, Some(&bias), conv);
    let dy = rng.normal_tensor(y.shape());
    let dx = dy.grouped_conv2d_input_gradient(&w, conv, [12, 12]);
    let dw = x.grouped_conv2d_weight_gradient(&dy, conv, [3, 3]);
    for g in 0..3 {
        let [x, dx] = [&x, &dx].map(|x| x.slice(1, g * 16, 16));
        let [y, dy] = [&y, &dy].map(|y| y.slice(1, g * 17, 17));
        let [w, dw, bias] = [&w, &dw, &bias].map(|w| w.slice(0, g * 17, 17));
        let same = |what: &str, ours: &Tensor, whole: &Tensor| {
            reference::compare::assert_close(&format!("{what} of group {g}"), ours, &Array::of(whole), 1e-5);
        };
        same("y", &y, &x.conv2d(&w, Some(&bias), alone));
        same("dx", &dx, &dy.conv2d_input_gradient(&w, alone, [12, 12]));
        same("dw", &dw, &x.conv2d_weight_gradient(&dy, alone, [3, 3]));
    }
}

#[test]
#[should_panic(expected = "grouped_conv2d: 4 and 6 channels in 3 groups")]
fn channels_that_groups_do_not_divide_are_refused() {
    let conv = GroupedConv { stride: 1, padding: 0, dilation: 1, groups: 3 };
    Tensor::ones([1, 4, 5, 5]).grouped_conv2d(&Tensor::ones([6, 1, 3, 3]), None, conv);
}

#[test]
#[should_panic(expected = "grouped_conv2d: image [4, 4] too small for kernel [3, 3]")]
fn an_image_smaller_than_the_spread_kernel_is_refused() {
    let conv = GroupedConv { stride: 1, padding: 0, dilation: 2, groups: 1 };
    Tensor::ones([1, 1, 4, 4]).grouped_conv2d(&Tensor::ones([1, 1, 3, 3]), None, conv);
}

#[test]
#[should_panic(expected = "grouped_conv2d: image [4, 4] too small for kernel [3, 3]")]
fn a_spread_that_would_wrap_around_is_refused() {
    let conv = GroupedConv { stride: 1, padding: 0, dilation: 1 << (usize::BITS - 1), groups: 1 };
    Tensor::ones([1, 1, 4, 4]).grouped_conv2d(&Tensor::ones([1, 1, 3, 3]), None, conv);
}
