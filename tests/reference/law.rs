//! How a law is held: over drawn inputs, against the f64 reference, on the CPU with every set of vector instructions of this
//! machine, and on a GPU. Inputs are drawn on the CPU; operations are given them where they are to run.

use autograd::{Var, check};
use pollster::block_on;
use tensor::{Generator, Tensor};

use crate::place::{Place, fetch};
use crate::{Array, compare};

/// `count` independent generators, from `$LAWS_SEED` (default 1): other seeds try other shapes and numbers.
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

/// A whole number from `low` to `high`, both included.
pub fn between(rng: &mut Generator, low: usize, high: usize) -> usize {
    low + rng.below(high - low + 1)
}

/// One of the choices.
pub fn one_of<T: Copy>(rng: &mut Generator, choices: &[T]) -> T {
    choices[rng.below(choices.len())]
}

/// How a result is held to its reference.
#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Relative to the largest element.
    Largest(f64),
    /// By this much everywhere: for sums that may cancel, whose rounding goes by the size of what is added.
    By(f64),
    /// Relative to each element: what a function of one number can.
    Each(f64),
    /// The first number relative to the largest element, for sums that a CPU takes in f64. A GPU has no f64, and where terms
    /// cancel a sum in f32 is off by the size of its terms, not by its own: there the second number by itself, like [`By`].
    ///
    /// [`By`]: Within::By
    LargestOrBy(f64, f64),
    /// Bit for bit.
    Exact,
}

impl Within {
    /// What is asked at a place. The one difference between a CPU and a GPU stands here: in everything else both are held to
    /// the same.
    fn at(self, place: &Place) -> Within {
        match (self, place) {
            (Within::LargestOrBy(_, allowed), Place::Gpu) => Within::By(allowed),
            (within, _) => within,
        }
    }
}

/// `op(inputs)` is what the reference says, everywhere.
#[track_caller]
pub fn forward(
    what: &str,
    inputs: &[Tensor],
    op: impl Fn(&[Tensor]) -> Tensor,
    reference: impl Fn(&[Array]) -> Array,
    within: Within,
) {
    let expected = reference(&inputs.iter().map(Array::of).collect::<Vec<_>>());
    for place in Place::all() {
        let device = place.device();
        let inputs: Vec<Tensor> = inputs.iter().map(|x| x.upload(&device)).collect();
        let got = place.run(|| op(&inputs));
        assert_eq!(got.device(), device, "{what} at {place}: the result went elsewhere");
        let compared = match within.at(&place) {
            Within::Largest(tolerance) | Within::LargestOrBy(tolerance, _) => {
                compare::close(&got, &expected, tolerance)
            }
            Within::By(allowed) => compare::close_by(&got, &expected, allowed),
            Within::Each(tolerance) => compare::close_each(&got, &expected, tolerance),
            Within::Exact => compare::close(&got, &expected, 0.0),
        };
        if let Err(difference) = compared {
            panic!("{what} at {place}: {difference}");
        }
    }
}

/// `op`'s values and gradients are those of the reference, everywhere.
///
/// A gradient that is a sum over few numbers may happen to cancel, and leave more rounding than result. So a rule is wrong
/// if it is off along two cotangents, drawn independently: a wrong one is off along almost all.
#[track_caller]
pub fn gradient(what: &str, inputs: &[Tensor], op: impl Fn(&[Var]) -> Var, reference: impl Fn(&[Array]) -> Array) {
    for place in Place::all() {
        let device = place.device();
        let along = |seed| place.run(|| block_on(check::gradients(&device, &op, &reference, inputs, seed)));
        if let Err(mismatch) = along(seed()).or_else(|_| along(seed() + 1_000_003)) {
            panic!("{what} at {place}: {mismatch}");
        }
    }
}

/// ⟨Ax, y⟩ = ⟨x, Aᵀy⟩, to rounding: `ax` and `aty` are what a linear operation and its adjoint made of x and y.
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
