//! The optimiser: Adam equals the formula of its paper in f64 on every device, and follows the gradient monitor.

use autograd::{Buffer, Gradients, Param, Var};
use nn::optim::{Adam, AdamConfig, Ema};
use nn::{Module, Visitor};
use reference::adam::{self, Settings};
use reference::place::{devices, everywhere, fetch};
use reference::{Array, compare};
use tensor::{Device, Generator, GradientMonitor, Tensor};

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

#[test]
fn defaults_are_pytorch_s() {
    let AdamConfig { beta1, beta2, eps, weight_decay } = AdamConfig::default();
    assert_eq!([beta1, beta2, eps, weight_decay], [0.9, 0.999, 1e-8, 0.0]);
}

#[test]
fn parameters_follow_the_reference() {
    everywhere(|device| {
        let mut rng = Generator::new(1);
        for weight_decay in [0.0, 0.2] {
            let start = [rng.normal_tensor([3, 4]), rng.normal_tensor([7]), rng.normal_tensor([2])];
            let params = named(&start, device);
            let mut adam = Adam::new(AdamConfig { weight_decay, ..AdamConfig::default() });
            let fresh = |x: &Tensor| x.data().iter().map(|&x| adam::Adam::new(f64::from(x))).collect::<Vec<_>>();
            let mut exact: Vec<Vec<adam::Adam>> = start.iter().map(fresh).collect();
            for step in 0..8 {
                let rate = 0.1 / f64::from(step + 1); // the learning rate belongs to the step
                let wanted: Vec<Tensor> = start.iter().map(|x| rng.normal_tensor(x.shape())).collect();
                adam.step(&params, &mut gradients(&params, &wanted), rate, &GradientMonitor::new(1, device));
                let settings = Settings { rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay };
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
        let mut adam = Adam::new(AdamConfig { weight_decay: 0.5, ..AdamConfig::default() });
        let used = &params[..2]; // the third is not part of the loss
        let mut gradients = gradients(used, &[Tensor::ones([2]), Tensor::ones([2])]);
        adam.step(&params, &mut gradients, 0.1, &GradientMonitor::new(1, device));
        let value = |i: usize| fetch(&params[i].1.value());
        assert_ne!(value(0).data(), [1.0; 2]);
        assert_eq!(value(1).data(), [1.0; 2]);
        assert_eq!(value(2).data(), [1.0; 2]);
        let has_moments: Vec<bool> = params.iter().map(|(_, param)| adam.has_moments(param)).collect();
        assert_eq!((adam.steps(), has_moments), (1, vec![true, false, false]));
    });
}

#[test]
fn a_step_with_a_non_finite_gradient_changes_nothing() {
    everywhere(|device| {
        let params = named(&[Tensor::ones([2]), Tensor::ones([3])], device);
        let mut adam = Adam::new(AdamConfig::default());
        let mut gradients = gradients(&params, &[Tensor::ones([2]), Tensor::full([3], f32::INFINITY)]);
        let mut monitor = GradientMonitor::new(1, device);
        let of: Vec<&Tensor> = params.iter().filter_map(|(_, p)| gradients.get(p)).collect();
        let watched = Tensor::ones([]).upload(device);
        monitor.observe(0, &of, &[&watched], None);
        adam.step(&params, &mut gradients, 0.1, &monitor);
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

impl Module for Averaged {
    fn visit(&self, v: &mut Visitor) {
        v.param("moving", &self.moving);
        v.param("frozen", &self.frozen);
        v.buffer("statistic", &self.statistic);
        v.buffer("still", &self.still);
    }
}

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
    pollster::block_on(tensor.read()).expect("a device that works")
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

/// A new optimiser with the moments and step count of another one continues like it.
#[test]
fn an_optimiser_continues_from_its_moments() {
    for device in devices() {
        let fresh = |x: &Tensor| vec![("w".to_owned(), Param::new(x.upload(&device)))];
        let start = Tensor::new(&[1.0, -2.0, 3.0, 0.5, 4.0], [5]);
        let params = fresh(&start);
        let mut adam = Adam::new(AdamConfig::default());
        let monitor = {
            let mut monitor = GradientMonitor::new(1, &device);
            let one = Tensor::ones([1]).upload(&device);
            monitor.observe(0, &[&one], &[&one], None);
            monitor
        };
        let step = |adam: &mut Adam, params: &[(String, Param)]| {
            let loss = (&params[0].1.var() * &params[0].1.var()).sum_all();
            adam.step(params, &mut loss.backward(), 0.1, &monitor);
        };
        (0..3).for_each(|_| step(&mut adam, &params));
        let read = |tensor: &Tensor| pollster::block_on(tensor.read()).expect("a device that works");
        let moments = adam.moments(&params[0].1).expect("it has moved");
        assert!(moments.iter().all(|moment| moment.shape() == start.shape()));
        let moments = moments.map(|moment| Tensor::new(&read(&moment), [5]));
        let others = fresh(&Tensor::new(&read(&params[0].1.value()), [5]));
        let mut other = Adam::new(AdamConfig::default());
        other.restore(adam.steps(), [(&others[0].1, moments)]);
        [(&mut adam, &params), (&mut other, &others)].into_iter().for_each(|(adam, params)| step(adam, params));
        assert_eq!(read(&params[0].1.value()), read(&others[0].1.value()));
    }
}
