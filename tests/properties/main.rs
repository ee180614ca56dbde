//! Property tests over random shapes: ranks 0 to 5, sizes of 0 and 1, valid and invalid dimensions.
//!
//! Valid arguments give the result of the f64 reference on every device. Invalid ones panic with the operation's own message.
//! proptest draws the shapes and shrinks one that fails; the draws are the same in every run.
#![forbid(unsafe_code)]

mod binary;
mod layout;
mod reduce;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tensor::{Generator, Tensor};

/// Checks a property for `cases` draws. It fails by panicking.
#[track_caller]
fn check<S: Strategy>(cases: u32, draw: S, property: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let held = TestRunner::new_with_rng(config, rng).run(&draw, |value| {
        property(value);
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Shapes of rank 0 to 5 with at most 1,024 elements.
fn shapes() -> impl Strategy<Value = Vec<usize>> {
    vec(0..5_usize, 0..=5).prop_filter("small", |sizes| sizes.iter().product::<usize>() <= 1024)
}

/// Elements that depend only on the shape.
fn numbers(sizes: &[usize]) -> Tensor {
    Generator::stream(11, sizes.len() as u64).normal_tensor(sizes)
}

/// The result, or the message of the panic.
fn attempt<T>(operation: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(operation)).map_err(|refusal| match refusal.downcast::<String>() {
        Ok(words) => *words,
        Err(refusal) => (*refusal.downcast::<&str>().expect("words")).to_owned(),
    })
}

/// Requires that the operation panicked with this message.
#[track_caller]
fn refused<T>(outcome: Result<T, String>, words: &str) {
    match outcome {
        Ok(_) => panic!("not refused; expected {words:?}"),
        Err(said) => assert!(said.contains(words), "refused by {said:?}, expected {words:?}"),
    }
}
