//! Tests of automatic differentiation: gradients add up, histories are released, no operation changes the tensor of another,
//! wrong backward rules are detected, a misuse is reported at the caller's line, the number of threads changes no bit,
//! and a trace names what runs.
#![forbid(unsafe_code)]

mod accumulation;
mod blame;
mod checkpoint;
mod constructors;
mod course;
mod display;
mod graph;
mod history;
mod hooks;
mod operators;
mod refusal;
mod sharing;
mod threads;
#[cfg(feature = "gpu")] // only native tests can start a process
mod trace;
