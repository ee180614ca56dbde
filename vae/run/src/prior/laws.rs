//! Laws of the files of priors: which are used, and why others are refused.

use tensor::{Device, Generator};
use vae_core::prior::Mixture;

use super::*;
use crate::tests::{config, train_steps};

/// A trained run, its folder, and the latents of 40 of its images.
fn trained(settings: &[&str]) -> (tempfile::TempDir, Config, tensor::Tensor) {
    let (dir, config) = (tempfile::tempdir().unwrap(), config(settings));
    train_steps(&config, dir.path(), 1);
    let run = open(dir.path(), &config);
    let split = &run.dataset().unwrap().train;
    let latents = block_on(run.predictor.latents(split, &split.first(40))).unwrap().unwrap();
    (dir, config, latents)
}

fn open(path: &Path, config: &Config) -> LoadedRun {
    LoadedRun::open(path, config.clone(), Device::Cpu).unwrap()
}

/// Fits a prior, for one epoch if gradients train it, and writes its file.
fn fit(path: &Path, config: &Config, kind: PriorKind, latents: &tensor::Tensor) {
    let meta = Meta::new(path, kind, 40, 7, config.prior.clone()).unwrap();
    let folder = &mut Folder::open_unlocked(path);
    if kind == PriorKind::Gmm {
        let mixture =
            Mixture::fit(latents, meta.settings.components, 5, &mut Generator::new(1), &mut |_, _| {}).unwrap();
        return save(folder, &meta, &mixture).unwrap();
    }
    let prior = prior::trainable(kind, config, &meta.settings, meta.seed).unwrap();
    let mut fitting = Fitting::new(prior, meta.settings.clone(), meta.seed, Device::Cpu, latents);
    block_on(fitting.epoch(latents)).unwrap();
    save_fit(folder, &meta, &fitting).unwrap();
}

/// Returns why a prior cannot be loaded.
fn refusal(run: &LoadedRun, kind: PriorKind) -> String {
    run.load_prior(kind).err().unwrap_or_else(|| panic!("{kind} was loaded")).to_string()
}

#[test]
fn a_fitted_prior_is_used_until_the_weights_change() {
    let (dir, config, latents) = trained(&["prior.components=3"]);
    let mut run = open(dir.path(), &config);
    assert!(run.priors() == [PriorKind::Standard] && refusal(&run, PriorKind::Gmm).contains("has no such prior"));
    fit(dir.path(), &config, PriorKind::Gmm, &latents);
    assert!(dir.path().join("checkpoints/prior-gmm.safetensors").is_file());
    assert_eq!(run.priors(), [PriorKind::Standard, PriorKind::Gmm]);
    assert!(run.load_prior(PriorKind::Standard).unwrap().is_none());
    run.use_prior(PriorKind::Gmm).unwrap();
    assert_eq!(run.predictor.prior_words(), "mixture of 3 Gaussians");
    let drawn = block_on(run.predictor.draw(100, 1)).unwrap().unwrap();
    assert!(drawn.data().iter().any(|&z| z != 0.0), "its numbers were loaded");

    train_steps(&config, dir.path(), 1);
    let run = open(dir.path(), &config);
    assert!(refusal(&run, PriorKind::Gmm).contains("was fitted to other weights of this run"));
    assert_eq!(run.priors(), [PriorKind::Standard]);
}

/// The prior of codes is used without being named, because a model with codes has no other.
#[test]
fn the_prior_of_codes_is_used_if_it_can_be() {
    let fsq = ["model.kind=fsq", "model.widths=4,4", "model.levels=3,2", "prior.width=8"];
    let (dir, config, latents) = trained(&fsq);
    let mut run = open(dir.path(), &config);
    assert!(run.use_prior_of_codes().is_none() && run.predictor.prior.is_none(), "there is none yet");
    fit(dir.path(), &config, PriorKind::Transformer, &latents);
    assert!(run.use_prior_of_codes().is_none() && run.predictor.prior.is_some());
    train_steps(&config, dir.path(), 1);
    let mut run = open(dir.path(), &config);
    let warning = run.use_prior_of_codes().expect("it is of other weights");
    assert!(warning.contains("other weights") && warning.ends_with("until then, it is not used"), "{warning}");
    assert!(run.predictor.prior.is_none());

    let (dir, config, latents) = trained(&["prior.components=3"]);
    fit(dir.path(), &config, PriorKind::Gmm, &latents);
    let gmm = dir.path().join(file_name(PriorKind::Gmm));
    fs::copy(gmm, dir.path().join(file_name(PriorKind::Transformer))).unwrap();
    let mut run = open(dir.path(), &config);
    assert!(run.use_prior_of_codes().is_none() && run.predictor.prior.is_none(), "this model has no codes");
}

/// A flow of the default width has two megabytes, more than every file is granted.
#[test]
fn a_file_must_contain_the_prior_that_it_describes() {
    let (dir, config, latents) = trained(&["prior.width=256", "prior.components=3"]);
    for kind in [PriorKind::Flow, PriorKind::Gmm] {
        fit(dir.path(), &config, kind, &latents);
    }
    let run = open(dir.path(), &config);
    assert_eq!(run.load_prior(PriorKind::Flow).unwrap().unwrap().words(), "flow of 32 steps");
    let path = |kind| dir.path().join(file_name(kind));
    fs::copy(path(PriorKind::Gmm), path(PriorKind::Flow)).unwrap();
    assert!(refusal(&run, PriorKind::Flow).contains("is no flow prior that this program wrote"));

    let describe = |change: &dyn Fn(&mut Meta)| {
        let mut meta = Meta::new(dir.path(), PriorKind::Flow, 40, 7, config.prior.clone()).unwrap();
        change(&mut meta);
        save(&mut Folder::open_unlocked(dir.path()), &meta, &tiny()).unwrap();
        refusal(&run, PriorKind::Flow)
    };
    assert!(describe(&|meta| meta.settings.width = Some(1024)).contains("describes a larger prior than it contains"));
    assert!(describe(&|meta| meta.settings.steps = 0).contains("is no flow prior that this program wrote"));
    assert!(describe(&|meta| meta.format = 9).contains("is no flow prior that this program wrote"));
}

/// A module of one number.
fn tiny() -> impl Module {
    nn::LayerNorm::new([1])
}
