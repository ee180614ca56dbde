//! The reader `tar_gz` of `tests/hostile/readers.rs`.
#![no_main]

mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::read("tar_gz", bytes));
