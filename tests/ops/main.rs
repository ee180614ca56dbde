//! Tests of every operation, in a file with the same name as in `tensor/src/ops`. Values equal those of a reference in f64, and
//! gradients equal the slope of the reference along a random cotangent, for odd sizes and random numbers, on the CPU with every
//! instruction set of this machine, and on a GPU.
#![forbid(unsafe_code)]

mod argmax;
mod at;
mod attention;
mod batch_norm;
mod bce;
mod binary;
mod bmm;
mod conv2d;
mod conv_transpose2d;
mod cumsum;
mod gather;
mod gaussian;
mod gradient_monitor;
mod group_norm;
mod grouped_conv2d;
mod interpolate;
mod layout;
mod matmul;
mod optimizer;
mod pool;
mod random;
mod reduce;
mod reshape;
mod shapes;
mod softmax;
mod statistics;
mod unary;
mod where_cond;
#[cfg(feature = "gpu")]
mod winograd;

/// The laws run on these instruction sets. `cargo test --test ops instruction_sets -- --nocapture` prints them.
#[test]
fn instruction_sets_of_this_machine() {
    let available = tensor::Isa::available();
    let names = available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    println!("instruction sets: {names}");
    // Every processor of these targets has its vector instructions.
    if cfg!(target_arch = "aarch64") {
        assert!(names.contains("neon"), "{names}");
    }
    if cfg!(target_feature = "simd128") {
        assert!(names.contains("simd128"), "{names}");
    }
    assert_eq!(available[0], tensor::Isa::Portable);
}
