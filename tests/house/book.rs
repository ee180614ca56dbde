//! The book in `docs/book`: its includes, links, pictures and exercises are there. mdBook itself is not needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{root, stems};

/// The pages of the book: names and texts.
fn pages() -> Vec<(String, String)> {
    let names = stems("docs/book/src", "md");
    assert!(names.len() >= 14, "{names:?}");
    let read = |stem: String| {
        let name = format!("{stem}.md");
        let text = fs::read_to_string(folder().join(&name)).expect("a page is text");
        (name, text)
    };
    names.into_iter().map(read).collect()
}

fn folder() -> PathBuf {
    root().join("docs/book/src")
}

/// What is between `before` and `after`, each time that it occurs.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once(after)).map(|(inside, _)| inside).collect()
}

/// The text without its code, in which brackets are no links.
fn prose(text: &str) -> String {
    let outside: Vec<&str> = text.split("```").step_by(2).collect();
    let lines = outside.iter().flat_map(|part| part.lines()).filter(|line| !line.starts_with("    "));
    lines.map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join("`") + "\n").collect()
}

/// The lines of a file between `ANCHOR: name` and `ANCHOR_END: name`.
fn anchored<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let marked = |line: &str, mark: &str| line.trim().strip_prefix("// ") == Some(&format!("{mark}: {name}"));
    let mut lines = text.lines().skip_while(|line| !marked(line, "ANCHOR"));
    lines.next()?;
    let inside: Vec<&str> = lines.by_ref().take_while(|line| !marked(line, "ANCHOR_END")).collect();
    text.lines().any(|line| marked(line, "ANCHOR_END")).then_some(inside)
}

#[test]
fn every_listing_of_the_book_is_part_of_a_file() {
    let mut count = 0;
    for (page, text) in pages() {
        for include in between(&text, "{{#include ", "}}") {
            let (path, anchor) = include.split_once(':').unwrap_or((include, ""));
            let file =
                fs::read_to_string(folder().join(path)).unwrap_or_else(|e| panic!("{page} includes {path}: {e}"));
            let lines = anchored(&file, anchor).unwrap_or_else(|| panic!("{page}: {path} has no anchor {anchor:?}"));
            let code = lines.iter().filter(|line| !line.trim().is_empty()).count();
            assert!(code >= 2, "{page}: the anchor {anchor} of {path} has {code} lines");
            let open = |bracket| lines.iter().map(|line| line.matches(bracket).count()).sum::<usize>();
            assert_eq!(open('{'), open('}'), "{page}: the anchor {anchor} of {path} cuts a block in two");
            count += 1;
        }
        // Rust code in the book is always included.
        for block in between(&text, "```rust\n", "```") {
            assert!(block.starts_with("{{#include "), "{page} has a listing that is not included:\n{block}");
        }
    }
    assert!(count >= 40, "{count} listings: the pages are not read as they are written");
}

#[test]
fn every_link_of_the_book_leads_to_a_page_or_a_picture_with_a_description() {
    let mut count = 0;
    for (page, text) in pages() {
        let text = prose(&text);
        for target in between(&text, "](", ")") {
            if target.starts_with("https://") || target.starts_with('#') {
                continue;
            }
            let path = target.split('#').next().unwrap_or_default();
            // mdBook copies only what lies in `src`, so a link to another folder would be dead in the built book.
            assert!(!path.contains(".."), "{page} links {path}, which is not in the book");
            assert!(folder().join(path).is_file(), "{page} links {path}, which is not there");
            count += 1;
        }
        for alternative in between(&text, "![", "]") {
            assert!(alternative.len() >= 40, "{page}: a picture is described by {alternative:?} only");
        }
    }
    assert!(count >= 50, "{count} links");
}

#[test]
fn every_picture_of_the_book_is_shown() {
    let text: String = pages().into_iter().map(|(_, text)| text).collect();
    for entry in fs::read_dir(folder().join("images")).expect("the pictures") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(text.contains(&format!("](images/{name})")), "no page shows {name}");
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(folder().join("SUMMARY.md")).expect("the summary");
    let listed: BTreeSet<String> = between(&summary, "](", ")").into_iter().map(str::to_owned).collect();
    let there: BTreeSet<String> =
        pages().into_iter().map(|(name, _)| name).filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed, there);
    let chapters = listed.iter().filter(|name| name.starts_with("ch")).count();
    assert_eq!(chapters, 12);
}

/// Each chapter has a question, a picture, a formula, code and exercises, in this order, and names each of its exercises.
#[test]
fn chapters_have_their_five_parts() {
    let tasks = stems("exercises/tasks", "rs");
    for (page, text) in pages().into_iter().filter(|(page, _)| page.starts_with("ch")) {
        let places: Vec<Option<usize>> = ["Question", "Picture", "Formula", "Code", "Exercises"]
            .iter()
            .map(|part| text.find(&format!("\n## {part}\n")))
            .collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{page}: {places:?}");
        assert!(text.contains("](images/"), "{page} has no picture");
        let (prefix, exercises) =
            (format!("c{}_", &page[2..4]), text.split("\n## Exercises\n").nth(1).unwrap_or_default());
        for task in tasks.iter().filter(|task| task.starts_with(&prefix)) {
            assert!(exercises.contains(&format!("`{task}`")), "{page} does not name the exercise {task}");
        }
        for named in between(&text, "`c", "`").into_iter().map(|rest| format!("c{rest}")) {
            let is_name =
                named[1..].starts_with(|c: char| c.is_ascii_digit()) && named.as_bytes().get(3) == Some(&b'_');
            assert!(!is_name || tasks.contains(&named), "{page} names {named}, which is no exercise");
        }
    }
}

/// Bold words inside a sentence define a term, and the glossary has it. Bold words that begin a line are headings of a paragraph, an item
/// or a row.
#[test]
fn every_term_that_is_defined_is_in_the_glossary() {
    let glossary = fs::read_to_string(folder().join("glossary.md")).expect("the glossary").to_lowercase();
    // An entry is `**term**: meaning`, or `**term**: or another name: meaning`.
    let entries = glossary.lines().filter_map(|line| line.strip_prefix("**")?.split_once("**: "));
    let names: Vec<String> = entries
        .map(|(term, meaning)| match meaning.strip_prefix("or ").and_then(|names| names.split_once(':')) {
            Some((names, _)) => format!("{term}, {names}"),
            None => term.to_owned(),
        })
        .collect();
    let begins = |before: &str| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim_start_matches(|c: char| c.is_ascii_digit() || "-.| ".contains(c)).is_empty()
    };
    let mut count = 0;
    for (page, text) in pages().into_iter().filter(|(page, _)| page.starts_with("ch") || page == "speed.md") {
        let text = prose(&text);
        for paragraph in text.split("\n\n").map(|paragraph| paragraph.split("**").collect::<Vec<_>>()) {
            for pair in paragraph.chunks_exact(2).filter(|pair| !begins(pair[0])) {
                let term = pair[1].to_lowercase().replace('\n', " ");
                let is_there = names.iter().any(|names| names.contains(term.trim_end_matches('s')));
                assert!(is_there, "{page} defines {term:?}: the glossary lacks it");
                count += 1;
            }
        }
    }
    assert!(count >= 80, "{count} terms");
}

#[test]
fn the_glossary_is_in_alphabetical_order() {
    let text = fs::read_to_string(folder().join("glossary.md")).expect("the glossary");
    let terms: Vec<String> = between(&text, "\n**", "**").into_iter().map(str::to_lowercase).collect();
    assert!(terms.len() >= 50, "{} terms", terms.len());
    for pair in terms.windows(2) {
        assert!(pair[0] < pair[1], "{} stands before {}", pair[0], pair[1]);
    }
}
