//! Tests of `nn`: layers, losses and the optimiser compute their formulas, and a state dict is loaded completely or not at all.
#![forbid(unsafe_code)]

mod dropout;
mod layers;
mod losses;
mod modules;
mod norm;
mod optim;
mod partial;
mod schedule;
mod state;

use autograd::Param;
use nn::Module;

/// The parameter of a module with this name.
#[track_caller]
fn param(module: &dyn Module, name: &str) -> Param {
    let found = nn::parameters(module).into_iter().find(|(path, _)| path == name);
    found.unwrap_or_else(|| panic!("no parameter {name}")).1
}
