//! What every target does: a reader's refusals are lines that name the file; it neither panics nor leaves its folder.

#[allow(dead_code, reason = "the targets need a few of the files that it makes")]
#[path = "../../tests/hostile/corpus.rs"]
mod corpus;
#[allow(dead_code, reason = "how much memory a reader may take is a flag of libFuzzer's here")]
#[path = "../../tests/hostile/readers.rs"]
mod readers;

use std::cell::OnceCell;

thread_local!(static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() });

/// Gives a reader these bytes.
pub(crate) fn read(name: &str, bytes: &[u8]) {
    let reader = readers::READERS.iter().find(|reader| reader.name == name).expect("a reader of this name");
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        for refusal in (reader.read)(bytes, folder.path()) {
            assert!(readers::is_clear(&refusal.to_string()), "{refusal:?}");
        }
    });
}
