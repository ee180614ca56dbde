//! The checksum of a checkpoint covers every byte, and its bytes depend only on keys that change the results.

use tensor::Device;
use vae_core::data::Dataset;
use vae_core::learn;

use super::*;
use crate::dataset_record::ImageHashes;

fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    let small = ["model.kind=dense", "model.hidden=2", "model.z_dim=2", "data.image_size=16", "data.limit=32"];
    small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    all.resolve().unwrap()
}

fn trained(settings: &[&str]) -> Trainer {
    let config = config(settings);
    let mut trainer =
        Trainer::from_learner(config.clone(), Dataset::built_in(&config).unwrap(), learn::build(&config), Device::Cpu);
    block_on(trainer.epoch(1, &mut |_| false)).unwrap();
    trainer
}

fn last(trainer: &Trainer, early: &EarlyStopping) -> Result<Vec<u8>> {
    let hashes = ImageHashes::of(&trainer.dataset).unwrap();
    let data = DatasetRecord::new(trainer.config(), &trainer.dataset, &hashes);
    block_on(super::last(trainer, &data, early))
}

fn early() -> EarlyStopping {
    let mut early = EarlyStopping::new(0);
    early.observe(1, 0.1 + 0.2);
    early
}

#[test]
fn every_changed_byte_is_detected() {
    let good = last(&trained(&["train.batch_size=8"]), &early()).unwrap();
    assert!(meta(&good).unwrap().is_some());
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for at in (0..header).chain((header..good.len()).step_by(97)) {
        for bit in [0, 5] {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            // Either it is no longer recognised as a checkpoint, or it is refused.
            assert!(!matches!(meta(&bad), Ok(Some(_))), "byte {at}");
        }
    }
    for len in [0, 7, 8, header - 1, header, good.len() - 1] {
        assert!(!matches!(meta(&good[..len]), Ok(Some(_))), "{len} bytes");
    }
}

#[test]
fn numbers_are_read_back_exactly() {
    let trainer = trained(&["train.batch_size=8", "train.schedule=plateau"]);
    let meta = meta(&last(&trainer, &early()).unwrap()).unwrap().unwrap();
    assert_eq!(meta.state(), trainer.state());
    assert_eq!((meta.state().step, meta.state().adam, meta.best()), (1, 1, Some((1, 0.1 + 0.2))));
    assert_eq!(Bits::try_from(String::from(Bits(f64::NAN))).unwrap().0.to_bits(), f64::NAN.to_bits());
}

#[test]
fn keys_that_do_not_change_results_do_not_change_the_bytes() {
    let settings = ["device=cpu", "data.dir=elsewhere", "train.checkpoint_minutes=1", "model.init=x"];
    let bytes = |settings: &[&str]| last(&trained(settings), &early()).unwrap();
    assert_eq!(bytes(&settings), bytes(&[]));
    assert_ne!(bytes(&["seed=2"]), bytes(&[]));
}

/// Replaces the first occurrence of a text by one of the same length, and corrects the checksum.
pub(crate) fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new);
    let place = checksum_offset(bytes).unwrap();
    let sum = checksum(bytes, place);
    bytes[place..place + DIGITS].copy_from_slice(sum.as_bytes());
}

#[test]
fn an_unknown_format_is_refused() {
    let mut bytes = last(&trained(&[]), &early()).unwrap();
    replace(&mut bytes, br#"\"format\":2"#, br#"\"format\":7"#);
    let refused = meta(&bytes).unwrap_err();
    assert!(refused.starts_with("has format 7, but this program reads formats 1 to 2"), "{refused}");
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let trainer = trained(&[]);
    let (_, bias) = nn::parameters(trainer.model()).into_iter().next_back().unwrap();
    bias.set(bias.value().mul_scalar(f32::INFINITY).add_scalar(f32::INFINITY));
    let refused = last(&trainer, &early()).unwrap_err().to_string();
    assert!(refused.contains("(layer decoder.") && refused.contains("is not finite at step 1"), "{refused}");
}

#[test]
fn only_keys_that_do_not_change_results_and_more_epochs_may_change() {
    let base = ["train.epochs=3"];
    let check = |more: &[&str]| check(&config(&base), &config(&[&base[..], more].concat()));
    for fine in [&[][..], &["device=gpu", "data.dir=x", "train.checkpoint_minutes=0"], &["train.epochs=4"]] {
        check(fine).unwrap();
    }
    let folder = ["data.kind=folder", "data.cache=x"];
    super::check(&config(&folder[..1]), &config(&folder)).unwrap();
    for unchanged in ["train.schedule=cosine", "train.schedule=linear", "loss.schedule=cyclical"] {
        super::check(&config(&[unchanged]), &config(&[unchanged])).unwrap();
    }
    for (other, says) in [
        (
            "train.epochs=2",
            "train.epochs = 2: a resumed run may have more epochs than the 3 of its configuration, not fewer",
        ),
        ("seed=2", "seed = 2"),
        ("train.ema=0.5", "train.ema = 0.5"),
        ("data.classes=3", "data.classes = 3"),
    ] {
        let refused = check(&[other]).unwrap_err();
        assert!(refused.to_string().contains(says) && refused.exit_code() == 2, "{refused}");
    }
    for (key, schedule) in [
        ("train.schedule", "train.schedule=cosine"),
        ("train.schedule", "train.schedule=linear"),
        ("loss.schedule", "loss.schedule=cyclical"),
    ] {
        let (old, new) = (config(&["train.epochs=3", schedule]), config(&["train.epochs=4", schedule]));
        let refused = super::check(&old, &new).unwrap_err().to_string();
        assert!(refused.contains(key) && refused.contains("train.epochs = 4"), "{refused}");
    }
}

/// A message names four tensors and counts the others.
#[test]
fn weights_of_another_model_are_refused_by_name() {
    let model = learn::build(&config(&[]));
    let names: Vec<String> = nn::parameters(&*model).into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 5);
    for (kept, more) in [
        (names.len() - 4, None),
        (names.len() - 5, Some("; and 1 more; use")),
        (names.len() - 6, Some("; and 2 more; use")),
    ] {
        let all = nn::parameters(&*model).into_iter().take(kept);
        let whole: Vec<(String, Vec<usize>, Vec<u8>)> = all
            .map(|(name, param)| {
                let value = param.value();
                (name, value.shape().to_vec(), value.data().iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = whole.iter().map(|(name, shape, bytes)| {
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        let refused = load_bytes(&*model, &bytes, Path::new("weights")).unwrap_err().to_string();
        assert_eq!(refused.matches("is missing").count(), 4, "{refused}");
        assert!(more.map_or(!refused.contains(" more; use"), |more| refused.contains(more)), "{refused}");
    }
}

/// A checkpoint in the middle of an epoch belongs to images that give as many steps.
#[test]
fn a_checkpoint_is_restored_only_to_an_epoch_of_enough_steps() {
    let settings = ["train.batch_size=8"];
    let mut trainer = trained(&settings);
    block_on(trainer.epoch(1, &mut |progress| progress.step < 3)).unwrap();
    let bytes = last(&trainer, &early()).unwrap();
    let meta = meta(&bytes).unwrap().unwrap();
    assert_eq!((meta.state().epoch, meta.state().step), (1, 3));
    let restored = |images: &str| {
        let config = config(&[&settings[..], &[images]].concat());
        let dataset = Dataset::built_in(&config).unwrap();
        let mut trainer = Trainer::from_learner(config.clone(), dataset, learn::build(&config), Device::Cpu);
        meta.restore(&mut trainer, &bytes, Path::new("last"))
            .map(|()| trainer.steps())
            .map_err(|error| error.to_string())
    };
    assert_eq!([restored("data.limit=32"), restored("data.limit=24")], [Ok(3), Ok(3)]);
    let refused = restored("data.limit=16").unwrap_err();
    assert!(refused.contains("is from step 3 of epoch 1, but an epoch of these images has only 2 steps"), "{refused}");
    let mut never = meta.clone();
    never.epoch = 0;
    let config = config(&settings);
    let dataset = Dataset::built_in(&config).unwrap();
    let mut trainer = Trainer::from_learner(config.clone(), dataset, learn::build(&config), Device::Cpu);
    assert!(never.restore(&mut trainer, &bytes, Path::new("last")).is_err(), "epochs are counted from 1");
}
