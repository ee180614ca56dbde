//! Compares an operation with an f64 reference implementation.
//!
//! The values must equal those of the reference. The gradients must equal its central differences,
//!   ⟨dy, (f(x + h·eᵢ) − f(x − h·eᵢ)) / 2h⟩   for every element i of every input, with h = 1e-6 in f64.
//! The cotangent dy, the gradient of the operation's result, is random. With a constant dy, errors in a softmax or a normalisation
//! would not show, nor would a gradient that ignores dy. Where the differences for h = 1e-6 and h = 1e-3 disagree, the function has
//! a kink (a ReLU at 0), where a difference does not give the derivative. Such elements are not compared. At most 1 % of the elements
//! may be such (one is always allowed, but never all).
//!
//! The operation runs on the device that is to be checked. Random numbers and comparisons are computed on the CPU.

use std::fmt;

use tensor::{Device, Generator, Shape, Tensor};

use crate::var::Var;

/// The largest allowed difference between values, relative to the largest value.
pub const VALUE_TOLERANCE: f64 = 1e-5;
/// The largest allowed difference between gradients, relative to the largest gradient of the same input.
pub const GRADIENT_TOLERANCE: f64 = 1e-5;

/// An array of f64, row-major, for reference implementations.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions.
    pub shape: Shape,
    /// The elements.
    pub data: Vec<f64>,
}

impl Array {
    /// These elements under this shape.
    ///
    /// # Panics
    /// If the number of elements does not fit the shape.
    #[track_caller]
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Array {
        let shape = shape.into();
        assert_eq!(shape.count(), data.len(), "Array::new: {} elements for {shape}", data.len());
        Array { shape, data }
    }

    /// The elements of a tensor on the CPU.
    pub fn of(x: &Tensor) -> Array {
        Array { shape: *x.shape(), data: x.data().iter().map(|&x| f64::from(x)).collect() }
    }

    fn dot(&self, other: &Tensor) -> f64 {
        self.data.iter().zip(other.data()).map(|(a, &b)| a * f64::from(b)).sum()
    }
}

/// An element in which an operation and its reference differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    /// `value`, or `gradient of input 1`.
    pub what: String,
    /// The operation's result.
    pub got: f64,
    /// The reference's result.
    pub expected: f64,
    /// The index of the element, row-major.
    pub index: usize,
    /// The largest allowed difference.
    pub tolerance: f64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { what, got, expected, index, tolerance } = self;
        write!(f, "{what}, element {index}: got {got:e}, expected {expected:e} (±{tolerance:.1e})")
    }
}

impl std::error::Error for Mismatch {}

/// Compares the values and all gradients of `op` on `device` with those of `reference`. `inputs` are on the CPU; `op` receives copies
/// on the device. `seed` determines the cotangent.
///
/// # Errors
/// For the first tensor that differs, the element with the largest difference.
///
/// # Panics
/// If the device fails, the reference's result has another shape, or more than 1 % of an input's elements are at kinks. In the last
/// case, draw other inputs.
pub async fn gradients(
    device: &Device,
    op: impl Fn(&[Var]) -> Var,
    reference: impl Fn(&[Array]) -> Array,
    inputs: &[Tensor],
    seed: u64,
) -> Result<(), Mismatch> {
    Expected::of(reference, inputs, seed).compare(device, op).await
}

/// The value of a reference and its differences along a cotangent. To compare them with several devices, compute them once: they take
/// two evaluations of the reference for each element of each input, and as many again to find kinks.
#[derive(Debug)]
pub struct Expected {
    inputs: Vec<Tensor>,
    value: Array,
    dy: Tensor,
    slopes: Vec<Slopes>,
}

/// The differences of one input, and which of its elements are at kinks.
#[derive(Debug)]
struct Slopes {
    of: Vec<f64>,
    kinks: Vec<bool>,
}

impl Expected {
    /// Evaluates the reference. `inputs` are on the CPU, and `seed` determines the cotangent.
    ///
    /// # Panics
    /// If more than 1 % of an input's elements are at kinks.
    pub fn of(reference: impl Fn(&[Array]) -> Array, inputs: &[Tensor], seed: u64) -> Expected {
        let mut exact: Vec<Array> = inputs.iter().map(Array::of).collect();
        let value = reference(&exact);
        let dy = Generator::new(seed).normal_tensor(value.shape);
        let mut slopes = Vec::new();
        for i in 0..inputs.len() {
            let mut difference = |element: usize, h: f64| {
                let x = exact[i].data[element];
                exact[i].data[element] = x + h;
                let above = reference(&exact).dot(&dy);
                exact[i].data[element] = x - h;
                let below = reference(&exact).dot(&dy);
                exact[i].data[element] = x;
                (above - below) / (2.0 * h)
            };
            let count = inputs[i].count();
            let near: Vec<f64> = (0..count).map(|e| difference(e, 1e-6)).collect();
            let far: Vec<f64> = (0..count).map(|e| difference(e, 1e-3)).collect();
            let scale = near.iter().fold(0.0f64, |m, d| m.max(d.abs()));
            let kinks: Vec<bool> =
                near.iter().zip(&far).map(|(a, b)| (a - b).abs() > 1e-2 * scale.max(a.abs())).collect();
            let skipped = kinks.iter().filter(|&&kink| kink).count();
            let allowed = 1.max(count / 100).min(count.saturating_sub(1));
            assert!(skipped <= allowed, "{skipped} of {count} elements of input {i} sit on kinks: draw others");
            slopes.push(Slopes { of: near, kinks });
        }
        Expected { inputs: inputs.to_vec(), value, dy, slopes }
    }

    /// Compares the value and all gradients of `op` on `device` with these.
    ///
    /// # Errors
    /// For the first tensor that differs, the element with the largest difference.
    ///
    /// # Panics
    /// If the device fails, or the reference's result has another shape.
    pub async fn compare(&self, device: &Device, op: impl Fn(&[Var]) -> Var) -> Result<(), Mismatch> {
        let leaves: Vec<Var> = self.inputs.iter().map(|x| Var::leaf(x.upload(device))).collect();
        let y = op(&leaves);
        assert_eq!(*y.shape(), self.value.shape, "the operation's result and its reference's");
        let expected: Vec<_> = self.value.data.iter().copied().map(Some).collect();
        compare("value", &fetch(y.value()).await, &expected, VALUE_TOLERANCE)?;

        let found = y.backward_with(self.dy.upload(device));
        for (i, (leaf, Slopes { of, kinks })) in leaves.iter().zip(&self.slopes).enumerate() {
            let found = match found.of(leaf) {
                Some(gradient) => fetch(gradient).await,
                None => Tensor::zeros(self.inputs[i].shape()),
            };
            assert_eq!(found.shape(), self.inputs[i].shape(), "the gradient of input {i}");
            let expected: Vec<_> = of.iter().zip(kinks).map(|(&slope, &kink)| (!kink).then_some(slope)).collect();
            compare(&format!("gradient of input {i}"), &found, &expected, GRADIENT_TOLERANCE)?;
        }
        Ok(())
    }
}

/// A copy of the tensor on the CPU.
async fn fetch(x: &Tensor) -> Tensor {
    x.to(&Device::Cpu).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Compares each number with what is expected; anything is expected where that is `None`.
fn compare(what: &str, got: &Tensor, expected: &[Option<f64>], tolerance: f64) -> Result<(), Mismatch> {
    let finite = expected.iter().flatten().filter(|x| x.is_finite());
    let scale = finite.fold(0.0f64, |m, x| m.max(x.abs()));
    let off = |&(got, expected): &(f64, f64)| {
        let difference = (got - expected).abs();
        match got == expected {
            true => 0.0, // both may be ∞
            false if difference.is_nan() => f64::INFINITY,
            false => difference,
        }
    };
    let pairs = got.data().iter().zip(expected).enumerate();
    let pairs = pairs.filter_map(|(i, (&got, expected))| expected.map(|expected| (i, (f64::from(got), expected))));
    let worst = pairs.max_by(|(_, a), (_, b)| off(a).total_cmp(&off(b)));
    match worst {
        Some((index, pair)) if off(&pair) > tolerance * scale => {
            let (got, expected) = pair;
            Err(Mismatch { what: what.into(), got, expected, index, tolerance: tolerance * scale })
        }
        _ => Ok(()),
    }
}
