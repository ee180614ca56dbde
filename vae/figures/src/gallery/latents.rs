//! What several figures ask of a run: which latents matter, where images lie among them, what points decode to.

use pollster::block_on;
use tensor::Tensor;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::not_for;

/// The latents of a run and the KL of each in nats, a mean over the validation images of its epoch, the highest first.
pub(super) fn by_kl(run: &LoadedRun, figure: &str) -> Result<Vec<(usize, f64)>> {
    if !run.predictor.config.model.is_vae() {
        return Err(not_for(&run.predictor, figure, "has no latents"));
    }
    let epoch = run.history.iter().find(|epoch| epoch.epoch == run.epoch);
    let epoch = epoch.ok_or_else(|| {
        Error::config(format!("{figure}: this run has not finished an epoch, so the KL of its latents is not known"))
    })?;
    Ok(highest_first(&epoch.validation.kl_per_dim))
}

fn highest_first(kl: &[f64]) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = kl.iter().copied().enumerate().collect();
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a)); // stable: of equal ones the first
    all
}

/// Two latents to draw in a plane: those asked for, or the two of the highest KL, the lower number first.
pub(super) fn two(run: &LoadedRun, figure: &str, asked: Option<[usize; 2]>) -> Result<[usize; 2]> {
    let order = by_kl(run, figure)?;
    match (asked, &order[..]) {
        (Some(dims), _) => {
            if let Some(dim) = dims.iter().find(|&&dim| dim >= order.len()) {
                return Err(Error::config(format!(
                    "--dims {dim}: there is no such latent; latents are 0 to {}",
                    order.len() - 1
                )));
            }
            if dims[0] == dims[1] {
                return Err(Error::config(format!("--dims {0},{0}: name two different latents", dims[0])));
            }
            Ok(dims)
        }
        (None, [(a, _), (b, _), ..]) => Ok([*a.min(b), *a.max(b)]),
        _ => Err(Error::config(format!("{figure}: the model has one latent, and a plane needs two"))),
    }
}

/// Means of the posteriors of test images, `[places, z]`.
pub(super) fn means(run: &LoadedRun, figure: &str, places: &[usize]) -> Result<Tensor> {
    let gaussians = block_on(run.predictor.encode(&run.dataset.test, places))?;
    let [mu, _] = gaussians.ok_or_else(|| not_for(&run.predictor, figure, "has no latents"))?;
    Ok(mu)
}

/// What rows of latents decode to, as pixels in [0, 1]; a conditional model is told this label.
pub(super) fn decode(run: &LoadedRun, z: &[f32], label: usize) -> Result<Vec<f32>> {
    let count = z.len() / run.predictor.config.model.z_dim;
    let z = Tensor::new(z, [count, run.predictor.config.model.z_dim]);
    Ok(block_on(run.predictor.decode(&z, &vec![label; count]))?.expect("what has latents decodes them"))
}

/// What a title says of the label that a conditional model is told.
pub(super) fn told(run: &LoadedRun, label: usize) -> String {
    if run.predictor.config.told_classes() > 0 { format!(", told {}", class(run, label)) } else { String::new() }
}

/// The name of what an image shows.
pub(super) fn class(run: &LoadedRun, label: usize) -> String {
    let names = run.dataset.test.images().class_names();
    names.get(label).cloned().unwrap_or_else(|| format!("label {label}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_kl_comes_first_and_of_equals_the_first() {
        assert_eq!(highest_first(&[0.5, 2.0, 0.0, 2.0]), [(1, 2.0), (3, 2.0), (0, 0.5), (2, 0.0)]);
    }
}
