//! Tensors from numbers, ranges and patterns.
//!
//! A tensor is made on the CPU, and [`upload`](Tensor::upload) copies it to a device. Only a tensor of one value needs no copy:
//! [`full_on`](Tensor::full_on) and the functions called `…_like` fill it where it will be.

use crate::device::Device;
use crate::ops::layout::filled;
use crate::shape::Shape;
use crate::tensor::Tensor;

impl Tensor {
    /// A tensor of these elements, in row-major order, on the CPU. They are copied to memory that begins at a cache line.
    ///
    /// # Panics
    /// If `data` does not have as many elements as `shape`.
    #[track_caller]
    pub fn from_vec(data: Vec<f32>, shape: impl Into<Shape>) -> Tensor {
        Tensor::new(&data, shape)
    }

    /// `[n]`: start, start + step, start + 2·step, … before `end`. Each number is computed in f64 and rounded once.
    ///
    /// # Panics
    /// If `step` is 0 or leads away from `end`, or a number is not finite.
    #[track_caller]
    pub fn arange(start: f32, end: f32, step: f32) -> Tensor {
        let steps = (f64::from(end) - f64::from(start)) / f64::from(step);
        assert!(steps >= 0.0 && steps.is_finite(), "arange: from {start} to {end} in steps of {step}");
        Tensor::numbers("arange", steps.ceil() as usize, |i| f64::from(start) + i as f64 * f64::from(step))
    }

    /// `[steps]`: equally spaced numbers from `start` to `end`, both included. A single one is `start`.
    pub fn linspace(start: f32, end: f32, steps: usize) -> Tensor {
        let last = steps.saturating_sub(1).max(1) as f64;
        Tensor::numbers("linspace", steps, |i| {
            (f64::from(start) * (last - i as f64) + f64::from(end) * i as f64) / last
        })
    }

    /// `[n, n]`: ones on the diagonal and zeros elsewhere.
    pub fn eye(n: usize) -> Tensor {
        Tensor::build("eye", &[], [n, n].into(), |out| {
            out.fill(0.0);
            out.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
        })
    }

    /// A tensor on this device whose every element is `value`. Nothing is copied from the CPU.
    pub fn full_on(shape: impl Into<Shape>, value: f32, device: &Device) -> Tensor {
        match device {
            Device::Cpu => Tensor::full(shape, value),
            Device::Gpu(machine) => filled(machine, shape.into(), value),
        }
    }

    /// A tensor of this one's shape on the same device, whose elements are all `value`.
    pub fn full_like(&self, value: f32) -> Tensor {
        Tensor::full_on(self.shape(), value, &self.device())
    }

    /// A tensor of zeros of this one's shape on the same device.
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }

    /// A tensor of ones of this one's shape on the same device.
    pub fn ones_like(&self) -> Tensor {
        self.full_like(1.0)
    }

    fn numbers(operation: &str, count: usize, number: impl Fn(usize) -> f64) -> Tensor {
        let fill = |out: &mut [f32]| out.iter_mut().enumerate().for_each(|(i, x)| *x = number(i) as f32);
        Tensor::build(operation, &[], [count].into(), fill)
    }
}
