//! `kl`: the KL divergence of each latent from N(0, 1), in nats (1 nat = 1/ln 2 bits), as a mean over the validation images
//! of the epoch (`validation.kl_per_dim` of `metrics.jsonl`), in descending order. A latent with a KL near 0 carries no
//! information.

use vae_core::Result;
use vae_core::config::ModelPrior;
use vae_core::predict::IN_USE;
use vae_run::LoadedRun;

use super::Drawing;
use super::latents::by_kl;
use crate::figure::{Axis, Kind, Panel, Plot, Series, Style};

/// The largest number of bars that can be distinguished in the figure.
const MOST: usize = 256;
const SIZE: [u32; 2] = [900, 420];

/// Draws the figure.
///
/// # Errors
/// If the model has no latents, or the run has not finished an epoch.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let all = by_kl(run, "kl")?;
    let shown = &all[..all.len().min(MOST)];
    // With a VampPrior, the KL in the loss is another one.
    let has_sum = run.predictor.config.model.prior == ModelPrior::Standard;
    let sum: f64 = all.iter().map(|(_, kl)| kl).sum();
    let sum = if has_sum { format!("{sum:.2} nats in all") } else { "from N(0, 1)".to_owned() };
    let of = if shown.len() < all.len() { format!(", the first {MOST} of {}", all.len()) } else { String::new() };
    let title = format!("{}: KL of each latent, highest first{of}; {sum}", run.title());
    let points = shown.iter().zip(0_u32..).map(|((_, kl), i)| [f64::from(i), *kl]).collect();
    let series = Series { name: String::new(), kind: Kind::Bars, style: Style::number(0), points };
    let x = Axis::named("latent", shown.iter().map(|(dim, _)| dim.to_string()));
    let y = Axis::around("KL in nats", shown.iter().map(|(_, kl)| *kl).chain([0.0]));
    let panel = Panel { heading: String::new(), x, y, series: vec![series] };
    let plot = Plot { title, columns: 1, size: SIZE, panels: vec![panel] };
    let used = all.iter().filter(|(_, kl)| *kl > IN_USE).count();
    let alt = format!(
        "Bars of the KL of {} latents, {sum}: the highest is {:.2} of latent {}, the lowest {:.4} of latent {}; \
         {used} of them are in use, with more than {IN_USE} nat.",
        all.len(),
        all[0].1,
        all[0].0,
        all[all.len() - 1].1,
        all[all.len() - 1].0
    );
    Ok(Drawing::plot("kl", &plot, alt))
}
