//! Tests of `nn`: layers, losses and the optimiser compute their formulas, and a state dict is loaded completely or not at all.
#![forbid(unsafe_code)]

mod character_model;
mod dropout;
mod from_pytorch;
mod layers;
mod losses;
mod modules;
mod norm;
mod optim;
mod partial;
mod pytorch;
mod schedule;
mod spectral_norm;
mod state;
mod summary;

use std::collections::HashMap;

use autograd::Param;
use nn::Module;
use safetensors::SafeTensors;
use tensor::Tensor;

/// The parameter of a module with this name.
#[track_caller]
fn param(module: &dyn Module, name: &str) -> Param {
    let found = nn::parameters(module).into_iter().find(|(path, _)| path == name);
    found.unwrap_or_else(|| panic!("no parameter {name}")).1
}

/// The tensors of NAME.safetensors, which `tests/oracle/NAME.py` wrote with PyTorch.
fn fixture(name: &str) -> HashMap<String, Tensor> {
    let bytes: &[u8] = match name {
        "character_model" => include_bytes!("character_model.safetensors"),
        "layers" => include_bytes!("layers.safetensors"),
        "optimizers" => include_bytes!("optimizers.safetensors"),
        _ => panic!("no fixture {name}"),
    };
    let file = SafeTensors::deserialize(bytes).expect(name);
    let number = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
    let tensor = |(name, view): (String, safetensors::tensor::TensorView)| {
        (name, Tensor::new(&view.data().chunks_exact(4).map(number).collect::<Vec<_>>(), view.shape()))
    };
    file.tensors().into_iter().map(tensor).collect()
}
