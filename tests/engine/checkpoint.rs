//! A checkpointed function has the same value and gradients, bit for bit, and keeps less.

use std::rc::Rc;

use autograd::{Param, Var, autocast, checkpoint};
use nn::{BatchNorm2d, Conv2d, Dropout, ForwardContext, Layer};
use reference::compare::assert_same_bits;
use reference::law::dot;
use reference::place::{everywhere, fetch};
use tensor::{Dtype, Generator, Tensor};

/// A block with parameters, running statistics and dropout.
struct Block {
    conv: Conv2d,
    norm: BatchNorm2d,
    dropout: Dropout,
}

impl Block {
    fn new(seed: u64) -> Rc<Block> {
        let conv = Conv2d::new(&mut Generator::new(seed), 3, 3, 3).padding(1);
        Rc::new(Block { conv, norm: BatchNorm2d::new(3), dropout: Dropout::new(0.3, seed as u16) })
    }

    fn forward(&self, x: &Var) -> Var {
        let ctx = ForwardContext::train(1, 5);
        let y = self.norm.forward(&self.conv.forward(x, &ctx), &ctx);
        self.dropout.forward(&(y.relu() + x), &ctx)
    }

    fn tensors(&self) -> Vec<(String, Param)> {
        [nn::parameters(&self.conv), nn::parameters(&self.norm)].concat()
    }
}

/// The output of two blocks, all gradients, and the running statistics, with and without checkpoints, and with feature maps of this type.
fn results(device: &tensor::Device, checkpointed: bool, dtype: Dtype) -> Vec<Tensor> {
    let blocks = [Block::new(1), Block::new(2)];
    blocks.iter().for_each(|block| {
        nn::upload(&block.conv, device);
        nn::upload(&block.norm, device);
    });
    let x = Var::leaf(Generator::new(3).normal_tensor([4, 3, 6, 5]).upload(device));
    let through = |x: Var, block: &Rc<Block>| match checkpointed {
        true => {
            let block = block.clone();
            checkpoint(move |x| block.forward(x), &x)
        }
        false => block.forward(&x),
    };
    let y = autocast(dtype, || blocks.iter().fold(x.clone(), through));
    let loss = (y.square() + &x).sum_all(); // x has a gradient from outside too
    let gradients = loss.backward();
    let mut all = vec![fetch(y.value()), fetch(gradients.of(&x).expect("a gradient"))];
    for block in &blocks {
        all.extend(block.tensors().iter().map(|(_, param)| fetch(gradients.get(param).expect("a gradient"))));
        nn::visit(&block.norm, |_, slot| {
            if let nn::Slot::Buffer(buffer) = slot {
                all.push(fetch(&buffer.value()));
            }
        });
    }
    all
}

#[test]
fn values_gradients_and_statistics_are_the_same() {
    everywhere(|device| {
        for dtype in [Dtype::F32, Dtype::F16] {
            let (plain, checkpointed) = (results(device, false, dtype), results(device, true, dtype));
            assert_eq!(plain.len(), 2 + 2 * 6);
            let pairs = plain.iter().zip(&checkpointed).enumerate();
            pairs.for_each(|(i, (a, b))| assert_same_bits(&format!("{dtype:?}, {i}"), a, b));
        }
    });
}

/// With feature maps of f16, values and gradients are those of f32 but for rounding, and parameters have gradients of f32. Without it
/// nothing is f16, and what was f16 before stays so.
#[test]
fn autocast_rounds_feature_maps_and_no_gradient_of_a_parameter() {
    everywhere(|device| {
        let [wide, half] = [Dtype::F32, Dtype::F16].map(|dtype| results(device, false, dtype));
        let norm = |x: &Tensor| dot(x, x).sqrt();
        let largest = wide[1..].iter().map(norm).fold(0.0, f64::max);
        for (i, (wide, half)) in wide.iter().zip(&half).enumerate() {
            let difference = norm(&wide.sub(half));
            // The gradient of a bias before batch norm is 0 but for rounding.
            assert!(difference <= 1e-2 * norm(wide) + 1e-3 * largest, "{i}: {difference:e} of {:e}", norm(wide));
            let is_gpu = *device != tensor::Device::Cpu;
            assert!(i > 0 || is_gpu == (difference > 0.0), "{device}: f16 where there is none, or f32");
        }
        let conv = Conv2d::new(&mut Generator::new(1), 2, 3, 3);
        nn::upload(&conv, device);
        let x = Var::constant(Generator::new(2).normal_tensor([2, 2, 5, 5]).upload(device));
        let forward = || conv.forward(&x, &ForwardContext::eval());
        let y = autocast(Dtype::F16, forward);
        assert_eq!(y.value().dtype(), x.value().to_dtype(Dtype::F16).dtype());
        let gradients = y.relu().sum_all().backward();
        nn::parameters(&conv).iter().for_each(|(name, param)| {
            assert_eq!(gradients.get(param).expect("a gradient").dtype(), Dtype::F32, "{name}");
        });
        assert_eq!(forward().value().dtype(), Dtype::F32);
    });
}

/// What `f` computes on the way is dropped at once, and computed again by the backward pass.
#[test]
fn only_the_input_is_kept() {
    let calls = Rc::new(std::cell::Cell::new(0));
    let inside: Rc<std::cell::RefCell<Vec<Tensor>>> = Rc::default();
    let x = Var::leaf(Tensor::full([3], 2.0));
    let (count, held) = (calls.clone(), inside.clone());
    let y = checkpoint(
        move |x| {
            count.set(count.get() + 1);
            let square = x.square();
            held.borrow_mut().push(square.value().clone());
            assert_eq!(autograd::is_recomputing(), count.get() == 2);
            square.exp()
        },
        &x,
    );
    assert_eq!(calls.get(), 1);
    assert!(y.has_gradient() && !autograd::is_recomputing());
    let mut first = inside.borrow_mut().pop().unwrap();
    let address = first.data().as_ptr();
    assert_eq!(first.data_mut().as_ptr(), address, "nobody else holds it, so writing does not copy");
    let gradients = y.sum_all().backward();
    assert_eq!(calls.get(), 2);
    let expected = 4.0 * 4.0_f32.exp();
    assert!(gradients.of(&x).unwrap().data().iter().all(|g| (g - expected).abs() < 1e-3));
}

/// A function that returns its input adds to the gradient that the input has from elsewhere, and a backward pass inside `no_grad`
/// records what it computes again.
#[test]
fn gradients_from_inside_and_outside_add_up() {
    let x = Var::leaf(Tensor::ones([2]));
    let y = x.mul_scalar(3.0) + checkpoint(|x| x.clone(), &x) + checkpoint(|x| x.mul_scalar(5.0), &x);
    let gradients = autograd::no_grad(|| y.backward_with(Tensor::ones([2])));
    assert_eq!(gradients.of(&x).unwrap().data(), [9.0, 9.0]);
}

#[test]
fn a_function_without_gradients_is_a_constant_in_effect() {
    let x = Var::leaf(Tensor::ones([2]));
    let y = checkpoint(|_| Var::constant(Tensor::ones([2])), &x);
    assert!((y.sum_all() + x.sum_all()).backward().of(&x).unwrap().data() == [1.0, 1.0]);
}
