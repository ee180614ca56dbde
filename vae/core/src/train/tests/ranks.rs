//! Steps by several processes (ranks), which are threads here.

use std::collections::BTreeMap;
use std::rc::Rc;

use tensor::Tensor;

use super::shards::values;
use super::*;
use crate::distributed::Communicator;
use crate::distributed::threads::{ThreadRank, group};
use crate::train::Traffic;

/// Four shards of six images.
const SHARDS: [&str; 1] = ["train.shards=4"];

/// The bits of tensors, by name.
type Bits = BTreeMap<String, Vec<u32>>;

fn bits_of(tensors: impl Iterator<Item = (String, Tensor)>) -> Bits {
    tensors.map(|(name, x)| (name, x.data().iter().map(|x| x.to_bits()).collect())).collect()
}

/// What a rank has after some steps.
struct Stepped {
    /// The losses and the gradients of each step, and the parameters and buffers after the last one.
    bits: Vec<Bits>,
    must_stop: bool,
    /// The number of images that it has computed.
    trained: u64,
    traffic: Traffic,
    /// How many threads compute shards beside its own.
    workers: usize,
}

/// Steps of so many images, by a rank that wants to stop or not. No step changes a parameter.
fn stepped(rank: ThreadRank, settings: &[&str], steps: &[usize], wants_stop: bool) -> Stepped {
    let mut trainer = trainer(&[&SHARDS, settings].concat());
    trainer.join(Rc::new(rank)).unwrap();
    trainer.wants_stop = wants_stop;
    let mut bits = Vec::new();
    for &images in steps {
        let places: Vec<usize> = (0..images).collect();
        let dataset = trainer.dataset.clone();
        let mut batches = trainer.own_parts(&places).into_iter().map(|part| dataset.training_batch(0, &part));
        let (sum, _) = pollster::block_on(trainer.sum_of_shards(&mut batches, images)).unwrap();
        let gradients = trainer
            .params
            .iter()
            .filter_map(|(name, param)| sum.gradients.get(param).map(|gradient| (name.clone(), gradient.clone())));
        let losses = sum.watched.iter().enumerate().map(|(i, loss)| (format!("loss {i}"), loss.clone()));
        bits.push(bits_of(gradients.chain(losses)));
    }
    bits.push(bits_of(values(&trainer).into_iter()));
    let (trained, traffic) = (trainer.take_trained(), trainer.take_traffic());
    assert_eq!((trainer.take_trained(), trainer.take_traffic()), (0, Traffic::default()), "the second time");
    Stepped { bits, must_stop: trainer.must_stop, trained, traffic, workers: trainer.workers.len() }
}

/// The same by several ranks. `stops` says whether the last of them wants to stop.
fn by_ranks(size: usize, settings: &[&str], steps: &[usize], stops: bool) -> Vec<Stepped> {
    std::thread::scope(|scope| {
        let spawn = |rank: ThreadRank| {
            let wants_stop = stops && rank.rank() + 1 == size;
            scope.spawn(move || stepped(rank, settings, steps, wants_stop))
        };
        let threads: Vec<_> = group(size).into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Of nine images the first shard has six, the second three, and the others none. Of 33 images in two batches, the second batch leaves
/// none for the last two shards.
#[test]
fn any_number_of_ranks_takes_the_same_steps() {
    let cases: [(&[&str], &[usize]); 4] = [
        (&[], &[9, 24]),
        (&["train.accumulate=2"], &[33]),
        (&["train.sync_batch_norm=true"], &[9, 24]),
        (&["train.sync_batch_norm=true", "train.accumulate=2", "model.freeze_encoder=true"], &[33]),
    ];
    for (settings, steps) in cases {
        let together = settings.contains(&"train.sync_batch_norm=true");
        let alone = by_ranks(1, settings, steps, false).remove(0);
        assert!(alone.bits.iter().all(|bits| bits.len() > 5) && !alone.must_stop);
        assert_eq!((alone.trained, alone.traffic), (steps.iter().sum::<usize>() as u64, Traffic::default()));
        assert_eq!(alone.workers, if together { 3 } else { 0 });
        for size in [2, 3, 4] {
            let ranks = by_ranks(size, settings, steps, size == 3);
            assert_eq!(ranks.iter().map(|rank| rank.trained).sum::<u64>(), alone.trained);
            for rank in &ranks {
                assert!(rank.bits == alone.bits, "{settings:?}, {size} ranks");
                assert_eq!((rank.must_stop, rank.traffic.steps), (size == 3, steps.len() as u64));
                // A thread adds up a bucket as soon as it is complete, so only the last message is not hidden.
                assert!(0 < rank.traffic.overlapped && rank.traffic.overlapped < rank.traffic.bytes);
            }
        }
    }
}

#[test]
fn one_shard_is_a_batch() {
    for settings in [&[][..], &["train.sync_batch_norm=true"]] {
        let (mut trainer, other) = (trainer(settings), trainer(settings));
        let batch = |trainer: &Trainer| trainer.dataset.training_batch(0, &[0, 1, 2, 3, 4]);
        let mut batches = std::iter::once(batch(&trainer));
        pollster::block_on(trainer.sum_of_shards(&mut batches, 5)).unwrap();
        other.forward(0, 0, &batch(&other).unwrap(), None);
        let [found, expected] = [&trainer, &other].map(|trainer| bits_of(values(trainer).into_iter()));
        assert!(found == expected, "{settings:?}");
    }
}

#[test]
fn more_ranks_than_shards_are_refused() {
    let mut trainer = trainer(&["train.shards=2"]);
    let mut join = |size: usize| trainer.join(Rc::new(group(size).remove(0))).map_err(|error| error.to_string());
    assert_eq!(join(2), Ok(()));
    let error = join(3).unwrap_err();
    assert!(error.contains("train.shards = 2: 3 processes need at least 3 shards"), "{error}");
}

/// A thread builds its model from the configuration.
#[test]
fn a_model_of_the_callers_own_has_one_shard_in_each_process() {
    let settings = ["train.shards=2", "train.sync_batch_norm=true"];
    let wide = trainer(&[&settings[..], &["model.width=4"]].concat());
    let narrow = trainer(&settings);
    let (config, dataset) = (narrow.config().clone(), narrow.dataset.clone());
    let mut trainer = Trainer::from_learner(config, dataset, learn::build(wide.config()), Device::Cpu);
    let dataset = trainer.dataset.clone();
    let places: Vec<usize> = (0..24).collect();
    let mut batches = trainer.own_parts(&places).into_iter().map(|part| dataset.training_batch(0, &part));
    let error = pollster::block_on(trainer.sum_of_shards(&mut batches, 24)).err().unwrap().to_string();
    assert!(error.contains("the model is not the one of the configuration"), "{error}");
}
