//! The likelihood of images under probabilistic PCA, whose closed form is known (Tipping and Bishop, 1999), for both priors of a model.

use super::*;

/// The directions of `linear_gaussian`, on the upper and on the lower half of the pixels, and its σ.
const W: [[f64; 64]; 2] = {
    let mut w = [[0.0; 64]; 2];
    let mut i = 0;
    while i < 64 {
        w[i / 32][i] = if i % 3 == 0 { 0.4 } else { -0.2 };
        i += 1;
    }
    w
};
const SIGMA: f64 = 0.5;

/// The pseudo-inputs of the model with a VampPrior, before the sigmoid, times the signs of W.
const PSEUDO_INPUTS: [f64; 2] = [0.0, 1.0];

/// The precision of each latent's posterior.
fn precision() -> [f64; 2] {
    W.map(|w| 1.0 + w.iter().map(|w| w * w).sum::<f64>() / SIGMA.powi(2))
}

/// Probabilistic PCA as a dense model: x = W·z + ½ + σ·noise, and its posterior N(m, 1/precision). A pair of ReLUs is a linear
/// unit: relu(a) − relu(−a) = a. The logarithm of the encoder's variance is too large by `wrong`.
fn linear_gaussian(wrong: f64, settings: &[&str]) -> LoadedRun {
    let sigma = format!("loss.sigma={SIGMA}");
    let all = ["model.z_dim=2", "loss.reconstruction=gaussian", "loss.variance=fixed", &sigma];
    let run = untrained(&[&all[..], settings].concat());
    let precision = precision();
    let sign = |unit: usize| if unit.is_multiple_of(2) { 1.0 } else { -1.0 };
    let slope = |unit: usize, pixel: usize| sign(unit) * W[unit / 2][pixel] / (SIGMA.powi(2) * precision[unit / 2]);
    let value = |name: &str, row: usize, column: usize| match name {
        "encoder.linear1.weight" => slope(row, column),
        "encoder.linear1.bias" => -(0..64).map(|pixel| 0.5 * slope(row, pixel)).sum::<f64>(),
        "encoder.mu.weight" if column / 2 == row => sign(column),
        "decoder.linear1.weight" if row / 2 == column => sign(row),
        "encoder.logvar.bias" => wrong - precision[row].ln(),
        "decoder.output.weight" => sign(column) * W[column / 2][row],
        "decoder.output.bias" => 0.5,
        "prior.pseudo_inputs" => PSEUDO_INPUTS[row] * W[column / 32][column].signum(),
        _ => 0.0,
    };
    for (name, param) in nn::parameters(&*run.predictor.model) {
        let columns = param.shape()[1..].iter().product::<usize>();
        let each = (0..param.shape().count()).map(|i| value(&name, i / columns, i % columns) as f32);
        param.set(Tensor::new(&each.collect::<Vec<_>>(), param.shape()));
    }
    run
}

/// ln N(x; ½ + W·m, W·diag(v)·Wᵀ + σ²I), the density of images if the latents are N(m, diag v). The columns of W are orthogonal, so
/// they are eigenvectors.
fn exact_log_density(x: &[f32], m: [f64; 2], v: [f64; 2]) -> f64 {
    let decoded = |pixel: usize| 0.5 + W[0][pixel] * m[0] + W[1][pixel] * m[1];
    let x: Vec<f64> = x.iter().enumerate().map(|(pixel, &x)| f64::from(x) - decoded(pixel)).collect();
    let noise = SIGMA.powi(2);
    let mut squares = x.iter().map(|x| x * x).sum::<f64>() / noise;
    let mut log_det = 64.0 * noise.ln();
    for (w, v) in W.into_iter().zip(v) {
        let norm = w.iter().map(|w| w * w).sum::<f64>();
        let along = w.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>().powi(2) / norm;
        squares += along / (norm * v + noise) - along / noise;
        log_det += (norm * v + noise).ln() - noise.ln();
    }
    -0.5 * (squares + log_det + 64.0 * (2.0 * std::f64::consts::PI).ln())
}

/// With the exact posterior any number of draws gives −ln p(x), and with another one many draws do.
#[test]
fn the_nll_of_a_linear_gaussian_model_is_its_closed_form() {
    let nll = |wrong: f64, draws: usize| {
        let run = linear_gaussian(wrong, &[]);
        let mut scores = scores(&run, 2);
        scores.scores.clear();
        let options = Options { images: 2, nll_samples: draws, nll_images: 20, ..Options::default() };
        score(&run, &options, &mut scores).unwrap();
        let score = scores.get("nll").unwrap();
        assert_eq!((score.unit.as_str(), score.of.clone()), ("nats", format!("20 test images, {draws} draws each")));
        score.value
    };
    let run = linear_gaussian(0.0, &[]);
    let dataset = run.dataset().unwrap();
    let images = dataset.batch(&dataset.test, &(0..20).collect::<Vec<_>>()).unwrap();
    let exact = -images.data().chunks(64).map(|x| exact_log_density(x, [0.0; 2], [1.0; 2])).sum::<f64>() / 20.0;
    for draws in [1, 7] {
        let found = nll(0.0, draws);
        assert!((found - exact).abs() < 1e-3, "{draws} draws: {found}, exactly {exact}");
    }
    let [one, many] = [1, 2_000].map(|draws| nll(1.0, draws)); // more draws than are decoded at once
    assert!(one > exact + 0.2 && (many - exact).abs() < 0.02, "{one}, {many}, exactly {exact}");
}

/// With a VampPrior, the density of images is the mean of a closed form for each pseudo-input. The linear encoder maps the first to
/// N(0, v) and the second to N(m, v).
#[test]
fn the_nll_under_a_vampprior_is_its_closed_form() {
    let run = linear_gaussian(1.0, &["data.normalise=unit", "model.prior=vamp", "model.pseudo_inputs=2"]);
    let mut scores = scores(&run, 2);
    scores.scores.clear();
    let options = Options { images: 2, nll_samples: 4_000, nll_images: 20, ..Options::default() };
    score(&run, &options, &mut scores).unwrap();
    let (nll, of_bound) = (scores.get("nll").unwrap(), scores.get("log_likelihood").unwrap().of.clone());
    assert_eq!(nll.of, "20 test images, 4000 draws each, p(z) is the VampPrior of 2 pseudo-inputs");
    assert!(of_bound.contains("p(z) is the VampPrior"), "{of_bound}");
    let v = precision().map(|precision| 1_f64.exp() / precision);
    let means = PSEUDO_INPUTS.map(|w| {
        let above_half = 1.0 / (1.0 + (-w).exp()) - 0.5;
        [0, 1].map(|k| above_half * W[k].iter().map(|w| w.abs()).sum::<f64>() / (SIGMA.powi(2) * precision()[k]))
    });
    let dataset = run.dataset().unwrap();
    let images = dataset.batch(&dataset.test, &(0..20).collect::<Vec<_>>()).unwrap();
    let density = |x: &[f32]| means.map(|m| exact_log_density(x, m, v).exp()).iter().sum::<f64>() / 2.0;
    let exact = -images.data().chunks(64).map(|x| density(x).ln()).sum::<f64>() / 20.0;
    let standard = -images.data().chunks(64).map(|x| exact_log_density(x, [0.0; 2], [1.0; 2])).sum::<f64>() / 20.0;
    assert!((nll.value - exact).abs() < 0.02, "{}, exactly {exact}", nll.value);
    assert!((exact - standard).abs() > 0.1, "another density than under N(0, I): {exact}, {standard}");
}
