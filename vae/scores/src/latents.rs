//! Scores of latents, from the posteriors q(z|x) = N(mu, e^logvar) of test images:
//!
//! - Active units: |{d: Var_x(mu_d) > 0.01}| (Burda, Grosse and Salakhutdinov, 1509.00519). This program counts the latents in use
//!   by their KL instead; see `vae_core::predict::IN_USE`.
//! - MI (the mutual information of an image and its latents), TC (total correlation) and DW-KL (dimension-wise KL): the
//!   three terms of the KL, as `vae_core::objective::latent_terms` defines them, for z ~ q(z|x). Three estimators
//!   compute them on batches of 64 images, where N is the number of images used. `exact` computes them with the q(z) of
//!   all these images.
//! - The log-likelihood: `likelihood`, the bound of importance-weighted autoencoders (IWAE).
//! - If the factors that generated the images are known (`vae_core::data::Factors`): `mig`, `sap`, `dci` and
//!   `fixed_factor` measure how well each latent represents one factor. `dci` learns with `forest`, and `fixed_factor`
//!   with `logistic`.
//!
//! The scores of factors use the codes only, that is, mu. They identify an image by its index.

mod dci;
mod fixed_factor;
mod forest;
mod likelihood;
mod logistic;
mod mig;
mod sap;

use autograd::{Var, no_grad};
use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_core::config::Estimator;
use vae_core::objective::{LatentTerms, exact_latent_terms, latent_terms};
use vae_core::predict::IN_USE;
use vae_core::random::{Purpose, image_noise};
use vae_run::LoadedRun;

use super::{Options, Scores};

/// A latent is active if the variance of its mean over the images is larger than this.
const ACTIVE: f64 = 0.01;
/// The batch size of the estimators.
const BATCH: usize = 64;
/// An MI above this part of its largest possible value is saturated.
const SATURATED: f64 = 0.9;
/// The minimum number of images for the scores of factors. It is about half the number of cells in a histogram of 20
/// bins by a factor of 6 values.
const MIN_IMAGES: usize = 64;

const ESTIMATORS: [(&str, Estimator); 3] =
    [("batch", Estimator::Batch), ("mws", Estimator::Mws), ("mss", Estimator::Mss)];
const TERMS: [&str; 3] = ["mi", "tc", "dw_kl"];
const FACTOR_SCORES: [&str; 7] = [
    "mig",
    "sap",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "beta_vae_score",
    "factor_vae_score",
];

/// The random stream of the scores in `fixed_factor`, among the streams of [`Purpose::Scores`].
const FIXED_FACTOR: u64 = 1 << 32;
/// The random stream of the likelihood for image 0. Each image has the next stream.
const LIKELIHOOD: u64 = 2 << 32;
/// The same for the negative log-likelihood.
const NLL: u64 = 3 << 32;

/// Adds the scores of latents.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    let places: Vec<usize> = (0..test.count().min(options.images)).collect();
    if places.is_empty() {
        add_all_missing(scores, "there are no test images");
        return Ok(());
    }
    let Some([mu, logvar]) = block_on(predictor.encode(test, &places))? else {
        add_all_missing(scores, &format!("model.kind = \"{}\" has no posterior", predictor.config.model.kind));
        return Ok(());
    };
    let latents = columns(&mu);
    if latents.iter().flatten().chain(columns(&logvar).iter().flatten()).any(|x| !x.is_finite()) {
        add_all_missing(scores, "the posteriors of some test images are not finite");
        return Ok(());
    }
    let of = format!("{} test images", places.len());

    let spread: Vec<f64> = latents.iter().map(|codes| variance(codes)).collect();
    let active = spread.iter().filter(|&&variance| is_active(variance)).count();
    let words = format!("{of}; latents (of {}) with Var(mu) > {ACTIVE}; parts: Var(mu)", latents.len());
    scores.add_list("active_units", active as f64, "latents", words, spread);
    scores.add_caveat(format!(
        "A variance of {ACTIVE} is about 0.005 nat of KL, and such a latent changes no pixel visibly. latents_in_use counts from {IN_USE} nat on."
    ));

    let members: Vec<usize> = places.iter().map(|&place| test.indices()[place]).collect();
    let noise = image_noise(predictor.config.seed, &members, latents.len());
    let terms = match predictor.config.is_hierarchical() {
        true => {
            let why =
                "in a hierarchical model, the posterior of an image is no Gaussian: latents depend on draws of others";
            term_names().for_each(|name| scores.add_missing(&name, why));
            Vec::new()
        }
        false => latent_term_means(&mu, &logvar, &noise),
    };
    for (how, values) in terms {
        let words = if how == "exact" { format!("q(z) of {of}") } else { format!("{of}, batches of {BATCH}") };
        for (term, value) in TERMS.iter().zip(values) {
            scores.add(&format!("{term}_{how}"), value, "nats", words.clone());
            if let Some(why) = caveat(how, term, value, places.len()) {
                scores.add_caveat(why);
            }
        }
    }
    likelihood::score(run, options, [&mu, &logvar], scores)?;

    let Some(known) = test.images().factors() else {
        let why = "the factors of these images are not known; data.kind = \"shapes\" and \"dsprites\" have them";
        FACTOR_SCORES.iter().for_each(|name| scores.add_missing(name, why));
        return Ok(());
    };
    let values = |k: usize| members.iter().map(|&index| usize::from(known.of(index)[k])).collect::<Vec<_>>();
    let factors = (0..known.names.len()).map(|k| (known.names[k], values(k)));
    let (names, factors): (Vec<&str>, Vec<_>) =
        factors.filter(|(_, values)| values.iter().any(|value| *value != values[0])).unzip();
    if places.len() < MIN_IMAGES || factors.is_empty() {
        let why = format!(
            "{of} are too few to score factors: at least {MIN_IMAGES} are needed, and factors that vary among them"
        );
        FACTOR_SCORES.iter().for_each(|name| scores.add_missing(name, why.clone()));
        return Ok(());
    }
    let mut rng = Purpose::Scores.stream(predictor.config.seed, FIXED_FACTOR);
    add_factor_scores(&latents, &names, &factors, &mut rng, &of, scores);
    Ok(())
}

/// Adds the scores that compare codes with factors. `latents` has a list for each latent and `factors` a list for each
/// factor, both with one number per image. `names` are the names of the factors.
fn add_factor_scores(
    latents: &[Vec<f64>],
    names: &[&str],
    factors: &[Vec<usize>],
    rng: &mut tensor::Generator,
    of: &str,
    scores: &mut Scores,
) {
    let each = names.join(", ");
    let gaps = mig::gaps(latents, factors);
    scores.add_list("mig", mean(&gaps), "", format!("{of}, {} bins; parts: {each}", mig::BINS), gaps);
    let leads = sap::leads(latents, factors);
    scores.add_list("sap", mean(&leads), "", format!("{of}, factors treated as numbers; parts: {each}"), leads);

    let dci = dci::scores(latents, factors);
    let by = format!("{of}, a random forest of {} trees for each factor", forest::TREES);
    let [by_latent, by_factor] = ["latent", "factor"].map(|part| format!("{by}; parts: by {part}"));
    scores.add_list("dci_disentanglement", dci.disentanglement, "", by_latent, dci.by_latent);
    scores.add_list("dci_completeness", dci.completeness, "", by_factor, dci.by_factor);
    let words = format!("R² on the last third of {of}; parts: {each}");
    scores.add_list("dci_informativeness", mean(&dci.informativeness), "", words, dci.informativeness);

    let Some(groups) = fixed_factor::FactorGroups::new(latents, factors) else {
        let why = format!("for one of {each}, no two of {of} have the same value");
        FACTOR_SCORES[5..].iter().for_each(|name| scores.add_missing(name, why.clone()));
        return;
    };
    let chance = format!("{of}, chance is {:.2}", 1.0 / factors.len() as f64);
    scores.add("beta_vae_score", groups.beta_vae(rng), "", chance.clone());
    match groups.factor_vae(rng) {
        Some(value) => scores.add("factor_vae_score", value, "", chance),
        None => scores.add_missing("factor_vae_score", "no latent is active"),
    }
}

/// Computes MI, TC and DW-KL in nats, with each estimator and exactly. `mu` and `logvar` of the posteriors and `noise`,
/// which draws one z from each of them, are `[N, z_dim]`.
fn latent_term_means(mu: &Tensor, logvar: &Tensor, noise: &Tensor) -> Vec<(&'static str, [f64; 3])> {
    let [mu, logvar] = [mu, logvar].map(|x| Var::constant(x.clone()));
    let count = mu.shape()[0];
    no_grad(|| {
        let z = mu.reparameterise(&logvar, noise);
        let mut all = Vec::new();
        for (how, estimator) in ESTIMATORS {
            let mut sums = [0.0; 3];
            for first in (0..count).step_by(BATCH) {
                let images = BATCH.min(count - first);
                let [z, mu, logvar] = [&z, &mu, &logvar].map(|x| x.slice(0, first, images));
                let values = read(&latent_terms(&z, &mu, &logvar, estimator, count));
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += images as f64 * value);
            }
            all.push((how, sums.map(|sum| sum / count as f64)));
        }
        all.push(("exact", read(&exact_latent_terms(&z, &mu, &logvar))));
        all
    })
}

/// Returns why an estimate of a term of the KL misleads, if it does. `count` is the number of images.
fn caveat(how: &str, term: &str, value: f64, count: usize) -> Option<String> {
    let (batch, largest) = (BATCH.min(count), (count as f64).ln());
    let limit = (batch as f64).ln();
    match how {
        "batch" => Some(format!(
            "The batch of {batch} images is treated as the whole data set. MI therefore saturates at ln {batch} = {limit:.2} nats, and TC and \
             DW-KL are biased, too."
        )),
        "mws" => Some(format!(
            "The weights of minibatch weighted sampling add up to 1/{count} instead of 1, so the density of each latent comes out about \
             ln {count} = {largest:.2} nats too low. DW-KL is then far too low, even negative, and TC and MI are too high."
        )),
        "mss" => Some(format!(
            "The density is estimated from batches of {batch} images. The estimate is unbiased, but that of its logarithm is not: MI is \
             too high, and DW-KL too low, even negative."
        )),
        _ if term == "mi" && value > SATURATED * largest => Some(format!(
            "MI saturates at ln {count} = {largest:.2} nats, the information that tells {count} images apart. More images would give a \
             larger value."
        )),
        _ => None,
    }
}

fn read(terms: &LatentTerms) -> [f64; 3] {
    [&terms.mi, &terms.tc, &terms.dw_kl].map(|term| f64::from(term.value().data()[0]))
}

/// Records that no score of latents could be computed, and why.
fn add_all_missing(scores: &mut Scores, why: &str) {
    names().for_each(|name| scores.add_missing(&name, why));
}

/// Returns the names of these scores.
pub(super) fn names() -> impl Iterator<Item = String> {
    let others =
        likelihood::NAMES.iter().chain([&likelihood::NAME_OF_NLL]).chain(&FACTOR_SCORES).map(|&name| name.to_owned());
    ["active_units".to_owned()].into_iter().chain(term_names()).chain(others)
}

/// The names of MI, TC and DW-KL by each estimator.
fn term_names() -> impl Iterator<Item = String> {
    let estimators = ESTIMATORS.iter().map(|(how, _)| *how).chain(["exact"]);
    estimators.flat_map(|how| TERMS.iter().map(move |term| format!("{term}_{how}")))
}

/// Returns the columns of a matrix `[rows, columns]`.
fn columns(matrix: &Tensor) -> Vec<Vec<f64>> {
    let [_, width] = matrix.shape().matrix("latents");
    let column = |d: usize| matrix.data().iter().skip(d).step_by(width).map(|&x| f64::from(x)).collect();
    (0..width).map(column).collect()
}

/// Returns whether a latent is active, by the variance of its mean.
fn is_active(variance: f64) -> bool {
    variance > ACTIVE
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Returns the variance of a population (divided by n, not by n − 1).
fn variance(x: &[f64]) -> f64 {
    let centre = mean(x);
    x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / x.len() as f64
}

/// Returns the difference between the largest and the second largest of some scores ≥ 0. A single score is compared
/// with 0.
fn lead(scores: impl Iterator<Item = f64>) -> f64 {
    let [best, second] = scores.fold([0.0_f64; 2], |[best, second], x| [best.max(x), second.max(best.min(x))]);
    best - second
}

#[cfg(test)]
pub(crate) mod tests;
