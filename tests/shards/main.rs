//! Laws of training in shards by several processes. Here the processes (ranks) are threads, and another thread of each exchanges its
//! messages, as in `vae-mpi`. Any number of them writes the same bytes, wherever they stop and with however many the run goes on, and a fault of one is told by all.
#![forbid(unsafe_code)]

mod step_time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use nn::ForwardContext;
use nn::optim::Optimizer;
use tensor::{Device, Rule};
use vae::config::{Config, Settings};
use vae::data::Dataset;
use vae::distributed::Communicator;
use vae::distributed::background::background;
use vae::distributed::threads::{ThreadRank, group};
use vae::learn::{self, Batch};
use vae::objective::ScheduleContext;
use vae::run::{Event, Folder, Outcome, ResumedRun, RunFigures, run};
use vae::train::{Fault, Trainer};

/// Epochs of three steps. The last has 16 images, so that of 12 shards only eight have images.
const SMALL: &[&str] = &[
    "data.image_size=16",
    "data.limit=64",
    "train.batch_size=24",
    "train.shards=12",
    "train.epochs=2",
    "train.learning_rate=0.02",
    "train.log_steps=1",
    "model.width=2",
    "model.z_dim=3",
];

fn config(settings: &[&[&str]]) -> Config {
    let mut all = Settings::default();
    settings.iter().copied().flatten().for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    config
}

/// One rank of a training.
struct Rank<'a> {
    communicator: Rc<dyn Communicator>,
    path: &'a Path,
}

impl Rank<'_> {
    fn trainer(&self, config: &Config) -> Trainer {
        let mut trainer = Trainer::from_learner(
            config.clone(),
            Dataset::built_in(config).unwrap(),
            learn::build(config),
            Device::Cpu,
        );
        trainer.join(self.communicator.clone()).unwrap();
        trainer
    }

    /// Starts or resumes the run in the folder.
    fn train(&self, trainer: &mut Trainer, on_event: &mut dyn FnMut(Event) -> bool) -> vae::Result<Outcome> {
        let resumed = self.path.join("config.toml").exists().then(|| ResumedRun::read(self.path).unwrap());
        self.communicator.barrier().unwrap(); // everybody has read before anybody writes
        let mut folder = match (self.communicator.rank(), &resumed) {
            (0, None) => Folder::prepare(self.path).unwrap(),
            (0, Some(_)) => Folder::open(self.path).unwrap(),
            _ => Folder::follow(self.path),
        };
        run(trainer, &mut folder, resumed, RunFigures::NONE, on_event)
    }
}

/// Calls `work` on each of `size` threads, and returns the results in the order of ranks.
fn on_ranks<R: Send>(size: usize, path: &Path, work: impl Fn(&Rank) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let spawn = |rank: ThreadRank| {
            let (handle, jobs) = background(rank.rank(), size);
            scope.spawn(move || jobs.run(&rank));
            scope.spawn(move || work(&Rank { communicator: Rc::new(handle), path }))
        };
        let threads: Vec<_> = group(size).into_iter().map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Trains with `size` ranks, which are stopped after `steps` steps, as rank `size − 1` sees it.
fn train(config: &Config, size: usize, path: &Path, steps: usize) -> Vec<Outcome> {
    on_ranks(size, path, |rank| {
        let (mut left, is_last) = (steps, rank.communicator.rank() == size - 1);
        let outcome = rank.train(&mut rank.trainer(config), &mut |event| {
            if let Event::Step(_) = event {
                left = left.saturating_sub(1);
            }
            left > 0 || !is_last
        });
        outcome.unwrap()
    })
}

/// Every file of a run, without its times.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |(name, _): (String, u64)| {
        let bytes = std::fs::read(path.join(&name)).unwrap();
        if name != "metrics.jsonl" {
            return (name, bytes);
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| line.split(",\"seconds\"").next().unwrap().to_owned() + "\n");
        (name, lines.collect::<String>().into_bytes())
    };
    let files = Folder::open(path).unwrap().files();
    files.into_iter().filter(|(name, _)| name != "timing.json").map(read).collect()
}

#[track_caller]
fn assert_equal(files: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(files.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in files {
        assert!(*bytes == expected[name], "{what}: {name} differs");
    }
}

#[test]
fn every_number_of_ranks_writes_the_same_bytes() {
    let everything: &[&str] = &[
        "train.accumulate=2",
        "train.ema=0.9",
        "train.clip=300",
        "train.weight_decay=0.01",
        "train.early_stopping=1",
        "train.schedule=plateau",
        "data.augment=flip",
        "data.noise_std=0.1",
    ];
    let kinds: &[&[&str]] = &[
        &[],
        everything,
        &["model.kind=fsq", "model.encoder=basic", "model.widths=4,6"],
        &["model.kind=classifier", "data.normalise=standard", "model.freeze_encoder=false"],
        &["model.kind=dense", "loss.kind=factor"],
        &["model.kind=dense", "loss.kind=csvae", "model.conditional=true"],
        &["model.kind=dense", "loss.reconstruction=gaussian", "loss.variance=optimal"],
        &["model.freeze_encoder=true"],
        &["train.sync_batch_norm=true"],
        &["train.sync_batch_norm=true", "train.accumulate=2", "train.ema=0.9", "train.activation_checkpointing=true"],
    ];
    for settings in kinds {
        let config = config(&[SMALL, settings]);
        let dir = tempfile::tempdir().unwrap();
        let mut expected = None;
        for size in [1, 2, 3, 4, 5] {
            let path = dir.path().join(size.to_string());
            let outcomes = train(&config, size, &path, usize::MAX);
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0] && *outcome != Outcome::Interrupted));
            let files = files(&path);
            assert!(files.contains_key("checkpoints/last.safetensors") && files.contains_key("steps.jsonl"));
            let expected = expected.get_or_insert_with(|| files.clone());
            assert_equal(&files, expected, &format!("{size} ranks, {settings:?}"));
        }
    }
}

/// Messages travel during the backward pass, and the counts say so. A rank sends what the tree demands: here a half of the numbers for
/// the sum, and a half for the other rank.
#[test]
fn bytes_are_sent_during_the_backward_pass() {
    // The encoder's gradients are complete last. Here they are small, and those between encoder and decoder are large.
    let settings = ["model.kind=basic", "model.widths=16,64", "model.z_dim=16", "train.shards=2", "data.image_size=64"];
    let config = config(&[SMALL, &settings]);
    let dir = tempfile::tempdir().unwrap();
    let all = on_ranks(2, dir.path(), |rank| {
        let mut trainer = rank.trainer(&config);
        let places: Vec<usize> = (0..24).collect();
        for _ in 0..3 {
            pollster::block_on(trainer.step(&places, 0.01)).unwrap();
        }
        let numbers: usize = nn::parameters(trainer.model()).iter().map(|(_, param)| param.shape().count()).sum();
        (trainer.take_traffic(), numbers)
    });
    for (traffic, numbers) in all {
        let bytes = (3 * 4 * numbers) as u64;
        assert_eq!(traffic.steps, 3);
        assert!((bytes..bytes + 3 * 1000).contains(&traffic.bytes), "{traffic:?}, {bytes}");
        assert!(traffic.overlapped > 0 && traffic.overlapped < traffic.bytes, "{traffic:?}");
    }
}

/// `train.shards = 1` is the code without shards: gradients of the whole batch, and an Adam step.
#[test]
fn one_shard_has_the_bits_of_a_step_without_shards() {
    for settings in [&[] as &[&str], &["model.kind=dense", "train.weight_decay=0.01"]] {
        let config = config(&[SMALL, &["train.shards=1", "train.clip=0"], settings]);
        let dir = tempfile::tempdir().unwrap();
        let trained = on_ranks(1, dir.path(), |rank| {
            let mut trainer = rank.trainer(&config);
            let losses = [0, 1].map(|step| {
                let places: Vec<usize> = (24 * step..24 * step + 24).collect();
                pollster::block_on(trainer.step(&places, 0.02)).unwrap().total
            });
            (losses, weights(trainer.model()))
        });
        let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
        let train = &config.train;
        let adam = Rule::Adam { beta1: train.beta1, beta2: train.beta2, eps: 1e-8, decoupled: false };
        let mut adam = Optimizer::new(adam, train.weight_decay);
        let losses = [0, 1].map(|step| {
            let places: Vec<usize> = (24 * step..24 * step + 24).collect();
            let images = dataset.training_batch(0, &places).unwrap();
            let [x, target] = images.upload(&Device::Cpu);
            let epochs = step as f64 / dataset.train.count().div_ceil(24) as f64;
            let schedule = ScheduleContext { epochs, images: dataset.train.count() };
            let mut batch = Batch::of_step(x, images.labels, schedule, config.seed, step as u64);
            batch.target = target;
            let terms = model.forward(&batch, &ForwardContext::train(config.seed, step as u64)).terms;
            let mut gradients = terms.total.backward();
            adam.step(&nn::parameters(&*model), &mut gradients, 0.02);
            pollster::block_on(terms.read()).unwrap().total
        });
        assert_eq!(trained, [(losses, weights(&*model))], "{settings:?}");
    }
}

/// The bits of every parameter and buffer, by name.
fn weights(model: &dyn nn::Module) -> BTreeMap<String, Vec<u32>> {
    let mut all = BTreeMap::new();
    nn::visit(model, |path, slot| {
        let value = match slot {
            nn::Slot::Param(param) => param.value(),
            nn::Slot::Buffer(buffer) => buffer.value(),
        };
        all.insert(path.to_owned(), value.data().iter().map(|x| x.to_bits()).collect());
    });
    all
}

/// Four ranks stop within the first epoch, two go on and stop within the second, and one ends the run.
#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let config = config(&[SMALL, &["train.ema=0.9"]]);
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    train(&config, 1, &whole, usize::MAX);
    assert_eq!(train(&config, 4, &parts, 1), [Outcome::Interrupted; 4]);
    let steps = |path: &Path| std::fs::read_to_string(path.join("steps.jsonl")).unwrap().lines().count();
    assert_eq!(steps(&parts), 2, "one step after that of the wish");
    assert_eq!(train(&config, 2, &parts, 2), [Outcome::Interrupted; 2]);
    assert!((3..6).contains(&steps(&parts)), "{}", steps(&parts));
    assert_eq!(train(&config, 1, &parts, usize::MAX), [Outcome::Finished]);
    assert_equal(&files(&parts), &files(&whole), "4, 2, 1 ranks");
}

/// A checkpoint within an epoch is a pause of rank 0 alone, and all of them go on.
#[test]
fn a_pause_for_a_checkpoint_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let of = |size: usize, minutes: &str| {
        let path = dir.path().join(format!("{size}-{minutes}"));
        let minutes = format!("train.checkpoint_minutes={minutes}");
        let outcomes = train(&config(&[SMALL, &[&minutes]]), size, &path, usize::MAX);
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Finished));
        files(&path)
    };
    let (mut often, mut never) = (of(3, "0.0000001"), of(1, "0"));
    for files in [&mut often, &mut never] {
        files.remove("config.toml"); // it has the minutes
    }
    assert_equal(&often, &never, "pauses");
}

/// The processes that do not write have no reason to pause.
#[test]
fn one_pause_writes_one_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let steps = 16;
    let settings = ["data.limit=384", "train.epochs=1", "train.checkpoint_minutes=0.05"]; // 3 s
    let config = config(&[SMALL, &settings]);
    let seen = on_ranks(2, dir.path(), |rank| {
        let (mut trainer, mut seen, mut slept) = (rank.trainer(&config), BTreeSet::new(), SystemTime::now());
        let last = dir.path().join("checkpoints/last.safetensors");
        let outcome = rank.train(&mut trainer, &mut |event| {
            if let Event::Step(progress) = event {
                assert_eq!(progress.steps, steps);
                if progress.step == 1 {
                    std::thread::sleep(Duration::from_secs(4));
                    slept = SystemTime::now();
                }
                std::thread::sleep(Duration::from_millis(20)); // for the thread that writes
                let written = last.metadata().and_then(|file| file.modified()).ok();
                seen.extend(written.filter(|&written| written > slept)); // the first checkpoint is that of the start
            }
            true
        });
        assert_eq!(outcome.unwrap(), Outcome::Finished);
        seen.len()
    });
    assert_eq!(seen[0], 1, "checkpoints before the end of the epoch");
}

#[test]
fn validation_is_that_of_one_rank() {
    let config = config(&[SMALL, &["train.shards=6"]]);
    let dir = tempfile::tempdir().unwrap();
    let of = |size| on_ranks(size, dir.path(), |rank| pollster::block_on(rank.trainer(&config).validate()).unwrap());
    let alone = of(1).remove(0);
    assert!(alone.losses.part("kl").is_some() && alone.kl_per_dim.len() == 3 && alone.mse.is_some());
    for size in [2, 3, 6] {
        for validation in of(size) {
            assert_eq!(validation, alone, "{size} ranks");
        }
    }
}

/// The rank that found the number, and the same words from every rank.
#[test]
fn divergence_is_told_by_all_and_names_the_rank() {
    let config = config(&[SMALL]);
    for (fault, words) in [(Fault::Loss(2), "the reconstruction loss"), (Fault::Gradient(2), "the gradient of ")] {
        let dir = tempfile::tempdir().unwrap();
        let errors = on_ranks(3, dir.path(), |rank| {
            let mut trainer = rank.trainer(&config);
            if rank.communicator.rank() == 2 {
                trainer.inject(fault);
            }
            rank.train(&mut trainer, &mut |_| true).unwrap_err().to_string()
        });
        assert!(errors[0].starts_with(&format!("on rank 2, {words}")), "{}", errors[0]);
        assert!(errors[0].contains("is not finite at step 2"), "{}", errors[0]);
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
    }
}

#[test]
fn ranks_that_differ_are_refused_by_all_before_the_first_step() {
    for other in ["seed=2", "data.limit=62", "train.learning_rate=0.01"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let errors = on_ranks(3, &path, |rank| {
            let settings: &[&str] = if rank.communicator.rank() == 1 { &[other] } else { &[] };
            let mut trainer = rank.trainer(&config(&[SMALL, settings]));
            rank.train(&mut trainer, &mut |_| panic!("a step")).unwrap_err().to_string()
        });
        assert!(
            errors[0].starts_with("rank 1 on ") && errors[0].contains("has another configuration"),
            "{}",
            errors[0]
        );
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        assert!(!path.exists(), "nothing was written");
    }
}

/// Other images with the same configuration: their order in the split is another one.
#[test]
fn ranks_with_other_images_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let errors = on_ranks(2, dir.path(), |rank| {
        let mut trainer = rank.trainer(&config(&[SMALL]));
        if rank.communicator.rank() == 1 {
            trainer.dataset.train = trainer.dataset.validation.clone();
        }
        rank.train(&mut trainer, &mut |_| true).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error.contains("has other images or labels than rank 0")), "{errors:?}");
}

/// A rank that ends with an error of its own does not let the others wait for ever.
#[test]
fn a_rank_that_ends_ends_the_others() {
    let config = config(&[SMALL]);
    let dir = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    let results = on_ranks(3, dir.path(), |rank| {
        let mut trainer = rank.trainer(&config);
        if rank.communicator.rank() == 1 {
            let places: Vec<usize> = (0..24).collect();
            return pollster::block_on(trainer.step(&places, 0.01)).map(|_| ()); // one step, and it is gone
        }
        let result = pollster::block_on(trainer.epoch(1, &mut |_| {
            count.fetch_add(1, Ordering::Relaxed);
            true
        }));
        result.map(|_| ())
    });
    for rank in [0, 2] {
        let error = results[rank].as_ref().unwrap_err().to_string();
        assert!(error.contains("has ended, so rank "), "{error}");
    }
    assert!(count.load(Ordering::Relaxed) <= 2, "the second step cannot end");
}

#[test]
fn more_ranks_than_shards_are_refused() {
    let config = config(&[SMALL, &["train.shards=2"]]);
    let dir = tempfile::tempdir().unwrap();
    let errors = on_ranks(3, dir.path(), |rank| {
        let mut trainer = Rank { communicator: Rc::new(group(1).remove(0)), path: rank.path }.trainer(&config);
        trainer.join(rank.communicator.clone()).unwrap_err().to_string()
    });
    assert!(errors[0].contains("train.shards = 2: 3 processes need at least 3 shards"), "{}", errors[0]);
}
