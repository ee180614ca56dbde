//! Functions of two numbers, element by element, with broadcasting:  c = a ∘ b. Comparisons give 1 or 0, and have no gradient.
//! Shapes are aligned at the last dimension. Where two sizes differ, one of them must be 1; that dimension is repeated.

use crate::cpu::parallel;
use crate::cpu::simd::Isa;
use crate::device::Device;
use crate::kernel::{Dtype, Kernel};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::trace;

static WGSL: [&str; 2] = [shaders::GRID, shaders::BINARY];
pub(super) static BINARY: Kernel = Kernel::checked(&WGSL, "binary").of_any_dtype();
pub(super) static BINARY_BROADCAST: Kernel = Kernel::checked(&WGSL, "binary_broadcast").of_any_dtype();
pub(super) static BLEND_ASSIGN: Kernel = Kernel::checked(&WGSL, "blend_assign").of_any_dtype();

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
                    broadcast(stringify!($name), Row::$name as usize, self, rhs, |isa, operands, first, part, cols| {
                        isa.run(|| rows(operands, first, part, cols, $f));
                    })
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
fn broadcast(what: &'static str, row: usize, a: &Tensor, b: &Tensor, rows: Loop) -> Tensor {
    let Some(shape) = a.shape().broadcast(b.shape()) else {
        panic!("{what}: shapes {} and {} do not broadcast", a.shape(), b.shape());
    };
    if let Device::Gpu(_) = a.device() {
        // Comparisons are f32, which losses and masks take.
        let dtype = if row <= Row::div as usize { Tensor::common_dtype(&[a, b]) } else { Dtype::F32 };
        if a.shape() == b.shape() {
            let quads = shape.count().div_ceil(4);
            let run = BINARY.over(quads).set("FUNCTION", row).read(a).read(b).params([quads]).named(what);
            return run.dtype(dtype).write(shape);
        }
        let run = BINARY_BROADCAST.over(shape.count()).set("FUNCTION", row).read(a).read(b).sizes(&shape, 1);
        let run = run.sizes(&a.shape().broadcast_strides(&shape), 0).sizes(&b.shape().broadcast_strides(&shape), 0);
        return run.params([shape.count()]).named(what).dtype(dtype).write(shape);
    }
    let isa = Isa::current();
    if a.shape() == b.shape() {
        return Tensor::build(what, &[a, b], shape, |out| {
            parallel::dispatch_chunks(out, &|first, part| {
                let flat = Shape::new(&[part.len()]);
                let operands = [a, b].map(|x| Operand::of(&x.data()[first..], &flat, &flat));
                rows(isa, &operands, 0, part, part.len());
            });
        });
    }
    let cols = shape.last().copied().unwrap_or(1);
    let operands = [a, b].map(|x| Operand::of(x.data(), x.shape(), &shape));
    Tensor::build(what, &[a, b], shape, |out| {
        parallel::for_some_rows(out, cols, cols, &|first, part| rows(isa, &operands, first, part, cols));
    })
}

/// Computes a part of a result from its operands: rows of `cols` elements, of which the first has the number `first`. Only this loop is
/// compiled for each function.
type Loop = fn(Isa, &[Operand; 2], first: usize, part: &mut [f32], cols: usize);

#[inline(always)]
fn rows([a, b]: &[Operand; 2], first: usize, part: &mut [f32], cols: usize, f: impl Fn(f32, f32) -> f32) {
    for (r, out) in part.chunks_mut(cols.max(1)).enumerate() {
        let (a_row, b_row) = (a.row(first + r), b.row(first + r));
        // Within a row, each operand either advances or repeats one element.
        match (a.walks, b.walks) {
            (true, true) => {
                let (a, b) = (&a_row[..out.len()], &b_row[..out.len()]);
                for i in 0..out.len() {
                    out[i] = f(a[i], b[i]);
                }
            }
            (true, false) => out.iter_mut().zip(a_row).for_each(|(c, &a)| *c = f(a, b_row[0])),
            (false, true) => out.iter_mut().zip(b_row).for_each(|(c, &b)| *c = f(a_row[0], b)),
            (false, false) => out.fill(f(a_row[0], b_row[0])),
        }
    }
}

/// The elements of an operand, and where each row of the result begins in them.
struct Operand<'a> {
    data: &'a [f32],
    outer: Shape,   // the result's sizes except the last
    strides: Shape, // the operand's strides along them, 0 where it is repeated
    walks: bool,    // whether the operand advances along the last dimension
}

impl Operand<'_> {
    fn of<'a>(data: &'a [f32], operand: &Shape, result: &Shape) -> Operand<'a> {
        let result = result.padded(result.len().max(1));
        let strides = operand.broadcast_strides(&result);
        let (&walks, _) = strides.split_last().expect("padded to at least one dimension");
        Operand { data, outer: Shape::new(&result[..result.len() - 1]), walks: walks == 1, strides }
    }

    /// The elements from those of this row of the result on.
    #[inline]
    fn row(&self, mut row: usize) -> &[f32] {
        let mut start = 0;
        for d in (0..self.outer.len()).rev() {
            start += row % self.outer[d] * self.strides[d];
            row /= self.outer[d];
        }
        &self.data[start..]
    }
}
