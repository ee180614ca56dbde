//! The history of a value as a diagram in Mermaid's language, which Markdown pages and editors draw.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::rc::Rc;

use tensor::Shape;

use crate::param::Param;
use crate::var::{Edge, Node, Var};

impl Var {
    /// The operations that this value was computed from, as a Mermaid diagram: a box for each, with the shape of its result, and an
    /// arrow from each input that has a gradient. Parameters have the names that `params` gives them. After a backward pass, which
    /// consumes the history, only the value itself is left.
    ///
    /// ```
    /// # use {autograd::{Param, Var}, tensor::Tensor};
    /// let w = Param::new(Tensor::ones([3]));
    /// let loss = w.var().square().sum_all();
    /// let expected = "graph LR\n  n0[\"w [3]\"]\n  n1([\"square [3]\"])\n  n2([\"sum []\"])\n  n0 --> n1\n  n1 --> n2\n";
    /// assert_eq!(loss.graph(&[("w".into(), w)]), expected);
    /// ```
    pub fn graph(&self, params: &[(String, Param)]) -> String {
        let mut found = BTreeMap::new();
        if let Some(node) = self.node() {
            collect(node, *self.shape(), &mut found);
        }
        let place: HashMap<u64, usize> = found.keys().copied().zip(0..).collect();
        let mut text = String::from("graph LR\n");
        for (i, (id, (node, shape))) in found.iter().enumerate() {
            let name = params.iter().find(|(_, param)| param.id() == *id).map_or(node.made_by, |(name, _)| name);
            let is_leaf = node.edges.borrow().edges.is_empty();
            let (open, close) = if is_leaf { ("[", "]") } else { ("([", "])") };
            let _ = writeln!(text, "  n{i}{open}\"{name} {shape}\"{close}");
        }
        for (i, (node, _)) in found.values().enumerate() {
            for (input, _) in inputs(node) {
                let _ = writeln!(text, "  n{} --> n{i}", place[&input.id]);
            }
        }
        text
    }
}

/// Collects a node and what it was computed from, by number. The list of those to visit replaces a recursion, which a long chain
/// would make too deep.
fn collect(node: &Rc<Node>, shape: Shape, found: &mut BTreeMap<u64, (Rc<Node>, Shape)>) {
    let mut waiting = vec![(node.clone(), shape)];
    while let Some((node, shape)) = waiting.pop() {
        let id = node.id;
        if found.insert(id, (node.clone(), shape)).is_none() {
            waiting.extend(inputs(&node));
        }
    }
}

/// The inputs of an operation that have a gradient, each with its shape.
fn inputs(node: &Node) -> Vec<(Rc<Node>, Shape)> {
    let edges = node.edges.borrow();
    let parents = edges.edges.iter().flat_map(|edge| match edge {
        Edge::Joint(parents, _) => parents.iter().flatten().collect::<Vec<_>>(),
        Edge::AddTo(parent, _) => vec![parent],
        Edge::Recompute(_) => Vec::new(),
    });
    parents.map(|parent| (parent.node.clone(), parent.shape)).collect()
}
