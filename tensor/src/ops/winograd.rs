//! Convolutions of 3 × 3 with stride 1 on a GPU, and their gradients, by Winograd's algorithm F(2×2, 3×3) (Lavin and Gray,
//! 1509.09308). A tile of 2 × 2 results takes 16 multiplications for each channel instead of 36:
//!   y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A,   dw = Gᵀ[(A·dy·Aᵀ) ⊙ (Bᵀ·x·B)]G
//! The shader has the matrices. It transforms the operands on their way into workgroup memory, so the transformed ones are never
//! stored. `conv2d.rs` and `conv_transpose2d.rs` use it; the CPU's version is `cpu/winograd.rs`.

use std::sync::Arc;

use super::matmul::Split;
use crate::cpu::conv::ConvAlgorithm;
use crate::cpu::window::Window;
use crate::device::Accelerator;
use crate::kernel::{Dtype, Kernel};
use crate::launch::LaunchBuilder;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::WINOGRAD];
pub(super) static WINOGRAD: Kernel = Kernel::unchecked(&WGSL, "winograd").of_any_dtype();

/// Rows and columns of a workgroup's block, and steps of the sum between two barriers, as the shader has them.
const BLOCK: usize = 32;
const STEPS: usize = 4;

/// What a launch computes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// y from the weight and x.
    Forward,
    /// The gradient of x from the weight and dy.
    InputGradient,
    /// The gradient of the weight from dy and x.
    WeightGradient,
}

/// Whether this algorithm should compute a convolution. With few channels most of a block would be empty, and images of one row or
/// column would use half of a tile. With few pixels some taps of the weight have a gradient of exactly 0, because they meet no
/// pixel that an activation let through. A transform turns these zeros into rounding errors, and Adam turns the errors into steps of
/// full size. The CPU has the same limits.
pub(super) fn applies(machine: &Arc<dyn Accelerator>, window: &Window, channels: [usize; 2]) -> bool {
    let fits = window.kernel == [3, 3] && window.stride == 1 && window.padding <= 2;
    let [height, width] = window.output;
    match ConvAlgorithm::forced() {
        Some(forced) => fits && matches!(forced, ConvAlgorithm::Winograd2 | ConvAlgorithm::Winograd4),
        None => {
            let pixels = window.batch * height * width;
            fits && machine.limits().winograd
                && channels.into_iter().min() >= Some(16)
                && height.min(width) >= 2
                && pixels >= 256
        }
    }
}

/// A launch that computes a convolution of 3 × 3 with stride 1 or one of its gradients, and the parts of its sum. `operands` are the
/// weight and x, the weight and dy, or dy and x; `channels` those of x and y.
pub(super) fn product(
    machine: &Arc<dyn Accelerator>,
    of: Use,
    operands: [&Tensor; 2],
    bias: Option<&Tensor>,
    [cin, cout]: [usize; 2],
    window: Window,
) -> (Split, LaunchBuilder) {
    // A gradient of the input is a convolution of dy with the channels exchanged.
    let ([from, to], image, output, padding) = match of {
        Use::InputGradient => ([cout, cin], window.output, window.input, 2 - window.padding),
        _ => ([cin, cout], window.input, window.output, window.padding),
    };
    let tiles = output.map(|size| size.div_ceil(2));
    let places = window.batch * tiles[0] * tiles[1];
    let [rows, cols, inner] = if of == Use::WeightGradient { [to, from, places] } else { [to, places, from] };
    let blocks = rows.div_ceil(BLOCK) * cols.div_ceil(BLOCK);
    // A workgroup has twice as many invocations as one of the other products and loads ahead, so a quarter of them is enough. Fewer
    // parts also mean less to add up.
    let target = machine.limits().target_workgroups as usize / 4;
    let split = Split::of(target, blocks, inner, [32, STEPS]);
    let run = WINOGRAD.groups(blocks).layers(split.parts);
    let run = match of {
        Use::Forward => run,
        Use::InputGradient => run.set("INPUT_GRADIENT", 1),
        Use::WeightGradient => run.set("WEIGHT_GRADIENT", 1),
    };
    // Sizes of maps that most networks have. Every pair of them is compiled once.
    let common = tiles[0] == tiles[1] && tiles[0].is_power_of_two() && tiles[0] <= 32;
    let run = if common { run.set("TILES_DOWN", tiles[0]).set("TILES_ACROSS", tiles[1]) } else { run };
    let run = run.set("BIASED", usize::from(bias.is_some()));
    let dtype = if of == Use::WeightGradient { Dtype::F32 } else { operands[1].dtype() };
    let run = run.read(operands[0]).read(operands[1]).read(bias.unwrap_or(operands[0])).dtype(dtype);
    let run = run.params([rows, cols, inner, split.part]).params(image).params(output).params(tiles);
    (split, run.params([padding, window.batch]))
}
