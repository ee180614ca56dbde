//! The three terms of β-TCVAE (1802.04942) of one batch, [MI, TC, DW-KL], each a mean over images:
//!   MI = log q(z|x) − log q(z),   TC = log q(z) − log Π_d q(z_d),   DW-KL = log Π_d q(z_d) − log p(z)
//!   log q(z_i) ≈ logsumexp_j [w_ij + log q(z_i|x_j)],   and for each dimension likewise, z = mu + e^(logvar/2)·eps.

use anyhow::{Result, bail};
use autograd::Var;
use tensor::Tensor;

pub(crate) fn latent_terms(mu: &Var, logvar: &Var, eps: &Tensor, dataset: usize, estimator: &str) -> Result<Var> {
    let [b, d] = mu.shape().matrix("mu");
    let device = mu.value().device();
    let z = mu + logvar.mul_scalar(0.5).exp() * Var::constant(eps.clone());
    let own = density(&z, mu, logvar).sum(&[1], false); // log q(z_i|x_i): [b]
    let prior = z.square().add_scalar((2.0 * std::f32::consts::PI).ln()).mul_scalar(-0.5).sum(&[1], false);
    // log q(z_id|x_jd): [i, j, d]
    let pairs = density(&z.reshape([b, 1, d]), &mu.reshape([1, b, d]), &logvar.reshape([1, b, d]));
    let weights = match estimator {
        "mws" => Tensor::full([b, b], -((b * dataset) as f32).ln()),
        "mss" => stratified(b, dataset),
        other => bail!("unknown estimator {other}"),
    };
    let weights = Var::constant(weights.upload(&device));
    let joint = (pairs.sum(&[2], false) + &weights).logsumexp(1);
    let product = (pairs + weights.reshape([b, b, 1])).logsumexp(1).sum(&[1], false);
    let terms = [own - &joint, joint - &product, product - prior].map(|term| term.mean_all().reshape([1]));
    Ok(Var::concat(&terms.each_ref(), 0))
}

/// ln N(z; mu, e^logvar), a dimension at a time.
fn density(z: &Var, mu: &Var, logvar: &Var) -> Var {
    let scaled = (z - mu).square() / logvar.exp();
    (scaled + logvar.add_scalar((2.0 * std::f32::consts::PI).ln())).mul_scalar(-0.5)
}

/// ln of 1/N at j = i, (N − M)/(N·M) at j = i + 1 around the end, 1/M elsewhere, with M = b − 1: each row's weights sum to 1.
fn stratified(b: usize, dataset: usize) -> Tensor {
    let (n, m) = (dataset as f64, b as f64 - 1.0);
    let weight = |place: usize| {
        let (i, j) = (place / b, place % b);
        let weight = if j == i {
            1.0 / n
        } else if j == (i + 1) % b {
            (n - m) / (n * m)
        } else {
            1.0 / m
        };
        weight.ln() as f32
    };
    Tensor::new(&(0..b * b).map(weight).collect::<Vec<_>>(), [b, b])
}
