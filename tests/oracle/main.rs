//! Comparison with PyTorch through golden files, which PyTorch wrote in f64. Every file of `$ORACLE_DIR` (default:
//! `tests/fixtures`) is replayed on the CPU and on a GPU. Its metadata says what it is: `op` and `attrs` for an operation,
//! `train` for a training run, `model` for a model. Files with other seeds, shapes, widths, sizes and batches work as well.
//!
//! Tolerances are relative to the tensor's largest absolute value.
#![forbid(unsafe_code)]

mod adversarial;
mod file;
mod models;
mod objectives;
mod operations;
mod training;
mod transfer;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use file::File;
use reference::place::gpu;
use tensor::Device;

fn folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    std::env::var_os("ORACLE_DIR").map_or_else(|| PathBuf::from(default), PathBuf::from)
}

/// All golden files of the folder.
fn files() -> Result<Vec<(String, File)>> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).with_context(|| format!("reading the folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    ensure!(!paths.is_empty(), "no .safetensors file in {}", folder.display());
    let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    paths.iter().map(|path| Ok((name(path), File::read(path)?))).collect()
}

/// Runs `check` on every file and every device, and panics with all failures. A panic in one file does not stop the others.
fn check_all(what: &str, files: &[(String, File)], check: fn(&File, &Device) -> Result<()>) {
    let failures: Vec<String> =
        [Device::Cpu, gpu()].iter().flat_map(|device| check_on(device, what, files, check)).collect();
    assert!(failures.is_empty(), "{} {what} disagree:\n{}", failures.len(), failures.join("\n"));
}

/// The failures on one device.
fn check_on(
    device: &Device,
    what: &str,
    files: &[(String, File)],
    check: fn(&File, &Device) -> Result<()>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, file) in files {
        let result = catch_unwind(AssertUnwindSafe(|| check(file, device)));
        let result = result.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(anyhow!("panicked: {}", text.unwrap_or_default()))
        });
        if let Err(error) = result {
            failures.push(format!("{name} on {device}: {error:#}"));
        }
    }
    // Written past the test harness, which hides output: the number of comparisons is part of the result.
    let agree = files.len() - failures.len();
    let compared = format!("oracle: {agree} of {} {what} agree on {device}\n", files.len());
    std::io::stderr().write_all(compared.as_bytes()).expect("standard error is open");
    failures
}

#[test]
fn oracle_operations() {
    let mut files = files().expect("golden files");
    files.retain(|(_, file)| file.train.is_none() && file.model.is_none());
    check_all("operation files", &files, operations::check);
}

#[test]
fn oracle_training_runs() {
    let mut files = files().expect("golden files");
    files.retain(|(_, file)| file.train.is_some());
    check_all("training runs", &files, training::replay);
}

#[test]
fn oracle_models() {
    let mut files = files().expect("golden files");
    files.retain(|(_, file)| file.model.is_some());
    check_all("models", &files, models::replay);
}

#[test]
fn oracle_refuses_unknown_files() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/30_relu.safetensors"));
    let mut file = File::read(path).expect("a golden file");
    let check = |file: &File| operations::check(file, &Device::Cpu);
    check(&file).expect("relu agrees");
    file.op = Some("relux".into());
    assert!(check(&file).expect_err("unknown").to_string().contains("unknown op relux"));
    file.op = Some("sigmoid".into());
    assert!(check(&file).expect_err("another function").to_string().starts_with("out at ["));
    file.op = None;
    assert!(check(&file).expect_err("nothing to run").to_string().contains("neither"));
}
