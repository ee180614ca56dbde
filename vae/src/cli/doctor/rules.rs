//! What is wrong with a run, from numbers. Each rule is a function of the facts that gives a finding or nothing.
//!
//! The rules go from what explains everything else to what is fine-tuning. A run that has diverged or collapsed is not told that its
//! samples are blurry.

use std::collections::BTreeMap;

use vae_core::predict::IN_USE;
use vae_scores::is_no_better_than_mean;

/// What the rules look at.
pub(super) struct Facts {
    /// Whether the model has a KL at all.
    pub(super) is_vae: bool,
    /// The validation loss after each epoch.
    pub(super) losses: Vec<f64>,
    /// The number of epochs that the configuration asks for.
    pub(super) epochs_wanted: usize,
    /// The KL after the last epoch, in nats.
    pub(super) kl: Option<f64>,
    /// Whether the loss takes means over pixels and latents.
    pub(super) takes_means: bool,
    /// The weight of the summed KL, divided by that of the summed reconstruction.
    pub(super) effective_beta: f64,
    /// What to change against a collapse.
    pub(super) against_collapse: String,
    /// What the configuration says about its weight of the KL.
    pub(super) kl_weight: Option<String>,
    /// The scores by name.
    pub(super) scores: BTreeMap<String, f64>,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    /// What one sees.
    pub(super) symptom: &'static str,
    /// The numbers that show the cause.
    pub(super) evidence: String,
    /// A command that shows it.
    pub(super) look: &'static str,
    /// What to do.
    pub(super) cure: String,
}

/// Reconstructions with less than this share of the originals' sharpness are blurry.
const BLURRY: f64 = 0.5;
/// Samples whose Fréchet distance is this many times that of the reconstructions have another cause than the decoder.
const WORSE: f64 = 1.5;

/// Every finding, the most important first.
pub(super) fn diagnose(facts: &Facts) -> Vec<Finding> {
    let fatal: [fn(&Facts) -> Option<Finding>; 3] = [diverged, collapsed, no_better_than_the_mean];
    if let Some(finding) = fatal.iter().find_map(|rule| rule(facts)) {
        return vec![finding];
    }
    let others: [fn(&Facts) -> Option<Finding>; 5] = [overfitted, still_learning, blurry, holes, negative];
    others.iter().filter_map(|rule| rule(facts)).collect()
}

fn diverged(facts: &Facts) -> Option<Finding> {
    let bad = facts.losses.iter().position(|loss| !loss.is_finite());
    let evidence = match bad {
        Some(epoch) => format!("the validation loss of epoch {} is not finite", epoch + 1),
        None if facts.losses.is_empty() => {
            "no epoch ended; the run diverged or was stopped in its first epoch".to_owned()
        }
        None => return None,
    };
    Some(Finding {
        symptom: "the losses are NaN, or there are none",
        evidence,
        look: "vae info RUN",
        cure: "lower train.learning_rate, or set train.clip = 1; if the KL grew large first, set loss.schedule = \"linear\"".to_owned(),
    })
}

fn collapsed(facts: &Facts) -> Option<Finding> {
    let kl = facts.kl.filter(|kl| facts.is_vae && *kl < IN_USE)?;
    let mean = if facts.takes_means { "; loss.reduction = \"mean\" is a part of it" } else { "" };
    Some(Finding {
        symptom: "all reconstructions are alike: the posterior has collapsed",
        evidence: format!(
            "the KL is {kl:.3} nats, so the decoder ignores the latents; the effective β is {}{mean}",
            facts.effective_beta
        ),
        look: "vae draw RUN kl",
        cure: facts.against_collapse.clone(),
    })
}

fn no_better_than_the_mean(facts: &Facts) -> Option<Finding> {
    let r2 = *facts.scores.get("r2").filter(|r2| is_no_better_than_mean(**r2))?;
    let epochs = facts.losses.len();
    Some(Finding {
        symptom: "everything is black, grey, or the same smear",
        evidence: format!("R² is {r2:.3} after {epochs} epochs, so the reconstructions are no better than the mean image, although the latents are used"),
        look: "vae draw RUN curves",
        cure: "train longer (a larger train.epochs), or with a larger train.learning_rate; check that the images are read as you think: vae draw RUN reconstructions".to_owned(),
    })
}

fn overfitted(facts: &Facts) -> Option<Finding> {
    let (best, lowest) = facts.losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    let last = facts.losses.last()?;
    // A loss may be negative, so the rise is compared with how far the loss has come.
    let fallen = facts.losses.first()? - lowest;
    (last - lowest > 0.1 * fallen && fallen > 0.0).then(|| Finding {
        symptom: "good on training images, bad on others: it learns them by heart",
        evidence: format!("the validation loss was lowest in epoch {}, {lowest:.4}, and is {last:.4} now", best + 1),
        look: "vae draw RUN curves",
        cure: "more images, a smaller model, or fewer epochs; the best weights are kept, and every command uses them"
            .to_owned(),
    })
}

fn still_learning(facts: &Facts) -> Option<Finding> {
    let [first, .., before, last] = facts.losses[..] else { return None };
    let progress = first - last;
    (progress > 0.0 && before - last > 0.05 * progress).then(|| Finding {
        symptom: "the run stopped while it was still learning",
        evidence: format!(
            "its last epoch made {:.0} % of all progress since the first; {} of {} epochs are done",
            100.0 * (before - last) / progress,
            facts.losses.len(),
            facts.epochs_wanted
        ),
        look: "vae draw RUN curves",
        cure: "a larger train.epochs; vae train --recipe RUN/config.toml --set train.epochs=…".to_owned(),
    })
}

fn blurry(facts: &Facts) -> Option<Finding> {
    let sharpness = |name: &str| facts.scores.get(&format!("laplacian_variance_{name}")).copied();
    let share = sharpness("reconstructions")? / sharpness("originals")?;
    let weight = facts.kl_weight.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
    (share < BLURRY).then(|| Finding {
        symptom: "the reconstructions are blurry, so the samples are too",
        evidence: format!("they have {:.0} % of the originals' sharpness (the variance of the Laplacian){weight}", 100.0 * share),
        look: "vae draw RUN reconstructions",
        cure: "loss.reconstruction = \"gaussian\", or a smaller loss.beta; then more latents (model.z_dim) or a wider model".to_owned(),
    })
}

fn holes(facts: &Facts) -> Option<Finding> {
    let samples = *facts.scores.get("frechet_distance")?;
    let reconstructions = *facts.scores.get("frechet_distance_reconstructions")?;
    (samples > WORSE * reconstructions).then(|| Finding {
        symptom: "reconstructions are fine, samples are not",
        evidence: format!("the Fréchet distance of samples is {samples:.1}, that of reconstructions {reconstructions:.1}: draws from the prior miss the codes of real images"),
        look: "vae draw RUN samples",
        cure: "vae fit-prior RUN, then vae sample RUN --prior gmm; or a larger loss.beta".to_owned(),
    })
}

fn negative(facts: &Facts) -> Option<Finding> {
    let last = *facts.losses.last()?;
    (last < 0.0).then(|| Finding {
        symptom: "the loss is negative, which is no fault",
        evidence: format!("it is {last:.4}; a density may be larger than 1, and then its −log is negative"),
        look: "vae config loss.reconstruction",
        cure: "nothing; compare it with other runs of the same data and the same loss only".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run with which nothing is wrong.
    fn healthy() -> Facts {
        let scores = [
            ("r2", 0.9),
            ("laplacian_variance_originals", 100.0),
            ("laplacian_variance_reconstructions", 80.0),
            ("frechet_distance", 11.0),
            ("frechet_distance_reconstructions", 10.0),
        ];
        Facts {
            is_vae: true,
            losses: vec![100.0, 60.0, 50.2, 50.1, 50.0],
            epochs_wanted: 5,
            kl: Some(12.0),
            takes_means: false,
            effective_beta: 1.0,
            against_collapse: "a smaller loss.beta".into(),
            kl_weight: None,
            scores: scores.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    fn set(facts: &mut Facts, name: &str, value: f64) {
        facts.scores.insert(name.to_owned(), value);
    }

    /// What is found after a change of the healthy run.
    fn found(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
        let mut facts = healthy();
        change(&mut facts);
        diagnose(&facts).iter().map(|finding| finding.symptom.split([':', ',']).next().unwrap_or_default()).collect()
    }

    #[test]
    fn a_healthy_run_has_no_finding() {
        assert!(found(|_| ()).is_empty());
    }

    #[test]
    fn each_fault_is_found_alone() {
        let score = |name: &'static str, value: f64| move |facts: &mut Facts| set(facts, name, value);
        assert_eq!(found(|facts| facts.losses[3] = f64::NAN), ["the losses are NaN"]);
        assert_eq!(found(|facts| facts.losses.clear()), ["the losses are NaN"]);
        assert_eq!(found(|facts| facts.kl = Some(0.09)), ["all reconstructions are alike"]);
        assert_eq!(found(score("r2", 0.009)), ["everything is black"]);
        assert_eq!(found(|facts| facts.losses = vec![100.0, 50.0, 56.0]), ["good on training images"]);
        assert_eq!(
            found(|facts| facts.losses = vec![100.0, 60.0, 50.0]),
            ["the run stopped while it was still learning"]
        );
        assert_eq!(found(score("laplacian_variance_reconstructions", 49.0)), ["the reconstructions are blurry"]);
        assert_eq!(found(score("frechet_distance", 15.1)), ["reconstructions are fine"]);
        assert_eq!(found(|facts| facts.losses = vec![9.0, -4.0, -4.1, -4.2]), ["the loss is negative"]);
    }

    #[test]
    fn what_explains_everything_hides_the_rest() {
        let all = |facts: &mut Facts| {
            facts.kl = Some(0.0);
            facts.takes_means = true;
            facts.effective_beta = 64.0;
            set(facts, "r2", 0.0);
            set(facts, "laplacian_variance_reconstructions", 1.0);
        };
        assert_eq!(found(all), ["all reconstructions are alike"]);
        let mut facts = healthy();
        all(&mut facts);
        let finding = &diagnose(&facts)[0];
        assert!(finding.evidence.contains("is 64") && finding.evidence.contains("mean"), "{finding:?}");
        assert_eq!(finding.cure, "a smaller loss.beta");
    }

    #[test]
    fn a_model_without_a_kl_does_not_collapse() {
        assert!(found(|facts| (facts.is_vae, facts.kl) = (false, Some(0.0))).is_empty());
    }

    #[test]
    fn thresholds_themselves_are_no_faults() {
        assert!(found(|facts| facts.kl = Some(0.1)).is_empty());
        assert!(found(|facts| set(facts, "laplacian_variance_reconstructions", 50.0)).is_empty());
        assert!(found(|facts| set(facts, "frechet_distance", 15.0)).is_empty());
        assert!(found(|facts| set(facts, "r2", 0.01)).is_empty());
        for losses in [
            vec![9.0, 0.1, 0.0, 0.0], // a loss of 0 is not negative
            vec![20.0, 1.0, 0.0],     // a twentieth of the progress was made last
            vec![100.0, 50.0, 55.0],  // a tenth of what it had fallen was lost
            vec![50.0, 60.0, 70.0],   // a loss that never fell was not learned by heart,
            vec![50.0, 90.0, 70.0],   // and has made no progress
            vec![50.0, 60.0, 50.0],
        ] {
            let symptoms = found(|facts| facts.losses.clone_from(&losses));
            assert!(symptoms.is_empty(), "{losses:?}: {symptoms:?}");
        }
    }

    #[test]
    fn the_evidence_has_the_numbers_of_the_run() {
        let score = |name: &'static str, value: f64| move |facts: &mut Facts| set(facts, name, value);
        let evidence = |change: &dyn Fn(&mut Facts)| {
            let mut facts = healthy();
            change(&mut facts);
            diagnose(&facts).remove(0).evidence
        };
        let losses = |losses: &'static [f64]| move |facts: &mut Facts| facts.losses = losses.to_vec();
        assert_eq!(evidence(&losses(&[3.0, 2.0, f64::NAN])), "the validation loss of epoch 3 is not finite");
        assert!(evidence(&losses(&[])).starts_with("no epoch ended"));
        assert!(evidence(&score("r2", 0.004)).starts_with("R² is 0.004 after 5 epochs, "));
        assert_eq!(
            evidence(&losses(&[100.0, 50.0, 56.0])),
            "the validation loss was lowest in epoch 2, 50.0000, and is 56.0000 now"
        );
        assert_eq!(
            evidence(&losses(&[100.0, 60.0, 50.0])),
            "its last epoch made 20 % of all progress since the first; 3 of 5 epochs are done"
        );
        let blurry = |facts: &mut Facts| {
            set(facts, "laplacian_variance_reconstructions", 40.0);
            set(facts, "laplacian_variance_originals", 160.0);
            facts.kl_weight = Some("a hint".into());
        };
        let words = "they have 25 % of the originals' sharpness (the variance of the Laplacian); a hint";
        assert_eq!(evidence(&blurry), words);
        let words = "the Fréchet distance of samples is 30.0, that of reconstructions 10.0: ";
        assert!(evidence(&score("frechet_distance", 30.0)).starts_with(words));
        assert!(evidence(&losses(&[9.0, -4.0, -4.1, -4.2])).starts_with("it is -4.2000; "));
        let sums = evidence(&|facts: &mut Facts| facts.kl = Some(0.05));
        assert_eq!(sums, "the KL is 0.050 nats, so the decoder ignores the latents; the effective β is 1");
    }
}
