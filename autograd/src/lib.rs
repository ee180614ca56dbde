//! Reverse-mode automatic differentiation: values that remember how they came about.
//!
//! Read in this order: [`Var`] is a value with a history, `backward` walks that history from newest to oldest,
//! [`Param`] is a leaf that lasts from step to step, [`no_grad`] keeps no history; `ops/` holds one rule a file, named as
//! the operation's own file in `tensor`; [`check`] holds any rule, on any device, against differences of an
//! f64 reference.
//!
//! ```
//! use autograd::Var;
//! use tensor::Tensor;
//!
//! let x = Var::leaf(Tensor::new(&[1.0, 2.0, 3.0], [3]));
//! let y = (&x * &x).sum_all();
//! let gradients = y.backward();
//! assert_eq!(gradients.of(&x).unwrap().data(), [2.0, 4.0, 6.0]); // d(x²) = 2x
//! ```
#![forbid(unsafe_code)]

mod var;
pub use var::{Edges, Var};

mod backward;
pub use backward::Gradients;

mod param;
pub use param::{Buffer, Param};

mod grad_mode;
pub use grad_mode::no_grad;

mod ops;

pub mod check;

pub use tensor::{Act, BatchStats, Conv, ConvTranspose, Interpolation, Pool};
