//! Compares operations with the f64 reference for random inputs, on the CPU with every instruction set of this machine and on a
//! GPU. Inputs are drawn on the CPU and uploaded to the device of the test.

use std::cell::OnceCell;

use autograd::Var;
use autograd::check::Expected;
use tensor::{Generator, Tensor};

use crate::place::{Place, fetch};
use crate::wait::block_on;
use crate::{Array, compare};

/// `count` independent generators, from `$LAWS_SEED` (default 1). Other seeds give other shapes and numbers.
pub fn draws(count: u64) -> impl Iterator<Item = Generator> {
    let seed = seed();
    (0..count).map(move |case| Generator::stream(seed, case))
}

fn seed() -> u64 {
    match std::env::var("LAWS_SEED") {
        Ok(seed) => seed.parse().expect("LAWS_SEED must be a whole number"),
        Err(_) => 1,
    }
}

/// A random integer from `low` to `high`, both included.
pub fn between(rng: &mut Generator, low: usize, high: usize) -> usize {
    low + rng.below(high - low + 1)
}

/// One of the choices at random.
pub fn one_of<T: Copy>(rng: &mut Generator, choices: &[T]) -> T {
    choices[rng.below(choices.len())]
}

/// The tolerance of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Relative to the largest element.
    Largest(f64),
    /// Absolute. For sums that may cancel, whose rounding errors are relative to the terms.
    By(f64),
    /// Relative to each element, for functions of one element.
    Each(f64),
    /// The first number is relative to the largest element, for sums that a CPU computes in f64. A GPU has no f64. If terms
    /// cancel, a sum in f32 has an error relative to the terms, so a GPU has the second number as an absolute tolerance, like
    /// [`By`].
    ///
    /// [`By`]: Within::By
    LargestOrBy(f64, f64),
    /// Bit for bit.
    Exact,
}

impl Within {
    /// The tolerance at a place. This is the only difference between the tests on a CPU and on a GPU.
    fn at(self, place: &Place) -> Within {
        match (self, place) {
            (Within::LargestOrBy(_, allowed), Place::Gpu) => Within::By(allowed),
            (within, _) => within,
        }
    }
}

/// What a reference gives for some inputs. It takes longer than an operation, so it is computed once for all places, and for all
/// algorithms if a law tests several.
pub struct Exact<'a> {
    inputs: &'a [Tensor],
    reference: &'a dyn Fn(&[Array]) -> Array,
    value: OnceCell<Array>,
    slopes: [OnceCell<Expected>; 2],
}

impl<'a> Exact<'a> {
    /// The reference for these inputs, not computed yet.
    pub fn new(inputs: &'a [Tensor], reference: &'a dyn Fn(&[Array]) -> Array) -> Exact<'a> {
        Exact { inputs, reference, value: OnceCell::new(), slopes: [const { OnceCell::new() }; 2] }
    }

    /// Requires that `op(inputs)` equals it at every place.
    #[track_caller]
    pub fn forward(&self, what: &str, op: impl Fn(&[Tensor]) -> Tensor, within: Within) {
        let exact = || (self.reference)(&self.inputs.iter().map(Array::of).collect::<Vec<_>>());
        let expected = self.value.get_or_init(exact);
        for place in Place::all() {
            let device = place.device();
            let inputs: Vec<Tensor> = self.inputs.iter().map(|x| x.upload(&device)).collect();
            let got = place.run(|| op(&inputs));
            assert_eq!(got.device(), device, "{what} at {place}: the result went elsewhere");
            let compared = match within.at(&place) {
                Within::Largest(tolerance) | Within::LargestOrBy(tolerance, _) => {
                    compare::close(&got, expected, tolerance)
                }
                Within::By(allowed) => compare::close_by(&got, expected, allowed),
                Within::Each(tolerance) => compare::close_each(&got, expected, tolerance),
                Within::Exact => compare::close(&got, expected, 0.0),
            };
            if let Err(difference) = compared {
                panic!("{what} at {place}: {difference}");
            }
        }
    }

    /// Requires that the value and the gradients of `op` equal those of the reference at every place.
    ///
    /// A gradient that is a sum of few terms may cancel by chance and leave more rounding than result. So a rule counts as wrong
    /// only if it is wrong along two independent random cotangents. A wrong rule is so along almost all.
    #[track_caller]
    pub fn gradient(&self, what: &str, op: impl Fn(&[Var]) -> Var) {
        for place in Place::all() {
            let device = place.device();
            let along = |slopes: &OnceCell<Expected>, seed| {
                let expected = slopes.get_or_init(|| Expected::of(self.reference, self.inputs, seed));
                place.run(|| block_on(expected.compare(&device, &op)))
            };
            let [first, second] = &self.slopes;
            if let Err(mismatch) = along(first, seed()).or_else(|_| along(second, seed() + 1_000_003)) {
                panic!("{what} at {place}: {mismatch}");
            }
        }
    }
}

/// Requires that `op(inputs)` equals the reference at every place.
#[track_caller]
pub fn forward(
    what: &str,
    inputs: &[Tensor],
    op: impl Fn(&[Tensor]) -> Tensor,
    reference: impl Fn(&[Array]) -> Array,
    within: Within,
) {
    Exact::new(inputs, &reference).forward(what, op, within);
}

/// Requires that the value and the gradients of `op` equal those of the reference at every place: [`Exact::gradient`].
#[track_caller]
pub fn gradient(what: &str, inputs: &[Tensor], op: impl Fn(&[Var]) -> Var, reference: impl Fn(&[Array]) -> Array) {
    Exact::new(inputs, &reference).gradient(what, op);
}

/// Requires ⟨Ax, y⟩ = ⟨x, Aᵀy⟩ up to rounding: `ax` and `aty` are the results of a linear operation and its adjoint for x and
/// y.
#[track_caller]
pub fn adjoint(what: &str, x: &Tensor, ax: &Tensor, y: &Tensor, aty: &Tensor) {
    assert_eq!((ax.shape(), aty.shape()), (y.shape(), x.shape()), "{what}: shapes of an operation and its adjoint");
    let [x, ax, y, aty] = &[x, ax, y, aty].map(fetch);
    let (left, right) = (dot(ax, y), dot(x, aty));
    let size = (dot(ax, ax) * dot(y, y)).sqrt().max((dot(x, x) * dot(aty, aty)).sqrt());
    assert!(size > 0.0, "{what}: nothing but zeros");
    assert!((left - right).abs() <= 1e-7 * size, "{what}: ⟨Ax, y⟩ = {left:e}, ⟨x, Aᵀy⟩ = {right:e}, of {size:e}");
}

/// Σ a·b in f64.
pub fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.data().iter().zip(b.data()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
