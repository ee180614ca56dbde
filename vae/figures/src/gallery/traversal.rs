//! `traversal`: one latent at a time moves from −3 to 3 while all others stay at 0 or at the posterior mean of an image:
//!
//! ```text
//! x̂(d, t) = decoder(z),  z_d = t,  z_i = 0 or μ_i(x) elsewhere
//! ```
//!
//! There is one row per latent, in descending order of KL. The GIF has one column per latent and plays forwards and backwards.

use vae_core::Result;
use vae_core::image_quality::similarity::mse;
use vae_run::LoadedRun;

use super::latents::{by_kl, class, decode, label_words, means};
use super::{Drawing, check_place};
use crate::figure::{self, Row, Still, animation, grid_of_columns};

/// The largest number of latents.
const LATENTS: usize = 10;
/// Positions along a latent, in the image and in the GIF.
const STEPS: usize = 11;
const FRAMES: usize = 13;
const REACH: f32 = 3.0;

/// Draws the traversal around 0, or around the posterior mean of the test image of this index.
///
/// # Errors
/// If the model has no latents, there is no such image, or the device fails.
pub fn draw(run: &LoadedRun, image: Option<usize>) -> Result<Drawing> {
    let mut order = by_kl(run, "traversal")?;
    order.truncate(LATENTS);
    let (predictor, z_dim) = (&run.predictor, run.predictor.config.model.z_dim);
    let shape = predictor.transform.shape();
    let len = shape.iter().product::<usize>();
    let (base, label) = match image {
        None => (vec![0.0; z_dim], 0),
        Some(place) => {
            check_place(run, "--image", place)?;
            (means(run, "traversal", &[place])?.data().to_vec(), run.dataset()?.test.label(place))
        }
    };
    let along =
        |steps: usize| order.iter().flat_map(|&(dim, _)| moved(&base, dim, steps)).flatten().collect::<Vec<f32>>();
    let pixels = decode(run, &along(STEPS), label)?;

    let names: Vec<String> = order.iter().map(|(dim, kl)| format!("latent {dim}, KL {kl:.2}")).collect();
    let rows = names.iter().zip(pixels.chunks_exact(STEPS * len)).map(|(name, pixels)| Row { name, pixels });
    let rows: Vec<Row> = rows.collect();
    let heads: Vec<String> = places(STEPS).map(|t| format!("{t:.1}")).collect();
    let around = match image {
        None => format!("the others at 0{}", label_words(run, label)),
        Some(place) => format!("the others as of test image {place} ({})", class(run, label)),
    };
    let title = format!("{}: each latent from -3 to 3, {around}; by KL in nats", run.title());
    let tiles = grid_of_columns(&title, &heads, &rows, shape, rows.len());

    let changes = pixels.chunks_exact(STEPS * len).map(|row| mse(&row[..len], &row[row.len() - len..]).sqrt());
    let changes: Vec<f64> = changes.collect();
    let along_one = |i: usize| {
        format!("{} along latent {} (KL {:.2} nats)", figure::format_value(changes[i]), order[i].0, order[i].1)
    };
    let last = order.len() - 1;
    let rest = if last > 0 { format!(" and by {}", along_one(last)) } else { String::new() };
    let alt = format!(
        "Decoded images along {} of {z_dim} latents from -3 to 3, {around}; from end to end a pixel changes in root mean \
         square by {}{rest}.",
        order.len(),
        along_one(0)
    );

    let heads: Vec<String> = order.iter().map(|(dim, _)| format!("z{dim}")).collect();
    let pixels = decode(run, &along(FRAMES), label)?;
    let still = |(k, t): (usize, f32)| Still {
        name: format!("{t:>4.1}"),
        pixels: pixels
            .chunks_exact(FRAMES * len)
            .filter_map(|row| row.chunks_exact(len).nth(k))
            .flatten()
            .copied()
            .collect(),
        milliseconds: if k == 0 || k == FRAMES - 1 { 500 } else { 120 },
    };
    let there: Vec<(usize, f32)> = places(FRAMES).enumerate().collect();
    let back = there[1..FRAMES - 1].iter().rev();
    let stills: Vec<Still> = there.iter().chain(back).map(|&at| still(at)).collect();
    let gif = animation(&format!("{}: {around}", run.title()), &heads, &stills, shape);

    let name = image.map_or("traversal".to_owned(), |place| format!("traversal-{place}"));
    Ok(Drawing { gif: Some(gif), ..Drawing::picture(&name, title, alt, tiles) })
}

/// `count` positions from −3 to 3 in equal steps.
fn places(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(move |k| REACH * (2.0 * k as f32 / (count - 1) as f32 - 1.0))
}

/// The latents `base` with element `dim` at each of the positions.
fn moved(base: &[f32], dim: usize, steps: usize) -> impl Iterator<Item = Vec<f32>> {
    places(steps).map(move |t| {
        let mut z = base.to_vec();
        z[dim] = t;
        z
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_latent_moves_and_the_others_stay() {
        let rows: Vec<Vec<f32>> = moved(&[0.5, 9.0], 1, 5).collect();
        assert_eq!(rows, [[0.5, -3.0], [0.5, -1.5], [0.5, 0.0], [0.5, 1.5], [0.5, 3.0]]);
    }
}
