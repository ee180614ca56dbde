//! Repair a backward pass that forgets half of the gradient.
//!
//! This is the loop of the book's engine, with an error. `nodes[i]` lists the inputs of node i, each with the slope towards it.
//! The last node is the loss. The result is the derivative of the loss with respect to every node.

use crate::help::{Verdict, near};

pub fn backward(nodes: &[Vec<(usize, f64)>]) -> Vec<f64> {
    let mut gradients = vec![0.0; nodes.len()];
    gradients[nodes.len() - 1] = 1.0;
    for i in (0..nodes.len()).rev() {
        for &(input, slope) in &nodes[i] {
            gradients[input] = gradients[i] * slope; // BUG: somewhere in this function
        }
    }
    gradients
}

pub fn check(backward: fn(&[Vec<(usize, f64)>]) -> Vec<f64>) -> Verdict {
    // Node 0 is x = 3. Node 1 is 4·x.
    near("the derivative of 4·x", backward(&[vec![], vec![(0, 4.0)]])[0], 4.0, 1e-9)?;
    // Node 1 is x·x, with the slope 3 towards each of its two inputs, which are the same node.
    let found = backward(&[vec![], vec![(0, 3.0), (0, 3.0)]])[0];
    near("the derivative of x·x at 3, where x is used twice,", found, 6.0, 1e-9)?;
    // Node 1 is 2·x, node 2 is 5·x, node 3 is their sum.
    let found = backward(&[vec![], vec![(0, 2.0)], vec![(0, 5.0)], vec![(1, 1.0), (2, 1.0)]])[0];
    near("the derivative of 2·x + 5·x", found, 7.0, 1e-9)
}
