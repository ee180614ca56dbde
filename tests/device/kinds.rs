//! A training step of every kind of model: it reads nothing from the device and leaves as many buffers as before. On a GPU its
//! losses equal the CPU's.

use nn::ForwardContext;
use pollster::block_on;
use reference::place::gpu;
use tensor::{Device, Generator};
use vae::config::{Config, Settings};
use vae::data::Dataset;
use vae::learn::{self, Batch};
use vae::objective::{Losses, ScheduleContext};
use vae::train::Trainer;

fn configuration(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    settings.iter().for_each(|setting| all.assignment(setting).expect("a setting"));
    let config = all.resolve().expect("a configuration");
    config.check().expect("a configuration that can be trained");
    config
}

#[test]
fn a_step_of_any_kind_reads_nothing() {
    let kinds: [&[&str]; 15] = [
        &["model.kind=dense", "loss.kind=dip"],
        &["model.kind=dense", "loss.kind=mmd"],
        &["model.kind=dense", "loss.kind=factor", "loss.discriminator_width=8"],
        &["model.kind=dense", "loss.kind=csvae", "model.conditional=true", "loss.discriminator_width=8"],
        &["model.kind=dense", "loss.kind=vae-gan", "loss.discriminator_channels=3,4"],
        &["model.kind=resnet18", "model.width=2", "loss.kind=soft-intro"],
        &["model.kind=classifier", "model.width=2"],
        &["model.kind=vq", "model.widths=3,4", "model.codes=7", "model.code_width=2"],
        &["model.kind=vq", "model.encoder=resnet18", "model.width=2"],
        &["model.kind=fsq", "model.widths=3,4", "model.levels=4,3"],
        &["model.kind=ladder", "model.width=2", "model.groups=1,2", "model.z_dim=576"],
        &["model.kind=dense", "model.prior=vamp", "model.pseudo_inputs=3"],
        &["model.kind=conv3", "model.widths=2,3,4", "model.conditional=true"],
        &["model.kind=skip", "model.width=2", "model.block=pre-activation"],
        &["model.kind=resnet18", "model.width=2", "model.freeze_encoder=true"],
    ];
    for kind in kinds {
        let config = configuration(kind);
        let (machine, device) = crate::counting::machine();
        let learner = learn::build(&config);
        nn::upload(&*learner, &device);
        let images = Generator::new(1).uniform_tensor([4, 1, 32, 32], 0.0, 1.0).upload(&device);
        let step = |number| {
            let schedule = ScheduleContext { epochs: 0.0, images: 4 };
            let batch = Batch::of_step(images.clone(), vec![3, 1, 4, 1], schedule, 1, number);
            let forward = learner.forward(&batch, &ForwardContext::train(1, number));
            let gradients = forward.terms.total.backward();
            let moved = nn::parameters(&*learner).iter().filter(|(_, param)| gradients.get(param).is_some()).count();
            let free = nn::parameters(&*learner).iter().filter(|(_, param)| !param.is_frozen()).count();
            assert_eq!(moved, free, "{kind:?}");
        };
        step(0);
        let live = machine.live();
        step(1);
        assert_eq!((machine.counts().reads, machine.live()), (0, live), "{kind:?}");
    }
}

/// The losses of a first step, and of 16 validation images at a learning rate so small that the weights stay the same. Every
/// part of the loss is the same sum on both devices, in another order.
#[test]
fn first_losses_of_every_model_agree_between_gpu_and_cpu() {
    let dense = &["model.kind=dense", "model.hidden=8", "model.z_dim=4"][..];
    let of_a_loss = |kind: &'static str, other: &'static str| [dense, &[kind, other]].concat();
    let cases = [
        dense.to_vec(),
        vec!["model.kind=basic", "model.widths=4,6"],
        vec!["model.kind=conv3", "model.widths=4,6,8"],
        vec!["model.kind=skip", "model.width=4"],
        vec!["model.kind=resnet18", "model.width=2", "model.conditional=true"],
        vec!["model.kind=classifier", "model.width=4"],
        vec!["model.kind=vq", "model.codes=16", "model.code_width=4", "model.widths=4,6"],
        vec!["model.kind=vq", "model.codes=5", "model.encoder=resnet18", "model.width=2", "data.image_size=32"],
        [dense, &["model.prior=vamp", "model.pseudo_inputs=6"]].concat(),
        vec!["model.kind=fsq", "model.levels=4,3,2", "model.widths=4,6"],
        vec!["model.kind=ladder", "model.groups=2,1", "model.width=4", "model.z_dim=96", "loss.schedule=free-bits"],
        of_a_loss("loss.kind=tc", "loss.estimator=batch"),
        of_a_loss("loss.kind=tc", "loss.estimator=mss"),
        of_a_loss("loss.kind=dip", "loss.lambda_od=3"),
        of_a_loss("loss.kind=dip", "loss.dip=i"),
        of_a_loss("loss.kind=mmd", "loss.alpha=0.5"),
        of_a_loss("loss.kind=factor", "loss.discriminator_width=16"),
        of_a_loss("loss.kind=csvae", "model.conditional=true"),
        of_a_loss("loss.kind=vae-gan", "loss.discriminator_channels=4,6"),
        of_a_loss("loss.kind=vae-gan", "loss.spectral_norm=false"),
        of_a_loss("loss.kind=soft-intro", "loss.beta_neg=3"),
        vec!["model.kind=resnet18", "model.width=2", "loss.kind=soft-intro", "model.conditional=true"],
        of_a_loss("loss.kind=weighted", "loss.schedule=free-bits"),
        of_a_loss("loss.kind=beta", "loss.schedule=capacity"),
    ];
    let images: Vec<usize> = (0..16).collect();
    for case in cases {
        let settings = [&["data.image_size=16", "data.limit=40", "train.batch_size=16"], &case[..]].concat();
        let told = [Device::Cpu, gpu()].map(|device| {
            let config = configuration(&settings);
            let dataset = Dataset::built_in(&config).expect("digits are in the program");
            let learner = learn::build(&config);
            let mut trainer = Trainer::from_learner(config, dataset, learner, device);
            let step = block_on(trainer.step(&images, 1e-9)).expect("a finite loss");
            let unseen = block_on(trainer.predictor().evaluate(&trainer.dataset.validation, &images));
            [step, unseen.expect("the device works").losses]
        });
        for (cpu, gpu) in told[0].iter().zip(&told[1]) {
            let all = |losses: &Losses| [&[("total", losses.total)], &losses.parts[..]].concat();
            for ((name, cpu), (other, gpu)) in all(cpu).into_iter().zip(all(gpu)) {
                // Some terms are small differences of large ones.
                let tolerance = if ["mi", "tc", "dw_kl", "mmd"].contains(&name) { 1e-2 } else { 1e-4 };
                // A small difference of an exponent is a factor of its exponential.
                let [cpu, gpu] = if name == "exp_elbo" { [cpu, gpu].map(f64::ln) } else { [cpu, gpu] };
                assert_eq!(name, other);
                assert!(
                    (gpu - cpu).abs() <= tolerance * cpu.abs(),
                    "{case:?}, {name}: {gpu} on the GPU, {cpu} on the CPU"
                );
            }
            assert_eq!(cpu.parts.len(), gpu.parts.len());
        }
    }
}
