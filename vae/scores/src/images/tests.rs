//! Scores of pictures of an untrained model, against their definitions.

use vae_core::image_quality::{laplacian, similarity};

use super::*;
use crate::latents::tests::untrained;

fn scores(run: &LoadedRun, images: usize) -> Scores {
    let mut scores = Scores { images, ..Scores::default() };
    score(run, &Options { images, extractor: None, inception: None, ..Options::default() }, &mut scores).unwrap();
    scores
}

fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).unwrap_or_else(|| panic!("{name} is missing: {:?}", scores.missing)).value
}

#[track_caller]
fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got}, expected {expected}");
}

#[test]
fn an_r2_of_a_hundredth_is_better_than_the_mean_image() {
    assert_eq!([LEAST_R2.next_down(), LEAST_R2, f64::NAN].map(is_no_better_than_mean), [true, false, false]);
}

/// 50 of 120 test images of 8 × 8 pixels, for which there is no classifier.
#[test]
fn scores_of_pictures_are_their_definitions() {
    let run = untrained(&[]);
    let all = scores(&run, 50);
    let (predictor, test) = (&run.predictor, &run.dataset().unwrap().test);
    let places: Vec<usize> = (0..50).collect();
    let validation = block_on(predictor.evaluate(test, &places)).unwrap();
    close(value(&all, "total"), validation.losses.total);
    close(value(&all, "kl"), validation.losses.part("kl").unwrap());
    let kl = all.get("kl_per_dim").unwrap();
    close(kl.value, validation.kl_per_dim.iter().sum());
    assert_eq!(kl.parts, validation.kl_per_dim);
    assert_eq!(
        (&*kl.of, &*all.get("total").unwrap().of),
        ("50 test images", "50 test images, one draw of z per image")
    );

    let [originals, reconstructions] = block_on(predictor.reconstructions(test, &places)).unwrap().unwrap();
    let samples = block_on(predictor.sample(50)).unwrap().unwrap();
    let errors: Vec<f64> =
        originals.chunks(64).zip(reconstructions.chunks(64)).map(|(a, b)| similarity::mse(a, b)).collect();
    close(value(&all, "mse"), errors.iter().sum::<f64>() / 50.0);
    close(value(&all, "r2"), 1.0 - value(&all, "mse") / value(&all, "mse_mean_image"));
    assert_eq!(all.warnings.len(), 1, "an untrained model is worse than the mean image: {:?}", all.warnings);
    close(value(&all, "psnr"), errors.iter().map(|mse| -10.0 * mse.log10()).sum::<f64>() / 50.0);
    for (name, pixels, of) in [
        ("laplacian_variance_originals", &originals, "50 test images"),
        ("laplacian_variance_reconstructions", &reconstructions, "reconstructions of 50 test images, z = mu"),
        ("laplacian_variance_samples", &samples, "50 samples"),
    ] {
        let sharpness = |x: &[f32]| laplacian::laplacian_variance(x, [1, 8, 8]);
        close(value(&all, name), pixels.chunks(64).map(sharpness).sum::<f64>() / 50.0);
        assert_eq!(all.get(name).unwrap().of, of);
    }

    let count = run.dataset().unwrap().train.count();
    let train = predictor.batch(&run.dataset().unwrap().train, &(0..count).collect::<Vec<_>>()).unwrap();
    let train = block_on(predictor.to_unit(&train)).unwrap();
    let nearest = |x: &[f32]| train.chunks(64).map(|y| similarity::mse(x, y)).fold(f64::INFINITY, f64::min);
    let [of_samples, of_test] = [&samples, &originals].map(|all| all.chunks(64).map(nearest).sum::<f64>() / 50.0);
    close(value(&all, "nearest_training_mse"), of_samples);
    close(value(&all, "nearest_training_mse_test"), of_test);
    close(value(&all, "nearest_training_ratio"), of_samples / of_test);
    let of = format!("50 samples, each compared with the nearest of {count} training images");
    assert_eq!(all.get("nearest_training_mse").unwrap().of, of);

    let missing: Vec<&str> = all.missing.iter().map(|missing| &*missing.name).collect();
    let without_classifier = [DISTANCES.as_flattened(), &[RECOGNISED, TAUGHT, "label_histogram"]].concat();
    assert_eq!(missing, [&["ssim"], &without_classifier[..]].concat());
    assert!(all.missing[0].why.contains("window of 11 pixels"), "{:?}", all.missing[0]);
    assert!(all.missing[1].why.contains("data.kind=shapes"), "{:?}", all.missing[1]);
    assert!(all.warnings.iter().all(|words| words.contains("than the mean training image")), "{:?}", all.warnings);
}

/// The built-in classifier labels samples and reconstructions of digits.
#[test]
fn scores_of_digits_use_the_built_in_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = untrained(&["data.kind=digits", "data.images=12000", "data.image_size=28", "data.limit=64"]);
    run.path = folder.path().into();
    let all = scores(&run, 30);
    assert!(all.missing.is_empty(), "{:?}", all.missing);
    let options = Options { images: 30, extractor: None, inception: None, ..Options::default() };
    let extractor = Extractor::classifier(&run, &options).unwrap().expect("that of digits");
    let (test, train, shape) = (&run.dataset().unwrap().test, &run.dataset().unwrap().train, [1, 28, 28]);
    let places: Vec<usize> = (0..30).collect();
    let [originals, reconstructions] = block_on(run.predictor.reconstructions(test, &places)).unwrap().unwrap();
    let samples = block_on(run.predictor.sample(30)).unwrap().unwrap();
    let seen = |pixels: &[f32]| extractor.features(&*run.predictor.ranks, pixels, shape).unwrap();
    let (real, drawn, back) = (seen(&originals), seen(&samples), seen(&reconstructions));
    for ([frechet, kid], features) in DISTANCES.into_iter().zip([&drawn, &back]) {
        close(value(&all, frechet), frechet_distance(features, &real));
        close(value(&all, kid), kernel_distance(features, &real));
        assert!(all.get(frechet).unwrap().caveat.contains("no more images than the"), "30 images are few");
    }
    assert_eq!(all.warnings.iter().filter(|words| !words.contains("than the mean training image")).count(), 1);
    assert!(value(&all, "ssim") < 1.0 && value(&all, "ssim") > -1.0);

    let histogram = all.get("label_histogram").unwrap();
    let labels = extractor.labels(&drawn).unwrap();
    for (label, share) in histogram.parts.iter().enumerate() {
        close(30.0 * share, labels.iter().filter(|&&known| known == label).count() as f64);
    }
    close(histogram.value, 0.5 * histogram.parts.iter().map(|share| (share - 0.1).abs()).sum::<f64>());
    assert_eq!(histogram.parts.len(), 10);

    let truth = test.labels(&places);
    let recognised = |features: &Features| accuracy(&extractor.labels(features).unwrap(), &truth);
    let parts = &all.get(RECOGNISED).unwrap().parts;
    assert_eq!(parts[..], [recognised(&back), recognised(&real)]);
    assert!(parts[1] > 0.9);

    let [pixels, guesses] = block_on(run.predictor.reconstructions(train, &places)).unwrap().unwrap();
    let labels = train.labels(&places);
    let taught = |pixels: &[f32]| {
        let linear = LinearClassifier::train(&seen(pixels), &labels, 10).unwrap();
        accuracy(&linear.predict(&real), &truth)
    };
    assert_eq!(all.get(TAUGHT).unwrap().parts[..], [taught(&guesses), taught(&pixels)]);

    // The features of real images are read from the cache, and computed again where it is damaged.
    let cache = std::fs::read_dir(folder.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    let again = extractor.cached_features(&run, &originals, shape, &mut Vec::new()).unwrap();
    assert_eq!(again, real);
    std::fs::write(&cache, b"damaged").unwrap();
    assert_eq!(extractor.cached_features(&run, &originals, shape, &mut Vec::new()).unwrap(), real);
    assert!(std::fs::metadata(&cache).unwrap().len() > 100, "it is written again");
}

/// As many images as features are enough.
#[test]
fn a_distance_between_more_images_than_features_has_no_caveat() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = untrained(&["data.kind=digits", "data.images=12000", "data.image_size=28", "data.limit=64"]);
    run.path = folder.path().into();
    let options = Options { images: 1, extractor: None, inception: None, ..Options::default() };
    let width = Extractor::classifier(&run, &options).unwrap().expect("that of digits").width;
    let few = |images: usize| !scores(&run, images).get(DISTANCES[0][0]).unwrap().caveat.is_empty();
    assert_eq!([few(width), few(width + 1)], [true, false]);
}

#[test]
fn what_a_model_cannot_do_is_missing() {
    let names = |settings: &[&str]| {
        let all = scores(&untrained(settings), 40);
        all.missing.iter().map(|missing| missing.name.clone()).collect::<Vec<_>>()
    };
    let small = ["data.image_size=16", "model.width=2"];
    let classifier = names(&[&small[..], &["model.kind=classifier"]].concat());
    assert_eq!(classifier, [&OF_RECONSTRUCTIONS[..], &OF_SAMPLES, DISTANCES.as_flattened()].concat());
    let vq = ["model.kind=vq", "model.encoder=basic", "model.widths=4", "model.codes=8", "model.code_width=4"];
    let vq = names(&[&small[..], &vq].concat());
    assert_eq!(vq, [&OF_SAMPLES[..], &DISTANCES[0], &DISTANCES[1], &[RECOGNISED, TAUGHT]].concat());
}

#[test]
fn without_test_images_the_validation_images_are_used() {
    let run = untrained(&[]);
    assert_eq!(EvalImages::of(&run, 1_000).unwrap().to_string(), "120 test images");
    assert_eq!(EvalImages::of(&run, 7).unwrap().to_string(), "7 test images");
    let mut dataset = run.dataset().unwrap().clone();
    dataset.test = vae_core::data::Split::new(dataset.test.images().clone(), Vec::new());
    let run = LoadedRun::of_parts(&run.path, run.predictor, dataset, Vec::new());
    assert_eq!(EvalImages::of(&run, 7).unwrap().to_string(), "7 validation images");
}
