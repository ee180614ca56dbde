//! The requests of tensors to a device, recorded by a device that only counts: tensors that share a buffer free it once, and
//! nothing is read back without a request.

use std::sync::Arc;

use pollster::block_on;
use reference::counting::{Counting, Counts};
use tensor::{Accelerator, Device, Generator, Tensor};

/// A counting device.
pub(crate) fn machine() -> (Arc<Counting>, Device) {
    let machine = Arc::new(Counting::default());
    let shared: Arc<dyn Accelerator> = machine.clone();
    (machine, Device::Gpu(shared))
}

#[test]
fn uploading_and_reading_returns_the_same_elements() {
    let (machine, device) = machine();
    let x = Generator::new(1).normal_tensor([3, 5]);
    let there = block_on(x.to(&device)).expect("the machine takes it");
    assert_eq!((there.shape(), there.device()), (x.shape(), device));
    assert_eq!(machine.counts(), Counts { allocs: 1, writes: 1, ..Counts::default() }, "moving reads nothing");
    assert_eq!(block_on(there.read()).expect("the machine gives it"), x.data());
    let back = block_on(there.to(&Device::Cpu)).expect("the machine gives it");
    assert_eq!((back.data(), back.shape(), back.device()), (x.data(), x.shape(), Device::Cpu));
    assert_eq!(machine.counts().reads, 2);
}

#[test]
fn a_buffer_is_freed_once_with_its_last_tensor() {
    let (machine, device) = machine();
    let x = block_on(Tensor::ones([4, 6]).to(&device)).expect("the machine takes it");
    let (clone, reshaped) = (x.clone(), x.reshape([24]));
    assert_eq!(machine.counts().allocs, 1, "clones and reshapes share");
    drop(x);
    drop(clone);
    assert_eq!((machine.live(), machine.counts().frees), (1, 0));
    assert_eq!(block_on(reshaped.read()).expect("the machine gives it"), [1.0; 24]);
    drop(reshaped);
    assert_eq!((machine.live(), machine.counts().frees), (0, 1));
}

#[test]
fn uploading_to_the_same_device_shares_the_buffer() {
    let (machine, device) = machine();
    let x = block_on(Tensor::ones([4]).to(&device)).expect("the machine takes it");
    let again = block_on(x.to(&device)).expect("it is there");
    assert_eq!(machine.counts(), Counts { allocs: 1, writes: 1, ..Counts::default() });
    drop((x, again));
    let cpu = Tensor::ones([4]);
    assert_eq!(block_on(cpu.to(&Device::Cpu)).expect("it is there").data().as_ptr(), cpu.data().as_ptr());
}

#[test]
fn copies_between_devices_go_through_the_cpu() {
    let ((one, first), (two, second)) = (machine(), machine());
    assert!(first != second && first == first.clone());
    let x = block_on(Tensor::full([3], 2.0).to(&first)).expect("the first takes it");
    let y = block_on(x.to(&second)).expect("the second takes it");
    assert_eq!((one.counts().reads, two.counts().writes), (1, 1));
    assert_eq!(block_on(y.read()).expect("the second gives it"), [2.0; 3]);
}

/// Every request for elements returns the device's error; none panics.
#[test]
fn a_failed_device_returns_its_error() {
    let (machine, device) = machine();
    let x = block_on(Tensor::ones([3]).to(&device)).expect("the machine takes it");
    machine.fail("out of memory");
    let ended = block_on(machine.end_step()).err();
    for error in [block_on(x.read()).err(), block_on(x.to(&Device::Cpu)).err(), ended] {
        assert_eq!(error.expect("the machine failed").to_string(), "counting: out of memory");
    }
}

#[test]
#[should_panic(expected = "the tensor [3] is on counting, not on the CPU")]
fn elements_on_a_device_cannot_be_borrowed() {
    let (_, device) = machine();
    let _ = block_on(Tensor::ones([3]).to(&device)).expect("the machine takes it").data();
}

#[test]
fn devices_have_names() {
    let (_, device) = machine();
    assert_eq!((Device::Cpu.name(), device.name()), ("cpu", "counting"));
    assert_eq!(device.to_string(), "counting");
}

#[test]
fn a_shared_buffer_is_copied_before_it_is_written() {
    let (machine, device) = machine();
    let mut x = Tensor::ones([5]).upload(&device);
    let one = Tensor::ones([5]).upload(&device);
    x.add_assign(&one);
    assert_eq!((machine.counts().allocs, machine.counts().launches), (2, 1), "nobody else holds it: in place");
    let held = x.clone();
    x.add_assign(&one);
    assert_eq!((machine.counts().allocs, machine.counts().launches), (3, 3), "a copy and the sum");
    drop(held);
    assert_eq!(machine.live(), 2);
}

#[test]
#[should_panic(expected = "binary: [3] is on counting and [3] on cpu")]
fn operands_on_two_devices_are_refused_and_both_are_named() {
    let (_, device) = machine();
    let _ = Tensor::ones([3]).upload(&device).add(&Tensor::ones([3]));
}
