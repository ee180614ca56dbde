//! Draws the pictures of the book.
//!
//!     cargo run -p exercises --example pictures             writes docs/book/src/images/*.svg
//!     cargo run -p exercises --example pictures -- FOLDER   writes them to another folder

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/src/images");
    let folder = env::args().nth(1).map_or_else(usual, PathBuf::from);
    for (name, text) in exercises::pictures::all() {
        let path = folder.join(name);
        if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text)) {
            eprintln!("error: {} cannot be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{} pictures are in {}", exercises::pictures::all().len(), folder.display());
    ExitCode::SUCCESS
}
