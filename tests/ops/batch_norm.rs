//! Batch normalisation in training and evaluation, with and without a residual and each activation, against its formula, and
//! the fused forms against the separate operations.

use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};

use autograd::{BatchGroup, Var};
use reference::law::{self, Within, between, draws};
use reference::place::{Place, everywhere, fetch, on_gpus};
use reference::{Array, batch_norm, compare};
use tensor::{Act, BatchNorm, Device, Generator, RunningStats, Tensor};

const EPS: f32 = 1e-5;
const ACTS: [Act; 3] = [Act::Identity, Act::Relu, Act::LeakyRelu(0.2)];

/// A plane that is added up in several parts, more images than are added in f32, and channels of several tasks, of which the last has
/// fewer.
const LARGE: [[usize; 4]; 3] = [[3, 2, 70, 61], [130, 2, 3, 3], [2, 150, 2, 3]];

/// x, weight, bias, residual. Channels differ in mean and variance, so that exchanged channels are detected.
fn inputs(rng: &mut Generator, shape: [usize; 4]) -> Vec<Tensor> {
    let c = shape[1];
    let scale = rng.uniform_tensor([c, 1, 1], 0.5, 2.0);
    let shift = rng.uniform_tensor([c, 1, 1], -3.0, 3.0);
    let x = rng.normal_tensor(shape).mul(&scale).add(&shift);
    vec![x, rng.uniform_tensor([c], 0.5, 2.0), rng.normal_tensor([c]), rng.normal_tensor(shape)]
}

fn shape(rng: &mut Generator) -> [usize; 4] {
    // At least three elements per channel: two are always normalised to about ±1 and have no gradient.
    [between(rng, 3, 5), between(rng, 1, 5), between(rng, 1, 5), between(rng, 1, 6)]
}

#[test]
fn statistics_match_the_reference() {
    let large = [[64, 3, 2, 2], [2, 5, 1, 1]].into_iter().chain(LARGE);
    for (shape, mut rng) in draws(30).map(|mut rng| (shape(&mut rng), rng)).chain(large.zip(draws(5))) {
        let x = [inputs(&mut rng, shape).swap_remove(0)];
        let within = Within::Each(1e-5);
        law::forward(
            &format!("mean of {shape:?}"),
            &x,
            |x| x[0].channel_stats(None).mean,
            |x| batch_norm::stats(&x[0]).0,
            Within::Largest(2e-7),
        );
        law::forward(
            &format!("variance of {shape:?}"),
            &x,
            |x| x[0].channel_stats(None).var,
            |x| batch_norm::stats(&x[0]).1,
            within,
        );
        assert_eq!(x[0].channel_stats(None).count, shape[0] * shape[2] * shape[3]);
    }
}

/// Like [`inputs`], but drawn until the input of the activation (`before`) is away from its corner, where a finite difference
/// is not the slope.
fn inputs_off_corners(rng: &mut Generator, shape: [usize; 4], before: impl Fn(&[Array]) -> Array) -> Vec<Tensor> {
    let mut drawn = std::iter::repeat_with(|| inputs(rng, shape)).take(1000);
    let off =
        |x: &Vec<Tensor>| before(&x.iter().map(Array::of).collect::<Vec<_>>()).data.iter().all(|b| b.abs() > 5e-3);
    drawn.find(off).expect("one draw in a thousand keeps away from corners")
}

#[test]
fn values_and_gradients_in_training_match_the_reference() {
    let eps = f64::from(EPS);
    for mut rng in draws(14) {
        let shape = shape(&mut rng);
        for (act, residual) in ACTS.into_iter().flat_map(|act| [(act, false), (act, true)]) {
            let exact = |x: &[Array], act| batch_norm::train(&x[0], &x[1], &x[2], residual.then(|| &x[3]), act, eps);
            let inputs = inputs_off_corners(&mut rng, shape, |x| exact(x, Act::Identity));
            law::gradient(
                &format!("batch_norm of {shape:?}, {act:?}, residual {residual}"),
                &inputs[..if residual { 4 } else { 3 }],
                |x| x[0].batch_norm(&x[1], &x[2], residual.then(|| &x[3]), act, EPS, None),
                |x| exact(x, act),
            );
        }
    }
}

#[test]
fn values_and_gradients_in_evaluation_match_the_reference() {
    let eps = f64::from(EPS);
    for mut rng in draws(14) {
        let shape = shape(&mut rng);
        let (mean, var) = (rng.normal_tensor([shape[1]]), rng.uniform_tensor([shape[1]], 0.2, 3.0));
        let (mean64, var64) = (Array::of(&mean), Array::of(&var));
        for (act, residual) in ACTS.into_iter().flat_map(|act| [(act, false), (act, true)]) {
            let exact = |x: &[Array], act| {
                batch_norm::eval(&x[0], &mean64, &var64, &x[1], &x[2], residual.then(|| &x[3]), act, eps)
            };
            let inputs = inputs_off_corners(&mut rng, shape, |x| exact(x, Act::Identity));
            law::gradient(
                &format!("batch_norm_eval of {shape:?}, {act:?}, residual {residual}"),
                &inputs[..if residual { 4 } else { 3 }],
                |x| {
                    let [mean, var] = [&mean, &var].map(|given| given.upload(&x[0].value().device()));
                    x[0].batch_norm_eval(&mean, &var, &x[1], &x[2], residual.then(|| &x[3]), act, EPS)
                },
                |x| exact(x, act),
            );
        }
    }
}

/// Variances near ε, so that a missing ε, or one added after the square root, is detected.
#[test]
fn epsilon_matters_for_small_variances() {
    for mut rng in draws(5) {
        let inputs = inputs(&mut rng, [4, 2, 3, 3]);
        let x = inputs[0].mul_scalar(2e-3);
        law::gradient(
            "batch_norm of a nearly constant image",
            &[x, inputs[1].clone(), inputs[2].clone()],
            |x| x[0].batch_norm(&x[1], &x[2], None, Act::Identity, EPS, None),
            |x| batch_norm::train(&x[0], &x[1], &x[2], None, Act::Identity, f64::from(EPS)),
        );
    }
}

#[test]
fn the_fused_form_equals_the_separate_operations() {
    for shape in [[5, 4, 7, 6]].into_iter().chain(LARGE) {
        fused_equals_separate(shape);
    }
}

fn fused_equals_separate(shape: [usize; 4]) {
    let mut rng = Generator::new(7);
    let inputs = inputs(&mut rng, shape);
    let dy = rng.normal_tensor(shape);
    let run = |device: &Device, f: &dyn Fn(&[Var]) -> Var| {
        let leaves: Vec<Var> = inputs.iter().map(|x| Var::leaf(x.upload(device))).collect();
        let y = f(&leaves);
        let gradients = y.backward_with(dy.upload(device));
        let gradients: Vec<Tensor> = leaves.iter().map(|x| gradients.of(x).expect("a gradient").clone()).collect();
        (y.value().clone(), gradients)
    };
    let fused =
        |device: &Device| run(device, &|x| x[0].batch_norm(&x[1], &x[2], Some(&x[3]), Act::LeakyRelu(0.1), EPS, None));
    // On the CPU, because a GPU uses other kernels for the separate operations.
    let composed = run(&Device::Cpu, &|x| {
        let column = |v: &Var| v.reshape([shape[1], 1, 1]);
        let centred = &x[0] - x[0].mean(&[0, 2, 3], true);
        let var = centred.square().mean(&[0, 2, 3], true);
        let normal = centred / var.add_scalar(EPS).sqrt();
        (normal * column(&x[1]) + column(&x[2]) + &x[3]).leaky_relu(0.1)
    });
    everywhere(|device| {
        let fused = fused(device);
        compare::assert_close(&format!("value of {shape:?}"), &fused.0, &Array::of(&composed.0), 2e-6);
        for (i, (fused, composed)) in fused.1.iter().zip(&composed.1).enumerate() {
            compare::assert_close(&format!("gradient {i} of {shape:?}"), fused, &Array::of(composed), 5e-6);
        }
    });
}

const BOTH_GPUS: &[Place] = &[Place::Gpu, Place::LargeGpu];

/// On a GPU with all its limits one launch computes everything, if a workgroup holds a channel: one and several quads for each
/// invocation, as many as possible, too many, and planes that are no multiple of four.
#[test]
fn one_launch_equals_several() {
    let shapes = [[1, 2, 2, 2], [3, 5, 2, 2], [70, 3, 8, 8], [64, 2, 16, 16], [65, 2, 16, 16], [7, 3, 5, 3]];
    for (shape, mut rng) in shapes.into_iter().zip(draws(10)) {
        let (inputs, dy, c) = (inputs(&mut rng, shape), rng.normal_tensor(shape), shape[1]);
        let start = [rng.normal_tensor([c]), rng.uniform_tensor([c], 0.5, 2.0)];
        for (act, residual) in ACTS.into_iter().flat_map(|act| [(act, false), (act, true)]) {
            let everything = |device: &Device| {
                let leaves: Vec<Var> = inputs.iter().map(|x| Var::leaf(x.upload(device))).collect();
                let mut running = start.each_ref().map(|x| x.upload(device));
                let [mean, var] = running.each_mut();
                let kept = Some(RunningStats { mean, var, momentum: 0.3 });
                let y = leaves[0].batch_norm(&leaves[1], &leaves[2], residual.then(|| &leaves[3]), act, EPS, kept);
                let gradients = y.backward_with(dy.upload(device));
                let of = |x: &Var| gradients.of(x).expect("a gradient").clone();
                let mut all = vec![y.value().clone()];
                all.extend(leaves[..if residual { 4 } else { 3 }].iter().map(of));
                all.extend(running);
                all
            };
            let expected = everything(&Device::Cpu);
            on_gpus(BOTH_GPUS, || {
                everywhere(|device| {
                    let names = ["y", "dx", "dw", "db", "dresidual"];
                    let names = names.into_iter().take(expected.len() - 2).chain(["running mean", "running var"]);
                    for ((name, got), expected) in names.zip(everything(device)).zip(&expected) {
                        let what = format!("{name} of {shape:?}, {act:?}, residual {residual}, on {device}");
                        compare::assert_close(&what, &got, &Array::of(expected), 1e-5);
                    }
                });
            });
        }
    }
}

/// A mean much larger than the standard deviation. E[x²] − E[x]² in f32 would leave nothing of the variance.
#[test]
fn a_large_mean_does_not_cancel_the_variance() {
    let mut rng = Generator::new(8);
    let x = rng.normal_tensor([8, 2, 9, 9]).add_scalar(3000.0);
    let exact = |x: &[Array]| batch_norm::stats(&x[0]).1;
    let within = Within::Each(1e-5);
    law::forward("variance", std::slice::from_ref(&x), |x| x[0].channel_stats(None).var, exact, within);
    let in_one_launch = |x: &[Tensor]| {
        let [one, zero] = [Tensor::ones([2]), Tensor::zeros([2])].map(|c| c.upload(&x[0].device()));
        x[0].batch_norm_train([&one, &zero], None, Act::Identity, EPS, None).0.var
    };
    let even = x.slice(2, 0, 8).slice(3, 0, 8);
    on_gpus(BOTH_GPUS, || law::forward("variance in one launch", &[even], in_one_launch, exact, within));
}

/// The slope of ReLU times −∞ would be NaN.
#[test]
fn infinities_and_nan_pass_through_the_activation_as_on_the_cpu() {
    let residual = Tensor::new(&[f32::NEG_INFINITY, f32::INFINITY, f32::NAN, -2.0], [1, 1, 2, 2]);
    everywhere(|device| {
        let there = |x: Tensor| x.upload(device);
        let (zero, one) = (there(Tensor::zeros([1])), there(Tensor::ones([1])));
        for (act, expected) in [
            (Act::Relu, [0.0, f32::INFINITY, f32::NAN, 0.0]),
            (Act::LeakyRelu(0.5), [f32::NEG_INFINITY, f32::INFINITY, f32::NAN, -1.0]),
        ] {
            let norm = BatchNorm { mean: &zero, var: &one, weight: &one, eps: 0.0, act };
            let y = there(Tensor::zeros([1, 1, 2, 2])).batch_norm(norm, &zero, Some(&there(residual.clone())));
            let y = fetch(&y);
            let same = y.data().iter().zip(expected).all(|(&y, e)| y == e || y.is_nan() && e.is_nan());
            assert!(same, "{act:?} on {device}: {y:?}");
        }
    });
}

#[test]
#[should_panic(expected = "[2, 3, 4, 4]")]
fn statistics_of_other_channels_are_refused() {
    let (x, c) = (Tensor::zeros([2, 3, 4, 4]), Tensor::ones([5]));
    x.batch_norm(BatchNorm { mean: &c, var: &c, weight: &c, eps: EPS, act: Act::Identity }, &c, None);
}

/// One of several parts, each on a thread of its own.
#[derive(Clone, Debug)]
struct OnThreads {
    place: usize,
    told: Arc<(Mutex<Vec<Vec<f64>>>, Barrier)>,
}

impl BatchGroup for OnThreads {
    fn gather(&self, own: &[f64]) -> Vec<Vec<f64>> {
        let (told, barrier) = &*self.told;
        told.lock().unwrap()[self.place] = own.to_vec();
        barrier.wait();
        let all = told.lock().unwrap().clone();
        barrier.wait();
        all
    }
}

/// Parts of a batch, each with a history of its own, have the values, gradients and running statistics of the whole batch.
#[test]
#[cfg_attr(target_family = "wasm", ignore = "there is one thread")]
fn parts_of_a_batch_are_normalised_as_one() {
    let sizes = [3, 1, 2];
    for (act, mut rng) in ACTS.into_iter().cycle().zip(draws(12)) {
        let [_, c, h, w] = shape(&mut rng);
        let all = inputs(&mut rng, [6, c, h, w]);
        let dy = rng.normal_tensor([6, c, h, w]);
        // y, dx, dw, db, the gradient of the residual, and the running mean and variance.
        let run = |x: &[Tensor], dy: &Tensor, group: Option<Rc<dyn BatchGroup>>| -> Vec<Tensor> {
            let leaves: Vec<Var> = x.iter().cloned().map(Var::leaf).collect();
            let [x, weight, bias, residual] = &leaves[..] else { panic!("four inputs") };
            let (mut mean, mut var) = (Tensor::zeros([c]), Tensor::ones([c]));
            let running = Some(RunningStats { mean: &mut mean, var: &mut var, momentum: 0.1 });
            let y = match &group {
                None => x.batch_norm(weight, bias, Some(residual), act, EPS, running),
                Some(group) => x.batch_norm_of_part(weight, bias, Some(residual), act, EPS, running, group),
            };
            let gradients = y.backward_with(dy.clone());
            let gradients = leaves.iter().map(|leaf| gradients.of(leaf).unwrap().clone());
            [y.value().clone()].into_iter().chain(gradients).chain([mean, var]).collect()
        };
        let whole = run(&all, &dy, None);
        let told = Arc::new((Mutex::new(vec![Vec::new(); sizes.len()]), Barrier::new(sizes.len())));
        let parts: Vec<Vec<Tensor>> = std::thread::scope(|scope| {
            let part = |place: usize| {
                let first = sizes[..place].iter().sum();
                let of = |x: &Tensor| if x.shape().len() == 4 { x.slice(0, first, sizes[place]) } else { x.clone() };
                let (x, dy): (Vec<Tensor>, Tensor) = (all.iter().map(of).collect(), of(&dy));
                let (group, run) = (OnThreads { place, told: told.clone() }, &run);
                scope.spawn(move || run(&x, &dy, Some(Rc::new(group))))
            };
            let threads: Vec<_> = (0..sizes.len()).map(part).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (i, expected) in whole.iter().enumerate() {
            let found: Vec<&Tensor> = parts.iter().map(|part| &part[i]).collect();
            let found = match (expected.shape().len(), i) {
                (4, _) => Tensor::concat(&found, 0),
                (_, 2 | 3) => found[0].add(found[1]).add(found[2]), // the gradients of w and b add up
                _ => found[2].clone(),
            };
            let largest = expected.data().iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            let pairs = found.data().iter().zip(expected.data());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 2e-5 * largest.max(1.0), "{act:?}, result {i}: {worst} of {largest}");
        }
    }
}

#[test]
fn running_averages_are_as_many_as_channels() {
    everywhere(|device| {
        for (batch, side) in [(8, 4), (8, 3), (700, 8)] {
            let x = Tensor::ones([batch, 8, side, side]).upload(device);
            let vector = Tensor::ones([8]).upload(device);
            let [mut few, mut enough] = [Tensor::ones([4]).upload(device), vector.clone()];
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let running = RunningStats { mean: &mut few, var: &mut enough, momentum: 0.1 };
                x.batch_norm_train([&vector, &vector], None, Act::Identity, 1e-5, Some(running));
            }));
            assert!(refused.is_err(), "{device}: 4 averages of 8 channels");
        }
    });
}
