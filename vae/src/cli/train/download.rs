//! `--download`: published files into the data folder, with a bar on a terminal and a line every ten seconds elsewhere.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vae_core::Error;
use vae_core::config::{Config, DataKind};
use vae_data::archives;
use vae_data::download::{download, manual_steps};

use crate::console::eprint_line;

/// The time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Fetches what a configuration's data set lacks; where that fails, says how to do it by hand.
pub(super) fn fetch(config: &Config) -> Result<()> {
    if vae_data::files_exist(config) {
        return Ok(());
    }
    let (kind, dir) = (config.data.kind, Path::new(&config.data.dir));
    let archives = archives::of(kind);
    if archives.is_empty() {
        let why = match kind {
            DataKind::Celeba => {
                "cannot be downloaded by a program: fetch img_align_celeba.zip and list_eval_partition.txt by hand \
                 from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, and unpack them into celeba/ under --data-dir"
            }
            DataKind::BinarizedMnist => &format!(
                "has no published checksum: fetch its three files by hand from {}, into binarized_mnist/ under --data-dir",
                archives::BINARIZED_MNIST
            ),
            _ => "is not a published data set: name a folder of pictures with --data-dir",
        };
        return Err(Error::config(format!("--download: {kind} {why}")).into());
    }
    let bar = std::io::stderr().is_terminal().then(|| {
        let style =
            ProgressStyle::with_template("{prefix} {bar:24} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.with_style(style.expect("a template of our own").progress_chars("━╸─"))
    });
    let mut last_line = Instant::now();
    let outcome = download(archives, dir, &mut |progress| match &bar {
        Some(bar) => {
            bar.set_prefix(progress.url.rsplit('/').next().unwrap_or_default().to_owned());
            bar.set_length(progress.total.unwrap_or(progress.done));
            bar.set_position(progress.done);
        }
        None if last_line.elapsed() >= LINE_INTERVAL => {
            last_line = Instant::now();
            let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
            let of = progress.total.map_or(String::new(), |total| format!(" of {}", megabytes(total)));
            eprint_line(&format!("{}: {}{of}", progress.url, megabytes(progress.done)));
        }
        None => {}
    });
    bar.iter().for_each(ProgressBar::finish_and_clear);
    outcome.map_err(|error| {
        manual_steps(kind, dir).iter().for_each(|line| eprint_line(&format!("by hand: {line}")));
        error.into()
    })
}
