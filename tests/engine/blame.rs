//! A misuse panics with the caller's line, not with a line inside the library (`#[track_caller]`, which closures lose).

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use autograd::{Conv, ConvTranspose, Interpolation, Pool, Var};
use nn::{BatchNorm2d, Conv2d, ConvTranspose2d, ForwardContext, GroupNorm, MultiheadAttention};
use tensor::{Generator, Tensor};

thread_local! {
    static FILE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The file that the panic of a misuse names.
fn blamed(misuse: impl FnOnce()) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let file = info.location().map_or("nowhere", |place| place.file()).to_owned();
            FILE.with(|known| *known.borrow_mut() = Some(file));
            before(info);
        }));
    });
    let ended = panic::catch_unwind(AssertUnwindSafe(misuse));
    assert!(ended.is_err(), "it was no misuse");
    FILE.with(|known| known.borrow_mut().take()).expect("a hook that was called")
}

#[test]
#[cfg_attr(panic = "abort", ignore = "it catches a panic")]
fn a_misuse_is_reported_at_the_caller_s_line() {
    let var = |shape: &[usize]| Var::leaf(Tensor::ones(shape));
    let image = || var(&[1, 2, 3, 3]);
    let (kernel, pool) = (|| var(&[4, 2, 5, 5]), Pool { kernel: 5, stride: 5, padding: 0 });
    let transposed = ConvTranspose { stride: 1, padding: 9, output_padding: 0 };
    type Misuse<'a> = Box<dyn FnOnce() + 'a>;
    let misuses: Vec<(&str, Misuse)> = vec![
        ("a + b", Box::new(|| drop(var(&[2]) + var(&[3])))),
        ("add", Box::new(|| drop(Tensor::ones([2]).add(&Tensor::ones([3]))))),
        ("matmul", Box::new(|| drop(var(&[2, 3]).matmul(&var(&[2, 3]))))),
        ("conv2d", Box::new(|| drop(image().conv2d(&kernel(), None, Conv { stride: 1, padding: 0 })))),
        ("conv_transpose2d", Box::new(|| drop(image().conv_transpose2d(&var(&[2, 1, 3, 3]), None, transposed)))),
        ("max_pool2d", Box::new(|| drop(image().max_pool2d(pool)))),
        ("avg_pool2d", Box::new(|| drop(image().avg_pool2d(pool)))),
        ("interpolate", Box::new(|| drop(var(&[2, 3]).interpolate([4, 4], Interpolation::Nearest)))),
        ("reshape", Box::new(|| drop(var(&[2, 3]).reshape([7])))),
        ("slice", Box::new(|| drop(var(&[2, 3]).slice(1, 2, 2)))),
        ("log_softmax", Box::new(|| drop(var(&[2, 3]).log_softmax(2)))),
        ("a - b", Box::new(|| drop(Tensor::ones([2]) - &Tensor::ones([3])))),
        ("at", Box::new(|| drop(var(&[2, 3]).at((0, 3))))),
        ("stack", Box::new(|| drop(Var::stack(&[&var(&[2]), &var(&[3])], 0)))),
        ("split", Box::new(|| drop(var(&[2, 3]).split(1, 2)))),
        ("chunk", Box::new(|| drop(Tensor::ones([2, 3]).chunk(0, 1)))),
        ("squeeze", Box::new(|| drop(var(&[2, 3]).squeeze(1)))),
        ("repeat", Box::new(|| drop(var(&[2, 3]).repeat(&[2])))),
        ("from_vec", Box::new(|| drop(Tensor::from_vec(vec![1.0], [2])))),
        ("item", Box::new(|| assert!(var(&[2]).item() > 0.0))),
        ("with", Box::new(|| assert_eq!(Tensor::ones([2, 3]).shape().with(2, 5).len(), 2))),
        ("Conv2d::new", Box::new(|| drop(Conv2d::new(&mut Generator::new(1), 2, 2, 0)))),
        ("Conv2d::grouped", Box::new(|| drop(Conv2d::grouped(&mut Generator::new(1), 2, 2, 1, 3)))),
        ("Conv2d::stride", Box::new(|| drop(Conv2d::new(&mut Generator::new(1), 2, 2, 1).stride(0)))),
        ("output_padding", Box::new(|| drop(ConvTranspose2d::new(&mut Generator::new(1), 2, 2, 1).output_padding(1)))),
        ("BatchNorm2d::eps", Box::new(|| drop(BatchNorm2d::new(2).eps(0.0)))),
        ("GroupNorm::new", Box::new(|| drop(GroupNorm::new(2, 3)))),
        ("MultiheadAttention::new", Box::new(|| drop(MultiheadAttention::new(&mut Generator::new(1), 4, 3)))),
        (
            "attention",
            Box::new(|| {
                let (attention, x) = (MultiheadAttention::new(&mut Generator::new(1), 4, 2), var(&[1, 2, 3]));
                drop(attention.forward(&x, &x, &x, None, &ForwardContext::eval()));
            }),
        ),
    ];
    for (name, misuse) in misuses {
        assert_eq!(blamed(misuse), file!(), "{name}");
    }
}
