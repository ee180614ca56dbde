//! Scores of a prior and of codes, on test images. z is a draw from the posterior of an image, or its codes.
//!
//! - `latent_nll`: the mean of −ln p(z), p being the prior that samples are drawn from. A prior that was fitted to latents
//!   (`vae fit-prior`) gives those of test images a higher density than the model's own. For the prior `vae` it is an upper bound.
//! - `codebook_use`: the share of the codes that any position of the images has.
//! - `codebook_perplexity`: exp(−Σ p_k ln p_k), p_k being the share of positions with code k.

use pollster::block_on;
use vae_core::Result;
use vae_core::config::Config;
use vae_run::LoadedRun;

use super::{EvalImages, Options, Scores};

const NLL: &str = "latent_nll";
const OF_CODES: [&str; 2] = ["codebook_use", "codebook_perplexity"];

/// Returns the names of these scores.
pub(super) fn names(config: &Config) -> impl Iterator<Item = String> {
    let of_codes: &[&str] = if config.model.has_codes() { &OF_CODES } else { &[] };
    [NLL].iter().chain(of_codes).map(|&name| name.to_owned())
}

/// Adds the scores.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let (predictor, eval) = (&run.predictor, EvalImages::of(run, options.images)?);
    let Some(latents) = block_on(predictor.latents(eval.split, &eval.places))? else {
        scores.add_missing(NLL, "the model has no latents");
        return Ok(());
    };
    match block_on(predictor.latent_nats(&latents))? {
        Some(nats) => {
            let bound = if predictor.latent_nats_are_a_bound() { ", an upper bound" } else { "" };
            scores.add(NLL, nats, "nats per image", format!("{eval}; {}{bound}", predictor.prior_words()));
        }
        None => scores.add_missing(NLL, "no prior is fitted to the codes; vae fit-prior fits one"),
    }
    if predictor.config.model.has_codes() {
        let count = predictor.config.model.code_count();
        let [used, perplexity] = use_of_codes(latents.data(), count);
        let of = format!("{eval}, {} codes each, of {count}", latents.shape()[1]);
        scores.add(OF_CODES[0], used, "share of the codes", &of);
        scores.add(OF_CODES[1], perplexity, "codes", of);
    }
    Ok(())
}

/// Returns the share of codes that are used, and the perplexity.
fn use_of_codes(codes: &[f32], count: usize) -> [f64; 2] {
    let mut counts = vec![0.0; count];
    codes.iter().for_each(|&code| counts[code as usize] += 1.0);
    let used = counts.iter().filter(|&&n| n > 0.0).count();
    let shares = counts.iter().map(|n| n / codes.len() as f64).filter(|&p| p > 0.0);
    [used as f64 / count as f64, (-shares.map(|p| p * p.ln()).sum::<f64>()).exp()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_use_are_counted_and_weighted() {
        let [used, perplexity] = use_of_codes(&[0.0, 0.0, 3.0, 3.0], 8);
        assert_eq!(used, 0.25);
        assert!((perplexity - 2.0).abs() < 1e-12);
        let [_, uneven] = use_of_codes(&[0.0, 0.0, 0.0, 1.0], 8);
        assert!((uneven - (0.75_f64.powf(-0.75) * 0.25_f64.powf(-0.25))).abs() < 1e-12, "{uneven}");
    }
}
