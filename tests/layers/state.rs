//! A state dict has PyTorch's names and is loaded bit for bit. One that does not fit changes nothing, and the error names every
//! tensor that is wrong.

use std::collections::HashMap;

use autograd::Param;
use nn::{BatchNorm2d, Conv2d, Linear, Module, Sequential, Slot, state};
use reference::wait::block_on;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tensor::{Generator, Tensor};

fn model(seed: u64) -> Sequential {
    let mut rng = Generator::new(seed);
    let conv = Conv2d::new(&mut rng, 2, 3, 3).padding(1).no_bias();
    Sequential::new(vec![Box::new(conv), Box::new(BatchNorm2d::new(3)), Box::new(Linear::new(&mut rng, 5, 4))])
}

/// Every tensor by name.
fn tensors(module: &dyn Module) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let mut all = HashMap::new();
    nn::visit(module, |path, slot| {
        let value = match slot {
            Slot::Param(param) => param.value(),
            Slot::Buffer(buffer) => buffer.value(),
        };
        all.insert(path.to_owned(), (value.shape().to_vec(), value.data().to_vec()));
    });
    all
}

fn bytes_of(tensors: &HashMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, data))| (name, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).expect("bytes fit the shape"))
    });
    safetensors::serialize(views, None).expect("names are unique")
}

#[test]
fn saved_tensors_are_loaded_bit_for_bit() {
    let (from, to) = (model(1), model(2));
    let mut rng = Generator::new(3);
    nn::visit(&from, |_, slot| {
        if let Slot::Buffer(buffer) = slot {
            buffer.set(rng.normal_tensor(buffer.shape())); // running statistics are saved, too
        }
    });
    assert_ne!(tensors(&from), tensors(&to));
    let bytes = block_on(state::save(&from, &[])).expect("a CPU tensor can be read");
    block_on(state::load(&to, &bytes)).expect("the same model");
    assert_eq!(tensors(&from), tensors(&to));
}

#[test]
fn the_file_has_pytorch_s_names_shapes_and_counters() {
    let metadata = [("format", "pt"), ("config", "[model]\n\"é\""), ("a", "")];
    let bytes = block_on(state::save(&model(1), &metadata)).expect("a CPU tensor can be read");
    let file = SafeTensors::deserialize(&bytes).expect("whole safetensors");
    let mut names: Vec<&str> = file.names();
    names.sort_unstable();
    let expected = [
        "0.weight",
        "1.bias",
        "1.num_batches_tracked",
        "1.running_mean",
        "1.running_var",
        "1.weight",
        "2.bias",
        "2.weight",
    ];
    assert_eq!(names, expected);
    assert_eq!(file.tensor("0.weight").expect("a tensor").shape(), [3, 2, 3, 3]);
    assert_eq!(file.tensor("1.num_batches_tracked").expect("a tensor").dtype(), Dtype::I64);
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    let entries = header.metadata().as_ref().expect("metadata");
    assert_eq!(entries.len(), 3);
    assert!(metadata.iter().all(|(key, value)| entries[*key] == *value));
    let order =
        metadata.map(|(key, _)| bytes.windows(key.len() + 3).position(|w| w == format!("\"{key}\":").as_bytes()));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "the same order in every process: {order:?}");
    assert_eq!(u64::from_le_bytes(*bytes.first_chunk().expect("a length")) % 8, 0, "the data are aligned");
    block_on(state::load(&model(2), &bytes)).expect("the same model");
}

#[test]
fn every_missing_extra_and_misshapen_tensor_is_named_and_nothing_changes() {
    let to = model(2);
    let before = tensors(&to);
    let mut wrong = tensors(&model(1));
    wrong.remove("1.bias");
    wrong.remove("2.weight");
    wrong.insert("9.weight".into(), (vec![2], vec![1.0, 2.0]));
    wrong.insert("0.weight".into(), (vec![3, 2, 9], vec![0.0; 54]));
    let error = block_on(state::load(&to, &bytes_of(&wrong))).expect_err("it does not fit").to_string();
    for part in ["1.bias", "2.weight", "9.weight", "0.weight is [3, 2, 9], not [3, 2, 3, 3]"] {
        assert!(error.contains(part), "{part} is not named: {error}");
    }
    for fine in ["1.weight", "2.bias", "running"] {
        assert!(!error.contains(fine), "{fine} is right: {error}");
    }
    assert!(!error.contains('\n'), "one line: {error}");
    assert_eq!(tensors(&to), before, "a state that does not fit changes nothing");
}

/// Names of classes come from the folders of a user, and may be anything.
#[test]
fn long_numbers_in_the_metadata_are_no_sizes() {
    for text in ["[plate,01234567890123456789", r#"a \" [ 01234567890123456789 \\"#] {
        let bytes = block_on(state::save(&model(1), &[("names", text)])).expect("a CPU tensor can be read");
        block_on(state::load(&model(2), &bytes)).expect("a whole file");
    }
}

#[test]
fn bytes_that_are_cut_short_or_foreign_are_refused() {
    let bytes = block_on(state::save(&model(1), &[])).expect("a CPU tensor can be read");
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..100], &bytes[..3], &[], b"<html>not found</html>"] {
        let to = model(2);
        let before = tensors(&to);
        let error = block_on(state::load(&to, damaged)).expect_err("damaged").to_string();
        let (_, reason) = error.split_once("not a whole safetensors file: ").expect(&error);
        assert!(reason.chars().any(char::is_alphabetic), "{error}");
        assert_eq!(tensors(&to), before);
    }
}

#[test]
fn numbers_of_another_type_are_refused_by_name() {
    struct One(Param);
    impl Module for One {
        fn visit(&self, v: &mut nn::Visitor) {
            v.child("w", &self.0);
        }
    }
    let data = 1.5f64.to_le_bytes();
    let view = TensorView::new(Dtype::F64, vec![1], &data).expect("eight bytes");
    let bytes = safetensors::serialize([("w", view)], None).expect("one name");
    let error = block_on(state::load(&One(Param::new(Tensor::ones([1]))), &bytes)).expect_err("f64").to_string();
    assert!(error.contains("w is F64, not F32"), "{error}");
}
