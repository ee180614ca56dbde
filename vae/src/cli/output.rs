//! Files that `--out` names, and words about what was written.

use std::fs;
use std::path::Path;

use vae_core::{Error, Result};
use vae_run::Folder;

/// `1 image`, `2 images`.
pub(super) fn images(count: usize) -> String {
    format!("{count} image{}", if count == 1 { "" } else { "s" })
}

/// Creates the folder that `--out` names, unless it exists.
///
/// # Errors
/// If it cannot be created.
pub(super) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::file(path, format!("the folder cannot be created: {error}")))
}

/// Writes the file that `--out` names, and creates the folders above it. A file that is there is replaced.
///
/// # Errors
/// If this is not the name of a file, or the file cannot be written.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Error::config(format!("--out {}: this is not the name of a file", path.display())))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder(parent)?;
    Folder::open_unlocked(parent).write(name, bytes)
}
