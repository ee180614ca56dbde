//! The steps of all optimisers against their formulas in f64: several steps, weight decay, other settings than the defaults, several
//! parameters at once.

use approx::assert_relative_eq;
use reference::optimizer::{Moving, Settings};
use reference::place::{Place, everywhere, fetch, on_gpus};
use reference::{Array, compare, law};
use tensor::{Device, Generator, GradientMonitor, OptimizerPart, OptimizerStep, Rule, Tensor};

const ADAM: Rule = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false };
const STEP: OptimizerStep = OptimizerStep { rule: ADAM, learning_rate: 0.1, weight_decay: 0.0, step: 1 };

/// A parameter on `device` before its first step.
fn part(rule: Rule, parameter: &Tensor, gradient: &Tensor, device: &Device) -> OptimizerPart {
    let parameter = parameter.upload(device);
    OptimizerPart { state: OptimizerPart::state(&parameter, rule), parameter, gradient: gradient.upload(device) }
}

/// Compares the steps of parameters of these sizes with the reference.
fn follow(settings: Settings, counts: &[usize], steps: u64, rng: &mut Generator) {
    let start: Vec<Tensor> = counts.iter().map(|&count| rng.normal_tensor([count])).collect();
    let mut draw = || counts.iter().map(|&count| rng.normal_tensor([count])).collect::<Vec<Tensor>>();
    let gradients: Vec<Vec<Tensor>> = (0..steps).map(|_| draw()).collect();
    everywhere(|device| {
        let Settings { rule, rate, weight_decay } = settings;
        let mut parts: Vec<OptimizerPart> = start.iter().map(|p| part(rule, p, p, device)).collect();
        let fresh = |p: &Tensor| p.data().iter().map(|&p| Moving::new(f64::from(p))).collect();
        let mut exact: Vec<Vec<Moving>> = start.iter().map(fresh).collect();
        for (step, gradients) in (1..).zip(&gradients) {
            let numbers = OptimizerStep { rule, learning_rate: rate, weight_decay, step };
            parts.iter_mut().zip(gradients).for_each(|(part, g)| part.gradient = g.upload(device));
            numbers.apply(&mut parts, &GradientMonitor::new(1, device));
            for (i, part) in parts.iter().enumerate() {
                let count = counts[i];
                exact[i].iter_mut().zip(gradients[i].data()).for_each(|(p, &g)| p.step(f64::from(g), settings));
                // Compares the movement, not the position, so that a step which is a thousandth too long is detected.
                let moved = |p: f64, start: f32| p - f64::from(start);
                let expected = exact[i].iter().zip(start[i].data()).map(|(e, &s)| moved(e.p, s)).collect();
                let (now, start) = (fetch(&part.parameter), start[i].data());
                let got = now.data().iter().zip(start).map(|(&p, &s)| moved(f64::from(p), s) as f32);
                let got = Tensor::new(&got.collect::<Vec<_>>(), [count]);
                let what = format!("{settings:?}, step {step}, parameter {i} of {counts:?} on {device}");
                compare::assert_close(&what, &got, &Array::new([count], expected), 2e-5);
                // 1 − 0.999 has an error of 5e-5 in f32, which the step of p hides.
                for slot in 0..rule.slots() {
                    let expected = exact[i].iter().map(|e| if slot == 0 { e.m } else { e.v }).collect();
                    let kept = part.state.slice(0, slot, 1).slice(1, 0, count).reshape([count]);
                    compare::assert_close(&format!("{what}: slot {slot}"), &kept, &Array::new([count], expected), 1e-6);
                }
            }
        }
    });
}

#[test]
fn steps_match_the_reference() {
    let usual = Settings { rule: ADAM, rate: 0.05, weight_decay: 0.0 };
    let adam = |beta1, beta2, eps, decoupled| Settings { rule: Rule::Adam { beta1, beta2, eps, decoupled }, ..usual };
    let other = |rule, weight_decay| Settings { rule, weight_decay, ..usual };
    let settings = [
        usual,
        Settings { weight_decay: 0.3, ..usual },
        Settings { weight_decay: 0.3, ..adam(0.9, 0.999, 1e-8, true) },
        adam(0.5, 0.9, 1e-8, false),
        adam(0.9, 0.999, 0.3, false), // ε large enough that its place in the formula matters
        other(Rule::Sgd { momentum: 0.0, nesterov: false }, 0.0),
        other(Rule::Sgd { momentum: 0.9, nesterov: false }, 0.2),
        other(Rule::Sgd { momentum: 0.8, nesterov: true }, 0.2),
        other(Rule::RmsProp { alpha: 0.9, eps: 0.1 }, 0.2),
        other(Rule::Lion { beta1: 0.9, beta2: 0.99 }, 0.3),
    ];
    for (mut rng, settings) in law::draws(10).zip(settings) {
        follow(settings, &[57], 12, &mut rng);
        follow(settings, &[3, 40_003, 130], 2, &mut rng); // an odd number of elements, and one more than one core's share
    }
    // As many parameters as two launches of a GPU with all its limits take, and one more.
    let sizes: Vec<usize> = (0..19).map(|i| [5, 1030, 64, 2049][i % 4] + i).collect();
    let mut rng = Generator::new(3);
    for settings in [usual, other(Rule::Lion { beta1: 0.9, beta2: 0.99 }, 0.0)] {
        on_gpus(&[Place::Gpu, Place::LargeGpu], || follow(settings, &sizes, 2, &mut rng));
    }
}

/// Without a gradient and without a mean, Lion does not move.
#[test]
fn the_sign_of_zero_is_zero() {
    everywhere(|device| {
        let rule = Rule::Lion { beta1: 0.9, beta2: 0.99 };
        let mut parts = [part(rule, &Tensor::ones([5]), &Tensor::new(&[0.0, -0.0, 1e-30, -1.0, 1.0], [5]), device)];
        OptimizerStep { rule, ..STEP }.apply(&mut parts, &GradientMonitor::new(1, device));
        assert_eq!(fetch(&parts[0].parameter).data(), [1.0, 1.0, 0.9, 1.1, 0.9]);
    });
}

/// 0.9 times the smallest number of a float is rounded to that number again.
#[test]
fn a_state_without_gradients_becomes_zero() {
    let rules = [
        ADAM,
        Rule::Sgd { momentum: 0.9, nesterov: false },
        Rule::RmsProp { alpha: 0.9, eps: 0.1 },
        Rule::Lion { beta1: 0.9, beta2: 0.9 },
    ];
    for rule in rules {
        let mut parts = [part(rule, &Tensor::ones([8]), &Tensor::zeros([8]), &Device::Cpu)];
        parts[0].state = parts[0].state.full_like(1e-30);
        for _ in 0..20_000 {
            OptimizerStep { rule, ..STEP }.apply(&mut parts, &GradientMonitor::new(1, &Device::Cpu));
        }
        assert!(parts[0].state.data().iter().all(|&x| x == 0.0), "{rule:?}: {:?}", parts[0].state);
    }
}

#[test]
fn after_many_steps_the_bias_corrections_vanish() {
    everywhere(|device| {
        let mut parts = [part(ADAM, &Tensor::ones([1]), &Tensor::full([1], 2.0), device)];
        parts[0].state = Tensor::new(&[2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0], [2, 4]).upload(device);
        OptimizerStep { step: u64::MAX, ..STEP }.apply(&mut parts, &GradientMonitor::new(1, device));
        // m/√v is 1, so the step is the learning rate.
        assert_relative_eq!(fetch(&parts[0].parameter).data()[0], 0.9, max_relative = 1e-6);
    });
}

/// The step writes in place, but not to elements that another tensor shares.
#[test]
fn tensors_that_share_elements_keep_them() {
    everywhere(|device| {
        let monitor = GradientMonitor::new(1, device);
        let mut parts = [part(ADAM, &Tensor::ones([2000]), &Tensor::ones([2000]), device)];
        let held = (parts[0].parameter.clone(), parts[0].state.clone());
        STEP.apply(&mut parts, &monitor);
        assert_eq!(fetch(&held.0).data(), vec![1.0; 2000]);
        assert_eq!(fetch(&held.1).data(), vec![0.0; 4000]);
        assert!(fetch(&parts[0].parameter).data().iter().all(|&p| (p - 0.9).abs() < 1e-6));
        if *device == Device::Cpu {
            let address = parts[0].parameter.data().as_ptr();
            OptimizerStep { step: 2, ..STEP }.apply(&mut parts, &monitor);
            assert_eq!(parts[0].parameter.data().as_ptr(), address, "nobody else holds it: in place");
        }
    });
}

#[test]
#[should_panic(expected = "optimizer: parameter [3], gradient [4] and state [2, 4]")]
fn a_gradient_of_another_shape_is_refused() {
    STEP.apply(
        &mut [part(ADAM, &Tensor::ones([3]), &Tensor::ones([4]), &Device::Cpu)],
        &GradientMonitor::new(1, &Device::Cpu),
    );
}

#[test]
#[should_panic(expected = "optimizer: parameter [3], gradient [3] and state [1, 4]")]
fn the_state_of_another_rule_is_refused() {
    let sgd = Rule::Sgd { momentum: 0.9, nesterov: false };
    STEP.apply(
        &mut [part(sgd, &Tensor::ones([3]), &Tensor::ones([3]), &Device::Cpu)],
        &GradientMonitor::new(1, &Device::Cpu),
    );
}
