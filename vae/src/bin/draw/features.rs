//! `features.png`: what the network sees of a test image at every stage, four of its maps each.

use anyhow::{Result, bail};
use clap::Args;
use pollster::block_on;
use vae::run::Folder;
use vae::trained::Trained;
use vae::{Error, figure, learn, say};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The test image, by its place
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    image: usize,
}

/// Draws and writes the picture.
pub(crate) fn draw(run: &Trained, options: &Options) -> Result<()> {
    let trainer = &run.trainer;
    let (test, place) = (&trainer.dataset.test, options.image);
    if place >= test.count() {
        bail!(Error::config(format!("--image {place}: the test images are 0 to {}", test.count() - 1)));
    }
    let image = trainer.dataset.batch(test, &[place])?;
    let stages = block_on(learn::stages(&*trainer.model, &image.upload(trainer.device()), test.label(place)))?;
    if stages.is_empty() {
        bail!(Error::config(format!("model.kind = \"{}\" has no maps to show", trainer.config.model.kind)));
    }
    let title = format!("{}: four maps of each stage, test image {place}", run.title());
    let pixels = block_on(trainer.unit(&image))?;
    let shape = trainer.dataset.transform.shape();
    let picture = figure::features(&title, &pixels, shape, &stages, trainer.config.seed);
    Folder::of_run(&run.path).write("features.png", &picture)?;
    say!("{} stages: {}", stages.len(), run.path.join("features.png").display());
    Ok(())
}
