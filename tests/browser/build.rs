//! Makes a library of the tests of `tests/ops`, `tests/layers` and `tests/engine`. A test harness needs threads, arguments and a
//! terminal, which a browser's module has not. So each `#[test]` becomes a public function, and a list names all of them.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const SUITES: [&str; 3] = ["ops", "layers", "engine"];
/// Files that no browser can run, and why.
const LEFT_OUT: [(&str, &str); 1] = [("engine/trace", "it starts a process")];

fn main() {
    let tests = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let (mut modules, mut list) = (String::new(), String::new());
    for suite in SUITES {
        let folder = tests.join(suite);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files: Vec<_> =
            fs::read_dir(&folder).expect("a folder of tests").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        fs::create_dir_all(format!("{out}/{suite}")).expect("a folder for the modules");
        for file in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            let name = format!("{suite}/{stem}");
            if let Some((_, why)) = LEFT_OUT.iter().find(|(left, _)| *left == name) {
                writeln!(
                    list,
                    "    Law {{ name: \"{suite}::{stem}\", run: || (), panics: None, ignored: Some(\"{why}\") }},"
                )
                .unwrap();
                fs::write(format!("{out}/{name}.rs"), "//! Left out.\n").expect("a module is written");
                continue;
            }
            let source = fs::read_to_string(file).expect("a file of tests");
            // Whatever a suite keeps in its main file is in the module of the suite.
            let module = if stem == "main" { suite.to_owned() } else { format!("{suite}::{stem}") };
            let (code, laws) = convert(&source, &module);
            let mut code = code.replace("crate::", &format!("crate::{suite}::"));
            for include in ["include_str!(\"", "include_bytes!(\"", "#[path = \""] {
                code = code.replace(include, &format!("{include}{}/", folder.display()));
            }
            let place = format!("{out}/{name}.rs");
            fs::write(&place, code).expect("a module is written");
            list += &laws;
            if stem == "main" {
                writeln!(modules, "#[path = {place:?}]\nmod {suite};").unwrap();
            }
        }
    }
    fs::write(format!("{out}/laws.rs"), format!("{modules}\nstatic LAWS: &[Law] = &[\n{list}];\n"))
        .expect("the list is written");
}

/// The source with functions in place of tests, and its lines of the list.
fn convert(source: &str, module: &str) -> (String, String) {
    let (mut code, mut list) = (String::new(), String::new());
    let mut attributes: Option<String> = None; // those of a test whose function has not come yet
    for line in source.lines() {
        let trimmed = line.trim_start();
        if trimmed == "#[test]" {
            attributes = Some(String::new());
            continue;
        }
        let Some(seen) = &mut attributes else {
            // The harness reads the first lines of a file, and a module cannot forbid again what its crate forbids.
            if !line.starts_with("#![forbid") {
                let visible = if line.starts_with("mod ") && line.ends_with(';') { "pub(crate) " } else { "" };
                code += &format!("{visible}{line}\n");
            }
            continue;
        };
        let Some(rest) = trimmed.strip_prefix("fn ") else {
            *seen += trimmed;
            continue;
        };
        let name = rest.split('(').next().expect("a function has a name");
        let quoted = |word: &str| {
            let rest = &seen[seen.find(word)? + word.len()..];
            let start = rest.find('"')?;
            let end =
                (start + 1..rest.len()).find(|&at| rest.as_bytes()[at] == b'"' && rest.as_bytes()[at - 1] != b'\\')?;
            Some(rest[start..=end].to_owned())
        };
        let option = |text: Option<String>| text.map_or("None".to_owned(), |text| format!("Some({text})"));
        let panics = if seen.contains("#[should_panic]") { Some("\"\"".to_owned()) } else { quoted("should_panic") };
        let (panics, ignored) = (option(panics), option(quoted("ignore")));
        // Code that no browser's module can have.
        if let Some(condition) =
            seen.strip_prefix("#[cfg(not(all(target_arch = \"wasm32\", target_os = \"unknown\")))]")
        {
            let why = condition.trim().trim_start_matches("// ");
            writeln!(
                list,
                "    Law {{ name: \"{module}::{name}\", run: || (), panics: None, ignored: Some(\"{why}\") }},"
            )
            .unwrap();
            code += &format!("{seen}\nfn {rest}\n");
            attributes = None;
            continue;
        }
        writeln!(
            list,
            "    Law {{ name: \"{module}::{name}\", run: {module}::{name}, panics: {panics}, ignored: {ignored} }},"
        )
        .unwrap();
        code += &format!("pub(crate) fn {rest}\n");
        attributes = None;
    }
    (code, list)
}
