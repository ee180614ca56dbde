//! Tests of the samples of several priors.

use pollster::block_on;
use vae_core::config::PriorKind;
use vae_core::prior;
use vae_run::prior as file;

use super::laws::{PIXELS, VIVID, images, says, shows};
use super::tests::trained;
use super::*;

/// Test images, and below them a row for each prior. A model that is told labels is told each of them for as many columns.
#[test]
fn each_prior_has_a_row_of_samples() {
    for (settings, labels) in [(&[][..], [0; 12]), (&["model.conditional=true"], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])]
    {
        let (dir, run) = trained(&[VIVID, settings].concat());
        let alone = priors::draw(&run).unwrap_err().to_string();
        assert!(alone.contains("priors") && alone.contains("fit one with vae fit-prior"), "{alone}");
        let config = &run.predictor.config;
        let flow = prior::blank(PriorKind::Flow, config, &config.prior).unwrap();
        let meta = file::Meta::new(&run.path, PriorKind::Flow, 1, 0, config.prior.clone()).unwrap();
        file::save(&mut Folder::open_unlocked(&dir.path().join("run")), &meta, &*flow).unwrap();
        let drawing = priors::draw(&run).unwrap();
        says(&drawing, "12 test images, and 12 samples of each prior in a row: N(0, I), flow.");
        let shown = images(&drawing);
        assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), [12; 3]);
        for (row, kind) in [PriorKind::Standard, PriorKind::Flow].into_iter().enumerate() {
            let prior = run.load_prior(kind).unwrap();
            let drawn = block_on(run.predictor.draw_from(prior.as_deref(), 12, config.seed)).unwrap().unwrap();
            let pixels = block_on(run.predictor.decode_drawn(&drawn, &labels)).unwrap().unwrap();
            shown[row + 1].iter().zip(pixels.chunks_exact(PIXELS)).for_each(|(image, pixels)| shows(image, pixels));
        }
    }
}

#[test]
fn of_many_labels_the_first_have_samples() {
    let (_dir, run) = trained(&["model.conditional=true", "data.classes=25"]);
    let drawing = samples::draw("t", &run.predictor, &[]).unwrap();
    assert_eq!(images(&drawing).iter().map(Vec::len).collect::<Vec<_>>(), vec![12; 20]);
    says(&drawing, "240 images decoded from random draws of the prior, 12 of each of the first 20 labels of 25;");
}

#[test]
fn bars_of_the_kl_of_a_vamp_prior_have_no_sum() {
    let (_dir, run) = trained(&["model.prior=vamp", "model.pseudo_inputs=4"]);
    let drawing = kl::draw(&run).unwrap();
    assert!(drawing.title.ends_with("KL of each latent, highest first; from N(0, 1)"), "{}", drawing.title);
}
