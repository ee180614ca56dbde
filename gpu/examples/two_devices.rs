//! One step of training on two devices at once: each computes the gradient of half a batch.
//!
//!     cargo run -p gpu --example two_devices
//!
//! The loss is a mean over the batch, so its gradient is the mean of the gradients of both halves. The CPU and a GPU have a copy of the
//! model each. After every step the gradients meet on the CPU, the optimiser changes the weights there, and the GPU gets a copy. This
//! is data-parallel training. The program compares it with training on the CPU alone.

use autograd::{Gradients, Param, Var};
use gpu::{Context, Options};
use nn::optim::Optimizer;
use nn::{Activation, ForwardContext, Layer, Linear, Sequential};
use pollster::block_on;
use tensor::{Device, Generator, Tensor};

const STEPS: usize = 50;
const BATCH: usize = 64;

/// [batch, 2] → [batch, 1]. Every call gives the same weights.
fn model() -> Sequential {
    let rng = &mut Generator::new(1);
    Sequential::new(vec![
        Box::new(Linear::new(rng, 2, 64)),
        Box::new(Activation::Tanh),
        Box::new(Linear::new(rng, 64, 1)),
    ])
}

/// The mean squared error of a model, whose device is that of x and y.
fn loss(model: &Sequential, x: Tensor, y: Tensor) -> Var {
    let error = model.forward(&Var::constant(x), &ForwardContext::eval()) - Var::constant(y);
    error.square().mean_all()
}

/// Points in the plane, [batch, 2], and the product of their coordinates, [batch, 1].
fn batch(step: usize) -> (Tensor, Tensor) {
    let x = Generator::stream(2, step as u64).uniform_tensor([BATCH, 2], -1.0, 1.0);
    let y = x.slice(1, 0, 1).mul(&x.slice(1, 1, 1));
    (x, y)
}

/// The mean of the gradients of two halves, on the CPU.
fn mean(on_cpu: &mut Gradients, cpu: &[(String, Param)], on_gpu: &Gradients, gpu: &[(String, Param)]) {
    for ((_, here), (_, there)) in cpu.iter().zip(gpu) {
        let half = on_gpu.get(there).expect("every weight has a gradient").cpu();
        on_cpu.change(here, |gradient| gradient.add(&half).mul_scalar(0.5));
    }
}

fn main() {
    gpu::prepare_process(); // keeps a message of the driver off the screen
    let gpu = match block_on(Context::open(Options::default())) {
        Ok(gpu) => gpu,
        Err(error) => return println!("no second device: {error}"),
    };
    println!("devices: the CPU and {}", gpu.adapter());
    let gpu = Device::Gpu(gpu);

    let (alone, first, second) = (model(), model(), model());
    nn::upload(&second, &gpu);
    let [params_alone, params_first, params_second] = [&alone, &first, &second].map(|model| nn::parameters(model));
    let (mut optimizer_alone, mut optimizer) = (Optimizer::adam(), Optimizer::adam());

    for step in 0..STEPS {
        let (x, y) = batch(step);
        let one = loss(&alone, x.clone(), y.clone());
        optimizer_alone.step(&params_alone, &mut one.backward(), 0.01);

        let half = BATCH / 2;
        let part = |t: &Tensor, i: usize| t.slice(0, i * half, half);
        // The GPU only receives its work here, and computes it while the CPU does its own half.
        let there = loss(&second, part(&x, 1).upload(&gpu), part(&y, 1).upload(&gpu));
        let on_gpu = there.backward();
        let here = loss(&first, part(&x, 0), part(&y, 0));
        let mut gradients = here.backward();
        mean(&mut gradients, &params_first, &on_gpu, &params_second);
        optimizer.step(&params_first, &mut gradients, 0.01);
        for ((_, new), (_, copy)) in params_first.iter().zip(&params_second) {
            copy.set(new.value().upload(&gpu));
        }

        if step % 10 == 0 || step == STEPS - 1 {
            println!(
                "step {step:2}: loss {:.6} alone, {:.6} on two devices",
                one.item(),
                (here.item() + there.item()) / 2.0
            );
        }
    }

    let difference = |(a, b): (&(String, Param), &(String, Param))| {
        let difference = a.1.value().sub(&b.1.value());
        difference.data().iter().fold(0.0_f32, |most, x| most.max(x.abs()))
    };
    let largest = params_alone.iter().zip(&params_first).map(difference).fold(0.0, f32::max);
    println!("the weights differ by at most {largest:.1e}, which is rounding");
    assert!(largest < 1e-3);
}
