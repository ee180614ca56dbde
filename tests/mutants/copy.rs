//! A copy of the repository in the build folder, where code can be broken on purpose.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Copies the files that git tracks or would track. Returns the copy's folder and its separate build folder. Both are kept
/// between runs, so that cargo can compile incrementally. The files in `except` stay as the last run left them.
pub(crate) fn make(name: &str, except: &[String]) -> Result<[PathBuf; 2]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the repository")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join(name);
    let tree = target.join("tree");
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git, which knows the repository's files")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let listed = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    let names: Vec<&str> = listed.split('\0').filter(|name| root.join(name).is_file()).collect();
    for name in names.iter().filter(|name| !except.iter().any(|except| except == *name)) {
        update(&tree.join(name), &fs::read(root.join(name)).with_context(|| format!("reading {name}"))?)?;
    }
    remove_others(&tree, &tree, &names)?;
    Ok([tree, target.join("build")])
}

/// Writes a file if its contents differ. An unchanged file keeps its modification time, so that cargo does not compile it again.
pub(crate) fn update(path: &Path, contents: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
    fs::write(path, contents).with_context(|| format!("writing {}", path.display()))
}

/// Removes files of an earlier copy that the repository no longer has.
fn remove_others(tree: &Path, folder: &Path, names: &[&str]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(tree, &path, names)?;
        } else if !names.iter().any(|name| tree.join(name) == path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
