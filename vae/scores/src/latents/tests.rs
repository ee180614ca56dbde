//! Codes with known scores: perfect codes, rotated codes and noise, and formulas whose scores the reference Python code
//! printed.

use std::path::Path;

use tensor::{Device, Generator};
use vae_core::config::Settings;
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::predict::Predictor;

use super::*;

mod linear_gaussian;

/// Returns four factors of four values each for `count` images. All combinations are equally frequent.
fn four_factors(count: usize) -> Vec<Vec<usize>> {
    let order = Generator::new(3).permutation(count);
    (0..4).map(|k| order.iter().map(|image| image / 4_usize.pow(k) % 4).collect()).collect()
}

fn as_numbers(factors: &[Vec<usize>]) -> Vec<Vec<f64>> {
    factors.iter().map(|values| values.iter().map(|&value| value as f64 - 1.5).collect()).collect()
}

/// Rotates codes by an orthogonal matrix with the entries ±½, so that every latent depends equally on all four.
fn rotated(codes: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let signs = [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, 1.0]];
    let latent = |row: &[f64; 4]| {
        (0..codes[0].len()).map(|i| row.iter().zip(codes).map(|(sign, codes)| 0.5 * sign * codes[i]).sum()).collect()
    };
    signs.iter().map(latent).collect()
}

fn noise(count: usize) -> Vec<Vec<f64>> {
    let mut rng = Generator::new(9);
    (0..4).map(|_| rng.normal_tensor([count]).data().iter().map(|&x| f64::from(x)).collect()).collect()
}

/// Returns the scores of codes, in the order of `FACTOR_SCORES`.
fn factor_scores(latents: &[Vec<f64>], factors: &[Vec<usize>]) -> [f64; 7] {
    let mut scores = Scores::default();
    add_factor_scores(latents, &["a", "b", "c", "d"], factors, &mut Generator::new(5), "images", &mut scores);
    FACTOR_SCORES.map(|name| scores.get(name).expect(name).value)
}

#[test]
fn perfect_codes_score_one() {
    let factors = four_factors(768);
    let codes = as_numbers(&factors);
    // The latents are the factors in another order and with another scale, and one constant latent.
    let mut perfect: Vec<Vec<f64>> = codes.iter().rev().map(|codes| codes.iter().map(|x| -3.0 * x).collect()).collect();
    perfect.push(vec![0.25; 768]);
    let best = factor_scores(&perfect, &factors);
    assert!(best.iter().all(|&score| score > 0.99 && score <= 1.0), "{best:?}");
}

#[test]
fn rotated_codes_score_little() {
    let factors = four_factors(768);
    let codes = as_numbers(&factors);
    let [mig, sap, disentanglement, completeness, informativeness, beta, factor] =
        factor_scores(&rotated(&codes), &factors);
    assert!(
        mig < 0.05 && sap < 0.05 && disentanglement < 0.3 && completeness < 0.3,
        "{mig} {sap} {disentanglement} {completeness}"
    );
    assert!(informativeness > 0.6 && beta < 0.35 && factor < 0.45, "{informativeness} {beta} {factor}");
}

#[test]
fn noise_scores_nothing() {
    let factors = four_factors(768);
    let [mig, sap, disentanglement, completeness, informativeness, beta, factor] = factor_scores(&noise(768), &factors);
    assert!(
        mig < 0.03 && sap < 0.02 && disentanglement < 0.05 && completeness < 0.05,
        "{mig} {sap} {disentanglement} {completeness}"
    );
    assert!(informativeness < 0.05 && beta < 0.35 && factor < 0.4, "{informativeness} {beta} {factor}");
}

/// Two factors of two values. Only two images share a value, so the other image of a pair is known: the distance is 1 if the
/// first factor is fixed, and 0.4 or 1 if the second is.
#[test]
fn the_beta_vae_score_compares_two_different_images() {
    let factors = [vec![0, 0, 1, 1], vec![0, 1, 0, 1]];
    let score = |codes: [f64; 4]| {
        let latents = [codes.map(|x| 100.0 + x).to_vec()];
        fixed_factor::FactorGroups::new(&latents, &factors).unwrap().beta_vae(&mut Generator::new(5))
    };
    assert_eq!(score([0.0, 1.0, 0.4, 1.4]), 1.0);
    let chance = score([0.0, 1.0, 1.0, 0.0]);
    assert!((chance - 0.5).abs() < 0.1, "{chance}");
}

/// Each latent is a factor with a little noise, at a very different scale. The latent with the smallest variance is not
/// the one of the fixed factor, so the variances must be normalised.
#[test]
fn factor_vae_normalises_the_variance_of_each_latent() {
    let factors = four_factors(768);
    let scaled = as_numbers(&factors).into_iter().zip(noise(768)).zip([0.15, 0.5, 2.0, 8.0]);
    let codes: Vec<Vec<f64>> = scaled
        .map(|((codes, noise), scale)| codes.iter().zip(noise).map(|(x, eps)| scale * (x + 0.1 * eps)).collect())
        .collect();
    let groups = fixed_factor::FactorGroups::new(&codes, &factors).unwrap();
    let score = groups.factor_vae(&mut Generator::new(5)).unwrap();
    assert!(score > 0.99, "{score}");
    let still: Vec<Vec<f64>> = codes.iter().map(|codes| codes.iter().map(|x| 1e-3 * x).collect()).collect();
    assert_eq!(fixed_factor::FactorGroups::new(&still, &factors).unwrap().factor_vae(&mut Generator::new(5)), None);
    let different: Vec<usize> = (0..768).collect();
    assert!(fixed_factor::FactorGroups::new(&codes, &[different]).is_none(), "no two images share a value");
}

/// A latent for two factors lowers the disentanglement, and two latents for one factor lower the completeness.
#[test]
fn disentanglement_and_completeness_measure_different_things() {
    let factors = four_factors(768);
    let codes = as_numbers(&factors);
    let sum: Vec<f64> = codes[0].iter().zip(&codes[1]).map(|(a, b)| 4.0 * a + b).collect();
    let [.., disentanglement, completeness, _, _, _] =
        factor_scores(&[sum, codes[2].clone(), codes[3].clone()], &factors);
    assert!(disentanglement < 0.8 && completeness > 0.95, "{disentanglement} {completeness}");
    let halves: Vec<Vec<f64>> =
        (0..2).map(|half| codes[0].iter().map(|&x| if (x > 0.0) == (half == 0) { x } else { 0.0 }).collect()).collect();
    let all = [&halves[..], &codes[1..]].concat();
    let [.., disentanglement, completeness, _, _, _] = factor_scores(&all, &factors);
    assert!(disentanglement > 0.95 && completeness < 0.95, "{disentanglement} {completeness}");
}

/// Printed by `python tests/oracle/factors.py`.
#[test]
fn mig_and_sap_agree_with_the_reference() {
    let count = 600;
    let factors =
        [1, 3, 15].iter().zip([3, 5, 8]).map(|(stride, size)| (0..count).map(|i| i / stride % size).collect());
    let factors: Vec<Vec<usize>> = factors.collect();
    let formulas: [&dyn Fn(f64, [f64; 3]) -> f64; 5] = [
        &|i, [a, _, _]| a + 0.3 * i.sin(),
        &|i, [_, b, _]| 0.5 * b + 0.4 * (2.0 * i).cos(),
        &|i, [a, b, _]| 0.6 * a - 0.2 * b + 0.5 * (3.0 * i).sin(),
        &|i, [a, _, c]| c + 0.1 * a * i.cos(),
        &|i, _| (5.0 * i).sin(),
    ];
    let of_image = |i: usize| [0, 1, 2].map(|k| factors[k][i] as f64);
    let latents: Vec<Vec<f64>> =
        formulas.iter().map(|formula| (0..count).map(|i| formula(i as f64, of_image(i))).collect()).collect();
    let near = |ours: Vec<f64>, theirs: [f64; 3]| {
        let close = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(ours.len() == theirs.len() && close, "{ours:?}, there {theirs:?}");
    };
    near(mig::gaps(&latents, &factors), [0.608458264339, 0.529138269389, 0.961105404287]);
    near(sap::leads(&latents, &factors), [0.399340758317, 0.679396583608, 0.99840998276]);
}

#[test]
fn the_lead_is_the_difference_to_the_second() {
    assert_eq!(lead([0.25, 0.75, 0.5].into_iter()), 0.25);
    assert_eq!(lead([0.75].into_iter()), 0.75);
    assert_eq!(lead([0.5, 0.5].into_iter()), 0.0);
}

/// Two images at each corner of a large square: MI = ln 4 exactly, and with each estimator up to its known bias.
#[test]
fn latent_terms_have_their_known_values() {
    let corners: Vec<f32> =
        (0..8).flat_map(|i| [if i % 2 == 0 { 50.0 } else { -50.0 }, if i % 4 < 2 { 50.0 } else { -50.0 }]).collect();
    let (mu, logvar) = (Tensor::new(&corners, [8, 2]), Tensor::full([8, 2], -10.0));
    let means = latent_term_means(&mu, &logvar, &Tensor::zeros([8, 2]));
    assert_eq!(means.iter().map(|(how, _)| *how).collect::<Vec<_>>(), ["batch", "mws", "mss", "exact"]);
    let [batch, mws, _, exact] = [0, 1, 2, 3].map(|i| means[i].1);
    let ln = f64::ln;
    for [mi, tc, _] in [batch, exact] {
        assert!((mi - ln(4.0)).abs() < 1e-4 && tc.abs() < 1e-4, "{mi} {tc}");
    }
    // The weight 1/(N·B) is once in the joint density, but once for each latent in the product of the marginals.
    assert!((mws[0] - ln(4.0) - ln(8.0)).abs() < 1e-4 && (mws[1] - ln(8.0)).abs() < 1e-4, "{mws:?}");
}

#[test]
fn columns_and_variances_are_those_of_the_latents() {
    let columns = columns(&Tensor::new(&[1.0, 5.0, 3.0, 5.0], [2, 2]));
    assert_eq!(columns, [[1.0, 3.0], [5.0, 5.0]]);
    assert_eq!([variance(&columns[0]), variance(&columns[1])], [1.0, 0.0]);
    assert_eq!([ACTIVE, ACTIVE.next_up()].map(is_active), [false, true]);
}

/// Returns an untrained model, with 120 test images of 8×8 pixels whose factors are known.
pub(crate) fn untrained(settings: &[&str]) -> LoadedRun {
    let small = ["data.kind=shapes", "data.images=1440", "data.image_size=8", "model.kind=dense", "model.hidden=4"];
    let mut all = Settings::default();
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
    let predictor = Predictor::new(config, model, dataset.transform.clone(), Device::Cpu);
    LoadedRun::of_parts(Path::new("run"), predictor, dataset, Vec::new())
}

fn scores(run: &LoadedRun, images: usize) -> Scores {
    let mut scores = Scores { images, ..Scores::default() };
    score(run, &Options { images, extractor: None, inception: None, ..Options::default() }, &mut scores).unwrap();
    scores
}

/// If all weights are 0, the posterior is the prior, and every image is decoded to y = ½, which is x = ¾ with
/// `symmetric`. The variance ½ of y is a variance of ⅛ of x.
#[test]
fn a_model_without_weights_has_the_likelihood_of_one_grey() {
    let run = untrained(&["model.output=tanh", "data.normalise=symmetric", "loss.reconstruction=sse"]);
    for (name, param) in nn::parameters(&*run.predictor.model) {
        let value = if name == "decoder.output.bias" { 0.5_f32.atanh() } else { 0.0 };
        param.set(Tensor::full(param.shape(), value));
    }
    let scores = scores(&run, 50);
    let dataset = run.dataset().unwrap();
    let pixels =
        block_on(run.predictor.to_unit(&dataset.batch(&dataset.test, &(0..50).collect::<Vec<_>>()).unwrap())).unwrap();
    let log_p = |x: f32| -(4.0 * (f64::from(x) - 0.75).powi(2)) - 0.5 * (std::f64::consts::PI / 4.0).ln();
    let exact = pixels.into_iter().map(log_p).sum::<f64>() / 50.0;
    let [nats, bits] = likelihood::NAMES.map(|name| scores.get(name).unwrap().value);
    assert!((nats - exact).abs() < 1e-4, "{nats}, exactly {exact}");
    assert!((bits - (8.0 - exact / 64.0 / 2_f64.ln())).abs() < 1e-5, "{bits}");
    assert_eq!(scores.get("mi_exact").unwrap().of, "q(z) of 50 test images");
    assert_eq!(scores.get("mi_mss").unwrap().of, "50 test images, batches of 64");
    assert!(likelihood::NAMES.iter().all(|name| scores.get(name).unwrap().caveat.is_empty()));
    let active = scores.get("active_units").unwrap();
    assert_eq!((active.value, active.parts.len()), (0.0, run.predictor.config.model.z_dim));
    assert!(scores.get("mi_exact").unwrap().value.abs() < 1e-5);
    let missing: Vec<&str> = scores.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!((missing[0], &missing[1..]), ("nll", &FACTOR_SCORES[..]), "50 images are too few");
    assert!(scores.missing[0].why.contains("sse leaves the variance of the pixels open"), "{:?}", scores.missing[0]);
}

/// The decoder's output are logits: −ln p of a pixel x is −x·ln σ(1) − (1 − x)·ln(1 − σ(1)).
#[test]
fn binary_cross_entropy_takes_logits_and_is_no_density() {
    let run = untrained(&["model.output=sigmoid", "data.normalise=unit", "loss.reconstruction=bce"]);
    for (name, param) in nn::parameters(&*run.predictor.model) {
        param.set(Tensor::full(param.shape(), if name == "decoder.output.bias" { 1.0 } else { 0.0 }));
    }
    let scores = scores(&run, 20);
    let dataset = run.dataset().unwrap();
    let pixels = dataset.batch(&dataset.test, &(0..20).collect::<Vec<_>>()).unwrap();
    let one = 1.0 / (1.0 + (-1_f64).exp());
    let log_p = |&x: &f32| f64::from(x) * one.ln() + (1.0 - f64::from(x)) * (1.0 - one).ln();
    let exact = pixels.data().iter().map(log_p).sum::<f64>() / 20.0;
    let [nats, bits] = likelihood::NAMES.map(|name| scores.get(name).unwrap());
    assert!((nats.value - exact).abs() < 1e-4 && (bits.value + exact / 64.0 / 2_f64.ln()).abs() < 1e-5, "{nats:?}");
    assert!(nats.caveat.contains("is not a density") && bits.caveat.contains("is not a density"));
}

#[test]
fn binary_pixels_have_a_likelihood_and_grey_ones_have_none() {
    let bce = ["model.output=sigmoid", "loss.reconstruction=bce"];
    let grey = scores(&untrained(&bce), 5);
    let why = grey.missing.iter().find(|missing| missing.name == "nll").map(|missing| missing.why.clone());
    assert!(why.is_some_and(|why| why.contains("set data.binarise = \"dynamic\"")) && grey.get("nll").is_none());
    let binary = scores(&untrained(&[&bce[..], &["data.binarise=dynamic"]].concat()), 5);
    let [nll, log_likelihood] = ["nll", "log_likelihood"].map(|name| binary.get(name).unwrap());
    assert!(log_likelihood.caveat.is_empty() && log_likelihood.of.ends_with("Bernoulli"));
    assert!(nll.value > 10.0 && nll.value < 100.0, "64 pixels of an untrained model: {}", nll.value);
}

/// The score of images is the mean of what each image has alone, with its own posterior and its own noise.
#[test]
fn the_likelihood_of_images_is_the_mean_over_images() {
    let of = |members: &[usize]| {
        let run = active();
        let mut dataset = run.dataset().unwrap().clone();
        dataset.test = vae_core::data::Split::new(dataset.test.images().clone(), members.to_vec());
        let run = LoadedRun::of_parts(&run.path, run.predictor, dataset, Vec::new());
        scores(&run, members.len()).get("log_likelihood").unwrap().value
    };
    let (all, each) = (of(&[3, 8, 5]), [3, 8, 5].map(|image| of(&[image])));
    assert!((all - each.iter().sum::<f64>() / 3.0).abs() < 1e-4 * all.abs(), "{all} {each:?}");
    assert!(each[0] != each[1]);
}

/// An untrained model whose latents are active.
fn active() -> LoadedRun {
    let run = untrained(&[]);
    nn::parameters(&*run.predictor.model).iter().for_each(|(_, param)| param.set(param.value().mul_scalar(9.0)));
    run
}

#[test]
fn every_score_of_latents_is_computed() {
    let all = scores(&active(), 1_000);
    assert_eq!((all.scores.len(), all.missing.len()), (1 + 12 + 2 + 7, 1), "{:?}", all.missing);
    assert!(all.scores.iter().all(|score| score.value.is_finite() && score.of.contains("120 test images")), "{all:?}");
    assert!(all.get("mig").unwrap().of.ends_with("shape, scale, rotation, x, y"));
    assert!(all.get("factor_vae_score").unwrap().of.ends_with("chance is 0.20"), "one of five factors");
    for (name, of) in [("mi_exact", "q(z) of 120 test images"), ("mi_mss", "120 test images, batches of 64")] {
        assert_eq!(all.get(name).unwrap().of, of);
    }
    assert!(!all.get("dw_kl_mws").unwrap().caveat.is_empty() && all.get("dw_kl_exact").unwrap().caveat.is_empty());
    assert!(all.get("active_units").unwrap().value > 0.0);
}

#[test]
fn a_factor_that_does_not_vary_is_left_out() {
    let all = scores(&untrained(&["data.rotations=1"]), MIN_IMAGES);
    let mig = all.get("mig").unwrap();
    assert!(mig.of.ends_with("parts: shape, scale, x, y"), "{}", mig.of);
}

#[test]
fn the_same_images_have_the_same_scores_and_the_least_number_is_enough() {
    let some = scores(&active(), MIN_IMAGES);
    assert_eq!((some.scores.len(), some.missing.len()), (1 + 12 + 2 + 7, 1), "{:?}", some.missing);
    assert_eq!(some, scores(&active(), MIN_IMAGES), "the same again");
}

#[test]
fn a_score_of_latents_that_is_missing_has_a_reason() {
    let counts = |settings: &[&str]| {
        let all = scores(&untrained(settings), 100);
        (all.scores.len(), all.missing.len(), all.missing.last().unwrap().why.clone())
    };
    let (there, missing, why) = counts(&["model.kind=classifier", "model.width=2", "data.image_size=16"]);
    assert!((there, missing) == (0, 23) && why.contains("\"classifier\" has no posterior"), "{why}");
    let (there, missing, why) =
        counts(&["data.kind=digits", "data.images=12000", "data.image_size=28", "model.conditional=true"]);
    assert!((there, missing) == (15, 8) && why.contains("factors of these images are not known"), "{why}");
}

/// Every estimate from batches has a caveat. The exact MI of narrow posteriors is saturated, that of wide ones is not.
#[test]
fn biased_and_saturated_estimates_have_a_caveat() {
    let has = |how: &str, term: &str, value: f64| caveat(how, term, value, 833);
    for how in ["batch", "mws", "mss"] {
        TERMS.iter().for_each(|term| assert!(has(how, term, 0.1).is_some(), "{term}_{how}"));
    }
    assert!(has("batch", "mi", 4.1).unwrap().contains("ln 64 = 4.16 nats"));
    assert!(caveat("batch", "mi", 1.0, 20).unwrap().contains("ln 20 = 3.00 nats"), "the only batch is smaller");
    assert_eq!(has("exact", "mi", SATURATED * 833_f64.ln()), None, "the limit itself");
    assert!(has("exact", "mi", 6.65).unwrap().contains("ln 833 = 6.73 nats"));
    assert_eq!([has("exact", "mi", 5.9), has("exact", "tc", 91.0), has("exact", "dw_kl", 6.7)], [None, None, None]);
}
