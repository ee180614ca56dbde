//! Automatic differentiation of single numbers, in about a hundred lines. Chapter 2 of the book explains it.
//!
//! A tape is a list of nodes. Each node has a value, and for each of its inputs the slope: the derivative of the node's value with
//! respect to that input. The backward pass goes through the list from the end and multiplies slopes, which is the chain rule.

// ANCHOR: types
use std::cell::RefCell;
use std::ops::{Add, Mul, Sub};

/// The list of all numbers that were computed, in the order of their computation.
#[derive(Default)]
pub struct Tape {
    nodes: RefCell<Vec<Node>>,
}

/// One number: its value, the name of the operation, and its inputs with their slopes.
struct Node {
    name: &'static str,
    value: f64,
    inputs: Vec<(usize, f64)>, // which node, and the slope towards it
}

/// A number on a tape. It is only the tape and a place in its list.
#[derive(Clone, Copy)]
pub struct Scalar<'t> {
    tape: &'t Tape,
    index: usize,
}
// ANCHOR_END: types

impl Tape {
    /// A number that is not computed from others, such as a weight or a piece of data.
    pub fn number(&self, name: &'static str, value: f64) -> Scalar<'_> {
        self.push(name, value, vec![])
    }

    // ANCHOR: push
    fn push(&self, name: &'static str, value: f64, inputs: Vec<(usize, f64)>) -> Scalar<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { name, value, inputs });
        Scalar { tape: self, index: nodes.len() - 1 }
    }
    // ANCHOR_END: push

    /// All numbers and the arrows between them as a diagram in Mermaid's language, which Markdown pages draw.
    pub fn graph(&self) -> String {
        let nodes = self.nodes.borrow();
        let mut text = String::from("graph LR\n");
        for (i, node) in nodes.iter().enumerate() {
            text += &format!("  n{i}[\"{} = {:.3}\"]\n", node.name, node.value);
            for (input, slope) in &node.inputs {
                text += &format!("  n{input} -- \"{slope:.3}\" --> n{i}\n");
            }
        }
        text
    }
}

// ANCHOR: operations
impl<'t> Add for Scalar<'t> {
    type Output = Scalar<'t>;
    fn add(self, other: Scalar<'t>) -> Scalar<'t> {
        let value = self.value() + other.value();
        self.tape.push("add", value, vec![(self.index, 1.0), (other.index, 1.0)])
    }
}

impl<'t> Sub for Scalar<'t> {
    type Output = Scalar<'t>;
    fn sub(self, other: Scalar<'t>) -> Scalar<'t> {
        let value = self.value() - other.value();
        self.tape.push("sub", value, vec![(self.index, 1.0), (other.index, -1.0)])
    }
}

impl<'t> Mul for Scalar<'t> {
    type Output = Scalar<'t>;
    fn mul(self, other: Scalar<'t>) -> Scalar<'t> {
        let (a, b) = (self.value(), other.value());
        self.tape.push("mul", a * b, vec![(self.index, b), (other.index, a)])
    }
}

impl<'t> Scalar<'t> {
    /// The value.
    pub fn value(self) -> f64 {
        self.tape.nodes.borrow()[self.index].value
    }

    /// tanh x, whose slope is 1 − tanh² x.
    pub fn tanh(self) -> Scalar<'t> {
        let y = self.value().tanh();
        self.tape.push("tanh", y, vec![(self.index, 1.0 - y * y)])
    }

    /// eˣ, whose slope is eˣ.
    pub fn exp(self) -> Scalar<'t> {
        let y = self.value().exp();
        self.tape.push("exp", y, vec![(self.index, y)])
    }
}
// ANCHOR_END: operations

impl Scalar<'_> {
    // ANCHOR: backward
    /// The derivatives of this number with respect to every number on the tape.
    pub fn backward(self) -> Vec<f64> {
        let nodes = self.tape.nodes.borrow();
        let mut gradients = vec![0.0; nodes.len()];
        gradients[self.index] = 1.0;
        for (i, node) in nodes.iter().enumerate().rev() {
            for (input, slope) in &node.inputs {
                gradients[*input] += gradients[i] * slope;
            }
        }
        gradients
    }
    // ANCHOR_END: backward

    /// This number's entry in what `backward` returned.
    pub fn of(self, gradients: &[f64]) -> f64 {
        gradients[self.index]
    }
}
