//! Chapter 12: importance weights make the bound tighter. The model is that of chapter 8, whose log p(x) is known.
//!
//!     cargo run -p exercises --example tighter_bounds
#![forbid(unsafe_code)]

use tensor::Generator;

fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    -0.5 * ((x - mean) / sigma).powi(2) - sigma.ln() - 0.5 * std::f64::consts::TAU.ln()
}

fn main() {
    let x = 2.0;
    let log_p = log_normal(x, 0.0, 2f64.sqrt());
    println!("log p(x) = {log_p:.4}. With the poor proposal q = N(0, 1), the mean of 20,000 bounds of K draws is");
    let mut rng = Generator::new(1);
    let mut last = f64::NEG_INFINITY;
    for k in [1, 2, 5, 20, 100] {
        // ANCHOR: bound
        let eps = rng.normal_tensor([20_000, k]);
        // q is the prior here, so w = p(x|z)·p(z)/q(z) is p(x|z).
        let log_w = |z: &f32| log_normal(x, f64::from(*z), 1.0);
        let log_mean = |draws: &[f32]| (draws.iter().map(|z| log_w(z).exp()).sum::<f64>() / k as f64).ln();
        let bound = eps.data().chunks(k).map(log_mean).sum::<f64>() / 20_000.0;
        // ANCHOR_END: bound
        println!("  K = {k:3}: {bound:.4}");
        assert!(bound > last - 0.01 && bound < log_p + 0.02);
        last = bound;
    }
    assert!((last - log_p).abs() < 0.05);
}
