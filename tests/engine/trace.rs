//! `TENSOR_TRACE` prints each operation under its public name, with the shapes that it really has. The variable is read once in a
//! process, so each test starts this program again and reads what the child prints.

use std::process::{Command, Output};

use autograd::Var;
use reference::place;
use tensor::{Act, Conv, Device, GroupedConv, Interpolation, Pool, Tensor};

/// What stands between the lines of two operations.
const NEXT: &str = "== ";

/// A line of the trace, and the operation that prints it.
type Operation = (&'static str, Box<dyn Fn() -> Tensor>);

/// Operations of one loop or launch, each with the line that it prints, up to the device.
fn operations(device: &Device) -> Vec<Operation> {
    let of = |shape: &[usize]| Tensor::full_on(shape, 0.5, device);
    let (a, b, image, wide) = (of(&[2, 3]), of(&[3]), of(&[2, 4, 6, 6]), of(&[2, 4, 5]));
    let (index, weight, conv) = (of(&[2]).mul_scalar(2.0), of(&[4, 4, 3, 3]), Conv { stride: 2, padding: 1 });
    let (pool, grouped) =
        (Pool { kernel: 2, stride: 2, padding: 0 }, GroupedConv { stride: 1, padding: 1, dilation: 1, groups: 4 });
    macro_rules! lines {
        ($($line:literal: |$($x:ident),*| $operation:expr;)*) => {
            vec![$({
                $(let $x = $x.clone();)*
                ($line, Box::new(move || $operation) as Box<dyn Fn() -> Tensor>)
            }),*]
        };
    }
    lines! {
        "add [2, 3], [3] → [2, 3]": |a, b| a.add(&b);
        "mul [2, 3], [2, 3] → [2, 3]": |a| a.mul(&a);
        "lt [2, 3], [3] → [2, 3]": |a, b| a.lt(&b);
        "where_cond [2, 3], [2, 3], [2, 3] → [2, 3]": |a| a.where_cond(&a, &a);
        "relu [2, 3] → [2, 3]": |a| a.relu();
        "leaky_relu_gradient [2, 3], [2, 3] → [2, 3]": |a| tensor::Unary::leaky_relu(0.1).gradient(&a, &a);
        "sum [2, 3] →": |a| a.sum_all();
        "max [2, 3] →": |a| a.max(&[1], true);
        "logsumexp": |a| a.logsumexp(1);
        "argmax [2, 3] → [2]": |a| a.argmax(1);
        "cumsum_gradient [2, 3] → [2, 3]": |a| a.cumsum_gradient(1);
        "permute [2, 3] → [3, 2]": |a| a.transpose(0, 1);
        "slice [2, 3] → [2, 1]": |a| a.at((.., 1..2));
        "matmul_nt [2, 3], [2, 3] → [2, 2]": |a| a.matmul_nt(&a);
        "bmm_tn [2, 4, 5], [2, 4, 5] → [2, 5, 5]": |wide| wide.bmm_tn(&wide);
        "gather [2, 3], [2] → [2]": |a, index| a.gather(&index);
        "index_select [2, 3], [2] → [2, 3]": |a, index| a.index_select(&index);
        "max_pool2d [2, 4, 6, 6] → [2, 4, 3, 3]": |image| image.max_pool2d(pool);
        "interpolate [2, 4, 6, 6] → [2, 4, 3, 3]": |image| image.interpolate([3, 3], Interpolation::Nearest);
        "conv2d": |image, weight| image.conv2d(&weight, None, conv);
        "conv2d_weight_gradient": |image, wide| {
            image.conv2d_weight_gradient(&wide.at((.., .., 0)).reshape([2, 4, 1, 1]), Conv { stride: 1, padding: 0 }, [6, 6])
        };
        "conv2d_input_gradient": |image, weight| image.conv2d_input_gradient(&weight, conv, [12, 12]);
        "grouped_conv2d": |image, weight| image.grouped_conv2d(&weight.at((.., 0..1)), None, grouped);
        "gaussian_kl": |a| a.gaussian_kl(&a);
        "bce_with_logits [2, 3], [2, 3] → [2]": |a| a.bce_with_logits(&a);
        "channel_stats": |image| image.channel_stats(None).mean;
        "add_assign": |a| {
            let mut sum = a.mul_scalar(2.0);
            sum.add_assign(&a);
            sum
        };
        "max": |a| a.softmax(0);
        "batch_norm": |image, weight| {
            let w = weight.at((.., 0, 0, 0));
            let y = Var::leaf(image.clone()).batch_norm(&Var::constant(w.clone()), &Var::constant(w), None, Act::Relu, 1e-5, None);
            y.value().clone()
        };
    }
}

/// What the children do. The tests below start it.
#[test]
#[ignore = "a part of the other tests"]
fn child() {
    for device in place::devices() {
        eprintln!("{NEXT}{device}");
        for (line, operation) in operations(&device) {
            eprintln!("{NEXT}{line}");
            operation();
        }
        eprintln!("{NEXT}end");
    }
}

fn run(level: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "trace::child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("TENSOR_TRACE", level).output().unwrap()
}

fn printed(level: &str) -> String {
    let output = run(level);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn each_operation_is_a_line_on_every_device() {
    let text = printed("1");
    for device in place::devices() {
        let of_device =
            text.split(&format!("{NEXT}{device}\n")).nth(1).unwrap().split(&format!("{NEXT}end")).next().unwrap();
        let blocks: Vec<&str> = of_device.split(NEXT).skip(1).collect();
        assert_eq!(blocks.len(), operations(&Device::Cpu).len());
        for block in blocks {
            let (wanted, lines) = block.split_once('\n').unwrap();
            // Operations of several parts are tested by name only: other parts may come before.
            let line = lines.lines().find(|line| line.starts_with(&format!("{wanted} ")));
            let line = line.unwrap_or_else(|| panic!("{device}: no line '{wanted}' in {lines:?}"));
            let (_, how) = line.split_once("   ").unwrap();
            match &device {
                Device::Cpu => {
                    let time = how.strip_prefix("cpu, ").and_then(|how| how.strip_suffix(" ms")).unwrap();
                    assert!((0.0..1e4).contains(&time.parse::<f64>().unwrap()), "{line}");
                }
                Device::Gpu(machine) => {
                    let (name, kernel) = how.split_once(", kernel ").unwrap();
                    assert!(name == machine.name() && kernel.contains(", grid ") && kernel.contains(" × "), "{line}");
                }
            }
        }
    }
    assert!(text.contains("sum [2, 3] → []   cpu") && text.contains("max [2, 3] → [2, 1]   cpu"), "{text}");
    assert!(!text.contains("@compute"), "{text}");
}

#[test]
fn the_second_level_prints_each_kernel_once() {
    let text = printed("2");
    assert_eq!(text.matches("// kernel unary\n").count(), 1);
    assert!(text.contains("// kernel unary\nalias T0 = f32;\n"), "the source is not whole: {text}");
    assert!(text.contains("conv2d [4, 4, 3, 3], [2, 4, 6, 6]"), "the lines of the first level are there too");
}

#[test]
fn nothing_is_printed_unless_asked_and_other_values_are_refused() {
    for off in ["", "0"] {
        let text = printed(off);
        let line = text.lines().find(|line| !line.starts_with(NEXT) && line.contains('→')); // drivers print too
        assert_eq!(line, None);
    }
    let output = run("3");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("TENSOR_TRACE=3: choose 1 "), "{text}");
}
