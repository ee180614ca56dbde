//! The operations that are composed of others, defined by the macros of `tensor/src/composed`. Their gradients are those of their parts.

use crate::var::Var;

tensor::at!(Var);
tensor::attention!(Var);
tensor::operators!(Var);
tensor::shapes!(Var);
tensor::statistics!(Var);
