//! The laboratory as the page uses it, natively and on the CPU.

#![forbid(unsafe_code)]

use pollster::block_on;
use web::Laboratory;
use web::frame::Watch;
use web::laboratory::{Pictures, Start};

const SMALL: [&str; 8] = [
    "model.kind=basic",
    "model.widths=4,6",
    "model.z_dim=2",
    "data.image_size=28",
    "data.limit=128",
    "train.batch_size=32",
    "loss.reconstruction=bce",
    "model.output=sigmoid",
];

fn settings(more: &[&str]) -> Vec<String> {
    SMALL.iter().chain(more).map(|setting| (*setting).to_owned()).collect()
}

fn start(more: &[&str]) -> Laboratory {
    let start = Start { settings: settings(more), ..Start::default() };
    block_on(Laboratory::start(start, None, &|_, _| {})).unwrap()
}

fn refused(start: Start) -> String {
    block_on(Laboratory::start(start, None, &|_, _| {})).map(|_| ()).unwrap_err().to_string()
}

/// Trains this many steps.
fn train(laboratory: &mut Laboratory, steps: usize) {
    let mut left = steps;
    block_on(laboratory.train(&mut || {
        left -= 1;
        left == 0
    }))
    .unwrap();
}

fn watch(features: Option<usize>) -> Watch {
    let range = [[-2.0, 2.0], [-3.0, 3.0]];
    Watch { map: 20, dims: [0, 1], mosaic: 3, range, z: Vec::new(), reconstructions: 4, features }
}

#[test]
fn slices_of_training_add_up_to_the_same_run() {
    let (mut whole, mut sliced) = (start(&[]), start(&[]));
    train(&mut whole, 7);
    [1, 2, 1, 3].into_iter().for_each(|steps| train(&mut sliced, steps)); // an epoch has four steps
    assert_eq!(whole.position(), sliced.position());
    assert_eq!((whole.position().epoch, whole.position().step, whole.position().images), (2, 3, 7 * 32));
    let losses = whole.take_losses(100);
    assert_eq!(losses, sliced.take_losses(100));
    assert_eq!(losses.len(), 4 * 7);
    assert_eq!(losses.iter().step_by(4).copied().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert!(losses[1] > losses[4 * 6 + 1], "it learns: {losses:?}");
    assert!(whole.take_losses(100).is_empty());
}

#[test]
fn losses_are_thinned_to_the_newest_ones() {
    let mut laboratory = start(&[]);
    train(&mut laboratory, 7);
    assert_eq!(laboratory.take_losses(3).iter().step_by(4).copied().collect::<Vec<_>>(), [1.0, 4.0, 7.0]);
}

#[test]
fn following_a_step_is_that_step() {
    let (mut followed, mut trained) = (start(&[]), start(&[]));
    train(&mut followed, 2);
    let follow = block_on(followed.follow()).unwrap();
    train(&mut trained, 3);
    assert_eq!(followed.position(), trained.position());
    assert_eq!(block_on(followed.save()).unwrap(), block_on(trained.save()).unwrap(), "the same weights, bit for bit");
    let losses = trained.take_losses(100);
    assert_eq!((follow.step, follow.losses.to_vec()), (3, losses[2 * 4 + 1..].to_vec()));
    assert!(follow.after[0] < follow.losses[0], "{:?} {:?}", follow.losses, follow.after);
    for latent in 0..2 {
        let sigma = (0.5 * follow.first.logvar[latent]).exp();
        let z = follow.first.mu[latent] + sigma * follow.eps[latent];
        assert!((z - follow.z[latent]).abs() < 1e-5);
    }
    let names: Vec<&str> = follow.updates.iter().map(|update| update.name.as_str()).collect();
    assert!(names.contains(&"encoder.mu.weight") && names.contains(&"decoder.linear.bias"), "{names:?}");
    assert!(follow.updates.iter().all(|update| update.gradient > 0.0 && update.change > 0.0));
    assert_eq!(follow.stages.len(), 4);
    assert_eq!(follow.first.pixels.len(), 28 * 28);
}

/// The losses of the first image are those of a batch of one.
#[test]
fn the_followed_image_has_its_own_losses() {
    for reconstruction in ["bce", "sse", "half-sse", "gaussian"] {
        let kind = format!("loss.reconstruction={reconstruction}");
        let mut laboratory = start(
            &["train.batch_size=1", "data.limit=3", &kind, "loss.variance=learned"]
                [..3 + usize::from(reconstruction == "gaussian")],
        );
        let follow = block_on(laboratory.follow()).unwrap();
        for (image, batch) in follow.image_losses.iter().zip(&follow.losses[1..]) {
            assert!((image - batch).abs() < 1e-3 * batch.abs(), "{reconstruction}: {image} {batch}");
        }
    }
}

#[test]
fn a_change_keeps_weights_and_optimiser() {
    let (mut changed, mut same) = (start(&[]), start(&[]));
    [&mut changed, &mut same].into_iter().for_each(|laboratory| train(laboratory, 5));
    changed.change(&["loss.beta=1".into(), "train.learning_rate=0.001".into()]).unwrap(); // the values that it has
    [&mut changed, &mut same].into_iter().for_each(|laboratory| train(laboratory, 5));
    assert_eq!(block_on(changed.save()).unwrap(), block_on(same.save()).unwrap());

    changed.change(&["loss.beta=20".into()]).unwrap();
    assert_eq!((changed.about().beta, changed.about().learning_rate), (20.0, 0.001));
    [&mut changed, &mut same].into_iter().for_each(|laboratory| train(laboratory, 30));
    let kl = |laboratory: &mut Laboratory| *laboratory.take_losses(100).last().unwrap();
    assert!(kl(&mut changed) < 0.6 * kl(&mut same), "a large β shrinks the KL");
}

/// The configuration refuses a negative β. The page offers it as an experiment, in which the KL grows without a bound.
#[test]
fn the_wrong_sign_can_be_tried() {
    let mut laboratory = start(&["train.learning_rate=0.01"]);
    train(&mut laboratory, 10);
    let before = *laboratory.take_losses(100).last().unwrap();
    laboratory.change(&["loss.beta=-2".into()]).unwrap();
    assert_eq!(laboratory.about().beta, -2.0);
    train(&mut laboratory, 20);
    let after = *laboratory.take_losses(100).last().unwrap();
    assert!(after > 3.0 * before, "{before} {after}");
    let refused = block_on(laboratory.save()).unwrap_err().to_string();
    assert!(refused.contains("β = -2 is an experiment of this page"), "{refused}");
}

#[test]
fn what_cannot_change_is_refused() {
    let mut laboratory = start(&[]);
    let mut refused = |change: &str| laboratory.change(&[change.into()]).unwrap_err().to_string();
    assert!(refused("model.z_dim=3").contains("start a new one"), "{}", refused("model.z_dim=3"));
    assert!(refused("train.batch_size=8").contains("when a model starts"));
    assert!(refused("loss.beta=much").contains("loss.beta = much is not a number"));
    assert!(refused("train.learning_rate=-1").contains("learning_rate"));
    let wrong = |setting: &str| self::refused(Start { settings: settings(&[setting]), ..Start::default() });
    assert!(wrong("model.kind=vq").contains("has no latents with a mean"), "{}", wrong("model.kind=vq"));
    assert!(wrong("model.z_dimm=2").contains("z_dim"), "{}", wrong("model.z_dimm=2"));
}

#[test]
fn a_frame_has_what_is_watched() {
    let laboratory = start(&["model.z_dim=3"]);
    let frame = block_on(laboratory.frame(&watch(Some(2)))).unwrap();
    assert_eq!((frame.points.len(), frame.labels.len(), frame.kl.len()), (40, 20, 3));
    assert_eq!(frame.mosaic.len(), 9 * 28 * 28);
    assert_eq!(frame.reconstructions.each_ref().map(Vec::len), [4 * 28 * 28; 2]);
    let features = frame.features.unwrap();
    assert_eq!((features.stages.len(), features.image.mu.len()), (4, 3));
    assert_eq!(features.image.pixels, frame.reconstructions[0][2 * 784..3 * 784]);
    assert_eq!(features.image.mu[..2], frame.points[4..6]);
    let none = Watch { map: 0, mosaic: 0, reconstructions: 0, ..watch(None) };
    let frame = block_on(laboratory.frame(&none)).unwrap();
    assert!(frame.points.is_empty() && frame.mosaic.is_empty() && frame.reconstructions[0].is_empty());
}

/// A tile of the mosaic is the decoded point at its middle, and the second latent grows upwards.
#[test]
fn tiles_are_decoded_points() {
    let laboratory = start(&["model.z_dim=3"]);
    let watch = Watch { z: vec![9.0, 9.0, 0.5], ..watch(None) };
    let mosaic = block_on(laboratory.frame(&watch)).unwrap().mosaic;
    let tile = block_on(laboratory.decode(&[4.0 / 3.0, 2.0, 0.5], 0)).unwrap();
    let corner: Vec<u8> = (0..28).flat_map(|row| mosaic[row * 84 + 56..row * 84 + 84].to_vec()).collect();
    assert_eq!(corner, tile);
    assert!(block_on(laboratory.decode(&[1.0, 2.0], 0)).is_err());
}

#[test]
fn a_saved_model_loads_as_a_run_and_goes_on() {
    let mut laboratory = start(&["loss.beta=2"]);
    train(&mut laboratory, 6);
    let saved = block_on(laboratory.save()).unwrap();
    let start = Start { run: Some(saved.clone()), ..Start::default() };
    let mut loaded = block_on(Laboratory::start(start, None, &|_, _| {})).unwrap();
    assert_eq!(loaded.about().beta, 2.0);
    let z = [0.3, -0.7];
    assert_eq!(block_on(loaded.decode(&z, 0)).unwrap(), block_on(laboratory.decode(&z, 0)).unwrap());
    train(&mut loaded, 3);

    let mut damaged = saved;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let error = refused(Start { run: Some(damaged), ..Start::default() });
    assert!(error.contains("is damaged"), "{error}");
    let error = refused(Start { run: Some(b"no checkpoint".to_vec()), ..Start::default() });
    assert!(error.contains("this file is no checkpoint of vae"), "{error}");
}

#[test]
fn a_visitor_s_pictures_are_trained_on() {
    let picture = |i: usize| (0..28 * 28).map(move |pixel| if (pixel + i).is_multiple_of(5) { 255 } else { 0 });
    let pictures = Pictures {
        pixels: (0..48).flat_map(picture).collect(),
        labels: (0..48).map(|i| (i % 2) as u8).collect(),
        side: 28,
        names: ["a", "b"].map(str::to_owned).into(),
    };
    let start = Start { settings: settings(&[]), pictures: Some(pictures.clone()), run: None };
    let mut laboratory = block_on(Laboratory::start(start, None, &|_, _| {})).unwrap();
    assert_eq!((laboratory.about().images, laboratory.about().classes), ([40, 4, 4], vec!["a".into(), "b".into()]));
    train(&mut laboratory, 3);
    let few = Pictures { pixels: vec![0; 7], ..pictures };
    let error = refused(Start { settings: settings(&[]), pictures: Some(few), run: None });
    assert!(error.contains("48 pictures of 28 × 28 pixels were expected, and 7 bytes came"), "{error}");
}

#[test]
fn an_image_is_encoded() {
    let laboratory = start(&[]);
    let test = block_on(laboratory.picture(3)).unwrap();
    let pixels: Vec<f32> = test.pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let same = block_on(laboratory.encode(&pixels, 0)).unwrap();
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(close(&test.mu, &same.mu) && close(&test.logvar, &same.logvar));
    assert!(block_on(laboratory.encode(&pixels[1..], 0)).is_err());
    assert!(block_on(laboratory.picture(5_000)).unwrap_err().to_string().contains("no test image 5000"));
}
