//! Layers with options compute what PyTorch's do: values, gradients and running statistics in `layers.safetensors`, which
//! `tests/oracle/layers.py` wrote.

use autograd::Var;
use nn::{
    BatchNorm2d, Checkpointed, Conv2d, ConvTranspose2d, Embedding, ForwardContext, GroupNorm, InstanceNorm2d, Layer,
    LayerNorm, Linear, Module, MultiheadAttention, Slot,
};
use reference::place::everywhere;
use reference::{Array, compare};
use tensor::{Generator, Tensor};

use crate::{fixture, param};

/// Compares a layer in training with PyTorch's of this name, on every device. Its parameters must have PyTorch's names.
#[track_caller]
fn check(case: &str, layer: &dyn Module, run: impl Fn(&[Var], &ForwardContext) -> Var) {
    let all = fixture("layers");
    let of = |name: &str| all.get(&format!("{case}/{name}"));
    let named = nn::parameters(layer);
    let known = all.keys().filter(|key| key.starts_with(&format!("{case}/d.")) && !key.contains("/d.x")).count();
    assert_eq!(named.len(), known, "{case}: parameters");
    everywhere(|device| {
        for (name, param) in &named {
            param.set(of(name).unwrap_or_else(|| panic!("{case}: PyTorch has no {name}")).upload(device));
        }
        nn::visit(layer, |name, slot| {
            if let Slot::Buffer(buffer) = slot {
                let start =
                    if name == "running_var" { Tensor::ones(buffer.shape()) } else { Tensor::zeros(buffer.shape()) };
                buffer.set(start.upload(device));
            }
        });
        let inputs: Vec<Var> = (0..).map_while(|i| of(&format!("x{i}"))).map(|x| Var::leaf(x.upload(device))).collect();
        let y = run(&inputs, &ForwardContext::train(1, 1));
        let close = |name: &str, value: &Tensor| {
            let expected = of(name).unwrap_or_else(|| panic!("{case}: PyTorch has no {name}"));
            compare::assert_close(&format!("{case}, {name}"), value, &Array::of(expected), 2e-5);
        };
        close("y", y.value());
        let mut gradients = y.backward_with(of("dy").expect("a gradient").upload(device));
        for (i, x) in inputs.iter().enumerate() {
            match gradients.of(x) {
                Some(gradient) => close(&format!("d.x{i}"), gradient),
                None => assert_eq!(case, "embedding", "an input has no gradient"),
            }
        }
        for (name, param) in &named {
            close(&format!("d.{name}"), &gradients.take(param).expect("a parameter's gradient"));
        }
        nn::visit(layer, |name, slot| {
            if let Slot::Buffer(buffer) = slot {
                close(name, &buffer.value());
            }
        });
    });
}

#[track_caller]
fn check_layer(case: &str, layer: impl Layer) {
    check(case, &layer, |x, ctx| layer.forward(&x[0], ctx));
}

#[test]
fn convolutions_with_groups_and_dilation() {
    let rng = &mut Generator::new(1);
    check_layer("grouped", Conv2d::grouped(rng, 4, 6, 3, 2).stride(2).padding(1));
    check_layer("depthwise", Conv2d::grouped(rng, 3, 6, 3, 3).padding(1));
    check_layer("dilated", Conv2d::new(rng, 2, 3, 3).padding(2).dilation(2).no_bias());
    assert_eq!(param(&Conv2d::grouped(rng, 4, 6, 3, 2), "weight").shape()[..], [6, 2, 3, 3]);
}

#[test]
fn a_linear_layer_takes_any_number_of_dimensions() {
    let rng = &mut Generator::new(1);
    check_layer("linear", Linear::new(rng, 5, 4).no_bias());
    let empty = Linear::new(rng, 5, 4).forward(&Var::constant(Tensor::zeros([2, 0, 5])), &ForwardContext::eval());
    assert_eq!(empty.shape()[..], [2, 0, 4]);
}

#[test]
fn norms() {
    check_layer("batch_norm", BatchNorm2d::new(3).momentum(0.3).eps(0.05));
    check_layer("group_norm", GroupNorm::new(2, 6));
    check_layer("group_norm_plain", GroupNorm::new(3, 6).eps(0.05).no_affine());
    check_layer("layer_norm", LayerNorm::new([3, 4]));
    check_layer("layer_norm_scale", LayerNorm::new([4]).eps(0.05).no_bias());
    check_layer("layer_norm_plain", LayerNorm::new([4]).no_affine());
    check_layer("instance_norm", InstanceNorm2d::new(3));
    check_layer("instance_norm_affine", InstanceNorm2d::new(3).eps(0.05).affine());
}

#[test]
fn an_embedding_looks_up_rows() {
    check_layer("embedding", Embedding::new(&mut Generator::new(1), 6, 4));
}

#[test]
fn attention_to_itself_and_to_others() {
    let rng = &mut Generator::new(1);
    let layer = MultiheadAttention::new(rng, 8, 2);
    check("self_attention", &layer, |x, ctx| {
        let mask = Var::constant(Tensor::causal_mask(5).upload(&x[0].value().device()));
        layer.forward(&x[0], &x[0], &x[0], Some(&mask), ctx)
    });
    let layer = MultiheadAttention::new(rng, 6, 3).no_bias();
    check("cross_attention", &layer, |x, ctx| layer.forward(&x[0], &x[1], &x[2], None, ctx));
}

/// Embeddings are standard normal, attention's weights uniform in ±√(6/4e) and ±1/√e, and all other shifts 0 and scales 1.
#[test]
fn parameters_start_as_pytorch_s() {
    let rng = &mut Generator::new(5);
    let of = |module: &dyn Module, name: &str| param(module, name).value();
    let largest = |x: &Tensor| x.data().iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let square = |x: &Tensor| x.data().iter().map(|x| x * x).sum::<f32>() / x.count() as f32;
    let weight = of(&Embedding::new(rng, 100, 50), "weight");
    assert!((square(&weight) - 1.0).abs() < 0.05 && largest(&weight) > 3.0, "{}", square(&weight));
    let attention = MultiheadAttention::new(rng, 64, 4);
    for (name, bound) in [("in_proj_weight", (6.0f32 / 256.0).sqrt()), ("out_proj.weight", 1.0 / 8.0)] {
        let weight = of(&attention, name);
        assert!(largest(&weight) <= bound && largest(&weight) > 0.99 * bound, "{name}: up to {}", largest(&weight));
        approx::assert_relative_eq!(square(&weight), bound * bound / 3.0, max_relative = 0.05);
    }
    assert_eq!([of(&attention, "in_proj_bias"), of(&attention, "out_proj.bias")].map(|bias| largest(&bias)), [0.0; 2]);
    let norms: [Box<dyn Module>; 3] =
        [Box::new(GroupNorm::new(1, 3)), Box::new(LayerNorm::new([3])), Box::new(InstanceNorm2d::new(3).affine())];
    for norm in norms {
        assert_eq!((of(&*norm, "weight").data(), of(&*norm, "bias").data()), (&[1.0; 3][..], &[0.0; 3][..]));
    }
    assert_eq!(nn::count(&InstanceNorm2d::new(3)), 0);
}

/// Wrong options panic with one sentence. `tests/engine/blame.rs` checks that the line is the caller's.
#[test]
#[cfg_attr(panic = "abort", ignore = "it catches a panic")]
fn wrong_options_are_refused() {
    type Make = fn(&mut Generator);
    let message = |make: Make| {
        let thrown = std::panic::catch_unwind(|| make(&mut Generator::new(1))).expect_err("an option that is wrong");
        thrown
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| (*thrown.downcast_ref::<&str>().expect("text")).to_owned())
    };
    let all: [(Make, &str); 16] = [
        (|rng| drop(Conv2d::new(rng, 2, 2, 0)), "Conv2d: the kernel has size 0"),
        (|rng| drop(Conv2d::grouped(rng, 4, 6, 3, 3)), "Conv2d: 3 groups do not divide 4 inputs and 6 outputs"),
        (|rng| drop(Conv2d::grouped(rng, 4, 6, 3, 0)), "Conv2d: 0 groups do not divide 4 inputs and 6 outputs"),
        (|rng| drop(Conv2d::grouped(rng, 4, 6, 3, 4)), "Conv2d: 4 groups do not divide 4 inputs and 6 outputs"),
        (|rng| drop(Conv2d::grouped(rng, 0, 0, 3, 0)), "Conv2d: 0 groups do not divide 0 inputs and 0 outputs"),
        (|rng| drop(Conv2d::new(rng, 2, 2, 1).stride(0)), "Conv2d: the stride is 0"),
        (|rng| drop(Conv2d::new(rng, 2, 2, 1).dilation(0)), "Conv2d: the dilation is 0"),
        (|rng| drop(ConvTranspose2d::new(rng, 2, 2, 0)), "ConvTranspose2d: the kernel has size 0"),
        (
            |rng| drop(ConvTranspose2d::new(rng, 2, 2, 1).stride(2).output_padding(2)),
            "ConvTranspose2d: output padding 2 is not below stride 2",
        ),
        (
            |rng| drop(ConvTranspose2d::new(rng, 2, 2, 1).stride(0)),
            "ConvTranspose2d: output padding 0 is not below stride 0",
        ),
        (|_| drop(BatchNorm2d::new(2).momentum(1.5)), "BatchNorm2d: momentum 1.5 is not in [0, 1]"),
        (|_| drop(LayerNorm::new([2]).eps(0.0)), "LayerNorm: ε is 0, which is not positive and finite"),
        (|_| drop(GroupNorm::new(2, 3)), "GroupNorm: 2 groups do not divide 3 channels"),
        (|_| drop(GroupNorm::new(0, 0)), "GroupNorm: 0 groups do not divide 0 channels"),
        (|rng| drop(MultiheadAttention::new(rng, 8, 3)), "MultiheadAttention: 3 heads do not divide a width of 8"),
        (|rng| drop(MultiheadAttention::new(rng, 0, 0)), "MultiheadAttention: 0 heads do not divide a width of 0"),
    ];
    for (make, expected) in all {
        assert_eq!(message(make), expected);
    }
}

/// Self-attention computes q, k and v with one product. Queries that are also the keys, but not the values, are no self-attention.
#[test]
fn attention_takes_the_values_that_it_is_given() {
    let rng = &mut Generator::new(5);
    let attention = MultiheadAttention::new(rng, 6, 2);
    let [x, value] = [0; 2].map(|_| Var::constant(rng.normal_tensor([2, 4, 6])));
    let ctx = &ForwardContext::eval();
    let (shared, copied) = (
        attention.forward(&x, &x, &value, None, ctx),
        attention.forward(&x.clone(), &x.clone(), &value.clone(), None, ctx),
    );
    assert_eq!(shared.value().data(), copied.value().data());
    let itself = attention.forward(&x, &x, &x, None, ctx);
    assert!(itself.value().data().iter().zip(shared.value().data()).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn a_checkpointed_layer_is_listed_as_what_it_is() {
    let layer = Checkpointed::new(Linear::new(&mut Generator::new(1), 2, 3));
    assert_eq!(layer.kind(), "Linear");
}
