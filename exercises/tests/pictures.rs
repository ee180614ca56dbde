//! The pictures in the book are those that the program draws now.
#![forbid(unsafe_code)]

use std::path::Path;

#[test]
fn the_book_has_the_pictures_that_the_program_draws() {
    for (name, text) in exercises::pictures::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/src/images").join(name);
        let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(file == text, "{name} is out of date: cargo run -p exercises --example pictures");
    }
}
