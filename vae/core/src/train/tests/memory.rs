//! Steps that save memory: several batches for one step, and blocks that are computed again.

use autograd::{Gradients, Param};
use tensor::Tensor;

use super::{bits, run, trainer};
use crate::learn::Forward;
use crate::train::{Fault, Progress};

/// A step of 40 images in batches of 24 and 16 takes the mean over the images, and every batch has noise of its own.
#[test]
fn a_step_averages_the_gradients_and_losses_of_its_batches() {
    let settings = ["model.kind=dense", "train.accumulate=2", "train.beta1=0", "train.beta2=0"];
    let mut trainer = trainer(&settings);
    let places: Vec<usize> = (0..40).collect();
    let [a, b, c] = [(0, 0), (0, 1), (2, 0)].map(|(step, part)| {
        let images = trainer.dataset.training_batch(0, &places[..24]).unwrap();
        trainer.forward(step, part, &images, None).terms.total.item()
    });
    assert!(a != b && b != c && a != c, "the same noise: {a}, {b}, {c}");
    let passes: Vec<Forward> = places
        .chunks(24)
        .enumerate()
        .map(|(part, places)| trainer.forward(0, part, &trainer.dataset.training_batch(0, places).unwrap(), None))
        .collect();
    let losses = passes.iter().map(|pass| pollster::block_on(pass.terms.read()).unwrap().total).collect::<Vec<_>>();
    let gradients: Vec<Gradients> = passes.iter().map(|pass| pass.terms.total.backward()).collect();
    let mean = |param: &Param| {
        let [a, b] = [0, 1].map(|i| gradients[i].get(param).unwrap());
        a.mul_scalar(24.0 / 40.0).add(&b.mul_scalar(16.0 / 40.0))
    };
    let expected: Vec<Tensor> = trainer.params.iter().map(|(_, param)| mean(param)).collect();
    let before: Vec<Tensor> = trainer.params.iter().map(|(_, param)| param.value()).collect();
    let stepped = pollster::block_on(trainer.step(&places, 1.0)).unwrap();
    assert!((stepped.total - (0.6 * losses[0] + 0.4 * losses[1])).abs() < 1e-5 * stepped.total, "{stepped:?}");
    assert_eq!(trainer.steps(), 1);
    // With β₁ = β₂ = 0, Adam moves every weight by g/|g|.
    for (((name, param), before), gradient) in trainer.params.iter().zip(&before).zip(&expected) {
        let largest = gradient.data().iter().fold(0.0_f32, |most, g| most.max(g.abs()));
        for ((now, before), g) in param.value().data().iter().zip(before.data()).zip(gradient.data()) {
            let clear = g.abs() > 1e-4 * largest; // smaller sums may round to the other sign
            assert!(!clear || (before - now - g.signum()).abs() < 1e-2, "{name}: {before} became {now} for {g}");
        }
    }
}

#[test]
fn an_epoch_has_as_many_steps_as_accumulated_batches() {
    let mut trainer = trainer(&["train.accumulate=2", "train.batch_size=12"]);
    let mut seen = Vec::new();
    let mut watch = |progress: &Progress| {
        seen.push((progress.step, progress.steps, progress.images));
        true
    };
    let losses = pollster::block_on(trainer.epoch(1, &mut watch)).unwrap().unwrap();
    assert_eq!(seen, [(1, 3, 24), (2, 3, 24), (3, 3, 16)]);
    assert!(losses.is_finite() && trainer.steps() == 3);
}

#[test]
fn a_batch_that_is_not_finite_is_found_among_several() {
    let mut trainer = trainer(&["train.accumulate=3", "train.batch_size=2", "model.batch_norm=false"]);
    trainer.inject(Fault::Gradient(1));
    let error = pollster::block_on(trainer.step(&[0, 1, 2, 3, 4], 1e-3)).unwrap_err().to_string();
    assert!(error.starts_with("the gradient of ") && error.contains("at step 1"), "{error}");
}

#[test]
fn blocks_that_are_computed_again_change_no_bit() {
    let vq = ["model.kind=vq", "model.encoder=resnet18", "data.normalise=unit", "data.image_size=32", "data.limit=36"];
    let others: [&[&str]; 5] = [
        &["model.kind=resnet18"],
        &["model.kind=resnet50"],
        &["model.kind=classifier"],
        &["model.kind=skip"],
        &["model.kind=skip", "model.block=pre-activation"],
    ];
    for settings in [&vq[..]].into_iter().chain(others) {
        let after = |again: &str| {
            let again = format!("train.activation_checkpointing={again}");
            let mut trainer = trainer(&[settings, &[again.as_str()]].concat());
            let losses = run(&mut trainer, 1);
            (losses, bits(&trainer, |_| true))
        };
        assert!(after("true") == after("false"), "{settings:?}");
    }
}
