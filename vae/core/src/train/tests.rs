//! Tests of training on small runs.

use std::sync::{Arc, OnceLock};

use autograd::{Var, no_grad};
use nn::Layer;

use super::fault::all_finite;
use super::*;
use crate::config::Settings;
use crate::learn;
use crate::objective::END;

mod laws;
mod memory;
mod ranks;
mod shards;

/// Creates a trainer for 64 digits of 16 × 16 pixels with these settings.
fn trainer(settings: &[&str]) -> Trainer {
    trainer_on(Device::Cpu, settings)
}

fn trainer_on(device: Device, settings: &[&str]) -> Trainer {
    let mut all = Settings::default();
    let small = ["model.width=2", "model.z_dim=3", "data.image_size=16", "data.limit=64", "train.batch_size=24"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    let dataset = Dataset::built_in(&config).unwrap();
    let model = learn::build(&config);
    Trainer::from_learner(config, dataset, model, device)
}

fn run(trainer: &mut Trainer, epoch: usize) -> Losses {
    pollster::block_on(trainer.epoch(epoch, &mut |_| true)).unwrap().unwrap()
}

#[test]
fn training_lowers_the_loss_and_repeats_itself() {
    let mut a = trainer(&["train.learning_rate=0.01"]);
    let mut b = trainer(&["train.learning_rate=0.01"]);
    let losses: Vec<_> = (1..=6).map(|epoch| run(&mut a, epoch)).collect();
    assert!(losses[5].total < 0.8 * losses[0].total, "{losses:?}");
    assert_eq!(run(&mut b, 1), losses[0]);
    assert_ne!(run(&mut trainer(&["train.learning_rate=0.01", "seed=2"]), 1), losses[0]);
}

#[test]
fn validation_changes_no_state_and_repeats_its_noise() {
    let trainer = trainer(&[]);
    let first = pollster::block_on(trainer.validate()).unwrap();
    assert_eq!(pollster::block_on(trainer.validate()).unwrap(), first);
    let summed: f64 = first.kl_per_dim.iter().sum();
    let [reconstruction, kl] = ["reconstruction", "kl"].map(|name| first.losses.part(name).unwrap());
    assert!((summed - kl).abs() < 1e-6 * summed.abs());
    assert!(first.mse.is_some_and(|mse| mse > 0.0 && mse < 1.0));
    assert!((first.losses.total - (reconstruction + kl)).abs() < 1e-9 * first.losses.total);
}

#[test]
fn the_batch_size_does_not_change_validation() {
    let small = pollster::block_on(trainer(&["train.batch_size=24"]).validate()).unwrap().losses;
    let large = pollster::block_on(trainer(&["train.batch_size=64"]).validate()).unwrap().losses;
    assert!((small.total - large.total).abs() < 1e-5 * small.total, "{small:?} {large:?}");
}

#[test]
fn an_epoch_ends_after_the_step_at_which_watch_returns_false() {
    let mut trainer = trainer(&[]);
    let mut seen = Vec::new();
    let result = pollster::block_on(trainer.epoch(1, &mut |progress| {
        seen.push((progress.step, progress.steps, progress.images));
        progress.step < 2
    }));
    assert_eq!((result.unwrap(), seen), (None, vec![(1, 3, 24), (2, 3, 24)]));
}

#[test]
fn the_advice_after_a_divergence_fits_the_loss() {
    let advice = |settings: &[&str]| trainer(settings).diverged("the loss".into(), 3).to_string();
    for (settings, words) in [
        (
            &[][..],
            "or set train.clip = 1; if the KL grew large first, logvar is the cause; a larger loss.beta limits it",
        ),
        (&["train.clip=1"], "lower train.learning_rate (0.001); if the KL grew"),
        (&["loss.kind=weighted"], "; a larger loss.k2 limits it"),
        (&["loss.kind=mmd"], "; a smaller loss.alpha limits it"),
        (&["loss.schedule=capacity"], "; a larger loss.gamma limits it"),
    ] {
        let advice = advice(settings);
        assert!(advice.contains(words), "{settings:?}: {advice}");
    }
    let iwae = advice(&["loss.kind=iwae"]);
    assert!(iwae.ends_with("or set train.clip = 1"), "{iwae}");
}

#[test]
fn divergence_is_named() {
    let mut trainer = trainer(&[]);
    let (_, bias) = trainer.params.iter().find(|(name, _)| name == "encoder.mu.bias").unwrap();
    bias.set(Tensor::new(&[0.0, f32::NAN, 0.0], [3]));
    let error = pollster::block_on(trainer.step(&[0, 1], 1e-3)).unwrap_err().to_string();
    assert!(
        error.starts_with("the output of layer encoder.mu is not finite at step 1") && !error.contains('\n'),
        "{error}"
    );
}

#[test]
fn a_bad_gradient_is_named_even_where_the_loss_is_fine() {
    let trainer = trainer(&[]);
    let x = trainer.params[3].1.var();
    let gradients = (x.mul_scalar(f32::INFINITY)).sum_all().backward();
    let named = pollster::block_on(trainer.first_bad_gradient(&gradients)).unwrap();
    assert_eq!(named, Some("the gradient of encoder.layer1.0.conv1.weight (layer encoder.layer1.0.conv1)".to_owned()));
}

/// A VAE outside the library: one linear layer in each direction.
struct Own {
    encoder: nn::Linear,
    decoder: nn::Linear,
}

impl nn::Module for Own {
    fn visit(&self, v: &mut nn::Visitor) {
        v.child("encoder", &self.encoder);
        v.child("decoder", &self.decoder);
    }
}

impl Vae for Own {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let both = self.encoder.forward(&x.reshape([x.shape()[0], 256]), ctx);
        (both.slice(1, 0, 3), both.slice(1, 3, 3))
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        self.decoder.forward(z, ctx).reshape([z.shape()[0], 1, 16, 16])
    }
}

#[test]
fn a_model_outside_the_library_can_be_trained() {
    let Trainer { predictor, dataset, .. } = trainer(&["train.learning_rate=0.01"]);
    let mut rng = tensor::Generator::new(1);
    let model = Own { encoder: nn::Linear::new(&mut rng, 256, 6), decoder: nn::Linear::new(&mut rng, 3, 256) };
    let mut trainer = Trainer::new(predictor.config, dataset, Box::new(model), Device::Cpu);
    let losses: Vec<f64> = (1..=6).map(|epoch| run(&mut trainer, epoch).total).collect();
    assert!(losses[5] < 0.8 * losses[0], "{losses:?}");
    let validation = pollster::block_on(trainer.validate()).unwrap();
    assert_eq!((validation.kl_per_dim.len(), validation.mse.is_some()), (3, true));
}

#[test]
fn a_classifier_learns_and_has_a_confusion_table() {
    let settings = ["model.kind=classifier", "data.normalise=standard", "data.limit=600", "train.learning_rate=0.01"];
    let mut trainer = trainer(&[&settings[..], &["model.width=4"]].concat());
    let losses: Vec<Losses> = (1..=4).map(|epoch| run(&mut trainer, epoch)).collect();
    assert!(losses[3].total < 0.6 * losses[0].total, "{losses:?}");
    let validation = pollster::block_on(trainer.validate()).unwrap();
    let accuracy = validation.losses.part("accuracy").unwrap();
    assert_eq!(validation.losses.total, validation.losses.part("cross_entropy").unwrap());
    assert_eq!((validation.mse, validation.kl_per_dim.len()), (None, 0));
    let table = pollster::block_on(trainer.predictor().confusion(&trainer.dataset.validation)).unwrap().unwrap();
    assert_eq!(table.images(), 833);
    assert!((table.accuracy() - accuracy).abs() < 1e-6 && accuracy > 0.4, "{accuracy}: {table}");
    assert_eq!(
        pollster::block_on(trainer.predictor().reconstructions(&trainer.dataset.validation, &[0])).unwrap(),
        None
    );
    assert_eq!(pollster::block_on(trainer.predictor().sample(3)).unwrap(), None);
}

/// Samples of a conditional model depend on the label, and so do its reconstructions.
#[test]
fn a_conditional_model_depends_on_labels() {
    for kind in ["resnet18", "resnet50", "basic", "conv3", "skip", "dense"] {
        let mut trainer = trainer(&[&format!("model.kind={kind}"), "model.conditional=true", "data.limit=32"]);
        let losses = run(&mut trainer, 1);
        assert!(losses.is_finite(), "{kind}: {losses}");
        let decode = |label: usize| {
            let z = Var::constant(Tensor::ones([1, 3]));
            no_grad(|| trainer.model().sample(&z, &[label])).unwrap().value().data().to_vec()
        };
        assert!(decode(3) != decode(4), "{kind}");
        let x = trainer.dataset.batch(&trainer.dataset.validation, &[0]).unwrap();
        let back = |label| {
            let batch =
                Batch::of_images(x.clone(), vec![label], ScheduleContext { epochs: END, images: 1 }, 1, vec![0]);
            no_grad(|| trainer.model().evaluate(&batch, &ForwardContext::eval()))
                .reconstruction
                .unwrap()
                .value()
                .data()
                .to_vec()
        };
        assert!(back(0) != back(1), "{kind}");
    }
}

/// Twenty samples of ten labels are two of each, and the last is a 9.
#[test]
fn samples_of_a_conditional_model_have_each_label_equally_often() {
    let trainer = trainer(&["model.conditional=true"]);
    let all = pollster::block_on(trainer.predictor().sample(20)).unwrap().unwrap();
    let z = Purpose::Samples.stream(1, 0).normal_tensor([20, 3]);
    let last = no_grad(|| trainer.model().sample(&Var::constant(z.slice(0, 19, 1)), &[9])).unwrap();
    let last = pollster::block_on(trainer.predictor().to_pixels(&last)).unwrap();
    assert!(all[19 * 256..].iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn a_codebook_learns_is_used_and_repeats_itself() {
    for encoder in ["basic", "conv3", "resnet18", "resnet50"] {
        let settings = [&format!("model.encoder={encoder}"), "model.kind=vq", "model.codes=32", "model.code_width=8"];
        let settings = [&settings[..], &["data.image_size=32", "data.limit=96", "train.learning_rate=0.003"]].concat();
        let settings = [&settings[..], &["model.widths=8,16"]].concat();
        let (mut a, mut b) = (trainer(&settings), trainer(&settings));
        let losses: Vec<Losses> = (1..=4).map(|epoch| run(&mut a, epoch)).collect();
        assert!(losses[3].part("reconstruction") < losses[0].part("reconstruction"), "{encoder}: {losses:?}");
        assert_eq!(run(&mut b, 1), losses[0], "{encoder}");
        let validation = pollster::block_on(a.validate()).unwrap();
        let perplexity = losses[3].part("perplexity").unwrap();
        assert!(perplexity > 1.5 && perplexity <= 32.0, "{encoder}: {perplexity}");
        assert!(validation.mse.is_some() && validation.kl_per_dim.is_empty());
        assert_eq!(pollster::block_on(a.predictor().sample(3)).unwrap(), None);
        let book = bits(&a, |path| path.starts_with("codebook."));
        assert_eq!(book.iter().map(|(path, _)| &path[9..]).collect::<Vec<_>>(), ["codes", "counts", "sums"]);
        // A checkpoint contains the codebook: another trainer with these weights has the same losses.
        let state = pollster::block_on(nn::state::save(a.model(), &[])).unwrap();
        pollster::block_on(nn::state::load(b.model(), &state)).unwrap();
        assert_eq!(pollster::block_on(b.validate()).unwrap(), validation);
    }
}

/// Returns the bits of every tensor whose path `wanted` selects.
fn bits(trainer: &Trainer, wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u32>)> {
    let mut all = Vec::new();
    nn::visit(trainer.model(), |path, slot| {
        let value = match slot {
            nn::Slot::Param(param) => param.value(),
            nn::Slot::Buffer(buffer) => buffer.value(),
        };
        if wanted(path) {
            all.push((path.to_owned(), value.data().iter().map(|x| x.to_bits()).collect()));
        }
    });
    all
}

/// Training does not change weights and running statistics of a frozen encoder, and the optimiser has no moments for
/// them.
#[test]
fn a_frozen_encoder_stays_and_leaves_nothing_in_adam() {
    let head = |path: &str| path.starts_with("encoder.mu.") || path.starts_with("encoder.logvar.");
    for (settings, heads_move) in
        [(&["model.freeze_encoder=true"][..], true), (&["model.freeze_encoder=true", "model.freeze_heads=true"], false)]
    {
        let mut trainer = trainer(&[settings, &["train.weight_decay=0.1"]].concat());
        let still = |path: &str| path.starts_with("encoder.") && (!heads_move || !head(path));
        let (before, others) = (bits(&trainer, still), bits(&trainer, |path| !still(path)));
        assert!(before.iter().any(|(path, _)| path == "encoder.layer3.0.bn1.running_mean"));
        run(&mut trainer, 1);
        assert_eq!(bits(&trainer, still), before);
        for ((path, before), (_, after)) in others.iter().zip(bits(&trainer, |path| !still(path))) {
            assert!(*before != after, "{path} has not moved");
        }
        for (path, param) in &trainer.params {
            assert_eq!(trainer.adam.has_state(param), !still(path), "{path}");
        }
    }
}

#[test]
fn finite_numbers_are_recognised_by_their_bits() {
    assert!(all_finite(&[0.0, -1.0, f32::MAX, f32::MIN_POSITIVE, 1e-45]) && all_finite(&[]));
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!all_finite(&[1.0, bad, 2.0]));
    }
}

#[test]
fn a_plateau_waits_for_its_patience() {
    let mut trainer = trainer(&["train.schedule=plateau", "train.plateau_patience=2", "train.learning_rate=1.0"]);
    let rates: Vec<f64> = [5.0, 5.0, 5.0, 5.0]
        .iter()
        .map(|&loss| {
            trainer.schedule.observe(loss);
            trainer.learning_rate(1)
        })
        .collect();
    assert_eq!(rates, [1.0, 1.0, 0.1, 0.1]);
}

/// Opens a GPU with default limits, whose losses are read in groups of sixteen steps. The tests share it, so that its
/// kernels are compiled once.
fn gpu() -> Device {
    static SHARED: OnceLock<Arc<gpu::Context>> = OnceLock::new();
    let options = gpu::Options { default_limits: true, checked: true, ..gpu::Options::default() };
    let open = || pollster::block_on(gpu::Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
    Device::Gpu(SHARED.get_or_init(open).clone())
}

/// 22 steps are one group of sixteen and a part of a second. The learning rate is so small that the loss of each step
/// depends on its images only. Larger steps would soon differ between devices, because Adam amplifies rounding errors
/// where a gradient is 0.
const STEPS: [&str; 3] = ["data.limit=66", "train.batch_size=3", "train.learning_rate=1e-9"];

#[test]
fn losses_of_a_gpu_are_reported_in_order_and_equal_those_of_the_cpu() {
    let mut losses_by_device = Vec::new();
    for device in [gpu(), Device::Cpu] {
        let mut trainer = trainer_on(device, &STEPS);
        let mut losses = Vec::new();
        let mean = pollster::block_on(trainer.epoch(1, &mut |progress| {
            assert_eq!((progress.step, progress.steps), (losses.len() + 1, 22));
            losses.push(progress.losses.total);
            true
        }));
        losses.push(mean.unwrap().unwrap().total);
        let unseen: Vec<usize> = (0..12).collect(); // in batches of three
        let predictor = trainer.predictor();
        let validation = pollster::block_on(predictor.evaluate(&trainer.dataset.validation, &unseen)).unwrap();
        losses.push(validation.losses.total);
        losses_by_device.push(losses);
    }
    for (i, (on_gpu, on_cpu)) in losses_by_device[0].iter().zip(&losses_by_device[1]).enumerate() {
        assert!((on_gpu - on_cpu).abs() < 1e-4 * on_cpu, "{i}: {on_gpu} on the GPU, {on_cpu} on the CPU");
    }
}

#[test]
fn a_stop_within_a_group_completes_it_and_does_not_hide_divergence() {
    let mut trainer = trainer_on(gpu(), &STEPS);
    let mut seen = 0;
    let mut stop = |progress: &Progress| {
        seen = progress.step;
        progress.step < 2
    };
    assert_eq!(pollster::block_on(trainer.epoch(1, &mut stop)).unwrap(), None);
    assert_eq!((seen, trainer.steps()), (16, 16));

    let mut trainer = trainer_on(gpu(), &["data.limit=66", "train.batch_size=3", "train.learning_rate=1e30"]);
    let mut seen = 0;
    let error = pollster::block_on(trainer.epoch(1, &mut |progress| {
        seen = progress.step;
        false
    }));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is not finite at step 2") && seen == 1, "after {seen}: {error}");
}

#[test]
fn a_repeated_step_sees_the_epoch_s_images() {
    let mut trainer = trainer(&["data.augment=flip"]);
    run(&mut trainer, 3);
    assert_eq!(trainer.epoch, 3);
}

/// The reconstruction target of a noisy image is the image itself or the clean image.
#[test]
fn a_clean_target_differs_from_a_noisy_one() {
    for kind in ["model.kind=dense", "model.kind=vq"] {
        let [noisy, clean] = ["noisy", "clean"].map(|target| {
            let target = format!("data.noise_target={target}");
            run(&mut trainer(&[kind, "data.noise_std=0.3", &target]), 1).part("reconstruction").unwrap()
        });
        assert!(clean < noisy, "{kind}: {clean} to clean images, {noisy} to noisy ones");
    }
}

/// Checkpoints of earlier versions have averages of the weights only.
#[test]
fn statistics_without_an_average_start_from_their_last_values() {
    let of = |trainer: &Trainer, name: &str| {
        let averages = trainer.ema.iter().flat_map(Ema::averages);
        averages.filter(|(known, _)| known.ends_with(name)).map(|(_, x)| x.data().to_vec()).collect::<Vec<_>>()
    };
    let mut first = trainer(&["train.ema=0.9"]);
    run(&mut first, 1);
    let mut second = trainer(&["train.ema=0.9"]);
    let bytes = pollster::block_on(nn::state::save(first.model(), &[])).unwrap();
    pollster::block_on(nn::state::load(second.model(), &bytes)).unwrap();
    let all = first.optimiser_tensors();
    let names: Vec<String> =
        all.iter().map(|(name, _)| name.clone()).filter(|name| !name.contains("running_")).collect();
    let slots = second.optimiser_slots(&names);
    assert_eq!(slots.iter().map(|(name, _)| name).collect::<std::collections::BTreeSet<_>>(), names.iter().collect());
    for (name, slot) in &slots {
        slot.set(all.iter().find(|(known, _)| known == name).unwrap().1.value());
    }
    second.restore_state(first.state(), &slots);
    assert_eq!(of(&second, "conv1.weight"), of(&first, "conv1.weight"));
    let mut last = Vec::new();
    nn::visit(first.model(), |name, slot| match slot {
        nn::Slot::Buffer(buffer) if name.ends_with("running_var") => last.push(buffer.value().data().to_vec()),
        _ => {}
    });
    assert!(last.len() > 5 && of(&second, "running_var") == last && of(&first, "running_var") != last);
}
