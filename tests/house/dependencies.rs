//! The library of models stays small: `vae-core` needs no server, template engine, statistics, archive or image crate.

use std::process::Command;

use super::root;

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
