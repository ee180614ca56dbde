//! Visiting a module names all its tensors, for counting, freezing, and the table of a dry run.

use autograd::{Buffer, Param, Var};
use nn::optim::Ema;
use nn::{BatchNorm2d, Conv2d, ForwardContext, Layer, Module, Sequential, Slot, Trace, Visitor};
use reference::place::devices;
use tensor::{Generator, Tensor};

struct Block {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    shortcut: Sequential,
}

impl Block {
    fn new() -> Block {
        let mut rng = Generator::new(1);
        let inner = Conv2d::new(&mut rng, 4, 2, 1);
        Block {
            conv1: Conv2d::new(&mut rng, 3, 4, 3).padding(1).no_bias(),
            bn1: BatchNorm2d::new(4),
            shortcut: Sequential::new(vec![Box::new(inner), Box::new(BatchNorm2d::new(2))]),
        }
    }
}

nn::module!(Block { conv1, bn1, shortcut });

fn names(module: &dyn Module) -> Vec<String> {
    let mut names = Vec::new();
    nn::visit(module, |path, slot| {
        names.push(format!("{path}{}", if matches!(slot, Slot::Buffer(_)) { " (buffer)" } else { "" }));
    });
    names
}

#[test]
fn every_tensor_has_a_dotted_name_in_order_of_declaration() {
    let expected = [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean (buffer)",
        "bn1.running_var (buffer)",
        "shortcut.0.weight",
        "shortcut.0.bias",
        "shortcut.1.weight",
        "shortcut.1.bias",
        "shortcut.1.running_mean (buffer)",
        "shortcut.1.running_var (buffer)",
    ];
    assert_eq!(names(&Block::new()), expected);
}

/// A module may be missing, repeated, boxed, or without a level of its own. A parameter is a module, too.
#[test]
fn names_follow_the_fields() {
    struct Outer {
        inner: Inner,
        missing: Option<Conv2d>,
        here: Option<Box<dyn Layer>>,
        several: Vec<BatchNorm2d>,
        scale: Param,
    }
    nn::module!(Outer { scale, ..inner, missing, here, several });
    struct Inner {
        mean: Buffer,
    }
    nn::module!(Inner { mean });
    let outer = Outer {
        inner: Inner { mean: Buffer::new(Tensor::zeros([2])) },
        missing: None,
        here: Some(Box::new(Conv2d::new(&mut Generator::new(1), 1, 1, 1).no_bias())),
        several: vec![BatchNorm2d::new(1), BatchNorm2d::new(1)],
        scale: Param::new(Tensor::ones([1])),
    };
    let names = names(&outer);
    assert_eq!(names[..4], ["scale", "mean (buffer)", "here.weight", "several.0.weight"]);
    assert_eq!(names.last().unwrap(), "several.1.running_var (buffer)");
    assert_eq!(names.len(), 3 + 2 * 4);
}

#[test]
fn running_statistics_are_not_counted() {
    assert_eq!(nn::count(&Block::new()), 3 * 4 * 9 + 8 + (4 * 2 + 2) + 4);
}

/// One parameter under two names.
struct Tied(Param, Param);

impl Module for Tied {
    fn visit(&self, v: &mut Visitor) {
        v.child("encoder", &self.0);
        v.child("decoder", &self.1);
    }
}

#[test]
fn a_parameter_with_two_names_counts_and_moves_once() {
    let param = Param::new(Tensor::ones([3]));
    let tied = Tied(param.clone(), param.clone());
    assert_eq!(nn::count(&tied), 3);
    for device in devices() {
        param.set(Tensor::ones([3]));
        nn::upload(&tied, &device);
        assert_eq!(param.value().device(), device);
    }
}

#[test]
fn averages_of_a_parameter_with_two_names_leave_its_weights_as_they_were() {
    let param = Param::new(Tensor::ones([1]));
    let tied = Tied(param.clone(), param.clone());
    let ema = Ema::new(0.9, &tied);
    param.set(Tensor::full([1], 5.0));
    for _ in 0..2 {
        let averaged = ema.swap_in();
        assert_eq!(param.value().data(), [1.0]);
        drop(averaged);
        assert_eq!(param.value().data(), [5.0]);
    }
}

#[test]
fn constants_are_free_again_also_after_a_panic() {
    let param = Param::new(Tensor::ones([1]));
    let compute = || nn::with_constants([&param], || assert!(!param.is_frozen(), "frozen inside"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(compute)).expect_err("it is frozen inside");
    assert!(!param.is_frozen());
}

#[test]
fn freezing_applies_to_parameters_and_statistics_and_can_be_undone() {
    let block = Block::new();
    for frozen in [true, false] {
        nn::freeze(&block, frozen);
        nn::visit(&block, |path, slot| {
            let is = match slot {
                Slot::Param(param) => param.is_frozen(),
                Slot::Buffer(buffer) => buffer.is_frozen(),
            };
            assert_eq!(is, frozen, "{path}");
        });
    }
}

#[test]
fn freezing_a_part_leaves_the_rest() {
    let block = Block::new();
    nn::freeze(&block.conv1, true);
    let x = Var::constant(Generator::new(2).normal_tensor([2, 3, 5, 5]));
    let ctx = ForwardContext::train(1, 1);
    let y = block.shortcut.forward(&block.bn1.forward(&block.conv1.forward(&x, &ctx), &ctx), &ctx);
    let mut gradients = y.square().sum_all().backward();
    for (name, param) in nn::parameters(&block) {
        assert_eq!(gradients.take(&param).is_some(), name != "conv1.weight", "{name}");
    }
}

#[test]
fn a_trace_records_the_output_of_each_layer() {
    let (block, trace) = (Block::new(), Trace::default());
    let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
    let x = Var::constant(Tensor::zeros([2, 3, 5, 6]));
    block.bn1.forward(&block.conv1.forward(&x, &ctx), &ctx);
    let shape = |name| trace.shape_of(&crate::param(&block, name)).map(|shape| shape.to_vec());
    assert_eq!(shape("conv1.weight"), Some(vec![2, 4, 5, 6]));
    assert_eq!(shape("bn1.weight"), Some(vec![2, 4, 5, 6]));
    assert_eq!(shape("shortcut.0.weight"), None);
    let ids = ["conv1.weight", "bn1.weight"].map(|name| crate::param(&block, name).id());
    let results: Vec<_> = trace.results().into_iter().map(|(id, result)| (id, result.shape().to_vec())).collect();
    assert_eq!(results, ids.map(|id| (id, vec![2, 4, 5, 6])));
}

#[test]
fn a_trace_keeps_the_last_maps_of_each_stage_in_the_first_order() {
    let trace = Trace::default();
    let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
    for (i, name) in ["a", "b", "a"].into_iter().enumerate() {
        ctx.record_stage(name, &Var::constant(Tensor::full([1, 1, 1, 1], i as f32)));
        ForwardContext::eval().record_stage(name, &Var::constant(Tensor::full([1, 1, 1, 1], 9.0)));
    }
    let told: Vec<_> = trace.stages().into_iter().map(|(name, maps)| (name, maps.value().data()[0])).collect();
    assert_eq!(told, [("a".to_owned(), 2.0), ("b".to_owned(), 1.0)]);
}
