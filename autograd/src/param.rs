//! Tensors that last from step to step: parameters, which an optimiser updates, and buffers, which layers update themselves.
//! Both are handles: a clone is the same parameter.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use tensor::{Shape, Tensor};

use crate::grad_mode;
use crate::var::{Edges, Node, Var};

/// A tensor that an optimiser updates by its gradient (PyTorch's `Parameter`).
#[derive(Clone)]
pub struct Param(Rc<Slot>);

/// A tensor that belongs to a layer but has no gradient, such as a running mean (PyTorch's buffer).
#[derive(Clone)]
pub struct Buffer(Rc<Slot>);

struct Slot {
    value: RefCell<Tensor>,
    frozen: Cell<bool>,
    leaf: Rc<Node>,
}

impl Slot {
    fn new(value: Tensor) -> Rc<Slot> {
        let leaf = Node::new("parameter", Edges::default());
        Rc::new(Slot { value: RefCell::new(value), frozen: Cell::new(false), leaf })
    }
}

macro_rules! slot_methods {
    ($name:ident, $what:literal) => {
        impl $name {
            #[doc = concat!("A ", $what, " with this initial value.")]
            pub fn new(value: Tensor) -> $name {
                $name(Slot::new(value))
            }

            /// The current value. The result shares its elements.
            pub fn value(&self) -> Tensor {
                self.0.value.borrow().clone()
            }

            /// The shape of its value.
            pub fn shape(&self) -> Shape {
                *self.0.value.borrow().shape()
            }

            /// Replaces its value.
            ///
            /// # Panics
            /// If the shape differs.
            #[track_caller]
            pub fn set(&self, value: Tensor) {
                assert_eq!(self.shape(), *value.shape(), concat!("setting a ", $what, " of another shape"));
                *self.0.value.borrow_mut() = value;
            }

            /// Changes its value in place and returns the result of `change`.
            pub fn update<R>(&self, change: impl FnOnce(&mut Tensor) -> R) -> R {
                change(&mut self.0.value.borrow_mut())
            }

            /// Freezes it, so that training does not change it, or unfreezes it.
            pub fn freeze(&self, frozen: bool) {
                self.0.frozen.set(frozen);
            }

            /// Whether it is frozen.
            pub fn is_frozen(&self) -> bool {
                self.0.frozen.get()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", stringify!($name), self.shape())
            }
        }
    };
}
slot_methods!(Param, "parameter");
slot_methods!(Buffer, "buffer");

impl Param {
    /// A number that is unique in this process.
    pub fn id(&self) -> u64 {
        self.0.leaf.id
    }

    /// Moves the value out of the parameter, so that an optimiser can change it in place without a copy. The parameter is empty until
    /// [`give_back`](Param::give_back) is called.
    pub fn take(&self) -> Tensor {
        std::mem::replace(&mut self.0.value.borrow_mut(), Tensor::zeros([0]))
    }

    /// Puts a value back that [`take`](Param::take) returned.
    pub fn give_back(&self, value: Tensor) {
        *self.0.value.borrow_mut() = value;
    }

    /// Its value for a computation: a leaf, or a constant if it is frozen or inside [`no_grad`](crate::no_grad).
    pub fn var(&self) -> Var {
        if self.is_frozen() || !grad_mode::enabled() {
            return Var::constant(self.value());
        }
        Var::with_node(self.value(), self.0.leaf.clone())
    }
}
