//! The page `nn/from-pytorch.md` names nothing that does not exist: each name of its tables is used here, with its result.

use std::collections::BTreeSet;
use std::rc::Rc;

use autograd::{BatchGroup, Var, autocast, check, checkpoint, no_grad};
use nn::optim::{Optimizer, Plateau, Schedule, clip_values, scaled_loss};
use nn::{
    BatchNorm2d, Checkpointed, Conv2d, ConvTranspose2d, Dropout, Embedding, ForwardContext, GroupNorm, InstanceNorm2d,
    Layer, LayerNorm, Linear, MultiheadAttention, Sequential, SpectralNorm, Trace, TransformerEncoderLayer, loss,
    state,
};
use reference::wait::block_on;
use tensor::{Device, Dtype, Generator, GradientMonitor, LossScale, Tensor};

const PAGE: &str = include_str!("../../nn/from-pytorch.md");

/// The identifiers in the right columns of the tables.
fn names() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let right = rows.filter_map(|row| row.rsplit(" | ").next());
    let code = right.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let words = code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| word.len() > 2 && word.starts_with(|c: char| c.is_ascii_alphabetic())).collect()
}

#[test]
fn every_name_of_the_page_is_used_below() {
    let names = names();
    assert!(names.len() > 90 && names.contains("matmul_nt"), "{names:?}");
    let source = include_str!("from_pytorch.rs");
    let used = |name: &&str| source.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *name);
    let unused: Vec<_> = names.iter().filter(|name| !used(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn names_of_tensors() {
    let data = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let (x, device) = (Tensor::new(&data, [2, 3]), Device::Cpu);
    let same = |a: &Tensor, b: &[f32]| assert_eq!(a.data(), b);
    same(&Tensor::from_vec(data.to_vec(), [2, 3]), &data);
    same(&Tensor::arange(0.0, 6.0, 1.0), &data);
    same(&Tensor::linspace(0.0, 5.0, 6), &data);
    same(&Tensor::zeros([2, 3]), x.zeros_like().data());
    same(&Tensor::ones([2, 3]), x.ones_like().data());
    same(&Tensor::full([2, 3], 7.0), x.full_like(7.0).data());
    same(&Tensor::eye(2), &[1.0, 0.0, 0.0, 1.0]);
    let mut generator = Generator::new(1);
    assert_eq!(generator.normal_tensor([2, 3]).shape(), x.shape());
    assert!(generator.uniform_tensor([2, 3], 0.0, 1.0).data().iter().all(|u| (0.0..1.0).contains(u)));
    let y = x.upload(&device);
    same(&(&x + &y), (&x * 2.0).data());
    same(&-&x, x.mul_scalar(-1.0).data());
    let t = y.transpose(0, 1);
    same(&x.matmul(&t), x.matmul_nt(&y).data());
    let [x3, y3, t3] = [&x, &y, &t].map(|x| x.unsqueeze(0));
    same(&x3.bmm(&t3), x3.bmm_nt(&y3).data());
    same(&x3.squeeze(0), &data);
    same(&x.at((1, 1..3)), &[4.0, 5.0]);
    same(&x3.at((0, .., 2..3)), &[2.0, 5.0]);
    same(&x.sum(&[1], true), &[3.0, 12.0]);
    same(&x.mean(&[1], false), &[1.0, 4.0]);
    same(&x.max(&[0], false), &[3.0, 4.0, 5.0]);
    same(&x.min(&[0], false), &[0.0, 1.0, 2.0]);
    same(&x.var(&[1], 1, false), &[1.0, 1.0]);
    assert_eq!((x.sum_all().item(), x.mean_all().item()), (15.0, 2.5));
    same(&x.argmax(1), &[2.0, 2.0]);
    assert!((x.softmax(1).sum_all().item() - 2.0).abs() < 1e-6);
    assert!((x.logsumexp(1).data()[0] - 2.407_606).abs() < 1e-5);
    same(&x.cumsum(1), &[0.0, 1.0, 3.0, 3.0, 7.0, 12.0]);
    let black = Tensor::zeros([1, 3]);
    assert!((x.bce_with_logits(&black).data()[0] - 4.133_337).abs() < 1e-5);
    assert!((loss::bce(&Var::constant(x.slice(0, 0, 1)), &black).value().item() - 4.133_337).abs() < 1e-5);
    let c = x.lt(&Tensor::scalar(2.0));
    same(&c.where_cond(&x, &-&y), &[0.0, 1.0, -2.0, -3.0, -4.0, -5.0]);
    assert!(x.gt(&y).sum_all().item() == 0.0 && x.eq(&y).sum_all().item() == 6.0);
    same(&x.reshape([6]), x.flatten(0).data());
    same(&x.permute(&[1, 0]), t.data());
    let parts = x.split(1, 0);
    same(&Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0), &data);
    same(&Tensor::stack(&x.chunk(2, 0).iter().collect::<Vec<_>>(), 0), &data);
    same(&Tensor::scalar(2.0).repeat(&[3]), &[2.0; 3]);
    let (table, index) = (x.clone(), Tensor::new(&[1.0], [1]));
    same(&table.index_select(&index), &[3.0, 4.0, 5.0]);
    #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))] // it waits for a device
    same(&x.cpu(), &data);
}

#[test]
fn names_of_gradients() {
    let x = Var::leaf(Tensor::scalar(3.0));
    let square = |x: &Var| x * x;
    let gradients = (&square(&x) + Var::constant(Tensor::scalar(1.0))).backward();
    assert_eq!(gradients.of(&x).unwrap().item(), 6.0);
    assert!(!x.detach().has_gradient() && !no_grad(|| square(&x)).has_gradient());
    let monitor = GradientMonitor::with_loss_scale(1, &Device::Cpu, Some(LossScale { scale: 8.0, steps: 0.0 }));
    let scaled = scaled_loss(&autocast(Dtype::F16, || square(&x)), &monitor);
    assert_eq!(scaled.value().item(), 8.0 * square(&x).value().item());
    let y = checkpoint(square, &x).backward();
    assert_eq!(y.of(&x).unwrap().item(), 6.0);
    let own = Var::record("own", x.value().clone(), |edge| edge.to(&x, |dy| dy.mul_scalar(5.0)));
    assert_eq!(own.backward().of(&x).unwrap().item(), 5.0);
    assert_eq!(check::Array::of(x.value()).data, [3.0]);
    let (w, loss) = (autograd::Param::new(Tensor::scalar(2.0)), |w: Var| &w * &w);
    assert_eq!(loss(w.var()).backward().get(&w).unwrap().item(), 4.0);
    let halved = loss(w.var()).backward_with_hook(&mut |_, gradient| gradient * 0.5);
    assert_eq!(halved.get(&w).unwrap().item(), 2.0);
}

/// A batch of one part.
#[derive(Debug)]
struct OnePart;

impl BatchGroup for OnePart {
    fn gather(&self, own: &[f64]) -> Vec<Vec<f64>> {
        vec![own.to_vec()]
    }
}

#[test]
fn names_of_layers() {
    let rng = &mut Generator::new(1);
    let conv = Conv2d::new(rng, 3, 64, 3).stride(2).padding(1).no_bias();
    let grouped = Conv2d::grouped(rng, 64, 64, 3, 64);
    let model = Sequential::new(vec![
        Box::new(conv),
        Box::new(BatchNorm2d::new(64)),
        Box::new(Checkpointed::new(grouped)),
        Box::new(GroupNorm::new(4, 64)),
        Box::new(InstanceNorm2d::new(64)),
        Box::new(ConvTranspose2d::new(rng, 64, 2, 2)),
        Box::new(Dropout::new(0.5, 1)),
    ]);
    nn::upload(&model, &Device::Cpu);
    let (seed, step) = (1, 0);
    let x = Var::constant(rng.normal_tensor([2, 3, 8, 8]));
    let y = model.forward(&x, &ForwardContext::train(seed, step));
    assert_eq!(model.forward(&x, &ForwardContext::eval()).shape()[..], y.shape()[..]);
    // Batch norm over all parts of a batch, here over the one part that there is.
    let ctx = ForwardContext { group: Some(Rc::new(OnePart)), ..ForwardContext::train(seed, step) };
    let [all, one] = [&ctx, &ForwardContext::train(seed, step)].map(|ctx| BatchNorm2d::new(3).forward(&x, ctx));
    assert!(all.value().data().iter().zip(one.value().data()).all(|(a, b)| (a - b).abs() < 1e-5));
    let rows = nn::summary(&model, |ctx| drop(model.forward(&x, ctx))).layers.len();
    assert_eq!(rows, 5, "layers with parameters");
    let trace = Trace::with_hook(&model, |name, result| assert!(!name.is_empty() && result.count() > 0));
    let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::train(seed, step) };
    let mean = model.forward(&x, &ctx).mean_all();
    assert_eq!(trace.named_results(&model).len(), 5, "one for each layer with parameters");
    let params = nn::parameters(&model);
    let (_, param) = &params[0];
    let mut seen = 0;
    nn::backward_with_hook(&mean, &params, |_, gradient| {
        seen += 1;
        gradient
    });
    assert_eq!(seen, params.len());
    param.freeze(true);
    nn::freeze(&model, false);
    assert!(!param.is_frozen());
    let saved = block_on(state::save(&model, &[])).unwrap();
    block_on(state::load(&model, &saved)).unwrap();

    let (words, attention) = (Embedding::new(rng, 5, 4), MultiheadAttention::new(rng, 4, 2));
    let tokens = words.forward(&Var::constant(Tensor::zeros([1, 3])), &ForwardContext::eval());
    let attended = attention.forward(&tokens, &tokens, &tokens, None, &ForwardContext::eval());
    let attended = TransformerEncoderLayer::new(rng, 4, 2).forward(&attended, None, &ForwardContext::eval());
    let normed = LayerNorm::new([4]).forward(&attended, &ForwardContext::eval()).reshape([3, 4]);
    let head = Linear::new(rng, 4, 5);
    let normed = {
        let square = Linear::new(rng, 4, 4);
        SpectralNorm::new(rng, square).forward(&normed, &ForwardContext::eval())
    };
    let params = nn::parameters(&head);
    let (logits, labels) = (head.forward(&normed, &ForwardContext::eval()), Tensor::zeros([3]));
    let optimizers = [Optimizer::adam(), Optimizer::adamw(0.1), Optimizer::sgd(0.9), Optimizer::rmsprop()];
    for mut optimizer in optimizers.into_iter().chain([Optimizer::lion(0.1)]) {
        let logits = head.forward(&logits.detach().at((.., 0..4)), &ForwardContext::eval());
        let mut gradients = loss::cross_entropy(&logits, &labels).backward();
        clip_values(&params, &mut gradients, 0.1);
        optimizer.step_with(&params, &mut gradients, 0.01, &GradientMonitor::new(1, &Device::Cpu));
        assert_eq!(optimizer.steps(), 1);
    }
    let then = Box::new(Schedule::Step { every: 1, factor: 0.5 });
    for schedule in [
        Schedule::WarmUp { epochs: 2, then },
        Schedule::Cosine,
        Schedule::OneCycle,
        Schedule::Plateau(Plateau::new(0.1, 2)),
    ] {
        assert!(schedule.rate(0.1, 1, 10) > 0.0);
    }
}
