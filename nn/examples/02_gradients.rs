//! 2. A gradient by hand, and by automatic differentiation.
//!
//!     cargo run -p nn --example 02_gradients
//!
//! A loss L(w) = mean (w·x − y)² has the derivative dL/dw = mean 2·(w·x − y)·x. Automatic differentiation computes it from the
//! code of the loss: every operation records its own derivative, and the chain rule multiplies them from the loss backwards. A
//! `Var` is a tensor that remembers the operation which computed it.
//!
//! Next: `03_your_own_operation.rs`. The implementation is in `autograd/src/var.rs` and `autograd/src/backward.rs`.

use autograd::{Param, Var, no_grad};
use tensor::Tensor;

// ANCHOR: loss
fn loss(w: &Var, x: &Var, y: &Var) -> Var {
    (w * x - y).square().mean_all()
}
// ANCHOR_END: loss

/// What was computed from w to the loss, as a diagram in Mermaid's language. The backward pass follows the arrows backwards.
/// Only what depends on w is recorded.
pub(crate) fn diagram() -> String {
    let (w, x, y) = (Param::new(Tensor::scalar(0.5)), Tensor::zeros([4]), Tensor::zeros([4]));
    loss(&w.var(), &Var::constant(x), &Var::constant(y)).graph(&[("w".into(), w)])
}

fn main() {
    let x = Var::constant(Tensor::new(&[1.0, 2.0, 3.0, 4.0], [4]));
    let y = Var::constant(Tensor::new(&[2.0, 4.0, 6.0, 8.0], [4])); // y = 2x, so the best w is 2
    let mut w = 0.5_f32;

    for step in 1..=8 {
        // ANCHOR: three_ways
        // By hand.
        let (xs, ys) = (x.value().data(), y.value().data());
        let by_hand = xs.iter().zip(ys).map(|(x, y)| 2.0 * (w * x - y) * x).sum::<f32>() / 4.0;

        // By automatic differentiation. A leaf is a variable whose gradient is computed (`requires_grad` in PyTorch).
        let leaf = Var::leaf(Tensor::scalar(w));
        let loss = loss(&leaf, &x, &y);
        let gradients = loss.backward();
        let by_graph = gradients.of(&leaf).expect("the loss depends on w").data()[0];

        // By a finite difference, which uses values only. Inside `no_grad` no operation is recorded.
        let h = 1e-2;
        let at = |w: f32| no_grad(|| self::loss(&Var::constant(Tensor::scalar(w)), &x, &y)).value().data()[0];
        let by_difference = (at(w + h) - at(w - h)) / (2.0 * h);
        // ANCHOR_END: three_ways

        let value = loss.value().data()[0];
        println!("step {step}: w {w:.4}  loss {value:8.4}  dL/dw {by_hand:9.4} {by_graph:9.4} {by_difference:9.4}");
        assert!((by_hand - by_graph).abs() < 1e-4 && (by_hand - by_difference).abs() < 1e-1);
        w -= 0.05 * by_graph; // gradient descent
    }
    assert!((w - 2.0).abs() < 0.05, "w = {w}");
    println!("\nThe loss as a diagram, which docs/README.md shows:\n\n{}", diagram());

    // A variable that is used twice gets the sum of both gradients: d(x·x)/dx = x + x.
    let x = Var::leaf(Tensor::scalar(3.0));
    let twice = &x * &x;
    println!("d(x·x)/dx at 3 = {:?}", twice.backward().of(&x).map(|g| g.data()[0]));
}
