//! Functions of one number, element by element:  y = f(x),  dx = dy · f′.
//! Each row of the table says whether the derivative is computed from the input x or from the output y. Only that one is saved.

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::MATH, shaders::UNARY];
pub(super) static UNARY: Kernel = Kernel::checked(&WGSL, "unary");
pub(super) static UNARY_GRADIENT: Kernel = Kernel::checked(&WGSL, "unary_gradient");

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
            tanh(): f = |x| x.tanh(), df = |y| 1.0 - y * y, saved Output;
            /// eˣ.
            exp(): f = |x| x.exp(), df = |y| y, saved Output;
            /// The natural logarithm.
            log(): f = |x| x.ln(), df = |x| 1.0 / x, saved Input;
            /// The square root.
            sqrt(): f = |x| x.sqrt(), df = |y| 0.5 / y, saved Output;
            /// The absolute value, with derivative 0 at 0.
            abs(): f = |x| x.abs(), df = |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 }, saved Input;
            /// x².
            square(): f = |x| x * x, df = |x| 2.0 * x, saved Input;
            /// ln(1 + eˣ), finite for every finite x.
            softplus(): f = |x| (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p(), df = |x| logistic(x), saved Input;
            /// x limited to `[low, high]`. Outside, the derivative is 0.
            clamp(low, high): f = |x| if x < low { low } else if x > high { high } else { x },
                df = |x| if x < low || x > high { 0.0 } else { 1.0 }, saved Input;
            /// x + c.
            add_scalar(c): f = |x| x + c, df = |_y| 1.0, saved Output;
            /// c·x.
            mul_scalar(c): f = |x| c * x, df = |_y| c, saved Output;
        }
    };
}

/// 1 / (1 + e⁻ˣ), computed so that the exponential never overflows.
#[inline(always)]
fn logistic(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

/// One of the functions, with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Unary {
    /// The function's name.
    pub name: &'static str,
    /// Which tensor [`gradient`](Unary::gradient) needs.
    pub saved: Saved,
    row: usize, // its number in the table and in the shader
    parameters: [f32; 2],
    forward: fn(&Tensor, [f32; 2]) -> Tensor,
    backward: fn(&Tensor, &Tensor, [f32; 2]) -> Tensor,
}

impl Unary {
    /// y = f(x).
    pub fn apply(&self, x: &Tensor) -> Tensor {
        match x.device() {
            Device::Cpu => (self.forward)(x, self.parameters),
            Device::Gpu(_) => {
                let quads = x.count().div_ceil(4);
                let run = UNARY.over(quads).set("FUNCTION", self.row).read(x);
                run.floats(self.parameters).params([quads]).write(x.shape())
            }
        }
    }

    /// dx = dy · f′(kept), where `kept` is x or y, as [`saved`](Unary::saved) says.
    pub fn gradient(&self, kept: &Tensor, dy: &Tensor) -> Tensor {
        match dy.device() {
            Device::Cpu => (self.backward)(kept, dy, self.parameters),
            Device::Gpu(_) => {
                let quads = dy.count().div_ceil(4);
                let run = UNARY_GRADIENT.over(quads).set("FUNCTION", self.row).read(kept).read(dy);
                run.floats(self.parameters).params([quads]).write(dy.shape())
            }
        }
    }
}

macro_rules! tensor_functions {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): f = |$x:ident| $f:expr, df = |$k:ident| $df:expr, saved $saved:ident;)*) => {
        #[allow(non_camel_case_types)]
        enum Row { $($name),* }

        impl Unary {
            $(
                $(#[$doc])*
                #[allow(unused_variables)] // a derivative need not use every parameter
                pub fn $name($($p: f32),*) -> Unary {
                    let mut parameters = [0.0; 2];
                    parameters.iter_mut().zip([$($p),*]).for_each(|(slot, value): (&mut f32, f32)| *slot = value);
                    Unary {
                        name: stringify!($name),
                        saved: Saved::$saved,
                        row: Row::$name as usize,
                        parameters,
                        forward: |x, [$($p,)* ..]| map(x, |$x| $f),
                        backward: |kept, dy, [$($p,)* ..]| map2(kept, dy, |$k, dy| dy * ($df)),
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

fn map(x: &Tensor, f: impl Fn(f32) -> f32 + Sync) -> Tensor {
    let data = x.data();
    Tensor::build(*x.shape(), |out| {
        parallel::for_each_chunk(out, |first, part| {
            part.iter_mut().zip(&data[first..]).for_each(|(out, &x)| *out = f(x));
        });
    })
}

fn map2(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Tensor {
    let (a_data, b_data) = (a.data(), b.data());
    Tensor::build(*a.shape(), |out| {
        parallel::for_each_chunk(out, |first, part| {
            let pairs = a_data[first..].iter().zip(&b_data[first..]);
            part.iter_mut().zip(pairs).for_each(|(out, (&a, &b))| *out = f(a, b));
        });
    })
}
