//! A lower bound on the log-likelihood of an image, by importance sampling from its posterior (Burda et al.,
//! 1509.00519, eq. 8):
//!
//!   log p(x) ≥ E log [ 1/K Σ_k p(x|z_k)·p(z_k)/q(z_k|x) ],   z_k ~ q(z|x)
//!
//! p(z) is the prior that the model was trained with, N(0, I) or the VampPrior, also if another one was fitted afterwards.
//!
//! K = 1 gives the ELBO. The bound rises with K towards log p(x). The model sees y = (x − mean)/std for pixels x in [0,
//! 1], so log p(x) = log p(y) − Σ ln std. The reconstruction term of the loss determines p(y|z) over D numbers:
//! `vae_core::objective` has the densities. That of bce is none unless all pixels are 0 or 1, because it does not integrate
//! to 1.
//!
//! The score in bits per dimension is −log p(x)/(D·ln 2) + 8, because a byte value is an interval of 1/256 in [0, 1].
//! For bce, the 8 is left out.
//!
//! The score `nll` is the negative of the bound with many draws: the estimate of −log p(x) in nats that papers print, with
//! 5,000 draws for each of the 10,000 test images of MNIST. It is there only if p(y|z) is a density whose variance was
//! chosen by the data: `gaussian`, or bce of binary pixels.

use std::f64::consts::{LN_2, TAU};

use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_core::config::{Reconstruction, Variance};
use vae_core::distributed::shared_batches;
use vae_core::random::Purpose;
use vae_run::LoadedRun;

use super::{LIKELIHOOD, NLL, Scores};
use crate::Options;

/// The number of draws for each image in `log_likelihood`, K.
const DRAWS: usize = 64;
/// The maximum number of images of `log_likelihood`. Each image needs [`DRAWS`] decoder outputs.
const IMAGES: usize = 128;
/// The maximum number of draws that are decoded at once.
const AT_ONCE: usize = 500;
/// The number of batches of training that need as much memory as a step, which has gradients.
const BATCHES: usize = 4;

/// The names of these scores.
pub(super) const NAMES: [&str; 2] = ["log_likelihood", "bits_per_dim"];
/// The name of the negative log-likelihood.
pub(super) const NAME_OF_NLL: &str = "nll";

/// Adds the scores of the first test images. `mu` and `logvar` are the posteriors of the test images, `[images, z_dim]`.
pub(super) fn score(run: &LoadedRun, options: &Options, gaussian: [&Tensor; 2], scores: &mut Scores) -> Result<()> {
    let config = &run.predictor.config;
    let kind = config.loss.reconstruction;
    let count = gaussian[0].shape()[0].min(IMAGES);
    let nats = mean_bound(run, gaussian, count, DRAWS, LIKELIHOOD)?;
    let (what, bits) = match (kind, config.loss.variance) {
        (Reconstruction::Sse, _) => ("Gaussian, σ² = ½, of pixels as the model sees them", 8.0),
        (Reconstruction::HalfSse, _) => ("Gaussian, σ = 1, of pixels as the model sees them", 8.0),
        (Reconstruction::Gaussian, Variance::Fixed) => ("Gaussian, σ = loss.sigma", 8.0),
        (Reconstruction::Gaussian, _) => ("Gaussian, σ as trained", 8.0),
        (Reconstruction::Bce, _) if is_binary(run, count)? => ("Bernoulli", 0.0),
        (Reconstruction::Bce, _) => ("no density: bce of pixels between 0 and 1", 0.0),
    };
    let of = format!("{count} test images, {DRAWS} draws each{}, {what}", prior_words(run));
    for (name, value, unit) in
        [(NAMES[0], nats, "nats"), (NAMES[1], bits - nats / (config.pixels() as f64 * LN_2), "bits")]
    {
        scores.add(name, value, unit, of.clone());
        if what.starts_with("no density") {
            scores.add_caveat(
                "The binary cross-entropy of grey pixels is not a density, so this is not the likelihood of the images. Compare it only \
                 between runs with this loss.",
            );
        }
    }
    nll(run, options, gaussian, scores)
}

/// Adds the negative log-likelihood, if the decoder describes a density of these images.
fn nll(run: &LoadedRun, options: &Options, gaussian: [&Tensor; 2], scores: &mut Scores) -> Result<()> {
    let (count, draws) = (run.dataset()?.test.count().min(options.nll_images), options.nll_samples);
    match run.predictor.config.loss.reconstruction {
        Reconstruction::Gaussian => {}
        Reconstruction::Bce if is_binary(run, count)? => {}
        Reconstruction::Bce => {
            scores.add_missing(
                NAME_OF_NLL,
                "bce is no density of grey pixels; set data.binarise = \"dynamic\", or loss.reconstruction = \"gaussian\"",
            );
            return Ok(());
        }
        kind @ (Reconstruction::Sse | Reconstruction::HalfSse) => {
            scores.add_missing(
                NAME_OF_NLL,
                format!(
                    "{kind} leaves the variance of the pixels open; loss.reconstruction = \"gaussian\" determines it"
                ),
            );
            return Ok(());
        }
    }
    let more = if count > gaussian[0].shape()[0] {
        let places: Vec<usize> = (0..count).collect();
        block_on(run.predictor.encode(&run.dataset()?.test, &places))?
    } else {
        None
    };
    let gaussian = more.as_ref().map_or(gaussian, |[mu, logvar]| [mu, logvar]);
    let value = -mean_bound(run, gaussian, count, draws, NLL)?;
    scores.add(NAME_OF_NLL, value, "nats", format!("{count} test images, {draws} draws each{}", prior_words(run)));
    Ok(())
}

/// Names the prior p(z), if it is not N(0, I).
fn prior_words(run: &LoadedRun) -> String {
    run.predictor.model.prior().map_or(String::new(), |prior| format!(", p(z) is the {}", prior.words()))
}

/// Returns whether all pixels of the first test images are 0 or 1.
fn is_binary(run: &LoadedRun, count: usize) -> Result<bool> {
    let dataset = run.dataset()?;
    for place in 0..count {
        if dataset.batch(&dataset.test, &[place])?.data().iter().any(|&x| x != 0.0 && x != 1.0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the mean over the first test images of the bound of `draws` draws. The noise of an image is from the stream with
/// the number `streams` plus its index.
fn mean_bound(run: &LoadedRun, gaussian: [&Tensor; 2], count: usize, draws: usize, streams: u64) -> Result<f64> {
    let predictor = &run.predictor;
    let (config, dataset, test) = (&predictor.config, &run.dataset()?, &run.dataset()?.test);
    let [_, height, width] = dataset.transform.shape();
    let scale: f64 = dataset.transform.std.iter().map(|std| (height * width) as f64 * std.ln()).sum();
    let z_dim = config.model.z_dim;
    let bounds = shared_batches(&*predictor.ranks, count, async |place| {
        let y = dataset.batch(test, &[place])?;
        let stream = streams + test.indices()[place] as u64;
        let noise = Purpose::Scores.stream(config.seed, stream).normal_tensor([draws, z_dim]);
        // One posterior for all draws, or in a hierarchical model one for each.
        let each = match config.is_hierarchical() {
            true => predictor.encode_draws(test, place, &noise).await?,
            false => None,
        };
        let rows = match &each {
            Some([mu, logvar]) => [&mu[..], logvar],
            None => gaussian.map(|x| &x.data()[place * z_dim..(place + 1) * z_dim]),
        };
        let bound = log_likelihood(z_dim, rows, noise.data(), |z| -> Result<_> {
            let at_once = AT_ONCE.min(config.train.batch_size.saturating_mul(BATCHES));
            let mut all = Vec::with_capacity(draws);
            for z in z.chunks(at_once * z_dim) {
                let z = Tensor::new(z, [z.len() / z_dim, z_dim]);
                let densities = block_on(predictor.log_density(test, place, &y, &z))?;
                let densities = densities.expect("what has a posterior decodes its latents");
                let priors = block_on(predictor.log_prior(&z))?;
                all.extend(densities.into_iter().zip(priors).map(|(density, prior)| f64::from(density) + prior));
            }
            Ok(all)
        })? - scale;
        Ok(Some(vec![bound]))
    });
    let bounds: Vec<f64> = block_on(bounds)?.unwrap_or_default();
    Ok(bounds.iter().sum::<f64>() / count as f64)
}

/// Returns the bound for one image. `noise` has a row of `width` standard normal numbers for each of the K draws. `mu` and `logvar`
/// are the posterior, with one row for all draws or a row for each. `log_joint` computes log p(x|z) + log p(z) for all draws z.
fn log_likelihood<E>(
    width: usize,
    [mu, logvar]: [&[f32]; 2],
    noise: &[f32],
    log_joint: impl FnOnce(&[f32]) -> std::result::Result<Vec<f64>, E>,
) -> std::result::Result<f64, E> {
    let len = mu.len();
    let z: Vec<f32> =
        noise.iter().enumerate().map(|(i, eps)| mu[i % len] + (0.5 * logvar[i % len]).exp() * eps).collect();
    let log_posterior = |draw: usize, z: &[f32]| -> f64 {
        let first = draw * width % len;
        let each = z.iter().zip(&mu[first..]).zip(&logvar[first..]).map(|((&z, &mu), &logvar)| {
            let [z, mu, logvar] = [z, mu, logvar].map(f64::from);
            -0.5 * (logvar + (z - mu).powi(2) * (-logvar).exp() + TAU.ln())
        });
        each.sum()
    };
    let joint = log_joint(&z)?;
    let draws = z.chunks_exact(width).zip(&joint).enumerate();
    let weights: Vec<f64> = draws.map(|(i, (z, joint))| joint - log_posterior(i, z)).collect();
    Ok(logsumexp(&weights) - (weights.len() as f64).ln())
}

fn logsumexp(x: &[f64]) -> f64 {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::f64::consts::PI;

    use tensor::Generator;

    use super::*;

    /// A linear model: x = W·z + b + noise of variance ½, with two numbers in z and in x, so that log p(x) = log N(x;
    /// b, W·Wᵀ + ½I).
    const W: [[f64; 2]; 2] = [[1.5, 0.4], [-0.7, 0.9]];
    const B: [f64; 2] = [0.3, -0.2];

    /// The density of N(decoded, ½I) at x, and of N(0, I) at z.
    fn log_joint(decoded: [f64; 2], x: [f64; 2], z: &[f32]) -> f64 {
        let squares = (x[0] - decoded[0]).powi(2) + (x[1] - decoded[1]).powi(2);
        -squares - PI.ln() + log_normal([f64::from(z[0]), f64::from(z[1])], [[1.0, 0.0], [0.0, 1.0]])
    }

    fn log_normal([x, y]: [f64; 2], [[a, b], [_, d]]: [[f64; 2]; 2]) -> f64 {
        let det = a * d - b * b;
        -0.5 * ((d * x * x - 2.0 * b * x * y + a * y * y) / det + det.ln()) - (2.0 * PI).ln()
    }

    fn exact([x, y]: [f64; 2]) -> f64 {
        let covariance = |i: usize, j: usize| W[i][0] * W[j][0] + W[i][1] * W[j][1] + if i == j { 0.5 } else { 0.0 };
        log_normal([x - B[0], y - B[1]], [[covariance(0, 0), covariance(0, 1)], [covariance(1, 0), covariance(1, 1)]])
    }

    fn bound(x: [f64; 2], gaussian: [&[f32]; 2], draws: usize, rng: &mut Generator) -> f64 {
        bound_of_noise(x, gaussian, rng.normal_tensor([draws, 2]).data())
    }

    fn bound_of_noise(x: [f64; 2], gaussian: [&[f32]; 2], noise: &[f32]) -> f64 {
        let bound = log_likelihood(2, gaussian, noise, |z| -> std::result::Result<_, Infallible> {
            let decoded = |z: &[f32]| [0, 1].map(|i| W[i][0] * f64::from(z[0]) + W[i][1] * f64::from(z[1]) + B[i]);
            Ok(z.chunks_exact(2).map(|z| log_joint(decoded(z), x, z)).collect())
        });
        let Ok(bound) = bound;
        bound
    }

    /// If q is the exact posterior, the bound is log p(x) for every K. Here W = diag(2, 1), so that the posterior
    /// factorises.
    #[test]
    fn the_exact_posterior_gives_the_likelihood_for_any_number_of_draws() {
        // For x = w·z + noise of variance ½, the posterior is N(2w·x/(2w² + 1), 1/(2w² + 1)), and p(x) = N(0, w² + ½).
        let (w, x) = ([2.0_f32, 1.0], [1.2_f32, -0.4]);
        let mu = [0, 1].map(|i| 2.0 * w[i] * x[i] / (2.0 * w[i] * w[i] + 1.0));
        let logvar = w.map(|w| -(2.0 * w * w + 1.0).ln());
        let truth = log_normal(x.map(f64::from), [[4.5, 0.0], [0.0, 1.5]]);
        for draws in [1, 3, 64] {
            let noise = Generator::new(1).normal_tensor([draws, 2]);
            let bound = log_likelihood(2, [&mu, &logvar], noise.data(), |z| -> std::result::Result<_, Infallible> {
                let density = |z: &[f32]| log_joint([0, 1].map(|i| f64::from(w[i] * z[i])), x.map(f64::from), z);
                Ok(z.chunks_exact(2).map(density).collect())
            });
            let Ok(bound) = bound;
            assert!((bound - truth).abs() < 1e-5, "{draws}: {bound}, exactly {truth}");
        }
    }

    /// The weight of a draw with a posterior of its own is the bound of that draw alone.
    #[test]
    fn each_draw_is_weighed_by_its_own_posterior() {
        let (mu, logvar) = ([0.4_f32, -0.9, 1.3, 0.2], [-0.5_f32, 0.3, 0.1, -1.2]);
        let noise = Generator::new(3).normal_tensor([2, 2]);
        let of = |rows: std::ops::Range<usize>| {
            bound_of_noise([0.7, -0.3], [&mu[rows.clone()], &logvar[rows.clone()]], &noise.data()[rows])
        };
        let expected = logsumexp(&[of(0..2), of(2..4)]) - 2_f64.ln();
        assert!((of(0..4) - expected).abs() < 1e-9, "{}, expected {expected}", of(0..4));
    }

    #[test]
    fn the_bound_rises_with_draws_to_the_likelihood() {
        let mut rng = Generator::new(7);
        let images: Vec<[f64; 2]> =
            (0..200).map(|_| [0, 1].map(|_| f64::from(rng.normal_tensor([1]).data()[0]))).collect();
        let truth = images.iter().map(|&x| exact(x)).sum::<f64>() / 200.0;
        let (mu, logvar) = ([0.1_f32, -0.1], [0.2_f32, -0.3]); // an arbitrary q
        let mut by_draws =
            |draws| images.iter().map(|&x| bound(x, [&mu, &logvar], draws, &mut rng)).sum::<f64>() / 200.0;
        let bounds = [1, 8, 64, 4096].map(&mut by_draws);
        assert!(bounds.is_sorted(), "{bounds:?}");
        assert!(truth - bounds[0] > 0.3 && (truth - bounds[3]).abs() < 0.01, "{bounds:?} for {truth}");
    }
}
