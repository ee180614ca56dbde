//! Chapter 8: the ELBO and its gap, in a model whose log p(x) is known.
//!
//!     cargo run -p exercises --example bound
//!
//! z ~ N(0, 1) and x ~ N(z, 1), so x ~ N(0, 2), and the true posterior is N(x/2, ½).
#![forbid(unsafe_code)]

use tensor::Generator;

fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    -0.5 * ((x - mean) / sigma).powi(2) - sigma.ln() - 0.5 * std::f64::consts::TAU.ln()
}

/// KL(N(m, s²) ‖ N(mean, sigma²)).
fn kl(m: f64, s: f64, mean: f64, sigma: f64) -> f64 {
    ((m - mean).powi(2) + s * s) / (2.0 * sigma * sigma) - 0.5 + (sigma / s).ln()
}

fn main() {
    let x = 2.0;
    let log_p = log_normal(x, 0.0, 2f64.sqrt());
    println!("log p(x) = {log_p:.4}");
    println!("{:22} {:>9} {:>9} {:>9} {:>9}", "q(z)", "E log p", "KL", "ELBO", "gap");
    let posterior = (x / 2.0, 0.5f64.sqrt());
    let choices =
        [("the prior N(0, 1)", (0.0, 1.0)), ("too narrow N(1, 0.2²)", (1.0, 0.2)), ("the posterior", posterior)];
    for (name, (m, s)) in choices {
        // ANCHOR: bound
        let eps = Generator::new(1).normal_tensor([100_000]);
        let draws = eps.data().iter().map(|eps| m + s * f64::from(*eps));
        let explained = draws.map(|z| log_normal(x, z, 1.0)).sum::<f64>() / 100_000.0;
        let to_prior = kl(m, s, 0.0, 1.0);
        let elbo = explained - to_prior;
        let gap = kl(m, s, posterior.0, posterior.1);
        // ANCHOR_END: bound
        println!("{name:22} {explained:9.4} {to_prior:9.4} {elbo:9.4} {gap:9.4}");
        assert!((elbo + gap - log_p).abs() < 0.02, "the ELBO and its gap are log p(x)");
    }
}
