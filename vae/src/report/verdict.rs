//! A summary of a run in a sentence, and advice on what to try next. Every rule has its threshold here.
//!
//! The trend compares the validation loss L of the last epoch with the lowest loss before it, L*, relative to |L*|: the run is
//! improving if L is lower by at least 0.1 %, worse if it is higher by at least 1 %, and otherwise stagnates.
//!
//! The error of the reconstructions is compared with that of the mean training image, E: R² = 1 − MSE/E.

use serde::Serialize;
use vae_core::config::{Config, LossKind, ModelKind};
use vae_core::train::{EarlyStopping, Epoch, Verdict as Step};
use vae_run::{collapsed_kl, hint_against_collapse};
use vae_scores::is_no_better_than_mean;

/// The patience of early stopping that is suggested.
const PATIENCE: usize = 5;
/// The least relative decrease of the loss that counts as better.
const BETTER: f64 = 1e-3;
/// The least relative increase that counts as worse, and the least relative gap of validation above training that is reported.
const WORSE: f64 = 1e-2;
const ABOVE: f64 = 0.1;

/// The trend of the validation loss.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trend {
    /// Fewer than two epochs, so there is no trend.
    Short,
    /// The losses of different epochs cannot be compared.
    Unknown,
    Improving(f64),
    Flat,
    /// Worse since this epoch, by this relative amount.
    Worse(usize, f64),
}

fn trend(history: &[Epoch]) -> Trend {
    let total = |epoch: &Epoch| epoch.validation.losses.total;
    let Some((last, before)) = history.split_last().filter(|(_, before)| !before.is_empty()) else {
        return Trend::Short;
    };
    let best = before.iter().fold(&before[0], |best, epoch| if total(epoch) < total(best) { epoch } else { best });
    let change = (total(last) - total(best)) / total(best).abs().max(1e-9);
    match change {
        change if change <= -BETTER => Trend::Improving(-change),
        change if change >= WORSE => Trend::Worse(best.epoch, change),
        _ => Trend::Flat,
    }
}

/// The number of latents in use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Used {
    /// The number in use.
    pub active: usize,
    /// The number of all latents.
    pub of: usize,
    /// A latent is in use if its KL is above this, in nats.
    pub above: f64,
}

/// A summary and advice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The summary of the run.
    pub sentence: String,
    /// What to try next, the most important first.
    pub advice: Vec<String>,
}

/// What is known of the reported weights besides their epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// The latents in use, if the model has latents.
    pub used: Option<Used>,
    /// The error of always answering with the mean training image, on the validation images.
    pub mean_image: f64,
}

/// Returns the verdict on a run from its epochs. `shown` is the epoch of the reported weights, and `measured` belongs to them.
pub(super) fn verdict(config: &Config, history: &[Epoch], shown: usize, measured: Measured, run: &str) -> Verdict {
    let Some(epoch) = history.get(shown.saturating_sub(1)) else {
        return Verdict {
            sentence: "The run has not finished an epoch, so there are no results yet.".into(),
            advice: vec![format!("Continue: train --resume {run}")],
        };
    };
    let collapsed = collapse(epoch).is_some();
    let trend = if config.loss.kind.total_is_comparable() { trend(history) } else { Trend::Unknown };
    let mut sentence = first_half(config, epoch, measured);
    sentence += &match trend {
        _ if collapsed => String::new(),
        Trend::Unknown => "; its loss moves with the discriminator, so it shows no trend".into(),
        Trend::Short => "; one epoch is too few to show a trend".into(),
        Trend::Improving(part) => {
            format!("; the validation loss still improves, by {} in the last epoch, so train longer", percent(part))
        }
        Trend::Flat => "; the validation loss no longer changes, so more epochs alone will help little".into(),
        Trend::Worse(since, part) => {
            format!("; the validation loss has been rising since epoch {since}, by {} so far", percent(part))
        }
    };
    sentence.push('.');
    Verdict { sentence, advice: advice(config, history, epoch, trend, measured.used, run) }
}

/// The KL of the epoch if the posterior has collapsed.
fn collapse(epoch: &Epoch) -> Option<f64> {
    collapsed_kl(&epoch.validation.losses)
}

fn first_half(config: &Config, epoch: &Epoch, measured: Measured) -> String {
    let (losses, mean) = (&epoch.validation.losses, measured.mean_image);
    let r2 = |mse: f64| 1.0 - mse / mean;
    let no_better = |mse: f64| is_no_better_than_mean(r2(mse));
    let error = epoch.validation.mse.map(|mse| match no_better(mse) {
        true => format!(
            "reconstructs validation images with {} MSE, which is no better than the mean training image with {}",
            short(mse),
            short(mean)
        ),
        false if mean.is_finite() => {
            format!(
                "reconstructs validation images with {} MSE (R² {:.2}: the mean training image has {})",
                short(mse),
                r2(mse),
                short(mean)
            )
        }
        false => format!("reconstructs validation images with {} MSE", short(mse)),
    });
    let error = error.unwrap_or_else(|| format!("reaches a validation loss of {}", short(losses.total)));
    if let Some(kl) = collapse(epoch) {
        let pictures = match epoch.validation.mse.filter(|&mse| no_better(mse)) {
            Some(mse) => format!(
                ", and the reconstructions of validation images are no better than the mean training image ({} against {} MSE)",
                short(mse),
                short(mean)
            ),
            None => String::new(),
        };
        return format!(
            "The posterior has collapsed: its KL is {} nats, so the latents carry no information{pictures}",
            short(kl)
        );
    }
    match (config.model.kind, measured.used) {
        (ModelKind::Classifier, _) => {
            let right = losses.part("accuracy").unwrap_or(f64::NAN);
            format!("The model classifies {} of the validation images correctly", percent(right))
        }
        (ModelKind::Vq | ModelKind::Fsq, _) => {
            let perplexity = losses.part("perplexity").unwrap_or(f64::NAN);
            format!(
                "The model uses its {} codes about as evenly as {} equally frequent ones, and {error}",
                config.model.code_count(),
                short(perplexity)
            )
        }
        (_, Some(Used { active, of, above })) => {
            format!("The model uses {active} of {of} latents (KL above {above} nat) and {error}")
        }
        (_, None) => format!("The model {error}"),
    }
}

fn advice(
    config: &Config,
    history: &[Epoch],
    epoch: &Epoch,
    trend: Trend,
    used: Option<Used>,
    run: &str,
) -> Vec<String> {
    let (mut advice, losses) = (Vec::new(), &epoch.validation.losses);
    if collapse(epoch).is_some() {
        advice.push(format!("To prevent the collapse, try {}.", hint_against_collapse(&config.loss)));
    }
    match trend {
        _ if collapse(epoch).is_some() => {}
        Trend::Improving(_) => {
            advice.push(format!("More epochs: train --resume {run} --set train.epochs={}", 2 * config.train.epochs));
        }
        Trend::Worse(since, _) if config.train.early_stopping == 0 => {
            if let Some(after) = stops(history, since) {
                let saved = history.len() - after;
                let s = if saved == 1 { "" } else { "s" };
                advice.push(format!(
                    "Stop earlier: with train.early_stopping = {PATIENCE} the run would have ended after epoch {after}, {saved} epoch{s} \
                     earlier, and with the same best weights, those of epoch {since}."
                ));
            }
        }
        _ => {}
    }
    let gap = (losses.total - epoch.train.total) / epoch.train.total.abs().max(1e-9);
    if gap > ABOVE && history.len() > 1 {
        advice.push(format!(
            "The validation loss is {} above the training loss. More images, data.augment, train.weight_decay or a smaller model would narrow \
             the gap.",
            percent(gap)
        ));
    }
    if config.model.is_vae() && config.loss.kind == LossKind::Beta && config.loss.beta == 0.0 {
        advice.push(
            "With β = 0 this is a plain autoencoder: its samples are decoded from latents that no image has.".into(),
        );
    }
    match used {
        Some(Used { active, of, above }) if collapse(epoch).is_none() && 2 * active <= of && of > 1 => advice.push(format!(
            "{} of {of} latents carry next to no information: their KL is at most {above} nat. A smaller model.z_dim would do as \
             well, or a smaller weight of the KL would use them.",
            of - active
        )),
        Some(Used { active, of, .. }) if active == of && least(&epoch.validation.kl_per_dim) > 0.5 => {
            advice.push(format!("All {of} latents are in use. A larger model.z_dim may reconstruct better."));
        }
        _ => {}
    }
    advice
}

/// The epoch after which early stopping would have ended a run earlier than it ended, if it would have kept the weights of the epoch
/// `best`.
fn stops(history: &[Epoch], best: usize) -> Option<usize> {
    let mut early = EarlyStopping::new(PATIENCE);
    let after = history.iter().find(|epoch| early.observe(epoch.epoch, epoch.validation.losses.total) == Step::Stop)?;
    let kept = early.best().map(|(epoch, _)| epoch);
    (kept == Some(best) && after.epoch < history.len()).then_some(after.epoch)
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().reduce(f64::min).unwrap_or(f64::NAN)
}

/// Formats a fraction as a percentage.
fn percent(part: f64) -> String {
    format!("{} %", short(100.0 * part))
}

/// Formats a number to three digits.
pub(super) fn short(x: f64) -> String {
    let decimals = (2.0 - x.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod tests {
    use vae_core::config::Settings;
    use vae_core::objective::Losses;
    use vae_core::predict::Validation;

    use vae_core::predict::IN_USE;

    use super::*;

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    /// Epochs with these validation losses, all with this KL.
    fn history(totals: &[f64], kl: f64) -> Vec<Epoch> {
        let epoch = |(i, &total): (usize, &f64)| {
            let losses = Losses { total, parts: vec![("reconstruction", total - kl), ("kl", kl)] };
            Epoch {
                epoch: i + 1,
                train: losses.clone(),
                validation: Validation { losses, kl_per_dim: vec![kl / 2.0; 2], mse: Some(0.0123) },
                learning_rate: 1e-3,
                seconds: 1.0,
                images_per_second: 1.0,
            }
        };
        totals.iter().enumerate().map(epoch).collect()
    }

    fn told(config: &Config, history: &[Epoch], active: usize, of: usize) -> Verdict {
        measured(config, history, active, of, 0.0492)
    }

    fn measured(config: &Config, history: &[Epoch], active: usize, of: usize, mean_image: f64) -> Verdict {
        let used = Some(Used { active, of, above: IN_USE });
        verdict(config, history, history.len(), Measured { used, mean_image }, "runs/a")
    }

    #[test]
    fn a_run_that_still_improves_should_be_continued() {
        let verdict = told(&config(&[]), &history(&[150.0, 120.0, 114.0], 12.0), 11, 16);
        assert_eq!(
            verdict.sentence,
            "The model uses 11 of 16 latents (KL above 0.1 nat) and reconstructs validation images with 0.0123 MSE (R² 0.75: the mean training image has \
             0.0492); the validation loss still improves, by 5.00 % in the last epoch, so train longer."
        );
        assert_eq!(verdict.advice, ["More epochs: train --resume runs/a --set train.epochs=10"]);
    }

    #[test]
    fn the_trend_has_its_thresholds() {
        let of = |totals: &[f64]| trend(&history(totals, 5.0));
        assert_eq!([of(&[]), of(&[3.0])], [Trend::Short; 2]);
        assert_eq!([of(&[100.0, 99.95]), of(&[100.0, 100.9]), of(&[100.0, 100.0])], [Trend::Flat; 3]);
        assert!(matches!(of(&[100.0, 99.89]), Trend::Improving(_)));
        assert!(matches!(of(&[120.0, 100.0, 110.0, 101.0]), Trend::Worse(2, part) if (part - 0.01).abs() < 1e-12));
        assert!(matches!(of(&[-100.0, -101.0]), Trend::Improving(_)), "losses may be below 0");
        assert!(matches!(of(&[-100.0, -98.0]), Trend::Worse(1, _)));
    }

    /// The MSE is 0.0123.
    #[test]
    fn reconstructions_no_better_than_the_mean_image_are_named() {
        let of = |mean, kl| measured(&config(&[]), &history(&[150.0, 150.0], kl), 0, 16, mean).sentence;
        let words =
            "reconstructs validation images with 0.0123 MSE, which is no better than the mean training image with";
        assert!(of(0.0124, 5.0).contains(&format!("{words} 0.0124;")), "{}", of(0.0124, 5.0));
        assert!(of(0.0100, 5.0).contains(&format!("{words} 0.0100;")), "{}", of(0.0100, 5.0));
        assert!(of(0.0125, 5.0).contains("(R² 0.02: the mean training image has 0.0125);"), "{}", of(0.0125, 5.0));
        assert!(of(f64::NAN, 5.0).contains("reconstructs validation images with 0.0123 MSE;"), "{}", of(f64::NAN, 5.0));
        let collapsed = of(0.0123, 0.04);
        let words = ", and the reconstructions of validation images are no better than the mean training image (0.0123 against 0.0123 MSE).";
        assert!(collapsed.ends_with(words), "{collapsed}");
    }

    #[test]
    fn a_loss_in_features_that_change_shows_no_trend() {
        let rising = [150.0, 120.0, 130.0, 131.0, 132.0, 133.0, 134.0, 135.0, 136.0];
        let verdict = told(&config(&["loss.kind=vae-gan"]), &history(&rising, 12.0), 9, 16);
        assert!(
            verdict.sentence.ends_with("; its loss moves with the discriminator, so it shows no trend."),
            "{verdict:?}"
        );
        assert!(verdict.advice.is_empty(), "{verdict:?}");
    }

    #[test]
    fn early_stopping_is_suggested_only_if_it_would_have_stopped() {
        let of = |totals: &[f64]| told(&config(&[]), &history(totals, 12.0), 9, 16).advice;
        let rising = [150.0, 120.0, 130.0, 131.0, 132.0, 133.0, 134.0, 135.0, 136.0];
        assert_eq!(
            of(&rising),
            [
                "Stop earlier: with train.early_stopping = 5 the run would have ended after epoch 7, 2 epochs earlier, and with the same \
              best weights, those of epoch 2."
            ]
        );
        assert!(of(&rising[..8])[0].contains("after epoch 7, 1 epoch earlier"), "{:?}", of(&rising[..8]));
        assert!(of(&rising[..7]).is_empty() && of(&rising[..3]).is_empty(), "it would not have ended earlier");
        let late = [&rising[..], &[110.0, 140.0]].concat();
        assert!(of(&late).is_empty(), "it would have missed epoch 10, the best: {:?}", of(&late));
    }

    #[test]
    fn a_collapse_is_reported_before_everything_else() {
        let verdict = told(&config(&["loss.beta=50"]), &history(&[150.0, 120.0], 0.04), 0, 16);
        assert_eq!(
            verdict.sentence,
            "The posterior has collapsed: its KL is 0.0400 nats, so the latents carry no information."
        );
        assert!(verdict.advice[0].contains("a smaller loss.beta, loss.schedule = \"linear\""), "{:?}", verdict.advice);
        assert_eq!(verdict.advice.len(), 1, "neither more epochs nor fewer latents: {:?}", verdict.advice);
    }

    #[test]
    fn overfitting_unused_and_missing_latents_are_reported() {
        let mut worse = history(&[150.0, 120.0, 130.0], 12.0);
        worse[2].train.total = 100.0;
        let verdict = told(&config(&[]), &worse, 6, 16);
        assert!(verdict.sentence.ends_with("rising since epoch 2, by 8.33 % so far."), "{}", verdict.sentence);
        let begins = [
            "The validation loss is 30.0 % above the training loss",
            "10 of 16 latents carry next to no information: their KL is at most 0.1 nat",
        ];
        assert_eq!(verdict.advice.len(), begins.len());
        begins.iter().zip(&verdict.advice).for_each(|(begin, advice)| assert!(advice.starts_with(begin), "{advice}"));
        let rising = history(&[150.0, 120.0, 130.0, 131.0, 132.0, 133.0, 134.0, 135.0], 12.0);
        let stopping = told(&config(&["train.early_stopping=9"]), &rising, 9, 16);
        assert!(stopping.advice.is_empty(), "it is on already: {:?}", stopping.advice);
        let full = told(&config(&[]), &history(&[150.0, 150.0], 12.0), 2, 2);
        assert_eq!(full.advice, ["All 2 latents are in use. A larger model.z_dim may reconstruct better."]);
        let plain = told(&config(&["loss.beta=0"]), &history(&[150.0, 150.0], 12.0), 9, 16);
        assert!(plain.advice.len() == 1 && plain.advice[0].starts_with("With β = 0"), "{:?}", plain.advice);
    }

    #[test]
    fn every_kind_of_model_has_a_verdict() {
        let unknown = Measured { used: None, mean_image: f64::NAN };
        let none = verdict(&config(&[]), &[], 0, unknown, "runs/a");
        assert_eq!(none.advice, ["Continue: train --resume runs/a"]);
        let one = |settings: &[&str], part: (&'static str, f64), mse| {
            let mut history = history(&[0.5], 12.0);
            (history[0].validation.losses.parts, history[0].validation.mse) = (vec![part], mse);
            verdict(&config(settings), &history, 1, unknown, "runs/a").sentence
        };
        assert_eq!(
            one(&["model.kind=classifier"], ("accuracy", 0.985), None),
            "The model classifies 98.5 % of the validation images correctly; one epoch is too few to show a trend."
        );
        assert_eq!(
            one(&["model.kind=vq"], ("perplexity", 100.0), Some(0.02)),
            "The model uses its 512 codes about as evenly as 100 equally frequent ones, and reconstructs validation images with 0.0200 MSE; one epoch is too few \
             to show a trend."
        );
    }
}
