//! Which gradients of a backward pass are complete before it ends, for the functions that wait for them.
//!
//! The gradient of a leaf is complete when every edge to it has given its part. The edges are counted before the pass begins. Those
//! behind a checkpoint are known only when its function has been computed again, so as long as one is left, no leaf is complete.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::var::{Edge, Node};

/// The edges of a history that have not given their gradients.
#[derive(Default)]
pub(crate) struct Pending {
    seen: HashSet<u64>,
    edges: HashMap<u64, usize>, // by leaf
    checkpoints: usize,
    given: Vec<u64>, // leaves without an edge that is known and has not given, in this order
}

impl Pending {
    /// Counts an edge to this node, and the edges behind it.
    pub(crate) fn count(&mut self, node: &Rc<Node>) {
        let mut found = vec![node.clone()];
        while let Some(node) = found.pop() {
            let edges = &node.edges.borrow().edges;
            if edges.is_empty() {
                *self.edges.entry(node.id).or_default() += 1;
            } else if self.seen.insert(node.id) {
                for edge in edges {
                    match edge {
                        Edge::Joint(parents, _) => {
                            found.extend(parents.iter().flatten().map(|parent| parent.node.clone()))
                        }
                        Edge::AddTo(parent, _) => found.push(parent.node.clone()),
                        Edge::Recompute(_) => self.checkpoints += 1,
                    }
                }
            }
        }
    }

    /// An edge to this node has given its gradient.
    pub(crate) fn give(&mut self, node: u64) {
        if let Some(edges) = self.edges.get_mut(&node) {
            *edges -= 1;
            if *edges == 0 {
                self.given.push(node);
            }
        }
    }

    /// The function of a checkpoint has been computed again, with this result, if it is not a constant.
    pub(crate) fn recomputed(&mut self, again: Option<&Rc<Node>>) {
        again.into_iter().for_each(|node| self.count(node));
        self.checkpoints -= 1;
    }

    /// The leaves that have become complete, each once, in this order.
    pub(crate) fn complete(&mut self) -> Vec<u64> {
        if self.checkpoints > 0 {
            return Vec::new();
        }
        let mut given = std::mem::take(&mut self.given);
        // A checkpoint may have found more edges to a leaf since. The leaf is then in the list again when these have given.
        given.retain(|leaf| self.edges.get(leaf) == Some(&0) && self.edges.remove(leaf).is_some());
        given
    }
}
