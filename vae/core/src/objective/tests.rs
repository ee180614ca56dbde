//! Laws of an objective: weights, the effective β, schedules, and the three terms of the KL.

use super::*;
use crate::config::{KlScheduleKind, Reconstruction};

const AT_END: ScheduleContext = ScheduleContext { epochs: END, images: 100 };

fn config(beta: f64, reduction: Reduction) -> Config {
    let mut config = Config::default();
    (config.loss.beta, config.loss.reduction) = (beta, reduction);
    (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(3), Some(64), 512);
    config
}

#[test]
fn effective_beta_is_beta_for_sums_and_grows_by_pixels_over_latents_for_means() {
    assert_eq!(config(4.0, Reduction::Sum).effective_beta(), 4.0);
    assert!((config(0.01, Reduction::Mean).effective_beta() - 0.24).abs() < 1e-12); // 0.01·12288/512
    assert_eq!(config(0.0, Reduction::Mean).effective_beta(), 0.0);
}

#[test]
fn the_total_is_the_weighted_sum_of_unweighted_terms() {
    let x = Tensor::new(&[0.0, 1.0, 1.0, 0.0], [1, 1, 2, 2]);
    let logits = Var::constant(Tensor::new(&[0.5, 0.5, 0.0, 0.0], [1, 1, 2, 2]));
    let (mu, logvar) = (Var::constant(Tensor::new(&[1.0, 0.0], [1, 2])), Var::constant(Tensor::zeros([1, 2])));
    for reduction in [Reduction::Sum, Reduction::Mean] {
        let mut config = config(3.0, reduction);
        (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(1), Some(2), 2);
        let objective = Objective::new(&config);
        let terms = objective.terms(&logits, &x, [&mu, &mu, &logvar], AT_END, &ForwardContext::eval());
        assert_eq!(terms.part("reconstruction").unwrap().value().data(), [1.5]);
        assert_eq!(terms.part("kl").unwrap().value().data(), [0.5]);
        let expected = match reduction {
            Reduction::Sum => 1.5 + 3.0 * 0.5,
            Reduction::Mean => 1.5 / 4.0 + 3.0 * 0.5 / 2.0,
        };
        assert_eq!(terms.total.value().data(), [expected as f32]);
        assert_eq!(terms.term_weights().losses(&[1.5, 0.5]).total, expected);
    }
}

#[test]
fn two_weights_are_an_effective_beta_and_a_scale() {
    let weighted = |k1, k2, reduction| {
        let mut config = config(7.0, reduction);
        (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
        (config.effective_beta(), Objective::new(&config))
    };
    let (effective, objective) = weighted(0.5, 0.5, Reduction::Sum);
    assert_eq!((effective, objective.reconstruction, objective.kl), (1.0, 0.5, 0.5));
    assert_eq!(weighted(0.25, 0.5, Reduction::Sum).0, 2.0);
    assert_eq!(weighted(0.5, 0.5, Reduction::Mean).0, 24.0); // 12288/512
    assert_eq!(weighted(1.0, 0.0, Reduction::Sum).0, 0.0);
    for reduction in [Reduction::Sum, Reduction::Mean] {
        assert_eq!(weighted(0.0, 1.0, reduction).0, f64::INFINITY);
    }
}

#[test]
fn weights_of_zero_do_not_give_nan() {
    for (k1, k2) in [(0.0, 1.0), (1.0, 0.0)] {
        let mut config = Config::default();
        (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
        let leaf = |numbers: &[f32]| Var::leaf(Tensor::new(numbers, [1, 2]));
        let (mu, logvar) = (leaf(&[3.0, -40.0]), leaf(&[20.0, -30.0]));
        let logits = Var::leaf(Tensor::new(&[1e6, -1e6], [1, 1, 1, 2]));
        let (x, latents, eval) = (Tensor::zeros([1, 1, 1, 2]), [&mu, &mu, &logvar], ForwardContext::eval());
        let terms = Objective::new(&config).terms(&logits, &x, latents, AT_END, &eval);
        let gradients = terms.total.backward();
        assert!(terms.total.value().data()[0].is_finite());
        for (var, weight) in [(&mu, k2), (&logvar, k2), (&logits, k1)] {
            let gradient = gradients.of(var).unwrap().data();
            assert!(gradient.iter().all(|x| x.is_finite() && (*x != 0.0) == (weight > 0.0)), "{gradient:?}");
        }
    }
}

#[test]
fn a_sigmoid_is_applied_once() {
    let mut config = Config::default();
    (config.model.output, config.loss.reconstruction) = (Output::Sigmoid, Reconstruction::Sse);
    let (logits, x) = (Var::constant(Tensor::zeros([1, 1, 1, 1])), Tensor::ones([1, 1, 1, 1]));
    let reconstruction = |config: &Config| {
        Objective::new(config).reconstruction_term(&logits, &x, &ForwardContext::eval()).0.value().data()[0]
    };
    let sse = reconstruction(&config);
    assert_eq!(sse, 0.25); // (1 − σ(0))²
    config.loss.reconstruction = Reconstruction::Bce;
    let bce = reconstruction(&config);
    assert!((bce - std::f32::consts::LN_2).abs() < 1e-6); // −ln σ(0)
}

/// Returns the total and the parts for four images with these settings at this time.
fn four(set: impl Fn(&mut Config), epochs: f64) -> Vec<f64> {
    let mut config = config(1.0, Reduction::Sum);
    (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(1), Some(2), 3);
    set(&mut config);
    let mut rng = tensor::Generator::new(4);
    let [x, logits] = [0, 1].map(|_| rng.normal_tensor([4, 1, 2, 2]));
    let [mu, logvar] = [0, 1].map(|_| Var::constant(rng.normal_tensor([4, 3])));
    let z = mu.reparameterise(&logvar, &rng.normal_tensor([4, 3]));
    let schedule = ScheduleContext { epochs, images: 100 };
    let (logits, eval) = (Var::constant(logits), ForwardContext::eval());
    let terms = Objective::new(&config).terms(&logits, &x, [&z, &mu, &logvar], schedule, &eval);
    terms.watched().iter().map(|number| f64::from(number.data()[0])).collect()
}

#[test]
fn the_three_terms_with_equal_weights_are_the_elbo_for_the_same_noise() {
    let bound = {
        let mut rng = tensor::Generator::new(4);
        let [x, logits] = [0, 1].map(|_| rng.normal_tensor([4, 1, 2, 2]));
        let [mu, logvar, eps] = [0, 1, 2].map(|_| rng.normal_tensor([4, 3]));
        let sse: f64 = x.data().iter().zip(logits.data()).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let each = mu.data().iter().zip(logvar.data()).zip(eps.data());
        let ratio = each.map(|((&mu, &logvar), &eps)| {
            let (mu, logvar, eps) = (f64::from(mu), f64::from(logvar), f64::from(eps));
            0.5 * ((mu + (logvar / 2.0).exp() * eps).powi(2) - eps.powi(2) - logvar) // log q(z|x) − log p(z)
        });
        (sse + ratio.sum::<f64>()) / 4.0
    };
    for estimator in [Estimator::Batch, Estimator::Mws, Estimator::Mss, Estimator::Unnormalised] {
        let values = four(|config| (config.loss.kind, config.loss.estimator) = (LossKind::Tc, estimator), END);
        assert_eq!(values.len(), 6, "total, reconstruction, mi, tc, dw_kl, kl");
        assert!((values[0] - bound).abs() < 1e-4, "{estimator}: {} for {bound}", values[0]);
    }
}

#[test]
fn each_of_the_three_terms_has_its_own_weight() {
    let set = |config: &mut Config| {
        config.loss.kind = LossKind::Tc;
        (config.loss.alpha, config.loss.beta, config.loss.gamma) = (2.0, 6.0, 0.5);
    };
    let values = four(set, END);
    let total = values[1] + 2.0 * values[2] + 6.0 * values[3] + 0.5 * values[4];
    assert!((values[0] - total).abs() < 1e-5, "{values:?}");
    let mut config = Config::default();
    set(&mut config);
    assert_eq!(config.effective_beta(), 6.0);
    let mean = four(|config| (set(config), config.loss.reduction = Reduction::Mean).0, END);
    let total = values[1] / 4.0 + (2.0 * values[2] + 6.0 * values[3] + 0.5 * values[4]) / 3.0;
    assert!((mean[0] - total).abs() < 1e-5, "{mean:?}");
}

#[test]
fn a_schedule_changes_the_total_but_no_part() {
    let plain = four(|config| config.loss.beta = 3.0, 0.5);
    let [reconstruction, kl] = [plain[1], plain[2]];
    let scheduled = |schedule, epochs| {
        four(
            |config| {
                (config.loss.schedule, config.loss.warmup, config.train.epochs) = (schedule, 2.0, 8);
                (config.loss.beta, config.loss.gamma, config.loss.capacity) = (3.0, 10.0, 0.25);
            },
            epochs,
        )
    };
    for (schedule, epochs, total) in [
        (KlScheduleKind::Linear, 0.5, reconstruction + 0.25 * 3.0 * kl),
        (KlScheduleKind::Linear, END, reconstruction + 3.0 * kl),
        (KlScheduleKind::Cyclical, 3.0, reconstruction + 3.0 * kl), // cycles of two epochs
        (KlScheduleKind::Cyclical, 4.25, reconstruction + 0.25 * 3.0 * kl),
        (KlScheduleKind::Capacity, 1.0, reconstruction + 10.0 * (kl - 0.125)),
        (KlScheduleKind::Capacity, END, reconstruction + 10.0 * (kl - 0.25)),
    ] {
        let values = scheduled(schedule, epochs);
        assert!((values[0] - total).abs() < 1e-4, "{schedule} at {epochs}: {} for {total}", values[0]);
        assert_eq!((values[1], *values.last().unwrap()), (reconstruction, kl), "{schedule}");
    }
    let tc = |epochs| {
        four(|config| (config.loss.kind, config.loss.schedule) = (LossKind::Tc, KlScheduleKind::Linear), epochs)
    };
    let (start, end) = (tc(0.0), tc(END));
    assert_eq!((start[0], &start[1..]), (reconstruction, &end[1..]));
}
