//! Transposed convolution and its gradients: strides 1 to 3 with every output padding, kernels smaller than the stride (gaps in
//! the output) and larger (overlaps), images down to one pixel.

use reference::conv_transpose2d::conv_transpose2d;
use reference::law::{self, Exact, Within, between, draws};
use reference::place::{everywhere, on_gpus};
use tensor::{ConvAlgorithm, ConvTranspose, Generator, Tensor};

use crate::conv2d::{gpus_of, on_both_algorithms};

struct Case {
    image: [usize; 4],
    weight: [usize; 4],
    conv: ConvTranspose,
    biased: bool,
}

impl Case {
    fn draw(rng: &mut Generator) -> Case {
        let stride = between(rng, 1, 3);
        let (batch, cin, cout) = (between(rng, 1, 3), between(rng, 1, 4), between(rng, 1, 5));
        let [kh, kw] = match rng.below(4) {
            0 => [between(rng, 1, 7), between(rng, 1, 7)],
            _ => [between(rng, 1, 7); 2],
        };
        let (height, width) = (between(rng, 1, 6), between(rng, 1, 6));
        let output_padding = rng.below(stride);
        // The largest padding that leaves a pixel.
        let whole = ((height - 1) * stride + kh).min((width - 1) * stride + kw) + output_padding;
        let conv = ConvTranspose { stride, padding: rng.below(4).min((whole - 1) / 2), output_padding };
        Case { image: [batch, cin, height, width], weight: [cin, cout, kh, kw], conv, biased: rng.below(2) == 0 }
    }

    fn inputs(&self, rng: &mut Generator) -> Vec<Tensor> {
        let mut inputs = vec![rng.normal_tensor(self.image), rng.normal_tensor(self.weight)];
        inputs.extend(self.biased.then(|| rng.normal_tensor([self.weight[1]])));
        inputs
    }

    fn name(&self) -> String {
        format!("conv_transpose2d {:?} with {:?}, {:?}, bias {}", self.image, self.weight, self.conv, self.biased)
    }
}

fn known() -> Vec<Case> {
    let case = |image, weight, stride, padding, output_padding| {
        let conv = ConvTranspose { stride, padding, output_padding };
        Case { image, weight, conv, biased: true }
    };
    vec![
        case([2, 3, 1, 1], [3, 2, 3, 3], 1, 1, 0),
        case([2, 5, 2, 2], [5, 4, 3, 3], 1, 1, 0),
        case([2, 3, 5, 4], [3, 2, 4, 4], 2, 1, 0),
        case([1, 2, 4, 5], [2, 3, 3, 3], 2, 1, 1),
        case([1, 2, 3, 3], [2, 2, 1, 1], 3, 0, 2), // most of the output is the bias alone
        case([2, 1, 3, 4], [1, 2, 2, 2], 3, 0, 1),
        case([1, 2, 3, 3], [2, 1, 7, 7], 3, 3, 2),
    ]
}

fn large() -> Vec<Case> {
    let case = |image, weight, stride, padding, output_padding| {
        let conv = ConvTranspose { stride, padding, output_padding };
        Case { image, weight, conv, biased: true }
    };
    vec![
        case([5, 9, 20, 21], [9, 3, 3, 3], 1, 1, 0),
        case([2, 130, 5, 4], [130, 13, 3, 3], 1, 1, 0),
        case([2, 3, 4, 4], [3, 520, 4, 4], 2, 1, 0),
        case([4, 6, 23, 19], [6, 5, 3, 3], 2, 1, 1),
        case([3, 6, 3, 16], [6, 5, 4, 4], 2, 1, 0), // rows of whole vectors, merged from two phases
        case([1, 150, 5, 4], [150, 3, 4, 4], 2, 1, 0), // sums so long that a GPU splits them
        case([6, 24, 13, 14], [24, 20, 3, 3], 1, 1, 0),
    ]
}

fn forward(case: &Case, rng: &mut Generator) {
    let op = |x: &[Tensor]| x[0].conv_transpose2d(&x[1], x.get(2), case.conv);
    let expected = |x: &[reference::Array]| conv_transpose2d(&x[0], &x[1], x.get(2), case.conv);
    let [cin, _, kh, kw] = case.weight;
    let within = Within::By(4e-6 * ((cin * kh * kw + 1) as f64).sqrt()); // a sum of n products of normals grows with √n
    let inputs = case.inputs(rng);
    let exact = Exact::new(&inputs, &expected);
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
fn gradients_match_the_reference() {
    let drawn = draws(40).map(|mut rng| (Case::draw(&mut rng), rng));
    let known = known().into_iter().zip(draws(100));
    for (case, mut rng) in drawn.chain(known) {
        let op = |x: &[autograd::Var]| x[0].conv_transpose2d(&x[1], x.get(2), case.conv);
        let expected = |x: &[reference::Array]| conv_transpose2d(&x[0], &x[1], x.get(2), case.conv);
        let inputs = case.inputs(&mut rng);
        let exact = Exact::new(&inputs, &expected);
        on_both_algorithms(&case.name(), |what| exact.gradient(what, op));
    }
}

/// With a 3×3 kernel and stride 1 it is a convolution, for which there are several algorithms, and so it is with 3×3 and 4×4 kernels and
/// stride 2. The sizes are of the input.
#[test]
fn every_algorithm_matches_the_reference() {
    let sizes = [[1, 1], [2, 2], [3, 1], [4, 4], [5, 7], [9, 8]];
    let kernels = [(3, 1), (3, 2), (4, 2)].into_iter();
    let kernels = kernels.flat_map(|(k, stride)| [0, 1, 2].map(|padding| (k, stride, padding, (padding + 1) % stride)));
    let cases = kernels.flat_map(|kernel| sizes.map(|size| (size, kernel)));
    for (mut rng, ([height, width], (k, stride, padding, output_padding))) in draws(100).zip(cases) {
        if (height.min(width) - 1) * stride + k + output_padding <= 2 * padding {
            continue; // the output would be empty
        }
        let conv = ConvTranspose { stride, padding, output_padding };
        let (cin, cout) = (between(&mut rng, 1, 18), between(&mut rng, 1, 9));
        let case = Case { image: [2, cin, height, width], weight: [cin, cout, k, k], conv, biased: padding != 1 };
        let inputs = case.inputs(&mut rng);
        let expected = |x: &[reference::Array]| conv_transpose2d(&x[0], &x[1], x.get(2), conv);
        let within = Within::By(1e-5 * ((cin * k * k + 1) as f64).sqrt()); // transforms add some rounding
        let exact = Exact::new(&inputs, &expected);
        for algorithm in ConvAlgorithm::ALL {
            let what = format!("{} by {algorithm:?}", case.name());
            let op = |x: &[Tensor]| algorithm.force(|| x[0].conv_transpose2d(&x[1], x.get(2), conv));
            on_gpus(gpus_of(algorithm), || exact.forward(&what, op, within));
        }
    }
}

#[test]
fn it_is_the_adjoint_of_a_convolution_on_large_images() {
    for (case, mut rng) in large().into_iter().zip(draws(100)) {
        let (x, w) = (rng.normal_tensor(case.image), rng.normal_tensor(case.weight));
        let y = rng.normal_tensor(x.conv_transpose2d(&w, None, case.conv).shape());
        everywhere(|device| {
            let [x, w, y] = [&x, &w, &y].map(|x| x.upload(device));
            let ax = x.conv_transpose2d(&w, None, case.conv);
            law::adjoint(&case.name(), &x, &ax, &y, &y.conv2d(&w, None, case.conv.conv()));
        });
    }
}

#[test]
#[should_panic(expected = "output padding must be less than the stride")]
fn an_output_padding_of_a_whole_stride_is_refused() {
    let conv = ConvTranspose { stride: 2, padding: 0, output_padding: 2 };
    Tensor::zeros([1, 1, 4, 4]).conv_transpose2d(&Tensor::zeros([1, 1, 3, 3]), None, conv);
}
