//! Parts of a batch that go through a network at the same time, each with a history of its own, and that batch normalisation sees as one.

use std::fmt::Debug;

/// One of these parts. Together with the others it computes the statistics of the whole batch.
pub trait BatchGroup: Debug {
    /// Tells all parts these numbers, and returns the numbers of all, in the order of the parts. It waits until every part has called it.
    /// All parts call it equally often, in the same order, with equally many numbers.
    fn gather(&self, own: &[f64]) -> Vec<Vec<f64>>;
}
