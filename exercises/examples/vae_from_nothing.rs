//! Chapter 9: trains the VAE of `exercises/src/vae.rs`, and asks it for new pictures.
//!
//!     cargo run -p exercises --example vae_from_nothing
#![forbid(unsafe_code)]

use autograd::{Var, no_grad};
use exercises::vae::{PIXELS, SIZE, Vae, picture, pictures, train};
use tensor::{Generator, Tensor};

/// The mean over pictures of the sum of squared differences from the nearest picture of a blob, wherever the blob is.
fn distance_to_blobs(found: &Tensor) -> f64 {
    let blobs: Vec<Vec<f32>> =
        (0..30 * 30).map(|i| picture(2.0 + (i % 30) as f32 * 0.25, 2.0 + (i / 30) as f32 * 0.25)).collect();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from((a - b) * (a - b))).sum::<f64>();
    let nearest = |x: &[f32]| blobs.iter().map(|blob| distance(x, blob)).fold(f64::INFINITY, f64::min);
    found.data().chunks(PIXELS).map(nearest).sum::<f64>() / found.shape()[0] as f64
}

/// Prints pictures beside each other, with one character per two rows.
fn print(pictures: &Tensor) {
    for row in 0..SIZE / 2 {
        let shade = |x: f32| b" .:-=+*#%@"[(x.clamp(0.0, 1.0) * 9.9) as usize] as char;
        let line = |pixels: &[f32]| {
            let pixel = |i: usize| 0.5 * (pixels[2 * row * SIZE + i] + pixels[(2 * row + 1) * SIZE + i]);
            (0..SIZE).map(|i| shade(pixel(i))).collect::<String>()
        };
        println!("  {}", pictures.data().chunks(PIXELS).map(line).collect::<Vec<_>>().join(" | "));
    }
}

/// Trains a VAE with this many latents, and returns the distances of reconstructions and of pictures from random codes.
fn study(latents: usize) -> [f64; 2] {
    println!("{latents} latents");
    let mut rng = Generator::new(1);
    let (x, _) = pictures(&mut rng, 1024);
    let model = Vae::new(&mut rng, latents);
    let mut last = None;
    train(&model, &x, 1.0, &mut rng, |step, losses| {
        println!("step {step:4}: reconstruction {:.2}, KL {:.2}", losses.reconstruction, losses.kl);
        last = Some(losses);
    });

    // ANCHOR: generate
    let new = no_grad(|| model.decode(&Var::constant(rng.normal_tensor([256, latents]))).sigmoid());
    println!("four new pictures:");
    print(&new.value().at(0..4));
    // ANCHOR_END: generate
    let (test, _) = pictures(&mut rng, 256);
    let back = no_grad(|| model.decode(&model.encode(&test).0).sigmoid());
    let (reconstructed, generated) = (distance_to_blobs(back.value()), distance_to_blobs(new.value()));
    println!("squared distance from the nearest blob: reconstructions {reconstructed:.2}, new pictures {generated:.2}");
    assert!(last.is_some_and(|losses| losses.kl > 2.0));
    [reconstructed, generated]
}

fn main() {
    for latents in [2, 8] {
        let [reconstructed, generated] = study(latents);
        assert!(generated < 4.0 * reconstructed, "random codes decode nearly as well");
    }
}
