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
//! children sends its child to the other. The numbers are cut into pieces, and each piece chooses another of the two, so that no rank
//! has all of the work. The sums of the pieces then go around a ring. Nothing is copied on the way: a message is sent from the numbers
//! themselves, and one that is added comes into memory of its own first.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use super::Communicator;
use crate::error::Result;

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

/// The sum of a subtree, with its shards.
pub type SumOf<T> = (Range<usize>, T);

/// Sums of subtrees, from shards that come one after the other. It holds at most two sums for each level of the tree.
pub struct TreeSum<T> {
    shards: usize,
    sums: Vec<SumOf<T>>,
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

    /// Returns the sums so far that the next shard will be added to, and those before them, which it leaves alone.
    pub fn joined_by(&mut self, shard: usize) -> [&mut [SumOf<T>]; 2] {
        let mut right = shard..shard + 1;
        let joined = self.sums.iter().rev().take_while(|(left, _)| {
            let joins = self.are_siblings(left, &right);
            right.start = if joins { left.start } else { right.start };
            joins
        });
        let middle = self.sums.len() - joined.count();
        let (before, joined) = self.sums.split_at_mut(middle);
        [joined, before]
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
    pub fn into_sums(self) -> Vec<SumOf<T>> {
        self.sums
    }
}

/// Adds up numbers over all shards, on every rank. `sums` are those of the largest subtrees that this rank has all shards of; there is
/// one at least. The first of them is replaced by the result, and the others hold intermediate results afterwards. Returns the number
/// of bytes that this rank has sent.
///
/// # Errors
/// If another rank has ended.
pub fn all_reduce(communicator: &dyn Communicator, shards: usize, sums: &mut [SumOf<&mut [f32]>]) -> Result<usize> {
    let (len, pieces) = (sums[0].1.len(), communicator.size().next_power_of_two());
    let mut reduction = Reduction { communicator, shards, sums, len, pieces, incoming: Vec::new(), sent: 0 };
    let places = reduction.add(0..shards, 0)?;
    for (piece, sum) in places.into_iter().filter(|&(_, sum)| sum > 0) {
        let numbers = reduction.numbers(piece..piece + 1);
        let ([(_, first), ..], [(_, other), ..]) = reduction.sums.split_at_mut(sum) else { continue };
        first[numbers.clone()].copy_from_slice(&other[numbers]);
    }
    reduction.share()?;
    Ok(reduction.sent)
}

/// A sum over all shards that is under way.
struct Reduction<'a, 'n> {
    communicator: &'a dyn Communicator,
    shards: usize,
    sums: &'a mut [SumOf<&'n mut [f32]>],
    len: usize,
    pieces: usize,
    /// The memory of messages that are added.
    incoming: Vec<f32>,
    sent: usize,
}

impl Reduction<'_, '_> {
    /// Returns where neighbouring pieces are among all numbers.
    fn numbers(&self, pieces: Range<usize>) -> Range<usize> {
        self.len * pieces.start / self.pieces..self.len * pieces.end / self.pieces
    }

    /// Returns the rank that has the sum of a node at this depth: that of one of its children.
    fn holder(&self, node: Range<usize>, depth: usize, piece: usize) -> usize {
        let owner = |shard| owner(shard, self.communicator.size(), self.shards);
        if owner(node.start) == owner(node.end - 1) {
            return owner(node.start);
        }
        let middle = middle(&node);
        self.holder(if goes_right(piece, depth) { middle..node.end } else { node.start..middle }, depth + 1, piece)
    }

    /// Adds up a node. Returns the pieces of which this rank then is the holder, in order, and in which of its sums each is.
    fn add(&mut self, node: Range<usize>, depth: usize) -> Result<Vec<(usize, usize)>> {
        if let Some(own) = self.sums.iter().position(|(whole, _)| *whole == node) {
            return Ok((0..self.pieces).map(|piece| (piece, own)).collect());
        }
        let (rank, size) = (self.communicator.rank(), self.communicator.size());
        let mine = shards_of(rank, size, self.shards);
        if mine.end <= node.start || node.end <= mine.start {
            return Ok(Vec::new());
        }
        let (left, right) = (node.start..middle(&node), middle(&node)..node.end);
        let [lefts, rights] = [self.add(left.clone(), depth + 1)?, self.add(right.clone(), depth + 1)?];
        let find = |sums: &[(usize, usize)], piece| sums.iter().find(|(held, _)| *held == piece).map(|&(_, sum)| sum);
        let mut held = Vec::new();
        // Pieces that differ in the bits up to this depth have the same two holders of children, which keep a half each.
        let group = (1_usize << (depth + 1).min(usize::BITS as usize - 1)).min(self.pieces);
        for first in (0..self.pieces).step_by(group) {
            let holders = [left.clone(), right.clone()].map(|child| self.holder(child, depth + 1, first));
            match [find(&lefts, first), find(&rights, first)] {
                [Some(to), Some(from)] => {
                    self.add_own(to, from, first..first + group);
                    held.extend((first..first + group).map(|piece| (piece, to)));
                }
                [Some(own), None] | [None, Some(own)] => {
                    let other = holders[usize::from(rank == holders[0])];
                    let is_right = rank == holders[1];
                    let half = |right: bool| match (group > 1 << depth, right) {
                        (true, false) => first..first + group / 2,
                        (true, true) => first + group / 2..first + group,
                        (false, _) if goes_right(first, depth) == right => first..first + group,
                        (false, _) => first..first,
                    };
                    self.exchange(other, own, half(!is_right), half(is_right))?;
                    held.extend(half(is_right).map(|piece| (piece, own)));
                }
                [None, None] => {}
            }
        }
        Ok(held)
    }

    /// Adds one of this rank's sums to another.
    fn add_own(&mut self, to: usize, from: usize, pieces: Range<usize>) {
        let numbers = self.numbers(pieces);
        let [(_, to), (_, from)] = self.sums.get_disjoint_mut([to, from]).expect("two subtrees");
        to[numbers.clone()].iter_mut().zip(&from[numbers]).for_each(|(a, b)| *a += b);
    }

    /// Sends pieces of a sum to another rank, and adds what that one sends to other pieces. (a + b has the bits of b + a.)
    fn exchange(&mut self, other: usize, own: usize, leaving: Range<usize>, staying: Range<usize>) -> Result<()> {
        let (leaving, staying) = (self.numbers(leaving), self.numbers(staying));
        self.incoming.resize(staying.len(), 0.0);
        let sum = &mut *self.sums[own].1;
        let (outgoing, incoming) = (&sum[leaving], &mut self.incoming[..]);
        self.sent += size_of_val(outgoing);
        self.communicator.exchange(other, cast_slice(outgoing), other, cast_slice_mut(incoming))?;
        sum[staying].iter_mut().zip(&*incoming).for_each(|(a, b)| *a += b);
        Ok(())
    }

    /// Gives every rank the pieces that the others hold, in the first sum. The ranks form a ring: each passes on to its right neighbour
    /// what it last received from its left one.
    fn share(&mut self) -> Result<()> {
        let (rank, size) = (self.communicator.rank(), self.communicator.size());
        let mut held = vec![Vec::new(); size];
        for piece in 0..self.pieces {
            held[self.holder(0..self.shards, 0, piece)].push(self.numbers(piece..piece + 1));
        }
        let most = held.iter().map(Vec::len).max().unwrap_or(0); // some ranks hold fewer, and send nothing in the last rounds
        for step in 1..size {
            let [outgoing, incoming] = [step - 1, step].map(|step| &held[(rank + size - step) % size]);
            for i in 0..most {
                let range = |held: &Vec<Range<usize>>| held.get(i).cloned().filter(|range| !range.is_empty());
                let [from, to] = [outgoing, incoming].map(|held| range(held).unwrap_or(0..0));
                self.sent += from.len() * size_of::<f32>();
                let total = &mut *self.sums[0].1;
                let (sent, received) = match from.end <= to.start || from.is_empty() {
                    true => {
                        let (low, high) = total.split_at_mut(to.start);
                        (&low[from], &mut high[..to.len()])
                    }
                    false => {
                        let (low, high) = total.split_at_mut(from.start);
                        (&high[..from.len()], &mut low[to])
                    }
                };
                let (to, from) = ((rank + 1) % size, (rank + size - 1) % size);
                self.communicator.exchange(to, cast_slice(sent), from, cast_slice_mut(received))?;
            }
        }
        Ok(())
    }
}

/// Returns whether the holder of a piece, for a node at this depth, is that of the right child.
fn goes_right(piece: usize, depth: usize) -> bool {
    piece.checked_shr(depth as u32).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests;
