//! Hint: With the padding there are size + 2·padding pixels. The first position uses `kernel` of them, and every further one `stride`
//! more. A division of integers rounds down in Rust.

pub fn output_size(size: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (size + 2 * padding - kernel) / stride + 1
}
