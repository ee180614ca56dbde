//! Scores of images: reconstructions of test images, and samples from the prior.
//!
//! - `total`, and its parts such as `reconstruction`, `kl`, `accuracy`: the losses on test images, computed as in
//!   validation, with one draw of z per image.
//! - `kl_per_dim`: the KL on the same images, in nats. The parts are the latents.
//! - `latents_in_use`: the number of latents with a KL above `vae_core::predict::IN_USE`.
//! - `mse`, `psnr`, `ssim`: reconstructions compared with test images, z = mu, pixels in [0, 1]; see
//!   `vae_core::image_quality::similarity`.
//! - `mse_mean_image`, `r2`: the error of always answering with the mean training image, and R² = 1 − mse/mse_mean_image; see
//!   `vae_core::data::mean_image_mse`.
//! - `laplacian_variance_originals`, `laplacian_variance_reconstructions`, `laplacian_variance_samples`: sharpness; see
//!   `vae_core::image_quality::laplacian`.
//! - `frechet_distance`, `kid`: samples compared with test images; see `frechet` and `extractor`.
//! - `frechet_distance_reconstructions`, `kid_reconstructions`: reconstructions compared with test images.
//! - `label_histogram`: a classifier labels the samples. The score is the total variation ½ Σ |p − 1/classes| between
//!   the shares p of the labels and a uniform distribution. The parts are p.
//! - `two_stage_recognised`, `two_stage_taught`: see `two_stage`. The parts are the scores of reconstructions and of
//!   originals.
//! - `nearest_training_mse`, `nearest_training_mse_test`: the error of the nearest training image, as a mean over
//!   samples and over test images.
//! - `nearest_training_ratio`: the first of these divided by the second. It is far below 1 if samples are copies of
//!   training images.

use pollster::block_on;
use rayon::prelude::*;
use vae_core::Result;
use vae_core::data::{mean_image_mse, nearest_neighbours};
use vae_core::image_quality::laplacian::laplacian_variance;
use vae_core::image_quality::similarity;
use vae_core::objective::part_unit;
use vae_core::predict::IN_USE;
use vae_run::LoadedRun;

use super::extractor::Extractor;
use super::frechet::{Features, frechet_distance, kernel_distance};
use super::two_stage::{LinearClassifier, accuracy};
use super::{EvalImages, Options, Scores};

const OF_RECONSTRUCTIONS: [&str; 9] = [
    "mse",
    "mse_mean_image",
    "r2",
    "psnr",
    "ssim",
    "laplacian_variance_originals",
    "laplacian_variance_reconstructions",
    RECOGNISED,
    TAUGHT,
];
const OF_SAMPLES: [&str; 5] = [
    "laplacian_variance_samples",
    "label_histogram",
    "nearest_training_mse",
    "nearest_training_mse_test",
    "nearest_training_ratio",
];
/// The Fréchet distance and KID, for samples and for reconstructions.
const DISTANCES: [[&str; 2]; 2] =
    [["frechet_distance", "kid"], ["frechet_distance_reconstructions", "kid_reconstructions"]];
const RECOGNISED: &str = "two_stage_recognised";
const TAUGHT: &str = "two_stage_taught";

/// An R² below this is no better than the mean training image.
const LEAST_R2: f64 = 0.01;

/// Returns whether reconstructions with this R² are no better than the mean training image.
pub fn is_no_better_than_mean(r2: f64) -> bool {
    r2 < LEAST_R2
}

/// The images that are compared, with pixels in [0, 1].
struct Pictures {
    /// Channels, height and width of each image.
    shape: [usize; 3],
    originals: Vec<f32>,
    reconstructions: Vec<f32>,
    /// `None` if the model has no prior to sample from.
    samples: Option<Vec<f32>>,
}

/// Returns the names of these scores, without the losses.
pub(super) fn names() -> impl Iterator<Item = String> {
    let all = OF_RECONSTRUCTIONS.iter().chain(&OF_SAMPLES).chain(DISTANCES.as_flattened());
    all.map(|&name| name.to_owned())
}

/// Adds the scores of images.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let eval = EvalImages::of(run, options.images)?;
    let classifier = Extractor::classifier(run, options)?;
    let inception =
        options.inception.as_ref().map(|file| Extractor::inception(file, run.predictor.device())).transpose()?;
    losses(run, &eval, scores)?;
    let kind = run.predictor.config.model.kind;
    let Some([originals, reconstructions]) = block_on(run.predictor.reconstructions(eval.split, &eval.places))? else {
        let why = format!("model.kind = \"{kind}\" does not reconstruct images");
        names().for_each(|name| scores.add_missing(&name, &*why));
        return Ok(());
    };
    let samples = block_on(run.predictor.sample(options.images))?;
    let shape = run.predictor.transform.shape();
    let pictures = Pictures { shape, originals, reconstructions, samples };
    similarities(run, &pictures, &eval, scores)?;
    sharpness(&pictures, &eval, scores);
    if pictures.samples.is_none() {
        let lacking = OF_SAMPLES.iter().chain(&DISTANCES[0]);
        lacking.for_each(|name| {
            scores.add_missing(
                name,
                format!("model.kind = \"{kind}\" has no prior to draw samples from; vae fit-prior fits one to codes"),
            )
        });
    }
    distances(run, inception.as_ref().or(classifier.as_ref()), &pictures, &eval, scores)?;
    classified(run, classifier.as_ref(), &pictures, &eval, scores)?;
    neighbours(run, &pictures, &eval, scores)
}

/// Adds the losses on images that were not used in training.
fn losses(run: &LoadedRun, eval: &EvalImages, scores: &mut Scores) -> Result<()> {
    let validation = block_on(run.predictor.evaluate(eval.split, &eval.places))?;
    let drawn = if validation.kl_per_dim.is_empty() { "" } else { ", one draw of z per image" };
    let of = format!("{eval}{drawn}");
    scores.add("total", validation.losses.total, "as minimised, per image", &of);
    for &(name, part) in &validation.losses.parts {
        scores.add(name, part, part_unit(name), &of);
    }
    if !validation.kl_per_dim.is_empty() {
        let words = format!("{eval}; latents (of {}) with a KL above {IN_USE} nat", validation.kl_per_dim.len());
        scores.add("latents_in_use", validation.latents_in_use() as f64, "latents", words);
        let parts = validation.kl_per_dim;
        scores.add_list("kl_per_dim", parts.iter().sum(), "nats per image", eval.to_string(), parts);
    }
    Ok(())
}

/// Adds the scores that compare reconstructions with their originals.
fn similarities(run: &LoadedRun, pictures: &Pictures, eval: &EvalImages, scores: &mut Scores) -> Result<()> {
    let Pictures { shape, originals, reconstructions, .. } = pictures;
    let len: usize = shape.iter().product();
    let pairs = originals.par_chunks_exact(len).zip(reconstructions.par_chunks_exact(len));
    let measured: Vec<_> = pairs.map(|(a, b)| (similarity::mse(a, b), similarity::ssim(a, b, *shape))).collect();
    let of = format!("{eval} and their reconstructions, z = mu, in [0, 1]");
    let errors = || measured.iter().map(|(mse, _)| *mse);
    let (error, dataset) = (mean(errors()), run.dataset()?);
    let baseline = mean_image_mse(&run.predictor.transform, &dataset.train, eval.split, &eval.places)?;
    scores.add("mse", error, "per pixel", &of);
    scores.add("mse_mean_image", baseline, "per pixel", format!("{eval} and the mean training image"));
    let r2 = 1.0 - error / baseline;
    scores.add("r2", r2, "", "1 − mse / mse_mean_image: 1 is perfect, 0 is no better than the mean training image");
    if is_no_better_than_mean(r2) {
        scores.warnings.push(format!(
            "the reconstructions of test images are no better than the mean training image: their MSE is {error:.4}, that of the mean image {baseline:.4}"
        ));
    }
    scores.add("psnr", mean(errors().map(similarity::psnr)), "dB", format!("{of}; the mean over pairs"));
    match measured.iter().map(|(_, ssim)| *ssim).collect::<Option<Vec<f64>>>() {
        Some(ssim) => scores.add("ssim", mean(ssim.into_iter()), "", of),
        None => {
            scores.add_missing("ssim", format!("an image is smaller than its window of {} pixels", similarity::WINDOW))
        }
    }
    Ok(())
}

/// Adds the sharpness of originals, reconstructions and samples.
fn sharpness(pictures: &Pictures, eval: &EvalImages, scores: &mut Scores) {
    let len: usize = pictures.shape.iter().product();
    let count = |pixels: &[f32]| pixels.len() / len;
    let kinds = [
        ("laplacian_variance_originals", Some(&pictures.originals), eval.to_string()),
        (
            "laplacian_variance_reconstructions",
            Some(&pictures.reconstructions),
            format!("reconstructions of {eval}, z = mu"),
        ),
        ("laplacian_variance_samples", pictures.samples.as_ref(), "samples".into()),
    ];
    for (name, pixels, of) in kinds {
        let Some(pixels) = pixels else { continue };
        let each: Vec<f64> = pixels.par_chunks_exact(len).map(|x| laplacian_variance(x, pictures.shape)).collect();
        let of = if name.ends_with("samples") { format!("{} {of}", count(pixels)) } else { of };
        scores.add(name, mean(each.into_iter()), "squared grey levels", of);
    }
}

/// Adds the distances of samples and reconstructions from real images, in the features of an extractor.
fn distances(
    run: &LoadedRun,
    extractor: Option<&Extractor>,
    pictures: &Pictures,
    eval: &EvalImages,
    scores: &mut Scores,
) -> Result<()> {
    let Some(extractor) = extractor else {
        let first: usize = if pictures.samples.is_some() { 0 } else { 1 };
        let why = format!(
            "there is no classifier of {}: train one, for example with train --recipe cifar10-classifier --set data.kind={0}, and \
             name its run with --extractor; or name pytorch-fid's weights with --inception",
            run.predictor.config.data.kind
        );
        DISTANCES[first..].as_flattened().iter().for_each(|name| scores.add_missing(name, &*why));
        return Ok(());
    };
    let real = extractor.cached_features(run, &pictures.originals, pictures.shape, &mut scores.warnings)?;
    let drawn = match &run.predictor.prior {
        Some(prior) => format!("samples of the {}", prior.words()),
        None => "samples".into(),
    };
    let kinds = [(pictures.samples.as_ref(), &*drawn), (Some(&pictures.reconstructions), "reconstructions")];
    let mut few = false;
    for ([frechet, kid], (pixels, what)) in DISTANCES.into_iter().zip(kinds) {
        let Some(pixels) = pixels else { continue };
        let seen = extractor.features(&*run.predictor.ranks, pixels, pictures.shape)?;
        let of = format!("{} {what}, {eval}; {}", seen.images(), extractor.words());
        // The covariance of n images has at most the rank n − 1.
        let too_few = seen.images().min(real.images()) <= extractor.width;
        few |= too_few;
        scores.add(frechet, frechet_distance(&seen, &real), "", &of);
        if too_few {
            scores.add_caveat(format!(
                "There are no more images than the {} features, so the distance is too large.",
                extractor.width
            ));
        }
        scores.add(kid, kernel_distance(&seen, &real), "", of);
    }
    if few {
        scores.warnings.push(format!(
            "the Fréchet distance is unreliable unless there are more images than the {} features of {}; use more with --images",
            extractor.width, extractor.name
        ));
    }
    Ok(())
}

/// Adds the scores that use a classifier of the labels.
fn classified(
    run: &LoadedRun,
    extractor: Option<&Extractor>,
    pictures: &Pictures,
    eval: &EvalImages,
    scores: &mut Scores,
) -> Result<()> {
    let (predictor, shape) = (&run.predictor, pictures.shape);
    let known = extractor.and_then(|extractor| Some((extractor, extractor.classes_of(&predictor.config)?)));
    let Some((extractor, classes)) = known else {
        let names = [RECOGNISED, TAUGHT, "label_histogram"];
        let names = &names[..if pictures.samples.is_some() { 3 } else { 2 }];
        let why = "there is no classifier of these labels: train one on data.kind and name its run with --extractor";
        names.iter().for_each(|name| {
            scores.add_missing(name, why.replace("data.kind", &predictor.config.data.kind.to_string()))
        });
        return Ok(());
    };
    if let Some(samples) = &pictures.samples {
        let labels = extractor.labels(&extractor.features(&*run.predictor.ranks, samples, shape)?)?;
        let shares = shares(&labels, classes);
        let distance = 0.5 * shares.iter().map(|share| (share - 1.0 / classes as f64).abs()).sum::<f64>();
        let of = format!("{} samples, classified by {}; parts: the share of each label", labels.len(), extractor.name);
        scores.add_list("label_histogram", distance, "total variation from uniform", of, shares);
    }
    let truth = eval.split.labels(&eval.places);
    let real = extractor.cached_features(run, &pictures.originals, shape, &mut scores.warnings)?;
    let recognised = |features: &Features| Ok::<_, vae_core::Error>(accuracy(&extractor.labels(features)?, &truth));
    let parts = vec![
        recognised(&extractor.features(&*run.predictor.ranks, &pictures.reconstructions, shape)?)?,
        recognised(&real)?,
    ];
    let parts_note = "parts: for reconstructions, for the originals";
    let of = format!("reconstructions of {eval}, share that {} classifies correctly; {parts_note}", extractor.name);
    scores.add_list(RECOGNISED, parts[0], "share of the images", of, parts);

    let places: Vec<usize> = (0..run.dataset()?.train.count().min(eval.places.len())).collect();
    let labels = run.dataset()?.train.labels(&places);
    let pair = block_on(predictor.reconstructions(&run.dataset()?.train, &places))?.expect("it gave images before");
    let taught = |pixels: &[f32]| {
        let linear =
            LinearClassifier::train(&extractor.features(&*run.predictor.ranks, pixels, shape)?, &labels, classes);
        Ok::<_, vae_core::Error>(linear.map_or(f64::NAN, |linear| accuracy(&linear.predict(&real), &truth)))
    };
    let parts = vec![taught(&pair[1])?, taught(&pair[0])?];
    let of = format!(
        "{eval}, share that a linear classifier labels correctly after training on {} reconstructed training images, using {}; {parts_note}",
        places.len(),
        extractor.words()
    );
    scores.add_list(TAUGHT, parts[0], "share of the images", of, parts);
    Ok(())
}

/// Returns the share of each label.
fn shares(labels: &[usize], classes: usize) -> Vec<f64> {
    let of = |label: usize| labels.iter().filter(|&&known| known == label).count() as f64 / labels.len() as f64;
    (0..classes).map(of).collect()
}

/// Adds the scores that show whether samples are copies of training images.
fn neighbours(run: &LoadedRun, pictures: &Pictures, eval: &EvalImages, scores: &mut Scores) -> Result<()> {
    let Some(samples) = &pictures.samples else { return Ok(()) };
    // Together, because each call reads all training images.
    let both = [&samples[..], &pictures.originals].concat();
    let nearest = nearest_neighbours(&run.predictor.transform, &run.dataset()?.train, &both)?;
    let count = run.dataset()?.train.count();
    let drawn = samples.len() / pictures.shape.iter().product::<usize>();
    let (of_samples, of_test) = nearest.split_at(drawn);
    let [of_samples, of_test] = [of_samples, of_test].map(|nearest| mean(nearest.iter().map(|(_, error)| *error)));
    let of = |what: &str| format!("{what}, each compared with the nearest of {count} training images");
    scores.add("nearest_training_mse", of_samples, "per pixel", of(&format!("{drawn} samples")));
    scores.add("nearest_training_mse_test", of_test, "per pixel", of(&eval.to_string()));
    scores.add(
        "nearest_training_ratio",
        of_samples / of_test,
        "",
        "the former divided by the latter; far below 1 if samples are copies",
    );
    Ok(())
}

fn mean(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = numbers.len() as f64;
    numbers.sum::<f64>() / count
}

#[cfg(test)]
mod tests;
