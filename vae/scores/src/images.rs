//! The scores of images: what the model gives back of images that it never saw, and what it makes of nothing.
//!
//! | score | of |
//! |---|---|
//! | `total`, and its parts such as `reconstruction`, `kl`, `accuracy` | test images, as validation has them: z drawn once an image |
//! | `kl_per_dim` | the same; the parts are the latents, in nats |
//! | `mse`, `psnr`, `ssim` | reconstructions of test images, z = mu, in [0, 1]: see `similarity` |
//! | `laplacian_variance_originals`, `…_reconstructions`, `…_samples` | see `laplacian` |
//! | `frechet_distance`, `kid` | samples against test images: see `frechet`, `extractor` |
//! | `frechet_distance_reconstructions`, `kid_reconstructions` | reconstructions against test images |
//! | `label_histogram` | total variation ½ Σ \|p − 1/classes\| of the labels that samples are given from uniform; the parts are p |
//! | `two_stage_recognised`, `two_stage_taught` | see `two_stage`; the parts: for reconstructions, for the originals |
//! | `nearest_training_mse`, `…_test` | the mean over samples, and over test images, of the error of the nearest training image |
//! | `nearest_training_ratio` | the first over the second: well below 1 where samples are copies of training images |

use pollster::block_on;
use rayon::prelude::*;
use vae_core::Result;
use vae_core::data::nearest_neighbours;
use vae_core::image_quality::laplacian::laplacian_variance;
use vae_core::image_quality::similarity;
use vae_core::objective::part_unit;
use vae_run::LoadedRun;

use super::extractor::Extractor;
use super::frechet::{Features, frechet_distance, kernel_distance};
use super::two_stage::{Linear, accuracy};
use super::{Judged, Options, Scores};

const OF_RECONSTRUCTIONS: [&str; 7] =
    ["mse", "psnr", "ssim", "laplacian_variance_originals", "laplacian_variance_reconstructions", RECOGNISED, TAUGHT];
const OF_SAMPLES: [&str; 4] =
    ["laplacian_variance_samples", "label_histogram", "nearest_training_mse", "nearest_training_ratio"];
/// Fréchet distance and KID, of samples and of reconstructions.
const DISTANCES: [[&str; 2]; 2] =
    [["frechet_distance", "kid"], ["frechet_distance_reconstructions", "kid_reconstructions"]];
const RECOGNISED: &str = "two_stage_recognised";
const TAUGHT: &str = "two_stage_taught";

/// Images that are compared, pixels in [0, 1].
struct Pictures {
    shape: [usize; 3],
    originals: Vec<f32>,
    reconstructions: Vec<f32>,
    /// None from what gives no images of its own.
    samples: Option<Vec<f32>>,
}

/// Adds them.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let judged = Judged::of(run, options.images);
    let classifier = Extractor::classifier(run, options)?;
    let inception =
        options.inception.as_ref().map(|file| Extractor::inception(file, run.predictor.device())).transpose()?;
    losses(run, &judged, scores)?;
    let kind = run.predictor.config.model.kind;
    let Some([originals, reconstructions]) = block_on(run.predictor.reconstructions(judged.split, &judged.places))?
    else {
        let all = OF_RECONSTRUCTIONS.iter().chain(&OF_SAMPLES).chain(DISTANCES.as_flattened());
        all.for_each(|name| scores.lacks(name, format!("model.kind = \"{kind}\" does not reconstruct images")));
        return Ok(());
    };
    let samples = block_on(run.predictor.sample(options.images))?;
    let shape = run.predictor.transform.shape();
    let pictures = Pictures { shape, originals, reconstructions, samples };
    similarities(&pictures, &judged, scores);
    sharpness(&pictures, &judged, scores);
    if pictures.samples.is_none() {
        let lacking = OF_SAMPLES.iter().chain(&DISTANCES[0]);
        lacking
            .for_each(|name| scores.lacks(name, format!("model.kind = \"{kind}\" has no prior to draw samples from")));
    }
    distances(run, inception.as_ref().or(classifier.as_ref()), &pictures, &judged, scores)?;
    named(run, classifier.as_ref(), &pictures, &judged, scores)?;
    neighbours(run, &pictures, &judged, scores)
}

/// What training minimised, on images that it never saw.
fn losses(run: &LoadedRun, judged: &Judged, scores: &mut Scores) -> Result<()> {
    let validation = block_on(run.predictor.evaluate(judged.split, &judged.places))?;
    let drawn = if validation.kl_per_dim.is_empty() { "" } else { ", one draw of z per image" };
    let of = format!("{judged}{drawn}");
    scores.add("total", validation.losses.total, "as minimised, per image", &of);
    for &(name, part) in &validation.losses.parts {
        scores.add(name, part, part_unit(name), &of);
    }
    if !validation.kl_per_dim.is_empty() {
        let parts = validation.kl_per_dim;
        scores.add_list("kl_per_dim", parts.iter().sum(), "nats per image", judged.to_string(), parts);
    }
    Ok(())
}

/// How near reconstructions come.
fn similarities(pictures: &Pictures, judged: &Judged, scores: &mut Scores) {
    let Pictures { shape, originals, reconstructions, .. } = pictures;
    let len: usize = shape.iter().product();
    let pairs = originals.par_chunks_exact(len).zip(reconstructions.par_chunks_exact(len));
    let measured: Vec<_> = pairs.map(|(a, b)| (similarity::mse(a, b), similarity::ssim(a, b, *shape))).collect();
    let of = format!("{judged} and their reconstructions, z = mu, in [0, 1]");
    let errors = || measured.iter().map(|(mse, _)| *mse);
    scores.add("mse", mean(errors()), "per pixel", &of);
    scores.add("psnr", mean(errors().map(similarity::psnr)), "dB", format!("{of}; the mean over pairs"));
    match measured.iter().map(|(_, ssim)| *ssim).collect::<Option<Vec<f64>>>() {
        Some(ssim) => scores.add("ssim", mean(ssim.into_iter()), "", of),
        None => scores.lacks("ssim", format!("an image is smaller than its window of {} pixels", similarity::WINDOW)),
    }
}

/// How sharp images are.
fn sharpness(pictures: &Pictures, judged: &Judged, scores: &mut Scores) {
    let len: usize = pictures.shape.iter().product();
    let count = |pixels: &[f32]| pixels.len() / len;
    let kinds = [
        ("laplacian_variance_originals", Some(&pictures.originals), judged.to_string()),
        (
            "laplacian_variance_reconstructions",
            Some(&pictures.reconstructions),
            format!("reconstructions of {judged}, z = mu"),
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

/// How far samples and reconstructions are from real images, to an extractor.
fn distances(
    run: &LoadedRun,
    extractor: Option<&Extractor>,
    pictures: &Pictures,
    judged: &Judged,
    scores: &mut Scores,
) -> Result<()> {
    let Some(extractor) = extractor else {
        let known: usize = if pictures.samples.is_some() { 0 } else { 1 };
        let why = format!(
            "there is no classifier of {}: train one, for example with train --recipe cifar10-classifier --set data.kind={0}, and \
             name its run with --extractor; or name pytorch-fid's weights with --inception",
            run.predictor.config.data.kind
        );
        DISTANCES[known..].as_flattened().iter().for_each(|name| scores.lacks(name, &*why));
        return Ok(());
    };
    let real = extractor.kept_features(run, &pictures.originals, pictures.shape)?;
    let kinds = [(pictures.samples.as_ref(), "samples"), (Some(&pictures.reconstructions), "reconstructions")];
    let mut few = false;
    for ([frechet, kid], (pixels, what)) in DISTANCES.into_iter().zip(kinds) {
        let Some(pixels) = pixels else { continue };
        let seen = extractor.features(pixels, pictures.shape)?;
        let of = format!("{} {what}, {judged}; {}", seen.images(), extractor.words());
        let too_few = seen.images().min(real.images()) < extractor.width;
        let of_frechet = if too_few {
            format!("{of}; unreliable, because there are fewer images than features")
        } else {
            of.clone()
        };
        few |= too_few;
        scores.add(frechet, frechet_distance(&seen, &real), "", of_frechet);
        scores.add(kid, kernel_distance(&seen, &real), "", of);
    }
    if few {
        scores.warnings.push(format!(
            "the Fréchet distance is unreliable with fewer images than the {} features of {}; use more with --images",
            extractor.width, extractor.name
        ));
    }
    Ok(())
}

/// What a classifier takes images for.
fn named(
    run: &LoadedRun,
    extractor: Option<&Extractor>,
    pictures: &Pictures,
    judged: &Judged,
    scores: &mut Scores,
) -> Result<()> {
    let (predictor, shape) = (&run.predictor, pictures.shape);
    let known = extractor.and_then(|extractor| Some((extractor, extractor.classes_of(&predictor.config)?)));
    let Some((extractor, classes)) = known else {
        let names = [RECOGNISED, TAUGHT, "label_histogram"];
        let names = &names[..if pictures.samples.is_some() { 3 } else { 2 }];
        let why = "there is no classifier of these labels: train one on data.kind and name its run with --extractor";
        names
            .iter()
            .for_each(|name| scores.lacks(name, why.replace("data.kind", &predictor.config.data.kind.to_string())));
        return Ok(());
    };
    if let Some(samples) = &pictures.samples {
        let labels = extractor.labels(&extractor.features(samples, shape)?)?;
        let shares = shares(&labels, classes);
        let away = 0.5 * shares.iter().map(|share| (share - 1.0 / classes as f64).abs()).sum::<f64>();
        let of = format!("{} samples, classified by {}; parts: the share of each label", labels.len(), extractor.name);
        scores.add_list("label_histogram", away, "total variation from uniform", of, shares);
    }
    let truth = judged.split.labels(&judged.places);
    let real = extractor.kept_features(run, &pictures.originals, shape)?;
    let rightly = |features: &Features| Ok::<_, vae_core::Error>(accuracy(&extractor.labels(features)?, &truth));
    let parts = vec![rightly(&extractor.features(&pictures.reconstructions, shape)?)?, rightly(&real)?];
    let beside = "parts: for reconstructions, for the originals";
    let of = format!("reconstructions of {judged}, share that {} classifies correctly; {beside}", extractor.name);
    scores.add_list(RECOGNISED, parts[0], "share of the images", of, parts);

    let places: Vec<usize> = (0..run.dataset.train.count().min(judged.places.len())).collect();
    let labels = run.dataset.train.labels(&places);
    let pair = block_on(predictor.reconstructions(&run.dataset.train, &places))?.expect("it gave images before");
    let taught = |pixels: &[f32]| {
        let linear = Linear::train(&extractor.features(pixels, shape)?, &labels, classes);
        Ok::<_, vae_core::Error>(linear.map_or(f64::NAN, |linear| accuracy(&linear.name(&real), &truth)))
    };
    let parts = vec![taught(&pair[1])?, taught(&pair[0])?];
    let of = format!(
        "{judged}, share that a linear classifier labels correctly after training on {} reconstructed training images, using {}; {beside}",
        places.len(),
        extractor.words()
    );
    scores.add_list(TAUGHT, parts[0], "share of the images", of, parts);
    Ok(())
}

/// The share of each label.
fn shares(labels: &[usize], classes: usize) -> Vec<f64> {
    let of = |label: usize| labels.iter().filter(|&&known| known == label).count() as f64 / labels.len() as f64;
    (0..classes).map(of).collect()
}

/// Whether samples are copies.
fn neighbours(run: &LoadedRun, pictures: &Pictures, judged: &Judged, scores: &mut Scores) -> Result<()> {
    let Some(samples) = &pictures.samples else { return Ok(()) };
    let error = |pixels: &[f32]| {
        let nearest = nearest_neighbours(&run.predictor.transform, &run.dataset.train, pixels)?;
        Ok::<_, vae_core::Error>(mean(nearest.iter().map(|(_, error)| *error)))
    };
    let (of_samples, of_test) = (error(samples)?, error(&pictures.originals)?);
    let count = run.dataset.train.count();
    let drawn = samples.len() / pictures.shape.iter().product::<usize>();
    let of = |what: &str| format!("{what}, each compared with the nearest of {count} training images");
    scores.add("nearest_training_mse", of_samples, "per pixel", of(&format!("{drawn} samples")));
    scores.add("nearest_training_mse_test", of_test, "per pixel", of(&judged.to_string()));
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
