//! Chapter 7: a density, an expectation, a KL and Bayes' rule, each as a few lines.
//!
//!     cargo run -p exercises --example probability
#![forbid(unsafe_code)]

use tensor::Generator;

// ANCHOR: density
fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    let distance = (x - mean) / sigma;
    -0.5 * distance * distance - sigma.ln() - 0.5 * std::f64::consts::TAU.ln()
}
// ANCHOR_END: density

/// n draws from N(mean, σ²).
fn draws(seed: u64, n: usize, mean: f64, sigma: f64) -> Vec<f64> {
    let normals = Generator::new(seed).normal_tensor([n]);
    normals.data().iter().map(|eps| mean + sigma * f64::from(*eps)).collect()
}

/// The mean of values, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

fn main() {
    // ANCHOR: area
    let step = 0.001;
    let area =
        |from: i32, to: i32| (from..to).map(|i| log_normal(f64::from(i) * step, 0.0, 1.0).exp() * step).sum::<f64>();
    println!("area under N(0, 1): all {:.4}, from -1 to 1 {:.4}", area(-9000, 9000), area(-1000, 1000));
    // ANCHOR_END: area

    // ANCHOR: expectation
    println!("E[z²] of N(1, 0.5²) is 1.25. Estimates:");
    for n in [100, 10_000, 1_000_000] {
        let squares: Vec<f64> = draws(1, n, 1.0, 0.5).iter().map(|z| z * z).collect();
        let (mean, error) = mean_and_error(&squares);
        println!("  {n:7} draws: {mean:.4} ± {error:.4}");
    }
    // ANCHOR_END: expectation

    // ANCHOR: kl
    let (mean, sigma) = (1.0, 0.5);
    let closed = 0.5 * (mean * mean + sigma * sigma - 1.0 - 2.0 * f64::ln(sigma));
    let difference = |z: &f64| log_normal(*z, mean, sigma) - log_normal(*z, 0.0, 1.0);
    let (estimate, error) = mean_and_error(&draws(2, 100_000, mean, sigma).iter().map(difference).collect::<Vec<_>>());
    println!("KL(N(1, 0.5²) ‖ N(0, 1)): formula {closed:.4}, from draws {estimate:.4} ± {error:.4}");
    // ANCHOR_END: kl
    assert!((closed - estimate).abs() < 4.0 * error);

    // ANCHOR: bayes
    let prior = [0.9, 0.1]; // a fair coin, one with two heads
    for heads in 1..=5 {
        let likelihood = [0.5f64.powi(heads), 1.0];
        let joint = [prior[0] * likelihood[0], prior[1] * likelihood[1]];
        let evidence = joint[0] + joint[1];
        println!(
            "after {heads} heads: evidence {evidence:.3}, the coin has two heads with probability {:.3}",
            joint[1] / evidence
        );
    }
    // ANCHOR_END: bayes
}
