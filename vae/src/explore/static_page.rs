//! A page with the latent explorer of one model, for any web host: the page of `vae explore`, and in place of the server a worker that
//! runs this project's own code as WebAssembly. `web/build` compiles that code.
//!
//! ```text
//! index.html, page.css, page.js          the page
//! server.js, worker.js, handover.js      the worker in place of the server
//! engine/web.js, engine/web_bg.wasm      the engine
//! run/checkpoint.safetensors             the model
//! run/images.bin, run/run.json           up to 1000 test images as bytes; their labels, the names of the labels and of the run
//! ```

use std::fs;
use std::path::Path;

use pollster::block_on;
use serde::Serialize;
use vae_core::data::Split;
use vae_core::{Error, Result};
use vae_run::{LoadedRun, checkpoint_of, folder};

use super::SCRIPT;
use crate::{say, serve};

/// The largest number of test images in an exported page.
const IMAGES: usize = 1_000;

/// What web/build wrote, and where it belongs.
const ENGINE: [(&str, &str); 5] = [
    ("engine/web.js", "engine/web.js"),
    ("engine/web_bg.wasm", "engine/web_bg.wasm"),
    ("explore/server.js", "server.js"),
    ("explore/worker.js", "worker.js"),
    ("explore/handover.js", "handover.js"),
];

/// What the page says about the run.
#[derive(Serialize)]
struct About<'a> {
    name: &'a str,
    class_names: &'a [String],
    labels: Vec<usize>,
}

/// Writes the page of a run to a folder that does not exist yet. `engine` is the folder that `web/build` wrote.
///
/// # Errors
/// If the model has no latents, the engine is not there, or a file cannot be read or written. Nothing of a failed export is left.
pub fn export(run: &LoadedRun, to: &Path, engine: &Path) -> Result<()> {
    let model = &run.predictor.config.model;
    if !model.is_vae() {
        return Err(Error::config(format!("model.kind = \"{}\" has no latents to explore", model.kind)));
    }
    let checkpoint = checkpoint_of(&run.path)?;
    let mut files = Vec::new();
    for (from, name) in ENGINE {
        let path = engine.join(from);
        let bytes = fs::read(&path).map_err(|error| {
            Error::file(
                &path,
                format!("cannot be read: {error}; run web/build first, or name its folder with --engine"),
            )
        })?;
        files.push((name, bytes));
    }
    let html = include_str!("../../assets/explore/page.html")
        .replace("<html lang=\"en\">", "<html lang=\"en\" data-run=\"run/\">")
        .replace("<script src=\"page.js\"", "<script src=\"server.js\" defer></script>\n<script src=\"page.js\"");
    files.push(("index.html", html.into_bytes()));
    files.push(("page.css", serve::STYLE.into()));
    files.push(("page.js", SCRIPT.into()));
    let bytes = fs::read(&checkpoint).map_err(|error| Error::file(&checkpoint, format!("cannot be read: {error}")))?;
    files.push(("run/checkpoint.safetensors", bytes));
    let test = run.dataset().ok().map(|dataset| &dataset.test);
    let (pixels, labels) = test.map_or(Ok((Vec::new(), Vec::new())), |test| images(run, test))?;
    let count = labels.len();
    let about = About { name: &run.name, class_names: run.class_names(), labels };
    files.push(("run/run.json", serde_json::to_vec(&about).expect("names and numbers are JSON")));
    files.push(("run/images.bin", pixels));

    fs::create_dir(to).map_err(|error| Error::file(to, format!("cannot be created: {error}; name a new folder")))?;
    let written = write(to, &files);
    if written.is_err() {
        let _ = fs::remove_dir_all(to); // it was created here
    }
    written?;
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let megabytes = size as f64 / 1e6;
    say!("{}: the explorer of {} with {count} test images, {megabytes:.1} MB", to.display(), run.name);
    say!("Any web server shows it, for example  python3 -m http.server -d {}", to.display());
    Ok(())
}

fn write(to: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    for folder in ["engine", "run"] {
        let path = to.join(folder);
        fs::create_dir(&path).map_err(|error| Error::file(&path, format!("cannot be created: {error}")))?;
    }
    files.iter().try_for_each(|(name, bytes)| folder::write_new(&to.join(name), bytes))
}

/// Test images as bytes, and their labels.
fn images(run: &LoadedRun, test: &Split) -> Result<(Vec<u8>, Vec<usize>)> {
    let places = test.first(IMAGES);
    if places.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let images = block_on(run.predictor.to_unit(&run.predictor.batch(test, &places)?))?;
    let bytes = images.iter().map(|pixel| (255.0 * pixel).round().clamp(0.0, 255.0) as u8);
    Ok((bytes.collect(), test.labels(&places)))
}
