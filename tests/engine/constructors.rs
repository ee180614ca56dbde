//! Tensors from numbers, ranges and patterns.

use reference::place::{devices, everywhere, fetch};
use tensor::{Device, Tensor};

#[test]
fn a_range_ends_before_its_end() {
    assert_eq!(Tensor::arange(0.0, 4.0, 1.0).data(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(Tensor::arange(1.0, 2.1, 0.5).data(), [1.0, 1.5, 2.0]);
    assert_eq!(Tensor::arange(3.0, 0.0, -1.5).data(), [3.0, 1.5]);
    assert_eq!(Tensor::arange(3.0, 3.0, 1.0).shape()[..], [0]);
    // Added up in f32, a thousand tenths would be wrong in the fifth digit.
    assert_eq!(Tensor::arange(0.0, 1000.0, 0.1).data()[9000], (9000.0 * f64::from(0.1f32)) as f32);
}

#[test]
#[should_panic(expected = "arange: from 0 to 1 in steps of -1")]
fn a_range_that_leads_away_is_refused() {
    Tensor::arange(0.0, 1.0, -1.0);
}

#[test]
#[should_panic(expected = "arange: from 0 to 0.5 in steps of -1")]
fn a_range_that_leads_away_by_less_than_a_step_is_refused() {
    Tensor::arange(0.0, 0.5, -1.0);
}

#[test]
#[should_panic(expected = "arange: from 0 to 1 in steps of 0")]
fn a_range_without_steps_is_refused() {
    Tensor::arange(0.0, 1.0, 0.0);
}

#[test]
fn equally_spaced_numbers_include_both_ends() {
    assert_eq!(Tensor::linspace(-1.0, 1.0, 5).data(), [-1.0, -0.5, 0.0, 0.5, 1.0]);
    assert_eq!(Tensor::linspace(0.1, 0.7, 4).data()[3], 0.7);
    assert_eq!(Tensor::linspace(2.0, 9.0, 1).data(), [2.0]);
    assert!(Tensor::linspace(2.0, 9.0, 0).data().is_empty());
}

#[test]
fn a_unit_matrix_changes_nothing() {
    let x = Tensor::from_vec((0..12).map(|i| i as f32).collect(), [3, 4]);
    assert_eq!(Tensor::eye(3).matmul(&x).data(), x.data());
    assert_eq!(Tensor::eye(1).data(), [1.0]);
    assert_eq!(Tensor::eye(0).shape()[..], [0, 0]);
}

#[test]
#[should_panic(expected = "3 elements for shape [2, 2]")]
fn a_vector_of_another_length_is_refused() {
    Tensor::from_vec(vec![1.0; 3], [2, 2]);
}

#[test]
fn filled_tensors_are_where_they_are_asked_for() {
    everywhere(|device| {
        let filled = Tensor::full_on([2, 3], 0.5, device);
        assert_eq!(filled.device(), *device);
        assert_eq!(fetch(&filled).data(), [0.5; 6]);
        for (like, value) in [(filled.zeros_like(), 0.0), (filled.ones_like(), 1.0), (filled.full_like(-2.0), -2.0)] {
            assert_eq!((like.device(), *like.shape()), (device.clone(), [2, 3].into()));
            assert_eq!(fetch(&like).data(), [value; 6]);
        }
    });
    assert!(devices().any(|device| device == Device::Cpu));
}
