//! A mixture of Gaussians with full covariances, fitted to latents by expectation maximisation (Dempster, Laird and Rubin, 1977),
//! as the ex-post density of Ghosh et al. (1903.12436, section 4):
//!
//! ```text
//! p(z) = Σ_k w_k·N(z; μ_k, Σ_k)
//! E:  r_nk = w_k·N(z_n; μ_k, Σ_k) / p(z_n)
//! M:  N_k = Σ_n r_nk,   w_k = N_k/n,   μ_k = Σ_n r_nk·z_n / N_k,   Σ_k = (Σ_n r_nk·(z_n − μ_k)(z_n − μ_k)ᵀ + λI) / N_k
//! ```
//!
//! No iteration lowers the penalised log-likelihood Σ_n ln p(z_n) − ½λ·Σ_k tr Σ_k⁻¹. λ = 10⁻⁶·n·v, where v is the mean variance of a
//! latent, keeps covariances of few latents from becoming singular. The first responsibilities r are those of the nearest of K
//! latents that the seed chooses far apart (k-means++; Arthur and Vassilvitskii, 2007).
//!
//! With Σ = LLᵀ, a draw is z = μ_k + L·ε, and ln N(z; μ, Σ) = −½|L⁻¹(z − μ)|² − Σ_i ln L_ii − ½·d·ln 2π.

use autograd::Buffer;
use tensor::{Device, Generator, Tensor};

use super::Prior;
use super::categorical::draw_index;
use crate::error::{Error, Result};

/// λ relative to the number of latents and their variance.
const PENALTY: f64 = 1e-6;
/// EM ends when the penalised log-likelihood of a latent rises by less than this, in nats.
const STILL: f64 = 1e-4;
/// The number of latents that are drawn at once.
const CHUNK: usize = 256;

/// A mixture of K Gaussians of d latents.
pub struct Mixture {
    log_weights: Buffer, // [K]
    means: Buffer,       // [K, d]
    factors: Buffer,     // [K, d, d]: L
    inverses: Buffer,    // [K, d, d]: L⁻¹
    log_norms: Buffer,   // [K]: ln w − Σ_i ln L_ii − ½·d·ln 2π
}

nn::module!(Mixture { log_weights, means, factors, inverses, log_norms });

impl Mixture {
    /// Creates a mixture of zeros, to load.
    pub(super) fn zeros(components: usize, d: usize) -> Mixture {
        let flat = |shape: &[usize]| Buffer::new(Tensor::zeros(shape));
        Mixture {
            log_weights: flat(&[components]),
            means: flat(&[components, d]),
            factors: flat(&[components, d, d]),
            inverses: flat(&[components, d, d]),
            log_norms: flat(&[components]),
        }
    }

    /// Fits a mixture to latents `[n, d]` on the CPU, in at most `iterations` of EM. `progress` gets the number of each iteration
    /// and the penalised log-likelihood before it, in nats per latent.
    ///
    /// # Errors
    /// If there are fewer latents than components, or a latent is not finite.
    pub fn fit(
        latents: &Tensor,
        components: usize,
        iterations: usize,
        rng: &mut Generator,
        progress: &mut dyn FnMut(usize, f64),
    ) -> Result<Mixture> {
        let (n, d) = (latents.shape()[0], latents.shape()[1]);
        if n < components {
            return Err(Error::config(format!(
                "prior.components = {components}: there are only {n} training images; lower it"
            )));
        }
        if !latents.data().iter().all(|z| z.is_finite()) {
            return Err(Error::Diverged("a latent is not finite, so no mixture can be fitted to the latents".into()));
        }
        let mean = latents.mean(&[0], true);
        let variance = latents.sub(&mean).square().mean(&[0, 1], false).data()[0];
        let penalty = PENALTY * n as f64 * f64::from(variance).max(1e-12);
        let mixture = Mixture::zeros(components, d);
        mixture.maximise(latents, &nearest(latents, &far_apart(latents, components, rng)), penalty);
        let mut last = f64::NEG_INFINITY;
        for iteration in 1..=iterations {
            let (responsibilities, log_likelihood) = mixture.expect(latents);
            let penalised = (log_likelihood - 0.5 * penalty * mixture.trace_of_inverses()) / n as f64;
            progress(iteration, penalised);
            if penalised - last < STILL {
                break;
            }
            last = penalised;
            mixture.maximise(latents, &responsibilities, penalty);
        }
        Ok(mixture)
    }

    /// The number of numbers of such a mixture.
    pub(super) fn weights(components: usize, d: usize) -> f64 {
        let [k, d] = [components, d].map(|n| n as f64);
        k * (2.0 + d + 2.0 * d * d)
    }

    /// Returns Σ_k tr Σ_k⁻¹ = Σ (L⁻¹)².
    fn trace_of_inverses(&self) -> f64 {
        self.inverses.value().data().iter().map(|&x| f64::from(x).powi(2)).sum()
    }

    /// The step E: returns the responsibilities, K lists of n numbers, and the log-likelihood of all latents.
    fn expect(&self, latents: &Tensor) -> (Vec<Vec<f32>>, f64) {
        let joint = self.log_joint(latents);
        let (n, k) = (joint.shape()[0], joint.shape()[1]);
        let (mut responsibilities, mut sum) = (vec![vec![0.0; n]; k], 0.0);
        for (i, row) in joint.data().chunks_exact(k).enumerate() {
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let total: f64 = row.iter().map(|&x| f64::from(x - largest).exp()).sum();
            sum += f64::from(largest) + total.ln();
            for (list, &x) in responsibilities.iter_mut().zip(row) {
                list[i] = (f64::from(x - largest).exp() / total) as f32;
            }
        }
        (responsibilities, sum)
    }

    /// The step M: sets the parameters to those that maximise the penalised likelihood with these responsibilities.
    fn maximise(&self, latents: &Tensor, responsibilities: &[Vec<f32>], penalty: f64) {
        let (n, d) = (latents.shape()[0], latents.shape()[1]);
        let [mut log_weights, mut log_norms, mut means] = [Vec::new(), Vec::new(), Vec::new()];
        let [mut factors, mut inverses] = [Vec::new(), Vec::new()];
        for of_component in responsibilities {
            let count = of_component.iter().map(|&r| f64::from(r)).sum::<f64>().max(1e-10);
            let r = Tensor::new(of_component, [n, 1]);
            let mean = latents.mul(&r).sum(&[0], true).mul_scalar((1.0 / count) as f32);
            let centred = latents.sub(&mean);
            let scatter = centred.mul(&r).matmul_tn(&centred);
            let mut covariance: Vec<f64> = scatter.data().iter().map(|&s| f64::from(s) / count).collect();
            covariance.iter_mut().step_by(d + 1).for_each(|x| *x += penalty / count);
            let factor = cholesky(covariance, d);
            let log_weight = (count / n as f64).ln();
            let log_det: f64 = factor.iter().step_by(d + 1).map(|x| x.ln()).sum();
            log_norms.push((log_weight - log_det - 0.5 * d as f64 * std::f64::consts::TAU.ln()) as f32);
            log_weights.push(log_weight as f32);
            means.extend_from_slice(mean.data());
            inverses.extend(inverse_of_triangle(&factor, d).iter().map(|&x| x as f32));
            factors.extend(factor.iter().map(|&x| x as f32));
        }
        let k = responsibilities.len();
        self.log_weights.set(Tensor::new(&log_weights, [k]));
        self.log_norms.set(Tensor::new(&log_norms, [k]));
        self.means.set(Tensor::new(&means, [k, d]));
        self.factors.set(Tensor::new(&factors, [k, d, d]));
        self.inverses.set(Tensor::new(&inverses, [k, d, d]));
    }

    /// Returns ln w_k + ln N(z_n; μ_k, Σ_k), `[n, d]` → `[n, K]`.
    fn log_joint(&self, latents: &Tensor) -> Tensor {
        let (means, inverses) = (self.means.value(), self.inverses.value());
        let (k, d) = (means.shape()[0], means.shape()[1]);
        let of_component = |i: usize| {
            let white = latents.sub(&means.slice(0, i, 1)).matmul_nt(&inverses.slice(0, i, 1).reshape([d, d]));
            white.square().sum(&[1], true).mul_scalar(-0.5)
        };
        let columns: Vec<Tensor> = (0..k).map(of_component).collect();
        Tensor::concat(&columns.iter().collect::<Vec<_>>(), 1).add(&self.log_norms.value().reshape([1, k]))
    }
}

impl Prior for Mixture {
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let (means, factors, log_weights) = (self.means.value(), self.factors.value(), self.log_weights.value());
        let (k, d) = (means.shape()[0], means.shape()[1]);
        let mut parts = Vec::new();
        for first in (0..count).step_by(CHUNK) {
            let n = CHUNK.min(count - first);
            let component = draw_index(&log_weights.reshape([1, k]).expand([n, k]), rng);
            let noise = rng.normal_tensor([n, d, 1]).upload(device);
            let factor = factors.reshape([k, d * d]).index_select(&component).reshape([n, d, d]);
            parts.push(means.index_select(&component).add(&factor.bmm(&noise).reshape([n, d])));
        }
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    fn nats(&self, latents: &Tensor) -> Tensor {
        self.log_joint(latents).logsumexp(1).mul_scalar(-1.0)
    }

    fn words(&self) -> String {
        format!("mixture of {} Gaussians", self.means.shape()[0])
    }
}

/// Chooses K latents, each with a probability proportional to its squared distance from the nearest one chosen before.
fn far_apart(latents: &Tensor, components: usize, rng: &mut Generator) -> Tensor {
    let (n, d) = (latents.shape()[0], latents.shape()[1]);
    let row = |i: usize| &latents.data()[i * d..][..d];
    let mut chosen = vec![rng.below(n)];
    let mut distances = vec![f64::INFINITY; n];
    while chosen.len() < components {
        let newest = row(*chosen.last().expect("there is a first"));
        for (i, distance) in distances.iter_mut().enumerate() {
            let to_newest = row(i).iter().zip(newest).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
            *distance = distance.min(to_newest);
        }
        let mut left = f64::from(rng.uniform()) * distances.iter().sum::<f64>();
        let next = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        chosen.push(next.unwrap_or_else(|| rng.below(n))); // all latents are equal, or rounding left a little
    }
    let numbers: Vec<f32> = chosen.iter().flat_map(|&i| row(i)).copied().collect();
    Tensor::new(&numbers, [components, d])
}

/// Returns responsibilities of 1 for the nearest centre of each latent, and of 0 for the others.
fn nearest(latents: &Tensor, centres: &Tensor) -> Vec<Vec<f32>> {
    let half = centres.square().sum(&[1], true).mul_scalar(0.5); // [K, 1]
    let nearest = centres.matmul_nt(latents).sub(&half).argmax(0);
    let is = |k: usize| nearest.data().iter().map(|&i| if i as usize == k { 1.0 } else { 0.0 }).collect();
    (0..centres.shape()[0]).map(is).collect()
}

/// Returns L with LLᵀ = A for a symmetric matrix A, `[d, d]`. A pivot that rounding made too small is raised.
fn cholesky(mut a: Vec<f64>, d: usize) -> Vec<f64> {
    let least = 1e-12 * (0..d).map(|i| a[i * d + i]).fold(f64::MIN_POSITIVE, f64::max);
    for j in 0..d {
        for i in j..d {
            let dot: f64 = (0..j).map(|k| a[i * d + k] * a[j * d + k]).sum();
            let rest = a[i * d + j] - dot;
            a[i * d + j] = if i == j { rest.max(least).sqrt() } else { rest / a[j * d + j] };
        }
        a[j * d + j + 1..(j + 1) * d].fill(0.0);
    }
    a
}

/// Returns the inverse of a lower triangle, `[d, d]`.
fn inverse_of_triangle(l: &[f64], d: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; d * d];
    for j in 0..d {
        inverse[j * d + j] = 1.0 / l[j * d + j];
        for i in j + 1..d {
            let dot: f64 = (j..i).map(|k| l[i * d + k] * inverse[k * d + j]).sum();
            inverse[i * d + j] = -dot / l[i * d + i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Latents of three clusters with correlated coordinates.
    fn clusters(n: usize) -> Tensor {
        let mut rng = Generator::new(5);
        let noise = rng.normal_tensor([n, 2]);
        let row = |(i, e): (usize, &[f32])| {
            let centre = [[-6.0, 0.0], [6.0, 1.0], [0.0, 8.0]][i % 3];
            [centre[0] + e[0], centre[1] + 0.8 * e[0] + 0.6 * e[1]]
        };
        let numbers: Vec<f32> = noise.data().chunks_exact(2).enumerate().flat_map(row).collect();
        Tensor::new(&numbers, [n, 2])
    }

    fn fitted(latents: &Tensor, components: usize, seed: u64) -> (Mixture, Vec<f64>) {
        let mut path = Vec::new();
        let rng = &mut Generator::new(seed);
        let mixture = Mixture::fit(latents, components, 100, rng, &mut |_, log_likelihood| path.push(log_likelihood));
        (mixture.unwrap(), path)
    }

    #[test]
    fn no_iteration_lowers_the_likelihood() {
        for seed in 0..6 {
            let latents = Generator::new(100 + seed).normal_tensor([300, 4]).square();
            let (_, path) = fitted(&latents, 5, seed);
            assert!(path.len() > 5, "{path:?}");
            assert!(path.windows(2).all(|pair| pair[1] >= pair[0] - 2e-6), "seed {seed}: {path:?}");
        }
    }

    /// One Gaussian has a closed form: the mean and the covariance of the latents.
    #[test]
    fn one_component_is_the_gaussian_of_the_latents() {
        let latents = clusters(900);
        let (mixture, _) = fitted(&latents, 1, 1);
        let mean = latents.mean(&[0], true);
        let centred = latents.sub(&mean);
        let covariance = centred.matmul_tn(&centred).mul_scalar(1.0 / 900.0);
        let factor = mixture.factors.value().reshape([2, 2]);
        let found = factor.matmul_nt(&factor);
        assert!(mixture.means.value().data().iter().zip(mean.data()).all(|(a, b)| (a - b).abs() < 1e-4));
        for (a, b) in found.data().iter().zip(covariance.data()) {
            assert!((a - b).abs() < 1e-3, "{found:?}, expected {covariance:?}");
        }
        // −ln p of a Gaussian at its own latents: ½·ln det(2πe·Σ).
        let det = covariance.data()[0] * covariance.data()[3] - covariance.data()[1] * covariance.data()[2];
        let entropy = 0.5 * f64::from(det).ln() + (std::f64::consts::TAU * std::f64::consts::E).ln();
        assert!((f64::from(mixture.nats(&latents).mean_all().data()[0]) - entropy).abs() < 1e-4);
    }

    #[test]
    fn clusters_are_found_and_drawn() {
        let (mixture, _) = fitted(&clusters(900), 3, 2);
        let mut centres: Vec<[f32; 2]> = mixture.means.value().data().as_chunks::<2>().0.to_vec();
        centres.sort_by(|a, b| a[0].total_cmp(&b[0]));
        for (found, truth) in centres.iter().zip([[-6.0, 0.0], [0.0, 8.0], [6.0, 1.0]]) {
            assert!(found.iter().zip(truth).all(|(a, b)| (a - b).abs() < 0.2), "{centres:?}");
        }
        // A third of the draws is around each centre, and their coordinates are correlated there: Σ₁₂ = 0.8.
        let drawn = mixture.draw(6000, &Device::Cpu, &mut Generator::new(3));
        let of_left: Vec<&[f32]> = drawn.data().chunks_exact(2).filter(|z| z[0] < -3.0).collect();
        let covariance = of_left.iter().map(|z| (z[0] + 6.0) * z[1]).sum::<f32>() / of_left.len() as f32;
        assert!((of_left.len() as f64 / 6000.0 - 1.0 / 3.0).abs() < 0.03, "{}", of_left.len());
        assert!((covariance - 0.8).abs() < 0.15, "{covariance}");
    }

    #[test]
    fn equal_latents_and_too_few_are_no_panic() {
        let equal = Tensor::ones([10, 3]);
        let (mixture, _) = fitted(&equal, 4, 1);
        assert!(mixture.draw(5, &Device::Cpu, &mut Generator::new(1)).data().iter().all(|z| (z - 1.0).abs() < 1e-2));
        let few = Mixture::fit(&equal, 11, 5, &mut Generator::new(1), &mut |_, _| {});
        assert!(few.err().unwrap().to_string().contains("prior.components = 11"));
    }

    #[test]
    fn as_many_components_as_latents_are_allowed() {
        assert!(Mixture::fit(&clusters(3), 3, 5, &mut Generator::new(1), &mut |_, _| {}).is_ok());
    }

    /// Latents (±1, 0) under one Gaussian: Σ = diag(1 + λ/n, λ/n), and λ/n is 10⁻⁶ times the mean variance ½.
    #[test]
    fn the_penalty_is_a_part_of_the_reported_likelihood() {
        let (_, path) = fitted(&Tensor::new(&[1.0, 0.0, -1.0, 0.0], [2, 2]), 1, 1);
        let ridge = 0.5e-6_f64;
        let log_likelihood = -0.5 / (1.0 + ridge) - 0.5 * (ridge * (1.0 + ridge)).ln() - std::f64::consts::TAU.ln();
        let penalised = log_likelihood - 0.5 * ridge * (1.0 / ridge + 1.0 / (1.0 + ridge));
        assert!((path[0] - penalised).abs() < 1e-4, "{path:?}, expected {penalised}");
    }

    #[test]
    fn the_first_centres_are_latents_far_apart() {
        let latents = Tensor::new(&[-100.0, 7.0, 100.0, 7.0, -100.1, 7.0, 99.9, 7.0, -99.9, 7.0, 100.1, 7.0], [6, 2]);
        for seed in 0..40 {
            let centres = far_apart(&latents, 2, &mut Generator::new(seed));
            let centres = centres.data();
            assert!([centres[1], centres[3]] == [7.0; 2] && centres[0] * centres[2] < 0.0, "seed {seed}: {centres:?}");
        }
    }

    /// The second pivot of this matrix is −1, and its largest diagonal element 10⁶ − 1.
    #[test]
    fn a_pivot_is_raised_to_a_fraction_of_the_diagonal() {
        let l = cholesky(vec![1.0, 1e3, 1e3, 1e6 - 1.0], 2);
        assert_eq!(l[..3], [1.0, 0.0, 1e3]);
        assert!((l[3] / (1e-12_f64 * (1e6 - 1.0)).sqrt() - 1.0).abs() < 1e-9, "{l:?}");
    }
}
