//! The map of two latents while a VAE learns, as an animated GIF and as a page with a slider.
//!
//!     cargo run -p vae --example map_of_two_latents                                 writes target/map.gif and target/map.html
//!     cargo run -p vae --example map_of_two_latents docs/book/src/images/map.gif    writes those of the book
//!
//! A VAE with two latents can be seen whole: each place of a plane is a code, and the decoder makes a digit of it. Before training
//! all are grey. Then the places divide among the digits, and neighbours come to look alike.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::GrayImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use pollster::block_on;
use tensor::{Device, Tensor};
use vae::config::Settings;
use vae::figures::figure::{Still, animation};
use vae::train::Trainer;
use vae::{Error, Result, data, learn};

/// Digits of a row and of a column, and the latents at the ends of them.
const SIDE: usize = 5;
const REACH: f32 = 2.0;
const EPOCHS: usize = 16;

/// The codes of the map, row by row: the first latent grows to the right, the second upwards.
fn codes() -> Tensor {
    let place = |i: usize| REACH * (2.0 * i as f32 / (SIDE - 1) as f32 - 1.0);
    let codes = (0..SIDE * SIDE).flat_map(|i| [place(i % SIDE), -place(i / SIDE)]);
    Tensor::new(&codes.collect::<Vec<f32>>(), [SIDE * SIDE, 2])
}

/// The decoded map as one image.
fn map(trainer: &mut Trainer, size: usize) -> Result<Vec<f32>> {
    let pixels = block_on(trainer.predictor().decode(&codes(), &[0; SIDE * SIDE]))?.expect("a VAE decodes");
    let width = SIDE * size;
    let at = |i: usize| {
        let (y, x) = (i / width, i % width);
        let digit = y / size * SIDE + x / size;
        pixels[(digit * size + y % size) * size + x % size]
    };
    Ok((0..width * width).map(at).collect())
}

/// A page that shows one of the maps, and a slider that chooses which. It contains them as one tall picture.
fn page(stills: &[Still], width: usize) -> String {
    let grey = |x: &f32| (255.0 * x.clamp(0.0, 1.0)).round() as u8;
    let pixels: Vec<u8> = stills.iter().flat_map(|still| &still.pixels).map(grey).collect();
    let tall = GrayImage::from_raw(width as u32, (width * stills.len()) as u32, pixels).expect("all pixels");
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
    tall.write_with_encoder(encoder).expect("writing to memory does not fail");
    include_str!("map_of_two_latents.html")
        .replace("{last}", &(stills.len() - 1).to_string())
        .replace("{png}", &BASE64.encode(png))
}

fn main() -> Result<()> {
    let mut settings = Settings::default();
    for setting in [
        "model.kind=dense",
        "model.hidden=128",
        "model.z_dim=2",
        "data.limit=2000",
        "model.output=sigmoid",
        "loss.reconstruction=bce",
        "train.learning_rate=0.002",
    ] {
        settings.assignment(setting)?;
    }
    let config = settings.resolve()?;
    config.check()?;
    let (dataset, model) = (data::load(&config)?, learn::build(&config));
    let size = dataset.transform.shape()[1];
    let mut trainer = Trainer::from_learner(config, dataset, model, Device::Cpu);

    let mut stills = Vec::new();
    for epoch in 0..=EPOCHS {
        let mut total = f64::NAN;
        if epoch > 0 {
            total = block_on(trainer.epoch(epoch, &mut |_| true))?.map_or(f64::NAN, |losses| losses.total);
        }
        match epoch {
            0 => println!("epoch  0: not trained yet"),
            _ => println!("epoch {epoch:2}: loss {total:.1}"),
        }
        let milliseconds = if epoch == EPOCHS { 2500 } else { 250 };
        stills.push(Still { name: format!("{epoch:2}"), pixels: map(&mut trainer, size)?, milliseconds });
    }
    let changed = stills[0].pixels.iter().zip(&stills[EPOCHS].pixels).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(changed > 0.3, "the map has learned something: {changed}");

    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/map.gif"), PathBuf::from);
    let gif =
        animation("The map of two latents, after each epoch", &[String::new()], &stills, [1, SIDE * size, SIDE * size]);
    for (path, bytes) in [(out.with_extension("html"), page(&stills, SIDE * size).into_bytes()), (out, gif)] {
        std::fs::write(&path, &bytes)
            .map_err(|error| Error::config(format!("{} cannot be written: {error}", path.display())))?;
        println!("{} bytes: {}", bytes.len(), path.display());
    }
    Ok(())
}
