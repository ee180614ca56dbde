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

use std::borrow::Cow;
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

/// Returns on every rank the sum of numbers over all shards. `sums` are those of the largest subtrees that this rank has all shards
/// of; there is one at least. The result is in the memory of the first of them.
///
/// # Errors
/// If another rank has ended.
pub fn all_reduce(
    communicator: &dyn Communicator,
    shards: usize,
    mut sums: Vec<(Range<usize>, Vec<f32>)>,
) -> Result<Vec<f32>> {
    let reduction = Reduction { communicator, shards, len: sums[0].1.len() };
    let buckets: Vec<usize> = (0..reduction.len.div_ceil(BUCKET)).collect();
    // So many buckets choose every rank, so that all have work at the same time.
    for buckets in buckets.chunks(communicator.size().next_power_of_two()) {
        let totals = reduction.sums(&sums, 0..shards, 0, buckets)?;
        let totals: Vec<(usize, Vec<f32>)> = totals.into_iter().map(|(i, total)| (i, total.into_owned())).collect();
        for (bucket, total) in totals {
            sums[0].1[reduction.numbers(bucket)].copy_from_slice(&total);
        }
    }
    let mut total = sums.swap_remove(0).1;
    reduction.share(&mut total)?;
    Ok(total)
}

/// The sum of a bucket, with its number.
type Sum<'a> = (usize, Cow<'a, [f32]>);

/// A sum over all shards that is under way.
struct Reduction<'a> {
    communicator: &'a dyn Communicator,
    shards: usize,
    len: usize,
}

impl Reduction<'_> {
    /// Returns where a bucket is among all numbers.
    fn numbers(&self, bucket: usize) -> Range<usize> {
        bucket * BUCKET..((bucket + 1) * BUCKET).min(self.len)
    }

    /// Returns the rank that has the sum of a node at this depth: that of one of its children.
    fn holder(&self, node: Range<usize>, depth: usize, bucket: usize) -> usize {
        let owner = |shard| owner(shard, self.communicator.size(), self.shards);
        if owner(node.start) == owner(node.end - 1) {
            return owner(node.start);
        }
        let middle = middle(&node);
        self.holder(if goes_right(bucket, depth) { middle..node.end } else { node.start..middle }, depth + 1, bucket)
    }

    /// Returns the sums of a node for those of the buckets of which this rank is the holder.
    fn sums<'s>(
        &self,
        own: &'s [(Range<usize>, Vec<f32>)],
        node: Range<usize>,
        depth: usize,
        buckets: &[usize],
    ) -> Result<Vec<Sum<'s>>> {
        if let Some((_, sum)) = own.iter().find(|(whole, _)| *whole == node) {
            return Ok(buckets.iter().map(|&bucket| (bucket, Cow::Borrowed(&sum[self.numbers(bucket)]))).collect());
        }
        let (rank, size) = (self.communicator.rank(), self.communicator.size());
        let mine = shards_of(rank, size, self.shards);
        if mine.end <= node.start || node.end <= mine.start {
            return Ok(Vec::new());
        }
        let (left, right) = (node.start..middle(&node), middle(&node)..node.end);
        let mut lefts = self.sums(own, left.clone(), depth + 1, buckets)?;
        let mut rights = self.sums(own, right.clone(), depth + 1, buckets)?;
        // Buckets that differ up to this depth only have the same two holders of children, which exchange a half each.
        let mut rest = buckets;
        while let Some(&first) = rest.first() {
            let group = |bucket: usize| bucket.checked_shr(depth as u32 + 1).unwrap_or(0);
            let alike = rest.iter().take_while(|bucket| group(**bucket) == group(first)).count();
            let (buckets, after) = rest.split_at(alike);
            rest = after;
            let holders = [left.clone(), right.clone()].map(|child| self.holder(child, depth + 1, first));
            if holders[0] == holders[1] || !holders.contains(&rank) {
                continue;
            }
            let (ours, others, other) = match rank == holders[0] {
                true => (&mut lefts, &mut rights, holders[1]),
                false => (&mut rights, &mut lefts, holders[0]),
            };
            let stays = |bucket: usize| goes_right(bucket, depth) == (rank == holders[1]);
            let leaving = |sum: &mut Sum| buckets.contains(&sum.0) && !stays(sum.0);
            let outgoing: Vec<f32> = ours.extract_if(.., leaving).flat_map(|(_, sum)| sum.into_owned()).collect();
            let coming: Vec<usize> = buckets.iter().copied().filter(|&bucket| stays(bucket)).collect();
            let mut incoming = vec![0.0; coming.iter().map(|&bucket| self.numbers(bucket).len()).sum()];
            let (to_send, to_receive) = (bytemuck::cast_slice(&outgoing), bytemuck::cast_slice_mut(&mut incoming));
            self.communicator.exchange(other, to_send, other, to_receive)?;
            let mut numbers = &incoming[..];
            for bucket in coming {
                let (sum, after) = numbers.split_at(self.numbers(bucket).len());
                numbers = after;
                others.push((bucket, Cow::Owned(sum.to_vec())));
            }
        }
        let mut sums = Vec::new();
        for (bucket, left) in lefts {
            let Some(at) = rights.iter().position(|(other, _)| *other == bucket) else { continue };
            let (mut sum, right) = (left.into_owned(), rights.swap_remove(at).1);
            sum.iter_mut().zip(&*right).for_each(|(a, b)| *a += b);
            sums.push((bucket, Cow::Owned(sum)));
        }
        Ok(sums)
    }

    /// Gives every rank the buckets that the others hold. The ranks form a ring: each passes on to its right neighbour what it last
    /// received from its left one.
    fn share(&self, total: &mut [f32]) -> Result<()> {
        let (rank, size) = (self.communicator.rank(), self.communicator.size());
        let mut held = vec![Vec::new(); size];
        for bucket in 0..self.len.div_ceil(BUCKET) {
            held[self.holder(0..self.shards, 0, bucket)].push(self.numbers(bucket));
        }
        let most = held.iter().map(Vec::len).max().unwrap_or(0); // some ranks hold fewer, and send nothing in the last rounds
        for step in 1..size {
            let [outgoing, incoming] = [step - 1, step].map(|step| &held[(rank + size - step) % size]);
            for i in 0..most {
                let sent = outgoing.get(i).map_or_else(Vec::new, |numbers| total[numbers.clone()].to_vec());
                let received = incoming.get(i).map_or(&mut [][..], |numbers| &mut total[numbers.clone()]);
                let (to, from) = ((rank + 1) % size, (rank + size - 1) % size);
                self.communicator.exchange(
                    to,
                    bytemuck::cast_slice(&sent),
                    from,
                    bytemuck::cast_slice_mut(received),
                )?;
            }
        }
        Ok(())
    }
}

/// Returns whether the holder of a bucket's sum, for a node at this depth, is that of the right child.
fn goes_right(bucket: usize, depth: usize) -> bool {
    bucket.checked_shr(depth as u32).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests;
