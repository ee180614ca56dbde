//! `laplacian`: the sharpness of images (`vae_core::image_quality::laplacian`), for test images, their reconstructions from z = μ, and samples.
//! The figure shows the mean over five images of each, as in the first paper, and over a thousand, which is precise enough to
//! compare models.

use pollster::block_on;
use vae_core::Result;
use vae_core::image_quality::laplacian::laplacian_variance;
use vae_run::LoadedRun;

use super::{Drawing, first_places, not_for};
use crate::figure::{Axis, Kind, Panel, Plot, Series, Style, format_value};

const FEW: usize = 5;
const MANY: usize = 1_000;
const SIZE: [u32; 2] = [760, 420];

/// Draws the figure.
///
/// # Errors
/// If the model does not decode images or cannot sample, there are no test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    let places = first_places(run, MANY)?;
    let samples = block_on(predictor.sample(places.len()))?
        .ok_or_else(|| not_for(predictor, "laplacian", "cannot draw samples"))?;
    let images = predictor.batch(test, &places)?;
    let reconstructions =
        block_on(predictor.reconstruction(test, &places, &images))?.expect("what draws samples gives images");
    let originals = block_on(predictor.to_unit(&images))?;

    let shape = predictor.transform.shape();
    let sharpness =
        |pixels: &[f32]| pixels.chunks_exact(shape.iter().product()).map(|x| laplacian_variance(x, shape)).collect();
    let all: [(&str, Vec<f64>); 3] = [
        ("test images", sharpness(&originals)),
        ("reconstructions", sharpness(&reconstructions)),
        ("samples", sharpness(&samples)),
    ];
    let counts = [FEW.min(places.len()), places.len()];
    let mean = |values: &[f64], count: usize| values[..count].iter().sum::<f64>() / count as f64;
    let series = all.iter().enumerate().map(|(k, (name, values))| {
        let points = vec![[0.0, mean(values, counts[0])], [1.0, mean(values, counts[1])]];
        Series { name: (*name).into(), kind: Kind::Bars, style: Style::number(k), points }
    });
    let series: Vec<Series> = series.collect();
    let numbers = series.iter().flat_map(|series| &series.points).map(|point| point[1]);
    let x = Axis::named("images of each kind", counts.map(|count| count.to_string()));
    let y = Axis::around("mean variance (0 to 255 squared)", numbers.chain([0.0]));
    let panel = Panel { heading: String::new(), x, y, series };
    let title = format!("{}: Laplacian variance, higher is sharper", run.title());
    let words = all.iter().map(|(name, values)| format!("{name} {}", format_value(mean(values, counts[1]))));
    let alt = format!(
        "Bars of the mean Laplacian variance over {} of each: {}.",
        counts[1],
        words.collect::<Vec<_>>().join(", ")
    );
    let plot = Plot { title, columns: 1, size: SIZE, panels: vec![panel] };
    Ok(Drawing::plot("laplacian", &plot, alt))
}
