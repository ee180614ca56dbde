//! Codes whose scores are known: perfect, turned, noise; a formula whose scores the reference Python printed.

use tensor::{Device, Generator};
use vae_core::config::Settings;
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::predict::Predictor;

use super::*;

/// Four factors of four values each in `count` images, all combinations alike often.
fn four_factors(count: usize) -> Vec<Vec<usize>> {
    let order = Generator::new(3).permutation(count);
    (0..4).map(|k| order.iter().map(|image| image / 4_usize.pow(k) % 4).collect()).collect()
}

fn as_numbers(factors: &[Vec<usize>]) -> Vec<Vec<f64>> {
    factors.iter().map(|values| values.iter().map(|&value| value as f64 - 1.5).collect()).collect()
}

/// Each latent half of the sum of all four, with signs: an orthogonal matrix that gives no latent to any factor.
fn turned(codes: &[Vec<f64>]) -> Vec<Vec<f64>> {
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

/// The scores of a code, in the order of `FACTOR_SCORES`.
fn told(latents: &[Vec<f64>], factors: &[Vec<usize>]) -> [f64; 7] {
    let mut scores =
        Scores { run: "a".into(), epoch: 1, images: 1, scores: Vec::new(), missing: Vec::new(), warnings: Vec::new() };
    add_factor_scores(latents, &["a", "b", "c", "d"], factors, &mut Generator::new(5), "images", &mut scores);
    FACTOR_SCORES.map(|name| scores.get(name).expect(name).value)
}

#[test]
fn a_perfect_code_scores_one_a_turned_one_little_and_noise_nothing() {
    let factors = four_factors(768);
    let codes = as_numbers(&factors);
    // A latent that says nothing beside those that are the factors, in another order and with other signs.
    let mut perfect: Vec<Vec<f64>> = codes.iter().rev().map(|codes| codes.iter().map(|x| -3.0 * x).collect()).collect();
    perfect.push(vec![0.25; 768]);
    let best = told(&perfect, &factors);
    assert!(best.iter().all(|&score| score > 0.99), "{best:?}");

    let [mig, sap, disentanglement, completeness, informativeness, beta, factor] = told(&turned(&codes), &factors);
    assert!(
        mig < 0.05 && sap < 0.05 && disentanglement < 0.3 && completeness < 0.3,
        "{mig} {sap} {disentanglement} {completeness}"
    );
    assert!(informativeness > 0.6 && beta < 0.35 && factor < 0.45, "{informativeness} {beta} {factor}");

    let [mig, sap, disentanglement, completeness, informativeness, beta, factor] = told(&noise(768), &factors);
    assert!(
        mig < 0.03 && sap < 0.02 && disentanglement < 0.05 && completeness < 0.05,
        "{mig} {sap} {disentanglement} {completeness}"
    );
    assert!(informativeness < 0.05 && beta < 0.35 && factor < 0.4, "{informativeness} {beta} {factor}");
}

/// Latents of very different size, each a factor and a little noise: what moves least is not what was held fixed.
#[test]
fn a_latent_moves_little_compared_to_itself() {
    let factors = four_factors(768);
    let scaled = as_numbers(&factors).into_iter().zip(noise(768)).zip([0.15, 0.5, 2.0, 8.0]);
    let codes: Vec<Vec<f64>> = scaled
        .map(|((codes, noise), scale)| codes.iter().zip(noise).map(|(x, eps)| scale * (x + 0.1 * eps)).collect())
        .collect();
    let shared = fixed_factor::Shared::new(&codes, &factors).unwrap();
    let told = shared.factor_vae(&mut Generator::new(5)).unwrap();
    assert!(told > 0.99, "{told}");
    let still: Vec<Vec<f64>> = codes.iter().map(|codes| codes.iter().map(|x| 1e-3 * x).collect()).collect();
    assert_eq!(fixed_factor::Shared::new(&still, &factors).unwrap().factor_vae(&mut Generator::new(5)), None);
    let different: Vec<usize> = (0..768).collect();
    assert!(fixed_factor::Shared::new(&codes, &[different]).is_none(), "no two images share a value");
}

/// One latent that is two factors, and none that is the others: complete for none, disentangled for neither.
#[test]
fn one_latent_for_two_factors_is_no_disentanglement_and_two_for_one_no_completeness() {
    let factors = four_factors(768);
    let codes = as_numbers(&factors);
    let sum: Vec<f64> = codes[0].iter().zip(&codes[1]).map(|(a, b)| 4.0 * a + b).collect();
    let [.., disentanglement, completeness, _, _, _] = told(&[sum, codes[2].clone(), codes[3].clone()], &factors);
    assert!(disentanglement < 0.8 && completeness > 0.95, "{disentanglement} {completeness}");
    let halves: Vec<Vec<f64>> =
        (0..2).map(|half| codes[0].iter().map(|&x| if (x > 0.0) == (half == 0) { x } else { 0.0 }).collect()).collect();
    let all = [&halves[..], &codes[1..]].concat();
    let [.., disentanglement, completeness, _, _, _] = told(&all, &factors);
    assert!(disentanglement > 0.95 && completeness < 0.95, "{disentanglement} {completeness}");
}

/// Printed by `python tests/oracle/factors.py`.
#[test]
fn gaps_and_leads_are_those_of_the_reference() {
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
        assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9), "{ours:?}, there {theirs:?}");
    };
    near(mig::gaps(&latents, &factors), [0.608458264339, 0.529138269389, 0.961105404287]);
    near(sap::leads(&latents, &factors), [0.399340758317, 0.679396583608, 0.99840998276]);
}

#[test]
fn the_lead_is_over_the_second() {
    assert_eq!(lead([0.25, 0.75, 0.5].into_iter()), 0.25);
    assert_eq!(lead([0.75].into_iter()), 0.75);
    assert_eq!(lead([0.5, 0.5].into_iter()), 0.0);
}

/// Two images a corner of a square, far apart: MI = ln 4 to all of them by every estimator that weighs as it should.
#[test]
fn terms_are_told_by_each_estimator_and_exactly() {
    let corners: Vec<f32> =
        (0..8).flat_map(|i| [if i % 2 == 0 { 50.0 } else { -50.0 }, if i % 4 < 2 { 50.0 } else { -50.0 }]).collect();
    let (mu, logvar) = (Tensor::new(&corners, [8, 2]), Tensor::full([8, 2], -10.0));
    let told = latent_term_means(&mu, &logvar, &Tensor::zeros([8, 2]));
    assert_eq!(told.iter().map(|(how, _)| *how).collect::<Vec<_>>(), ["batch", "mws", "mss", "exact"]);
    let [batch, mws, _, exact] = [0, 1, 2, 3].map(|i| told[i].1);
    let ln = f64::ln;
    for [mi, tc, _] in [batch, exact] {
        assert!((mi - ln(4.0)).abs() < 1e-4 && tc.abs() < 1e-4, "{mi} {tc}");
    }
    // The weight 1/(N·B) once in the joint, once a latent in the product.
    assert!((mws[0] - ln(4.0) - ln(8.0)).abs() < 1e-4 && (mws[1] - ln(8.0)).abs() < 1e-4, "{mws:?}");
}

#[test]
fn codes_are_columns_and_spread_is_theirs() {
    let columns = columns(&Tensor::new(&[1.0, 5.0, 3.0, 5.0], [2, 2]));
    assert_eq!(columns, [[1.0, 3.0], [5.0, 5.0]]);
    assert_eq!([variance(&columns[0]), variance(&columns[1])], [1.0, 0.0]);
}

/// A model that was never trained, on 120 test images of 8 pixels, drawn with their factors.
fn untrained(settings: &[&str]) -> LoadedRun {
    let small = ["data.kind=shapes", "data.images=1440", "data.image_size=8", "model.kind=dense", "model.hidden=4"];
    let mut all = Settings::default();
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
    let predictor = Predictor::new(config, model, dataset.transform.clone(), Device::Cpu);
    LoadedRun { path: "run".into(), name: "run".into(), predictor, dataset, history: Vec::new(), epoch: 0 }
}

fn scores(run: &LoadedRun, images: usize) -> Scores {
    let mut scores =
        Scores { run: "run".into(), epoch: 0, images, scores: Vec::new(), missing: Vec::new(), warnings: Vec::new() };
    score(run, &Options { images, extractor: None, inception: None }, &mut scores).unwrap();
    scores
}

/// With all weights 0 a posterior is the prior and each image is decoded to y = 0: the middle grey of `symmetric`, whose
/// variance ½ of y is ⅛ of x.
#[test]
fn a_model_that_knows_nothing_has_the_likelihood_of_its_grey() {
    let run = untrained(&["model.output=linear", "data.normalise=symmetric", "loss.reconstruction=sse"]);
    for (_, param) in nn::parameters(&*run.predictor.model) {
        param.set(Tensor::zeros(param.shape()));
    }
    let scores = scores(&run, 50);
    let dataset = &run.dataset;
    let pixels =
        block_on(run.predictor.to_unit(&dataset.batch(&dataset.test, &(0..50).collect::<Vec<_>>()).unwrap())).unwrap();
    let log_p = |x: f32| -(4.0 * (f64::from(x) - 0.5).powi(2)) - 0.5 * (std::f64::consts::PI / 4.0).ln();
    let exact = pixels.into_iter().map(log_p).sum::<f64>() / 50.0;
    let [nats, bits] = likelihood::NAMES.map(|name| scores.get(name).unwrap().value);
    assert!((nats - exact).abs() < 1e-4, "{nats}, exactly {exact}");
    assert!((bits - (8.0 - exact / 64.0 / 2_f64.ln())).abs() < 1e-5, "{bits}");
    let active = scores.get("active_units").unwrap();
    assert_eq!((active.value, active.parts.len()), (0.0, run.predictor.config.model.z_dim));
    assert!(scores.get("mi_exact").unwrap().value.abs() < 1e-5);
    let missing: Vec<&str> = scores.missing.iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(missing, FACTOR_SCORES, "50 images are too few");
}

#[test]
fn every_score_is_there_or_its_reason() {
    let active = || {
        let run = untrained(&[]);
        nn::parameters(&*run.predictor.model).iter().for_each(|(_, param)| param.set(param.value().mul_scalar(9.0)));
        run
    };
    let all = scores(&active(), 1_000);
    assert_eq!((all.scores.len(), all.missing.len()), (1 + 12 + 2 + 7, 0), "{:?}", all.missing);
    assert!(all.scores.iter().all(|score| score.value.is_finite() && score.of.contains("120 test images")), "{all:?}");
    assert!(all.get("mig").unwrap().of.ends_with("shape, scale, rotation, x, y"));
    assert_eq!(all, scores(&active(), 1_000), "the same again");
    let told = |settings: &[&str]| {
        let told = scores(&untrained(settings), 100);
        (told.scores.len(), told.missing.len(), told.missing.last().unwrap().why.clone())
    };
    let (there, missing, why) = told(&["model.kind=classifier", "model.width=2", "data.image_size=16"]);
    assert!((there, missing) == (0, 22) && why.contains("\"classifier\" has no posterior"), "{why}");
    let (there, missing, why) =
        told(&["data.kind=digits", "data.images=12000", "data.image_size=28", "model.conditional=true"]);
    assert!((there, missing) == (15, 7) && why.contains("factors of these images are not known"), "{why}");
}
