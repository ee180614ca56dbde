//! Laws of a small run.

use super::*;
use crate::config::Settings;
use crate::model::build;

/// A run on 64 digits of 16 px, with these settings.
fn trainer(settings: &[&str]) -> Trainer {
    trainer_on(Device::Cpu, settings)
}

fn trainer_on(device: Device, settings: &[&str]) -> Trainer {
    let mut all = Settings::default();
    let small = ["model.width=2", "model.z_dim=3", "data.image_size=16", "data.limit=64", "train.batch_size=24"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    let dataset = Dataset::load(&config).unwrap();
    let model = build(&config);
    Trainer::new(config, dataset, model, device)
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
fn validation_leaves_no_trace_and_its_noise_stays() {
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
fn a_step_that_is_told_to_stop_is_the_last() {
    let mut trainer = trainer(&[]);
    let mut seen = Vec::new();
    let result = pollster::block_on(trainer.epoch(1, &mut |progress| {
        seen.push((progress.step, progress.steps, progress.images));
        progress.step < 2
    }));
    assert_eq!((result.unwrap(), seen), (None, vec![(1, 3, 24), (2, 3, 24)]));
}

#[test]
fn divergence_is_named() {
    let mut trainer = trainer(&[]);
    let (_, bias) = trainer.params.iter().find(|(name, _)| name == "encoder.mu.bias").unwrap();
    bias.set(Tensor::new(&[0.0, f32::NAN, 0.0], [3]));
    let error = pollster::block_on(trainer.step(&[0, 1], 1e-3)).unwrap_err().to_string();
    assert!(error.starts_with("encoder.mu is not finite at step 1") && !error.contains('\n'), "{error}");
}

#[test]
fn a_bad_gradient_is_named_even_where_the_loss_is_fine() {
    let trainer = trainer(&[]);
    let x = trainer.params[3].1.var();
    let gradients = (x.mul_scalar(f32::INFINITY)).sum_all().backward();
    let named = pollster::block_on(trainer.first_bad_gradient(&gradients)).unwrap();
    assert_eq!(named, Some(format!("the gradient of {}", trainer.params[3].0)));
}

#[test]
fn finite_is_told_by_the_bits() {
    assert!(all_finite(&[0.0, -1.0, f32::MAX, f32::MIN_POSITIVE, 1e-45]) && all_finite(&[]));
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!all_finite(&[1.0, bad, 2.0]));
    }
}

#[test]
fn a_plateau_waits_as_long_as_it_says() {
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

/// A GPU as a small one would be; what it computes is read sixteen steps at a time.
fn gpu() -> Device {
    let options = gpu::Options { default_limits: true, ..gpu::Options::default() };
    Device::Gpu(pollster::block_on(gpu::Context::open(options)).unwrap_or_else(|error| panic!("{error}")))
}

/// 22 steps, one whole group of sixteen and a part of one, so small that each step's loss is that of its images alone: larger
/// ones part soon, since Adam makes whole steps of rounding where a gradient is 0.
const STEPS: [&str; 3] = ["data.limit=66", "train.batch_size=3", "train.learning_rate=1e-9"];

#[test]
fn steps_that_wait_on_a_gpu_are_told_in_order_and_are_the_cpu_s() {
    let mut told = Vec::new();
    for device in [gpu(), Device::Cpu] {
        let mut trainer = trainer_on(device, &STEPS);
        let mut losses = Vec::new();
        let mean = pollster::block_on(trainer.epoch(1, &mut |progress| {
            assert_eq!((progress.step, progress.steps), (losses.len() + 1, 22));
            losses.push(progress.losses.total);
            true
        }));
        losses.push(mean.unwrap().unwrap().total);
        losses.push(pollster::block_on(trainer.validate()).unwrap().losses.total);
        told.push(losses);
    }
    for (i, (on_gpu, on_cpu)) in told[0].iter().zip(&told[1]).enumerate() {
        assert!((on_gpu - on_cpu).abs() < 1e-4 * on_cpu, "{i}: {on_gpu} on the GPU, {on_cpu} on the CPU");
    }
}

#[test]
fn a_stop_in_a_group_ends_with_it_and_hides_no_divergence() {
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
