//! Functions of two numbers, element by element, with broadcasting:  c = a ∘ b. Comparisons give 1 or 0, and have no gradient.
//! Shapes are aligned at the last dimension. Where two sizes differ, one of them must be 1; that dimension is repeated.

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::trace;

static WGSL: [&str; 2] = [shaders::GRID, shaders::BINARY];
pub(super) static BINARY: Kernel = Kernel::checked(&WGSL, "binary");
pub(super) static BINARY_BROADCAST: Kernel = Kernel::checked(&WGSL, "binary_broadcast");
pub(super) static BLEND_ASSIGN: Kernel = Kernel::checked(&WGSL, "blend_assign");

macro_rules! tensor_functions {
    ($($(#[$doc:meta])* $name:ident: $f:expr;)*) => {
        /// The numbers of the functions in the shader.
        #[allow(non_camel_case_types)]
        enum Row { $($name),* }

        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// If the shapes do not broadcast.
                #[track_caller]
                pub fn $name(&self, rhs: &Tensor) -> Tensor {
                    broadcast(stringify!($name), Row::$name as usize, self, rhs, $f)
                }
            )*
        }
    };
}

tensor_functions! {
    /// a + b, element by element, with broadcasting.
    add: |a, b| a + b;
    /// a − b, element by element, with broadcasting.
    sub: |a, b| a - b;
    /// a·b, element by element, with broadcasting.
    mul: |a, b| a * b;
    /// a / b, element by element, with broadcasting.
    div: |a, b| a / b;
    /// 1 where a = b, else 0, element by element, with broadcasting.
    eq: |a, b| number(a == b);
    /// 1 where a ≠ b, else 0, element by element, with broadcasting.
    ne: |a, b| number(a != b);
    /// 1 where a < b, else 0, element by element, with broadcasting.
    lt: |a, b| number(a < b);
    /// 1 where a ≤ b, else 0, element by element, with broadcasting.
    le: |a, b| number(a <= b);
    /// 1 where a > b, else 0, element by element, with broadcasting.
    gt: |a, b| number(a > b);
    /// 1 where a ≥ b, else 0, element by element, with broadcasting.
    ge: |a, b| number(a >= b);
}

fn number(condition: bool) -> f32 {
    f32::from(u8::from(condition))
}

impl Tensor {
    /// Adds `rhs`, of the same shape, in place. If other tensors share the elements, this one gets a copy first.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn add_assign(&mut self, rhs: &Tensor) {
        assert_eq!(self.shape(), rhs.shape(), "add_assign: {} and {}", self.shape(), rhs.shape());
        match self.device() {
            Device::Cpu => {
                let (begun, y) = (trace::begin(), rhs.data());
                parallel::for_each_chunk(self.data_mut(), |first, part| {
                    part.iter_mut().zip(&y[first..]).for_each(|(x, &y)| *x += y);
                });
                begun.end("add_assign", [self.shape(), rhs.shape()], self.shape());
            }
            Device::Gpu(_) => {
                let quads = self.count().div_ceil(4);
                BLEND_ASSIGN
                    .over(quads)
                    .read(rhs)
                    .params([quads])
                    .floats([1.0, 1.0])
                    .named("add_assign")
                    .update([self]);
            }
        }
    }

    /// Replaces x by `kept`·x + `gain`·`rhs`, in place; `rhs` has the same shape. If other tensors share the elements, this one gets a
    /// copy first.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn blend_assign(&mut self, kept: f32, rhs: &Tensor, gain: f32) {
        assert_eq!(self.shape(), rhs.shape(), "blend_assign: {} and {}", self.shape(), rhs.shape());
        match self.device() {
            Device::Cpu => {
                let (begun, y) = (trace::begin(), rhs.data());
                parallel::for_each_chunk(self.data_mut(), |first, part| {
                    part.iter_mut().zip(&y[first..]).for_each(|(x, &y)| *x = kept * *x + gain * y);
                });
                begun.end("blend_assign", [self.shape(), rhs.shape()], self.shape());
            }
            Device::Gpu(_) => {
                let quads = self.count().div_ceil(4);
                BLEND_ASSIGN.over(quads).read(rhs).params([quads]).floats([kept, gain]).update([self]);
            }
        }
    }
}

#[track_caller]
fn broadcast(what: &'static str, row: usize, a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Tensor {
    let Some(shape) = a.shape().broadcast(b.shape()) else {
        panic!("{what}: shapes {} and {} do not broadcast", a.shape(), b.shape());
    };
    if let Device::Gpu(_) = a.device() {
        if a.shape() == b.shape() {
            let quads = shape.count().div_ceil(4);
            return BINARY.over(quads).set("FUNCTION", row).read(a).read(b).params([quads]).named(what).write(shape);
        }
        let run = BINARY_BROADCAST.over(shape.count()).set("FUNCTION", row).read(a).read(b).sizes(&shape, 1);
        let run = run.sizes(&a.shape().broadcast_strides(&shape), 0).sizes(&b.shape().broadcast_strides(&shape), 0);
        return run.params([shape.count()]).named(what).write(shape);
    }
    let (a_data, b_data) = (a.data(), b.data());
    if a.shape() == b.shape() {
        return Tensor::build(what, &[a, b], shape, |out| {
            parallel::for_each_chunk(out, |first, part| {
                let pairs = a_data[first..].iter().zip(&b_data[first..]);
                part.iter_mut().zip(pairs).for_each(|(c, (&a, &b))| *c = f(a, b));
            });
        });
    }
    // Row by row: within the last dimension each operand either advances or repeats one element.
    let cols = shape.last().copied().unwrap_or(1);
    let (a_rows, b_rows) = (Rows::of(a.shape(), &shape), Rows::of(b.shape(), &shape));
    Tensor::build(what, &[a, b], shape, |out| {
        parallel::for_each_row(out, cols, |row, out| {
            let (a, b) = (&a_data[a_rows.start(row)..], &b_data[b_rows.start(row)..]);
            match (a_rows.walks, b_rows.walks) {
                (true, true) => out.iter_mut().zip(a.iter().zip(b)).for_each(|(c, (&a, &b))| *c = f(a, b)),
                (true, false) => out.iter_mut().zip(a).for_each(|(c, &a)| *c = f(a, b[0])),
                (false, true) => out.iter_mut().zip(b).for_each(|(c, &b)| *c = f(a[0], b)),
                (false, false) => out.fill(f(a[0], b[0])),
            }
        });
    })
}

/// Where each row of a result begins in an operand.
struct Rows {
    outer: Shape,   // the result's sizes except the last
    strides: Shape, // the operand's strides along them, 0 where it is repeated
    walks: bool,    // whether the operand advances along the last dimension
}

impl Rows {
    fn of(operand: &Shape, result: &Shape) -> Rows {
        let result = result.padded(result.len().max(1));
        let strides = operand.broadcast_strides(&result);
        let (&walks, _) = strides.split_last().expect("padded to at least one dimension");
        Rows { outer: Shape::new(&result[..result.len() - 1]), walks: walks == 1, strides }
    }

    fn start(&self, mut row: usize) -> usize {
        let mut start = 0;
        for d in (0..self.outer.len()).rev() {
            start += row % self.outer[d] * self.strides[d];
            row /= self.outer[d];
        }
        start
    }
}
