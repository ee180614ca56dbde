//! Laws of learners: the summary of a model, the weights of a codebook's loss, and the names of intermediate results.

use tensor::{Device, Generator};

use super::*;
use crate::config::Settings;
use crate::objective::{END, ScheduleContext};

fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    let small = ["model.width=2", "model.z_dim=3", "data.image_size=16"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    config
}

fn batch(seed: u64, n: usize) -> Batch {
    let images = Generator::new(seed).uniform_tensor([n, 1, 16, 16], 0.0, 1.0);
    let labels = (0..n).collect();
    Batch::of_step(images, labels, ScheduleContext { epochs: END, images: 100 }, 1, 5)
}

#[test]
fn a_summary_counts_each_parameter_once() {
    let dense = config(&["model.kind=dense", "model.hidden=8"]);
    let model = build(&dense);
    let summary = Summary::new(&dense, &*model);
    let encoder = 256 * 8 + 8 + 2 * (8 * 3 + 3);
    let decoder = 3 * 8 + 8 + 8 * 256 + 256;
    assert_eq!((summary.parameters, summary.trainable_parameters), (encoder + decoder, encoder + decoder));
    assert_eq!((summary.encoder_parameters, summary.decoder_parameters), (encoder, decoder));
    assert_eq!(summary.input_shape, [1, 16, 16]);
    let rows: Vec<(&str, &[usize], usize)> =
        summary.layers.iter().map(|row| (row.name.as_str(), &row.output[..], row.parameters)).collect();
    assert_eq!(rows.iter().map(|(.., parameters)| parameters).sum::<usize>(), summary.parameters);
    let mu = rows.iter().find(|(name, ..)| *name == "encoder.mu").expect("a head");
    assert_eq!((mu.1, mu.2), (&[3][..], 8 * 3 + 3));
    assert_eq!(rows.last().map(|(_, output, parameters)| (output.len(), *parameters)), Some((1, 8 * 256 + 256)));

    let frozen = config(&["model.kind=resnet18", "model.freeze_encoder=true", "model.freeze_heads=true"]);
    let summary = Summary::new(&frozen, &*build(&frozen));
    assert_eq!(summary.trainable_parameters, summary.decoder_parameters);
    assert!(summary.encoder_parameters > summary.decoder_parameters / 2 && summary.encoder_parameters > 0);
    assert_eq!(summary.parameters, summary.encoder_parameters + summary.decoder_parameters);
}

#[test]
fn the_commitment_is_weighted_like_the_reconstruction() {
    for (reduction, pixels, numbers) in [("sum", 1.0, 1.0), ("mean", 256.0, 4.0 * 8.0 * 8.0)] {
        let config = config(&[
            "model.kind=vq",
            "model.encoder=basic",
            "model.widths=4",
            "model.code_width=4",
            "model.codes=8",
            "loss.commitment=0.5",
            &format!("loss.reduction={reduction}"),
        ]);
        let side = config.image_size() / config.model.divisor();
        assert_eq!(side, 8);
        let terms = build(&config).forward(&batch(1, 3), &ForwardContext::eval()).terms;
        let losses = pollster::block_on(terms.read()).unwrap();
        let [reconstruction, commitment] = ["reconstruction", "commitment"].map(|name| losses.part(name).unwrap());
        let expected = reconstruction / pixels + 0.5 * commitment / numbers;
        assert!(commitment > 0.0 && (losses.total - expected).abs() < 1e-6 * expected, "{reduction}: {losses:?}");
    }
}

/// The parts and the total of a forward pass with these settings, for this many images.
fn losses(settings: &[&str], images: usize) -> crate::objective::Losses {
    let config = config(&[&["model.kind=dense", "model.hidden=8"], settings].concat());
    let terms = build(&config).forward(&batch(1, images), &ForwardContext::eval()).terms;
    let (total, losses) = (terms.total.item(), pollster::block_on(terms.read()).unwrap());
    assert!((f64::from(total) - losses.total).abs() < 1e-5 * losses.total.abs(), "{settings:?}: {total} {losses}");
    losses
}

#[test]
fn penalties_on_all_latents_are_added_with_their_weights() {
    let part = |losses: &crate::objective::Losses, name: &str| losses.part(name).unwrap();
    for dip in ["loss.dip=i", "loss.dip=ii"] {
        let all = losses(&["loss.kind=dip", dip, "loss.beta=2", "loss.lambda_od=3", "loss.lambda_d=5"], 4);
        let [reconstruction, kl, off_diagonal, diagonal] =
            ["reconstruction", "kl", "off_diagonal", "diagonal"].map(|name| part(&all, name));
        let expected = reconstruction + 2.0 * kl + 3.0 * off_diagonal + 5.0 * diagonal;
        assert!((all.total - expected).abs() < 1e-9 * expected && off_diagonal > 0.0 && diagonal > 0.0, "{all}");
    }
    for (alpha, lambda, weight_of_kl, weight_of_mmd) in [("1", "10", 0.0, 10.0), ("0.25", "8", 0.75, 7.25)] {
        let [alpha, lambda] = [format!("loss.alpha={alpha}"), format!("loss.lambda={lambda}")];
        let all = losses(&["loss.kind=mmd", &alpha, &lambda], 4);
        let [reconstruction, kl, mmd] = ["reconstruction", "kl", "mmd"].map(|name| part(&all, name));
        let expected = reconstruction + weight_of_kl * kl + weight_of_mmd * mmd;
        assert!((all.total - expected).abs() < 1e-9 * expected && mmd != 0.0, "{all}");
    }
    // The last batch of an epoch may have one image.
    assert_eq!(losses(&["loss.kind=mmd"], 1).part("mmd"), Some(0.0));
    assert!(losses(&["loss.kind=dip"], 1).is_finite());
}

#[test]
fn intermediate_results_are_in_order_of_computation() {
    let names = |kind: &str| {
        let config = config(&[&format!("model.kind={kind}")]);
        let forward = build(&config).forward(&batch(1, 2), &ForwardContext::eval());
        forward.intermediates.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(names("dense"), "the images, encoder.mu, encoder.logvar, the latents, the decoder's output");
    assert_eq!(names("vq"), "the images, the encoder's output, the codes, the decoder's output");
    assert_eq!(names("fsq"), names("vq"));
    assert_eq!(names("classifier"), "the images, the logits");
}

#[test]
fn only_models_with_a_posterior_encode_and_sample() {
    for (kind, prior, has) in [
        ("dense", "standard", true),
        ("dense", "vamp", true),
        ("vq", "standard", false),
        ("fsq", "standard", false),
        ("classifier", "standard", false),
    ] {
        let config = config(&[&format!("model.kind={kind}"), &format!("model.prior={prior}")]);
        let model = build(&config);
        assert_eq!(model.prior().is_some(), prior == "vamp", "{kind}");
        assert_eq!(model.encode(&batch(1, 2)).is_some(), has, "{kind}");
        assert_eq!(model.sample(&Var::constant(Tensor::zeros([1, 3])), &[0]).is_some(), has, "{kind}");
    }
}

/// The reconstruction of a hierarchical model is decoded from the mean of each group, where each group before it is its mean too.
/// The loss is of the draws.
#[test]
fn a_hierarchical_model_reconstructs_from_the_means_of_all_groups() {
    let model = build(&config(&["model.kind=ladder", "model.groups=1,1", "model.z_dim=80", "model.width=3"]));
    let batch = batch(1, 2);
    let evaluation = model.evaluate(&batch, &ForwardContext::eval());
    let [mu, logvar] = model.encode(&batch).unwrap();
    let same = |a: &Var, b: &Var| a.value().data() == b.value().data();
    assert!(same(&evaluation.reconstruction.unwrap(), &model.sample(&mu, &[]).unwrap()));
    let zeros = Tensor::zeros([2, 80]);
    assert!(same(&model.encode_drawing(&batch, &zeros).unwrap()[1], &logvar));
    let [mu_of_draws, logvar_of_draws] = model.encode_drawing(&batch, &batch.noise(80)).unwrap();
    assert!(!same(&mu_of_draws, &mu));
    let kl = nn::loss::gaussian_kl_per_dim(&mu_of_draws, &logvar_of_draws);
    assert!(same(&evaluation.kl_per_dim.unwrap(), &kl));
}

/// Noise depends on the step, or on the images, and on nothing else.
#[test]
fn the_noise_of_a_batch_repeats_itself() {
    let of_step = |step: u64, seed: u64| {
        let schedule = ScheduleContext { epochs: END, images: 9 };
        Batch::of_step(Tensor::zeros([2, 1, 1, 1]), vec![0, 0], schedule, seed, step).noise(4).data().to_vec()
    };
    assert_eq!(of_step(1, 1), of_step(1, 1));
    assert!(of_step(1, 1) != of_step(2, 1) && of_step(1, 1) != of_step(1, 2));
    let batch = batch(1, 2);
    assert_eq!(batch.noise(4).data(), batch.noise(4).data());
    assert!(matches!(batch.device(), Device::Cpu));
}

#[test]
fn the_trunk_is_the_encoder_without_its_heads() {
    let paths =
        ["encoder.stem.weight", "encoder.mu.weight", "encoder.logvar.bias", "encoder.code.weight", "encoder.mu1.x"];
    assert_eq!(paths.map(is_trunk), [true, false, false, false, true]);
    assert_eq!(["decoder.stem.weight", "encoderx.stem", "stem.encoder.x"].map(is_trunk), [false; 3]);
}

/// K draws for each of M bounds, and the standard deviation of the decoder beside the loss.
#[test]
fn a_bound_of_several_draws_is_the_loss_of_an_iwae() {
    let iwae = config(&[
        "model.kind=dense",
        "loss.kind=iwae",
        "loss.samples=3",
        "loss.bounds=2",
        "loss.reconstruction=gaussian",
        "loss.variance=learned",
        "loss.sigma=0.5",
    ]);
    let forward = build(&iwae).forward(&batch(1, 4), &ForwardContext::train(1, 1));
    let z = forward.intermediates.iter().find(|(name, _)| *name == "the latents").expect("an intermediate result");
    assert_eq!(z.1.shape().to_vec(), [24, 3]);
    let losses = pollster::block_on(forward.terms.read()).unwrap();
    assert_eq!(losses.part("iwae"), Some(losses.total));
    assert!((losses.part("sigma").unwrap() - 0.5).abs() < 1e-5, "{losses:?}");
}

/// Each latent has a permutation of its own, which depends on the step, or on the images and nothing else.
#[test]
fn each_latent_is_permuted_on_its_own() {
    let places = |step: u64| {
        let schedule = ScheduleContext { epochs: END, images: 9 };
        let batch = Batch::of_step(Tensor::zeros([8, 1, 1, 1]), vec![0; 8], schedule, 1, step);
        batch.permutation(3).data().iter().map(|&place| place as usize).collect::<Vec<_>>()
    };
    let of_latent = |latent: usize| places(1).into_iter().skip(latent).step_by(3).collect::<Vec<_>>();
    for latent in 0..3 {
        let mut from = of_latent(latent);
        assert!(from.iter().all(|place| place % 3 == latent), "a latent stays in its column");
        from.sort_unstable();
        from.dedup();
        assert_eq!(from.len(), 8, "each image gives its value once");
    }
    let images = |latent: usize| of_latent(latent).into_iter().map(|place| place / 3).collect::<Vec<_>>();
    assert!(images(0) != images(1) && images(1) != images(2));
    assert!(places(1) == places(1) && places(1) != places(2));
    let of_images = |members: Vec<usize>| {
        let schedule = ScheduleContext { epochs: END, images: 9 };
        Batch::of_images(Tensor::zeros([3, 1, 1, 1]), vec![0; 3], schedule, 1, members).permutation(2)
    };
    assert_eq!(of_images(vec![4, 7, 2]).data(), of_images(vec![4, 7, 2]).data());
}

#[test]
fn a_discriminator_is_counted_on_its_own() {
    let settings = ["model.kind=dense", "model.hidden=8", "loss.kind=factor", "loss.discriminator_width=5"];
    let config = config(&settings);
    let summary = Summary::new(&config, &*build(&config));
    assert_eq!(summary.discriminator_parameters, 3 * 5 + 5 + 5 * (5 * 5 + 5) + 5 + 1);
    let parts = [summary.encoder_parameters, summary.decoder_parameters, summary.discriminator_parameters];
    assert_eq!(summary.parameters, parts.iter().sum::<usize>());
    assert_eq!(summary.encoder_parameters, 256 * 8 + 8 + 2 * (8 * 3 + 3));
}

/// In a CSVAE the label moves the last latents by the centre of its prior, and encoder and decoder do not see it.
#[test]
fn a_label_moves_the_latents_of_a_csvae() {
    let settings = ["model.kind=dense", "model.hidden=8", "loss.kind=csvae", "model.conditional=true"];
    let config = config(&settings);
    let learner = build(&config);
    let centres = nn::parameters(&*learner).into_iter().find(|(name, _)| name == "subspace.centres");
    let centres = centres.expect("centres").1.value();
    let image = batch(1, 1).images;
    let of = |label: usize| {
        let schedule = ScheduleContext { epochs: END, images: 1 };
        let batch = Batch::of_images(image.clone(), vec![label], schedule, 1, vec![0]);
        let [mu, logvar] = learner.encode(&batch).expect("a posterior");
        (mu.value().data().to_vec(), logvar.value().data().to_vec(), learner.evaluate(&batch, &ForwardContext::eval()))
    };
    let [(mu, logvar, first), (other, same, second)] = [2, 7].map(of);
    assert_eq!(logvar, same);
    let z = mu.len();
    let moved: Vec<f32> =
        centres.data()[14..16].iter().zip(&centres.data()[4..6]).map(|(to, from)| to - from).collect();
    let expected: Vec<f32> = vec![0.0; z - 2].into_iter().chain(moved).collect();
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let found: Vec<f32> = mu.iter().zip(&other).map(|(from, to)| from - to).collect();
    assert!(near(&found, &expected), "{found:?}, expected {expected:?}");
    // The latents from a label's centre are decoded from there: the reconstruction does not depend on the label.
    let [first, second] = [first, second].map(|evaluation| evaluation.reconstruction.expect("images"));
    assert!(near(first.value().data(), second.value().data()));
    // With another label, the same latents are the counterpart.
    let codes = Var::constant(Tensor::new(&mu, [1, z]));
    let decoded = |label: usize| learner.sample(&codes, &[label]).expect("a decoder").value().data().to_vec();
    assert!(near(&decoded(2), first.value().data()) && !near(&decoded(7), &decoded(2)));
}

#[test]
fn the_discriminator_of_a_vae_gan_is_counted_too() {
    let settings = ["model.kind=dense", "model.hidden=8", "loss.kind=vae-gan", "loss.discriminator_channels=4,5"];
    let config = config(&settings);
    let summary = Summary::new(&config, &*build(&config));
    assert_eq!(summary.discriminator_parameters, 16 * 4 + 4 + 16 * 4 * 5 + 5 + 5 * 4 * 4 + 1);
    let outputs = |name: &str| summary.layers.iter().find(|row| row.name == name).expect(name).output.clone();
    assert_eq!((outputs("discriminator.convs.1"), outputs("discriminator.output")), (vec![5, 4, 4], vec![1]));
}

/// Totals, which are those of the players whose images are rated, are the weighted sums of the parts.
#[test]
fn the_opponent_s_loss_is_no_part_of_the_total() {
    let of = |settings: &[&str]| {
        let config = config(&[&["model.kind=dense", "model.hidden=8", "loss.beta=2"], settings].concat());
        let terms = build(&config).forward(&batch(1, 4), &ForwardContext::train(1, 1)).terms;
        (f64::from(terms.total.item()), pollster::block_on(terms.read()).unwrap())
    };
    let (sum, gan) = of(&["loss.kind=vae-gan", "loss.adversarial=3"]);
    let [features, kl, generator, discriminator, reconstruction] =
        ["features", "kl", "generator", "discriminator", "reconstruction"].map(|name| gan.part(name).unwrap());
    assert!((gan.total - features - 2.0 * kl - 3.0 * generator).abs() < 1e-6 * gan.total, "{gan}");
    assert!((sum - gan.total - discriminator).abs() < 1e-5 * sum && reconstruction > 0.0, "{gan}");
    let (sum, intro) = of(&["loss.kind=soft-intro", "loss.beta_neg=1"]);
    let [reconstruction, kl, exp_elbo, kl_fake] =
        ["reconstruction", "kl", "exp_elbo", "kl_fake"].map(|name| intro.part(name).unwrap());
    assert!((intro.total - reconstruction - 2.0 * kl).abs() < 1e-6 * intro.total, "{intro}");
    assert!((sum - intro.total - 128.0 * exp_elbo - 2.0 * kl_fake).abs() < 1e-5 * sum, "{intro}"); // 1/(2s) of 256 pixels
    assert!(exp_elbo > 0.0 && exp_elbo < 1.0 && kl_fake > 0.0, "{intro}");
}

/// Decoded images are no data: the running statistics after a step are those of a plain pass through encoder and decoder.
#[test]
fn decoded_images_change_no_running_statistic() {
    let statistics = |model: &dyn Module| {
        let mut all = Vec::new();
        nn::visit(model, |name, slot| {
            if let Slot::Buffer(buffer) = slot
                && !name.starts_with("discriminator.")
            {
                all.push((name.to_owned(), buffer.value().data().to_vec()));
            }
        });
        all
    };
    let train = ForwardContext::train(1, 1);
    for (kind, vectors_of_noise) in [("vae-gan", 2), ("soft-intro", 3)] {
        let (config, batch) = (config(&["model.kind=resnet18", &format!("loss.kind={kind}")]), batch(1, 4));
        let (learner, vae) = (build(&config), model::build(&config));
        learner.forward(&batch, &train);
        let (mu, logvar) = vae.encode(&Var::constant(batch.images.clone()), &train);
        vae.decode(&mu.reparameterise(&logvar, &batch.noise(3 * vectors_of_noise).slice(1, 0, 3)), &train);
        let [found, expected] = [statistics(&*learner), statistics(&*vae)];
        assert!(expected.len() > 20 && found == expected, "{kind}");
    }
}

/// A frozen encoder gets no gradient, and the decoder and the discriminator learn.
#[test]
fn a_vae_gan_trains_with_a_frozen_encoder() {
    let frozen = ["model.kind=resnet18", "loss.kind=vae-gan", "model.freeze_encoder=true", "model.freeze_heads=true"];
    let model = build(&config(&frozen));
    let gradients = model.forward(&batch(1, 4), &ForwardContext::train(1, 1)).terms.total.backward();
    for (name, param) in nn::parameters(&*model) {
        assert_eq!(gradients.get(&param).is_some(), !name.starts_with("encoder."), "{name}");
        assert_eq!(param.is_frozen(), name.starts_with("encoder."), "{name}");
    }
}
