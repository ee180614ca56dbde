//! A complete training step of a small model (forward, backward, Adam): on a counting device, on a GPU with WebGPU's minimal
//! limits, and in a loop, which must not create new objects.

use autograd::{Param, Var};
use gpu::{Context, Counters, Options};
use nn::ForwardContext;
use nn::optim::Optimizer;
use pollster::block_on;
use reference::compare::assert_same_bits;
use reference::counting::Counts;
use reference::place::{fetch, gpu};
use tensor::{Device, Generator, GradientMonitor, GradientStatus, Tensor};
use vae::config::{Config, Stem};
use vae::model::{self, Vae};
use vae::objective::{END, Objective, ScheduleContext};

const BATCH: usize = 4;
/// The number of steps whose losses the device stores.
const HISTORY: usize = 16;

struct Training {
    device: Device,
    model: Box<dyn Vae>,
    objective: Objective,
    params: Vec<(String, Param)>,
    adam: Optimizer,
    monitor: GradientMonitor,
    rng: Generator,
    shapes: [Vec<usize>; 2],
    steps: usize,
}

impl Training {
    fn new(device: &Device) -> Training {
        let mut config = Config::default();
        (config.model.width, config.model.z_dim) = (8, 5);
        config.model.stem = Stem::Large; // includes max pooling
        let model = model::build(&config);
        nn::upload(&*model, device);
        Training {
            objective: Objective::new(&config),
            params: nn::parameters(&*model),
            adam: Optimizer::adam(),
            monitor: GradientMonitor::new(HISTORY, device),
            rng: Generator::new(1),
            shapes: [vec![BATCH, config.channels(), config.image_size(), config.image_size()], vec![BATCH, 5]],
            steps: 0,
            device: device.clone(),
            model,
        }
    }

    /// One step of the trainer. It waits only for a device that is two steps behind.
    fn step(&mut self) {
        let x = self.rng.uniform_tensor(&self.shapes[0][..], 0.0, 1.0).upload(&self.device);
        let eps = self.rng.normal_tensor(&self.shapes[1][..]).upload(&self.device);
        let ctx = ForwardContext::train(1, self.steps as u64);
        let (mu, logvar) = self.model.encode(&Var::constant(x.clone()), &ctx);
        let z = mu.reparameterise(&logvar, &eps);
        let moment = ScheduleContext { epochs: END, images: BATCH };
        let terms = self.objective.terms(&self.model.decode(&z, &ctx), &x, [&z, &mu, &logvar], moment, &ctx);
        let mut gradients = terms.total.backward();
        let all: Vec<&Tensor> = self.params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
        assert_eq!(all.len(), self.params.len());
        self.monitor.observe(self.steps % HISTORY, &all, &terms.watched(), Some(100.0));
        self.adam.step_with(&self.params, &mut gradients, 1e-3, &self.monitor);
        if let Device::Gpu(machine) = &self.device {
            block_on(machine.end_step()).unwrap_or_else(|error| panic!("{error}"));
        }
        self.steps += 1;
    }

    fn steps(mut self, count: usize) -> Training {
        (0..count).for_each(|_| self.step());
        self
    }

    fn noted(&self) -> Vec<GradientStatus> {
        block_on(self.monitor.read(self.steps)).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A step reads no element and frees all that it allocates. The counting device checks every launch.
#[test]
fn a_step_reads_nothing_and_leaves_no_buffers() {
    let (machine, device) = crate::counting::machine();
    let mut training = Training::new(&device).steps(1);
    let (live, before) = (machine.live(), machine.counts());
    training.step();
    let after = machine.counts();
    println!("a step: {} launches, {} buffers", after.launches - before.launches, after.allocs - before.allocs);
    assert_eq!((after.reads, after.writes - before.writes), (0, 2), "images and noise go there, nothing comes back");
    assert_eq!((machine.live(), after.steps), (live, 2));
    drop(training);
    assert_eq!(machine.live(), 0);
    let Counts { allocs, frees, .. } = machine.counts();
    assert_eq!(allocs, frees);
}

/// The whole model trains with eight buffers per kernel and 128 MiB per buffer, and its losses equal the CPU's.
#[test]
fn a_step_works_with_minimal_limits_and_equals_the_cpu_s() {
    let device = gpu(); // it has minimal limits
    let there = Training::new(&device).steps(1);
    let here = Training::new(&Device::Cpu).steps(1);
    let (there, here) = (there.noted()[0], here.noted()[0]);
    assert!(!there.non_finite);
    for (there, here) in there.watched.into_iter().zip(here.watched).take(3) {
        approx::assert_relative_eq!(there, here, max_relative = 1e-5);
    }
    approx::assert_relative_eq!(there.norm, here.norm, max_relative = 1e-4);
}

/// After the first steps nothing is created: no kernel, no bind group, no buffer. Nothing is read.
#[test]
fn a_steady_loop_creates_nothing() {
    // A context of its own, so that no other test is counted.
    let context = block_on(Context::open(Options::default())).unwrap_or_else(|error| panic!("{error}"));
    let training = Training::new(&Device::Gpu(context.clone())).steps(5);
    let before = context.counters();
    let training = training.steps(5);
    let after = context.counters();
    let made = |c: Counters| (c.pipelines, c.bind_groups, c.buffers, c.bytes, c.reads);
    println!(
        "{}: {} launches and {} submissions a step, {} pipelines, {} bind groups, {} buffers of {} KiB together",
        context.adapter(),
        (after.launches - before.launches) / 5,
        (after.submits - before.submits) as f64 / 5.0,
        after.pipelines,
        after.bind_groups,
        after.buffers,
        after.bytes >> 10,
    );
    assert_eq!(made(after), made(before));
    assert_eq!(after.reads, 0);
    assert_eq!(after.writes - before.writes, 10, "images and noise");
    assert!(training.noted().iter().all(|noted| !noted.non_finite && noted.norm > 0.0));
}

/// Sums have a fixed order on every thread and GPU, so the same steps give the same bits.
#[test]
fn the_same_steps_give_the_same_bits() {
    let [one, two] = [0; 2].map(|_| Training::new(&gpu()).steps(3));
    for ((name, one), (_, two)) in one.params.iter().zip(&two.params) {
        assert_same_bits(name, &one.value(), &two.value());
        assert!(fetch(&one.value()).data().iter().all(|x| x.is_finite()), "{name}");
    }
}
