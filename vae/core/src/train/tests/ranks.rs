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

/// Also in the rounding of the running statistics, which the second step shows: those of the first step begin with round numbers.
#[test]
fn one_shard_is_a_batch() {
    for settings in [&[][..], &["train.sync_batch_norm=true"]] {
        let (mut trainer, other) = (trainer(settings), trainer(settings));
        let batch = |trainer: &Trainer, first: usize| {
            trainer.dataset.training_batch(0, &(first..first + 5).collect::<Vec<_>>())
        };
        for first in [0, 5] {
            let mut batches = std::iter::once(batch(&trainer, first));
            pollster::block_on(trainer.sum_of_shards(&mut batches, 5)).unwrap();
            other.forward(0, 0, &batch(&other, first).unwrap(), None);
        }
        let [found, expected] = [&trainer, &other].map(|trainer| bits_of(values(trainer).into_iter()));
        assert!(found == expected, "{settings:?}");
    }
}

/// A parameter without a gradient gets none from the sum over ranks, not even one of zeros, which weight decay would act on.
#[test]
fn a_parameter_that_no_rank_uses_has_no_gradient() {
    let ends = |rank: ThreadRank| {
        let mut trainer = trainer(&SHARDS);
        trainer.join(Rc::new(rank)).unwrap();
        let idle = Param::new(Tensor::ones([3]));
        trainer.params.push(("idle".to_owned(), idle.clone()));
        let dataset = trainer.dataset.clone();
        let places: Vec<usize> = (0..24).collect();
        let mut batches = trainer.own_parts(&places).into_iter().map(|part| dataset.training_batch(0, &part));
        let (sum, _) = pollster::block_on(trainer.sum_of_shards(&mut batches, 24)).unwrap();
        assert!(sum.gradients.get(&trainer.params[0].1).is_some() && sum.gradients.get(&idle).is_none());
    };
    std::thread::scope(|scope| group(2).into_iter().for_each(|rank| drop(scope.spawn(move || ends(rank)))));
}

/// Ranks on a GPU send their gradients as those on a CPU do, and have the sum on the GPU.
#[test]
fn ranks_on_a_gpu_take_the_steps_of_ranks_on_a_cpu() {
    let settings = ["train.shards=2", "train.batch_size=4", "model.kind=dense", "model.batch_norm=false"];
    let step = |rank: ThreadRank, device: Device| {
        let mut trainer = trainer_on(device.clone(), &settings);
        trainer.join(Rc::new(rank)).unwrap();
        let dataset = trainer.dataset.clone();
        let mut batches = trainer.own_parts(&[0, 1, 2, 3]).into_iter().map(|part| dataset.training_batch(0, &part));
        let (sum, _) = pollster::block_on(trainer.sum_of_shards(&mut batches, 4)).unwrap();
        let gradient = |(name, param): &(String, Param)| {
            let gradient = sum.gradients.get(param).unwrap();
            assert_eq!(gradient.device(), device, "{name}");
            pollster::block_on(gradient.read()).unwrap()
        };
        trainer.params.iter().map(gradient).collect::<Vec<_>>()
    };
    let [on_gpu, on_cpu] = [gpu(), Device::Cpu].map(|device| {
        std::thread::scope(|scope| {
            let spawn = |rank| {
                let device = device.clone();
                scope.spawn(move || step(rank, device))
            };
            let ranks: Vec<_> = group(2).into_iter().map(spawn).collect();
            let [first, second] = <[_; 2]>::try_from(ranks).unwrap().map(|rank| rank.join().unwrap());
            assert!(first == second && first.len() > 5, "on {device}");
            first
        })
    });
    for (found, expected) in on_gpu.iter().zip(&on_cpu) {
        let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= 1e-4 * largest, "{off} of {largest}");
    }
}

#[test]
fn batch_norm_over_all_shards_is_refused_on_a_gpu() {
    let mut trainer = trainer_on(gpu(), &["train.shards=2", "train.sync_batch_norm=true"]);
    let error = trainer.join(Rc::new(group(1).remove(0))).unwrap_err().to_string();
    assert!(error.contains("train.sync_batch_norm = true: a GPU cannot do that"), "{error}");
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
