//! What checks have in common. A check returns nothing if the answer is right, and a sentence about the first mistake if not.

use autograd::Var;
use autograd::check::{self, Array};
use pollster::block_on;
use tensor::{Device, Tensor};

/// The result of a check: nothing, or what is wrong.
pub type Verdict = Result<(), String>;

/// Fails with this sentence unless the condition holds.
pub fn ensure(condition: bool, sentence: impl Into<String>) -> Verdict {
    if condition { Ok(()) } else { Err(sentence.into()) }
}

/// Fails unless a number is near another. `what` names the number.
pub fn near(what: &str, got: f64, expected: f64, tolerance: f64) -> Verdict {
    ensure((got - expected).abs() <= tolerance, format!("{what} is {got:.6}, but should be {expected:.6}"))
}

/// Fails unless a tensor has the shape and, within `tolerance`, the elements of another. `what` names the tensor.
pub fn same(what: &str, got: &Tensor, expected: &Tensor, tolerance: f32) -> Verdict {
    let (found, wanted) = (got.shape(), expected.shape());
    ensure(found == wanted, format!("{what} has the shape {found}, but should have {wanted}"))?;
    for (i, (a, b)) in got.data().iter().zip(expected.data()).enumerate() {
        let sentence = format!("{what}: element {i} is {a:.5}, but should be {b:.5}");
        ensure((a - b).abs() <= tolerance * b.abs().max(1.0), sentence)?;
    }
    Ok(())
}

/// Compares an operation's value and its gradients with a reference in f64, as the library's own tests do.
pub fn rule(op: impl Fn(&[Var]) -> Var, reference: impl Fn(&[Array]) -> Array, inputs: &[Tensor]) -> Verdict {
    block_on(check::gradients(&Device::Cpu, op, reference, inputs, 1))
        .map_err(|mismatch| format!("refused: {mismatch}"))
}
