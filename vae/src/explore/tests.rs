//! Tests of the explorer's requests and answers.

use std::path::Path;

use vae_core::config::Settings;
use vae_core::learn;
use vae_core::objective::Losses;
use vae_core::predict::{Predictor, Validation};
use vae_core::train::Epoch;

use super::*;

/// An explorer of an untrained model with invented KLs.
fn explorer(settings: &[&str]) -> Explorer {
    let mut all = Settings::default();
    for setting in ["model.kind=dense", "model.hidden=8", "model.z_dim=3", "data.image_size=32"].iter().chain(settings)
    {
        all.assignment(setting).unwrap();
    }
    let config = all.resolve().unwrap();
    let dataset = vae_data::load(&config).unwrap();
    let predictor =
        Predictor::new(config.clone(), learn::build(&config), dataset.transform.clone(), tensor::Device::Cpu);
    let losses = Losses { total: 1.0, parts: vec![] };
    let validation = Validation { losses: losses.clone(), kl_per_dim: vec![0.5, 0.0, 2.0], mse: None };
    let epoch =
        Epoch { epoch: 1, train: losses, validation, learning_rate: 1e-3, seconds: 1.0, images_per_second: 1.0 };
    Explorer::new(LoadedRun::of_parts(Path::new("run"), predictor, dataset, vec![epoch])).unwrap()
}

fn point(z: &[f32]) -> Point {
    Point { z: z.to_vec(), label: 0 }
}

fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn latents_are_sorted_by_kl_and_sliders_contain_every_mean() {
    let mut explorer = explorer(&[]);
    let about = explorer.about();
    assert_eq!(about.latents.iter().map(|latent| latent.dim).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!((about.shape, about.images, about.told), ([1, 32, 32], 833, 0));
    assert_eq!(explorer.codes.len(), 3 * 833);
    explorer.codes[4] = -7.25; // latent 1 of the second image
    assert_eq!(explorer.about().latents[2].reach, 8.0);
}

#[test]
fn the_same_point_gives_the_same_picture_and_another_one_differs() {
    let explorer = explorer(&[]);
    let [a, b, c] = [[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]].map(|z| explorer.decode(&point(&z)).unwrap());
    assert!(a == c && a != b);
    let picture = image::load_from_memory(&a).unwrap();
    assert_eq!((picture.width(), picture.height()), (32, 32));
}

#[test]
fn an_invalid_point_is_refused_in_one_line() {
    let explorer = explorer(&[]);
    assert!(error(explorer.decode(&point(&[0.0; 2]))).contains("z has 2 numbers, but this model needs 3"));
    for bad in [f32::NAN, f32::INFINITY, -1.1e4] {
        assert!(error(explorer.decode(&point(&[0.0, bad, 0.0]))).contains("z contains"), "{bad}");
    }
    assert!(error(explorer.image(833)).contains("are 0 to 832"));
    assert!(error(explorer.map([0, 3])).contains("there is no latent 3; latents are 0 to 2"));
}

#[test]
fn the_code_of_an_image_is_its_position_on_the_map() {
    let explorer = explorer(&[]);
    let (code, map) = (explorer.image(5).unwrap(), explorer.map([2, 0]).unwrap());
    assert_eq!((map.points.len(), map.labels.len()), (833, 833));
    let place = [code.z[2], code.z[0]];
    assert!(place.iter().zip(map.points[5]).all(|(a, b)| (a - b).abs() < 1e-5), "{place:?}");
    assert_eq!(code.label, Some(map.labels[5]));
}

#[test]
fn an_uploaded_picture_has_the_code_of_the_same_test_image() {
    let explorer = explorer(&[]);
    let code = explorer.image(7).unwrap();
    let png = BASE64.decode(code.picture.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    let again = explorer.picture(&png, 0).unwrap();
    assert_eq!((again.label, &again.picture), (None, &code.picture));
    assert!(again.z.iter().zip(&code.z).all(|(a, b)| (a - b).abs() < 1e-4), "{again:?} {code:?}");
    assert!(error(explorer.picture(b"<html>", 0)).starts_with("the picture "));
    assert!(error(explorer.picture(&png[..png.len() / 2], 0)).starts_with("the picture is damaged"));
}

#[test]
fn a_conditional_model_decodes_the_label_that_it_gets() {
    let explorer = explorer(&["model.conditional=true"]);
    let decode = |label| explorer.decode(&Point { z: vec![0.0; 3], label });
    assert!(explorer.about().told == 10 && decode(1).unwrap() != decode(2).unwrap());
    assert!(error(decode(10)).contains("10 is not a label; labels are 0 to 9"));
    assert!(error(explorer.picture(b"", 10)).contains("10 is not a label"));
}
