//! The backward pass: from a result to everything that it depends on, newest first.
//!
//! A node's number is higher than those of its inputs. The waiting node with the highest number therefore has a complete gradient.
//! The first gradient of a node is stored, later ones are added to it. The tensors of an edge are dropped as soon as it has run, and
//! their memory is reused.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use tensor::Tensor;

use crate::param::Param;
use crate::var::{Edge, Node, Parent, Var};

/// The gradients of a backward pass, by leaf.
#[derive(Debug, Default)]
pub struct Gradients {
    by_leaf: HashMap<u64, Tensor>,
}

impl Gradients {
    /// The gradient of a leaf or of a parameter's [`Param::var`]. `None` if the result does not depend on it.
    pub fn of(&self, leaf: &Var) -> Option<&Tensor> {
        self.by_leaf.get(&leaf.node()?.id)
    }

    /// Removes and returns the gradient of a parameter. `None` if the result does not depend on it, or it is frozen.
    pub fn take(&mut self, param: &Param) -> Option<Tensor> {
        self.by_leaf.remove(&param.id())
    }

    /// Replaces the gradient of a parameter, if it has one, by the result of `change`.
    pub fn change(&mut self, param: &Param, change: impl FnOnce(&Tensor) -> Tensor) {
        if let Some(gradient) = self.by_leaf.get_mut(&param.id()) {
            *gradient = change(gradient);
        }
    }

    /// Adds the gradients of another backward pass, for gradient accumulation. A leaf that only one pass has keeps that gradient.
    pub fn add(&mut self, other: Gradients) {
        for (leaf, gradient) in other.by_leaf {
            match self.by_leaf.entry(leaf) {
                Entry::Occupied(mut sum) => sum.get_mut().add_assign(&gradient),
                Entry::Vacant(none) => drop(none.insert(gradient)),
            }
        }
    }

    /// The gradient of a parameter. `None` if the result does not depend on it, or it is frozen.
    pub fn get(&self, param: &Param) -> Option<&Tensor> {
        self.by_leaf.get(&param.id())
    }
}

impl Var {
    /// The gradients of this number with respect to every leaf that it depends on, each of its leaf's shape. Consumes the history.
    ///
    /// # Panics
    /// If the value is not one number, or an earlier backward pass consumed part of its history.
    #[track_caller]
    pub fn backward(&self) -> Gradients {
        assert_eq!(self.value().count(), 1, "backward: {} is not one number; see backward_with", self.shape());
        self.backward_with(self.value().full_like(1.0))
    }

    /// The gradients of Σ `seed`·self, where `seed` has this value's shape. Consumes the history.
    ///
    /// # Panics
    /// If the seed's shape is not the value's, or an earlier backward pass consumed part of the history.
    #[track_caller]
    pub fn backward_with(&self, seed: Tensor) -> Gradients {
        assert_eq!(self.shape(), seed.shape(), "backward_with: seed {} for {}", seed.shape(), self.shape());
        let mut gradients = Gradients::default();
        let mut waiting = Waiting::new();
        if let Some(node) = self.node() {
            waiting.insert(node.id, (node.clone(), seed));
        }
        while let Some((id, (node, dy))) = waiting.pop_last() {
            let edges = take_edges(&node);
            if edges.is_empty() {
                gradients.by_leaf.insert(id, dy);
                continue;
            }
            for edge in edges {
                let (parents, vjp) = match edge {
                    Edge::Joint(parents, vjp) => (parents, vjp),
                    Edge::AddTo(Parent { node: input, shape }, vjp) => {
                        let sum = vjp(&dy, waiting.remove(&input.id).map(|(_, sum)| sum));
                        assert_eq!(*sum.shape(), shape, "{}'s gradient, added to a sum", node.made_by);
                        waiting.insert(input.id, (input, sum));
                        continue;
                    }
                    Edge::Recompute(compute) => {
                        let (again, made_by) = (compute(), node.made_by);
                        let same = again.shape() == dy.shape();
                        assert!(same, "{made_by}: computed again, {} became {}", dy.shape(), again.shape());
                        // Its nodes are the newest now, so they come before all that wait.
                        if let Some(node) = again.node() {
                            add(&mut waiting, node.clone(), dy.clone());
                        }
                        continue;
                    }
                };
                let wanted: Vec<bool> = parents.iter().map(Option::is_some).collect();
                let given = vjp(&dy, &wanted);
                for (parent, dx) in parents.into_iter().zip(given) {
                    let Some(parent) = parent else { continue };
                    let dx = dx.unwrap_or_else(|| panic!("{} gave no gradient where one was wanted", node.made_by));
                    let dx = dx.sum_to(&parent.shape);
                    add(&mut waiting, parent.node, dx);
                }
            }
        }
        gradients
    }
}

/// The nodes that have a gradient and have not passed it on, by number.
type Waiting = BTreeMap<u64, (Rc<Node>, Tensor)>;

/// Adds to the gradient of a node.
fn add(waiting: &mut Waiting, node: Rc<Node>, dx: Tensor) {
    match waiting.get_mut(&node.id) {
        Some((_, sum)) => sum.add_assign(&dx),
        None => drop(waiting.insert(node.id, (node, dx))),
    }
}

#[track_caller]
fn take_edges(node: &Node) -> Vec<Edge> {
    let mut edges = node.edges.borrow_mut();
    assert!(!edges.used, "backward: the history of {} was used up by an earlier backward pass", node.made_by);
    let taken = std::mem::take(&mut edges.edges);
    edges.used = !taken.is_empty();
    taken
}
