//! Laws of a trainer that small runs show: what its state determines, what each setting changes, and what it says about a fault.

use super::*;
use crate::predict::Validation;

/// Every tensor of the model, as bits.
fn model_bits(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    bits(trainer, |_| true)
}

/// Copies model, optimiser and state into a new trainer of the same settings, as a checkpoint does.
fn copied(from: &Trainer, settings: &[&str]) -> Trainer {
    let mut to = trainer(settings);
    let weights = pollster::block_on(nn::state::save(from.model(), &[])).unwrap();
    pollster::block_on(nn::state::load(to.model(), &weights)).unwrap();
    let tensors = from.optimiser_tensors();
    let names: Vec<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
    let slots = to.optimiser_slots(&names);
    assert_eq!(slots.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for ((_, slot), (_, tensor)) in slots.iter().zip(&tensors) {
        slot.set(tensor.value());
    }
    to.restore_state(from.state(), &slots);
    to
}

#[test]
fn a_trainer_with_another_s_state_continues_like_it() {
    let settings = ["train.learning_rate=0.01", "train.ema=0.9", "train.schedule=plateau", "train.plateau_patience=1"];
    let mut one = trainer(&settings);
    run(&mut one, 1);
    one.observe(5.0);
    one.observe(6.0); // lowers the rate
    let state = one.state();
    assert_eq!((state.epoch, state.step, state.adam), (2, 0, 3));
    assert!(state.plateau.is_some_and(|(best, waited, scale)| best == 5.0 && waited == 0 && scale < 0.11));
    let mut other = copied(&one, &settings);
    assert_eq!((other.state(), other.steps(), other.learning_rate(2)), (state, 3, one.learning_rate(2)));
    assert_eq!(run(&mut other, 2), run(&mut one, 2));
    assert_eq!(model_bits(&other), model_bits(&one));
    let [a, b] = [&one, &other].map(|trainer| pollster::block_on(trainer.validate()).unwrap());
    assert_eq!(a, b, "with the averages of both");
}

/// A stop after the second of three steps: the new trainer does the third, and the mean is over all three.
#[test]
fn an_epoch_goes_on_in_the_middle() {
    let settings = ["train.learning_rate=0.01", "data.augment=flip"];
    let mut whole = trainer(&settings);
    let expected = [run(&mut whole, 1), run(&mut whole, 2)];
    let mut one = trainer(&settings);
    run(&mut one, 1);
    assert_eq!(pollster::block_on(one.epoch(2, &mut |progress| progress.step < 2)).unwrap(), None);
    assert_eq!((one.state().epoch, one.state().step, one.state().plateau), (2, 2, None));
    let mut other = copied(&one, &settings);
    assert_eq!(other.steps(), 5);
    let mut seen = Vec::new();
    let mean = pollster::block_on(other.epoch(2, &mut |progress| {
        seen.push((progress.number, progress.images));
        true
    }));
    assert_eq!((mean.unwrap().unwrap(), seen), (expected[1].clone(), vec![(6, 16)]));
    assert_eq!(model_bits(&other), model_bits(&whole));
    // Without a new trainer, another epoch begins anew.
    let mut seen = 0;
    pollster::block_on(one.epoch(3, &mut |_| {
        seen += 1;
        true
    }))
    .unwrap();
    assert_eq!(seen, 3);
}

/// The time of a step in epochs decides the weight of the KL: step s of 3 is at (s − 1)/3 of the first epoch.
#[test]
fn a_schedule_follows_the_steps_and_ends_in_validation() {
    let mut trainer = trainer(&["loss.schedule=linear", "loss.warmup=2", "loss.beta=3"]);
    for epoch in 1..=3 {
        pollster::block_on(trainer.epoch(epoch, &mut |progress| {
            let time = (epoch - 1) as f64 + (progress.step - 1) as f64 / 3.0;
            let [reconstruction, kl] = ["reconstruction", "kl"].map(|name| progress.losses.part(name).unwrap());
            let expected = reconstruction + (time / 2.0).min(1.0) * 3.0 * kl;
            assert!((progress.losses.total - expected).abs() < 1e-6 * expected, "{epoch} {}", progress.step);
            true
        }))
        .unwrap();
    }
    let Validation { losses, .. } = pollster::block_on(trainer.validate()).unwrap();
    let expected = losses.part("reconstruction").unwrap() + 3.0 * losses.part("kl").unwrap();
    assert!((losses.total - expected).abs() < 1e-6 * expected);
}

#[test]
fn a_linear_rate_begins_at_the_configured_one() {
    let trainer = trainer(&["train.schedule=linear", "train.learning_rate=0.5", "train.epochs=4"]);
    assert_eq!([1, 2, 4].map(|epoch| trainer.learning_rate(epoch)), [0.5, 0.375, 0.125]);
}

/// Adam divides by the size of the gradients, so only clips that differ from step to step change the weights.
#[test]
fn clipping_acts_on_gradients_above_its_norm_only() {
    let after = |clip: &str| {
        let mut trainer = trainer(&[clip, "train.learning_rate=0.01"]);
        run(&mut trainer, 1);
        model_bits(&trainer)
    };
    let free = after("train.clip=0");
    assert_eq!(after("train.clip=1e20"), free);
    assert_ne!(after("train.clip=1.0"), free);
}

#[test]
fn weight_decay_and_both_betas_reach_the_optimiser() {
    let after = |setting: &str| {
        let mut trainer = trainer(&[setting, "train.learning_rate=0.01"]);
        run(&mut trainer, 1);
        model_bits(&trainer)
    };
    let plain = after("train.weight_decay=0");
    for setting in ["train.weight_decay=0.5", "train.beta1=0.5", "train.beta2=0.9"] {
        assert_ne!(after(setting), plain, "{setting}");
    }
}

/// A predictor has the averaged weights while it lives. The final weights of a run replace both.
#[test]
fn a_predictor_has_the_averages() {
    let mut averaged = trainer(&["train.ema=0.9", "train.learning_rate=0.01"]);
    run(&mut averaged, 1);
    let weights = model_bits(&averaged);
    let predictor = averaged.predictor();
    assert_ne!(model_bits(&averaged), weights);
    drop(predictor);
    assert_eq!(model_bits(&averaged), weights);
    let names: Vec<String> = averaged.optimiser_tensors().into_iter().map(|(name, _)| name).collect();
    let kinds = ["train.adam.m.", "train.adam.v.", "train.ema."];
    let counts = kinds.map(|kind| names.iter().filter(|name| name.starts_with(kind)).count());
    let mut tensors = 0;
    nn::visit(averaged.model(), |_, _| tensors += 1); // running statistics are averaged too
    assert_eq!(counts, [averaged.params.len(), averaged.params.len(), tensors]);
    let optimiser = averaged.optimiser_tensors();
    let mut stored = Vec::new();
    nn::visit(&ModelAndOptimiser { model: averaged.model(), optimiser: &optimiser }, |path, _| {
        stored.push(path.to_owned())
    });
    assert_eq!((stored.len(), &stored[tensors..]), (tensors + names.len(), &names[..]), "the model first");
    let other = pollster::block_on(nn::state::save(trainer(&["seed=7"]).model(), &[])).unwrap();
    averaged
        .load_final_weights(|model| {
            pollster::block_on(nn::state::load(model, &other)).expect("the same model");
            Ok(())
        })
        .unwrap();
    let final_weights = model_bits(&averaged);
    assert_ne!(final_weights, weights);
    let predictor = averaged.predictor();
    assert_eq!(model_bits(&averaged), final_weights, "no average is left");
    drop(predictor);
    let mut plain = trainer(&["train.learning_rate=0.01"]);
    run(&mut plain, 1);
    let weights = model_bits(&plain);
    let predictor = plain.predictor();
    assert_eq!(model_bits(&plain), weights, "train.ema = 0 is no average");
    assert!(plain.optimiser_tensors().iter().all(|(name, _)| name.starts_with("train.adam.")));
    drop(predictor);
}

#[test]
fn the_time_of_an_epoch_is_taken_once() {
    let mut trainer = trainer(&[]);
    run(&mut trainer, 1);
    let timing = trainer.timing();
    assert!(timing.forward > 0.0 && timing.backward > 0.0 && timing.optimiser > 0.0, "{timing:?}");
    assert_eq!((timing.validation, timing.other), (0.0, 0.0));
    assert_eq!(trainer.timing().sum(), 0.0);
}

#[test]
fn faults_are_injected_at_their_step_and_named() {
    assert_eq!(Fault::parse("loss@3"), Some(Fault::Loss(3)));
    assert_eq!(Fault::parse("gradient@12"), Some(Fault::Gradient(12)));
    assert_eq!(["loss", "loss@x", "weights@3"].map(Fault::parse), [None; 3]);
    for (fault, named) in [(Fault::Loss(2), "the reconstruction loss"), (Fault::Gradient(2), "the gradient of ")] {
        let mut trainer = trainer(&["train.learning_rate=0.5"]);
        trainer.inject(fault);
        let mut seen = 0;
        let error = pollster::block_on(trainer.epoch(1, &mut |_| {
            seen += 1;
            true
        }));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(named) && error.contains(" is not finite at step 2, "), "{error}");
        assert!(error.contains("lower train.learning_rate (0.5)") && error.contains("logvar is the cause"), "{error}");
        assert_eq!(seen, 1);
    }
    let mut vq = trainer(&["model.kind=vq"]);
    vq.inject(Fault::Loss(1));
    let error = pollster::block_on(vq.epoch(1, &mut |_| true)).unwrap_err().to_string();
    assert!(!error.contains("logvar"), "a codebook has none: {error}");
}

/// A transform that divides by almost nothing makes infinite images.
#[test]
fn images_that_are_not_finite_are_named_first() {
    let mut trainer = trainer(&[]);
    trainer.dataset.transform = crate::data::Transform::from_moments(16, vec![0.0], vec![1e-300]).unwrap();
    let error = pollster::block_on(trainer.step(&[0, 1], 1e-3)).unwrap_err().to_string();
    assert!(error.starts_with("the images is not finite at step 1"), "{error}");
}

#[test]
fn a_bad_gradient_leaves_the_loss_as_it_is() {
    let mut trainer = trainer(&[]);
    let images = trainer.dataset.training_batch(1, &[0, 1]).unwrap();
    let total = |trainer: &Trainer| trainer.forward(0, 0, &images, None).terms.total.value().data()[0];
    let before = total(&trainer);
    trainer.inject(Fault::Gradient(1));
    assert_eq!(total(&trainer), before);
}

/// The middle one of the parameters that move gets the bad gradient, and it is named with its layer.
#[test]
fn an_injected_gradient_belongs_to_a_parameter_that_moves() {
    let mut trainer = trainer(&["model.freeze_encoder=true"]);
    let moving: Vec<String> =
        trainer.params.iter().filter(|(_, param)| !param.is_frozen()).map(|(name, _)| name.clone()).collect();
    let middle = &moving[moving.len() / 2];
    trainer.inject(Fault::Gradient(1));
    let error = pollster::block_on(trainer.step(&[0, 1], 1e-3)).unwrap_err().to_string();
    let layer = middle.rsplit_once('.').unwrap().0;
    assert!(error.starts_with(&format!("the gradient of {middle} (layer {layer}) is not finite at step 1")), "{error}");
}

#[test]
fn a_weight_that_is_not_finite_is_named_with_its_layer() {
    let trainer = trainer(&[]);
    assert_eq!(pollster::block_on(trainer.first_bad_weight()).unwrap(), None);
    nn::visit(trainer.model(), |path, slot| {
        if let ("encoder.layer2.0.bn1.running_var", nn::Slot::Buffer(buffer)) = (path, slot) {
            buffer.set(buffer.value().mul_scalar(f32::INFINITY));
        }
    });
    let named = pollster::block_on(trainer.first_bad_weight()).unwrap();
    assert_eq!(named.as_deref(), Some("encoder.layer2.0.bn1.running_var (layer encoder.layer2.0.bn1)"));
}

/// The first step of Adam moves every weight by the rate, unless its gradient is 0.
#[test]
fn a_discriminator_moves_at_its_own_rate() {
    let rates = ["train.learning_rate=0.001", "loss.discriminator_rate=0.01"];
    let mut trainer =
        trainer(&["model.kind=dense", "loss.kind=factor", "loss.discriminator_width=4", rates[0], rates[1]]);
    let values = |trainer: &Trainer| -> Vec<(String, Vec<f32>)> {
        trainer.params.iter().map(|(name, param)| (name.clone(), param.value().data().to_vec())).collect()
    };
    let before = values(&trainer);
    pollster::block_on(trainer.step(&(0..24).collect::<Vec<_>>(), 0.001)).unwrap();
    let mut checked = [0; 2];
    for ((name, now), (_, before)) in values(&trainer).iter().zip(&before) {
        let largest = now.iter().zip(before).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let of_discriminator = name.starts_with("discriminator.");
        let rate = if of_discriminator { 0.01 } else { 0.001 };
        assert!((largest / rate - 1.0).abs() < 0.05, "{name} moved by {largest}, at a rate of {rate}");
        checked[usize::from(of_discriminator)] += 1;
    }
    assert!(checked[0] > 4 && checked[1] > 4, "{checked:?}");
}
