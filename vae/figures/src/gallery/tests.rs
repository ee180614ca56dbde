//! Tests: which figures a model has, and the errors for those that it does not have.

use tensor::Device;
use vae_core::config::{Config, Settings};
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::train::Trainer;
use vae_run::RunFigures;

use super::*;

/// A model trained for two epochs on drawn shapes, and its folder.
pub(super) fn trained(settings: &[&str]) -> (tempfile::TempDir, LoadedRun) {
    let mut all = Settings::default();
    let small = [
        "data.kind=shapes",
        "data.images=240",
        "model.kind=dense",
        "model.hidden=8",
        "data.image_size=16",
        "train.epochs=2",
    ];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    let config: Config = all.resolve().unwrap();
    let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
    let mut trainer = Trainer::from_learner(config.clone(), dataset, model, Device::Cpu);
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::prepare(&dir.path().join("run")).unwrap();
    vae_run::run(&mut trainer, &mut folder, None, RunFigures::NONE, &mut |_| true).unwrap();
    let opened = LoadedRun::open(&dir.path().join("run"), config, Device::Cpu).unwrap();
    (dir, opened)
}

fn names(run: &LoadedRun) -> Vec<String> {
    standard(run).unwrap().into_iter().map(|drawing| drawing.name).collect()
}

#[test]
fn a_run_has_its_figures_with_descriptions() {
    let (_dir, run) = trained(&["model.z_dim=2"]);
    let all = standard(&run).unwrap();
    let names: Vec<&str> = all.iter().map(|drawing| drawing.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "curves",
            "reconstructions",
            "samples",
            "traversal",
            "latent-grid",
            "interpolation",
            "scatter",
            "kl",
            "laplacian",
            "noise"
        ]
    );
    for drawing in &all {
        assert!(drawing.title.starts_with("run, epoch 2: ") && !drawing.title.contains("told"), "{}", drawing.title);
        assert!(drawing.alt.ends_with('.') && !drawing.alt.contains("NaN"), "{}", drawing.alt);
        assert!(image::load_from_memory(&drawing.png).unwrap().width() > 300);
        let plot = ["curves", "scatter", "kl", "laplacian"].contains(&drawing.name.as_str());
        assert_eq!((drawing.svg.is_some(), drawing.gif.is_some()), (plot, drawing.name == "traversal"));
        if let Some(svg) = &drawing.svg {
            let parsed = roxmltree::Document::parse(svg).unwrap();
            assert_eq!(parsed.root_element().first_element_child().unwrap().text(), Some(&drawing.title[..]));
        }
    }
    assert!(standard(&run).unwrap() == all, "the same run, other pictures");
}

#[test]
fn figures_that_do_not_apply_are_left_out_and_explained_on_request() {
    let (_dir, many) = trained(&["model.z_dim=5", "model.conditional=true"]);
    assert!(!names(&many).contains(&"latent-grid".into()) && names(&many).contains(&"scatter".into()));
    assert!(latent_grid::draw(&many, Some([0, 4])).unwrap().title.contains("told square"));
    let counterparts = labels::draw(&many).unwrap();
    let says = "3 test images in a column of their own, and beside each its latents decoded with 3 labels; ";
    assert!(counterparts.alt.starts_with(says) && names(&many).contains(&"labels".into()), "{}", counterparts.alt);
    assert!(!counterparts.alt.contains("by 0 in"), "the label changes nothing: {}", counterparts.alt);
    let (_dir, one) = trained(&["model.z_dim=1"]);
    assert!(!names(&one).contains(&"labels".into()));
    assert!(names(&one).contains(&"traversal".into()) && !names(&one).contains(&"scatter".into()));
    let (_dir, ladder) = trained(&["model.kind=ladder", "model.groups=1,1", "model.z_dim=80", "model.width=2"]);
    let of_a_ladder = standard(&ladder).unwrap();
    let groups = of_a_ladder.iter().find(|drawing| drawing.name == "groups").expect("it has groups");
    assert!(groups.alt.contains("group 1: 1×4×4 ") && groups.alt.contains(", group 2: 1×8×8 "), "{}", groups.alt);
    let (_dir, vq) = trained(&["model.kind=vq", "model.encoder=basic", "model.widths=2,4", "model.codes=4"]);
    assert_eq!(names(&vq), ["curves", "reconstructions", "noise", "features"]);
    let (_dir, classifier) = trained(&["model.kind=classifier", "model.width=2"]);
    assert_eq!(names(&classifier), ["curves", "features"]);

    let classifies = "model.kind = \"classifier\"";
    for (drawn, says) in [
        (traversal::draw(&classifier, None), [classifies, "traversal", "has no latents"]),
        (tsne::draw(&classifier), [classifies, "tsne", "has no latents"]),
        (laplacian::draw(&vq), ["laplacian", "\"vq\"", "cannot draw samples"]),
        (noise::draw(&classifier), [classifies, "noise", "does not reconstruct images"]),
        (latent_grid::draw(&many, None), ["latent-grid", "5 latents", "--dims"]),
        (latent_grid::draw(&many, Some([1, 5])), ["--dims 5", "0 to 4", ""]),
        (scatter::draw(&many, Some([1, 1])), ["--dims 1,1", "different", ""]),
        (scatter::draw(&one, None), ["scatter", "one latent", ""]),
        (traversal::draw(&many, Some(20)), ["--image 20", "0 to 19", ""]),
        (interpolation::draw(&many, &[1, 2], &[3]), ["--a names 2", "--b 1", ""]),
        (interpolation::draw(&many, &[1], &[20]), ["--b 20", "0 to 19", ""]),
        (labels::draw(&one), ["labels", "\"dense\"", "model.conditional = false"]),
        (groups::draw(&many), ["groups", "\"dense\"", "has no groups of latents"]),
        (tsne::draw(&many), ["tsne", "there are 20", "180"]),
        (features::draw(&many, 0), ["features", "\"dense\"", "has no feature maps to show"]),
    ] {
        let error = drawn.unwrap_err();
        let words = error.to_string();
        assert!(error.exit_code() == 2 && !words.contains('\n'), "{words}");
        assert!(says.iter().all(|word| words.contains(word)), "{says:?} {words}");
    }
}

#[test]
fn runs_are_compared_only_on_the_same_images() {
    let (_dirs, [a, b, large]) = {
        let (x, a) = trained(&[]);
        let (y, b) = trained(&["seed=2", "model.z_dim=3"]);
        let (z, large) = trained(&["data.image_size=32"]);
        ([x, y, z], [a, b, large])
    };
    let with = |other: &LoadedRun| {
        reconstructions::draw(
            &a.title(),
            &a.predictor,
            &a.dataset()?.validation,
            &[("other".to_owned(), &other.predictor)],
            4,
        )
    };
    let drawing = with(&b).unwrap();
    assert!(drawing.name == "reconstructions-compared" && drawing.alt.contains("(other)"), "{}", drawing.alt);
    let alone = |run: &LoadedRun| {
        reconstructions::draw("t", &run.predictor, &run.dataset().unwrap().validation, &[], 4).unwrap()
    };
    let error = |alt: &str| alt.split(" is ").nth(1).unwrap().split([' ', ',']).next().unwrap().to_owned();
    assert_eq!(error(&drawing.alt), error(&alone(&a).alt).trim_end_matches('.'));
    let words = with(&large).unwrap_err().to_string();
    assert!(words.contains("--with other") && words.contains("1×32×32"), "{words}");
    let (_dir, conditional) = trained(&["model.conditional=true"]);
    assert!(with(&conditional).is_ok(), "it has the same labels");
}

#[test]
fn t_sne_needs_enough_images_and_names_them() {
    let (_dir, run) = trained(&["data.images=2160", "model.z_dim=2", "train.epochs=1"]);
    let count = run.dataset().unwrap().test.count();
    assert_eq!(count, 180, "the least");
    let drawing = tsne::draw(&run).unwrap();
    let words = format!("{count} test images in the plane by t-SNE of their means, coloured by label; for ");
    assert!(drawing.alt.starts_with(&words), "{}", drawing.alt);
    let marks = drawing.svg.as_ref().unwrap().matches("<circle").count()
        + drawing.svg.as_ref().unwrap().matches("<path").count();
    assert_eq!(marks, count + 3);
}
