//! Downloads published data sets into the folders where the readers look for them. `fetch` downloads a file and
//! verifies its checksum, and `unpack` extracts an archive.
//!
//! Nothing is downloaded without `--download`, and no existing file is replaced. A transfer that was cut off continues
//! where it stopped, in the same run or in the next one. Until it is complete, its bytes are in `NAME.part` in the
//! folder of the file.

mod fetch;
mod unpack;

pub use unpack::unpack;

use std::path::Path;

use vae_core::config::DataKind;
use vae_core::{Error, Result};

use crate::archives::{self, Archive, Pack};

/// The progress of a download.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The address of the file.
    pub url: &'a str,
    /// The number of bytes that have arrived.
    pub done: u64,
    /// The size of the file in bytes, if the server reports it.
    pub total: Option<u64>,
}

/// Downloads the archives that are missing under `dir`, and calls `on_progress` during each transfer.
///
/// # Errors
/// Returns an error if the program `curl` is not installed, an address cannot be reached, a server sends something else
/// or stops for good, a checksum is wrong, an archive contains unexpected entries, or the disk is full. The files
/// before the failing one are kept. A file with a wrong checksum is removed.
pub fn download(archives: &[Archive<'_>], dir: &Path, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let mut fetched = false;
    for archive in archives {
        let folder = dir.join(archive.folder);
        if archive.gives.iter().all(|name| folder.join(name).exists()) {
            continue;
        }
        fetched = true;
        let name = archive.url.rsplit('/').next().unwrap_or_default();
        let part = folder.join(format!("{name}.part"));
        fetch::fetch(archive, &part, on_progress)?;
        match archive.pack {
            Pack::File => std::fs::rename(&part, folder.join(archive.gives[0])).map_err(|error| error.to_string()),
            pack => unpack(&part, pack, &folder, archive.gives),
        }
        .map_err(|what| Error::file(&part, what))?;
    }
    if fetched {
        return Ok(());
    }
    let there: Vec<&str> = archives.iter().flat_map(|archive| archive.gives).copied().collect();
    let what = format!("{} exist, but are incomplete; move them away and try again", there.join(", "));
    Err(Error::file(dir, what))
}

/// Returns instructions for doing by hand what [`download`] does, one line per file.
pub fn manual_steps(kind: DataKind, dir: &Path) -> Vec<String> {
    let line = |archive: &Archive<'_>| {
        let folder = dir.join(archive.folder);
        let verb = if archive.pack == Pack::File { "put" } else { "unpack" };
        let gives = archive.gives.iter().map(|name| folder.join(name).display().to_string()).collect::<Vec<_>>();
        format!("{verb} {} to get {}", archive.url, gives.join(" and "))
    };
    archives::of(kind).iter().map(line).collect()
}

#[cfg(test)]
mod tests;
