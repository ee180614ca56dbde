//! The slides have every picture of the book, and need nothing that is not in their file.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

#[test]
fn the_slides_have_every_chapter_picture_formula_and_exercise() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/src");
    let page = exercises::slides::deck(&book).unwrap();
    let slides: Vec<&str> =
        page.split("<section>").skip(1).map(|slide| slide.split("</section>").next().unwrap()).collect();
    let mut pictures = 0;
    for entry in fs::read_dir(&book).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("ch") || name == "speed.md") {
            continue;
        }
        let text = fs::read_to_string(&entry).unwrap();
        pictures += text.matches("\n![").count();
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        let of_chapter = |words: &str| slides.iter().filter(|slide| slide.contains(words)).count();
        assert!(of_chapter(&format!("<h2>{title}</h2>\n<p class=\"question\">")) >= 1, "{title} has no question");
        if name.starts_with("ch") {
            assert_eq!(of_chapter(&format!("<h2>Exercises: {title}</h2>\n<ol>")), 1, "{title}");
        }
    }
    assert!(pictures >= 25, "{pictures}");
    assert_eq!(page.matches("<img alt=\"").count(), pictures);
    assert_eq!(page.matches(" src=\"data:image/").count(), pictures);
    for formula in ["z = μ + σ·ε,   σ = e^(logvar/2)", "KL(q ‖ p) = E_q[ln q(z) − ln p(z)]", "w ← w − η·dL/dw"]
    {
        assert!(page.contains(formula), "{formula}");
    }
    assert!(!page.contains("http") && !page.contains("<link") && !page.contains("{{#include"), "something is outside");
}
