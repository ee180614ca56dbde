//! Sums over shards that have the same bits for any number of ranks.
//!
//! The shards 0 … S − 1 are the leaves of a binary tree. The node of the shards a … b − 1 is the sum of its two children, and the
//! left one ends at ⌊(a + b)/2⌋:
//!
//! ```text
//! S = 6      ((0 + (1 + 2)) + (3 + (4 + 5)))
//! N = 2      rank 0 adds 0, 1, 2   rank 1 adds 3, 4, 5          then one message
//! N = 4      ranks 0, 1, 2, 3 have 0 | 1, 2 | 3 | 4, 5
//! ```
//!
//! The tree depends on S alone. Rank r of N has the shards ⌊rS/N⌋ … ⌊(r+1)S/N⌋ − 1. It first adds up every subtree that it has
//! all shards of ([`TreeSum`]). The sums above those are made of messages ([`all_reduce`]): one of the two ranks that have the
//! children sends its child to the other. Numbers are cut into buckets, and each bucket chooses another of the two, so that no rank
//! has all of the work.

use std::ops::Range;

use super::Communicator;
use crate::error::Result;

/// The number of numbers in a bucket: 1 MB.
const BUCKET: usize = 1 << 18;

/// Returns the shards of a rank. They are neighbours, and the ranks share them as equally as possible.
pub fn shards_of(rank: usize, ranks: usize, shards: usize) -> Range<usize> {
    rank * shards / ranks..(rank + 1) * shards / ranks
}

/// Returns the rank that has this shard.
fn owner(shard: usize, ranks: usize, shards: usize) -> usize {
    ((shard + 1) * ranks - 1) / shards
}

/// Returns where the left child of a node ends.
fn middle(node: &Range<usize>) -> usize {
    (node.start + node.end) / 2
}

/// Sums of subtrees, from shards that come one after the other. It holds at most two sums for each level of the tree.
pub struct TreeSum<T> {
    shards: usize,
    sums: Vec<(Range<usize>, T)>,
}

impl<T> TreeSum<T> {
    /// Creates the sums of a tree with this many shards, before the first one.
    pub fn new(shards: usize) -> TreeSum<T> {
        TreeSum { shards, sums: Vec::new() }
    }

    /// Adds the next shard. `add` adds its second argument to its first.
    pub fn push(&mut self, shard: usize, value: T, mut add: impl FnMut(&mut T, T)) {
        self.sums.push((shard..shard + 1, value));
        while let [.., (left, _), (right, _)] = &self.sums[..]
            && self.are_siblings(left, right)
        {
            let (right, value) = self.sums.pop().expect("there are two");
            let (left, sum) = self.sums.last_mut().expect("there were two");
            add(sum, value);
            left.end = right.end;
        }
    }

    /// Returns whether two neighbouring ranges are the children of a node.
    fn are_siblings(&self, left: &Range<usize>, right: &Range<usize>) -> bool {
        let mut node = 0..self.shards;
        while node != (left.start..right.end) {
            let middle = middle(&node);
            match (right.end <= middle, left.start >= middle) {
                (true, _) => node.end = middle,
                (_, true) => node.start = middle,
                _ => return false,
            }
        }
        middle(&node) == left.end
    }

    /// Returns the sums of the largest subtrees, with their shards.
    pub fn into_sums(self) -> Vec<(Range<usize>, T)> {
        self.sums
    }
}

/// Returns on every rank the sum of `len` numbers over all shards. `sums` are those of the largest subtrees that this rank has all
/// shards of.
///
/// # Errors
/// If another rank has ended.
pub fn all_reduce(
    communicator: &dyn Communicator,
    shards: usize,
    len: usize,
    sums: &[(Range<usize>, Vec<f32>)],
) -> Result<Vec<f32>> {
    let mut total = vec![0.0; len];
    let mut roots = Vec::new();
    for (number, out) in total.chunks_mut(BUCKET).enumerate() {
        let bucket = Bucket { communicator, shards, sums, number, first: number * BUCKET, len: out.len() };
        if let Some(sum) = bucket.sum(0..shards, 0)? {
            out.copy_from_slice(&sum);
        }
        roots.push(bucket.holder(0..shards, 0));
    }
    for (out, root) in total.chunks_mut(BUCKET).zip(roots) {
        communicator.broadcast(root, bytemuck::cast_slice_mut(out))?;
    }
    Ok(total)
}

/// A part of the numbers.
struct Bucket<'a> {
    communicator: &'a dyn Communicator,
    shards: usize,
    sums: &'a [(Range<usize>, Vec<f32>)],
    number: usize,
    first: usize,
    len: usize,
}

impl Bucket<'_> {
    /// Returns the rank that has the sum of a node at this depth: that of one of its children.
    fn holder(&self, node: Range<usize>, depth: usize) -> usize {
        let owner = |shard| owner(shard, self.communicator.size(), self.shards);
        if owner(node.start) == owner(node.end - 1) {
            return owner(node.start);
        }
        let middle = middle(&node);
        let right = self.number >> depth.min(usize::BITS as usize - 1) & 1 == 1;
        self.holder(if right { middle..node.end } else { node.start..middle }, depth + 1)
    }

    /// Returns the sum of a node if this rank is its holder.
    fn sum(&self, node: Range<usize>, depth: usize) -> Result<Option<Vec<f32>>> {
        if let Some((_, sum)) = self.sums.iter().find(|(whole, _)| *whole == node) {
            return Ok(Some(sum[self.first..][..self.len].to_vec()));
        }
        let mine = shards_of(self.communicator.rank(), self.communicator.size(), self.shards);
        if mine.end <= node.start || node.end <= mine.start {
            return Ok(None);
        }
        let (left, right) = (node.start..middle(&node), middle(&node)..node.end);
        let here = self.holder(node, depth);
        let from = [self.holder(left.clone(), depth + 1), self.holder(right.clone(), depth + 1)];
        let mut children = [self.sum(left, depth + 1)?, self.sum(right, depth + 1)?];
        let rank = self.communicator.rank();
        for (child, from) in children.iter_mut().zip(from) {
            if from == rank && here != rank {
                let sum = child.take().expect("the holder has the sum");
                self.communicator.send(here, bytemuck::cast_slice(&sum))?;
            } else if from != rank && here == rank {
                let mut sum = vec![0.0; self.len];
                self.communicator.receive(from, bytemuck::cast_slice_mut(&mut sum))?;
                *child = Some(sum);
            }
        }
        let [Some(mut sum), Some(right)] = children else { return Ok(None) };
        sum.iter_mut().zip(&right).for_each(|(a, b)| *a += b);
        Ok(Some(sum))
    }
}

#[cfg(test)]
mod tests;
