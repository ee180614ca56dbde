//! The parts of a page of the book. It reads what the book uses of Markdown, and no more.

/// A part of a page.
pub(super) enum Block<'a> {
    /// Its level, from 1, and its words.
    Heading(usize, &'a str),
    /// A paragraph whose lines are joined by spaces in the browser.
    Paragraph(&'a str),
    /// Lines that are indented, without the indentation.
    Formula(String),
    Picture {
        alt: &'a str,
        path: &'a str,
    },
    /// The cells of each row; the first row is the heading.
    Table(Vec<Vec<String>>),
    List(Vec<String>),
    /// A listing or the output of a program, which no slide shows.
    Listing,
}

/// The parts of a page, in order. They are separated by empty lines.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut all = Vec::new();
    for (i, part) in text.split("```").enumerate() {
        if i % 2 == 1 {
            all.push(Block::Listing);
            continue;
        }
        for lines in part.split("\n\n").map(|lines| lines.trim_matches('\n')).filter(|lines| !lines.is_empty()) {
            all.push(block(lines));
        }
    }
    all
}

fn block(lines: &str) -> Block<'_> {
    let picture = lines.strip_prefix("![").and_then(|rest| rest.strip_suffix(')')?.split_once("]("));
    if let Some((alt, path)) = picture {
        return Block::Picture { alt, path };
    }
    let level = lines.len() - lines.trim_start_matches('#').len();
    if level > 0 {
        return Block::Heading(level, lines.trim_start_matches('#').trim());
    }
    if lines.starts_with("    ") {
        return Block::Formula(
            lines.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect(),
        );
    }
    if lines.starts_with('|') {
        let cells = |line: &str| {
            let line = line.replace("\\|", "\u{1}");
            let cells = line.trim().trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|"));
            cells.collect::<Vec<String>>()
        };
        return Block::Table(lines.lines().filter(|line| !line.starts_with("|---")).map(cells).collect());
    }
    if lines.starts_with("1. ") || lines.starts_with("- ") {
        let mut items: Vec<String> = Vec::new();
        for line in lines.lines() {
            let numbered = || line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok());
            let item = line.strip_prefix("- ").or_else(|| numbered().map(|(_, item)| item));
            match (item, items.last_mut()) {
                (Some(item), _) => items.push(item.to_owned()),
                (None, Some(last)) => *last += &format!(" {}", line.trim()),
                (None, None) => {}
            }
        }
        return Block::List(items);
    }
    Block::Paragraph(lines)
}

/// Words as HTML: code, bold words and links.
pub(super) fn inline(words: &str) -> String {
    let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let mut html = String::new();
    for (i, part) in escaped.split('`').enumerate() {
        match i % 2 {
            0 => html += &bold(&without_links(part)),
            _ => html += &format!("<code>{part}</code>"),
        }
    }
    html
}

fn bold(words: &str) -> String {
    let part = |(i, part): (usize, &str)| if i % 2 == 1 { format!("<b>{part}</b>") } else { part.to_owned() };
    words.split("**").enumerate().map(part).collect()
}

/// A link becomes its words: a slide is shown, and not clicked.
fn without_links(words: &str) -> String {
    let mut parts = words.split("](");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(')').map_or(part, |(_, rest)| rest);
        if let Some(open) = left.rfind('[') {
            left.remove(open);
        }
        left += rest;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_html() {
        assert_eq!(inline("a **b** `c < d` [e](f.md), [g]"), "a <b>b</b> <code>c &lt; d</code> e, [g]");
        assert_eq!(inline("x_t ~ N(0, 1) & [a](b) [c](d)"), "x_t ~ N(0, 1) &amp; a c");
    }

    #[test]
    fn a_page_is_divided_into_its_parts() {
        let page = "# 1. T\n\nWords\nof two lines.\n\n![alt](images/a.svg)\n\n    y = x\n      + 1\n\n| a | b |\n|---|---|\n| 1 | p(x\\|z) |\n\n```rust\n# no heading\n```\n\n1. one\n   more\n2. two\n";
        let all = blocks(page);
        assert!(matches!(&all[0], Block::Heading(1, "1. T")));
        assert!(matches!(&all[1], Block::Paragraph("Words\nof two lines.")));
        assert!(matches!(&all[2], Block::Picture { alt: "alt", path: "images/a.svg" }));
        assert!(matches!(&all[3], Block::Formula(lines) if lines == "y = x\n  + 1\n"));
        assert!(matches!(&all[4], Block::Table(rows) if rows[..] == [["a", "b"], ["1", "p(x|z)"]]));
        assert!(matches!(&all[5], Block::Listing));
        assert!(matches!(&all[6], Block::List(items) if items[..] == ["one more", "two"]));
        assert_eq!(all.len(), 7);
    }
}
