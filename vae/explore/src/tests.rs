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
    Explorer::new(run(settings, true)).unwrap()
}

fn run(settings: &[&str], has_test: bool) -> LoadedRun {
    let mut all = Settings::default();
    for setting in ["model.kind=dense", "model.hidden=8", "model.z_dim=3", "data.image_size=32"].iter().chain(settings)
    {
        all.assignment(setting).unwrap();
    }
    let config = all.resolve().unwrap();
    let mut dataset = vae_data::load(&config).unwrap();
    if !has_test {
        dataset.test = Split::new(dataset.test.images().clone(), Vec::new());
    }
    let predictor =
        Predictor::new(config.clone(), learn::build(&config), dataset.transform.clone(), tensor::Device::Cpu);
    let losses = Losses { total: 1.0, parts: vec![] };
    let validation = Validation { losses: losses.clone(), kl_per_dim: vec![0.5, 0.0, 2.0], mse: None };
    let epoch =
        Epoch { epoch: 1, train: losses, validation, learning_rate: 1e-3, seconds: 1.0, images_per_second: 1.0 };
    LoadedRun::of_parts(Path::new("run"), predictor, dataset, vec![epoch])
}

/// The file of a picture: a square ring of this brightness around another.
fn framed(border: u8, inside: u8) -> Vec<u8> {
    let pixel = |x, y| image::Luma([if (8..24).contains(&x) && (8..24).contains(&y) { inside } else { border }]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_fn(32, 32, pixel).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn point(z: &[f32]) -> Point {
    Point { z: z.to_vec(), label: 0 }
}

fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn points_are_drawn_from_the_prior_of_the_model() {
    let plain = explorer(&[]).about();
    assert_eq!((plain.prior.as_str(), plain.draws.len()), ("N(0, I)", 0));
    let vamp = explorer(&["model.prior=vamp", "model.pseudo_inputs=4"]).about();
    assert_eq!((vamp.prior.as_str(), vamp.draws.len()), ("VampPrior of 4 pseudo-inputs", 256));
    assert!(vamp.draws.iter().all(|z| z.len() == 3) && vamp.draws[0] != vamp.draws[1]);
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
    let again = explorer.picture(&png, Reading::default()).unwrap();
    assert_eq!((again.label, &again.picture), (None, &code.picture));
    assert!(again.z.iter().zip(&code.z).all(|(a, b)| (a - b).abs() < 1e-4), "{again:?} {code:?}");
    assert!(error(explorer.picture(b"<html>", Reading::default())).starts_with("the picture "));
    assert!(error(explorer.picture(&png[..png.len() / 2], Reading::default())).starts_with("the picture is damaged"));
}

#[test]
fn a_conditional_model_decodes_the_label_that_it_gets() {
    let explorer = explorer(&["model.conditional=true"]);
    let decode = |label| explorer.decode(&Point { z: vec![0.0; 3], label });
    assert!(explorer.about().told == 10 && decode(1).unwrap() != decode(2).unwrap());
    assert!(error(decode(10)).contains("10 is not a label; labels are 0 to 9"));
    assert!(error(explorer.picture(b"", Reading { label: 10, ..Reading::default() })).contains("10 is not a label"));
}

#[test]
fn a_picture_on_the_other_ground_is_noticed_and_inverted() {
    let explorer = explorer(&[]); // digits are light on a dark ground
    assert_eq!(explorer.about().ground, Some(Ground::Dark));
    let [usual, other] = [framed(0, 255), framed(255, 0)];
    let read = |bytes: &[u8], inverted| explorer.picture(bytes, Reading { inverted, ..Reading::default() }).unwrap();
    let noticed = [(&usual, false), (&usual, true), (&other, false), (&other, true)];
    assert_eq!(noticed.map(|(bytes, inverted)| read(bytes, inverted).other_ground), [false, true, true, false]);
    assert_eq!(read(&other, true), read(&usual, false));
    assert!(!explorer.image(0).unwrap().other_ground);
}

#[test]
fn a_whole_picture_is_not_cropped() {
    let explorer = explorer(&["data.crop=16"]);
    let read = |whole| explorer.picture(&framed(0, 255), Reading { whole, ..Reading::default() }).unwrap().picture;
    let bright = |picture: String| {
        let png = BASE64.decode(picture.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        image::load_from_memory(&png).unwrap().into_luma8().pixels().filter(|pixel| pixel.0[0] > 127).count()
    };
    assert_eq!([bright(read(false)), bright(read(true))], [32 * 32, 16 * 16]);
}

#[test]
fn a_tile_of_a_mosaic_is_what_its_centre_decodes_to() {
    let explorer = explorer(&["model.conditional=true"]);
    let point = Point { z: vec![0.5, -1.0, 2.0], label: 7 };
    let mosaic = |dims, ranges| explorer.mosaic(&Mosaic { point: point.clone(), dims, ranges });
    let png = mosaic([2, 0], [[-3.0, 3.0], [-1.0, 5.0]]).unwrap();
    let tiles = image::load_from_memory(&png).unwrap().into_luma8();
    assert_eq!(tiles.dimensions(), (12 * 32, 12 * 32));
    // The tile in column 10 and row 1: its centre is 10.5 twelfths from the left and 10.5 twelfths from below.
    for (column, row, z) in [(10, 1, [4.25, -1.0, 2.25]), (0, 11, [-0.75, -1.0, -2.75])] {
        let alone = explorer.decode(&Point { z: z.to_vec(), label: 7 }).unwrap();
        let alone = image::load_from_memory(&alone).unwrap().into_luma8();
        let off = alone
            .enumerate_pixels()
            .map(|(x, y, pixel)| pixel.0[0].abs_diff(tiles.get_pixel(32 * column + x, 32 * row + y).0[0]));
        assert!(off.max() <= Some(1), "column {column}, row {row}"); // one level of rounding: batches differ in size
    }
    assert!(error(mosaic([0, 3], [[0.0; 2]; 2])).contains("there is no latent 3"));
    assert!(error(mosaic([0, 1], [[0.0, f32::NAN], [0.0; 2]])).contains("a range contains NaN"));
}

#[test]
fn a_run_without_test_images_is_explored_all_the_same() {
    let run = run(&[], false);
    let explorer = Explorer::new(run).unwrap();
    let about = explorer.about();
    assert_eq!((about.images, about.latents[0].reach), (0, REACH));
    assert_eq!(explorer.map([0, 1]).unwrap(), Map { points: vec![], labels: vec![] });
    assert!(error(explorer.image(0)).contains("there are no test images"));
    assert_eq!(explorer.picture(&framed(0, 255), Reading::default()).unwrap().z.len(), 3);
    assert!(!explorer.decode(&point(&[0.0; 3])).unwrap().is_empty());
}

#[test]
fn without_images_the_ground_is_that_of_draws() {
    let run = run(&[], false);
    // The last bias decides the brightness of what an untrained model draws.
    for (bias, ground) in [(-9.0, Ground::Dark), (9.0, Ground::Light)] {
        let parameters = nn::parameters(&*run.predictor.model);
        let (_, last) = parameters.iter().rfind(|(name, _)| name.ends_with("bias")).unwrap();
        last.set(Tensor::new(&[bias; 32 * 32], [32 * 32]));
        assert_eq!(ground_of(&run, None).unwrap(), Some(ground));
    }
}
