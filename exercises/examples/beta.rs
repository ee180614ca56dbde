//! Chapter 10: the same VAE with six weights of the KL. It has four latents, and the pictures have two properties.
//!
//!     cargo run -p exercises --example beta
#![forbid(unsafe_code)]

use autograd::no_grad;
use exercises::vae::{Vae, kl, pictures, train};
use tensor::Generator;

fn main() {
    println!("{:>6}  {:>14}  {:>6}  {:>26}  latents in use", "β", "reconstruction", "KL", "KL of each latent");
    let mut rows = Vec::new();
    // ANCHOR: sweep
    for beta in [0.01, 0.1, 1.0, 4.0, 10.0, 144.0] {
        let mut rng = Generator::new(1);
        let (x, _) = pictures(&mut rng, 1024);
        let model = Vae::new(&mut rng, 4);
        let mut last = None;
        train(&model, &x, beta, &mut rng, |_, losses| last = Some(losses));
        let (mu, logvar) = no_grad(|| model.encode(&x));
        let per_latent = kl(&mu, &logvar);
        let used = per_latent.value().data().iter().filter(|kl| **kl > 0.1).count();
        let losses = last.expect("it was trained");
        let each: Vec<String> = per_latent.value().data().iter().map(|kl| format!("{kl:.2}")).collect();
        println!("{beta:6}  {:14.2}  {:6.2}  {:>26}  {used}", losses.reconstruction, losses.kl, each.join(" "));
        rows.push((losses, used));
    }
    // ANCHOR_END: sweep
    assert!(rows[0].0.kl > rows[2].0.kl && rows[2].0.kl > rows[4].0.kl, "a larger β gives a smaller KL");
    assert!(rows[3].1 == 2 && rows[5].1 == 0, "two latents at β = 4, none at 144");
}
