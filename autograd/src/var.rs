//! A value and its history: the operation that computed it, its inputs, and how a gradient is propagated back to them.
//!
//! The history does not own values. A node holds edges; the closure of an edge holds only the tensors that it captured. An operation
//! whose inputs are all constants gets no node. Nodes are numbered in order of creation, so the inputs of an operation always have
//! lower numbers than its result.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use tensor::{Shape, Tensor};

use crate::grad_mode;

/// A tensor that may record the operation and the inputs that it was computed from: PyTorch's tensor with `requires_grad`.
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

/// The edges from one result to its inputs. The backward pass consumes them.
#[derive(Default)]
pub struct Edges {
    pub(crate) edges: Vec<Edge>,
    pub(crate) used: bool,
}

/// An edge from a result to its inputs. Its rule, the vector-Jacobian product, receives the gradient of the result.
pub(crate) enum Edge {
    /// To inputs whose gradients are computed together. The rule also receives which of them need one. None: a constant.
    Joint(Vec<Option<Parent>>, JointRule),
    /// To one input. The rule also receives the sum of the gradients that the input has so far, and adds to it.
    AddTo(Parent, SumRule),
    /// To whatever the value depends on if it is computed again with its history, as this does.
    Recompute(Box<dyn FnOnce() -> Var>),
}

pub(crate) type JointRule = Box<dyn FnOnce(&Tensor, &[bool]) -> Vec<Option<Tensor>>>;
pub(crate) type SumRule = Box<dyn FnOnce(&Tensor, Option<Tensor>) -> Tensor>;

/// An input: the node that receives its gradient, and the gradient's shape.
pub(crate) struct Parent {
    pub(crate) node: Rc<Node>,
    pub(crate) shape: Shape,
}

impl Var {
    /// A value without history. It has no gradient.
    pub fn constant(value: Tensor) -> Var {
        Var { value, node: None }
    }

    /// A value that needs a gradient and was not computed from others. The backward pass ends here.
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

    /// The only element of the value, as [`Tensor::item`] gives it.
    ///
    /// # Panics
    /// If there is not exactly one element, or the device that holds it failed. In a browser also if it is not on the CPU.
    #[track_caller]
    pub fn item(&self) -> f32 {
        self.value.item()
    }

    /// A constant of this value's shape on the same device, whose elements are all `value`.
    pub fn full_like(&self, value: f32) -> Var {
        Var::constant(self.value.full_like(value))
    }

    /// The same value without its history.
    pub fn detach(&self) -> Var {
        Var::constant(self.value.clone())
    }

    /// Whether the value has a gradient, because it has a history or is a leaf (PyTorch's `requires_grad`).
    pub fn has_gradient(&self) -> bool {
        self.node.is_some()
    }

    /// The result of a custom operation (PyTorch's `autograd.Function`): its value, and the edges to its inputs, which `describe`
    /// lists. Edges to inputs without a gradient are dropped at once, and inside [`no_grad`](crate::no_grad) `describe` is not called.
    /// [`check`](crate::check) compares the gradients of such an operation with finite differences.
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
        Var::with_edges(operation, value, edges)
    }

    fn with_edges(operation: &'static str, value: Tensor, edges: Edges) -> Var {
        let node = (!edges.edges.is_empty()).then(|| Node::new(operation, edges));
        Var { value, node }
    }
}

impl Edges {
    /// An edge to one input. `vjp`, the vector-Jacobian product, computes the input's gradient from that of the result. The backward
    /// pass then sums over dimensions that were broadcast.
    pub fn to(&mut self, input: &Var, vjp: impl FnOnce(&Tensor) -> Tensor + 'static) {
        if let Some(parent) = Parent::of(input) {
            self.edges.push(Edge::Joint(vec![Some(parent)], Box::new(|dy, _| vec![Some(vjp(dy))])));
        }
    }

    /// An edge to several inputs whose gradients are computed together. `vjp` receives which inputs need a gradient; what it returns
    /// for others is dropped.
    pub fn joint<const N: usize>(
        &mut self,
        inputs: [&Var; N],
        vjp: impl FnOnce(&Tensor, [bool; N]) -> [Option<Tensor>; N] + 'static,
    ) {
        let rule = |dy: &Tensor, wanted: &[bool]| vjp(dy, wanted.try_into().expect("one for each input")).into();
        self.joint_of(&inputs, Box::new(rule));
    }

    fn joint_of(&mut self, inputs: &[&Var], vjp: JointRule) {
        let parents: Vec<Option<Parent>> = inputs.iter().map(|input| Parent::of(input)).collect();
        if parents.iter().any(Option::is_some) {
            self.edges.push(Edge::Joint(parents, vjp));
        }
    }

    /// An edge to one input whose gradient is computed more cheaply if it is added to another one at once. `vjp` receives the
    /// gradient of the result and the sum of the gradients that other edges have given to the input so far, and returns the
    /// new sum. Nothing may have been broadcast.
    pub fn add_to(&mut self, input: &Var, vjp: impl FnOnce(&Tensor, Option<Tensor>) -> Tensor + 'static) {
        if let Some(parent) = Parent::of(input) {
            self.edges.push(Edge::AddTo(parent, Box::new(vjp)));
        }
    }
}

impl Edges {
    /// An edge that computes the value again when its gradient is complete. The backward pass goes on from there.
    pub(crate) fn recompute(&mut self, compute: impl FnOnce() -> Var + 'static) {
        self.edges.push(Edge::Recompute(Box::new(compute)));
    }
}

impl Parent {
    /// `None` for a constant.
    fn of(input: &Var) -> Option<Parent> {
        Some(Parent { node: input.node.clone()?, shape: *input.shape() })
    }
}

impl Node {
    pub(crate) fn new(made_by: &'static str, edges: Edges) -> Rc<Node> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Rc::new(Node { id, made_by, edges: RefCell::new(edges) })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let edges = std::mem::take(&mut self.edges.get_mut().edges);
        if !edges.is_empty() {
            release(edges);
        }
    }
}

/// Drops edges and, one after the other, the whole history behind them. The parents of an edge, and the values that its rule captured,
/// may be the last owners of other nodes. Those nodes leave their edges in a list, and the first call drops what is in the list. A
/// recursive drop of a chain of 200,000 nodes would overflow the stack.
fn release(edges: Vec<Edge>) {
    thread_local! {
        /// The edges that wait to be dropped, while a call is at work.
        static WAITING: RefCell<Option<Vec<Edge>>> = const { RefCell::new(None) };
    }
    let mut edges = Some(edges);
    let begins = WAITING.try_with(|waiting| match &mut *waiting.borrow_mut() {
        Some(waiting) => {
            waiting.extend(edges.take().into_iter().flatten());
            false
        }
        none => {
            *none = edges.take();
            true
        }
    });
    // At the end of a thread its list may be gone. Then `edges` is dropped here.
    if begins == Ok(true) {
        while let Some(edge) = WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop()) {
            drop(edge); // the list is not borrowed here: this may add to it
        }
        WAITING.set(None);
    }
}

impl Var {
    fn made_by(&self) -> &'static str {
        self.node.as_ref().map_or("constant", |node| node.made_by)
    }
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.value, self.made_by())
    }
}

/// The value as its tensor is printed, and the operation that computed it.
impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.made_by())
    }
}
