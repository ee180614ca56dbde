//! Optimisers: they equal the formulas of their papers in f64 on every device, and PyTorch over 200 steps, and follow the gradient
//! monitor.

use autograd::{Buffer, Gradients, Param, Var};
use nn::optim::{Ema, Group, Optimizer, Schedule, clip_values};
use reference::optimizer::{Moving, Settings};
use reference::place::{devices, everywhere, fetch};
use reference::{Array, compare};
use tensor::{Device, Generator, GradientMonitor, Rule, Tensor};

const ADAM: Rule = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false };

/// Gradients with exactly the elements of `wanted`, from the loss Σ wanted·p.
fn gradients(params: &[(String, Param)], wanted: &[Tensor]) -> Gradients {
    let there = |p: &Param, g: &Tensor| Var::constant(g.upload(&p.value().device()));
    let products = params.iter().zip(wanted).map(|((_, p), g)| (p.var() * there(p, g)).sum_all());
    products.reduce(|a, b| a + b).expect("at least one parameter").backward()
}

fn named(values: &[Tensor], device: &Device) -> Vec<(String, Param)> {
    let named = |(i, value): (usize, &Tensor)| (format!("p{i}"), Param::new(value.upload(device)));
    values.iter().enumerate().map(named).collect()
}

/// A tensor of the fixture that `tests/oracle/optimizers.py` wrote.
fn fixture(name: &str) -> Tensor {
    crate::fixture("optimizers").remove(name).expect(name)
}

/// The defaults are PyTorch's too: those of Adam, AdamW apart from λ, RMSprop and SGD.
#[test]
fn two_hundred_steps_are_those_of_pytorch() {
    let adam = Rule::Adam { beta1: 0.8, beta2: 0.95, eps: 1e-3, decoupled: false };
    type Make = fn(Rule) -> Optimizer;
    let all: [(&str, Make); 8] = [
        ("adam", |_| Optimizer::adam()),
        ("adam_decay", |adam| Optimizer::new(adam, 0.1)),
        ("adamw", |_| Optimizer::adamw(0.1)),
        ("sgd", |_| Optimizer::new(Rule::Sgd { momentum: 0.0, nesterov: false }, 0.1)),
        ("momentum", |_| Optimizer::sgd(0.9)),
        ("nesterov", |_| Optimizer::new(Rule::Sgd { momentum: 0.9, nesterov: true }, 0.1)),
        ("rmsprop", |_| Optimizer::new(Rule::RmsProp { alpha: 0.99, eps: 1e-8 }, 0.1)),
        ("lion", |_| Optimizer::lion(0.1)),
    ];
    let (start, drawn) = (fixture("start"), fixture("gradients"));
    everywhere(|device| {
        for (name, make) in all {
            let (params, mut optimizer) = (named(std::slice::from_ref(&start), device), make(adam));
            for step in 1..=200 {
                let wanted = drawn.slice(0, step - 1, 1).reshape(start.shape());
                optimizer.step(&params, &mut gradients(&params, &[wanted]), 0.01 / (1.0 + step as f64 / 100.0));
                if [1, 20, 200].contains(&step) {
                    let expected = Array::of(&fixture(&format!("{name}.{step}")));
                    compare::assert_close(&format!("{name}, step {step}"), &params[0].1.value(), &expected, 5e-6);
                }
            }
        }
    });
}

#[test]
fn schedules_are_those_of_pytorch() {
    let all = [
        ("step", Schedule::Step { every: 7, factor: 0.5 }),
        ("cosine", Schedule::Cosine),
        ("one_cycle", Schedule::OneCycle),
    ];
    for (name, schedule) in all {
        let expected = fixture(&format!("schedule.{name}"));
        for (e, &rate) in expected.data().iter().enumerate() {
            let found = schedule.rate(0.1, e, 40);
            assert!((found - f64::from(rate)).abs() < 1e-8, "{name}, epoch {e}: {found}, not {rate}");
        }
    }
}

/// Biases without decay and with twice the rate, as their own group; the first group that contains a name counts.
#[test]
fn groups_have_their_own_rate_and_decay() {
    everywhere(|device| {
        let params = named(&[Tensor::ones([3]), Tensor::ones([3]), Tensor::ones([3])], device);
        let all = [0.5, 0.25, 0.0].map(|g| Tensor::full([3], g));
        let bias = Group { contains: |name| name == "p1", rate: 2.0, weight_decay: 0.0, rule: None };
        let rest = Group { contains: |name| name != "p0", rate: 1.0, weight_decay: 0.5, rule: None };
        let mut sgd = Optimizer::new(Rule::Sgd { momentum: 0.0, nesterov: false }, 1.0).group(bias).group(rest);
        sgd.step(&params, &mut gradients(&params, &all), 0.5);
        // p − rate·(g + λ·p)
        let moved = [1.0 - 0.5 * 1.5, 1.0 - 0.25, 1.0 - 0.5 * 0.5];
        for ((name, param), expected) in params.iter().zip(moved) {
            assert_eq!(fetch(&param.value()).data(), [expected; 3], "{name}");
        }
        assert!(sgd.has_state(&params[2].1) && sgd.steps() == 1);
    });
}

/// A group with Adam's decay rates of its own moves as if it had an optimiser of its own.
#[test]
fn a_group_may_have_a_rule_of_its_own() {
    everywhere(|device| {
        let mut rng = Generator::new(3);
        let start = [rng.normal_tensor([5]), rng.normal_tensor([2, 3])];
        let [together, alone] = [0, 1].map(|_| named(&start, device));
        let quick = Rule::Adam { beta1: 0.5, beta2: 0.9, eps: 1e-8, decoupled: false };
        let group = Group { contains: |name| name == "p1", rate: 0.25, weight_decay: 0.0, rule: Some(quick) };
        let mut both = Optimizer::new(ADAM, 0.1).group(group);
        let (mut first, mut second) = (Optimizer::new(ADAM, 0.1), Optimizer::new(quick, 0.0));
        for _ in 0..3 {
            let wanted = start.each_ref().map(|x| rng.normal_tensor(x.shape()));
            both.step(&together, &mut gradients(&together, &wanted), 0.5);
            first.step(&alone[..1], &mut gradients(&alone[..1], &wanted[..1]), 0.5);
            second.step(&alone[1..], &mut gradients(&alone[1..], &wanted[1..]), 0.125);
        }
        for ((name, moved), (_, expected)) in together.iter().zip(&alone) {
            assert_eq!(fetch(&moved.value()).data(), fetch(&expected.value()).data(), "{name}");
        }
        assert_eq!(both.state(&together[1].1).map(|slots| slots.len()), Some(2));
    });
}

#[test]
fn elements_of_gradients_are_clipped() {
    everywhere(|device| {
        let params = named(&[Tensor::ones([3]), Tensor::ones([1])], device);
        let mut gradients = gradients(&params[..1], &[Tensor::new(&[5.0, -0.5, -7.0], [3])]);
        clip_values(&params, &mut gradients, 2.0);
        assert_eq!(fetch(gradients.get(&params[0].1).unwrap()).data(), [2.0, -0.5, -2.0]);
        assert!(gradients.get(&params[1].1).is_none(), "it has none");
    });
}

#[test]
fn parameters_follow_the_reference() {
    everywhere(|device| {
        let mut rng = Generator::new(1);
        for weight_decay in [0.0, 0.2] {
            let start = [rng.normal_tensor([3, 4]), rng.normal_tensor([7]), rng.normal_tensor([2])];
            let params = named(&start, device);
            let mut adam = Optimizer::new(ADAM, weight_decay);
            let fresh = |x: &Tensor| x.data().iter().map(|&x| Moving::new(f64::from(x))).collect::<Vec<_>>();
            let mut exact: Vec<Vec<Moving>> = start.iter().map(fresh).collect();
            for step in 0..8 {
                let rate = 0.1 / f64::from(step + 1); // the learning rate belongs to the step
                let wanted: Vec<Tensor> = start.iter().map(|x| rng.normal_tensor(x.shape())).collect();
                adam.step_with(&params, &mut gradients(&params, &wanted), rate, &GradientMonitor::new(1, device));
                let settings = Settings { rule: ADAM, rate, weight_decay };
                for ((exact, wanted), (name, param)) in exact.iter_mut().zip(&wanted).zip(&params) {
                    exact.iter_mut().zip(wanted.data()).for_each(|(p, &g)| p.step(f64::from(g), settings));
                    let expected = Array::new(param.shape(), exact.iter().map(|e| e.p).collect());
                    compare::assert_close(&format!("{name} after step {step}"), &param.value(), &expected, 1e-6);
                }
            }
        }
    });
}

#[test]
fn a_parameter_without_a_gradient_stays_where_it_is() {
    everywhere(|device| {
        let params = named(&[Tensor::ones([2]), Tensor::ones([2]), Tensor::ones([2])], device);
        params[1].1.freeze(true);
        let mut adam = Optimizer::new(ADAM, 0.5);
        let used = &params[..2]; // the third is not part of the loss
        let mut gradients = gradients(used, &[Tensor::ones([2]), Tensor::ones([2])]);
        adam.step_with(&params, &mut gradients, 0.1, &GradientMonitor::new(1, device));
        let value = |i: usize| fetch(&params[i].1.value());
        assert_ne!(value(0).data(), [1.0; 2]);
        assert_eq!(value(1).data(), [1.0; 2]);
        assert_eq!(value(2).data(), [1.0; 2]);
        let has_state: Vec<bool> = params.iter().map(|(_, param)| adam.has_state(param)).collect();
        assert_eq!((adam.steps(), has_state), (1, vec![true, false, false]));
    });
}

#[test]
fn a_step_with_a_non_finite_gradient_changes_nothing() {
    everywhere(|device| {
        let params = named(&[Tensor::ones([2]), Tensor::ones([3])], device);
        let mut adam = Optimizer::adam();
        let mut gradients = gradients(&params, &[Tensor::ones([2]), Tensor::full([3], f32::INFINITY)]);
        let mut monitor = GradientMonitor::new(1, device);
        let of: Vec<&Tensor> = params.iter().filter_map(|(_, p)| gradients.get(p)).collect();
        let watched = Tensor::ones([]).upload(device);
        monitor.observe(0, &of, &[&watched], None);
        adam.step_with(&params, &mut gradients, 0.1, &monitor);
        for (name, param) in &params {
            assert!(fetch(&param.value()).data().iter().all(|&p| p == 1.0), "{name}");
        }
    });
}

/// Two parameters and two running statistics, one of each frozen.
struct Averaged {
    moving: Param,
    frozen: Param,
    statistic: Buffer,
    still: Buffer,
}

nn::module!(Averaged { moving, frozen, statistic, still });

impl Averaged {
    fn on(device: &Device) -> Averaged {
        let tensor = |x: f32| Tensor::new(&[x, -x], [2]).upload(device);
        let module = Averaged {
            moving: Param::new(tensor(4.0)),
            frozen: Param::new(tensor(1.0)),
            statistic: Buffer::new(tensor(4.0)),
            still: Buffer::new(tensor(1.0)),
        };
        module.frozen.freeze(true);
        module.still.freeze(true);
        module
    }
}

fn read(tensor: Tensor) -> Vec<f32> {
    reference::wait::block_on(tensor.read()).expect("a device that works")
}

/// From step 26 on, d_t = ¾: the average moves from 4 with the weights 8, 16, 16, and so does that of a running statistic. A frozen
/// parameter has none. Afterwards the weights and statistics are restored.
#[test]
fn an_average_follows_its_weights_and_statistics() {
    for device in devices() {
        let module = Averaged::on(&device);
        let mut ema = Ema::new(0.75, &module);
        for (weight, average) in [(8.0, 5.0), (16.0, 7.75), (16.0, 9.8125)] {
            let new = Tensor::new(&[weight, -weight], [2]).upload(&device);
            module.moving.set(new.clone());
            module.statistic.set(new);
            ema.update(26);
            let averages: Vec<_> = ema.averages().map(|(name, value)| (name.to_owned(), read(value))).collect();
            assert_eq!(averages, ["moving", "statistic"].map(|name| (name.to_owned(), vec![average, -average])));
            let averaged = ema.swap_in();
            let now = || {
                [&module.moving.value(), &module.frozen.value(), &module.statistic.value()].map(|x| read(x.clone())[0])
            };
            assert_eq!(now(), [average, 1.0, average]);
            drop(averaged);
            assert_eq!(now(), [weight, 1.0, weight]);
        }
        ema.set("moving", Tensor::new(&[1.0, 2.0], [2]).upload(&device)).unwrap();
        for (name, size, words) in [
            ("frozen", 2, "frozen is not averaged"),
            ("still", 2, "still is not averaged"),
            ("other", 2, "other is not"),
            ("moving", 1, "is [2], not [1]"),
        ] {
            let error = ema.set(name, Tensor::zeros([size]).upload(&device)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let averages = |ema: &Ema| ema.averages().map(|(_, value)| read(value)).collect::<Vec<_>>();
        assert_eq!(averages(&ema), [[1.0, 2.0], [9.8125, -9.8125]]);
        ema.restart();
        assert_eq!(averages(&ema), [[16.0, -16.0]; 2]);
    }
}

/// As long as (1 + t)/(10 + t) is below d, the share of the initial weights in the average is the product of these factors. With a
/// constant d = 0.999 it would be 0.52 after 655 steps.
#[test]
fn the_initial_weights_leave_the_average_of_a_short_run() {
    let module = Averaged::on(&Device::Cpu);
    let mut ema = Ema::new(0.999, &module);
    module.moving.set(Tensor::zeros([2]));
    let mut share = 1.0;
    for step in 1..=655_u32 {
        ema.update(u64::from(step));
        share *= f64::from(1 + step) / f64::from(10 + step);
        let average = f64::from(ema.averages().next().expect("an average").1.data()[0]);
        assert!((average / 4.0 - share).abs() <= 1e-4 * share, "step {step}: {average}, but the share is {share}");
    }
    assert!(share < 1e-15, "{share}");
    let first = Averaged::on(&Device::Cpu);
    let mut ema = Ema::new(0.5, &first);
    first.moving.set(Tensor::zeros([2]));
    [8, 1_000_000].iter().for_each(|&step| ema.update(step)); // from step 8 on, d is the smaller of the two
    assert_eq!(ema.averages().next().expect("an average").1.data()[0], 1.0);
}

/// After its parameters and moments have moved to another device, `step` goes on there.
#[test]
fn an_optimiser_moves_with_its_parameters() {
    let values = |param: &Param| fetch(&param.value()).data().to_vec();
    let trained = |devices: [&Device; 2]| {
        let params = named(&[Tensor::new(&[1.0, -2.0, 3.0], [3])], devices[0]);
        let (param, mut adam) = (&params[0].1, Optimizer::adam());
        for device in devices {
            let state = adam.state(param).unwrap_or_default().iter().map(fetch).collect::<Vec<_>>();
            param.set(fetch(&param.value()).upload(device));
            if !state.is_empty() {
                adam.restore(adam.steps(), [(param, state)]);
            }
            adam.step(&params, &mut (&param.var() * &param.var()).sum_all().backward(), 0.1);
        }
        values(param)
    };
    for device in devices() {
        let (moved, stayed) = (trained([&Device::Cpu, &device]), trained([&Device::Cpu, &Device::Cpu]));
        for (moved, stayed) in moved.iter().zip(&stayed) {
            approx::assert_relative_eq!(moved, stayed, max_relative = 1e-6);
        }
        trained([&device, &Device::Cpu]); // and back
    }
}

/// A new optimiser with the moments and step count of another one continues like it.
#[test]
fn an_optimiser_continues_from_its_moments() {
    for device in devices() {
        let fresh = |x: &Tensor| vec![("w".to_owned(), Param::new(x.upload(&device)))];
        let start = Tensor::new(&[1.0, -2.0, 3.0, 0.5, 4.0], [5]);
        let params = fresh(&start);
        let mut adam = Optimizer::adam();
        let monitor = {
            let mut monitor = GradientMonitor::new(1, &device);
            let one = Tensor::ones([1]).upload(&device);
            monitor.observe(0, &[&one], &[&one], None);
            monitor
        };
        let step = |adam: &mut Optimizer, params: &[(String, Param)]| {
            let loss = (&params[0].1.var() * &params[0].1.var()).sum_all();
            adam.step_with(params, &mut loss.backward(), 0.1, &monitor);
        };
        (0..3).for_each(|_| step(&mut adam, &params));
        let read = |tensor: &Tensor| reference::wait::block_on(tensor.read()).expect("a device that works");
        let moments = adam.state(&params[0].1).expect("it has moved");
        assert!(moments.len() == 2 && moments.iter().all(|moment| moment.shape() == start.shape()));
        let moments = moments.iter().map(|moment| Tensor::new(&read(moment), [5])).collect();
        let others = fresh(&Tensor::new(&read(&params[0].1.value()), [5]));
        let mut other = Optimizer::adam();
        other.restore(adam.steps(), [(&others[0].1, moments)]);
        [(&mut adam, &params), (&mut other, &others)].into_iter().for_each(|(adam, params)| step(adam, params));
        assert_eq!(read(&params[0].1.value()), read(&others[0].1.value()));
    }
}
