//! What operations run, printed to standard error as they do. The environment variable `TENSOR_TRACE` switches it on:
//!
//! ```text
//! TENSOR_TRACE=1    matmul [2, 3], [3, 4] → [2, 4]   cpu, 0.004 ms
//!                   matmul [2, 3], [3, 4] → [2, 4]   llvmpipe, kernel matmul, grid 1 × 1 × 1
//! TENSOR_TRACE=2    the same, and the WGSL of each kernel before its first launch
//! ```
//!
//! A line is one loop on the CPU or one launch on a GPU, under the name of the public function that runs it. An operation that is
//! composed of others prints its parts: `log_softmax` prints max, sub, logsumexp and sub. What shares the elements, such as `reshape`,
//! prints nothing. The time on the CPU is that of the loop. A launch has none, since it only records work for the GPU; its inputs and
//! results are the kernel's bindings in their order, where a missing input, such as a bias, is filled by another tensor.
//!
//! `Tensor::build` and `LaunchBuilder` print the lines, so a new operation prints its own.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::shape::Shape;

/// What is printed, from the environment variable `TENSOR_TRACE`, which is read once: 0 (nothing, also if it is not set), 1 (operations)
/// or 2 (operations, and the WGSL of kernels).
///
/// # Errors
/// If the variable has another value.
pub fn trace_level() -> Result<u8> {
    static LEVEL: OnceLock<Result<u8>> = OnceLock::new();
    let read = || match std::env::var_os("TENSOR_TRACE") {
        None => Ok(0),
        Some(value) => parse(&value.to_string_lossy()),
    };
    match LEVEL.get_or_init(read) {
        Ok(level) => Ok(*level),
        Err(error) => Err(error.clone()),
    }
}

fn parse(value: &str) -> Result<u8> {
    match value {
        "" | "0" => Ok(0),
        "1" => Ok(1),
        "2" => Ok(2),
        _ => Err(Error::Trace { wanted: value.to_owned() }),
    }
}

/// Panics if the variable has a wrong value. A program asks [`trace_level`] first, and reports its error.
fn level() -> u8 {
    trace_level().unwrap_or_else(|error| panic!("{error}"))
}

/// A loop on the CPU that has begun, if it will be printed.
pub(crate) struct Begun(Option<Instant>);

/// Notes the time before a loop on the CPU.
pub(crate) fn begin() -> Begun {
    Begun((level() > 0).then(Instant::now))
}

impl Begun {
    /// Prints the line of a loop that has ended.
    pub(crate) fn end<'a>(self, operation: &str, inputs: impl IntoIterator<Item = &'a Shape>, result: &'a Shape) {
        if let Some(start) = self.0 {
            let time = start.elapsed().as_secs_f64() * 1e3;
            print(operation, &inputs.into_iter().collect::<Vec<_>>(), &[result], &format!("cpu, {time:.3} ms"));
        }
    }
}

/// Prints a launch, and at level 2 the source of a kernel that is launched for the first time.
pub(crate) fn launch<'a>(
    operation: &str,
    inputs: impl IntoIterator<Item = &'a Shape>,
    results: impl IntoIterator<Item = &'a Shape>,
    device: &str,
    kernel: &'static Kernel,
    [x, y, z]: [u32; 3],
) {
    static PRINTED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let level = level();
    if level == 0 {
        return;
    }
    if level > 1 && PRINTED.lock().unwrap_or_else(PoisonError::into_inner).insert(kernel.entry) {
        eprintln!("// kernel {}\n{}", kernel.entry, kernel.source(0));
    }
    let [inputs, results]: [Vec<&Shape>; 2] = [inputs.into_iter().collect(), results.into_iter().collect()];
    print(operation, &inputs, &results, &format!("{device}, kernel {}, grid {x} × {y} × {z}", kernel.entry));
}

/// Prints a copy of elements between the CPU and a device.
pub(crate) fn copy(operation: &str, shape: &Shape, device: &str) {
    if level() > 0 {
        print(operation, &[shape], &[shape], device);
    }
}

fn print(operation: &str, inputs: &[&Shape], results: &[&Shape], rest: &str) {
    eprintln!("{operation}{} →{}   {rest}", list(inputs), list(results));
}

/// ` [2, 3], [3, 4]`
fn list(shapes: &[&Shape]) -> String {
    let shapes: Vec<String> = shapes.iter().map(|shape| format!(" {shape}")).collect();
    shapes.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_level_or_an_error_of_one_line() {
        let level = |value: &str| parse(value).ok();
        assert_eq!(["", "0", "1", "2"].map(level), [Some(0), Some(0), Some(1), Some(2)]);
        for value in ["3", "yes", "1 ", "-1"] {
            let error = parse(value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("TENSOR_TRACE={value}: ")) && !error.contains('\n'), "{error}");
        }
    }
}
