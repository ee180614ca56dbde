//! Checks of the repository itself: files in their folders, dependencies between crates, and the first line of each file.
#![forbid(unsafe_code)]

mod book;
mod dependencies;
#[path = "../mutants/list.rs"]
mod list;
mod modules;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Operations without a gradient: random numbers, indices, those that process gradients, and an algorithm of convolutions.
const NO_GRADIENT: [&str; 5] = ["random", "argmax", "gradient_monitor", "optimizer", "winograd"];
/// Operations without a shader: a reshape shares its elements.
const NO_SHADER: [&str; 1] = ["reshape"];
/// Operations whose test needs no reference.
const NO_REFERENCE: [&str; 4] = ["random", "reshape", "gradient_monitor", "winograd"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// All files in `folder` (relative to the root) that git would track.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        let left_out = ["target", "runs", "node_modules", ".git"].contains(&name.as_str());
        if path.is_dir() && !left_out {
            walk(&path, found);
        } else if path.is_file() && !left_out {
            found.push(path); // .git is a file in a linked working tree
        }
    }
}

/// The names of the files in a folder, without extension.
fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return BTreeSet::new() };
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    let matching = paths.filter(|path| path.extension().is_some_and(|e| e == extension));
    let stem = |path: PathBuf| path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    matching.map(stem).filter(|stem| stem != "mod" && stem != "main" && stem != "lib").collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the repository").to_string_lossy().replace('\\', "/")
}

fn rust_files() -> Vec<(String, String)> {
    sources("rs")
}

/// The names and contents of all files with this extension.
fn sources(extension: &str) -> Vec<(String, String)> {
    let sources = files("").into_iter().filter(|path| path.extension().is_some_and(|e| e == extension));
    let read = |path: PathBuf| (name(&path), fs::read_to_string(&path).expect("a source file is text"));
    sources.map(read).collect()
}

/// `ls */src/ops/conv2d.rs shaders/conv2d.wgsl tests/ops/conv2d.rs` lists all files of an operation.
#[test]
fn every_operation_has_all_its_files() {
    let operations = stems("tensor/src/ops", "rs");
    assert!(operations.len() >= 13, "{operations:?}");
    let all: BTreeSet<String> = operations.iter().cloned().chain(["random".to_owned()]).collect();
    let expect = |folder: &str, extension: &str, exempt: &[&str]| {
        let wanted: BTreeSet<String> = all.iter().filter(|stem| !exempt.contains(&stem.as_str())).cloned().collect();
        let found = stems(folder, extension);
        let missing: Vec<_> = wanted.difference(&found).collect();
        assert!(missing.is_empty(), "{folder} lacks {missing:?}");
        found
    };
    let rules = expect("autograd/src/ops", "rs", &NO_GRADIENT);
    let composed = stems("tensor/src/composed", "rs");
    let laws: BTreeSet<String> = expect("tests/ops", "rs", &[]).difference(&composed).cloned().collect();
    let untested: Vec<_> = composed.iter().filter(|stem| !stems("tests/ops", "rs").contains(*stem)).collect();
    assert!(untested.is_empty(), "tests/ops lacks {untested:?}, which are composed of operations");
    expect("tests/reference", "rs", &NO_REFERENCE);
    let shaders = expect("shaders", "wgsl", &NO_SHADER);
    for (folder, stems) in [("autograd/src/ops", rules), ("tests/ops", laws), ("shaders", shaders)] {
        let strays: Vec<_> = stems.difference(&all).collect();
        assert!(strays.is_empty(), "{folder} has {strays:?}, of which tensor/src/ops knows nothing");
    }
}

/// Crates that `cargo run` and `cargo install` build, each in its folder, and the ones that each may use. Arrows point down only.
const CRATES: [(&str, &str, &[&str]); 10] = [
    ("shaders", "shaders", &[]),
    ("tensor", "tensor", &["shaders"]),
    ("gpu", "gpu", &["tensor"]),
    ("autograd", "autograd", &["tensor"]),
    ("nn", "nn", &["tensor", "autograd"]),
    ("vae-core", "vae/core", &["tensor", "autograd", "nn"]),
    ("vae-data", "vae/data", &["tensor", "vae-core"]),
    ("vae-run", "vae/run", &["tensor", "autograd", "nn", "vae-core", "vae-data"]),
    ("vae-figures", "vae/figures", &["tensor", "autograd", "nn", "vae-core", "vae-data", "vae-run"]),
    ("vae-scores", "vae/scores", &["tensor", "autograd", "nn", "vae-core", "vae-data", "vae-run"]),
];

#[test]
fn crates_use_lower_crates_only() {
    let ours: Vec<&str> = CRATES.iter().map(|(name, ..)| *name).chain(["vae", "tests", "benches"]).collect();
    for (member, folder, allowed) in CRATES {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let normal = manifest.split("\n[dev-dependencies]").next().unwrap_or_default(); // tests may use more
        let dependencies = normal.split("dependencies]").skip(1).flat_map(|section| {
            section
                .lines()
                .take_while(|line| !line.starts_with('['))
                .filter_map(|line| line.split(['.', ' ', '=']).next())
        });
        for dependency in dependencies.filter(|name| ours.contains(name)) {
            assert!(allowed.contains(&dependency), "{member} depends on {dependency}");
        }
    }
}

/// Crates that `./test` packages.
const PACKAGES: [&str; 6] = ["shaders", "tensor", "autograd", "gpu", "nn", "vae/core"];

/// Everything that `cargo package` needs is present: a README, both licences, and no include of a file outside the crate.
#[test]
fn packages_are_complete() {
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let script = text(&root().join("test"));
    for package in PACKAGES {
        let folder = root().join(package);
        let argument = format!("-p {} ", package.replace("vae/", "vae-"));
        assert!(script.contains(&argument), "./test does not run cargo package {argument}");
        assert!(text(&folder.join("README.md")).starts_with("# "), "{package}/README.md has no title");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let same = text(&folder.join(licence)) == text(&root().join(licence));
            assert!(same, "{package}/{licence} is not the repository's");
        }
        for path in files(package).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
            for included in text(&path).split("include_").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
                let up = included.split('/').take_while(|part| *part == "..").count();
                let depth = path.strip_prefix(&folder).expect("a file of the crate").components().count() - 1;
                assert!(up <= depth, "{} includes {included}, which is outside the crate", name(&path));
            }
        }
    }
}

/// `unsafe` is allowed only in the CPU kernels, in the GPU crate, and where the benchmarks call Vulkan. Every other crate, program
/// and test forbids it.
#[test]
fn unsafe_code_stays_where_it_belongs() {
    let keyword = concat!("un", "safe");
    for (name, source) in rust_files() {
        if name.starts_with("tensor/src/cpu/") || name.starts_with("gpu/") || name == "benches/shader_stats/vulkan.rs" {
            continue;
        }
        let code = source.lines().map(|line| line.split("//").next().unwrap_or(""));
        let uses = code
            .enumerate()
            .find(|(_, line)| line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|w| w == keyword));
        assert!(uses.is_none(), "{name}:{}: {keyword}", uses.map_or(0, |(i, _)| i + 1));
        let forbids = source.contains(&format!("#![forbid({keyword}_code)]"));
        assert!(forbids || !is_crate_root(&name), "{name} does not forbid {keyword} code");
    }
}

/// Whether a file is the root of a crate that must forbid unsafe code: all except `tensor`, whose kernels need it.
fn is_crate_root(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["tensor", ..] => false,
        ["shaders", "lib.rs"]
        | [_, "src", "lib.rs" | "main.rs"]
        | [_, "src", "bin", _]
        | [_, "src", "bin", _, "main.rs"] => true,
        ["tests", _, "main.rs" | "lib.rs"] | [_, "tests", _, "main.rs"] => true,
        [_, "tests", file] => file.ends_with(".rs"),
        _ => false,
    }
}

/// A clone works anywhere: no file contains a path of the machine on which it was written.
#[test]
fn no_file_contains_a_machine_path() {
    let folders = ["home", "root", "Users", "work", "tmp"].map(|folder| format!("/{folder}/"));
    for path in files("") {
        let Ok(text) = fs::read_to_string(&path) else { continue }; // pictures, data
        for (i, line) in text.lines().enumerate() {
            for folder in &folders {
                let absolute = line.match_indices(folder.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-})>*~/".contains(c))
                });
                assert!(!absolute, "{}:{}: {line}", name(&path), i + 1);
            }
        }
    }
}

/// Every file begins with a comment about its subject, and is short enough to be read in one go.
#[test]
fn every_file_is_a_chapter() {
    for (extension, opening) in [("rs", "//! "), ("wgsl", "// ")] {
        for (name, source) in sources(extension) {
            assert!(source.starts_with(opening), "{name} does not open with what it is about");
            let lines = source.lines().count();
            assert!(lines <= 430, "{name} has {lines} lines");
        }
    }
}

/// The line of each mutant exists, names are unique, and every operation, backward rule and shader has a mutant.
#[test]
fn mutants_are_up_to_date_and_cover_every_operation() {
    let mutants = list::read().expect("the list of mutants");
    let mut names = HashSet::new();
    for mutant in &mutants {
        assert!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
        let source = fs::read_to_string(root().join(&mutant.path)).unwrap_or_else(|e| panic!("{}: {e}", mutant.path));
        let broken = mutant.apply(&source).unwrap_or_else(|e| panic!("{e}"));
        assert_ne!(broken, source, "{mutant} changes nothing");
    }
    assert!(mutants.len() >= 36, "only {} mutants", mutants.len());
    let folders = [
        ("tensor/src/ops", "rs"),
        ("tensor/src/composed", "rs"),
        ("autograd/src/ops", "rs"),
        ("shaders", "wgsl"),
        ("shaders/lib", "wgsl"),
    ];
    for (folder, extension) in folders {
        for stem in stems(folder, extension) {
            let path = format!("{folder}/{stem}.{extension}");
            assert!(mutants.iter().any(|mutant| mutant.path == path), "no mutant of {path}");
        }
    }
}

/// Documents name files by their paths, such as `tensor/src/ops/conv2d.rs`.
#[test]
fn files_named_in_documents_exist() {
    let tops = ["tensor", "autograd", "gpu", "nn", "vae", "shaders", "tests", "benches", "docs", "fuzz", "exercises"];
    let mut seen = 0;
    for (document, text) in sources("md") {
        for path in text.split('`').skip(1).step_by(2) {
            let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c)) && !path.contains("NAME");
            let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.')) && path.contains('/');
            if plain && is_file && path.split('/').next().is_some_and(|top| tops.contains(&top)) {
                assert!(root().join(path).exists(), "{document} leads to {path}, which is not there");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} paths: documents are not read as they are written");
}

/// The code quoted in CONTRIBUTING.md is real code: each block is in the file that is named above it.
#[test]
fn quotes_are_verbatim() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the document is there");
    let mut blocks = text.split("```");
    let mut count = 0;
    while let (Some(before), Some(block)) = (blocks.next(), blocks.next()) {
        let path = before.trim_end().rsplit('`').nth(1).expect("a path in front of a quote");
        let quote = block.split_once('\n').map_or("", |(_, quote)| quote).trim_end();
        let file = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(quote.lines().count() >= 2 && file.contains(quote), "CONTRIBUTING.md misquotes {path}");
        count += 1;
    }
    assert_eq!(count, 6);
}
