//! Tests of which files a figure has, and which figures a training writes.

use super::tests::trained;
use super::*;

fn drawing(svg: Option<&str>, gif: Option<&[u8]>) -> Drawing {
    let tiles = Tiles { png: vec![1, 2], page: PageFigure { svg: String::new(), tiles: Vec::new() } };
    let picture = Drawing::picture("name", "title".into(), "words.".into(), tiles);
    Drawing { svg: svg.map(str::to_owned), gif: gif.map(<[u8]>::to_vec), ..picture }
}

#[test]
fn a_figure_has_a_file_for_each_of_its_forms() {
    let name = |ending: &str| format!("name.{ending}");
    assert_eq!(drawing(None, None).files(), [(name("png"), &[1, 2][..])]);
    assert_eq!(drawing(Some("<svg/>"), None).files(), [(name("png"), &[1, 2][..]), (name("svg"), b"<svg/>")]);
    let all = drawing(Some("<svg/>"), Some(&[7]));
    let files = [(name("png"), &[1, 2][..]), (name("svg"), b"<svg/>"), (name("gif"), &[7])];
    assert_eq!(all.files(), files);

    let dir = tempfile::tempdir().unwrap();
    all.write(&mut Folder::prepare(dir.path()).unwrap()).unwrap();
    for (name, bytes) in files {
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), bytes);
    }
}

#[test]
fn a_training_writes_curves_and_at_its_end_images() {
    let (_dir, run) = trained(&[]);
    let (config, dataset) = (&run.predictor.config, run.dataset().unwrap());
    let curves = (TRAINING_FIGURES.after_epoch)(config, &run.history);
    assert_eq!(curves.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["curves.png", "curves.svg"]);
    assert!(image::load_from_memory(&curves[0].1).unwrap().width() > 300);
    let svg = String::from_utf8(curves[1].1.clone()).unwrap();
    let title = format!("{}, epoch 2: {}", config.name, vae_run::describe(config));
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    assert_eq!(parsed.root_element().first_element_child().unwrap().text(), Some(&title[..]));

    let files = (TRAINING_FIGURES.at_end)(&run.predictor, dataset, "epoch 2").unwrap();
    let title = format!("{}, epoch 2", config.name);
    let images = reconstructions::draw(&title, &run.predictor, &dataset.validation, &[], 48).unwrap();
    let samples = samples::draw(&title, &run.predictor, dataset.test.images().class_names()).unwrap();
    assert!(files == [("reconstructions.png".into(), images.png), ("samples.png".into(), samples.png)]);
}

/// A page with several runs shows half as many reconstructions of each as a report.
#[test]
fn a_comparison_shows_fewer_images() {
    let (_dir, run) = trained(&["data.images=600", "train.epochs=1"]);
    assert_eq!(run.dataset().unwrap().validation.count(), 50);
    let drawings = comparison(&run).unwrap();
    assert_eq!(
        drawings.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(),
        ["reconstructions", "samples", "laplacian"]
    );
    assert!(drawings[0].alt.starts_with("24 validation images"), "{}", drawings[0].alt);
}

#[test]
fn an_index_is_one_of_a_test_image() {
    assert!(check_index("--image", 2, 3).is_ok());
    for (place, count, words) in
        [(0, 0, "there are no test images"), (3, 3, "--image 3: there is no such test image; test images are 0 to 2")]
    {
        assert_eq!(check_index("--image", place, count).unwrap_err().to_string(), words);
    }
}
