//! Steps in shards.

use std::collections::BTreeMap;

use tensor::Tensor;

use super::*;
use crate::train::shards::Division;

/// Every parameter and buffer.
pub(super) fn values(trainer: &Trainer) -> BTreeMap<String, Tensor> {
    let mut all = BTreeMap::new();
    nn::visit(trainer.model(), |path, slot| {
        let value = match slot {
            nn::Slot::Param(param) => param.value(),
            nn::Slot::Buffer(buffer) => buffer.value(),
        };
        all.insert(path.to_owned(), value);
    });
    all
}

/// Returns the total loss and the gradients of a step, which changes the buffers and no parameter.
fn summed(trainer: &mut Trainer, places: &[usize]) -> (f32, BTreeMap<String, Tensor>) {
    let dataset = trainer.dataset.clone();
    let mut batches = trainer.own_parts(places).into_iter().map(|part| dataset.training_batch(0, &part));
    let (sum, _) = pollster::block_on(trainer.sum_of_shards(&mut batches, places.len())).unwrap();
    let gradient = |(name, param): &(String, Param)| (name.clone(), sum.gradients.get(param).unwrap().clone());
    (sum.watched[0].item(), trainer.params.iter().map(gradient).collect())
}

/// Equal but for rounding, relative to the largest number of all: the gradient of a weight before a batch norm may be zero.
#[track_caller]
fn assert_close(found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>) {
    let largest = expected.values().flat_map(|x| x.data().to_vec()).fold(0.0_f32, |most, x| most.max(x.abs()));
    for (name, found) in found {
        let mut pairs = found.data().iter().zip(expected[name].data());
        assert!(
            pairs.all(|(a, b)| (a - b).abs() <= 1e-5 * largest + 1e-4 * b.abs()),
            "{name}: {found:?}, {:?}",
            expected[name]
        );
    }
}

#[test]
fn parts_cover_a_step_in_the_order_of_images() {
    let config = |accumulate, shards| {
        let mut config = Config::default();
        (config.train.batch_size, config.train.accumulate, config.train.shards) = (12, accumulate, shards);
        config
    };
    let parts = |accumulate, shards, images| {
        let division = Division::new(&config(accumulate, shards));
        let of = |shard| division.parts(shard, images).map(|(part, range)| (part, range.start, range.end));
        (0..shards).flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(parts(1, 1, 12), [(0, 0, 12)]);
    assert_eq!(parts(2, 1, 20), [(0, 0, 12), (1, 12, 20)]);
    assert_eq!(parts(1, 3, 12), [(0, 0, 4), (1, 4, 8), (2, 8, 12)]);
    assert_eq!(parts(1, 3, 5), [(0, 0, 4), (1, 4, 5)]);
    assert_eq!(parts(2, 2, 15), [(0, 0, 6), (2, 12, 15), (1, 6, 12)]);
    for (accumulate, shards, images) in [(1, 4, 12), (3, 4, 36), (3, 6, 29), (2, 12, 1)] {
        let mut all = parts(accumulate, shards, images);
        all.sort_unstable();
        let ends: Vec<usize> = std::iter::once(0).chain(all.iter().map(|&(.., end)| end)).collect();
        assert!(all.iter().zip(&ends).all(|((_, start, _), end)| start == end), "{all:?}");
        assert_eq!(ends.last(), Some(&images));
    }
}

/// Without batch norm and noise the images of a step do not see each other, so shards change only the rounding.
#[test]
fn shards_of_a_model_without_batch_norm_change_the_rounding_only() {
    let settings = ["model.kind=dense", "model.batch_norm=false", "train.batch_size=12"];
    let after = |settings: &[&str]| {
        let mut trainer = trainer(&[&["model.z_dim=2", "loss.kind=beta", "data.limit=12"], settings].concat());
        // z has no noise if the variance is tiny, so that a shard sees the same z as the batch.
        let set = |name: &str, value: f32| {
            let (_, param) = trainer.params.iter().find(|(known, _)| known == name).unwrap();
            param.set(param.value().full_like(value));
        };
        set("encoder.logvar.weight", 0.0);
        set("encoder.logvar.bias", -60.0);
        summed(&mut trainer, &(0..12).collect::<Vec<_>>())
    };
    let (whole, expected) = after(&settings);
    for shards in ["train.shards=2", "train.shards=6"] {
        let (total, gradients) = after(&[&settings[..], &[shards]].concat());
        assert!((total - whole).abs() < 1e-5 * whole, "{total} and {whole}");
        assert_close(&gradients, &expected);
    }
}

/// The largest difference, relative to the largest number of all.
fn deviation(found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>) -> f32 {
    let largest = expected.values().flat_map(|x| x.data().to_vec()).fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(found.len() == expected.len() && found.len() > 10);
    let pairs = found.iter().flat_map(|(name, x)| x.data().iter().zip(expected[name].data()));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

/// With batch norm over all shards, they change only the rounding: no more than another order of the images does, which batch norm
/// amplifies from layer to layer.
#[test]
fn shards_with_batch_norm_over_all_of_them_change_the_rounding_only() {
    for accumulate in ["train.accumulate=1", "train.accumulate=2"] {
        let images = if accumulate.ends_with('1') { 12 } else { 20 }; // the second batch has 8
        let places: Vec<usize> = (0..images).collect();
        let reordered: Vec<usize> = (0..12).rev().chain((12..images).rev()).collect();
        let after = |places: &[usize], settings: &[&str]| {
            let small = ["train.batch_size=12", "data.limit=24", "data.image_size=32", accumulate];
            let mut trainer = trainer(&[&small, settings].concat());
            // z has no noise if the variance is tiny, so that a shard sees the same z as the batch.
            let set = |name: &str, value: f32| {
                let (_, param) = trainer.params.iter().find(|(known, _)| known == name).unwrap();
                param.set(param.value().full_like(value));
            };
            set("encoder.logvar.weight", 0.0);
            set("encoder.logvar.bias", -60.0);
            let (total, gradients) = summed(&mut trainer, places);
            let statistics = values(&trainer).into_iter().filter(|(name, _)| name.contains("running_"));
            (total, gradients, statistics.collect::<BTreeMap<_, _>>())
        };
        let whole = after(&places, &[]);
        let other = after(&reordered, &[]);
        let rounding = [deviation(&other.1, &whole.1), deviation(&other.2, &whole.2)];
        assert!(rounding.iter().all(|&rounding| rounding > 0.0 && rounding < 1e-4), "{rounding:?}");
        for shards in ["train.shards=2", "train.shards=6"] {
            let found = after(&places, &[shards, "train.sync_batch_norm=true"]);
            assert!((found.0 - whole.0).abs() < 1e-5 * whole.0, "{} and {}", found.0, whole.0);
            let gradients = deviation(&found.1, &whole.1);
            assert!(gradients < 10.0 * rounding[0], "{shards}, {accumulate}: {gradients} and {rounding:?}");
            // The statistics of several batches are a mean over shards, some of which have no images of the last one.
            let statistics = deviation(&found.2, &whole.2);
            assert!(images > 12 || statistics < 10.0 * rounding[1], "{shards}: {statistics} and {rounding:?}");
        }
        let alone = after(&places, &["train.shards=6"]);
        assert!(
            deviation(&alone.1, &whole.1) > 100.0 * rounding[0],
            "the gradients do not show whose statistics they have"
        );
    }
}

/// A worker that fails ends the step with an error, and nobody waits for it.
#[test]
fn a_shard_whose_thread_fails_ends_the_step() {
    let mut trainer = trainer(&["train.batch_size=12", "train.shards=3", "train.sync_batch_norm=true"]);
    let places: Vec<usize> = (0..12).collect();
    let dataset = trainer.dataset.clone();
    let mut batches: Vec<_> =
        trainer.own_parts(&places).into_iter().map(|part| dataset.training_batch(0, &part)).collect();
    let other = batches[1].as_mut().unwrap();
    other.input = other.input.slice(1, 0, 0); // no channels
    let result = pollster::block_on(trainer.sum_of_shards(&mut batches.into_iter(), 12));
    let error = result.err().unwrap().to_string();
    assert!(error.contains("a thread that computes a shard has failed"), "{error}");
}

/// A step of two batches of 12 images in three shards: the gradient is the mean over the images of the parts' gradients, and each
/// running statistic the mean over the shards of what each makes of the value before the step.
#[test]
fn a_step_averages_the_gradients_and_statistics_of_its_shards() {
    let settings = ["train.accumulate=2", "train.shards=3", "train.batch_size=12"];
    let mut stepped = trainer(&settings);
    let other = trainer(&settings);
    let places: Vec<usize> = (0..20).collect(); // the second batch has parts of 4, 4 and 0 images
    let parts: [&[(usize, &[usize])]; 3] = [
        &[(0, &places[0..4]), (3, &places[12..16])],
        &[(1, &places[4..8]), (4, &places[16..20])],
        &[(2, &places[8..12])],
    ];
    let start = values(&other);
    let mut sums: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut total = 0.0;
    for parts in parts {
        let images: usize = parts.iter().map(|(_, places)| places.len()).sum();
        nn::visit(other.model(), |path, slot| {
            if let nn::Slot::Buffer(buffer) = slot {
                buffer.set(start[path].clone());
            }
        });
        let mut add = |name: &str, value: &Tensor, share: f32| {
            let value = value.mul_scalar(share);
            sums.entry(name.to_owned()).and_modify(|sum| *sum = sum.add(&value)).or_insert(value);
        };
        for (part, places) in parts {
            let batch = other.dataset.training_batch(0, places).unwrap();
            let terms = other.forward(0, *part, &batch, None).terms;
            total += f64::from(terms.total.item()) * places.len() as f64 / 20.0;
            let gradients = terms.total.backward();
            for (name, param) in &other.params {
                add(name, gradients.get(param).unwrap(), places.len() as f32 / 20.0);
            }
        }
        nn::visit(other.model(), |path, slot| {
            if let nn::Slot::Buffer(buffer) = slot {
                add(path, &buffer.value(), images as f32 / 20.0);
            }
        });
    }
    let (loss, mut found) = summed(&mut stepped, &places);
    assert!((f64::from(loss) - total).abs() < 1e-5 * total, "{loss} and {total}");
    assert!(found.len() == stepped.params.len() && sums.len() > found.len() + 10);
    let statistics = values(&stepped).into_iter().filter(|(name, _)| !found.contains_key(name)).collect::<Vec<_>>();
    found.extend(statistics);
    assert_close(&found, &sums);
}

/// Two shards of one image set differ by their noise, and a buffer that nothing changes keeps its bits.
#[test]
fn shards_have_noise_of_their_own_and_an_idle_buffer_keeps_its_bits() {
    let mut trainer = trainer(&["train.shards=3", "train.batch_size=24", "model.freeze_encoder=true"]);
    let images = trainer.dataset.training_batch(0, &[0, 1, 2, 3]).unwrap();
    let losses: Vec<f32> = [(0, 0), (0, 1), (0, 2), (1, 0)]
        .map(|(step, part)| trainer.forward(step, part, &images, None).terms.total.item())
        .into();
    for (i, loss) in losses.iter().enumerate() {
        assert!(losses[..i].iter().all(|other| other != loss), "{losses:?}");
    }
    let frozen = |path: &str| path.starts_with("encoder.") && path.contains("running_");
    let before = bits(&trainer, frozen);
    run(&mut trainer, 1);
    assert!(before.len() > 5 && bits(&trainer, frozen) == before);
}

#[test]
fn divisions_that_cannot_be_trained_are_refused() {
    let refusal = |settings: &[&str]| {
        let mut all = Settings::default();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap().check().map_err(|error| error.to_string()).unwrap_err()
    };
    let uneven = refusal(&["train.shards=12"]);
    assert!(uneven.contains("64 images") && uneven.contains("set train.shards = 8,"), "{uneven}");
    assert!(refusal(&["train.shards=0"]).contains("train.shards = 0"));
    assert!(refusal(&["train.shards=128"]).contains("set train.shards = 64,"));
    assert!(refusal(&["train.shards=4", "model.kind=vq"]).contains("codebook"));
    assert!(refusal(&["train.sync_batch_norm=true", "model.kind=dense"]).contains("this model has no batch norm"));
    assert!(refusal(&["train.sync_batch_norm=true", "device=gpu"]).contains("set device = \"cpu\""));
    // 8,334 images leave one in the last shard of seven.
    let one = refusal(&[
        "train.shards=4",
        "train.batch_size=28",
        "data.limit=8331",
        "data.image_size=32",
        "model.stem=7x7-pool",
    ]);
    assert!(
        one.contains("with shards of 7 the last one has only 1 of 8331 images") && one.contains("train.shards"),
        "{one}"
    );
}
