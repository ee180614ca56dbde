//! Slides for teachers, from the book: one HTML file with everything in it. `cargo run -p exercises --example slides` writes it.
//!
//! Each chapter gives a slide with its question, one for each picture, one for each section with formulas, and one with its exercises.
//! The paragraph below a picture becomes a note, which is folded. [`markdown`] reads a page.

mod markdown;

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::Path;

use markdown::{Block, blocks, inline};

/// One slide: its heading, its contents as HTML, and a note for the teacher.
struct Slide {
    heading: String,
    body: String,
    note: String,
}

/// Returns the slides of the book in this folder, `docs/book/src`, as one HTML page.
///
/// # Errors
/// If a page or a picture cannot be read.
pub fn deck(book: &Path) -> io::Result<String> {
    let mut slides = Vec::new();
    let summary = fs::read_to_string(book.join("SUMMARY.md"))?;
    for name in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if name.starts_with("ch") || name == "speed.md" {
            of_chapter(book, &fs::read_to_string(book.join(name))?, &mut slides)?;
        }
    }
    let count = slides.len();
    let sections: String = slides.iter().enumerate().map(|(i, slide)| section(slide, i + 1, count)).collect();
    Ok(include_str!("page.html").replace("{sections}", &sections))
}

fn section(slide: &Slide, number: usize, count: usize) -> String {
    let Slide { heading, body, note } = slide;
    let note =
        if note.is_empty() { String::new() } else { format!("<details><summary>Note</summary>{note}</details>\n") };
    format!("<section>\n<h2>{heading}</h2>\n{body}{note}<p class=\"number\">{number} / {count}</p>\n</section>\n")
}

/// Adds the slides of one page.
fn of_chapter(book: &Path, text: &str, slides: &mut Vec<Slide>) -> io::Result<()> {
    let (mut title, mut part, mut section) = (String::new(), String::new(), String::new());
    // The formulas and tables of a section come together on one slide, as do the paragraphs of a question.
    let mut together: Option<usize> = None;
    let mut after_picture = false;
    for block in blocks(text) {
        let picture = std::mem::take(&mut after_picture);
        match block {
            Block::Heading(1, words) => {
                title = inline(words);
                section.clone_from(&title);
            }
            Block::Heading(2, words) => {
                (part, section, together) = (words.to_owned(), title.clone(), None);
            }
            Block::Heading(_, words) => (section, together) = (inline(words), None),
            Block::Picture { alt, path } => {
                let body = format!("<img alt=\"{}\" src=\"{}\">\n", inline(alt), data_url(&book.join(path))?);
                slides.push(Slide { heading: section.clone(), body, note: String::new() });
                after_picture = true;
            }
            Block::Paragraph(words) if part == "Question" => {
                let at = *together.get_or_insert_with(|| empty(slides, &title));
                slides[at].body += &format!("<p class=\"question\">{}</p>\n", inline(words));
            }
            Block::Paragraph(words) if picture => {
                slides.last_mut().expect("a picture").note = format!("<p>{}</p>", inline(words));
            }
            Block::Formula(lines) if part == "Formula" || part == "Question" => {
                let at = *together.get_or_insert_with(|| empty(slides, &section));
                slides[at].body += &format!("<pre>{}</pre>\n", inline(&lines));
            }
            Block::Table(rows) if part == "Formula" => {
                let at = *together.get_or_insert_with(|| empty(slides, &section));
                slides[at].body += &table(&rows);
            }
            Block::List(items) if part == "Exercises" => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>\n", inline(item))).collect();
                let body = format!("<ol>\n{items}</ol>\n<pre>cargo run -p exercises</pre>\n");
                slides.push(Slide { heading: format!("Exercises: {title}"), body, note: String::new() });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds a slide without contents, and returns its place.
fn empty(slides: &mut Vec<Slide>, heading: &str) -> usize {
    slides.push(Slide { heading: heading.to_owned(), body: String::new(), note: String::new() });
    slides.len() - 1
}

fn table(rows: &[Vec<String>]) -> String {
    let row = |(i, cells): (usize, &Vec<String>)| {
        let tag = if i == 0 { "th" } else { "td" };
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", inline(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    format!("<table>\n{}</table>\n", rows.iter().enumerate().map(row).collect::<String>())
}

/// A file as a URL that contains it.
fn data_url(path: &Path) -> io::Result<String> {
    let kind = match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => "svg+xml",
        Some("gif") => "gif",
        _ => return Err(Error::new(ErrorKind::InvalidData, format!("{} is no picture", path.display()))),
    };
    let bytes = fs::read(path).map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(format!("data:image/{kind};base64,{}", base64(&bytes)))
}

/// Three bytes as four letters of six bits each (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(*three.get(i).unwrap_or(&0)));
        let letter = |i: usize| {
            let place = bits >> (18 - 6 * i) & 63;
            if i <= three.len() { char::from(LETTERS[place as usize]) } else { '=' }
        };
        (0..4).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// The examples of RFC 4648.
    #[test]
    fn bytes_become_letters() {
        for (bytes, letters) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), letters);
        }
    }
}
