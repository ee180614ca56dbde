//! The names of the scores of a run, from its configuration alone. A program can check a name that a person gave before it trains.

use vae_core::config::{Config, KlScheduleKind, LossKind, ModelKind, Reconstruction, Variance};

use super::{images, latents, negation, prior};

/// Returns the names of all scores of a run with this configuration, in the order of a table. [`evaluate`](super::evaluate) returns
/// each of them, either with a value or with the reason why it has none.
pub fn names(config: &Config) -> Vec<String> {
    let sigma = if has_sigma(config) { &["sigma"][..] } else { &[] };
    let losses = ["total"].iter().chain(parts(config)).chain(sigma).map(|&name| name.to_owned());
    let of_posterior: &[&str] = if config.model.is_vae() { &["latents_in_use", "kl_per_dim"] } else { &[] };
    let of_posterior = of_posterior.iter().map(|&name| name.to_owned());
    losses
        .chain(of_posterior)
        .chain(images::names())
        .chain(latents::names())
        .chain([negation::NAME.to_owned()])
        .chain(prior::names(config))
        .collect()
}

/// Returns the names of the parts of the loss.
fn parts(config: &Config) -> &'static [&'static str] {
    match (config.model.kind, config.loss.kind, config.loss.schedule) {
        (ModelKind::Classifier, ..) => &["cross_entropy", "accuracy"],
        (ModelKind::Vq, ..) => &["reconstruction", "commitment", "perplexity", "codes_used"],
        (ModelKind::Fsq, ..) => &["reconstruction", "perplexity", "codes_used"],
        (_, LossKind::Tc, _) => &["reconstruction", "mi", "tc", "dw_kl", "kl"],
        (_, LossKind::Iwae, _) => &["iwae", "reconstruction", "kl"],
        (_, LossKind::Dip, _) => &["reconstruction", "kl", "off_diagonal", "diagonal"],
        (_, LossKind::Mmd, _) => &["reconstruction", "kl", "mmd"],
        (_, LossKind::Factor, _) => &["reconstruction", "kl", "tc", "discriminator"],
        (_, LossKind::Csvae, _) => &["reconstruction", "kl", "label_information", "discriminator"],
        (_, LossKind::VaeGan, _) => &["features", "kl", "generator", "discriminator", "reconstruction"],
        (_, LossKind::SoftIntro, _) => &["reconstruction", "kl", "exp_elbo", "kl_fake"],
        (_, _, KlScheduleKind::FreeBits | KlScheduleKind::Capacity) => &["reconstruction", "kl_penalty", "kl"],
        _ => &["reconstruction", "kl"],
    }
}

/// Returns whether the standard deviation of the decoder is a metric.
fn has_sigma(config: &Config) -> bool {
    let changes = config.loss.reconstruction == Reconstruction::Gaussian && config.loss.variance != Variance::Fixed;
    changes && config.model.kind != ModelKind::Classifier && config.loss.kind != LossKind::Tc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latents::tests::untrained;
    use crate::{Options, evaluate};

    /// For every kind of model and of loss, and for images with and without a classifier.
    #[test]
    fn names_are_those_that_an_evaluation_returns() {
        let vq = ["model.kind=vq", "model.encoder=basic", "model.widths=4", "model.codes=8", "model.code_width=4"];
        let gaussian = "loss.reconstruction=gaussian";
        let iwae = ["loss.kind=iwae", "loss.samples=3", "loss.gradient=dreg"];
        let ladder = ["model.kind=ladder", "model.groups=2,1", "model.z_dim=96", "data.image_size=16", "model.width=2"];
        let cases: [&[&str]; 23] = [
            &["loss.kind=vae-gan"],
            &["loss.kind=soft-intro"],
            &["loss.kind=factor", gaussian],
            &["loss.kind=csvae", "model.conditional=true", "loss.subspace=1"],
            &["loss.kind=dip"],
            &["loss.kind=dip", "loss.dip=i", gaussian],
            &["loss.kind=mmd"],
            &iwae,
            &[&iwae[..], &[gaussian, "loss.variance=learned"]].concat(),
            &[],
            &[gaussian],
            &[gaussian, "loss.variance=learned", "loss.schedule=free-bits"],
            &[gaussian, "loss.variance=fixed"],
            &[gaussian, "loss.kind=tc"],
            &["loss.kind=tc"],
            &["loss.schedule=free-bits"],
            &ladder,
            &[&ladder[..], &["data.binarise=dynamic"]].concat(),
            &["loss.schedule=capacity"],
            &["model.kind=classifier", "data.image_size=16", "model.width=2"],
            &[&vq[..], &["data.image_size=16"]].concat(),
            &["model.kind=fsq", "model.widths=4", "model.levels=3,2", "data.image_size=16"],
            &["data.kind=digits", "data.images=12000", "data.image_size=28", "data.limit=64"],
        ];
        for settings in cases {
            let folder = tempfile::tempdir().unwrap();
            let mut run = untrained(settings);
            run.path = folder.path().into(); // which has the cache of features
            let scores =
                evaluate(&run, &Options { images: 20, extractor: None, inception: None, ..Options::default() })
                    .unwrap();
            let found = scores.scores.into_iter().map(|score| score.name);
            let mut found: Vec<String> = found.chain(scores.missing.into_iter().map(|missing| missing.name)).collect();
            let mut names = names(&run.predictor.config);
            found.sort_unstable();
            names.sort_unstable();
            assert_eq!(names, found, "{settings:?}");
        }
    }
}
