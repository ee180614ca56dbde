//! Descriptions of every kind of file, and of damaged ones.

use std::fs;

use safetensors::tensor::{Dtype, TensorView};
use vae_core::learn;

use super::*;
use crate::folder::LAST;
use crate::tests::{config, train_steps};

/// A file with tensors of two numbers.
fn file(path: &Path, names: &[&str], metadata: &[(&str, &str)]) {
    let view = |_| TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap();
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let bytes = safetensors::serialize(names.iter().map(|name| (name, view(name))), Some(metadata)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn tensors_are_in_numeric_order_with_counters_last() {
    let counter = |layer: &str| format!("{layer}.{COUNTER}");
    let names = ["b.weight", &counter("layers.1"), "layers.10.weight", "layers.2.weight", &counter("a")];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    file(&path, &names, &[]);
    let mut info = read(&path).unwrap();
    let sorted: Vec<&str> = info.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(sorted, ["b.weight", "layers.2.weight", "layers.10.weight", &counter("a"), &counter("layers.1")]);
    info.kind = Kind::Checkpoint;
    let told = info.to_string();
    let groups = told.split("5 tensors, 10 numbers; --tensors lists them").nth(1).unwrap();
    let groups: Vec<Vec<&str>> = groups.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let group = |name, tensors, numbers| vec![name, tensors, "tensors", numbers, "numbers"];
    assert_eq!(groups, [group("b", "1", "2"), group("layers", "2", "4"), group(COUNTER, "2", "4")]);
    assert!(format!("{info:#}").contains("\n  layers.10.weight "));
}

/// The lines of a text that begin with this word.
fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(word)).collect()
}

#[test]
fn a_run_and_its_checkpoints_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&["train.ema=0.5", "train.learning_rate=0.001"]);
    let last = dir.path().join(LAST);
    train_steps(&config, dir.path(), 1);
    let first = read(&last).unwrap();
    assert_eq!(lines(&first.to_string(), "weights"), ["weights   in epoch 1, after 1 of its steps"]);
    assert!(lines(&first.to_string(), "best").is_empty());
    train_steps(&config, dir.path(), usize::MAX);

    let checkpoint = read(&last).unwrap();
    let bytes = fs::metadata(&last).unwrap().len();
    assert_eq!((checkpoint.kind, checkpoint.bytes, checkpoint.epochs), (Kind::Checkpoint, bytes, None));
    assert_eq!((checkpoint.checksum_ok, &checkpoint.problem), (Some(true), &None));
    let Some(Standing { epochs: 2, steps: 0, best: Some(best) }) = &checkpoint.standing else {
        panic!("{:?}", checkpoint.standing)
    };
    let text = checkpoint.to_string();
    let start = format!("{}  {:.1} kB, a checkpoint\n", last.display(), bytes as f64 / 1000.0);
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(lines(&text, "checksum"), ["checksum  ok"]);
    assert_eq!(lines(&text, "weights"), ["weights   after epoch 2"]);
    assert_eq!(
        lines(&text, "best"),
        [format!("best      epoch {}, validation loss {}", best.epoch, best.loss)],
        "of {:?}",
        history(dir.path()).unwrap().iter().map(|epoch| epoch.validation.losses.total).collect::<Vec<_>>()
    );
    assert!(lines(&text, "epochs").is_empty() && lines(&text, "its run").is_empty());

    // Each part of the model, the moments of its parameters, and their averages.
    let parameters = nn::parameters(&*learn::build(&config));
    let group = |name: &str, part: &str| {
        let part: Vec<_> = parameters.iter().filter(|(name, _)| name.starts_with(part)).collect();
        let numbers: usize = part.iter().map(|(_, param)| param.shape().count()).sum();
        [name.to_owned(), part.len().to_string(), "tensors".into(), numbers.to_string(), "numbers".into()]
    };
    let expected = [
        group("decoder", "decoder"),
        group("encoder", "encoder"),
        group("train.adam.m", ""),
        group("train.adam.v", ""),
        group("train.ema", ""),
    ];
    let groups = text.lines().skip_while(|line| !line.contains("--tensors")).skip(1);
    let groups: Vec<Vec<&str>> = groups.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(groups, expected);
    assert_eq!(format!("{checkpoint:#}").matches("\n  train.adam.v.").count(), parameters.len());

    let run = read(dir.path()).unwrap();
    assert_eq!((run.kind, run.epochs, run.checksum_ok), (Kind::Run, Some(2), Some(true)));
    assert!(run.path.contains("checkpoints"), "{}", run.path);
    let text = run.to_string();
    assert!(text.lines().next().unwrap().ends_with("kB, a run's checkpoint"), "{text}");
    assert_eq!(lines(&text, "epochs"), ["epochs    2"]);
    assert_eq!(lines(&text, "weights"), [format!("weights   after epoch {}", best.epoch)]);

    // A checkpoint does not store the keys that a run's own configuration has.
    let named = |info: &Info, line: &str| info.to_string().lines().any(|l| l.trim_start().starts_with(line));
    for key in ["device", "dir", "cache", "init", "init_encoder", "checkpoint_minutes"] {
        let line = format!("{key} = ");
        assert!(named(&run, &line) && !named(&checkpoint, &line), "{key}");
    }
    for line in ["[model]", "z_dim = 2", "ema = 0.5"] {
        assert!(named(&run, line) && named(&checkpoint, line), "{line}");
    }
    let json = |info: &Info, pointer: &str| info.config.as_ref().unwrap().pointer(pointer).cloned();
    assert_eq!(json(&run, "/device"), Some(Value::from("auto")));
    assert_eq!((json(&checkpoint, "/device"), json(&checkpoint, "/data/dir")), (None, None));
    assert_eq!(json(&checkpoint, "/model/z_dim"), Some(Value::from(2)));
    let told = serde_json::to_value(&checkpoint).unwrap();
    assert!(told.get("problem").is_none() && told.get("epochs").is_none() && told.get("metadata").is_none());

    fs::write(dir.path().join("config.toml"), "nonsense = 1").unwrap();
    let damaged = read(dir.path()).unwrap().to_string();
    assert!(lines(&damaged, "its run").concat().contains("nonsense"), "{damaged}");
}

#[test]
fn a_damaged_checkpoint_is_described_as_far_as_possible() {
    let dir = tempfile::tempdir().unwrap();
    train_steps(&config(&[]), dir.path(), 1);
    let path = dir.path().join(LAST);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&path, &bad).unwrap();
    let info = read(&path).unwrap();
    assert_eq!((info.checksum_ok, info.standing.is_some(), info.config.is_some()), (Some(false), true, true));
    assert_eq!(lines(&info.to_string(), "checksum"), ["checksum  wrong: the file is damaged"]);
    let format = br#"\"format\":2"#;
    let at = good.windows(format.len()).position(|window| window == format).unwrap();
    let mut other = good;
    other[at + format.len() - 1] = b'9';
    fs::write(&path, &other).unwrap();
    let info = read(&path).unwrap();
    assert!(info.standing.is_none() && info.config.is_none());
    assert!(lines(&info.to_string(), "its run").concat().starts_with("its run   has format 9"), "{info}");
}

/// The other lines of a description: metadata, of which long ones are cut off, and a table of the tensors.
#[test]
fn files_of_other_programs_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let (short, long) = ("é".repeat(100), "é".repeat(101));
    file(&path, &["longer", "b"], &[("long", &long), ("short", &short)]);
    let info = read(&path).unwrap();
    assert_eq!((info.kind, info.checksum_ok, info.numbers), (Kind::Safetensors, None, 4));
    assert_eq!(info.metadata["long"], long);
    let bytes = fs::metadata(&path).unwrap().len() as f64 / 1e3;
    let expected = format!(
        "{}  {bytes:.1} kB, safetensors\nmetadata  long: {short} …\nmetadata  short: {short}\n2 tensors, 4 numbers\n  b       \
         F32  [2]\n  longer  F32  [2]",
        path.display()
    );
    assert_eq!(info.to_string(), expected);
    file(&path, &["b", &"n".repeat(70)], &[]);
    let text = read(&path).unwrap().to_string();
    assert!(text.contains(&format!("\n  b{}F32", " ".repeat(61))), "at most 60 characters wide: {text}");

    let arrays = dir.path().join("arrays.npz");
    let (first, second) = (npy::encode_f32(&[2, 3], &[0.0; 6]), npy::encode_i64(&[4], &[1; 4]));
    fs::write(&arrays, npy::encode_npz(&[("z", first.clone()), ("a", second)])).unwrap();
    let info = read(&arrays).unwrap();
    assert_eq!((info.kind, info.numbers, info.tensors.len()), (Kind::Numpy, 10, 2));
    let text = info.to_string();
    assert!(text.contains("kB, NumPy's arrays\n2 tensors, 10 numbers\n  z  <f4  [2, 3]\n  a  <i8  [4]"), "{text}");
    fs::write(&arrays, first).unwrap();
    let info = read(&arrays).unwrap();
    assert_eq!((info.tensors[0].name.as_str(), info.tensors[0].count), ("", 6));
}

#[test]
fn what_cannot_be_described_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let says = |path: &Path| read(path).unwrap_err().to_string();
    assert!(says(&dir.path().join("none")).contains("cannot be read"));
    assert!(says(dir.path()).contains("contains neither checkpoints/best.safetensors nor last"));
    let text = dir.path().join("text");
    fs::write(&text, "hello").unwrap();
    assert!(says(&text).contains("is not a file that this program knows (not a whole safetensors file"));
    #[cfg(unix)]
    assert!(says(Path::new("/dev/null")).contains("it is neither a file nor a run's folder"));
}
