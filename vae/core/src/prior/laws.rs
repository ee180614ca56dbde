//! Laws of all priors: which models they fit, how many weights they have, and how they draw.

use nn::Slot;

use super::*;
use crate::config::Settings;

/// The configuration of a model of 8 × 8 images with three latents, or with codes.
fn config(kind: &str) -> Config {
    let mut all = Settings::default();
    let small = ["model.z_dim=3", "model.codes=5", "model.levels=3,2", "data.image_size=8", "model.widths=2,2"];
    small.iter().for_each(|setting| all.assignment(setting).unwrap());
    all.assignment(&format!("model.kind={kind}")).unwrap();
    all.resolve().unwrap()
}

fn settings() -> config::Prior {
    config::Prior { width: Some(8), heads: 2, blocks: Some(3), components: 4, steps: 2, ..config::Prior::default() }
}

/// The kinds of priors, each with a model that it fits.
fn fitted() -> [(PriorKind, Config); 5] {
    [
        (PriorKind::Gmm, config("dense")),
        (PriorKind::Flow, config("dense")),
        (PriorKind::Maf, config("dense")),
        (PriorKind::Vae, config("dense")),
        (PriorKind::Transformer, config("vq")),
    ]
}

#[test]
fn a_prior_that_does_not_fit_a_model_says_why() {
    let [latents, codes, neither] = [config("dense"), config("fsq"), config("classifier")];
    for kind in PriorKind::ALL {
        let why = |config: &Config| check(kind, config).err().map(|error| error.to_string()).unwrap_or_default();
        let (with_latents, with_codes, without) = match kind {
            PriorKind::Standard => ("", "", "has no latents to draw"),
            PriorKind::Transformer => ("has no codes; only vq and fsq have", "", "has no codes; only vq and fsq have"),
            _ => ("", "has codes; the prior of codes is transformer", "has no latents"),
        };
        for (config, expected) in [(&latents, with_latents), (&codes, with_codes), (&neither, without)] {
            let why = why(config);
            assert_eq!(why.is_empty(), expected.is_empty(), "{kind}: {why}");
            assert!(why.ends_with(expected), "{kind}: {why}");
        }
        assert_eq!(trainable(kind, &neither, &settings(), 1).is_err(), blank(kind, &neither, &settings()).is_err());
    }
    assert!(trainable(PriorKind::Gmm, &latents, &settings(), 1).is_err(), "it is not trained by gradients");
}

/// The memory of a file is checked with this number before the prior is built.
#[test]
fn the_number_of_weights_is_that_of_a_blank_prior() {
    for (kind, config) in fitted() {
        let prior = blank(kind, &config, &settings()).unwrap();
        let mut count = 0;
        nn::visit(&*prior, |_, slot| {
            count += match slot {
                Slot::Param(param) => param.value().count(),
                Slot::Buffer(buffer) => buffer.value().count(),
            }
        });
        let weights = weights(kind, &config, &settings());
        let tolerance = if kind == PriorKind::Transformer { 0.3 } else { 0.0 }; // its estimate leaves out small tensors
        assert!((weights / count as f64 - 1.0).abs() <= tolerance, "{kind}: {weights} for {count}");
    }
    assert_eq!(weights(PriorKind::Standard, &config("dense"), &settings()), 0.0);
}

/// Latents are drawn in chunks, of which the last is smaller.
#[test]
fn as_many_latents_are_drawn_as_asked_for() {
    for (kind, config) in fitted() {
        let prior = blank(kind, &config, &settings()).unwrap();
        for count in [1, 259, 1027] {
            let drawn = prior.draw(count, &Device::Cpu, &mut Generator::new(1));
            assert_eq!(drawn.shape()[0], count, "{kind}");
        }
    }
}

#[test]
fn priors_are_named() {
    let words = fitted().map(|(kind, config)| blank(kind, &config, &settings()).unwrap().words());
    let expected = [
        "mixture of 4 Gaussians",
        "flow of 2 steps",
        "masked autoregressive flow of 3 blocks",
        "second-stage VAE of 3 latents",
        "transformer prior of 4 codes of 5",
    ];
    assert_eq!(words, expected);
}
