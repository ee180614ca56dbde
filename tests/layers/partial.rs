//! A part of a state dict loads into another model, and every tensor is accounted for. A file whose header is hostile is refused
//! before anything is read from it.

use autograd::{Buffer, Param};
use nn::{Module, Visitor, state};
use reference::wait::block_on;
use safetensors::tensor::{Dtype, TensorView};
use tensor::Tensor;

/// Parameters and one buffer by name.
struct Flat(Vec<(&'static str, Param)>, Buffer);

impl Module for Flat {
    fn visit(&self, v: &mut Visitor) {
        self.0.iter().for_each(|(name, param)| v.child(name, param));
        v.child("encoder.mean", &self.1);
    }
}

fn flat(parameters: &[(&'static str, f32)]) -> Flat {
    let param = |&(name, x): &(&'static str, f32)| (name, Param::new(Tensor::full([2], x)));
    Flat(parameters.iter().map(param).collect(), Buffer::new(Tensor::zeros([2])))
}

fn value(model: &Flat, name: &str) -> f32 {
    model.0.iter().find(|(known, _)| *known == name).expect("a parameter of this name").1.value().data()[0]
}

/// A file of tensors, each filled with one number.
fn file(tensors: &[(&str, &[usize], f32)]) -> Vec<u8> {
    let bytes = |shape: &[usize], x: f32| x.to_le_bytes().repeat(shape.iter().product());
    let all: Vec<_> = tensors.iter().map(|&(name, shape, x)| (name, shape.to_vec(), bytes(shape, x))).collect();
    let view = |shape: &Vec<usize>, bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).expect("they fit");
    safetensors::serialize(all.iter().map(|(name, shape, bytes)| (name, view(shape, bytes))), None).expect("names")
}

#[test]
fn a_part_is_loaded_under_other_names_and_the_rest_is_named() {
    let to = flat(&[("encoder.a", 1.0), ("encoder.b", 1.0), ("encoder.c", 1.0), ("decoder.a", 1.0)]);
    let from = file(&[
        ("net.a", &[2], 5.0),
        ("net.b", &[3], 6.0),
        ("net.mean", &[2], 7.0),
        ("net.extra", &[2], 8.0),
        ("head.a", &[2], 9.0),
        ("decoder.a", &[2], 10.0),
        ("net.num_batches_tracked", &[1], 0.0),
        ("train.net.a", &[2], 11.0),
    ]);
    let place = |name: &str| match name.strip_prefix("net.") {
        Some(rest) => Some(format!("encoder.{rest}")),
        None => (name == "decoder.a" || name.starts_with("train.")).then(|| name.to_owned()),
    };
    let report = block_on(state::load_partial(&to, &from, |path| path.starts_with("encoder."), place)).expect("a file");
    assert_eq!(report.loaded, ["encoder.a", "encoder.mean"]);
    assert_eq!(report.missing, ["encoder.c"]);
    assert_eq!(report.misfit, ["encoder.b is [3], not [2]"]);
    assert_eq!(report.skipped, ["decoder.a", "head.a", "net.extra"]);
    assert_eq!(["encoder.a", "encoder.b", "decoder.a"].map(|name| value(&to, name)), [5.0, 1.0, 1.0]);
    assert_eq!(to.1.value().data(), [7.0, 7.0]);
}

#[test]
fn of_two_tensors_for_one_place_the_other_is_named() {
    let to = flat(&[("encoder.a", 1.0)]);
    let from = file(&[("a", &[2], 2.0), ("net.a", &[2], 3.0)]);
    let place = |name: &str| Some(format!("encoder.{}", name.trim_start_matches("net.")));
    let report = block_on(state::load_partial(&to, &from, |path| path == "encoder.a", place)).expect("a file");
    assert_eq!((report.loaded.len(), report.skipped.len()), (1, 1), "{report:?}");
    let kept = if report.skipped[0] == "a" { 3.0 } else { 2.0 };
    assert_eq!(value(&to, "encoder.a"), kept);
}

#[test]
fn a_tensor_of_another_type_is_a_misfit_of_a_part() {
    let data = 1.0f64.to_le_bytes();
    let view = TensorView::new(Dtype::F64, vec![1], &data).expect("eight bytes");
    let from = safetensors::serialize([("encoder.a", view)], None).expect("one name");
    let to = flat(&[("encoder.a", 1.0)]);
    let part = |path: &str| path == "encoder.a";
    let report = block_on(state::load_partial(&to, &from, part, |name| Some(name.to_owned()))).expect("a file");
    assert_eq!((report.misfit, report.loaded.len()), (vec!["encoder.a is F64, not F32".to_owned()], 0));
}

/// Names and the text of one key are read without a model.
#[test]
fn contents_are_names_and_metadata() {
    let model = flat(&[("encoder.a", 1.0)]);
    let bytes = block_on(state::save(&model, &[("config", "seed = 1")])).expect("a CPU tensor can be read");
    let (mut names, config) = state::contents(&bytes, "config").expect("a whole file");
    names.sort_unstable();
    assert_eq!((names, config.as_deref()), (vec!["encoder.a".to_owned(), "encoder.mean".to_owned()], Some("seed = 1")));
    assert_eq!(state::contents(&bytes, "other").expect("a whole file").1, None);
    assert!(state::contents(&bytes[..40], "config").is_err());
}

/// The optimiser's tensors, which begin with `train.`, are in a checkpoint but in no model. All others must be in the model.
#[test]
fn only_the_optimiser_s_tensors_may_be_left_over() {
    let to = flat(&[("encoder.a", 1.0)]);
    let ours: [(&str, &[usize], f32); 2] = [("encoder.a", &[2], 3.0), ("encoder.mean", &[2], 4.0)];
    block_on(state::load(&to, &file(&[&ours[..], &[("train.adam.m", &[5], 0.0)]].concat())))
        .expect("all that it needs");
    assert_eq!(value(&to, "encoder.a"), 3.0);
    let error =
        block_on(state::load(&to, &file(&[&ours[..], &[("adam.m", &[5], 0.0)]].concat()))).expect_err("foreign");
    assert!(error.to_string().contains("adam.m [5] is not in the model"), "{error}");
}

#[test]
fn names_that_cannot_be_printed_and_shapes_of_many_dimensions_are_refused() {
    let to = flat(&[("encoder.a", 1.0)]);
    let refused = |bytes: &[u8]| block_on(state::load(&to, bytes)).expect_err("refused").to_string();
    let (longest, longer) = ("n".repeat(256), "n".repeat(257));
    assert!(refused(&file(&[(&longest, &[2], 0.0)])).contains(&format!("{longest} [2] is not in the model")));
    let error = refused(&file(&[(&longer, &[2], 0.0)]));
    assert!(error.contains(&format!("a tensor is called {:?}, 257 bytes in all", &longer[..40])), "{error}");
    let error = refused(&file(&[("a\nb", &[2], 0.0)]));
    assert!(error.contains(r#"a tensor is called "a\nb", 3 bytes"#), "{error}");
    let error = refused(&file(&[("encoder.a", &[1; 7], 0.0)]));
    assert!(error.contains("encoder.a has 7 dimensions"), "{error}");
    let error = refused(&file(&[("encoder.a", &[1; 6], 0.0)]));
    assert!(error.contains("encoder.a is [1, 1, 1, 1, 1, 1], not [2]"), "{error}");
}

/// Offsets and sizes of 20 digits and more could overflow the arithmetic of the reader of the format.
#[test]
fn numbers_of_twenty_digits_in_the_header_are_refused() {
    let to = flat(&[]);
    let error = |header: &str, after: &[u8]| {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), after].concat();
        block_on(state::load(&to, &bytes)).expect_err("refused").to_string()
    };
    let header = |number: &str| format!(r#"{{"a":{{"dtype":"F32","shape":[0],"data_offsets":[0,{number}]}}}}"#);
    let where_no_file = "a tensor ends where no file reaches";
    assert!(error(&header(&"9".repeat(20)), b"").contains(where_no_file));
    assert!(error(&header(&format!(" {}", "1".repeat(21))), b"").contains(where_no_file));
    assert!(!error(&header(&"9".repeat(19)), b"").contains(where_no_file));
    // Digits after the header are data.
    let fine = r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    assert!(!error(fine, format!("[{}", "9".repeat(20)).as_bytes()).contains(where_no_file));
}
