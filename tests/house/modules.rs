//! No two modules of a crate import each other, directly or through other modules.
//!
//! The files of a crate are followed from its root by their `mod` lines. A path such as `crate::shape::Shape` or
//! `super::simd::Isa` is an edge between two modules of one folder: the first ones where the paths of the importing and the
//! imported module differ. A name that the crate's root re-exports (`crate::Error`) counts as the module that defines it. Tests
//! and comments are not read, and a module may use its own parent and children.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that are not checked.
const LEFT_OUT: [&str; 0] = [];

#[test]
fn no_two_modules_import_each_other() {
    let mut crates = 0;
    let mut rings = Vec::new();
    for folder in crate_folders(&super::root()) {
        let name = super::name(&folder);
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        for root in crate_roots(&folder) {
            let read = |path: &Path| fs::read_to_string(path).ok();
            rings.extend(find_rings(&root, &read));
            crates += 1;
        }
    }
    assert!(crates >= 5, "only {crates} crates were found");
    assert!(rings.is_empty(), "modules import each other:\n\n{}", rings.join("\n"));
}

/// Folders that hold a package with `src/`.
fn crate_folders(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if folder.join("Cargo.toml").is_file() && folder.join("src").is_dir() {
        found.push(folder.to_owned());
    }
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry of a folder").path()).filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') && !["target", "src", "runs", "node_modules"].contains(&name.as_str()) {
            found.extend(crate_folders(&path));
        }
    }
    found
}

/// The roots of a package's library and programs.
fn crate_roots(folder: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![folder.join("src/lib.rs"), folder.join("src/main.rs")];
    for entry in fs::read_dir(folder.join("src/bin")).into_iter().flatten() {
        let path = entry.expect("an entry of a folder").path();
        candidates.push(if path.is_dir() { path.join("main.rs") } else { path });
    }
    candidates.into_iter().filter(|path| path.is_file()).collect()
}

/// The path of a module below the root, `["cpu", "simd"]`.
type Module = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
struct Crate {
    modules: BTreeSet<Module>,
    /// The names that the root re-exports, and their paths.
    exports: BTreeMap<String, Vec<String>>,
    /// (Importing module, imported path from the root, file.)
    imports: Vec<(Module, Vec<String>, PathBuf)>,
}

/// Describes every ring among the modules of the crate with this root. `read` returns the text of a file that exists.
fn find_rings(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut all = Crate::default();
    let text = read(root).unwrap_or_else(|| panic!("{} cannot be read", root.display()));
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    read_module(&mut all, Vec::new(), root, &folder, &text, read);

    // For each folder of modules: which module imports which, with an example.
    let mut graphs: BTreeMap<Module, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
    for (from, path, file) in &all.imports {
        let path = match path.first().and_then(|name| all.exports.get(name)) {
            Some(defined) if !all.modules.contains(&path[..1]) => defined,
            _ => path,
        };
        let common = from.iter().zip(path).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (from.get(common), path.get(common))
            && all.modules.contains(&path[..=common])
        {
            let example = format!("    {a} imports {b}: {} names {}", file.display(), path.join("::"));
            let graph = graphs.entry(from[..common].to_vec()).or_default();
            graph.entry(a.clone()).or_default().entry(b.clone()).or_insert(example);
        }
    }
    let describe = |(folder, graph): (&Module, &BTreeMap<String, BTreeMap<String, String>>)| {
        let ring = ring(graph)?;
        let steps: Vec<&str> = (0..ring.len()).map(|i| &*graph[&ring[i]][&ring[(i + 1) % ring.len()]]).collect();
        let place = std::iter::once("crate").chain(folder.iter().map(String::as_str)).collect::<Vec<_>>().join("::");
        let names = ring.iter().chain(ring.first()).cloned().collect::<Vec<_>>().join(" → ");
        Some(format!("{}, in {place}: {names}\n{}\n", root.display(), steps.join("\n")))
    };
    graphs.iter().filter_map(describe).collect()
}

/// A shortest ring of a graph, if there is one.
fn ring(graph: &BTreeMap<String, BTreeMap<String, String>>) -> Option<Vec<String>> {
    let around = |start: &String| {
        let mut paths = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in paths {
                for next in graph.get(path.last()?).into_iter().flat_map(BTreeMap::keys) {
                    if next == start {
                        return Some(path);
                    }
                    if seen.insert(next.clone()) {
                        longer.push([&path[..], std::slice::from_ref(next)].concat());
                    }
                }
            }
            paths = longer;
        }
        None
    };
    graph.keys().filter_map(around).min_by_key(Vec::len)
}

/// Reads a module's text and, through its `mod` lines, the files below it. `folder` is where those are.
fn read_module(
    all: &mut Crate,
    module: Module,
    file: &Path,
    folder: &Path,
    text: &str,
    read: &dyn Fn(&Path) -> Option<String>,
) {
    all.modules.insert(module.clone());
    let tokens = tokens(text);
    let word = |i: usize| tokens.get(i).map_or("", String::as_str);
    let mut inner: Vec<(String, usize)> = Vec::new(); // modules written in this file, with the depth of their braces
    let mut depth = 0;
    let mut i = 0;
    while i < tokens.len() {
        let here: Module = module.iter().chain(inner.iter().map(|(name, _)| name)).cloned().collect();
        match word(i) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inner.pop_if(|(_, at)| *at == depth);
            }
            // #[cfg(test)] mod tests;   #[cfg(test)] mod tests { … }
            "#" if tokens[i..].iter().take(7).map(String::as_str).eq(["#", "[", "cfg", "(", "test", ")", "]"])
                && word(i + 7) == "mod" =>
            {
                i += 9;
                if word(i) == "{" {
                    i = closing(&tokens, i);
                }
            }
            "mod" if word(i + 2) == ";" => {
                let name = word(i + 1);
                let inline: PathBuf = inner.iter().map(|(name, _)| name).collect();
                let base = folder.join(inline);
                for (path, below) in [
                    (base.join(format!("{name}.rs")), base.join(name)),
                    (base.join(name).join("mod.rs"), base.join(name)),
                ] {
                    if let Some(text) = read(&path) {
                        let child = [&here[..], &[name.to_owned()]].concat();
                        read_module(all, child, &path, &below, &text, read);
                    }
                }
                i += 2;
            }
            "mod" if word(i + 2) == "{" => {
                inner.push((word(i + 1).to_owned(), depth));
                all.modules.insert([&here[..], &[word(i + 1).to_owned()]].concat());
                depth += 1;
                i += 2;
            }
            // pub use shape::{MAX_RANK, Shape}; at the root
            "use" if here.is_empty() && word(i.wrapping_sub(1)) == "pub" => {
                for path in paths(&tokens, &mut (i + 1), Vec::new()) {
                    let path = if path[0] == "crate" { path[1..].to_vec() } else { path };
                    if let Some(name) = path.last().filter(|_| path.len() > 1) {
                        all.exports.insert(name.clone(), path.clone());
                    }
                }
            }
            "crate" | "super" if word(i + 1) == "::" && word(i.wrapping_sub(1)) != "::" => {
                for path in paths(&tokens, &mut i, Vec::new()) {
                    let ups = path.iter().take_while(|part| *part == "super").count();
                    let base = if path[0] == "crate" { 0 } else { here.len().saturating_sub(ups) };
                    let rest = path.iter().filter(|part| !["crate", "super", "self"].contains(&part.as_str()));
                    let target: Vec<String> = here[..base].iter().chain(rest).cloned().collect();
                    all.imports.push((here.clone(), target, file.to_owned()));
                }
                continue;
            }
            _ => {}
        }
        i += 1;
    }
}

/// The paths of a use tree that begins at token `at`, which moves past it: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tokens: &[String], at: &mut usize, mut path: Vec<String>) -> Vec<Vec<String>> {
    let is_word = |token: &String| token.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    while let Some(token) = tokens.get(*at) {
        if token == "{" {
            *at += 1;
            let mut all = Vec::new();
            while tokens.get(*at).is_some_and(|token| token != "}") {
                let before = *at;
                all.extend(paths(tokens, at, path.clone()));
                *at += usize::from(*at == before || tokens.get(*at).is_some_and(|token| token == ","));
            }
            *at += 1;
            return all;
        }
        if !is_word(token) {
            break;
        }
        path.push(token.clone());
        *at += 1;
        if tokens.get(*at).is_none_or(|token| token != "::") {
            break;
        }
        *at += 1;
    }
    if tokens.get(*at).is_some_and(|token| token == "as") {
        *at += 2;
    }
    if path.is_empty() { Vec::new() } else { vec![path] }
}

/// The token that closes the brace at `open`.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return i,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Words, `::`, and single signs; comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut all = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                i += 2;
                while i < chars.len() && (at(i), at(i + 1)) != ('*', '/') {
                    i += 1;
                }
                i += 2;
            }
            ('r', '"' | '#') if at(i + 1) == '"' || matches!(at(i + 2), '"' | '#') => {
                let hashes = chars[i + 1..].iter().take_while(|&&c| c == '#').count();
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                i += hashes + 2;
                while i < chars.len() && !chars[i..].starts_with(&end) {
                    i += 1;
                }
                i += end.len();
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            ('\'', _) => i += 1,
            (':', ':') => {
                all.push("::".to_owned());
                i += 2;
            }
            (c, _) if c.is_alphanumeric() || c == '_' => {
                let word: String = chars[i..].iter().take_while(|&&c| c.is_alphanumeric() || c == '_').collect();
                i += word.chars().count();
                all.push(word);
            }
            (c, _) => {
                if !c.is_whitespace() {
                    all.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    all
}

/// The rings of a crate given by its files.
fn rings_of(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
    find_rings(Path::new("lib.rs"), &read)
}

#[test]
fn rings_are_found_wherever_they_are() {
    let root = "mod a;\nmod b;\nmod c;\npub use c::Thing;\n";
    let (to_b, to_c) = ("use crate::b::{self, X};", "fn f() { super::c::g::<u8>(); }");
    let none = rings_of(&[("lib.rs", root), ("a.rs", to_b), ("b.rs", to_c), ("c.rs", "")]);
    assert_eq!(none, [""; 0]);

    let direct = rings_of(&[("lib.rs", root), ("a.rs", to_b), ("b.rs", "use crate::a;"), ("c.rs", "")]);
    assert!(direct.len() == 1 && direct[0].contains("a → b → a") && direct[0].contains("b.rs names a"), "{direct:?}");
    let around = rings_of(&[("lib.rs", root), ("a.rs", to_b), ("b.rs", to_c), ("c.rs", "use crate::{a::Y, d};")]);
    assert!(around.len() == 1 && around[0].contains("a → b → c → a"), "{around:?}");
    // Through a re-export of the root.
    let exported =
        rings_of(&[("lib.rs", root), ("a.rs", "use crate::Thing;"), ("b.rs", ""), ("c.rs", "use super::a::Y;")]);
    assert!(exported.len() == 1 && exported[0].contains("a → c → a"), "{exported:?}");
    // In a folder, and between a file in a folder and a module next to the folder.
    let folder =
        [("lib.rs", "mod a;\nmod b;"), ("a/mod.rs", "mod x;\nmod y;"), ("a/y.rs", "use super::x::X;"), ("b.rs", "")];
    let inside = rings_of(&[&folder[..], &[("a/x.rs", "mod z { use super::super::y; }")]].concat());
    assert!(inside.len() == 1 && inside[0].contains("in crate::a: x → y → x"), "{inside:?}");
    let outside =
        [&folder[..3], &[("a/x.rs", "pub(crate) use crate::b::B;"), ("b.rs", "use crate::a::x::X;")]].concat();
    assert!(rings_of(&outside).len() == 1);

    // Tests, comments and strings are not imports, and a module may use its parent.
    let quiet = "// use crate::a;\n/// crate::a\nconst S: &str = \"crate::a\"; const R: &str = r#\"crate::a\"#;\n\
                 fn f<'a>(_: &'a str) -> char { '\"' }\n#[cfg(test)]\nmod tests { use crate::a; fn g() {} }\nuse crate::c::C;";
    assert_eq!(rings_of(&[("lib.rs", root), ("a.rs", to_b), ("b.rs", quiet), ("c.rs", "")]), [""; 0]);
    let parent = [("lib.rs", "mod a;"), ("a/mod.rs", "mod x;\nuse x::X;\npub struct P;"), ("a/x.rs", "use super::P;")];
    assert_eq!(rings_of(&parent), [""; 0]);
}
