//! The reader `amat` of `tests/hostile/readers.rs`.
#![no_main]

mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::read("amat", bytes));
