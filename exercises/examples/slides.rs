//! Writes slides of the book's pictures, formulas and exercises.
//!
//!     cargo run -p exercises --example slides            writes target/slides.html
//!     cargo run -p exercises --example slides -- FILE    writes another file
//!
//! It is one file without anything outside it. A browser shows it and prints it to PDF. The arrow keys turn the slides.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = env::args_os().nth(1).map_or_else(|| root.join("target/slides.html"), PathBuf::from);
    let written = exercises::slides::deck(&root.join("docs/book/src"))
        .and_then(|page| fs::write(&file, &page).map(|()| page.matches("<section>").count()));
    match written {
        Ok(count) => {
            println!("{count} slides are in {}", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: the slides cannot be written to {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
