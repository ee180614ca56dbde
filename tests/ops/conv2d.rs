//! Convolution and its two gradients: strides 1 to 3, paddings, kernels of width 1 to 7, even and rectangular kernels, images
//! down to one pixel.

use reference::Array;
use reference::compare::assert_close;
use reference::conv_transpose2d::conv_transpose2d;
use reference::law::{Exact, Within, between, draws, one_of};
use reference::place::{Place, everywhere, fetch, on_gpus};
use reference::{conv2d::conv2d, conv2d::weight_gradient, law::adjoint};
use tensor::{Conv, ConvAlgorithm, ConvTranspose, Generator, Tensor};

struct Case {
    image: [usize; 4],
    weight: [usize; 4],
    conv: Conv,
    biased: bool,
}

impl Case {
    fn draw(rng: &mut Generator) -> Case {
        let conv = Conv { stride: between(rng, 1, 3), padding: between(rng, 0, 3) };
        let (batch, cin, cout) = (between(rng, 1, 3), between(rng, 1, 4), between(rng, 1, 5));
        let [kh, kw] = match rng.below(4) {
            0 => [one_of(rng, &[1, 2, 4, 5, 7]), between(rng, 1, 7)],
            _ => [between(rng, 1, 7); 2],
        };
        // From the smallest image that fits the kernel.
        let side = |rng: &mut Generator, k: usize| k.saturating_sub(2 * conv.padding).max(1) + rng.below(6);
        let (height, width) = (side(rng, kh), side(rng, kw));
        Case { image: [batch, cin, height, width], weight: [cout, cin, kh, kw], conv, biased: rng.below(2) == 0 }
    }

    fn inputs(&self, rng: &mut Generator) -> Vec<Tensor> {
        let mut inputs = vec![rng.normal_tensor(self.image), rng.normal_tensor(self.weight)];
        inputs.extend(self.biased.then(|| rng.normal_tensor([self.weight[0]])));
        inputs
    }

    fn name(&self) -> String {
        format!("conv2d {:?} with {:?}, {:?}, bias {}", self.image, self.weight, self.conv, self.biased)
    }
}

/// Cases that once failed: 1×1 and 2×2 maps, 1×1 kernels with stride, even kernels, padding as wide as a kernel.
fn known() -> Vec<Case> {
    let case = |image, weight, stride, padding| Case { image, weight, conv: Conv { stride, padding }, biased: true };
    vec![
        case([2, 3, 1, 1], [4, 3, 1, 1], 1, 0),
        case([3, 2, 1, 1], [2, 2, 3, 3], 1, 1),
        case([2, 5, 2, 2], [7, 5, 3, 3], 1, 1),
        case([3, 4, 8, 8], [2, 4, 1, 1], 2, 0),
        case([1, 2, 5, 6], [3, 2, 2, 2], 1, 1),
        case([1, 2, 6, 7], [3, 2, 4, 4], 2, 1),
        case([1, 3, 9, 9], [2, 3, 7, 7], 2, 3),
        case([1, 1, 3, 3], [1, 1, 3, 3], 1, 3),
        case([2, 1, 7, 5], [1, 1, 2, 2], 3, 0),
        case([1, 2, 4, 11], [2, 2, 1, 5], 3, 2),
    ]
}

/// Large enough for every split of the work: blocks of rows and columns, and sums in chunks and parts.
fn large() -> Vec<Case> {
    let case = |image, weight, stride, padding| Case { image, weight, conv: Conv { stride, padding }, biased: true };
    vec![
        case([5, 3, 20, 21], [9, 3, 3, 3], 1, 1),
        case([2, 130, 5, 4], [13, 130, 3, 3], 1, 1),
        case([2, 3, 4, 4], [520, 3, 3, 3], 1, 1),
        case([7, 5, 17, 19], [6, 5, 5, 4], 2, 2),
        case([1, 4, 40, 33], [3, 4, 3, 3], 3, 0),
        case([2, 3, 9, 8], [150, 3, 3, 3], 2, 1), // a gradient with sums so long that a GPU splits them
        case([6, 24, 13, 14], [20, 24, 3, 3], 1, 1),
        case([35, 16, 8, 8], [33, 16, 3, 3], 1, 0), // more images than a weight gradient transforms at once
        case([32, 16, 24, 23], [17, 16, 3, 3], 1, 1), // several images at once, and a last task of fewer
        case([5, 96, 6, 5], [100, 96, 3, 3], 1, 1), // so many weights that the whole batch goes from step to step
        case([70, 37, 2, 2], [35, 37, 3, 3], 1, 1), // more than a vector of images, more than a task of channels
        case([70, 50, 5, 6], [33, 50, 3, 3], 2, 1), // several tasks of images, and of channels of a weight gradient
        case([70, 2, 17, 18], [16, 2, 2, 3], 1, 0), // more images than tasks of a weight gradient
        case([18, 5, 9, 40], [3, 5, 3, 3], 1, 1),   // rows longer than two vectors, more images than parts of a sum
        case([70, 20, 15, 18], [33, 20, 4, 4], 2, 1), // several images at once, and a last task of fewer
        case([17, 20, 6, 32], [18, 20, 3, 3], 2, 1), // rows of whole vectors, which an adjoint merges from two phases
        case([11, 48, 16, 13], [80, 48, 4, 4], 2, 1), // so many weights that the whole batch goes from step to step
    ]
}

/// 3×3 kernels with stride 1, for which there are several algorithms: maps from one pixel up, whole and partial tiles, every
/// padding, and channels below, at and above a vector of 16.
fn small_kernels() -> Vec<Case> {
    let channels = [[1, 1], [3, 5], [17, 9], [16, 33]];
    let sizes = [[1, 1], [2, 2], [3, 1], [4, 4], [5, 7], [8, 8], [9, 13]];
    let mut cases = Vec::new();
    for (i, size) in sizes.into_iter().enumerate() {
        for padding in (0..3).filter(|padding| size[0].min(size[1]) + 2 * padding >= 3) {
            let [cin, cout] = channels[(i + padding) % channels.len()];
            let image = [1 + (i + padding) % 3, cin, size[0], size[1]];
            let conv = Conv { stride: 1, padding };
            cases.push(Case { image, weight: [cout, cin, 3, 3], conv, biased: padding != 1 });
            // Few channels in or out.
            let few = 1 + (i + padding) % 3;
            cases.push(Case { image, weight: [few, cin, 3, 3], conv, biased: padding == 1 });
            let image = [2, few, size[0], size[1]];
            cases.push(Case { image, weight: [cout, few, 3, 3], conv, biased: true });
        }
    }
    cases
}

/// Kernels of stride 2 for which there are several algorithms: maps from one pixel up, odd and even, whole and partial tiles, every
/// padding, and channels below, at and above a vector of 16.
fn kernels_of_stride_2() -> Vec<Case> {
    let channels = [[1, 1], [3, 5], [17, 9], [16, 33]];
    let sizes = [[1, 2], [2, 2], [4, 3], [7, 8], [9, 16], [19, 17]];
    let mut cases = Vec::new();
    for (i, size) in sizes.into_iter().enumerate() {
        for (j, [kh, kw]) in [[3, 3], [4, 4], [3, 4], [4, 3]].into_iter().enumerate() {
            let padding = (i + j) % 4;
            if size[0] + 2 * padding >= kh && size[1] + 2 * padding >= kw {
                let [cin, cout] = channels[(i + 3 * j) % channels.len()];
                let image = [1 + (i + j) % 3, cin, size[0], size[1]];
                let conv = Conv { stride: 2, padding };
                cases.push(Case { image, weight: [cout, cin, kh, kw], conv, biased: j % 2 == 0 });
            }
        }
    }
    cases
}

/// Where a GPU has this algorithm.
pub(crate) fn gpus_of(algorithm: ConvAlgorithm) -> &'static [Place] {
    match algorithm {
        ConvAlgorithm::Direct | ConvAlgorithm::Winograd2 => &[Place::Gpu],
        _ => &[],
    }
}

/// Runs the test with every algorithm, even those that would not be chosen.
fn on_every_algorithm(case: &Case, law: impl Fn(&str)) {
    for algorithm in ConvAlgorithm::ALL {
        on_gpus(gpus_of(algorithm), || algorithm.force(|| law(&format!("{} by {algorithm:?}", case.name()))));
    }
}

/// Runs the test with both algorithms for any kernel.
pub(crate) fn on_both_algorithms(name: &str, law: impl Fn(&str)) {
    for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Indirect] {
        on_gpus(gpus_of(algorithm), || algorithm.force(|| law(&format!("{name} by {algorithm:?}"))));
    }
}

fn forward(case: &Case, rng: &mut Generator) {
    let op = |x: &[Tensor]| x[0].conv2d(&x[1], x.get(2), case.conv);
    let inputs = case.inputs(rng);
    let [_, cin, kh, kw] = case.weight;
    let within = Within::By(4e-6 * ((cin * kh * kw + 1) as f64).sqrt()); // a sum of n products of normals grows with √n
    let reference = |x: &[Array]| conv2d(&x[0], &x[1], x.get(2), case.conv);
    let exact = Exact::new(&inputs, &reference);
    on_both_algorithms(&case.name(), |what| exact.forward(what, op, within));
}

#[test]
fn values_match_the_reference() {
    for mut rng in draws(120) {
        forward(&Case::draw(&mut rng), &mut rng);
    }
    for (mut rng, case) in draws(100).zip(known().into_iter().chain(large())) {
        forward(&case, &mut rng);
    }
}

#[test]
fn values_by_every_algorithm_match_the_reference() {
    let several = |case: &Case| match case.conv.stride {
        1 => case.weight[2..] == [3, 3],
        2 => case.weight[2..] == [3, 3] || case.weight[2..] == [4, 4],
        _ => false,
    };
    let cases = small_kernels().into_iter().chain(kernels_of_stride_2()).chain(large().into_iter().filter(several));
    for (mut rng, case) in draws(100).zip(cases) {
        let inputs = case.inputs(&mut rng);
        let [_, cin, kh, kw] = case.weight;
        let within = Within::By(1e-5 * ((cin * kh * kw + 1) as f64).sqrt()); // transforms add some rounding
        let op = |x: &[Tensor]| x[0].conv2d(&x[1], x.get(2), case.conv);
        let reference = |x: &[Array]| conv2d(&x[0], &x[1], x.get(2), case.conv);
        let exact = Exact::new(&inputs, &reference);
        on_every_algorithm(&case, |what| exact.forward(what, op, within));
    }
}

/// Finite differences of so many elements would take long. The gradient of the image is a transposed convolution, whose size is that of
/// the image if no row or column is left over.
#[test]
fn gradients_by_every_algorithm_match_the_reference() {
    for (mut rng, case) in draws(100).zip(small_kernels().into_iter().chain(kernels_of_stride_2())) {
        let ([batch, _, mut height, mut width], [cout, cin, kh, kw]) = (case.image, case.weight);
        let Conv { stride, padding } = case.conv;
        (height, width) = (height - (height + 2 * padding - kh) % stride, width - (width + 2 * padding - kw) % stride);
        if height * width == 0 {
            continue;
        }
        let [oh, ow] = case.conv.output([height, width], [kh, kw]).expect("the kernel fits");
        let inputs = [[batch, cin, height, width], case.weight, [batch, cout, oh, ow]];
        let inputs = inputs.map(|shape| rng.normal_tensor(shape));
        let adjoint = ConvTranspose { stride, padding, output_padding: 0 };
        let exact_dx = |x: &[Array]| conv_transpose2d(&x[2], &x[1], None, adjoint);
        let exact_dw = |x: &[Array]| weight_gradient(&x[0], &x[2], [kh, kw], case.conv);
        let [exact_dx, exact_dw] = [Exact::new(&inputs, &exact_dx), Exact::new(&inputs, &exact_dw)];
        on_every_algorithm(&case, |what| {
            let dx = |x: &[Tensor]| x[2].conv2d_input_gradient(&x[1], case.conv, [height, width]);
            exact_dx.forward(&format!("{what}, dx"), dx, Within::By(1e-5 * ((cout * kh * kw) as f64).sqrt()));
            let dw = |x: &[Tensor]| x[0].conv2d_weight_gradient(&x[2], case.conv, [kh, kw]);
            exact_dw.forward(&format!("{what}, dw"), dw, Within::By(1e-5 * ((batch * oh * ow) as f64).sqrt()));
        });
    }
}

#[test]
fn gradients_match_the_reference() {
    let drawn = draws(40).map(|mut rng| (Case::draw(&mut rng), rng));
    let known = known().into_iter().zip(draws(100));
    for (case, mut rng) in drawn.chain(known) {
        let op = |x: &[autograd::Var]| x[0].conv2d(&x[1], x.get(2), case.conv);
        let inputs = case.inputs(&mut rng);
        let reference = |x: &[Array]| conv2d(&x[0], &x[1], x.get(2), case.conv);
        let exact = Exact::new(&inputs, &reference);
        on_both_algorithms(&case.name(), |what| exact.gradient(what, op));
    }
}

#[test]
fn both_gradients_are_adjoints_on_large_images() {
    for (case, mut rng) in large().into_iter().zip(draws(100)) {
        let [_, _, height, width] = case.image;
        let [_, _, kh, kw] = case.weight;
        let (x, w) = (rng.normal_tensor(case.image), rng.normal_tensor(case.weight));
        let y = rng.normal_tensor(x.conv2d(&w, None, case.conv).shape());
        on_every_algorithm(&case, |what| {
            everywhere(|device| {
                let [x, w, y] = [&x, &w, &y].map(|x| x.upload(device));
                let ax = x.conv2d(&w, None, case.conv);
                let dx = y.conv2d_input_gradient(&w, case.conv, [height, width]);
                let dw = x.conv2d_weight_gradient(&y, case.conv, [kh, kw]);
                adjoint(&format!("{what} in its image"), &x, &ax, &y, &dx);
                adjoint(&format!("{what} in its weight"), &w, &ax, &y, &dw);
            });
        });
    }
}

/// Layers with so many weights and pixels that Winograd's algorithm takes eight images through all steps before the ninth.
#[test]
fn layers_of_which_some_images_go_first_equal_matrix_products() {
    let cases = [([96, 96], 3, 1, ConvAlgorithm::Winograd4), ([48, 80], 4, 2, ConvAlgorithm::WinogradStride2)];
    for (([cin, cout], k, stride, algorithm), mut rng) in cases.into_iter().zip(draws(10)) {
        let (size, conv) = ([36 * stride, 38 * stride], Conv { stride, padding: 1 });
        let [x, w] = [[9, cin, size[0], size[1]], [cout, cin, k, k]].map(|shape| rng.normal_tensor(shape));
        let dy = rng.normal_tensor([9, cout, 36, 38]);
        let results = || [x.conv2d(&w, None, conv), dy.conv2d_input_gradient(&w, conv, size)];
        let (found, expected) = (algorithm.force(results), ConvAlgorithm::Direct.force(results));
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(&format!("{algorithm:?}"), found, &Array::of(expected), 1e-5);
        }
    }
}

/// Adding a convolution or the gradient of its input in place is adding it, also to a tensor that shares its elements.
#[test]
fn adding_to_a_sum_is_adding() {
    for (case, mut rng) in known().into_iter().chain(large()).zip(draws(100)) {
        let (x, w) = (rng.normal_tensor(case.image), rng.normal_tensor(case.weight));
        let y = rng.normal_tensor(x.conv2d(&w, None, case.conv).shape());
        on_every_algorithm(&case, |what| {
            everywhere(|device| {
                let [x, w, y] = [&x, &w, &y].map(|x| x.upload(device));
                let (ax, aty) = (
                    x.conv2d(&w, None, case.conv),
                    y.conv2d_input_gradient(&w, case.conv, [case.image[2], case.image[3]]),
                );
                let (mut to_y, mut to_x) = (y.clone(), x.add(&x));
                to_y.add_conv2d(&x, &w, case.conv);
                to_x.add_conv2d_input_gradient(&y, &w, case.conv);
                assert_close(&format!("{what}, a sum"), &to_y, &Array::of(&fetch(&y.add(&ax))), 1e-6);
                assert_close(&format!("{what}, its adjoint"), &to_x, &Array::of(&fetch(&x.add(&x).add(&aty))), 1e-6);
            });
        });
    }
}

#[test]
#[should_panic(expected = "add_conv2d_input_gradient: [2, 3, 4, 4] from [1, 2, 4, 4] with weight [2, 3, 3, 3]")]
fn a_sum_of_other_images_is_refused() {
    let (w, conv) = (Tensor::zeros([2, 3, 3, 3]), Conv { stride: 1, padding: 1 });
    Tensor::zeros([2, 3, 4, 4]).add_conv2d_input_gradient(&Tensor::zeros([1, 2, 4, 4]), &w, conv);
}

#[test]
#[should_panic(expected = "add_conv2d: [1, 3, 4, 4] and a result of [1, 2, 4, 4]")]
fn a_sum_of_another_shape_is_refused() {
    let (w, conv) = (Tensor::zeros([2, 3, 3, 3]), Conv { stride: 1, padding: 1 });
    Tensor::zeros([1, 3, 4, 4]).add_conv2d(&Tensor::zeros([1, 3, 4, 4]), &w, conv);
}

#[test]
#[should_panic(expected = "a convolution's stride is at least 1")]
fn a_stride_of_zero_is_refused() {
    let conv = Conv { stride: 0, padding: 0 };
    Tensor::zeros([1, 3, 4, 4]).conv2d(&Tensor::zeros([2, 3, 3, 3]), None, conv);
}

#[test]
#[should_panic(expected = "conv2d: image [1, 3, 4, 4] with weight [2, 5, 3, 3]")]
fn channels_that_differ_are_refused_with_both_shapes() {
    Tensor::zeros([1, 3, 4, 4]).conv2d(&Tensor::zeros([2, 5, 3, 3]), None, Conv { stride: 1, padding: 1 });
}

/// Sizes that wrap around would pass the check of the shapes.
#[test]
fn sizes_beyond_the_largest_number_are_refused() {
    let half = 1 << (usize::BITS - 1);
    assert_eq!(Conv { stride: 1, padding: half }.output([4, 4], [3, 3]), None);
    assert_eq!(ConvTranspose { stride: half, padding: 0, output_padding: 0 }.output([4, 4], [3, 3]), None);
    assert_eq!(ConvTranspose { stride: 1, padding: half, output_padding: 0 }.output([4, 4], [3, 3]), None);
}

#[test]
fn images_of_two_by_two_without_channels_have_the_bias() {
    everywhere(|device| {
        let [x, w, bias] = [(&[64, 0, 2, 2][..], 1.0), (&[3, 0, 3, 3], 1.0), (&[3], 2.0)]
            .map(|(shape, value)| Tensor::full(shape, value).upload(device));
        let y = fetch(&x.conv2d(&w, Some(&bias), Conv { stride: 1, padding: 1 }));
        assert!(y.count() == 768 && y.data().iter().all(|&y| y == 2.0), "{y:?}");
    });
}

/// Without output channels, input channels or images, the result is empty or what is left of the sum: the bias, or 0.
#[test]
fn sums_over_no_channels_or_images_are_the_bias_or_nothing() {
    sums_over_nothing();
    on_both_algorithms("", |_| sums_over_nothing());
}

fn sums_over_nothing() {
    everywhere(|device| {
        for (sizes, stride) in [[2, 3, 0], [2, 0, 3], [0, 3, 2], [2, 0, 0]].into_iter().flat_map(|n| [(n, 1), (n, 2)]) {
            let ([n, cin, cout], conv, out) = (sizes, Conv { stride, padding: 1 }, 4 / stride);
            let full = |shape: &[usize], value| Tensor::full(shape, value).upload(device);
            let x = full(&[n, cin, 4, 4], 1.0);
            let (w, y, bias) = (full(&[cout, cin, 3, 3], 1.0), full(&[n, cout, out, out], 1.0), full(&[cout], 2.0));
            let turned = ConvTranspose { stride, padding: 1, output_padding: stride - 1 };
            let up = full(&[cin, cout, 3, 3], 1.0);
            for (what, result, shape, value) in [
                ("forward", x.conv2d(&w, Some(&bias), conv), [n, cout, out, out], 2.0),
                ("input gradient", y.conv2d_input_gradient(&w, conv, [4, 4]), [n, cin, 4, 4], 0.0),
                ("weight gradient", x.conv2d_weight_gradient(&y, conv, [3, 3]), [cout, cin, 3, 3], 0.0),
                ("transposed", x.conv_transpose2d(&up, Some(&bias), turned), [n, cout, 4 * stride, 4 * stride], 2.0),
            ] {
                assert_eq!(result.shape()[..], shape, "{what}, {sizes:?}, stride {stride}");
                let right = fetch(&result).data().iter().all(|&y| y == value);
                assert!(right, "{what}, {sizes:?}, stride {stride}: {result:?}");
            }
        }
    });
}
