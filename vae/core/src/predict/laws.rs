//! Laws of a predictor: batches change nothing, and what it computes at once agrees with what it computes in steps.

use pollster::block_on;
use tensor::Generator;

use super::*;
use crate::config::{PriorKind, Settings};
use crate::data::Dataset;
use crate::learn;
use crate::prior::{self, Mixture, Prior};
use crate::random::Purpose;

/// A predictor of 16 × 16 digits, whose batches have five images.
fn predictor(settings: &[&str]) -> (Predictor, Dataset) {
    let mut all = Settings::default();
    let small = ["model.width=2", "model.z_dim=3", "data.image_size=16", "data.limit=64", "train.batch_size=5"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    let dataset = Dataset::built_in(&config).unwrap();
    let model = learn::build(&config);
    (Predictor::new(config, model, dataset.transform.clone(), Device::Cpu), dataset)
}

#[track_caller]
fn close(a: &[f32], b: &[f32]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
}

/// Twelve images are two whole batches and a part.
#[test]
fn codes_do_not_depend_on_batches_and_decode_to_the_reconstructions() {
    for conditional in [false, true] {
        let (predictor, dataset) = predictor(&[&format!("model.conditional={conditional}"), "model.output=sigmoid"]);
        let test = &dataset.test;
        let places: Vec<usize> = (3..15).collect();
        let [mu, logvar] = block_on(predictor.encode(test, &places)).unwrap().unwrap();
        assert_eq!((mu.shape().to_vec(), logvar.shape().to_vec()), (vec![12, 3], vec![12, 3]));
        let [one, _] = block_on(predictor.encode(test, &places[7..8])).unwrap().unwrap();
        close(one.data(), &mu.data()[21..24]);
        let decoded = block_on(predictor.decode(&mu, &test.labels(&places))).unwrap().unwrap();
        let [originals, reconstructions] = block_on(predictor.reconstructions(test, &places)).unwrap().unwrap();
        close(&decoded, &reconstructions);
        assert!(reconstructions.iter().all(|x| (0.0..=1.0).contains(x)));
        let mut bytes = vec![0; 28 * 28];
        test.read(3, &mut bytes).unwrap();
        let images = predictor.batch(test, &places).unwrap();
        close(&originals, images.data()); // `data.normalise` is `unit`
        close(&block_on(predictor.reconstruction(test, &places, &images)).unwrap().unwrap(), &reconstructions);
    }
}

#[test]
fn the_error_is_the_mean_over_all_pixels_of_the_pictures() {
    let (predictor, dataset) = predictor(&["data.normalise=symmetric", "model.output=tanh"]);
    let places: Vec<usize> = (0..12).collect();
    let validation = block_on(predictor.evaluate(&dataset.test, &places)).unwrap();
    let [truth, guess] = block_on(predictor.reconstructions(&dataset.test, &places)).unwrap().unwrap();
    let squares: f64 = truth.iter().zip(&guess).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    assert!((validation.mse.unwrap() - squares / truth.len() as f64).abs() < 1e-9, "{validation:?}");
    let [mu, logvar] = block_on(predictor.encode(&dataset.test, &places)).unwrap().unwrap();
    for (d, kl) in validation.kl_per_dim.iter().enumerate() {
        let each = (0..12).map(|i| [&mu, &logvar].map(|x| f64::from(x.data()[3 * i + d])));
        let exact: f64 = each.map(|[mu, logvar]| 0.5 * (mu * mu + logvar.exp() - 1.0 - logvar)).sum::<f64>() / 12.0;
        assert!((kl - exact).abs() < 1e-5, "{d}: {kl}, exactly {exact}");
    }
    let none = block_on(predictor.evaluate(&dataset.test, &places[..1])).unwrap();
    assert_ne!(none.losses, validation.losses);
}

#[test]
fn a_latent_at_the_limit_is_not_in_use() {
    let kl_per_dim = vec![0.0, IN_USE, 1.001 * IN_USE, 3.0, 4.0];
    assert_eq!(Validation { losses: Losses::default(), kl_per_dim, mse: None }.latents_in_use(), 3);
}

#[test]
fn samples_are_decoded_draws_of_the_seed() {
    let (predictor, _) = predictor(&["seed=3", "model.output=sigmoid"]);
    let samples = block_on(predictor.sample(7)).unwrap().unwrap();
    let z = Purpose::Samples.stream(3, 0).normal_tensor([7, 3]);
    close(&samples, &block_on(predictor.decode(&z, &[0; 7])).unwrap().unwrap());
    assert_eq!(samples.len(), 7 * 256);
    assert_ne!(samples[..256], samples[256..512]);
}

/// The noise of an image depends on its index in all images, not on its position in a split or a batch.
#[test]
fn an_image_has_the_same_losses_wherever_it_is() {
    let (predictor, dataset) = predictor(&[]);
    let index = dataset.test.indices()[9];
    let alone = Split::new(dataset.test.images().clone(), vec![index]);
    let [here, there] = [(&dataset.test, 9), (&alone, 0)]
        .map(|(split, place)| block_on(predictor.evaluate(split, &[place])).unwrap().losses);
    assert!((here.total - there.total).abs() < 1e-4 * here.total, "{here:?} {there:?}");
}

/// −ln p of a draw is ½|z|² + ½·d·ln 2π under N(0, I).
#[test]
fn latents_have_nats_under_the_prior_in_use() {
    let places: Vec<usize> = (0..12).collect();
    let (mut plain, dataset) = predictor(&["model.kind=dense"]);
    assert_eq!((plain.prior_words().as_str(), plain.draws_standard_normal()), ("N(0, I)", true));
    let z = block_on(plain.latents(&dataset.train, &places)).unwrap().unwrap();
    let squares: f64 = z.data().iter().map(|&z| f64::from(z).powi(2)).sum::<f64>() / 12.0;
    let nats = block_on(plain.latent_nats(&z)).unwrap().unwrap();
    assert!((nats - 0.5 * (squares + 3.0 * std::f64::consts::TAU.ln())).abs() < 1e-6, "{nats}");

    let of_training = |predictor: &Predictor| {
        let each = block_on(predictor.log_prior(&z)).unwrap();
        assert_eq!(each.len(), 12);
        -each.iter().sum::<f64>() / 12.0
    };
    assert!((of_training(&plain) - nats).abs() < 1e-6 && !plain.latent_nats_are_a_bound());
    let under_normal = nats;

    // A fitted prior takes its place. Batches of 5, 5 and 2 latents have the mean of all.
    let mixture = Mixture::fit(&z, 2, 5, &mut Generator::new(1), &mut |_, _| {}).unwrap();
    let expected = f64::from(mixture.nats(&z).mean_all().item());
    plain.prior = Some(Box::new(mixture));
    assert_eq!((plain.prior_words().as_str(), plain.draws_standard_normal()), ("mixture of 2 Gaussians", false));
    let nats = block_on(plain.latent_nats(&z)).unwrap().unwrap();
    assert!((nats - expected).abs() < 1e-4, "{nats}, expected {expected}");
    assert!((of_training(&plain) - under_normal).abs() < 1e-6, "the model was trained with N(0, I)");
    assert!(!plain.latent_nats_are_a_bound());
    plain.prior = Some(prior::blank(PriorKind::Vae, &plain.config, &plain.config.prior).unwrap());
    assert!(plain.latent_nats_are_a_bound());

    let (vamp, _) = predictor(&["model.kind=dense", "model.prior=vamp", "model.pseudo_inputs=6"]);
    assert_eq!((vamp.prior_words().as_str(), vamp.draws_standard_normal()), ("VampPrior of 6 pseudo-inputs", false));
    let expected = f64::from(vamp.model.prior().expect("its own").nats(&z).mean_all().item());
    let nats = block_on(vamp.latent_nats(&z)).unwrap().unwrap();
    assert!((nats - expected).abs() < 1e-4 * expected.abs(), "{nats}, expected {expected}");
    assert!((of_training(&vamp) - expected).abs() < 1e-4 * expected.abs());

    let (codes, dataset) = predictor(&["model.kind=fsq", "model.widths=4", "model.levels=3,2"]);
    let latents = block_on(codes.latents(&dataset.train, &places)).unwrap().unwrap();
    assert_eq!((codes.draws_standard_normal(), latents.shape().to_vec()), (false, vec![12, 64]));
    assert_eq!(block_on(codes.latent_nats(&latents)).unwrap(), None, "it has no prior yet");
}

/// z = mu + σ·ε, with the noise of the images.
#[test]
fn a_prior_is_fitted_to_draws_from_the_posteriors() {
    let (predictor, dataset) = predictor(&["model.kind=dense"]);
    let (train, places) = (&dataset.train, [3, 1, 30]);
    let z = block_on(predictor.latents(train, &places)).unwrap().unwrap();
    let [mu, logvar] = block_on(predictor.encode(train, &places)).unwrap().unwrap();
    let noise = crate::random::image_noise(predictor.config.seed, &places.map(|place| train.indices()[place]), 3);
    let expected: Vec<f32> = (0..9).map(|i| mu.data()[i] + (0.5 * logvar.data()[i]).exp() * noise.data()[i]).collect();
    close(z.data(), &expected);
    assert!(noise.data().iter().any(|e| e.abs() > 0.1));
}

/// In a hierarchical model, mu and σ are those of the drawing itself.
#[test]
fn a_prior_is_fitted_to_draws_of_all_groups() {
    let (predictor, dataset) = predictor(&["model.kind=ladder", "model.groups=2,1", "model.z_dim=96", "model.width=2"]);
    let (train, places) = (&dataset.train, [3, 1]);
    let noise = crate::random::image_noise(predictor.config.seed, &places.map(|place| train.indices()[place]), 96);
    let drawn = |[mu, logvar]: [Tensor; 2]| mu.add(&logvar.mul_scalar(0.5).exp().mul(&noise));
    let z = block_on(predictor.latents(train, &places)).unwrap().unwrap();
    let each = block_on(predictor.encode_drawing(train, &places, Some(&noise))).unwrap().unwrap();
    close(z.data(), drawn(each).data());
    let means = drawn(block_on(predictor.encode(train, &places)).unwrap().unwrap());
    let differ = |range: std::ops::Range<usize>| z.data()[range.clone()] != means.data()[range];
    assert!(!differ(0..16) && differ(16..96), "the posterior of the first group depends on no draw");
}

/// For a Gaussian with σ = 1, ln p(x|z) = −½·Σ(x − x̂)² − ½·D·ln 2π.
#[test]
fn the_density_of_an_image_is_that_of_its_reconstruction() {
    let gaussian = ["loss.reconstruction=gaussian", "loss.variance=fixed", "loss.sigma=1", "model.output=sigmoid"];
    let (predictor, dataset) = predictor(&gaussian);
    let images = predictor.batch(&dataset.test, &[4]).unwrap();
    let [mu, _] = block_on(predictor.encode(&dataset.test, &[4])).unwrap().unwrap();
    let z = Tensor::concat(&[&mu, &mu.add_scalar(1.0)], 0);
    let found = block_on(predictor.log_density(&dataset.test, 4, &images, &z)).unwrap().unwrap();
    let decoded = block_on(predictor.decode(&z, &[0, 0])).unwrap().unwrap();
    assert_eq!(found.len(), 2);
    for (found, decoded) in found.iter().zip(decoded.chunks_exact(256)) {
        let squares = images.data().iter().zip(decoded).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        let expected = -0.5 * squares - 128.0 * std::f64::consts::TAU.ln();
        assert!((f64::from(*found) - expected).abs() < 1e-3, "{found}, expected {expected}");
    }
}
