//! The laws of `nn`: layers are their formulas with the parameters that they show, losses are their formulas, the optimiser
//! is its paper's, and a state dict goes out and comes back whole or not at all.
#![forbid(unsafe_code)]

mod dropout;
mod layers;
mod losses;
mod modules;
mod norm;
mod optim;
mod schedule;
mod state;

use autograd::Param;
use nn::Module;

/// A parameter of a module by its name.
#[track_caller]
fn param(module: &dyn Module, name: &str) -> Param {
    let found = nn::parameters(module).into_iter().find(|(path, _)| path == name);
    found.unwrap_or_else(|| panic!("no parameter {name}")).1
}
