//! Winograd's algorithm on a GPU, at sizes that need several blocks of rows and columns and sums in parts. `conv2d.rs` and
//! `conv_transpose2d.rs` test small shapes with every algorithm.

use reference::Array;
use reference::compare::assert_close;
use reference::law::draws;
use reference::place::{gpu, large_gpu};
use tensor::{Conv, ConvAlgorithm, ConvTranspose, Tensor};

/// Batch, channels of x and y, height and width, and padding.
const CASES: [[usize; 6]; 7] = [
    [8, 40, 70, 6, 6, 1],    // blocks that are not full
    [4, 64, 64, 8, 8, 1],    // full blocks, and constants for the numbers of tiles
    [65, 16, 32, 2, 2, 1],   // one tile for each image
    [16, 300, 33, 4, 4, 1],  // sums over channels in parts
    [20, 17, 16, 15, 13, 1], // sums over tiles in parts, and tiles that are cut off
    [8, 32, 32, 7, 9, 0],
    [5, 32, 32, 7, 9, 2],
];

/// A copy of `sum` to which something was added.
fn added(sum: &Tensor, add: impl Fn(&mut Tensor)) -> Tensor {
    let mut sum = sum.clone();
    add(&mut sum);
    sum
}

#[test]
fn it_equals_the_cpu_s_matrix_product() {
    for ([batch, cin, cout, height, width, padding], mut rng) in CASES.into_iter().zip(draws(10)) {
        let conv = Conv { stride: 1, padding };
        let transposed = ConvTranspose { stride: 1, padding, output_padding: 0 };
        let [x, w] = [[batch, cin, height, width], [cout, cin, 3, 3]].map(|shape| rng.normal_tensor(shape));
        let bias = rng.normal_tensor([cout]);
        let back = rng.normal_tensor([cin]);
        let dy = x.conv2d(&w, None, conv);
        let dy = rng.normal_tensor(*dy.shape());
        let inputs = [x, w, bias, back, dy];
        let results = |[x, w, bias, back, dy]: &[Tensor; 5]| {
            [
                ("y", x.conv2d(w, Some(bias), conv)),
                ("dx", dy.conv2d_input_gradient(w, conv, [height, width])),
                ("dw", x.conv2d_weight_gradient(dy, conv, [3, 3])),
                ("transposed", dy.conv_transpose2d(w, Some(back), transposed)),
                ("y added", added(dy, |sum| sum.add_conv2d(x, w, conv))),
                ("dx added", added(x, |sum| sum.add_conv2d_input_gradient(dy, w, conv))),
            ]
        };
        let expected = ConvAlgorithm::Direct.force(|| results(&inputs));
        // A browser's compiler takes a second for each variant, and there the second device would need another thirty.
        let devices = if cfg!(target_arch = "wasm32") { vec![gpu()] } else { vec![gpu(), large_gpu()] };
        for device in devices {
            // Without being forced: all these shapes have enough channels and pixels.
            let found = results(&inputs.each_ref().map(|x| x.upload(&device)));
            for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                let what =
                    format!("{name} of [{batch}, {cin}, {height}, {width}] to {cout}, padding {padding}, on {device}");
                assert_close(&what, found, &Array::of(expected), 1e-5);
            }
        }
    }
}
