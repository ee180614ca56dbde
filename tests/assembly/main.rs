//! The loops that multiply keep everything in registers.
//!
//! A sum that the compiler moves to memory ("spills") doubles the time of a matrix product, and no other test would notice: the result is
//! the same. So this compiles the crate `tensor` as a release build does, and reads the assembly. A *multiply loop* is an innermost loop
//! with at least eight multiply-adds of vectors and a number that is broadcast to a vector. None may read or write a vector on the stack.
//! Where an emulator runs this test, there is no compiler: `TENSOR_ASSEMBLY` names the assembly (`tests/cross/arm`). WebAssembly has no
//! registers, and its engine decides what stays in those of the processor, so there only the instructions of the tile are counted.
//!
//! A second test looks for vector instructions that the compiler left as function calls.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "wasm32"))]
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A loop, from the label at its head to the jump back.
struct Loop<'a> {
    function: &'a str,
    lines: &'a [&'a str],
}

impl Loop<'_> {
    fn count(&self, is: impl Fn(&str) -> bool) -> usize {
        self.lines.iter().filter(|line| is(line)).count()
    }

    fn multiplies(&self) -> bool {
        self.count(is_multiply_add) >= 8 && self.count(broadcasts) > 0
    }
}

/// `vfmadd231ps …` of vectors on x86-64, `fmla v…` on 64-bit Arm. WebAssembly multiplies, and adds afterwards.
fn is_multiply_add(line: &str) -> bool {
    (line.starts_with("vfm") || line.starts_with("vfnm")) && line.contains("ps\t")
        || line.starts_with("fmla\t")
        || line.starts_with("f32x4.mul")
}

/// A number read from memory and copied to all lanes, or on Arm multiplied as one element of a vector.
fn broadcasts(line: &str) -> bool {
    line.starts_with("vbroadcastss")
        || line.contains("{1to")
        || line.starts_with("ld1r")
        || line.starts_with("v128.load32_splat")
        || line.starts_with("fmla\t") && line.contains("s[")
}

/// A vector that is read from the stack or written to it. On x86-64 `%rbp` is an ordinary register, since release builds keep no frame
/// pointer.
fn spills(line: &str) -> bool {
    let vector = ["%xmm", "%ymm", "%zmm", "\tq", " q"].iter().any(|register| line.contains(register));
    vector && (line.contains("(%rsp") || line.contains("[sp") || line.contains("[x29"))
}

/// The innermost loops of a listing: jumps back to a label with no other label that a jump returns to in between. WebAssembly writes
/// `loop` and `end_loop`.
fn innermost_loops<'a>(lines: &'a [&'a str]) -> Vec<Loop<'a>> {
    let mut loops = Vec::new();
    let (mut function, mut labels) = ("", Vec::<(&str, usize)>::new());
    let mut opened = None;
    let mut closed = 0; // the end of the loop before: a jump over it is not innermost
    for (at, line) in lines.iter().enumerate() {
        if let Some(label) = line.strip_suffix(':') {
            if label.starts_with(".L") {
                labels.push((label, at));
            } else {
                (function, labels) = (label, Vec::new());
            }
            continue;
        }
        match line.split('\t').next() {
            Some("loop") => opened = Some(at),
            Some("end_loop") => {
                loops.extend(opened.take().map(|start| Loop { function, lines: &lines[start..=at] }));
            }
            _ => (),
        }
        let Some((jump, target)) = line.split_once('\t') else { continue };
        if !(jump.starts_with('j')
            || jump.starts_with("b.")
            || jump.starts_with("cb")
            || jump.starts_with("tb")
            || jump == "b")
        {
            continue;
        }
        let target = target.rsplit([' ', '\t']).next().unwrap_or(target);
        if let Some((_, start)) = labels.iter().find(|(label, _)| *label == target) {
            if *start >= closed {
                loops.push(Loop { function, lines: &lines[*start..=at] });
            }
            closed = closed.max(at);
        }
    }
    loops
}

/// Compiles `tensor` as a release build does, with some options more, and returns the folder of the results.
fn compile(options: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(()); // they have one folder
    let _one = ONE_AT_A_TIME.lock();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned();
    let target = root.join("target/assembly");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["rustc", "--release", "--locked", "--quiet", "-p", "tensor", "--lib", "--", "-C", "debuginfo=0"])
        .args(options)
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "tensor does not compile");
    target
}

/// The assembly of `tensor` in a release build.
fn assembly() -> String {
    let file = match std::env::var_os("TENSOR_ASSEMBLY") {
        Some(made) => made.into(),
        None => compile(&["-C", "codegen-units=1", "--emit=asm=target/assembly/tensor.s"]).join("tensor.s"),
    };
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn no_loop_that_multiplies_keeps_a_vector_on_the_stack() {
    let text = assembly();
    let lines: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or("").trim()).collect();
    let loops = innermost_loops(&lines);
    let multiplies: Vec<&Loop> = loops.iter().filter(|l| l.multiplies()).collect();
    // The whole tile of each instruction set must be among them: rows times vectors of sums.
    let tiles: &[(&str, usize)] = match () {
        () if cfg!(target_arch = "x86_64") => &[("%ymm", 12), ("%zmm", 24)],
        () if cfg!(target_arch = "aarch64") => &[("v", 24)],
        () => &[("f32x4", 8)],
    };
    for (register, sums) in tiles {
        let of_register = |line: &str| is_multiply_add(line) && line.contains(register);
        let found = multiplies.iter().any(|l| l.count(of_register).is_multiple_of(*sums) && l.count(of_register) > 0);
        assert!(
            found,
            "no loop has {sums} multiply-adds of {register} registers: is the tile compiled as it should be?"
        );
    }
    // On Arm, the tile of packed operands takes its factors from registers, without an instruction that broadcasts them.
    let by_element = |line: &str| is_multiply_add(line) && broadcasts(line);
    let found = multiplies.iter().any(|l| l.count(by_element) == 24 && l.lines.len() <= 36);
    assert!(found || cfg!(not(target_arch = "aarch64")), "no short loop has 24 multiply-adds by an element");
    // In WebAssembly, a step of the tile broadcasts 4 numbers and loads 2 vectors for 8 sums.
    let tile = ["f32x4.mul", "f32x4.add", "v128.load32_splat", "v128.load\t"];
    let found = multiplies.iter().any(|l| tile.map(|start| l.count(|line| line.starts_with(start))) == [8, 8, 4, 2]);
    assert!(found || cfg!(not(target_arch = "wasm32")), "no loop is the tile of 4 rows of 2 vectors");
    let spilled: Vec<String> = multiplies
        .iter()
        .filter(|l| l.count(spills) > 0)
        .map(|l| {
            format!(
                "{} of {} instructions of a loop in {}:\n  {}",
                l.count(spills),
                l.lines.len(),
                l.function,
                l.lines.join("\n  ")
            )
        })
        .collect();
    println!("{} multiply loops", multiplies.len());
    assert!(
        spilled.is_empty(),
        "vectors on the stack in {} of {} multiply loops\n{}",
        spilled.len(),
        multiplies.len(),
        spilled.join("\n")
    );
}

/// An instruction of `std::arch` is a function that the compiler inlines into functions with the same instruction set. In another function,
/// such as a closure that was not inlined into its kernel, it stays a call, which made a convolution three times as slow. None may be left.
/// A program that uses the crate has the default of 16 parts, in which the compiler inlines less than in the one part of this workspace.
#[test]
#[cfg(target_arch = "x86_64")]
fn no_vector_instruction_is_a_call() {
    let library = compile(&["-C", "codegen-units=16"]).join("release/libtensor.rlib");
    let bytes = std::fs::read(&library).unwrap_or_else(|error| panic!("{}: {error}", library.display()));
    let names: Vec<String> = bytes
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .map(String::from_utf8_lossy)
        .filter(|name| name.contains("core_arch3x86"))
        .map(|name| name.rsplit("__mm").next().unwrap_or_default().to_owned())
        .collect();
    assert!(names.is_empty(), "functions of one instruction each: {names:?}");
    let kernels = bytes.windows(13).filter(|name| name == b"avx512_kernel").count();
    assert!(kernels > 0, "no kernel has its name in {}", library.display());
}

#[test]
fn a_loop_is_found_and_its_stack_traffic_is_seen() {
    let text = "outer:\n.L1:\nvmovups\t(%rsi), %ymm1\n.L2:\nvbroadcastss\t(%rdi), %ymm0\nvfmadd231ps\t%ymm0, %ymm1, %ymm2\nvmovups\t%ymm12, -40(%rsp)\njne\t.L2\nje\t.L1\nret";
    let lines: Vec<&str> = text.lines().collect();
    let loops = innermost_loops(&lines);
    assert_eq!(loops.len(), 1, "only the inner loop");
    assert_eq!((loops[0].function, loops[0].lines.len()), ("outer", 5));
    assert_eq!([loops[0].count(is_multiply_add), loops[0].count(broadcasts), loops[0].count(spills)], [1, 1, 1]);
}

#[test]
fn a_loop_of_webassembly_is_found() {
    let text = "outer:\nloop\nlocal.get\t1\nloop\nv128.load32_splat\t0:p2align=2\nf32x4.mul\nbr_if\t0\nend_loop\nbr_if\t0\nend_loop";
    let lines: Vec<&str> = text.lines().collect();
    let loops = innermost_loops(&lines);
    assert_eq!(loops.len(), 1, "only the inner loop");
    assert_eq!((loops[0].function, loops[0].lines.len()), ("outer", 5));
    assert_eq!([loops[0].count(is_multiply_add), loops[0].count(broadcasts)], [1, 1]);
}
