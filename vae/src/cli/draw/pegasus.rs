//! `pegasus.png`: pairs of images and their blends; `pegasus.json` says which they were.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use vae_figures::figure::{Row, grid};
use vae_figures::pegasus::{Blended, Negate, Pick, Picked, blend};
use vae_run::Folder;
use vae_run::LoadedRun;

use crate::say;

/// Pairs side by side.
const COLUMNS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What to blend: the whitest images of a class by its name, test images by their places such as 3,7, or files
    #[arg(long, value_name = "WHICH", default_value = "horse", value_parser = pick)]
    a: Pick,
    /// What to blend it with, likewise
    #[arg(long, value_name = "WHICH", default_value = "bird", value_parser = pick)]
    b: Pick,
    /// Whose latents of b change their sign: auto (images darker inside than around), none, all, or places such as 0,2
    #[arg(long, value_name = "WHICH", default_value = "auto", value_parser = negate)]
    negate: Negate,
    /// How much of a is in the blend, 0 to 1
    #[arg(long, value_name = "W", default_value_t = 0.6, value_parser = weight)]
    weight: f32,
    /// How many pairs, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: u32,
}

fn pick(words: &str) -> Result<Pick, String> {
    Ok(Pick::parse(words))
}

fn negate(words: &str) -> Result<Negate, String> {
    match words {
        "auto" => Ok(Negate::Dark),
        "none" => Ok(Negate::Each(false)),
        "all" => Ok(Negate::Each(true)),
        places => match places.split(',').map(|place| place.trim().parse()).collect() {
            Ok(places) => Ok(Negate::Places(places)),
            Err(_) => Err("it must be auto, none, all, or numbers of pairs such as 0,2".into()),
        },
    }
}

fn weight(words: &str) -> Result<f32, String> {
    let weight = words.parse().ok().filter(|weight| (0.0..=1.0).contains(weight));
    weight.ok_or_else(|| "it must be a number from 0 to 1".into())
}

/// Draws the two files and writes them into a folder.
pub(super) fn draw(run: &LoadedRun, options: &Options, place: &Path) -> Result<()> {
    let predictor = &run.predictor;
    let test = &run.dataset()?.test;
    let take = |pick: &Pick| pick.take(predictor, test, options.count as usize);
    let (mut a, mut b) = (take(&options.a)?, take(&options.b)?);
    let blended = blend(predictor, &run.dataset()?.train, [&mut a, &mut b], &options.negate, options.weight)?;

    let mut folder = Folder::open_unlocked(place);
    folder.write("pegasus.png", &picture(run, options, [&a, &b], &blended))?;
    let json = pairs(options, [&a, &b], &blended);
    folder.write("pegasus.json", format!("{json:#}\n").as_bytes())?;
    let negated = blended.negated.iter().filter(|&&negated| negated).count();
    say!(
        "{} pair{}, {negated} of b negated: {}",
        a.places.len(),
        if a.places.len() == 1 { "" } else { "s" },
        place.join("pegasus.png").display()
    );
    Ok(())
}

fn picture(run: &LoadedRun, options: &Options, [a, b]: [&Picked; 2], blended: &Blended) -> Vec<u8> {
    let shape = run.predictor.transform.shape();
    let len = COLUMNS * shape.iter().product::<usize>();
    let sum = format!("{} a + {} b", options.weight, round(1.0 - f64::from(options.weight)));
    let kinds = [
        ("a", &a.pixels),
        ("b", &b.pixels),
        ("b, decoded", &blended.turned),
        (sum.as_str(), &blended.blends),
        ("in training", &blended.neighbours),
    ];
    let part = |pixels: &'_ [f32], i: usize| pixels[i * len..pixels.len().min((i + 1) * len)].to_vec();
    let groups = a.pixels.len().div_ceil(len);
    let parts: Vec<(&str, Vec<f32>)> =
        (0..groups).flat_map(|i| kinds.iter().map(move |(name, pixels)| (*name, part(pixels, i)))).collect();
    let rows: Vec<Row> = parts.iter().map(|(name, pixels)| Row { name, pixels }).collect();
    let title = format!(
        "{}: a, b, b decoded from its latents (negated if it is dark inside), the blend, and the training image nearest to the blend",
        run.title()
    );
    grid(&title, &rows, shape, kinds.len()).png
}

fn pairs(options: &Options, [a, b]: [&Picked; 2], blended: &Blended) -> Value {
    let pair = |i: usize| {
        let (nearest, mse) = blended.nearest[i];
        json!({
            "a": a.places[i], "b": b.places[i], "negated": blended.negated[i],
            "nearest_training_image": nearest, "nearest_mse": mse,
        })
    };
    json!({ "weight": round(f64::from(options.weight)), "pairs": (0..a.places.len()).map(pair).collect::<Vec<_>>() })
}

/// A number as it was typed: f32 has six figures.
fn round(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}
