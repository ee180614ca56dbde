//! What a run needs in order to be resumed, and what keeps it from being resumed.

use vae_core::data::Split;

use super::*;
use crate::Event;
use crate::tests::{config, train, train_steps, trainer};

const LOGGED: &[&str] = &["train.log_steps=2", "train.learning_rate=0.001"];

/// A run of three of its four steps.
fn interrupted(dir: &Path) -> Config {
    let config = config(LOGGED);
    train_steps(&config, dir, 3);
    config
}

fn refused(dir: &Path) -> String {
    ResumedRun::read(dir).err().expect("it cannot be resumed").to_string()
}

#[test]
fn an_interrupted_run_is_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path()).contains("contains no checkpoint (checkpoints/last.safetensors)"));
    let config = interrupted(dir.path());
    let run = ResumedRun::read(dir.path()).unwrap();
    assert_eq!((run.steps_done(), run.history().len(), run.history()[0].epoch), (3, 1, 1));
    assert_eq!(run.early(&config).best().map(|(epoch, _)| epoch), Some(1));
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    // One epoch of two, and of the lines for steps 2 and 4 the first.
    assert_eq!([read(METRICS), read(STEPS)].map(|text| text.len() as u64), [run.metrics, run.steps]);
    assert_eq!(read(STEPS).lines().count(), 1);
    run.check(&config).unwrap();
    let (mut resumed, mut other) = (trainer(&config), config.clone());
    run.restore(&mut resumed).unwrap();
    assert_eq!((resumed.steps(), resumed.state().epoch, resumed.state().step), (3, 2, 1));
    other.seed += 1;
    assert!(run.check(&other).unwrap_err().to_string().contains("seed = "));

    // Lines after the checkpoint, which a killed run leaves, do not count.
    let (metrics, steps) = (run.metrics, run.steps);
    for name in [METRICS, STEPS] {
        fs::write(dir.path().join(name), read(name) + "{\"epoch\":2}\n{").unwrap();
    }
    let run = ResumedRun::read(dir.path()).unwrap();
    assert_eq!((run.metrics, run.steps, run.history().len()), (metrics, steps, 1));
}

/// Epochs of other images have another number of steps. The steps of the whole run are counted.
#[test]
fn the_log_of_steps_goes_on_with_other_images() {
    let dir = tempfile::tempdir().unwrap();
    let of = |images: &str| config(&["train.log_steps=5", images]);
    // An epoch of four steps, and one of one step.
    train(&of("data.limit=128"), dir.path(), &mut |event| !matches!(event, Event::Epoch(..)));
    train(&of("data.limit=32"), dir.path(), &mut |_| true);
    ResumedRun::read(dir.path()).unwrap();
    let steps = fs::read_to_string(dir.path().join(STEPS)).unwrap();
    assert!(steps.lines().count() == 1 && steps.starts_with(r#"{"epoch":2,"step":5,"#), "{steps}");
}

#[test]
fn a_run_that_another_process_has_trained_further_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = interrupted(dir.path());
    let run = ResumedRun::read(dir.path()).unwrap();
    drop(run.open_folder().unwrap());
    train_steps(&config, dir.path(), usize::MAX);
    let why = run.open_folder().unwrap_err().to_string();
    assert!(why.contains("another process has trained this run further in the meantime; give the command"), "{why}");
}

#[test]
fn a_run_is_finished_after_its_epochs_or_by_early_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = interrupted(dir.path());
    assert!(!ResumedRun::read(dir.path()).unwrap().is_finished(&config));
    train_steps(&config, dir.path(), usize::MAX);
    let run = ResumedRun::read(dir.path()).unwrap();
    assert!(run.is_finished(&config));
    config.train.epochs = 3;
    assert!(!run.is_finished(&config));

    let patient = ["train.epochs=9", "train.learning_rate=1e-30", "train.early_stopping=2"];
    let (dir, config) = (tempfile::tempdir().unwrap(), crate::tests::config(&patient));
    // No epoch after the first is better, so the run is over after the third.
    for _ in 0..2 {
        train(&config, dir.path(), &mut |event| !matches!(event, Event::Epoch(..)));
        assert!(!ResumedRun::read(dir.path()).unwrap().is_finished(&config));
    }
    train_steps(&config, dir.path(), usize::MAX);
    let run = ResumedRun::read(dir.path()).unwrap();
    assert_eq!((run.history().len(), run.is_finished(&config)), (3, true));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    interrupted(dir.path());
    let [metrics, steps, best] = [METRICS, STEPS, BEST].map(|name| dir.path().join(name));
    let spoiled = |path: &Path, bytes: &[u8]| {
        let good = fs::read(path).unwrap();
        fs::write(path, bytes).unwrap();
        let said = refused(dir.path());
        fs::write(path, good).unwrap();
        said
    };
    assert!(spoiled(&metrics, b"").contains("metrics.jsonl: has 0 lines, but the last checkpoint counts 1"));
    assert!(spoiled(&metrics, b"{}\n").contains("has lines that are not epochs of this run"));
    let line = fs::read_to_string(&metrics).unwrap();
    assert!(spoiled(&metrics, line.trim_end().as_bytes()).contains("has 0 lines"), "the line is incomplete");
    let second = line.replace("{\"epoch\":1,", "{\"epoch\":2,");
    assert!(spoiled(&metrics, second.as_bytes()).contains("has lines that are not epochs of this run"));
    assert!(spoiled(&steps, b"").contains("steps.jsonl: has 0 lines, but the last checkpoint counts 1"));
    let last = fs::read(dir.path().join(LAST)).unwrap();
    assert!(spoiled(&best, b"nothing").contains("best.safetensors: is not that of epoch 1"));
    let weights = pollster::block_on(nn::state::save(trainer(&config(&[])).model(), &[])).unwrap();
    assert!(spoiled(&dir.path().join(LAST), &weights).contains("is not a checkpoint of a run"));
    fs::remove_file(&best).unwrap();
    assert!(refused(dir.path()).contains("best.safetensors: cannot be read"));
    // A best checkpoint of a later epoch may be newer than the last checkpoint.
    fs::write(&best, last).unwrap();
    ResumedRun::read(dir.path()).unwrap();
}

#[test]
fn the_history_has_whole_lines_only() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(history(dir.path()).unwrap(), []);
    train_steps(&config(&[]), dir.path(), usize::MAX);
    let whole = history(dir.path()).unwrap();
    assert_eq!(whole.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 2]);
    let path = dir.path().join(METRICS);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"epoch\":3")).unwrap();
    assert_eq!(history(dir.path()).unwrap(), whole);
    fs::write(&path, format!("{text}nothing\n")).unwrap();
    assert!(history(dir.path()).unwrap_err().to_string().contains("has lines that are not epochs of a run"));
}

/// The images decide whether a run is resumed, and a run keeps the mean and deviation that it began with.
#[test]
fn other_images_are_refused_unless_they_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&["data.normalise=standard"]);
    train_steps(&config, dir.path(), 3);
    let begun = trainer(&config).dataset;
    let mut same = begun.clone();
    same.transform = vae_core::data::Transform::from_moments(16, vec![0.5], vec![0.5]).unwrap();
    let mut run = ResumedRun::read(dir.path()).unwrap();
    assert_eq!(run.check_images(&mut same, false).unwrap(), None);
    assert_eq!((&same.transform.mean, &same.transform.std), (&begun.transform.mean, &begun.transform.std));
    assert_eq!(run.hashes, Some(ImageHashes::of(&begun).unwrap()));

    let mut fewer = begun.clone();
    fewer.train = Split::new(begun.train.images().clone(), begun.train.indices()[1..].to_vec());
    let mut run = ResumedRun::read(dir.path()).unwrap();
    let error = run.check_images(&mut fewer, false).unwrap_err().to_string();
    let changes = "train: 64 images, now 63 (0 new, 1 missing)";
    let start = format!("{}: the images are not those", dir.path().display());
    assert!(error.starts_with(&start) && error.contains(changes) && error.contains("--allow-changed-data"), "{error}");
    let warning = run.check_images(&mut fewer, true).unwrap().unwrap();
    assert_eq!(warning, format!("the run continues with other images: {changes}"));
    // Whatever the run was trained on counts as a training image from now on.
    let size = |hashes: &ImageHashes| hashes.to_bytes().len();
    assert_eq!(size(run.hashes.as_ref().unwrap()), size(&ImageHashes::of(&begun).unwrap()));
}
