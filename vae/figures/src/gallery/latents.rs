//! What several figures need of a run: the order of its latents by KL, the posterior means of images, and decoded points.

use pollster::block_on;
use tensor::Tensor;
use vae_core::image_quality::similarity::mse;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::not_for;

/// The latents of a run with their KL in nats, a mean over the validation images of its epoch, in descending order.
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
    all.sort_by(|(_, a), (_, b)| b.total_cmp(a)); // stable: equal values stay in the order of their indices
    all
}

/// Two latents that span a plane: `asked`, or else the two with the highest KL, the lower index first.
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

/// Posterior means of the test images of these indices, `[places, z]`.
pub(super) fn means(run: &LoadedRun, figure: &str, places: &[usize]) -> Result<Tensor> {
    let gaussians = block_on(run.predictor.encode(&run.dataset()?.test, places))?;
    let [mu, _] = gaussians.ok_or_else(|| not_for(&run.predictor, figure, "has no latents"))?;
    Ok(mu)
}

/// Decodes rows of latents to pixels in [0, 1]. A conditional model gets this label for each.
pub(super) fn decode(run: &LoadedRun, z: &[f32], label: usize) -> Result<Vec<f32>> {
    let count = z.len() / run.predictor.config.model.z_dim;
    let z = Tensor::new(z, [count, run.predictor.config.model.z_dim]);
    Ok(block_on(run.predictor.decode(&z, &vec![label; count]))?.expect("what has latents decodes them"))
}

/// How much a pixel changes from each image of `len` numbers to the next, in root mean square.
pub(super) fn changes(pixels: &[f32], len: usize) -> Vec<f64> {
    let images: Vec<&[f32]> = pixels.chunks_exact(len).collect();
    images.windows(2).map(|pair| mse(pair[0], pair[1]).sqrt()).collect()
}

/// The part of a title that names the label which a conditional model gets; empty for other models.
pub(super) fn label_words(run: &LoadedRun, label: usize) -> String {
    if run.predictor.config.condition_classes() > 0 { format!(", told {}", class(run, label)) } else { String::new() }
}

/// The name of a class.
pub(super) fn class(run: &LoadedRun, label: usize) -> String {
    run.class_names().get(label).cloned().unwrap_or_else(|| format!("label {label}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_are_sorted_by_kl_and_ties_by_index() {
        assert_eq!(highest_first(&[0.5, 2.0, 0.0, 2.0]), [(1, 2.0), (3, 2.0), (0, 0.5), (2, 0.0)]);
    }

    /// From (0, 0) to (3, 3) by 3, then to (4, 3) by √½.
    #[test]
    fn changes_are_between_neighbours() {
        assert_eq!(changes(&[0.0, 0.0, 3.0, 3.0, 4.0, 3.0], 2), [3.0, 0.5_f64.sqrt()]);
        assert!(changes(&[1.0, 2.0], 2).is_empty());
    }
}
