//! Exported parts have the names that PyTorch expects, and example outputs are those of the model in evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::checkpoint::tests::replace;
use crate::folder::{BEST, LAST};
use crate::tests::{config, train_steps};

/// The shape and the numbers of each f32 tensor in a file, by name.
fn tensors(bytes: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let f32s = file.tensors().into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let numbers = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    f32s.map(|(name, view)| (name, (view.shape().to_vec(), numbers(view.data())))).collect()
}

fn metadata(bytes: &[u8]) -> (String, Value) {
    let entry = |key: &str| nn::state::contents(bytes, key).unwrap().1.unwrap();
    (entry("format"), serde_json::from_str(&entry(KEY)).unwrap())
}

/// A run of one step, whose last checkpoint is exported.
fn exported(dir: &Path, settings: &[&str]) -> (Config, Option<DatasetRecord>, std::path::PathBuf) {
    train_steps(&config(settings), dir, 1);
    let file = dir.join(LAST);
    let (config, data) = contents(&file).unwrap();
    assert!(data.is_some());
    (config, data, file)
}

#[test]
fn a_part_has_its_own_tensors_under_its_own_names() {
    for (settings, prefixes, codebook) in [
        (&["model.kind=resnet18", "model.width=2"][..], true, false),
        (&["model.kind=vq", "model.widths=4,6", "model.codes=8", "model.code_width=2"], true, true),
        (&["model.kind=classifier", "model.width=2"], false, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (config, data, file) = exported(dir.path(), settings);
        let whole = learn::build(&config);
        checkpoint::load(&*whole, &file).unwrap();
        let mut all = BTreeMap::new();
        nn::visit(&*whole, |name, slot| {
            let value = match slot {
                Slot::Param(param) => param.value(),
                Slot::Buffer(buffer) => buffer.value(),
            };
            all.insert(name.to_owned(), (value.shape().to_vec(), value.data().to_vec()));
        });
        let of = |wanted: Part| part(&config, data.as_ref(), &file, wanted);
        let model = of(Part::Model).unwrap();
        assert_eq!(tensors(&model), all);
        assert_eq!(all.keys().any(|name| name.starts_with("codebook")), codebook);
        let encoder = of(Part::Encoder).unwrap();
        let without = |prefix: &str| -> BTreeMap<_, _> {
            all.iter().filter_map(|(name, x)| Some((name.strip_prefix(prefix)?.to_owned(), x.clone()))).collect()
        };
        if prefixes {
            assert_eq!(tensors(&encoder), without("encoder."));
            let decoder = of(Part::Decoder).unwrap();
            assert_eq!(tensors(&decoder), without("decoder."));
            assert_eq!(metadata(&decoder).1["part"], "decoder");
        } else {
            let mut trunk = all.clone();
            trunk.retain(|name, _| !name.starts_with("fc."));
            assert!(tensors(&encoder) == trunk && trunk.len() + 2 == all.len());
            let refused = of(Part::Decoder).unwrap_err().to_string();
            assert!(refused.starts_with("--part decoder: model.kind = \"classifier\" has no decoder"), "{refused}");
        }
        let (format, words) = metadata(&encoder);
        assert_eq!((format.as_str(), &words["part"]), ("pt", &Value::from("encoder")));
        assert_eq!(metadata(&model).1["part"], "model");
        assert_eq!(words["config"]["model"]["kind"], config.model.kind.to_string());
        assert_eq!(words["data"], json!(data));
    }
}

/// Keys whose values follow from other keys are written, since the reader has no defaults.
#[test]
fn the_configuration_is_complete() {
    let mut plain = Config::default();
    assert_eq!((complete(&plain).data.classes, complete(&plain).model.widths), (Some(10), vec![]));
    plain.model.kind = ModelKind::Basic;
    assert_eq!(complete(&plain).model.widths, [32, 64]);
    plain.model.kind = ModelKind::Conv3;
    assert_eq!(complete(&plain).model.widths, [64, 128, 256]);
    plain.model.widths = vec![3, 5];
    assert_eq!(complete(&plain).model.widths, [3, 5]);
    plain.data.kind = vae_core::config::DataKind::Folder;
    assert_eq!(complete(&plain).data.classes, None, "only the files determine it");
}

fn names(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> BTreeSet<&str> {
    tensors.keys().map(String::as_str).collect()
}

fn close(a: &[f32], b: &[f32]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5), "{a:?}, {b:?}");
}

#[test]
fn examples_of_a_vae_are_its_outputs() {
    let normalised = ["data.normalise=symmetric", "model.output=tanh"];
    for conditional in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let condition = format!("model.conditional={conditional}");
        let (config, data, file) = exported(dir.path(), &[&normalised[..], &[&condition]].concat());
        let bytes = example_outputs(&config, data.as_ref(), &file).unwrap();
        assert_eq!(metadata(&bytes).1["part"], "check");
        assert_eq!(metadata(&bytes).1["config"]["data"]["classes"], 10);
        let all = tensors(&bytes);
        let mut expected = BTreeSet::from(["images", "x", "z", "mu", "logvar", "xhat", "pixels"]);
        expected.extend(conditional.then_some("labels"));
        assert_eq!(names(&all), expected);

        // Random bytes below 64, 128, 192 and 256.
        let (shape, images) = &all["images"];
        assert_eq!(shape[..], [4, 1, 16, 16]);
        for (i, image) in images.chunks_exact(256).enumerate() {
            let bytes: Vec<f32> = image.iter().map(|x| 255.0 * x).collect();
            assert!(bytes.iter().all(|x| (x - x.round()).abs() < 1e-3 && x.round() < 64.0 * (i + 1) as f32));
            let largest = bytes.iter().copied().fold(0.0, f32::max);
            assert!(largest > 60.0 * (i + 1) as f32 - 4.0, "image {i} has only {largest}");
        }
        close(&all["x"].1, &images.iter().map(|x| (x - 0.5) / 0.5).collect::<Vec<_>>());

        let model = learn::build(&config);
        checkpoint::load(&*model, &file).unwrap();
        let var = |name: &str| Var::constant(Tensor::new(&all[name].1, all[name].0.as_slice()));
        let labels: Vec<usize> = match all.get("labels") {
            Some((_, labels)) => labels.iter().map(|&label| label as usize).collect(),
            None => vec![0; 4],
        };
        assert!(labels.len() == 4 && labels.iter().all(|&label| label < 10));
        assert_eq!(conditional, labels.iter().any(|&label| label != labels[0]), "{labels:?}");
        let batch =
            Batch::of_step(var("x").value().clone(), labels.clone(), ScheduleContext { epochs: 0.0, images: 4 }, 0, 0);
        let [mu, logvar] = model.encode(&batch).unwrap();
        close(&all["mu"].1, mu.value().data());
        close(&all["logvar"].1, logvar.value().data());
        let z = &all["z"];
        assert!(z.0 == [4, 2] && z.1.iter().all(|z| z.abs() < 6.0) && z.1[..2] != z.1[2..4]);
        let xhat = model.sample(&var("z"), &labels).unwrap();
        close(&all["xhat"].1, xhat.value().data());
        close(&all["pixels"].1, &all["xhat"].1.iter().map(|x| 0.5 + 0.5 * x.tanh()).collect::<Vec<_>>());

        let without = tensors(&example_outputs(&config, None, &file).unwrap());
        expected.remove("images");
        expected.remove("pixels");
        assert_eq!(names(&without), expected);
        close(&without["x"].1, images); // pixels as they are
    }
}

#[test]
fn examples_of_other_models_are_their_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data, file) = exported(dir.path(), &["model.kind=classifier", "model.width=2"]);
    let all = tensors(&example_outputs(&config, data.as_ref(), &file).unwrap());
    assert_eq!(names(&all), BTreeSet::from(["images", "x", "logits"]));
    let model = Classifier::new(&mut Generator::new(1), &config);
    checkpoint::load(&model, &file).unwrap();
    let x = |all: &BTreeMap<String, (Vec<usize>, Vec<f32>)>, name: &str| {
        Var::constant(Tensor::new(&all[name].1, all[name].0.as_slice()))
    };
    close(&all["logits"].1, model.logits(&x(&all, "x"), &ForwardContext::eval()).value().data());

    let dir = tempfile::tempdir().unwrap();
    let vq = ["model.kind=vq", "model.widths=4,6", "model.codes=8", "model.code_width=2"];
    let (config, data, file) = exported(dir.path(), &vq);
    let all = tensors(&example_outputs(&config, data.as_ref(), &file).unwrap());
    assert_eq!(names(&all), BTreeSet::from(["images", "x", "maps", "quantised", "xhat", "pixels"]));
    let model = Vq::new(&mut Generator::new(1), &config);
    checkpoint::load(&model, &file).unwrap();
    let ctx = ForwardContext::eval();
    close(&all["maps"].1, model.encode(&x(&all, "x"), &ctx).value().data());
    close(&all["quantised"].1, model.quantise(&x(&all, "maps"), &ctx).codes.value().data());
    close(&all["xhat"].1, model.decode(&x(&all, "quantised"), &ctx).value().data());
}

#[test]
fn images_that_are_too_large_for_an_example_are_refused() {
    let config = config(&["data.image_size=16000"]);
    let refused = example_outputs(&config, None, Path::new("none")).unwrap_err().to_string();
    assert!(refused.starts_with("--check: four images of data.image_size = 16000 need about 5 GB"), "{refused}");
}

/// A configuration may describe a model of up to three times the size of the file and 10 MB.
#[test]
fn a_configuration_that_does_not_fit_its_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    train_steps(&config(&["model.layers=2", "model.hidden=1000", "train.epochs=1"]), dir.path(), usize::MAX);
    let good = fs::read(dir.path().join(BEST)).unwrap();
    let path = dir.path().join("changed");
    let with = |width: &str| {
        let mut bytes = good.clone();
        replace(&mut bytes, b"hidden = 1000", format!("hidden = {width}").as_bytes());
        fs::write(&path, bytes).unwrap();
        contents(&path).map(|(config, _)| config.model.hidden).map_err(|error| error.to_string())
    };
    assert!((10_000_000..12_000_000).contains(&good.len()), "{}", good.len());
    assert_eq!([with("1000"), with("1500")], [Ok(1000), Ok(1500)]);
    let (held, claimed) = (good.len().div_ceil(1_000_000), 137.0);
    let refused = with("4000").unwrap_err();
    let start = "changed: describes a model of ";
    let (_, words) = refused.split_once(start).unwrap();
    let found: f64 = words.split(' ').next().unwrap().parse().unwrap();
    assert!((found - claimed).abs() <= 2.0 && words.contains(&format!("MB but contains {held} MB")), "{refused}");

    fs::write(&path, block_on(nn::state::save(&*learn::build(&config(&[])), &[])).unwrap()).unwrap();
    assert!(contents(&path).unwrap_err().to_string().contains("has no metadata about its run"));
    let mut bytes = good.clone();
    replace(&mut bytes, b"hidden = 1000", b"hidden = none");
    fs::write(&path, bytes).unwrap();
    assert!(contents(&path).unwrap_err().to_string().contains("the configuration in its metadata cannot be read"));
}

#[test]
fn a_model_of_three_times_its_file_is_plausible() {
    let claimed = [3e7 + 100.0, (3e7_f64 + 100.0).next_up()];
    assert_eq!(claimed.map(|claimed| is_too_large(claimed, 1e7, 100.0)), [false, true]);
}
