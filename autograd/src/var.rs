//! A value and its history: which operation made it, out of which values, and how a gradient goes back through it.
//!
//! History never owns values. A node holds rules, a rule holds only the tensors that it captured, and a node whose inputs
//! are all constants is never made. Node numbers rise with creation, so an operation's inputs always have lower ones.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use tensor::{Shape, Tensor};

use crate::grad_mode;

/// A tensor that may remember which operation made it, out of what: PyTorch's tensor with `requires_grad`.
#[derive(Clone)]
pub struct Var {
    value: Tensor,
    node: Option<Rc<Node>>, // None: a constant
}

/// One differentiable result.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) made_by: &'static str,
    pub(crate) edges: RefCell<Edges>,
}

/// The ways back from one result to its inputs, which the backward pass uses up.
#[derive(Default)]
pub struct Edges {
    pub(crate) edges: Vec<Edge>,
    pub(crate) used: bool,
}

/// The way back from a result to some of its inputs, which share one pass over the data.
pub(crate) struct Edge {
    pub(crate) parents: Vec<Option<Parent>>, // None: a constant
    pub(crate) vjp: Vjp,
}

/// From the gradient of a result, and which inputs want one, to the gradients of the inputs.
pub(crate) type Vjp = Box<dyn FnOnce(&Tensor, &[bool]) -> Vec<Option<Tensor>>>;

/// An input: where its gradient goes, and the shape that it must have.
pub(crate) struct Parent {
    pub(crate) node: Rc<Node>,
    pub(crate) shape: Shape,
}

impl Var {
    /// A value without history: it has no gradient.
    pub fn constant(value: Tensor) -> Var {
        Var { value, node: None }
    }

    /// A value that a gradient is wanted of, and that nothing was computed to make: where a backward pass ends.
    pub fn leaf(value: Tensor) -> Var {
        Var { value, node: Some(Node::new("leaf", Edges::default())) }
    }

    pub(crate) fn with_node(value: Tensor, node: Rc<Node>) -> Var {
        Var { value, node: Some(node) }
    }

    pub(crate) fn node(&self) -> Option<&Rc<Node>> {
        self.node.as_ref()
    }

    /// The value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The value's shape.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// The same value without its history.
    pub fn detach(&self) -> Var {
        Var::constant(self.value.clone())
    }

    /// Whether the value has a history, or is a leaf: whether it has a gradient.
    pub fn has_gradient(&self) -> bool {
        self.node.is_some()
    }

    /// The result of an operation of your own: its value, and the ways back, which `describe` lists. Ways back to inputs without
    /// a gradient are dropped at once; inside [`no_grad`](crate::no_grad) `describe` is not called. [`check`](crate::check) holds
    /// such an operation to differences.
    ///
    /// ```
    /// # use {autograd::Var, tensor::Tensor};
    /// fn cube(x: &Var) -> Var {
    ///     let kept = x.value().clone();
    ///     Var::record("cube", kept.mul(&kept).mul(&kept), |edges| {
    ///         edges.to(x, move |dy| dy.mul(&kept).mul(&kept).mul_scalar(3.0));
    ///     })
    /// }
    /// let x = Var::leaf(Tensor::scalar(2.0));
    /// assert_eq!(cube(&x).backward().of(&x).unwrap().data(), [12.0]);
    /// ```
    pub fn record(operation: &'static str, value: Tensor, describe: impl FnOnce(&mut Edges)) -> Var {
        if !grad_mode::enabled() {
            return Var::constant(value);
        }
        let mut edges = Edges::default();
        describe(&mut edges);
        let node = (!edges.edges.is_empty()).then(|| Node::new(operation, edges));
        Var { value, node }
    }
}

impl Edges {
    /// A way back to one input: `vjp`, the vector-Jacobian product, makes the input's gradient from the result's. The engine sums
    /// over dimensions that were broadcast.
    pub fn to(&mut self, input: &Var, vjp: impl FnOnce(&Tensor) -> Tensor + 'static) {
        self.joint([input], |dy, _| [Some(vjp(dy))]);
    }

    /// A way back to several inputs, for operations where one pass gives several gradients. `vjp` is told which inputs
    /// want one; what it gives for others is dropped.
    pub fn joint<const N: usize>(
        &mut self,
        inputs: [&Var; N],
        vjp: impl FnOnce(&Tensor, [bool; N]) -> [Option<Tensor>; N] + 'static,
    ) {
        let parent = |input: &Var| Some(Parent { node: input.node.clone()?, shape: *input.shape() });
        let parents: Vec<Option<Parent>> = inputs.into_iter().map(parent).collect();
        if parents.iter().any(Option::is_some) {
            let vjp: Vjp = Box::new(|dy, wanted| vjp(dy, std::array::from_fn(|i| wanted[i])).into());
            self.edges.push(Edge { parents, vjp });
        }
    }
}

impl Node {
    pub(crate) fn new(made_by: &'static str, edges: Edges) -> Rc<Node> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Rc::new(Node { id, made_by, edges: RefCell::new(edges) })
    }
}

/// A long history is let go node by node: dropped recursively, a chain of 200,000 would overflow the stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut edges = std::mem::take(&mut self.edges.get_mut().edges);
        while let Some(edge) = edges.pop() {
            for parent in edge.parents.into_iter().flatten() {
                if let Some(mut node) = Rc::into_inner(parent.node) {
                    edges.append(&mut node.edges.get_mut().edges);
                }
            }
        }
    }
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made_by = self.node.as_ref().map_or("constant", |node| node.made_by);
        write!(f, "{:?} ({made_by})", self.value)
    }
}
