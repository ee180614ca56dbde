//! A draw that has a gradient.
//!
//! z = μ + σ·ε is a draw from N(μ, σ²) if ε is one from N(0, 1). Return z from μ, logvar = ln σ² and ε. All have the same shape. The
//! standard deviation σ is e^(logvar/2).

use crate::help::{Verdict, near};
use autograd::Var;
use tensor::{Generator, Tensor};

pub fn draw(mu: &Var, logvar: &Var, eps: &Tensor) -> Var {
    todo!("μ + σ·ε")
}

pub fn check(draw: fn(&Var, &Var, &Tensor) -> Var) -> Verdict {
    let n = 20_000;
    let eps = Generator::new(9).normal_tensor([n]);
    let (mu, logvar) = (Var::leaf(Tensor::full([n], 1.5)), Var::leaf(Tensor::full([n], 9f32.ln())));
    let z = draw(&mu, &logvar, &eps);
    let mean = z.value().mean_all().item();
    near("for μ = 1.5 and σ² = 9, the mean of 20,000 draws", f64::from(mean), 1.5, 0.08)?;
    let variance = (z.value() - mean).square().mean_all().item();
    near("for μ = 1.5 and σ² = 9, the variance of 20,000 draws", f64::from(variance), 9.0, 0.3)?;
    // E[z²] = μ² + σ², so the gradients of the mean of z² are 2μ and σ², summed over all copies of μ and logvar.
    let loss = z.square().mean_all();
    let gradients = loss.backward();
    for (name, leaf, expected) in [("μ", &mu, 3.0), ("logvar", &logvar, 9.0)] {
        let found = gradients.of(leaf).ok_or(format!("z does not depend on {name}, so it cannot be learned"))?;
        near(
            &format!("the gradient of E[z²] with respect to {name}"),
            f64::from(found.sum_all().item()),
            expected,
            0.3,
        )?;
    }
    Ok(())
}
