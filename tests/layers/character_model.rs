//! The model of `nn/examples/character_model.rs` learns as PyTorch's does: 40 steps of AdamW from the same weights, on the same batches.

use nn::ForwardContext;
use nn::optim::Optimizer;
use reference::place::{everywhere, fetch};
use tensor::{Generator, Tensor};

use crate::fixture;

#[expect(dead_code)] // its main function
#[path = "../../nn/examples/character_model.rs"]
mod example;

/// The largest relative difference of a loss in f32 from PyTorch's in f64.
const TOLERANCE: f64 = 1e-4;

#[test]
fn forty_steps_are_those_of_pytorch() {
    let all = fixture("character_model");
    let (text, losses) = (&all["text"], &all["losses"]);
    let [steps, batch, length] = [0, 1, 2].map(|dim| text.shape()[dim]);
    let sizes = example::Sizes { characters: 11, context: length - 1, width: 16, heads: 2, blocks: 2 };
    everywhere(|device| {
        let model = example::CharacterModel::new(&mut Generator::new(1), sizes);
        let params = nn::parameters(&model);
        let start = all.keys().filter(|name| name.starts_with("model.")).count();
        assert_eq!(params.len(), start, "the names are PyTorch's");
        for (name, param) in &params {
            param.set(all[&format!("model.{name}")].upload(device));
        }
        let mut adam = Optimizer::adamw(0.01);
        for (step, &expected) in losses.data().iter().enumerate() {
            let cut = |from: usize| -> Tensor {
                text.slice(0, step, 1).reshape([batch, length]).slice(1, from, length - 1).upload(device)
            };
            let loss = model.loss(&cut(0), &cut(1), &ForwardContext::train(1, step as u64));
            adam.step(&params, &mut loss.backward(), 3e-3);
            let (found, expected) = (f64::from(fetch(loss.value()).data()[0]), f64::from(expected));
            assert!((found - expected).abs() <= TOLERANCE * expected, "step {step}: {found}, not {expected}");
        }
        assert!(steps == 40 && losses.data()[39] < 0.75 * losses.data()[0], "it learns");
    });
}
