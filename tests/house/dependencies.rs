//! What crates may depend on: `vae-core` needs no server, template engine, statistics, archive or image crate, and laws that a browser
//! runs need nothing that a browser lacks.

use std::process::Command;

use super::{root, rust_files};

/// Packages that must not be in the normal dependency tree of `vae-core`, on any platform.
const HEAVY: [&str; 9] = ["axum", "tokio", "minijinja", "smartcore", "nalgebra", "ureq", "zip", "image", "clap"];

#[test]
fn vae_core_needs_no_heavy_package() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "vae-core", "--edges", "normal", "--target", "all", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("names of packages");
    let packages: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains(&"tensor") && packages.contains(&"toml"), "not the tree of vae-core:\n{tree}");
    let heavy: Vec<&&str> = HEAVY.iter().filter(|name| packages.contains(name)).collect();
    assert!(heavy.is_empty(), "vae-core depends on {heavy:?}; `cargo tree -p vae-core -e normal -i NAME` shows why");
}

/// The laws of these suites also run in a browser, which cannot put a thread to sleep. A native test would not notice.
#[test]
fn laws_wait_in_a_way_that_a_browser_can() {
    let suites = ["tests/ops/", "tests/layers/", "tests/engine/"];
    let laws: Vec<_> =
        rust_files().into_iter().filter(|(name, _)| suites.iter().any(|suite| name.starts_with(suite))).collect();
    assert!(laws.len() > 50, "{} files", laws.len());
    for (name, source) in laws {
        assert!(!source.contains("pollster"), "{name}: use reference::wait::block_on in place of pollster");
    }
}
