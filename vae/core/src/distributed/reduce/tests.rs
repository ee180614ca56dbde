//! Tests of sums over shards on threads.

use super::*;
use crate::distributed::threads::{ThreadRank, group};
use crate::error::Error;

/// Runs `work` on every rank of a group of threads, and returns the results in the order of ranks.
fn on_ranks<R: Send>(size: usize, work: impl Fn(ThreadRank) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = group(size).into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Numbers whose sum depends on the order of the additions.
fn number(shard: usize, i: usize) -> f32 {
    let exponent = ((shard * 7 + i * 3) % 11) as i32 - 5;
    (1.0 + (shard * 31 + i * 17) as f32 / 1024.0) * 10.0_f32.powi(exponent)
}

/// The tree's definition, as it is written at the top of the file.
fn expected(node: Range<usize>, i: usize) -> f32 {
    match node.len() {
        1 => number(node.start, i),
        _ => expected(node.start..middle(&node), i) + expected(middle(&node)..node.end, i),
    }
}

fn summed(communicator: &dyn Communicator, shards: usize, len: usize) -> Vec<f32> {
    let mut sums = TreeSum::new(shards);
    for shard in shards_of(communicator.rank(), communicator.size(), shards) {
        let value: Vec<f32> = (0..len).map(|i| number(shard, i)).collect();
        sums.push(shard, value, |a, b| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
    }
    let mut sums = sums.into_sums();
    let mut lists: Vec<_> = sums.iter_mut().map(|(range, sum)| (range.clone(), &mut sum[..])).collect();
    all_reduce(communicator, shards, &mut lists).unwrap();
    sums.remove(0).1
}

#[test]
fn every_number_of_ranks_gives_the_bits_of_the_tree() {
    for shards in 1..=13 {
        let expected: Vec<u32> = (0..5).map(|i| expected(0..shards, i).to_bits()).collect();
        for size in 1..=shards {
            for sum in on_ranks(size, |rank| summed(&rank, shards, 5)) {
                let bits: Vec<u32> = sum.iter().map(|x| x.to_bits()).collect();
                assert_eq!(bits, expected, "{shards} shards on {size} ranks");
            }
        }
    }
    let in_order = |i| (0..12).map(|shard| number(shard, i)).reduce(|a, b| a + b).unwrap();
    assert!((0..5).any(|i| in_order(i) != expected(0..12, i)), "the numbers do not show the order");
}

#[test]
fn pieces_are_summed_by_different_ranks_to_the_same_bits() {
    for len in [1, 2, 4_099] {
        let whole = on_ranks(1, |rank| summed(&rank, 6, len)).remove(0);
        assert_eq!(whole[len - 1], expected(0..6, len - 1));
        for size in [2, 3, 4, 5, 6] {
            assert!(on_ranks(size, |rank| summed(&rank, 6, len)).iter().all(|sum| *sum == whole), "{size} ranks");
        }
    }
    let rank = group(4).remove(0);
    let mut sums = [];
    let reduction =
        Reduction { communicator: &rank, shards: 8, sums: &mut sums, len: 0, pieces: 4, incoming: Vec::new(), sent: 0 };
    assert_eq!([0, 1, 2, 3].map(|piece| reduction.holder(0..8, 0, piece)), [0, 2, 1, 3]);
}

/// Each rank of a power of two sends 2·(N − 1)/N of the numbers.
#[test]
fn ranks_send_no_more_than_they_must() {
    for size in [2, 4, 8] {
        let len = 1 << 12;
        let sent = on_ranks(size, |rank| {
            let mut numbers = vec![1.0; len];
            let range = shards_of(rank.rank(), size, size);
            let sent = all_reduce(&rank, size, &mut [(range, &mut numbers[..])]).unwrap();
            assert!(numbers.iter().all(|&sum| sum == size as f32));
            sent
        });
        assert_eq!(sent, vec![2 * 4 * len * (size - 1) / size; size]);
    }
}

/// The sums that the next shard is added to are those that `push` adds it to.
#[test]
fn a_shard_knows_which_sums_it_joins() {
    for shards in 1..=13 {
        let mut sums = TreeSum::new(shards);
        for shard in 0..shards {
            let [joined, before] = sums.joined_by(shard);
            let ranges = |sums: &[SumOf<()>]| sums.iter().map(|(range, ())| range.clone()).collect::<Vec<_>>();
            let start = ranges(joined).first().map_or(shard, |first| first.start);
            let mut expected = ranges(before);
            expected.push(start..shard + 1);
            sums.push(shard, (), |(), ()| {});
            assert_eq!(ranges(&sums.sums), expected, "shard {shard} of {shards}");
        }
    }
}

#[test]
fn every_shard_belongs_to_one_rank() {
    for (ranks, shards) in [(1, 1), (3, 12), (4, 12), (5, 12), (12, 12), (7, 13)] {
        let all: Vec<usize> = (0..ranks).flat_map(|rank| shards_of(rank, ranks, shards)).collect();
        assert_eq!(all, (0..shards).collect::<Vec<_>>());
        for rank in 0..ranks {
            assert!(shards_of(rank, ranks, shards).all(|shard| owner(shard, ranks, shards) == rank));
            assert!((shards / ranks..=shards.div_ceil(ranks)).contains(&shards_of(rank, ranks, shards).len()));
        }
    }
}

#[test]
fn messages_reach_every_rank_from_every_rank() {
    for size in 1..=6 {
        let told = on_ranks(size, |rank| {
            let mut heard = Vec::new();
            for from in 0..size {
                let mut bytes = [rank.rank() as u8, 0];
                rank.broadcast(from, &mut bytes).unwrap();
                heard.push(bytes[0] as usize);
            }
            let gathered = rank.gather(&vec![7; rank.rank()]).unwrap();
            let lengths: Vec<usize> = gathered.iter().map(Vec::len).collect();
            let shared = rank.share(&vec![rank.rank() as u8; 3 + rank.rank()]).unwrap();
            let votes = [usize::MAX, size - 1].map(|who| rank.any(rank.rank() == who).unwrap());
            rank.barrier().unwrap();
            (heard, lengths, shared, votes)
        });
        for (rank, (heard, lengths, shared, votes)) in told.into_iter().enumerate() {
            assert_eq!(heard, (0..size).collect::<Vec<_>>(), "{size} ranks");
            assert_eq!(lengths, if rank == 0 { (0..size).collect() } else { Vec::new() });
            assert_eq!((shared, votes), (vec![0; 3], [false, true]));
        }
    }
}

#[test]
fn a_rank_that_has_ended_is_named() {
    let results = on_ranks(3, |rank| match rank.rank() {
        2 => Ok(()), // drops its channels
        _ => rank.barrier().and_then(|()| rank.barrier()),
    });
    let error = results.into_iter().find_map(std::result::Result::err).expect("somebody notices");
    assert!(
        matches!(&error, Error::Rank(what) if what.contains("rank 2 of 3 has ended") || what.contains("rank 0")),
        "{error}"
    );
}
