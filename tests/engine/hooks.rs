//! A hook sees each gradient once, when it is complete, newest operation first, and changes no bit unless it returns another tensor.

use std::cell::RefCell;
use std::rc::Rc;

use autograd::{Param, Var, checkpoint};
use nn::{ForwardContext, Layer, Linear, Sequential, Trace};
use reference::compare::assert_same_bits;
use reference::place::{everywhere, fetch};
use tensor::{Device, Generator, Tensor};

/// Three linear layers, of which the first is used again behind the last, so that its gradient is complete last.
fn model(device: &Device) -> (Sequential, Vec<(String, Param)>) {
    let mut rng = Generator::new(4);
    let model = Sequential::new((0..3).map(|_| Box::new(Linear::new(&mut rng, 5, 5)) as Box<dyn Layer>).collect());
    nn::upload(&model, device);
    let params = nn::parameters(&model);
    (model, params)
}

fn loss(model: &Sequential, shared: &Param, ctx: &ForwardContext, device: &Device) -> Var {
    let x = Var::constant(Generator::new(5).normal_tensor([7, 5]).upload(device));
    (model.forward(&x, ctx).tanh() * shared.var().sum(&[0], false)).square().mean_all()
}

#[test]
fn hooks_see_every_gradient_in_backward_order_and_change_no_bit() {
    everywhere(|device| {
        let (model, params) = model(device);
        let of = || loss(&model, &params[0].1, &ForwardContext::eval(), device);
        let (plain, mut seen) = (of().backward(), Vec::new());
        let hooked = nn::backward_with_hook(&of(), &params, |name, gradient| {
            seen.push((name.to_owned(), gradient.clone()));
            gradient
        });
        let layers: Vec<&str> = seen.iter().map(|(name, _)| &name[..1]).collect();
        assert_eq!(layers, ["2", "2", "1", "1", "0", "0"]);
        for (name, param) in &params {
            let expected = fetch(plain.get(param).unwrap());
            assert_same_bits(name, &fetch(hooked.get(param).unwrap()), &expected);
            let at_hook = &seen.iter().find(|(seen, _)| seen == name).unwrap().1;
            assert_same_bits(&format!("{name} in the hook"), &fetch(at_hook), &expected);
        }
    });
}

/// The gradient of the last layer is complete before the rules of earlier operations have run.
#[test]
fn a_gradient_is_given_while_the_pass_goes_on() {
    let (x, w) = (Param::new(Tensor::ones([2])), Param::new(Tensor::ones([2])));
    let log = Rc::new(RefCell::new(Vec::new()));
    let inside = log.clone();
    let early = Var::record("early", x.value(), |edges| {
        edges.to(&x.var(), move |dy| {
            inside.borrow_mut().push("the rule of the first operation");
            dy.clone()
        });
    });
    let loss = (early * w.var()).sum_all();
    loss.backward_with_hook(&mut |leaf, gradient| {
        log.borrow_mut().push(if leaf == w.id() { "w" } else { "x" });
        gradient
    });
    assert_eq!(*log.borrow(), ["w", "the rule of the first operation", "x"]);
}

#[test]
fn what_a_hook_returns_replaces_the_gradient() {
    let (_, params) = model(&Device::Cpu);
    let loss = (params[0].1.var().sum_all() + params[1].1.var().sum_all()).square();
    let gradients = nn::backward_with_hook(&loss, &params[..1], |name, gradient| {
        assert_eq!(name, "0.weight", "a parameter without a name is left alone");
        gradient.full_like(7.0)
    });
    assert!(gradients.get(&params[0].1).unwrap().data().iter().all(|&g| g == 7.0));
    assert!(gradients.get(&params[1].1).unwrap().data().iter().all(|&g| g != 7.0));
    assert!(gradients.get(&params[2].1).is_none());
}

#[test]
#[should_panic(expected = "a hook changed the shape of a gradient")]
fn a_hook_keeps_the_shape() {
    Var::leaf(Tensor::ones([3])).sum_all().backward_with_hook(&mut |_, _| Tensor::ones([4]));
}

/// A parameter that is used outside and inside of checkpoints, in front of them and behind them: the hook waits for all its parts.
#[test]
fn checkpoints_give_their_parts_before_the_hook() {
    let (w, v) = (Param::new(Tensor::full([3], 2.0)), Param::new(Tensor::full([3], 3.0)));
    let graph = |checkpointed: bool| {
        let block = |x: &Var| {
            let (w, v) = (w.clone(), v.clone());
            let f = move |x: &Var| (x * w.var()).tanh() + v.var();
            if checkpointed { checkpoint(f, x) } else { f(x) }
        };
        let x = w.var() * 0.5;
        let identity = checkpoint(|x| x.clone(), &w.var());
        (block(&block(&x)) * w.var() + identity).square().sum_all()
    };
    let plain = graph(false).backward();
    let mut seen = Vec::new();
    let hooked = graph(true).backward_with_hook(&mut |leaf, gradient| {
        seen.push((leaf, gradient.clone()));
        gradient
    });
    assert_eq!(seen.len(), 2, "each leaf once");
    for param in [&w, &v] {
        let (expected, got) = (plain.get(param).unwrap(), hooked.get(param).unwrap());
        assert!(
            expected.data().iter().zip(got.data()).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs()),
            "{expected:?} {got:?}"
        );
        let in_hook = &seen.iter().find(|(leaf, _)| *leaf == param.id()).unwrap().1;
        assert_same_bits("in the hook", in_hook, got);
    }
}

#[test]
fn a_leaf_and_a_constant_have_hooks_too() {
    let x = Var::leaf(Tensor::scalar(2.0));
    let mut calls = 0;
    let gradients = x.backward_with_hook(&mut |_, gradient| {
        calls += 1;
        gradient.mul_scalar(3.0)
    });
    assert_eq!((calls, gradients.of(&x).unwrap().item()), (1, 3.0));
    Var::constant(Tensor::scalar(1.0)).backward_with_hook(&mut |_, _| panic!("there is no gradient"));
}

#[test]
fn results_of_layers_have_names() {
    everywhere(|device| {
        let (model, params) = model(device);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let inside = seen.clone();
        let trace =
            Trace::with_hook(&model, move |name, result| inside.borrow_mut().push((name.to_owned(), result.clone())));
        let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
        let traced = loss(&model, &params[0].1, &ctx, device);
        let plain = loss(&model, &params[0].1, &ForwardContext::eval(), device);
        assert_same_bits("the loss", &fetch(traced.value()), &fetch(plain.value()));
        let (named, seen) = (trace.named_results(&model), seen.borrow());
        assert_eq!(named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
        assert_eq!(seen.len(), 3);
        for ((name, result), (hooked, in_hook)) in named.iter().zip(&*seen) {
            assert_eq!((name, result.shape()[..].to_vec()), (hooked, vec![7, 5]));
            assert_same_bits(name, &fetch(result), &fetch(in_hook));
        }
    });
    // A layer by itself has no name, and layers of other modules are left out.
    let layer = Linear::new(&mut Generator::new(1), 2, 2);
    let trace = Trace::default();
    layer.forward(
        &Var::constant(Tensor::ones([1, 2])),
        &ForwardContext { trace: Some(&trace), ..ForwardContext::eval() },
    );
    assert_eq!(trace.named_results(&layer)[0].0, "");
    assert!(trace.named_results(&model(&Device::Cpu).0).is_empty());
}
