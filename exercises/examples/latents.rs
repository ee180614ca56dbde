//! Chapter 11: what do the latents of the VAE of chapter 9 mean? The pictures' two properties are known, so it can be measured.
//!
//!     cargo run -p exercises --example latents
#![forbid(unsafe_code)]

use autograd::{Var, no_grad};
use exercises::vae::{PIXELS, SIZE, Vae, draw, pictures, train};
use tensor::{Generator, Tensor};

/// The place of a blob: the mean place of its pixels, weighted by brightness.
fn centre(pixels: &[f32]) -> [f32; 2] {
    let total: f32 = pixels.iter().sum();
    let mean =
        |place: fn(usize) -> usize| pixels.iter().enumerate().map(|(i, p)| place(i) as f32 * p).sum::<f32>() / total;
    [mean(|i| i % SIZE), mean(|i| i / SIZE)]
}

/// The correlation of two lists: 1 if one is a rising straight line of the other, 0 if neither helps to guess the other by a line.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let product =
        |x: &[f32], y: &[f32], mx: f32, my: f32| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f32>();
    product(a, b, ma, mb) / (product(a, a, ma, ma) * product(b, b, mb, mb)).sqrt()
}

fn column(x: &Tensor, j: usize) -> Vec<f32> {
    x.at((.., j)).data().to_vec()
}

// ANCHOR: log_q
/// log q(z) of each draw, as the mean over the posteriors of all pictures: the logarithm of a mean of densities. `dims` are the
/// latents that count.
fn log_q(z: &Tensor, mu: &Tensor, logvar: &Tensor, dims: &[usize]) -> Vec<f64> {
    let n = mu.shape()[0];
    let log_density = |i: usize, j: usize, d: usize| {
        let (z, mu, logvar) = (z.at((i, d)).item(), mu.at((j, d)).item(), logvar.at((j, d)).item());
        f64::from(-0.5 * ((z - mu).powi(2) / logvar.exp() + logvar)) - 0.5 * std::f64::consts::TAU.ln()
    };
    let mean = |i: usize| {
        (0..n).map(|j| dims.iter().map(|d| log_density(i, j, *d)).sum::<f64>().exp()).sum::<f64>() / n as f64
    };
    (0..n).map(|i| mean(i).ln()).collect()
}
// ANCHOR_END: log_q

fn study(beta: f32) {
    println!("β = {beta}");
    let mut rng = Generator::new(1);
    let (x, _) = pictures(&mut rng, 1024);
    let model = Vae::new(&mut rng, 2);
    train(&model, &x, beta, &mut rng, |_, _| ());

    // ANCHOR: traversal
    println!("place of the blob as one latent goes from -2 to 2, the other stays at 0:");
    for latent in 0..2 {
        let code = |value: f32| if latent == 0 { [value, 0.0] } else { [0.0, value] };
        let codes: Vec<f32> = [-2.0, -1.0, 0.0, 1.0, 2.0].into_iter().flat_map(code).collect();
        let decoded = no_grad(|| model.decode(&Var::constant(Tensor::new(&codes, [5, 2]))).sigmoid());
        let places = decoded.value().data().chunks(PIXELS).map(centre).map(|[x, y]| format!("({x:.1}, {y:.1})"));
        println!("  latent {latent}: {}", places.collect::<Vec<_>>().join("  "));
    }
    // ANCHOR_END: traversal

    let (test, places) = pictures(&mut rng, 200);
    let (mu, logvar) = no_grad(|| model.encode(&test));
    println!("correlation of each latent with the true x and y of the blob:");
    for latent in 0..2 {
        let z = column(mu.value(), latent);
        println!(
            "  latent {latent}: {:5.2} {:5.2}",
            correlation(&z, &column(&places, 0)),
            correlation(&z, &column(&places, 1))
        );
    }

    // ANCHOR: parts
    let z = draw(&mu, &logvar, &rng.normal_tensor([200, 2]));
    let (z, mu, logvar) = (z.value(), mu.value(), logvar.value());
    let joint = log_q(z, mu, logvar, &[0, 1]);
    let alone = [log_q(z, mu, logvar, &[0]), log_q(z, mu, logvar, &[1])];
    let tc = (0..200).map(|i| joint[i] - alone[0][i] - alone[1][i]).sum::<f64>() / 200.0;
    println!("total correlation {tc:.2} nats");
    // ANCHOR_END: parts
    assert!(tc > -0.1 && tc < 2.0, "a total correlation is never negative, up to the noise of 200 draws");
}

fn main() {
    study(1.0);
    study(4.0);
}
