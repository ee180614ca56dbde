//! Chapter 2: the derivative of a small expression, by hand, by the engine of `exercises/src/scalar.rs`, and by a difference.
//!
//!     cargo run -p exercises --example scalar_engine
#![forbid(unsafe_code)]

use exercises::scalar::Tape;

// ANCHOR: main
fn main() {
    let tape = Tape::default();
    let (w, x, y) = (tape.number("w", 0.5), tape.number("x", 3.0), tape.number("y", 2.0));
    let error = w * x - y;
    let loss = error * error;
    let gradients = loss.backward();
    println!("loss {}, dloss/dw {}, dloss/dx {}", loss.value(), w.of(&gradients), x.of(&gradients));

    // By hand: loss = (w·x − y)², so dloss/dw = 2·(w·x − y)·x.
    let by_hand = 2.0 * (0.5 * 3.0 - 2.0) * 3.0;
    assert_eq!(w.of(&gradients), by_hand);

    // By a difference: change w a little, and see what happens to the loss.
    let at = |w: f64| (w * 3.0 - 2.0).powi(2);
    let by_difference = (at(0.5 + 1e-6) - at(0.5 - 1e-6)) / 2e-6;
    println!("by hand {by_hand}, by a difference {by_difference:.6}");
    assert!((by_hand - by_difference).abs() < 1e-6);

    println!("\nThe tape as a diagram:\n{}", tape.graph());
}
// ANCHOR_END: main
