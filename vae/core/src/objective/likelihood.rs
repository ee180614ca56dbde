//! The likelihood p(x|z) of an image x of D numbers, given what the decoder makes of z: x̂, or the logits l for bce.
//!
//! ```text
//! sse       N(x̂, ½I):   −ln p = Σ (x − x̂)² + D/2·ln π
//! half-sse  N(x̂, I):    −ln p = ½ Σ (x − x̂)² + D/2·ln 2π
//! gaussian  N(x̂, σ²I):  −ln p = Σ (x − x̂)²/(2σ²) + D·ln σ + D/2·ln 2π
//! bce       Bernoulli:  −ln p = Σ ln(1 + eˡ) − x·l,   a probability if every number of x is 0 or 1
//! ```
//!
//! The reconstruction term of the loss leaves out the constants of `sse` and `half-sse`. `gaussian` leaves out nothing, so
//! that its σ² has an optimum: the σ-VAE of Rybkin, Daniilidis and Levine (2006.13202). All pixels share σ², which is
//!
//! ```text
//! fixed     σ = loss.sigma
//! learned   ln σ = −6 + ln(1 + exp(s + 6)) for a parameter s, so σ stays above e⁻⁶       (their softclip)
//! optimal   σ² = max(MSE, e⁻¹²), MSE = Σ (x − x̂)²/(B·D) of the batch of B images         (their eq. 9)
//! ```
//!
//! At the optimum the loss is D/2·(ln MSE + 1 + ln 2π). A constant σ² and one that follows the MSE give the same gradient
//! there, because the derivative by σ² is 0. Images that are not trained on need one σ² for all of them. It is a running
//! mean of the batches' σ², with the weights d_t = min(0.99, (1 + t)/(10 + t)) after pass t: v ← d_t·v + (1 − d_t)·σ².

use std::f64::consts::PI;

use autograd::{Buffer, Param, Var};
use nn::{ForwardContext, Module, Visitor};
use tensor::Tensor;

use crate::config::{Config, Output, Reconstruction, Variance};

/// The lower limit of ln σ. With pixels in [0, 1], e⁻⁶ is 0.6 of the step between two byte values.
const LEAST_LOG_SIGMA: f32 = -6.0;
/// The largest weight of the running variance in its own update.
const DECAY: f64 = 0.99;

/// The likelihood of an image, given its latents.
#[derive(Clone, Debug)]
pub(super) struct Likelihood {
    kind: Reconstruction,
    output: Output,
    /// With `gaussian`, where σ comes from.
    sigma: Option<Sigma>,
}

/// The standard deviation of a Gaussian that all pixels share.
#[derive(Clone, Debug)]
enum Sigma {
    Fixed(f64),
    /// The parameter s, `[1]`.
    Learned(Param),
    /// The running mean of σ², `[1]`.
    Optimal(Buffer),
}

impl Likelihood {
    pub(super) fn new(config: &Config) -> Likelihood {
        let (loss, output) = (&config.loss, config.model.output);
        let sigma = match loss.variance {
            Variance::Fixed => Sigma::Fixed(loss.sigma),
            Variance::Learned => {
                let least = f64::from(LEAST_LOG_SIGMA);
                let start = ((loss.sigma.ln() - least).exp() - 1.0).ln() + least; // the inverse of the soft limit
                Sigma::Learned(Param::new(Tensor::new(&[start as f32], [1])))
            }
            Variance::Optimal => Sigma::Optimal(Buffer::new(Tensor::ones([1]))),
        };
        let sigma = (loss.reconstruction == Reconstruction::Gaussian).then_some(sigma);
        Likelihood { kind: loss.reconstruction, output, sigma }
    }

    /// Returns the reconstruction term of a batch, a scalar: summed over pixels, averaged over images. With a σ that changes,
    /// returns σ too, a scalar. `logits` is the decoder's output before the activation, shaped as `x`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub(super) fn reconstruction(&self, logits: &Var, x: &Tensor, ctx: &ForwardContext) -> (Var, Option<Var>) {
        let decoded = || self.output.apply(logits);
        let Some(sigma) = &self.sigma else {
            let term = match self.kind {
                Reconstruction::HalfSse => nn::loss::half_sse(&decoded(), x),
                Reconstruction::Bce => nn::loss::bce(logits, x), // takes logits for numerical stability
                Reconstruction::Sse | Reconstruction::Gaussian => nn::loss::sse(&decoded(), x),
            };
            return (term, None);
        };
        let size = numbers_per_image(x);
        let sse = nn::loss::sse(&decoded(), x);
        let log_sigma = sigma.log(&sse, size, ctx);
        let moving = (!matches!(sigma, Sigma::Fixed(_))).then(|| log_sigma.detach().exp());
        (negative_log_density(&sse, &log_sigma, size), moving)
    }

    /// Returns a σ that is a parameter, a scalar without history.
    pub(super) fn learned_sigma(&self) -> Option<Var> {
        match &self.sigma {
            Some(sigma @ Sigma::Learned(s)) => Some(sigma.log(&s.var(), 1, &ForwardContext::eval()).detach().exp()),
            _ => None,
        }
    }

    /// Returns ln p(x|z) in nats for S draws of z for each of B images, with all constants, `[B, S]`. `logits` is the
    /// decoder's output before the activation, `[B·S, channels, size, size]`, with the S draws of an image after each other.
    /// `x` is `[B, channels, size, size]`. With an optimal variance σ² is the running mean.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub(super) fn log_density(&self, logits: &Var, x: &Tensor) -> Var {
        let size = numbers_per_image(x);
        let errors = self.errors(logits, x);
        let negative = match (self.kind, &self.sigma) {
            (Reconstruction::Bce, _) => errors,
            (Reconstruction::Sse, _) => errors.add_scalar((0.5 * size as f64 * PI.ln()) as f32),
            (_, Some(sigma)) => negative_log_density(&errors, &sigma.log(&errors, size, &ForwardContext::eval()), size),
            (_, None) => errors.add_scalar((0.5 * size as f64 * (2.0 * PI).ln()) as f32),
        };
        negative.mul_scalar(-1.0)
    }

    /// Returns the same without sign and constants, `[B, S]`: the reconstruction term of each draw. That of `gaussian` is the sum of
    /// squares.
    pub(super) fn errors(&self, logits: &Var, x: &Tensor) -> Var {
        let (images, size) = (x.shape()[0], numbers_per_image(x));
        let draws = logits.shape()[0] / images;
        let squares = || {
            let x = Var::constant(x.reshape([images, 1, size]));
            let decoded = self.output.apply(&logits.reshape([images, draws, size]));
            (decoded - x).square().sum(&[2], false)
        };
        match self.kind {
            Reconstruction::Bce => {
                let rows = logits.reshape([images * draws, size]);
                rows.bce_with_logits(&x.reshape([images, size])).reshape([images, draws])
            }
            Reconstruction::Sse | Reconstruction::Gaussian => squares(),
            Reconstruction::HalfSse => squares().mul_scalar(0.5),
        }
    }
}

impl Sigma {
    /// Returns ln σ, for sums of squares over images of `size` numbers. In training, where they are one mean over the batch, an
    /// optimal variance follows them and updates the running mean.
    fn log(&self, squares: &Var, size: usize, ctx: &ForwardContext) -> Var {
        match self {
            Sigma::Fixed(sigma) => squares.full_like(sigma.ln() as f32),
            Sigma::Learned(s) => {
                s.var().reshape([]).add_scalar(-LEAST_LOG_SIGMA).softplus().add_scalar(LEAST_LOG_SIGMA)
            }
            Sigma::Optimal(running) if ctx.train => {
                let mse = squares.detach().mul_scalar(1.0 / size as f32);
                let variance = mse.clamp((2.0 * LEAST_LOG_SIGMA).exp(), f32::MAX);
                let t = ctx.step as f64;
                let kept = DECAY.min((1.0 + t) / (10.0 + t));
                let now = variance.value().reshape([1]);
                running.update(|running| running.blend_assign(kept as f32, &now, (1.0 - kept) as f32));
                variance.log().mul_scalar(0.5)
            }
            Sigma::Optimal(running) => Var::constant(running.value()).reshape([]).log().mul_scalar(0.5),
        }
    }
}

/// Returns −ln N(x; x̂, σ²I) for images of `size` numbers with these sums of squares.
fn negative_log_density(squares: &Var, log_sigma: &Var, size: usize) -> Var {
    let half_ln_two_pi = (0.5 * (2.0 * PI).ln()) as f32;
    let precision = log_sigma.mul_scalar(-2.0).exp(); // 1/σ²
    squares.mul_scalar(0.5) * precision + log_sigma.add_scalar(half_ln_two_pi).mul_scalar(size as f32)
}

fn numbers_per_image(x: &Tensor) -> usize {
    x.count() / x.shape()[0]
}

/// The tensor belongs to the decoder, and its name begins with `decoder.`.
impl Module for Likelihood {
    fn visit(&self, v: &mut Visitor) {
        if let Some(sigma) = &self.sigma {
            v.child("decoder", sigma);
        }
    }
}

impl Module for Sigma {
    fn visit(&self, v: &mut Visitor) {
        match self {
            Sigma::Fixed(_) => {}
            Sigma::Learned(s) => v.child("log_sigma", s),
            Sigma::Optimal(running) => v.child("running_variance", running),
        }
    }
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator};

    use super::*;
    use crate::config::Settings;

    fn likelihood(settings: &[&str]) -> Likelihood {
        let mut all = Settings::default();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        Likelihood::new(&config)
    }

    fn gaussian(variance: &str) -> Likelihood {
        likelihood(&["loss.reconstruction=gaussian", &format!("loss.variance={variance}")])
    }

    /// Three images of eight numbers, and what is decoded.
    fn images() -> [Tensor; 2] {
        let mut rng = Generator::new(2);
        [rng.normal_tensor([3, 2, 2, 2]), rng.normal_tensor([3, 2, 2, 2]).mul_scalar(0.3)]
    }

    fn mean_squared_error(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64
    }

    fn value(x: &Var) -> f64 {
        f64::from(x.value().data()[0])
    }

    /// The mean over three images of −ln N(x; x̂, σ²I), in f64.
    fn definition(mse: f64, sigma: f64) -> f64 {
        8.0 * (0.5 * mse / sigma.powi(2) + sigma.ln() + 0.5 * (2.0 * PI).ln())
    }

    fn checked(of: &Likelihood, ctx: &ForwardContext, reference: impl Fn(f64) -> f64) {
        let [x, decoded] = images();
        let exact = Array::of(&x);
        let op = |inputs: &[Var]| of.reconstruction(&inputs[0], &x, ctx).0;
        let reference =
            |inputs: &[Array]| Array::new([], vec![reference(mean_squared_error(&inputs[0].data, &exact.data))]);
        pollster::block_on(check::gradients(&Device::Cpu, op, reference, &[decoded], 9))
            .unwrap_or_else(|mismatch| panic!("{mismatch}"));
    }

    #[test]
    fn a_gaussian_of_a_given_variance_is_its_formula() {
        let of = |sigma: f64| {
            let sigma = format!("loss.sigma={sigma}");
            likelihood(&["loss.reconstruction=gaussian", "loss.variance=fixed", &sigma])
        };
        for sigma in [1.0, 0.3] {
            checked(&of(sigma), &ForwardContext::train(1, 0), |mse| definition(mse, sigma));
        }
        let [x, decoded] = images();
        assert!(of(1.0).reconstruction(&Var::constant(decoded), &x, &ForwardContext::eval()).1.is_none());
    }

    /// The value is D/2·(ln MSE + 1 + ln 2π), and so is what the gradient belongs to, although it takes σ² as a constant.
    #[test]
    fn the_optimal_variance_is_the_mean_squared_error() {
        checked(&gaussian("optimal"), &ForwardContext::train(1, 3), |mse| definition(mse, mse.sqrt()));
        let [x, decoded] = images();
        let mse = mean_squared_error(&Array::of(&decoded).data, &Array::of(&x).data);
        let of = gaussian("optimal");
        let (best, sigma) = of.reconstruction(&Var::constant(decoded), &x, &ForwardContext::train(1, 0));
        assert!((value(&sigma.unwrap()) - mse.sqrt()).abs() < 1e-6);
        for sigma in [0.9, 1.1] {
            assert!(value(&best) < definition(mse, sigma * mse.sqrt()) - 0.05, "another σ is worse");
        }
    }

    #[test]
    fn a_perfect_reconstruction_has_a_finite_likelihood() {
        let [x, _] = images();
        let (nll, sigma) = gaussian("optimal").reconstruction(&Var::leaf(x.clone()), &x, &ForwardContext::train(1, 0));
        assert!((value(&sigma.unwrap()) - (-6_f64).exp()).abs() < 1e-6);
        assert!((value(&nll) - definition(0.0, (-6_f64).exp())).abs() < 1e-4);
    }

    /// Images that are not trained on have the mean of the variances of training, and do not change it.
    #[test]
    fn validation_uses_the_running_mean_of_the_variance() {
        let of = gaussian("optimal");
        let [x, decoded] = images();
        let mse = |scale: f32| {
            let decoded = decoded.mul_scalar(scale);
            of.reconstruction(
                &Var::constant(decoded.clone()),
                &x,
                &ForwardContext::train(1, if scale == 1.0 { 0 } else { 1 }),
            );
            mean_squared_error(&Array::of(&decoded).data, &Array::of(&x).data)
        };
        let (first, second) = (mse(1.0), mse(3.0));
        let running = 2.0 / 11.0 * (0.1 + 0.9 * first) + 9.0 / 11.0 * second; // d_0 = 1/10, d_1 = 2/11, from 1
        for _ in 0..2 {
            let (nll, sigma) = of.reconstruction(&Var::constant(decoded.clone()), &x, &ForwardContext::eval());
            assert!((value(&sigma.unwrap()) - running.sqrt()).abs() < 1e-6);
            assert!((value(&nll) - definition(first, running.sqrt())).abs() < 1e-4);
        }
        for step in 0..2_000 {
            of.reconstruction(&Var::constant(decoded.clone()), &x, &ForwardContext::train(1, step));
        }
        let (_, sigma) = of.reconstruction(&Var::constant(decoded), &x, &ForwardContext::eval());
        assert!((value(&sigma.unwrap()).powi(2) - first).abs() < 1e-4);
    }

    #[test]
    fn a_learned_variance_starts_at_sigma_and_has_the_gradient_of_the_formula() {
        let of = likelihood(&["loss.reconstruction=gaussian", "loss.variance=learned", "loss.sigma=0.5"]);
        checked(&of, &ForwardContext::train(1, 0), |mse| definition(mse, 0.5));
        let [x, decoded] = images();
        let mse = mean_squared_error(&Array::of(&decoded).data, &Array::of(&x).data);
        let parameters = nn::parameters(&of);
        let [(name, s)] = &parameters[..] else { panic!("{parameters:?}") };
        assert_eq!(name, "decoder.log_sigma");
        for start in [-9.0_f32, -1.0, 2.0] {
            s.set(Tensor::new(&[start], [1]));
            let (nll, _) = of.reconstruction(&Var::constant(decoded.clone()), &x, &ForwardContext::eval());
            let gradient = f64::from(nll.backward().get(s).unwrap().data()[0]);
            let at = |s: f64| definition(mse, ((s + 6.0).exp().ln_1p() - 6.0).exp());
            let (s, h) = (f64::from(start), 1e-5);
            let slope = (at(s + h) - at(s - h)) / (2.0 * h);
            assert!((gradient - slope).abs() < 1e-4 * slope.abs(), "{start}: {gradient}, expected {slope}");
            assert!((value(&nll) - at(s)).abs() < 1e-4 * at(s).abs().max(1.0), "{start}");
        }
    }

    /// Every kind against its density in f64, for two draws of each of three images. The order is that of the images.
    #[test]
    fn densities_have_their_constants() {
        let [x, _] = images();
        let x = x.clamp(0.0, 1.0);
        let decoded = Generator::new(5).normal_tensor([6, 2, 2, 2]);
        let normal = |x: f64, y: f64, variance: f64| -0.5 * ((x - y).powi(2) / variance + (2.0 * PI * variance).ln());
        let logistic = |l: f64| 1.0 / (1.0 + (-l).exp());
        type Density<'a> = &'a dyn Fn(f64, f64) -> f64;
        let cases: [(&[&str], Density); 5] = [
            (&["loss.reconstruction=sse"], &|x, y| normal(x, y, 0.5)),
            (&["loss.reconstruction=half-sse"], &|x, y| normal(x, y, 1.0)),
            (&["loss.reconstruction=half-sse", "model.output=sigmoid"], &|x, y| normal(x, logistic(y), 1.0)),
            (&["loss.reconstruction=gaussian", "loss.variance=learned", "loss.sigma=0.25"], &|x, y| {
                normal(x, y, 0.0625)
            }),
            (&["loss.reconstruction=bce", "model.output=sigmoid"], &|x, l| {
                x * logistic(l).ln() + (1.0 - x) * (1.0 - logistic(l)).ln()
            }),
        ];
        for (settings, density) in cases {
            let got = likelihood(settings).log_density(&Var::constant(decoded.clone()), &x);
            assert_eq!(got.shape()[..], [3, 2]);
            for (row, got) in got.value().data().iter().enumerate() {
                let pairs = x.data()[row / 2 * 8..][..8].iter().zip(&decoded.data()[row * 8..][..8]);
                let exact: f64 = pairs.map(|(&x, &y)| density(f64::from(x), f64::from(y))).sum();
                assert!((f64::from(*got) - exact).abs() < 1e-4, "{settings:?}, {row}: {got}, expected {exact}");
            }
        }
    }
}
