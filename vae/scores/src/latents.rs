//! The scores of latents: what the posteriors q(z|x) = N(mu, e^logvar) of the test images tell, as many images as asked for.
//!
//!   active units    |{d: Var_x(mu_d) > 0.01}|              Burda, Grosse and Salakhutdinov, 1509.00519
//!   MI, TC, DW-KL   of z ~ q(z|x), as `objective::latent_terms` has them, over batches of 64 by three estimators, whose N is
//!                   the images taken; and `exact`, where q(z) is that of all images taken
//!
//! `likelihood` is the IWAE bound; where the factors that made the images are known (`data::Factors`), `mig`, `sap`, `dci` and
//! `fixed_factor` say how far each latent is one of them; `forest` and `logistic` are what the latter two learn with. Those look at the codes mu alone, and name images by their place.

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
use vae_core::model::reparameterise;
use vae_core::objective::{LatentTerms, exact_latent_terms, latent_terms};
use vae_core::random::{Purpose, image_noise};
use vae_run::LoadedRun;

use super::{Options, Score, Scores};

/// A latent whose mean varies less says nothing.
const ACTIVE: f64 = 0.01;
/// Images of a batch of the estimators.
const BATCH: usize = 64;
/// Fewer images than this say nothing about factors: half of what a histogram of 20 bins by a factor of 6 values has places.
const FEWEST: usize = 64;

const ESTIMATORS: [(&str, Estimator); 3] =
    [("batch", Estimator::Batch), ("mws", Estimator::Mws), ("mss", Estimator::Mss)];
const TERMS: [&str; 3] = ["mi", "tc", "dw_kl"];
const OF_FACTORS: [&str; 7] = [
    "mig",
    "sap",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "beta_vae_score",
    "factor_vae_score",
];

/// What the scores of one fixed factor draw, as a stream of [`Purpose::Scores`].
const FIXED_FACTOR: u64 = 1 << 32;
/// What the likelihood draws for the first image; for each other the next.
const LIKELIHOOD: u64 = 2 << 32;

/// Adds them.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let (predictor, test) = (&run.predictor, &run.dataset.test);
    let places: Vec<usize> = (0..test.count().min(options.images)).collect();
    if places.is_empty() {
        lack_all(scores, "there are no test images");
        return Ok(());
    }
    let Some([mu, logvar]) = block_on(predictor.encode(test, &places))? else {
        lack_all(scores, &format!("model.kind = \"{}\" has no posterior", predictor.config.model.kind));
        return Ok(());
    };
    let latents = columns(&mu);
    if latents.iter().flatten().chain(columns(&logvar).iter().flatten()).any(|x| !x.is_finite()) {
        lack_all(scores, "the posteriors of some test images are not finite");
        return Ok(());
    }
    let of = format!("{} test images", places.len());

    let spread: Vec<f64> = latents.iter().map(|codes| variance(codes)).collect();
    let active = spread.iter().filter(|&&variance| variance > ACTIVE).count();
    let words = format!("{of}; latents (of {}) with Var(mu) > {ACTIVE}; parts: Var(mu)", latents.len());
    add(scores, "active_units", active as f64, "latents", words, spread);

    let members: Vec<usize> = places.iter().map(|&place| test.members()[place]).collect();
    let noise = image_noise(predictor.config.seed, &members, latents.len());
    for (how, values) in latent_term_means(&mu, &logvar, &noise) {
        let words = if how == "exact" { format!("q(z) of {of}") } else { format!("{of}, batches of {BATCH}") };
        for (term, value) in TERMS.iter().zip(values) {
            scores.add(&format!("{term}_{how}"), value, "nats", words.clone());
        }
    }
    likelihood::score(run, [&mu, &logvar], scores)?;

    let Some(known) = test.images().factors() else {
        let why = "the factors of these images are not known; data.kind = \"shapes\" and \"dsprites\" have them";
        OF_FACTORS.iter().for_each(|name| scores.add_missing(name, why));
        return Ok(());
    };
    let values = |k: usize| members.iter().map(|&index| usize::from(known.of(index)[k])).collect::<Vec<_>>();
    let factors = (0..known.names.len()).map(|k| (known.names[k], values(k)));
    let (names, factors): (Vec<&str>, Vec<_>) =
        factors.filter(|(_, values)| values.iter().any(|value| *value != values[0])).unzip();
    if places.len() < FEWEST || factors.is_empty() {
        let why = format!(
            "{of} are too few to score factors: at least {FEWEST} are needed, and factors that vary among them"
        );
        OF_FACTORS.iter().for_each(|name| scores.add_missing(name, why.clone()));
        return Ok(());
    }
    let mut rng = Purpose::Scores.stream(predictor.config.seed, FIXED_FACTOR);
    of_factors(&latents, &names, &factors, &mut rng, &of, scores);
    Ok(())
}

/// The scores of codes, a list a latent, by what is known of the images, a list a factor.
fn of_factors(
    latents: &[Vec<f64>],
    names: &[&str],
    factors: &[Vec<usize>],
    rng: &mut tensor::Generator,
    of: &str,
    scores: &mut Scores,
) {
    let each = names.join(", ");
    let gaps = mig::gaps(latents, factors);
    add(scores, "mig", mean(&gaps), "", format!("{of}, {} bins; parts: {each}", mig::BINS), gaps);
    let leads = sap::leads(latents, factors);
    add(scores, "sap", mean(&leads), "", format!("{of}, factors treated as numbers; parts: {each}"), leads);

    let dci = dci::scores(latents, factors);
    let by = format!("{of}, a random forest of {} trees for each factor", forest::TREES);
    let [by_latent, by_factor] = ["latent", "factor"].map(|part| format!("{by}; parts: by {part}"));
    add(scores, "dci_disentanglement", dci.disentanglement, "", by_latent, dci.by_latent);
    add(scores, "dci_completeness", dci.completeness, "", by_factor, dci.by_factor);
    let words = format!("R² on the last third of {of}; parts: {each}");
    add(scores, "dci_informativeness", mean(&dci.informativeness), "", words, dci.informativeness);

    let Some(shared) = fixed_factor::Shared::new(latents, factors) else {
        let why = format!("for one of {each}, no two of {of} have the same value");
        OF_FACTORS[5..].iter().for_each(|name| scores.add_missing(name, why.clone()));
        return;
    };
    let chance = format!("{of}, chance is {:.2}", 1.0 / factors.len() as f64);
    scores.add("beta_vae_score", shared.beta_vae(rng), "", chance.clone());
    match shared.factor_vae(rng) {
        Some(value) => scores.add("factor_vae_score", value, "", chance),
        None => scores.add_missing("factor_vae_score", "no latent is active"),
    }
}

/// MI, TC and DW-KL by each estimator, then `exact`: of posteriors `[N, z]` and one draw from each by `noise`, `[N, z]`.
fn latent_term_means(mu: &Tensor, logvar: &Tensor, noise: &Tensor) -> Vec<(&'static str, [f64; 3])> {
    let [mu, logvar] = [mu, logvar].map(|x| Var::constant(x.clone()));
    let count = mu.shape()[0];
    no_grad(|| {
        let z = reparameterise(&mu, &logvar, noise);
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

fn read(terms: &LatentTerms) -> [f64; 3] {
    [&terms.mi, &terms.tc, &terms.dw_kl].map(|term| f64::from(term.value().data()[0]))
}

fn lack_all(scores: &mut Scores, why: &str) {
    scores.add_missing("active_units", why);
    for how in ESTIMATORS.iter().map(|(how, _)| *how).chain(["exact"]) {
        TERMS.iter().for_each(|term| scores.add_missing(&format!("{term}_{how}"), why));
    }
    likelihood::NAMES.iter().chain(&OF_FACTORS).for_each(|name| scores.add_missing(name, why));
}

fn add(scores: &mut Scores, name: &str, value: f64, unit: &str, of: String, parts: Vec<f64>) {
    scores.scores.push(Score { name: name.into(), value, unit: unit.into(), of, parts });
}

/// The columns of a matrix, `[rows, columns]`.
fn columns(matrix: &Tensor) -> Vec<Vec<f64>> {
    let [_, width] = matrix.shape().matrix("latents");
    let column = |d: usize| matrix.data().iter().skip(d).step_by(width).map(|&x| f64::from(x)).collect();
    (0..width).map(column).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Over all of them, not an estimate from a sample.
fn variance(x: &[f64]) -> f64 {
    let centre = mean(x);
    x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / x.len() as f64
}

/// How far the best of some scores, none below 0, is ahead of the second; of one alone, all of it.
fn lead(scores: impl Iterator<Item = f64>) -> f64 {
    let [best, second] =
        scores.fold([0.0, 0.0], |[best, second], x| if x > best { [x, best] } else { [best, f64::max(second, x)] });
    best - second
}

#[cfg(test)]
mod tests;
