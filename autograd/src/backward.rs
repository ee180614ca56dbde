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
use crate::pending::Pending;
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

    /// Sets the gradient of a parameter, for example to a sum that other processes have taken part in.
    pub fn set(&mut self, param: &Param, gradient: Tensor) {
        self.by_leaf.insert(param.id(), gradient);
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
        Pass { waiting: BTreeMap::new(), gradients: Gradients::default(), hook: None }.run(self, seed)
    }

    /// The same as [`backward`](Var::backward), with a function that is called once for each leaf, as soon as the leaf's gradient is
    /// complete and while the pass goes on: with the leaf's number, [`Param::id`], and the gradient. What it returns replaces the
    /// gradient. The last operations of a model come first, so that a program can send their gradients to other machines meanwhile.
    /// Behind a [`checkpoint`](crate::checkpoint) it is not known what else is used, so with checkpoints all gradients wait until the
    /// last one has been computed again.
    ///
    /// ```
    /// # use {autograd::{Param, Var}, tensor::Tensor};
    /// let (w, v) = (Param::new(Tensor::scalar(3.0)), Param::new(Tensor::scalar(2.0)));
    /// let mut order = Vec::new();
    /// let gradients = (w.var().square() * v.var()).backward_with_hook(&mut |leaf, gradient| {
    ///     order.push(leaf);
    ///     gradient.clamp(-10.0, 10.0)
    /// });
    /// assert_eq!(order, [v.id(), w.id()]); // the product comes before the square
    /// assert_eq!(gradients.get(&w).unwrap().item(), 10.0); // 2·w·v = 12
    /// ```
    ///
    /// # Panics
    /// As `backward`, or if the function changes the shape of a gradient.
    #[track_caller]
    pub fn backward_with_hook(&self, hook: &mut dyn FnMut(u64, Tensor) -> Tensor) -> Gradients {
        self.backward_hooked(&mut |leaf, gradient| Some(hook(leaf, gradient)))
    }

    /// The same as [`backward_with_hook`](Var::backward_with_hook) for a function that keeps the gradients. They are the function's
    /// alone, so it can change them in place, also on another thread, while the pass goes on.
    ///
    /// ```
    /// # use {autograd::{Param, Var}, tensor::Tensor};
    /// let w = Param::new(Tensor::scalar(3.0));
    /// let mut kept = Vec::new();
    /// w.var().square().backward_into(&mut |leaf, gradient| kept.push((leaf, gradient)));
    /// assert_eq!((kept.len(), kept[0].0, kept[0].1.item()), (1, w.id(), 6.0));
    /// ```
    ///
    /// # Panics
    /// As `backward`.
    #[track_caller]
    pub fn backward_into(&self, take: &mut dyn FnMut(u64, Tensor)) {
        self.backward_hooked(&mut |leaf, gradient| {
            take(leaf, gradient);
            None
        });
    }

    #[track_caller]
    fn backward_hooked(&self, hook: Hook) -> Gradients {
        assert_eq!(self.value().count(), 1, "backward: {} is not one number; see backward_with", self.shape());
        let mut pending = Pending::default();
        if let Some(node) = self.node() {
            pending.count(node);
        }
        let hook = Some((pending, hook));
        Pass { waiting: BTreeMap::new(), gradients: Gradients::default(), hook }.run(self, self.value().full_like(1.0))
    }
}

/// Takes the number of a leaf and its gradient, and returns what replaces the gradient, or none if it keeps the gradient.
type Hook<'a> = &'a mut dyn FnMut(u64, Tensor) -> Option<Tensor>;

/// A backward pass that is under way.
struct Pass<'a> {
    /// The nodes that have a gradient and have not passed it on, by number.
    waiting: BTreeMap<u64, (Rc<Node>, Tensor)>,
    gradients: Gradients,
    /// A function that is called with every gradient that is complete.
    hook: Option<(Pending, Hook<'a>)>,
}

impl Pass<'_> {
    #[track_caller]
    fn run(mut self, result: &Var, seed: Tensor) -> Gradients {
        if let Some(node) = result.node() {
            self.waiting.insert(node.id, (node.clone(), seed));
        }
        while let Some((id, (node, dy))) = self.waiting.pop_last() {
            let edges = take_edges(&node);
            if edges.is_empty() {
                self.finish(id, dy);
                continue;
            }
            for edge in edges {
                self.follow(edge, &node, &dy);
            }
            let complete = self.hook.as_mut().map_or(Vec::new(), |(pending, _)| pending.complete());
            for leaf in complete {
                let (_, gradient) = self.waiting.remove(&leaf).expect("its edges have given gradients");
                self.finish(leaf, gradient);
            }
        }
        self.gradients
    }

    /// Passes the gradient of `node` on along one edge.
    fn follow(&mut self, edge: Edge, node: &Node, dy: &Tensor) {
        let (parents, vjp) = match edge {
            Edge::Joint(parents, vjp) => (parents, vjp),
            Edge::AddTo(Parent { node: input, shape }, vjp) => {
                let sum = vjp(dy, self.waiting.remove(&input.id).map(|(_, sum)| sum));
                assert_eq!(*sum.shape(), shape, "{}'s gradient, added to a sum", node.made_by);
                self.give(input.id);
                self.waiting.insert(input.id, (input, sum));
                return;
            }
            Edge::Recompute(compute) => {
                let (again, made_by) = (compute(), node.made_by);
                let same = again.shape() == dy.shape();
                assert!(same, "{made_by}: computed again, {} became {}", dy.shape(), again.shape());
                if let Some((pending, _)) = &mut self.hook {
                    pending.recomputed(again.node());
                }
                // Its nodes are the newest now, so they come before all that wait.
                if let Some(node) = again.node() {
                    self.add(node.clone(), dy.clone());
                }
                return;
            }
        };
        let wanted: Vec<bool> = parents.iter().map(Option::is_some).collect();
        let given = vjp(dy, &wanted);
        for (parent, dx) in parents.into_iter().zip(given) {
            let Some(parent) = parent else { continue };
            let dx = dx.unwrap_or_else(|| panic!("{} gave no gradient where one was wanted", node.made_by));
            let dx = dx.sum_to(&parent.shape);
            self.add(parent.node, dx);
        }
    }

    /// Adds to the gradient of a node.
    fn add(&mut self, node: Rc<Node>, dx: Tensor) {
        self.give(node.id);
        match self.waiting.get_mut(&node.id) {
            Some((_, sum)) => sum.add_assign(&dx),
            None => drop(self.waiting.insert(node.id, (node, dx))),
        }
    }

    /// An edge has given its gradient to this node.
    fn give(&mut self, node: u64) {
        if let Some((pending, _)) = &mut self.hook {
            pending.give(node);
        }
    }

    /// The gradient of a leaf is complete.
    fn finish(&mut self, leaf: u64, gradient: Tensor) {
        let shape = *gradient.shape();
        let kept = match &mut self.hook {
            Some((_, hook)) => hook(leaf, gradient),
            None => Some(gradient),
        };
        if let Some(gradient) = kept {
            assert_eq!(*gradient.shape(), shape, "a hook changed the shape of a gradient");
            self.gradients.by_leaf.insert(leaf, gradient);
        }
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
