//! Fetches published archives into the folders where the readers look for them: `fetch` brings a file, whole and with the right
//! checksum or not at all; `unpack` takes it apart.
//!
//! Nothing is fetched unasked, and nothing that is there is replaced. What was cut off goes on where it stopped, in the
//! same run or the next: the bytes wait in `NAME.part` beside the place where they belong.

mod fetch;
mod unpack;

pub use unpack::unpack;

use std::path::Path;

use vae_core::config::DataKind;
use vae_core::{Error, Result};

use crate::archives::{self, Archive, Pack};

/// How far a file has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Which.
    pub url: &'a str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes that there will be, if the server says so.
    pub total: Option<u64>,
}

/// Fetches what is missing under `dir`, and calls `on_progress` on the way.
///
/// # Errors
/// If the program `curl` is not installed; if an address cannot be reached, gives something else or stops for good; if a checksum is wrong, or an archive holds what it
/// should not; if the disk is full. What came before stays; what is wrong is removed.
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

/// How to do by hand what [`download`] does, a line a file.
pub fn by_hand(kind: DataKind, dir: &Path) -> Vec<String> {
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
