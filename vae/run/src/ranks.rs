//! What several processes (ranks) that train one model tell each other besides gradients: before the first step, whether they would
//! compute the same bits, and after each epoch, how fast each of them is.

use std::fs;

use nn::Module;
use sha2::{Digest, Sha256};
use tensor::{Device, Isa};
use vae_core::distributed::Communicator;
use vae_core::train::{Timing, Traffic, Trainer};
use vae_core::{Error, Result, hex};

use crate::checkpoint::portable;
use crate::dataset_record::{DatasetRecord, ImageHashes};
use crate::loaded::LoadedRun;

/// What must be equal on all ranks, each with the words for a message.
const FACTS: [&str; 6] = [
    "runs another build of the program",
    "has another instruction set",
    "has another device",
    "has another configuration",
    "has other images or labels",
    "has other weights, from --init or from a checkpoint,",
];

/// The speed of a rank in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankSpeed {
    /// The training images that it has computed.
    pub images: f64,
    /// The seconds that it trained, without validation.
    pub seconds: f64,
    /// The seconds of these in which it waited for the sum of the gradients over all ranks.
    pub communication: f64,
    /// The bytes that it has sent in a step.
    pub sent: f64,
    /// The share of these bytes that it has sent, and that was answered, while its backward pass was running.
    pub overlapped: f64,
}

/// Checks that all ranks would compute the same bits. `checkpoint` is the one that they resume. Without one, their initial weights are compared,
/// which may come from files.
///
/// # Errors
/// Returns the same error on every rank if one differs from rank 0, which names the rank and what differs; or if one has ended.
pub(crate) fn check_equal(trainer: &Trainer, data: &DatasetRecord, checkpoint: Option<&[u8]>) -> Result<()> {
    if trainer.communicator().size() == 1 {
        return Ok(());
    }
    let config = portable(trainer.config()).to_toml();
    let weights = match checkpoint {
        Some(bytes) => digest(bytes),
        None => digest(&weights(trainer.model())?),
    };
    compare(trainer.communicator(), trainer.device(), config, data, weights)
}

/// Checks that all ranks would compute the same bits of a trained model, with these options.
///
/// # Errors
/// As for a training; or if the images cannot be read.
pub fn check_equal_runs(run: &LoadedRun, options: &str) -> Result<()> {
    let (predictor, dataset) = (&run.predictor, run.dataset()?);
    if predictor.ranks.size() == 1 {
        return Ok(());
    }
    let data = DatasetRecord::new(&predictor.config, dataset, &ImageHashes::of(dataset)?);
    let config = format!("{}{options}", portable(&predictor.config).to_toml());
    let weights = digest(&weights(&*predictor.model)?);
    compare(&*predictor.ranks, predictor.device(), config, &data, weights)
}

/// The bytes of a model's tensors.
fn weights(model: &dyn Module) -> Result<Vec<u8>> {
    let bytes = pollster::block_on(nn::state::save(model, &[]));
    bytes.map_err(|error| Error::Rank(format!("the weights cannot be compared: {error}")))
}

/// Compares what must be equal on all ranks.
fn compare(
    communicator: &dyn Communicator,
    device: &Device,
    config: String,
    data: &DatasetRecord,
    weights: String,
) -> Result<()> {
    let program = std::env::current_exe().and_then(fs::read).unwrap_or_default();
    let values = [
        digest(&program),
        format!("{} ({})", Isa::current(), std::env::consts::ARCH),
        device.name().to_owned(),
        config,
        format!("{:?}", [&data.train, &data.validation, &data.test]),
        weights,
    ];
    let mut own = vec![host()];
    own.extend(values.map(|value| value.replace('\0', " ")));
    let all = communicator.gather(own.join("\0").as_bytes())?;
    let all: Vec<String> = all.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let refusal = communicator.share(difference(&all).unwrap_or_default().as_bytes())?;
    match refusal.is_empty() {
        true => Ok(()),
        false => Err(Error::Rank(String::from_utf8_lossy(&refusal).into_owned())),
    }
}

/// Describes the first rank that differs from rank 0, and what differs.
fn difference(all: &[String]) -> Option<String> {
    let ranks: Vec<Vec<&str>> = all.iter().map(|text| text.split('\0').collect()).collect();
    for (rank, values) in ranks.iter().enumerate().skip(1) {
        for (i, what) in FACTS.iter().enumerate() {
            let [here, there] =
                [ranks[0].get(i + 1), values.get(i + 1)].map(|value| value.copied().unwrap_or_default());
            if here != there {
                let host = values[0];
                let details = first_difference(here, there);
                return Some(format!(
                    "rank {rank} on {host} {what} than rank 0{details}; all ranks must be equal, because they would compute other numbers"
                ));
            }
        }
    }
    None
}

/// The first lines that differ, if they are short enough for a message.
fn first_difference(here: &str, there: &str) -> String {
    let differing = here.lines().zip(there.lines()).find(|(here, there)| here != there);
    match differing.filter(|(here, there)| here.len().max(there.len()) < 60) {
        Some((here, there)) => format!(": {} instead of {}", there.trim(), here.trim()),
        None => String::new(),
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// The name of this machine, if the system tells it.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "its machine".to_owned(),
        name => name.to_owned(),
    }
}

/// Returns the speed of every rank on rank 0, in the order of ranks.
pub(crate) fn speeds(trainer: &mut Trainer, timing: &Timing, seconds: f64) -> Result<Vec<RankSpeed>> {
    let Traffic { steps, bytes, overlapped } = trainer.take_traffic();
    let (sent, overlapped) = (bytes as f64 / steps.max(1) as f64, overlapped as f64 / bytes.max(1) as f64);
    let own = [trainer.take_trained() as f64, seconds, timing.communication, sent, overlapped];
    let communicator: &dyn Communicator = trainer.communicator();
    if communicator.size() == 1 {
        return Ok(Vec::new());
    }
    let all = communicator.gather(&own.map(f64::to_le_bytes).concat())?;
    let read = |bytes: &Vec<u8>| {
        let mut numbers = bytes.chunks_exact(8).map(|number| f64::from_le_bytes(number.try_into().unwrap_or_default()));
        let mut next = || numbers.next().unwrap_or_default();
        RankSpeed { images: next(), seconds: next(), communication: next(), sent: next(), overlapped: next() }
    };
    Ok(all.iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use vae_core::config::Config;
    use vae_core::distributed::threads::{ThreadRank, group};

    use super::*;
    use crate::tests::{config, trainer};

    /// A rank of two, which share two shards.
    fn joined(config: &Config, rank: ThreadRank) -> Trainer {
        let mut trainer = trainer(config);
        trainer.join(Rc::new(rank)).unwrap();
        trainer
    }

    /// What each of some ranks gets from `work`.
    fn on_ranks<R: Send>(size: usize, work: impl Fn(ThreadRank) -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = group(size).into_iter().map(|rank| scope.spawn(move || work(rank))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn ranks_that_would_compute_other_bits_are_refused_on_every_rank() {
        let check = |different: &'static str, size: usize| {
            on_ranks(size, |rank| {
                let change = if rank.rank() == 1 { different } else { "" };
                let setting = if change.contains('=') { change } else { "seed=1" };
                let config = config(&["train.shards=2", setting]);
                let trainer = joined(&config, rank);
                let hashes = ImageHashes::of(&trainer.dataset).unwrap();
                let data = DatasetRecord::new(&config, &trainer.dataset, &hashes);
                let checkpoint: &[u8] = if change == "checkpoint" { b"b" } else { b"a" };
                if change == "weights" {
                    nn::visit(trainer.model(), |_, slot| {
                        if let nn::Slot::Param(param) = slot {
                            param.set(param.value().mul_scalar(2.0));
                        }
                    });
                }
                let resumed = (different != "weights").then_some(checkpoint);
                check_equal(&trainer, &data, resumed).map_err(|error| error.to_string())
            })
        };
        assert_eq!(check("seed=1", 2), [Ok(()), Ok(())]);
        assert_eq!(check("seed=2", 1), [Ok(())]);
        for (different, words) in [
            ("seed=2", "has another configuration than rank 0: seed = 2 instead of seed = 1;"),
            ("weights", "has other weights, from --init or from a checkpoint, than rank 0"),
            ("checkpoint", "has other weights, from --init or from a checkpoint, than rank 0"),
            ("data.limit=32", "has another configuration than rank 0: limit = 32 instead of limit = 64;"),
        ] {
            let told = check(different, 2);
            let error = told[0].clone().unwrap_err();
            assert!(error.contains("rank 1 on ") && error.contains(words), "{error}");
            assert_eq!(told[0], told[1], "every rank says the same");
        }
    }

    #[test]
    fn the_first_rank_knows_how_fast_each_is() {
        let config = config(&["train.shards=2", "train.batch_size=8"]);
        let timing = |rank: usize| Timing { communication: 0.5 + rank as f64, ..Timing::default() };
        let told = on_ranks(2, |rank| {
            let number = rank.rank();
            let mut trainer = joined(&config, rank);
            pollster::block_on(trainer.epoch(1, &mut |_| true)).unwrap().unwrap();
            let (images, traffic) = (trainer.take_trained(), trainer.take_traffic());
            pollster::block_on(trainer.epoch(2, &mut |_| true)).unwrap().unwrap();
            let speeds = speeds(&mut trainer, &timing(number), 3.0 + number as f64).unwrap();
            (images, traffic, speeds)
        });
        assert!(told[1].2.is_empty(), "only the first rank knows");
        assert_eq!(told[0].2.len(), 2);
        for (rank, speed) in told[0].2.iter().enumerate() {
            let (images, Traffic { steps, bytes, overlapped }, _) = told[rank];
            assert!((steps, images) == (8, 32) && 0 < overlapped && overlapped < bytes, "{:?}", told[rank].1);
            let expected = RankSpeed {
                images: images as f64,
                seconds: 3.0 + rank as f64,
                communication: 0.5 + rank as f64,
                sent: bytes as f64 / 8.0,
                overlapped: overlapped as f64 / bytes as f64,
            };
            assert_eq!(*speed, expected);
        }
        let alone = speeds(&mut trainer(&config), &timing(0), 1.0).unwrap();
        assert!(alone.is_empty(), "one rank is not compared");
    }

    #[test]
    fn the_first_rank_that_differs_is_named_with_what_differs() {
        let of = |host: &str, change: Option<(usize, &str)>| {
            let mut values: Vec<String> = (0..FACTS.len()).map(|i| format!("[model]\nkey = {i}\nother = 1")).collect();
            change.into_iter().for_each(|(i, value)| values[i] = value.to_owned());
            values.insert(0, host.to_owned());
            values.join("\0")
        };
        assert_eq!(difference(&[of("a", None), of("b", None), of("a", None)]), None);
        for (i, what) in FACTS.iter().enumerate() {
            let all = [of("a", None), of("b", None), of("c", Some((i, "[model]\nkey = 9\nother = 1")))];
            let told = difference(&all).unwrap();
            assert!(
                told.starts_with(&format!("rank 2 on c {what} than rank 0: key = 9 instead of key = {i};")),
                "{told}"
            );
        }
        let long = "x".repeat(60);
        let told = difference(&[of("a", None), of("b", Some((0, &long)))]).unwrap();
        assert!(told.starts_with("rank 1 on b runs another build of the program than rank 0;"), "{told}");
    }

    #[test]
    fn runs_that_would_score_otherwise_are_refused_on_every_rank() {
        // The seeds of the configuration and of the weights of rank 1, and its options.
        let check = |size: usize, [configured, trained]: [&str; 2], options: &str| {
            on_ranks(size, |rank| {
                let first = rank.rank() == 0;
                let [configured, trained, options] =
                    if first { ["seed=1", "seed=1", ""] } else { [configured, trained, options] };
                let (_, dataset) = trainer(&config(&[configured])).into_parts();
                let (mut predictor, _) = trainer(&config(&[trained])).into_parts();
                predictor.config = config(&[configured]);
                predictor.ranks = Rc::new(rank);
                let run = LoadedRun::of_parts(Path::new("run"), predictor, dataset, Vec::new());
                check_equal_runs(&run, options).map_err(|error| error.to_string())
            })
        };
        assert_eq!(check(2, ["seed=1"; 2], ""), [Ok(()), Ok(())]);
        assert_eq!(check(1, ["seed=1"; 2], ""), [Ok(())]);
        for (seeds, options, words) in [
            (["seed=2"; 2], "", "has another configuration than rank 0: seed = 2 instead of seed = 1;"),
            (["seed=1"; 2], "images = 9", "has another configuration than rank 0"),
            (["seed=1", "seed=2"], "", "has other weights, from --init or from a checkpoint, than rank 0"),
        ] {
            let told = check(2, seeds, options);
            let error = told[0].clone().unwrap_err();
            assert!(error.contains("rank 1 on ") && error.contains(words), "{error}");
            assert_eq!(told[0], told[1], "every rank says the same");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_has_its_own_name() {
        let named = std::process::Command::new("uname").arg("-n").output().unwrap();
        assert_eq!(host(), String::from_utf8(named.stdout).unwrap().trim());
    }
}
