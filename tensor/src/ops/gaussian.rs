//! Draws from Gaussians, and their divergence from the standard one, element by element. With σ² = e^logvar:
//!   reparameterise: z = μ + σ·ε                       dμ = dz,  dlogvar = ½ dz·σ·ε
//!   gaussian_kl: y = ½ (μ² + σ² − 1 − logvar)         dμ = dy·μ,  dlogvar = ½ dy·(σ² − 1)

use std::marker::PhantomData;

use crate::cpu::elementary::exp;
use crate::cpu::parallel;
use crate::cpu::simd::{Isa, SimdKernel, Vector};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::MATH, shaders::GAUSSIAN];
pub(super) static REPARAMETERISE: Kernel = Kernel::checked(&WGSL, "reparameterise");
pub(super) static REPARAMETERISE_GRADIENT: Kernel = Kernel::checked(&WGSL, "reparameterise_gradient");
pub(super) static GAUSSIAN_KL: Kernel = Kernel::checked(&WGSL, "gaussian_kl");
pub(super) static GAUSSIAN_KL_GRADIENT: Kernel = Kernel::checked(&WGSL, "gaussian_kl_gradient");

impl Tensor {
    /// z = μ + e^(logvar/2)·ε, where this tensor is μ: a draw from N(μ, e^logvar) if ε is one from N(0, 1) (Kingma and
    /// Welling, 1312.6114, section 2.4). All have one shape, which is that of the result.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn reparameterise(&self, logvar: &Tensor, eps: &Tensor) -> Tensor {
        same_shapes("reparameterise", &[self, logvar, eps]);
        if let Device::Gpu(_) = self.device() {
            let quads = self.count().div_ceil(4);
            return REPARAMETERISE.over(quads).read(self).read(logvar).read(eps).params([quads]).write(self.shape());
        }
        each(Draw, "reparameterise", [self, logvar, eps])
    }

    /// The gradient of [`reparameterise`](Tensor::reparameterise)'s `logvar`, ½ dz·e^(logvar/2)·ε, where this tensor is dz. That
    /// of μ is dz. All have one shape, which is that of the result.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn reparameterise_gradient(&self, logvar: &Tensor, eps: &Tensor) -> Tensor {
        same_shapes("reparameterise_gradient", &[self, logvar, eps]);
        if let Device::Gpu(_) = self.device() {
            let quads = self.count().div_ceil(4);
            let run = REPARAMETERISE_GRADIENT.over(quads).read(self).read(logvar).read(eps);
            return run.params([quads]).write(self.shape());
        }
        each(DrawGradient, "reparameterise_gradient", [self, logvar, eps])
    }

    /// The divergence KL(N(μ, e^logvar) ‖ N(0, 1)) = ½ (μ² + e^logvar − 1 − logvar) of each element, in nats, where this tensor
    /// is μ (Kingma and Welling, 1312.6114, appendix B). Both have one shape, which is that of the result.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn gaussian_kl(&self, logvar: &Tensor) -> Tensor {
        same_shapes("gaussian_kl", &[self, logvar]);
        if let Device::Gpu(_) = self.device() {
            let quads = self.count().div_ceil(4);
            return GAUSSIAN_KL.over(quads).read(self).read(logvar).params([quads]).write(self.shape());
        }
        each(Kl, "gaussian_kl", [self, logvar, logvar])
    }

    /// The gradients of [`gaussian_kl`](Tensor::gaussian_kl)'s μ and `logvar`, dy·μ and ½ dy·(e^logvar − 1), where this tensor is
    /// dy. All have one shape, which is that of both results.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn gaussian_kl_gradient(&self, mu: &Tensor, logvar: &Tensor) -> [Tensor; 2] {
        same_shapes("gaussian_kl_gradient", &[self, mu, logvar]);
        if let Device::Gpu(_) = self.device() {
            let quads = self.count().div_ceil(4);
            let run = GAUSSIAN_KL_GRADIENT.over(quads).read(self).read(mu).read(logvar).params([quads]);
            return run.write_all([*self.shape(), *self.shape()]);
        }
        [self.mul(mu), each(KlGradient, "gaussian_kl_gradient", [self, logvar, logvar])]
    }
}

#[track_caller]
fn same_shapes(what: &str, tensors: &[&Tensor]) {
    let same = tensors.iter().all(|x| x.shape() == tensors[0].shape());
    assert!(same, "{what}: shapes {}", tensors.iter().map(|x| x.shape().to_string()).collect::<Vec<_>>().join(", "));
}

/// f(a, b, c) of each element on the CPU. `F` is a type, because a closure is not sure to be inlined into the loop.
fn each<F: Function>(_: F, operation: &str, inputs: [&Tensor; 3]) -> Tensor {
    let (isa, shape, [a, b, c]) = (Isa::current(), *inputs[0].shape(), inputs.map(Tensor::data));
    Tensor::build(operation, &inputs, shape, |out| {
        parallel::dispatch_chunks(out, &|first, out| {
            let [a, b, c] = [a, b, c].map(|x| &x[first..][..out.len()]);
            isa.dispatch(Each::<F> { a, b, c, out, function: PhantomData });
        });
    })
}

trait Function {
    fn call(a: f32, b: f32, c: f32) -> f32;
}

struct Each<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    c: &'a [f32],
    out: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: Function> SimdKernel for Each<'_, F> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let inputs = self.a.iter().zip(self.b).zip(self.c);
        self.out.iter_mut().zip(inputs).for_each(|(out, ((&a, &b), &c))| *out = F::call(a, b, c));
    }
}

macro_rules! functions {
    ($($name:ident |$a:ident, $b:ident, $c:pat_param| $f:expr;)*) => {
        $(
            struct $name;
            impl Function for $name {
                #[inline(always)]
                fn call($a: f32, $b: f32, $c: f32) -> f32 {
                    $f
                }
            }
        )*
    };
}

functions! {
    Draw |mu, logvar, eps| mu + exp(0.5 * logvar) * eps;
    DrawGradient |dz, logvar, eps| dz * (0.5 * exp(0.5 * logvar) * eps);
    Kl |mu, logvar, _| 0.5 * (mu * mu + exp(logvar) - (logvar + 1.0));
    KlGradient |dy, logvar, _| 0.5 * dy * (exp(logvar) - 1.0);
}
