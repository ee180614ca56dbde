//! What lasts from step to step: parameters, which gradients move, and buffers, which layers move themselves.
//! Both are handles: a clone is the same parameter.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use tensor::{Shape, Tensor};

use crate::grad_mode;
use crate::var::{Edges, Node, Var};

/// A tensor that training changes by its gradient.
#[derive(Clone)]
pub struct Param(Rc<Slot>);

/// A tensor that a layer keeps beside its parameters, such as a running mean. It has no gradient.
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
            #[doc = concat!("A ", $what, " that starts with this value.")]
            pub fn new(value: Tensor) -> $name {
                $name(Slot::new(value))
            }

            /// Its value now; the elements are shared.
            pub fn value(&self) -> Tensor {
                self.0.value.borrow().clone()
            }

            /// Its value's shape.
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

            /// Changes its value in place, and gives what `change` gives.
            pub fn update<R>(&self, change: impl FnOnce(&mut Tensor) -> R) -> R {
                change(&mut self.0.value.borrow_mut())
            }

            /// Holds it as it is, or lets it change again.
            pub fn freeze(&self, frozen: bool) {
                self.0.frozen.set(frozen);
            }

            /// Whether it is held as it is.
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
    /// A number that no other parameter of this process has.
    pub fn id(&self) -> u64 {
        self.0.leaf.id
    }

    /// Takes the value out, so that an optimiser that changes it in place holds it alone; [`give_back`](Param::give_back) must
    /// follow, until when the parameter is empty.
    pub fn take(&self) -> Tensor {
        std::mem::replace(&mut self.0.value.borrow_mut(), Tensor::zeros([0]))
    }

    /// Puts a taken value back.
    pub fn give_back(&self, value: Tensor) {
        *self.0.value.borrow_mut() = value;
    }

    /// Its value in a computation: a leaf, or a constant while frozen or inside [`no_grad`](crate::no_grad).
    pub fn var(&self) -> Var {
        if self.is_frozen() || !grad_mode::enabled() {
            return Var::constant(self.value());
        }
        Var::with_node(self.value(), self.0.leaf.clone())
    }
}
