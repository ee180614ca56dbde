//! The Inception-v3 of pytorch-fid, the network behind most published Fréchet distances (Szegedy et al. 2016). Its
//! weights were trained in TensorFlow, whose pooling differs from that of torchvision's model of the same name.
//!
//! ```text
//! x in [0, 1], [n, 3, h, w] → bilinear to 299 × 299 → 2x − 1
//! Conv2d_1a 32 s2, 2a 32, 2b 64, max-pool 3 s2, 3b 80, 4a 192, max-pool 3 s2                     [n, 192, 35, 35]
//! Mixed_5b, 5c, 5d: 1×1 | 5×5 | 3×3 twice | average pool, 1×1                                     [n, 288, 35, 35]
//! Mixed_6a: 3×3 s2 | 3×3 twice, s2 | max-pool                                                     [n, 768, 17, 17]
//! Mixed_6b–6e: 1×1 | 1×7, 7×1 | 7×1, 1×7, 7×1, 1×7 | average pool, 1×1                            [n, 768, 17, 17]
//! Mixed_7a: 3×3 s2 | 1×7, 7×1, 3×3 s2 | max-pool                                                  [n, 1280, 8, 8]
//! Mixed_7b, 7c: 1×1 | 1×3 and 3×1 | 3×3, 1×3 and 3×1 | pool, 1×1                                  [n, 2048, 8, 8]
//! global average pool: 2,048 features
//! ```
//!
//! A convolution has no bias and is followed by batch norm (ε = 0.001) and ReLU. Average pools are 3 × 3 and do not
//! count the padding (`count_include_pad=False` in PyTorch). The pool of Mixed_7c is a max pool. The names are
//! torchvision's, such as `Mixed_6b.branch7x7_2.conv.weight`.

use autograd::{Act, Buffer, Interpolation, Param, Pool, Var};
use nn::{Module, Visitor};
use tensor::{Conv, Tensor};

/// The side of the input images in pixels.
pub const SIZE: usize = 299;
/// The number of features of an image.
pub const FEATURES: usize = 2048;
const EPS: f32 = 1e-3;
const AROUND: Pool = Pool { kernel: 3, stride: 1, padding: 1 };
const HALVE: Pool = Pool { kernel: 3, stride: 2, padding: 0 };

/// The network.
pub struct Inception {
    layers: Vec<(String, Unit)>,
}

/// A convolution, batch norm and ReLU.
struct Unit {
    weight: Param,
    norm: [Param; 2],
    running: [Buffer; 2],
    stride: usize,
    /// Rows and columns of zeros around the image.
    padding: [usize; 2],
}

/// A unit: name, input channels, output channels, kernel and stride. Units of stride 1 keep the size of the image,
/// except two of the stem.
type Row = (&'static str, usize, usize, [usize; 2], usize);

impl Inception {
    /// Creates the network. All weights are 0 until they are loaded.
    pub fn new() -> Inception {
        let mut layers = Vec::new();
        let mut add = |block: &str, rows: &[Row]| {
            for &(name, input, output, kernel, stride) in rows {
                let keeps_size = stride == 1 && !["Conv2d_2a_3x3", "Conv2d_4a_3x3"].contains(&name);
                let padding = if keeps_size { kernel.map(|side| side / 2) } else { [0, 0] };
                let name = if block.is_empty() { name.to_owned() } else { format!("{block}.{name}") };
                layers.push((name, Unit::new(input, output, kernel, stride, padding)));
            }
        };
        let stem = [
            ("Conv2d_1a_3x3", 3, 32, [3, 3], 2),
            ("Conv2d_2a_3x3", 32, 32, [3, 3], 1),
            ("Conv2d_2b_3x3", 32, 64, [3, 3], 1),
            ("Conv2d_3b_1x1", 64, 80, [1, 1], 1),
            ("Conv2d_4a_3x3", 80, 192, [3, 3], 1),
        ];
        add("", &stem);
        for (block, input, pooled) in [("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)] {
            let rows = [
                ("branch1x1", input, 64, [1, 1], 1),
                ("branch5x5_1", input, 48, [1, 1], 1),
                ("branch5x5_2", 48, 64, [5, 5], 1),
                ("branch3x3dbl_1", input, 64, [1, 1], 1),
                ("branch3x3dbl_2", 64, 96, [3, 3], 1),
                ("branch3x3dbl_3", 96, 96, [3, 3], 1),
                ("branch_pool", input, pooled, [1, 1], 1),
            ];
            add(block, &rows);
        }
        let rows = [
            ("branch3x3", 288, 384, [3, 3], 2),
            ("branch3x3dbl_1", 288, 64, [1, 1], 1),
            ("branch3x3dbl_2", 64, 96, [3, 3], 1),
            ("branch3x3dbl_3", 96, 96, [3, 3], 2),
        ];
        add("Mixed_6a", &rows);
        for (block, c) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            let rows = [
                ("branch1x1", 768, 192, [1, 1], 1),
                ("branch7x7_1", 768, c, [1, 1], 1),
                ("branch7x7_2", c, c, [1, 7], 1),
                ("branch7x7_3", c, 192, [7, 1], 1),
                ("branch7x7dbl_1", 768, c, [1, 1], 1),
                ("branch7x7dbl_2", c, c, [7, 1], 1),
                ("branch7x7dbl_3", c, c, [1, 7], 1),
                ("branch7x7dbl_4", c, c, [7, 1], 1),
                ("branch7x7dbl_5", c, 192, [1, 7], 1),
                ("branch_pool", 768, 192, [1, 1], 1),
            ];
            add(block, &rows);
        }
        let rows = [
            ("branch3x3_1", 768, 192, [1, 1], 1),
            ("branch3x3_2", 192, 320, [3, 3], 2),
            ("branch7x7x3_1", 768, 192, [1, 1], 1),
            ("branch7x7x3_2", 192, 192, [1, 7], 1),
            ("branch7x7x3_3", 192, 192, [7, 1], 1),
            ("branch7x7x3_4", 192, 192, [3, 3], 2),
        ];
        add("Mixed_7a", &rows);
        for (block, input) in [("Mixed_7b", 1280), ("Mixed_7c", 2048)] {
            let rows = [
                ("branch1x1", input, 320, [1, 1], 1),
                ("branch3x3_1", input, 384, [1, 1], 1),
                ("branch3x3_2a", 384, 384, [1, 3], 1),
                ("branch3x3_2b", 384, 384, [3, 1], 1),
                ("branch3x3dbl_1", input, 448, [1, 1], 1),
                ("branch3x3dbl_2", 448, 384, [3, 3], 1),
                ("branch3x3dbl_3a", 384, 384, [1, 3], 1),
                ("branch3x3dbl_3b", 384, 384, [3, 1], 1),
                ("branch_pool", input, 192, [1, 1], 1),
            ];
            add(block, &rows);
        }
        Inception { layers }
    }

    /// Computes the features of images with pixels in [0, 1] and any size, `[n, 3, h, w]` → `[n, 2048]`.
    pub fn features(&self, images: &Var) -> Var {
        let x = preprocessed(images);
        let x = self.apply(&x, "", &["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"]).max_pool2d(HALVE);
        let x = self.apply(&x, "", &["Conv2d_3b_1x1", "Conv2d_4a_3x3"]).max_pool2d(HALVE);
        let x = ["Mixed_5b", "Mixed_5c", "Mixed_5d"].iter().fold(x, |x, block| {
            let five = self.apply(&x, block, &["branch5x5_1", "branch5x5_2"]);
            let three = self.apply(&x, block, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]);
            self.concat_branches(&x, block, &[&five, &three], average)
        });
        let three = self.apply(&x, "Mixed_6a", &["branch3x3"]);
        let twice = self.apply(&x, "Mixed_6a", &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]);
        let x = Var::concat(&[&three, &twice, &x.max_pool2d(HALVE)], 1);
        let x = ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"].iter().fold(x, |x, block| {
            let once = self.apply(&x, block, &["branch7x7_1", "branch7x7_2", "branch7x7_3"]);
            let twice = self.apply(&x, block, &["branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3"]);
            let twice = self.apply(&twice, block, &["branch7x7dbl_4", "branch7x7dbl_5"]);
            self.concat_branches(&x, block, &[&once, &twice], average)
        });
        let three = self.apply(&x, "Mixed_7a", &["branch3x3_1", "branch3x3_2"]);
        let seven = self.apply(&x, "Mixed_7a", &["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"]);
        let x = Var::concat(&[&three, &seven, &x.max_pool2d(HALVE)], 1);
        let x = self.last_block(&x, "Mixed_7b", average);
        let x = self.last_block(&x, "Mixed_7c", |x| x.max_pool2d(AROUND));
        x.global_avg_pool2d()
    }

    /// Applies one of the last two blocks, Mixed_7b and 7c. Two of its branches fork into a 1×3 and a 3×1 convolution.
    fn last_block(&self, x: &Var, block: &str, pool: impl Fn(&Var) -> Var) -> Var {
        let forked = |x: &Var, names: [&str; 2]| {
            let [rows, columns] = names.map(|name| self.apply(x, block, &[name]));
            Var::concat(&[&rows, &columns], 1)
        };
        let once = forked(&self.apply(x, block, &["branch3x3_1"]), ["branch3x3_2a", "branch3x3_2b"]);
        let twice = self.apply(x, block, &["branch3x3dbl_1", "branch3x3dbl_2"]);
        let twice = forked(&twice, ["branch3x3dbl_3a", "branch3x3dbl_3b"]);
        self.concat_branches(x, block, &[&once, &twice], pool)
    }

    /// Concatenates the branches of a block: a 1×1 convolution, `branches`, and a pool followed by a 1×1 convolution.
    fn concat_branches(&self, x: &Var, block: &str, branches: &[&Var; 2], pool: impl Fn(&Var) -> Var) -> Var {
        let first = self.apply(x, block, &["branch1x1"]);
        let last = self.apply(&pool(x), block, &["branch_pool"]);
        Var::concat(&[&first, branches[0], branches[1], &last], 1)
    }

    /// Applies some units of a block one after the other.
    fn apply(&self, x: &Var, block: &str, names: &[&str]) -> Var {
        let unit = |name: &str| {
            let path = if block.is_empty() { name.to_owned() } else { format!("{block}.{name}") };
            let found = self.layers.iter().find(|(known, _)| *known == path);
            &found.unwrap_or_else(|| panic!("there is no layer {path}")).1
        };
        names.iter().fold(x.clone(), |x, name| unit(name).forward(&x))
    }
}

/// Resizes images with pixels in [0, 1], and moves their range to [−1, 1].
fn preprocessed(images: &Var) -> Var {
    let resized = images.interpolate([SIZE; 2], Interpolation::Bilinear { align_corners: false });
    resized.mul_scalar(2.0).add_scalar(-1.0)
}

impl Default for Inception {
    fn default() -> Inception {
        Inception::new()
    }
}

impl Module for Inception {
    fn visit(&self, v: &mut Visitor) {
        self.layers.iter().for_each(|(name, unit)| v.child(name, unit));
    }
}

impl Unit {
    fn new(input: usize, output: usize, kernel: [usize; 2], stride: usize, padding: [usize; 2]) -> Unit {
        Unit {
            weight: Param::new(Tensor::zeros([output, input, kernel[0], kernel[1]])),
            norm: [0; 2].map(|_| Param::new(Tensor::zeros([output]))),
            running: [0; 2].map(|_| Buffer::new(Tensor::zeros([output]))),
            stride,
            padding,
        }
    }

    fn forward(&self, x: &Var) -> Var {
        let (weight, stride) = (self.weight.var(), self.stride);
        let y = match self.padding {
            [rows, columns] if rows == columns => x.conv2d(&weight, None, Conv { stride, padding: rows }),
            [0, columns] => pad(x, 3, columns).conv2d(&weight, None, Conv { stride, padding: 0 }),
            [rows, _] => pad(x, 2, rows).conv2d(&weight, None, Conv { stride, padding: 0 }),
        };
        let ([weight, bias], [mean, var]) =
            (self.norm.each_ref().map(Param::var), self.running.each_ref().map(Buffer::value));
        y.batch_norm_eval(&mean, &var, &weight, &bias, None, Act::Relu, EPS)
    }
}

impl Module for Unit {
    fn visit(&self, v: &mut Visitor) {
        v.child("conv.weight", &self.weight);
        v.child("bn.weight", &self.norm[0]);
        v.child("bn.bias", &self.norm[1]);
        v.child("bn.running_mean", &self.running[0]);
        v.child("bn.running_var", &self.running[1]);
    }
}

/// Pads images with zeros at both ends of one dimension. The convolution of the tensor library pads rows and columns by the
/// same amount, so a kernel of 1×7 needs this.
fn pad(x: &Var, dim: usize, width: usize) -> Var {
    let mut shape = [0, 1, 2, 3].map(|dim| x.shape()[dim]);
    shape[dim] = width;
    let zeros = Var::constant(Tensor::zeros(shape).upload(&x.value().device()));
    Var::concat(&[&zeros, x, &zeros], dim)
}

/// Applies the average pool of 3 × 3 pixels that does not count the padding.
fn average(x: &Var) -> Var {
    let [_, _, height, width] = x.shape().nchw("average");
    let there = Tensor::ones([1, 1, height, width]).avg_pool2d(AROUND);
    x.avg_pool2d(AROUND).div(&Var::constant(there.upload(&x.value().device())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_pools_do_not_count_the_padding() {
        let x = Var::constant(Tensor::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 1, 2, 3]));
        let pooled = average(&x).value().data().to_vec();
        let expected = [3.0, 3.5, 4.0, 3.0, 3.5, 4.0]; // with the padding counted, the first would be 12/9
        assert!(pooled.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{pooled:?}");
    }

    #[test]
    fn names_and_parameter_counts_agree_with_torchvision() {
        let net = Inception::default();
        // torchvision's inception_v3 without its auxiliary head and `fc`: 21,785,568 parameters in 94 units.
        assert_eq!((nn::count(&net), net.layers.len()), (21_785_568, 94));
        let mut names = Vec::new();
        nn::visit(&net, |path, _| names.push(path.to_owned()));
        for name in ["Conv2d_1a_3x3.conv.weight", "Mixed_6b.branch7x7dbl_5.bn.running_var"] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        let unit = |name: &str| &net.layers.iter().find(|(known, _)| known == name).unwrap().1;
        for (name, padding, stride) in [
            ("Conv2d_1a_3x3", [0, 0], 2),
            ("Conv2d_2a_3x3", [0, 0], 1),
            ("Conv2d_2b_3x3", [1, 1], 1),
            ("Conv2d_3b_1x1", [0, 0], 1),
            ("Mixed_5b.branch5x5_2", [2, 2], 1),
            ("Mixed_6a.branch3x3dbl_3", [0, 0], 2),
            ("Mixed_6b.branch7x7_2", [0, 3], 1),
        ] {
            assert_eq!((unit(name).padding, unit(name).stride), (padding, stride), "{name}");
        }
        let maps = net.apply(&Var::constant(Tensor::zeros([1, 64, 3, 3])), "", &["Conv2d_3b_1x1"]);
        assert_eq!(**maps.shape(), [1, 80, 3, 3]);
    }

    #[test]
    fn images_are_enlarged_and_their_range_is_symmetric() {
        let x = preprocessed(&Var::constant(Tensor::full([1, 3, 8, 8], 0.25)));
        assert_eq!(**x.shape(), [1, 3, 299, 299]);
        assert!(x.value().data().iter().all(|x| (x + 0.5).abs() < 1e-6));
    }

    /// Kernels of ones count the pixels under them that are not padding.
    #[test]
    fn a_unit_is_a_padded_convolution_with_a_norm() {
        for (kernel, padding, count) in [([3, 3], [1, 1], 4.0), ([1, 3], [0, 1], 2.0), ([3, 1], [1, 0], 2.0)] {
            let unit = Unit::new(1, 1, kernel, 1, padding);
            unit.weight.set(Tensor::ones([1, 1, kernel[0], kernel[1]]));
            unit.norm[0].set(Tensor::full([1], 2.0));
            unit.norm[1].set(Tensor::full([1], 0.5));
            unit.running[1].set(Tensor::full([1], 4.0));
            let y = unit.forward(&Var::constant(Tensor::ones([1, 1, 2, 2])));
            assert!(y.value().data().iter().all(|y| (y - count - 0.5).abs() < 1e-3) && y.value().count() == 4, "{y:?}");
        }
    }

    /// A kernel of 1×7 needs zeros to the left and right only, one of 7×1 above and below only.
    #[test]
    fn rows_and_columns_are_padded_separately() {
        let x = Var::constant(Tensor::ones([1, 1, 2, 2]));
        let padded = pad(&x, 3, 3);
        assert_eq!(padded.value().data(), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0].repeat(2));
        assert_eq!(**pad(&x, 2, 3).shape(), [1, 1, 8, 2]);
    }
}
