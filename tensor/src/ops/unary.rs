//! Functions of one number, element by element:  y = f(x),  dx = dy · f′.
//! Each row of the table says whether the derivative is computed from the input x or from the output y. Only that one is saved.

use crate::cpu::elementary::{exp, ln, logistic, logistic_and_derivative, softplus, tanh};
use crate::cpu::parallel;
use crate::cpu::simd::{Isa, SimdKernel, Vector};
use crate::cpu::special::{cos, normal_cdf, normal_density, pow, round, sin};
use crate::device::Device;
use crate::kernel::{Dtype, Kernel};
use crate::tensor::Tensor;

static WGSL: [&str; 4] = [shaders::GRID, shaders::MATH, shaders::SPECIAL, shaders::UNARY];
pub(super) static UNARY: Kernel = Kernel::checked(&WGSL, "unary").of_any_dtype();
pub(super) static UNARY_GRADIENT: Kernel = Kernel::checked(&WGSL, "unary_gradient").of_any_dtype();

/// The tensor that is saved to compute the derivative of a [`Unary`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// x.
    Input,
    /// y.
    Output,
}

/// The functions, one per row: `name(parameters): f = …, df = …, saved Input|Output`. The macro passes all rows to the macro `$with`,
/// so that tensors, variables and tests are generated from the same table.
#[macro_export]
#[doc(hidden)]
macro_rules! unary_table {
    ($with:ident) => {
        $with! {
            /// max(x, 0), with derivative 0 at 0.
            relu(): f = |x| if x < 0.0 { 0.0 } else { x }, df = |y| if y > 0.0 { 1.0 } else { 0.0 }, saved Output;
            /// x above 0, slope·x below.
            leaky_relu(slope): f = |x| if x > 0.0 { x } else { slope * x }, df = |x| if x > 0.0 { 1.0 } else { slope }, saved Input;
            /// 1 / (1 + e⁻ˣ).
            sigmoid(): f = |x| logistic(x), df = |y| y * (1.0 - y), saved Output;
            /// The hyperbolic tangent.
            tanh(): f = |x| tanh(x), df = |y| 1.0 - y * y, saved Output;
            /// eˣ.
            exp(): f = |x| exp(x), df = |y| y, saved Output;
            /// The natural logarithm.
            log(): f = |x| ln(x), df = |x| 1.0 / x, saved Input;
            /// The square root.
            sqrt(): f = |x| x.sqrt(), df = |y| 0.5 / y, saved Output;
            /// The absolute value, with derivative 0 at 0.
            abs(): f = |x| x.abs(), df = |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 }, saved Input;
            /// x².
            square(): f = |x| x * x, df = |x| 2.0 * x, saved Input;
            /// ln(1 + eˣ), finite for every finite x.
            softplus(): f = |x| softplus(x), df = |x| logistic(x), saved Input;
            /// x limited to `[low, high]`. Outside, the derivative is 0.
            clamp(low, high): f = |x| if x < low { low } else if x > high { high } else { x },
                df = |x| if x < low || x > high { 0.0 } else { 1.0 }, saved Input;
            /// x + c.
            add_scalar(c): f = |x| x + c, df = |_y| 1.0, saved Output;
            /// c·x.
            mul_scalar(c): f = |x| c * x, df = |_y| c, saved Output;
            /// x / c.
            div_scalar(c): f = |x| x / c, df = |_y| 1.0 / c, saved Output;
            /// xᵉ: NaN for a negative x unless e is whole, 1 for e = 0. The error is about |e·ln x| units in the last place; `square`
            /// and `sqrt` are exact to one.
            pow(e): f = |x| pow(x, e), df = |x| if e == 0.0 { 0.0 } else { e * pow(x, e - 1.0) }, saved Input;
            /// The sine, within 1e-6 for |x| ≤ 8192. Beyond, the error grows with |x|.
            sin(): f = |x| sin(x), df = |x| cos(x), saved Input;
            /// The cosine, within 1e-6 for |x| ≤ 8192. Beyond, the error grows with |x|.
            cos(): f = |x| cos(x), df = |x| -sin(x), saved Input;
            /// The nearest whole number, the even one of two. Its derivative is 0.
            round(): f = |x| round(x), df = |_y| 0.0, saved Output;
            /// x / (1 + e⁻ˣ), the sigmoid linear unit.
            silu(): f = |x| x * logistic(x), df = |x| silu_slope(x), saved Input;
            /// x·Φ(x), the Gaussian error linear unit, where Φ is the cumulative distribution of normal numbers.
            gelu(): f = |x| x * normal_cdf(x), df = |x| normal_cdf(x) + x * normal_density(x), saved Input;
            /// ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), an approximation of `gelu`.
            gelu_tanh(): f = |x| x * logistic(gelu_slope(x)), df = |x| gelu_tanh_slope(x), saved Input;
        }
    };
}

/// The derivative of `silu`.
#[inline(always)]
fn silu_slope(x: f32) -> f32 {
    let (s, ds) = logistic_and_derivative(x);
    s + x * ds
}

/// 2·√(2/π)·(x + 0.044715·x³). The logistic function of it is ½·(1 + tanh(…)) of `gelu_tanh`.
#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    1.595_769 * (x + 0.044_715 * x * x * x)
}

/// The derivative of `gelu_tanh`.
#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    let v = gelu_slope(x);
    let slope = 1.595_769 * (1.0 + 0.134_145 * x * x);
    let (s, ds) = logistic_and_derivative(v);
    s + x * ds * slope
}

/// One of the functions, with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Unary {
    /// The function's name.
    pub name: &'static str,
    /// Which tensor [`gradient`](Unary::gradient) needs.
    pub saved: Saved,
    gradient_name: &'static str, // for TENSOR_TRACE
    row: usize,                  // its number in the table and in the shader
    parameters: [f32; 2],
    forward: Loop,
    backward: GradientLoop,
}

/// A function's loops over x and y, and over x or y, dy and dx. The array holds the parameters. Only these are compiled for each function.
type Loop = fn(Isa, [f32; 2], &[f32], &mut [f32]);
type GradientLoop = fn(Isa, [f32; 2], &[f32], &[f32], &mut [f32]);

impl Unary {
    /// y = f(x).
    pub fn apply(&self, x: &Tensor) -> Tensor {
        match x.device() {
            Device::Cpu => {
                let (isa, data) = (Isa::current(), x.data());
                Tensor::build(self.name, &[x], *x.shape(), |y| {
                    parallel::dispatch_chunks(y, &|first, y| {
                        (self.forward)(isa, self.parameters, &data[first..][..y.len()], y);
                    });
                })
            }
            Device::Gpu(_) => {
                let quads = x.count().div_ceil(4);
                let run = UNARY.over(quads).set("FUNCTION", self.row).read(x);
                let run = run.floats(self.parameters).params([quads]).named(self.name);
                run.dtype(self.result_dtype(x)).write(x.shape())
            }
        }
    }

    /// The type of the result for this operand. The activations between layers keep f16. The other functions belong to losses and
    /// statistics, or may leave the range of f16, and give f32.
    fn result_dtype(&self, x: &Tensor) -> Dtype {
        match self.name {
            "relu" | "leaky_relu" | "silu" | "gelu" | "gelu_tanh" | "mul_scalar" => x.dtype(),
            _ => Dtype::F32,
        }
    }

    /// dx = dy · f′(kept), where `kept` is x or y, as [`saved`](Unary::saved) says.
    pub fn gradient(&self, kept: &Tensor, dy: &Tensor) -> Tensor {
        match dy.device() {
            Device::Cpu => {
                let (isa, inputs) = (Isa::current(), [kept, dy].map(Tensor::data));
                Tensor::build(self.gradient_name, &[kept, dy], *dy.shape(), |dx| {
                    parallel::dispatch_chunks(dx, &|first, dx| {
                        let [kept, dy] = inputs.map(|x| &x[first..][..dx.len()]);
                        (self.backward)(isa, self.parameters, kept, dy, dx);
                    });
                })
            }
            Device::Gpu(_) => {
                let quads = dy.count().div_ceil(4);
                let run = UNARY_GRADIENT.over(quads).set("FUNCTION", self.row).read(kept).read(dy);
                let run = run.floats(self.parameters).params([quads]).named(self.gradient_name);
                run.dtype(self.result_dtype(kept)).write(dy.shape())
            }
        }
    }
}

/// A function with the values of its parameters. A closure would not do: `call` must be inlined into a kernel's loop.
trait Function: Copy + Sync {
    fn call(self, x: f32) -> f32;
}

/// Defines a `Row` with these parameters, which computes an expression of the table.
macro_rules! row {
    (($($p:ident),*) |$x:ident| $f:expr) => {
        #[derive(Clone, Copy)]
        struct Row { $($p: f32),* }
        impl Function for Row {
            #[inline(always)]
            #[allow(unused_variables)]
            fn call(self, $x: f32) -> f32 {
                let Row { $($p),* } = self;
                $f
            }
        }
    };
}

macro_rules! tensor_functions {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): f = |$x:ident| $f:expr, df = |$k:ident| $df:expr, saved $saved:ident;)*) => {
        #[allow(non_camel_case_types)]
        enum Number { $($name),* }

        impl Unary {
            $(
                $(#[$doc])*
                #[allow(unused_variables)] // a derivative need not use every parameter
                pub fn $name($($p: f32),*) -> Unary {
                    let mut parameters = [0.0; 2];
                    parameters.iter_mut().zip([$($p),*]).for_each(|(slot, value): (&mut f32, f32)| *slot = value);
                    Unary {
                        name: stringify!($name),
                        gradient_name: concat!(stringify!($name), "_gradient"),
                        saved: Saved::$saved,
                        row: Number::$name as usize,
                        parameters,
                        forward: |isa, [$($p,)* ..], x, y| {
                            row!(($($p),*) |$x| $f);
                            isa.dispatch(Map { f: Row { $($p),* }, x, y });
                        },
                        backward: |isa, [$($p,)* ..], kept, dy, dx| {
                            row!(($($p),*) |$k| $df);
                            isa.dispatch(MapTimes { f: Row { $($p),* }, kept, dy, dx });
                        },
                    }
                }
            )*
        }

        impl Tensor {
            $(
                $(#[$doc])*
                pub fn $name(&self $(, $p: f32)*) -> Tensor {
                    Unary::$name($($p),*).apply(self)
                }
            )*
        }
    };
}
unary_table!(tensor_functions);

/// y = f(x)
struct Map<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Function> SimdKernel for Map<'_, F> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (x, y) = (&self.x[..self.y.len()], self.y);
        for i in 0..y.len() {
            y[i] = self.f.call(x[i]);
        }
    }
}

/// dx = dy · f(kept)
struct MapTimes<'a, F> {
    f: F,
    kept: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl<F: Function> SimdKernel for MapTimes<'_, F> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let dx = self.dx;
        let (kept, dy) = (&self.kept[..dx.len()], &self.dy[..dx.len()]);
        for i in 0..dx.len() {
            dx[i] = dy[i] * self.f.call(kept[i]);
        }
    }
}
