//! Operations that are composed of those in `ops/`. They need no shader and no rule of their own: a macro defines each of them once,
//! for tensors and, in `autograd`, for variables. `tests/ops` has a file of the same name.

pub(crate) mod at;
pub(crate) mod attention;
pub(crate) mod shapes;
pub(crate) mod statistics;
