//! `labels`: the counterparts of images under other labels. The posterior mean of a test image, which a conditional model computes with the
//! image's own label y, is decoded with each label k:
//!
//! ```text
//! x̂(k) = decoder(mu(x, y), k)
//! ```

use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_core::image_quality::similarity::mse;
use vae_run::LoadedRun;

use super::latents::{class, means};
use super::{Drawing, first_places, not_for};
use crate::figure::{self, Row, grid_of_columns};

/// The most labels, and the most images.
const MOST: usize = 10;

/// Draws the counterparts of a test image of each label.
///
/// # Errors
/// If the model is not conditional, there is no test image, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let predictor = &run.predictor;
    let labels = predictor.config.condition_classes().min(MOST);
    if labels == 0 {
        return Err(not_for(predictor, "labels", "was trained without labels (model.conditional = false)"));
    }
    let test = &run.dataset()?.test;
    let places = one_of_each(&test.labels(&first_places(run, test.count())?), labels);
    let mu = means(run, "labels", &places)?;
    let rows: Vec<Vec<usize>> = (0..places.len()).map(|row| vec![row; labels]).collect();
    let repeated: Vec<f32> = rows.concat().into_iter().map(|row| row as f32).collect();
    let z = mu.index_select(&Tensor::new(&repeated, [repeated.len()]));
    let told: Vec<usize> = places.iter().flat_map(|_| 0..labels).collect();
    let decoded = block_on(predictor.decode(&z, &told))?.expect("what has latents decodes them");

    let images = block_on(predictor.to_unit(&predictor.batch(test, &places)?))?;
    let shape = predictor.transform.shape();
    let len = shape.iter().product::<usize>();
    let pixels: Vec<Vec<f32>> =
        images.chunks(len).zip(decoded.chunks(labels * len)).map(|(image, row)| [image, row].concat()).collect();
    let names: Vec<String> = test.labels(&places).into_iter().map(|label| class(run, label)).collect();
    let drawn: Vec<Row> = names.iter().zip(&pixels).map(|(name, pixels)| Row { name, pixels }).collect();
    let heads: Vec<String> =
        std::iter::once("image".into()).chain((0..labels).map(|label| class(run, label))).collect();
    let title = format!("{}: test images, and their latents decoded with each label", run.title());
    let tiles = grid_of_columns(&title, &heads, &drawn, shape, 1);
    let apart: Vec<f64> = decoded
        .chunks(labels * len)
        .flat_map(|row| row.chunks(len).skip(1).map(|image| mse(&row[..len], image).sqrt()))
        .collect();
    let mean = apart.iter().sum::<f64>() / apart.len().max(1) as f64;
    let alt = format!(
        "{} test images in a column of their own, and beside each its latents decoded with {labels} labels; from the first label to the others \
         a pixel changes by {} in root mean square.",
        places.len(),
        figure::format_value(mean)
    );
    Ok(Drawing::picture("labels", title, alt, tiles))
}

/// The places of the first image of each label, in the order of labels. Labels without an image are left out.
fn one_of_each(labels: &[usize], count: usize) -> Vec<usize> {
    (0..count).filter_map(|label| labels.iter().position(|&found| found == label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_image_of_each_label_is_shown() {
        assert_eq!(one_of_each(&[2, 0, 2, 4, 0, 1], 4), [1, 5, 0]);
        assert!(one_of_each(&[], 4).is_empty());
    }
}
