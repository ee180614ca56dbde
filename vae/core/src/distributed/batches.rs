//! Work in batches that ranks share. Rank r of N computes the batches r, r + N, r + 2N, …, and every rank gets the results of all in the
//! order of batches. What is computed of a batch does not depend on N, so neither do the bits.
//!
//! A rank sends its results one after the other, each as its length in eight bytes and then its numbers.

use std::time::Duration;

use bytemuck::Pod;

use super::Communicator;
use crate::error::Result;

/// The length of a result that is none.
const NONE: u64 = u64::MAX;

/// Returns on every rank what `compute` returns for each of `count` batches, one after the other; `None` if it returns none for one.
///
/// # Errors
/// If `compute` fails on this rank, or another rank has ended.
pub async fn shared_batches<T: Pod>(
    communicator: &dyn Communicator,
    count: usize,
    mut compute: impl AsyncFnMut(usize) -> Result<Option<Vec<T>>>,
) -> Result<Option<Vec<T>>> {
    let (rank, size) = (communicator.rank(), communicator.size());
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for batch in (rank..count).step_by(size) {
        let result = compute(batch).await?;
        communicator.alive(Duration::ZERO);
        match (size, result) {
            (1, None) => return Ok(None),
            (1, Some(numbers)) => all.extend(numbers),
            (_, result) => {
                let len = result.as_ref().map_or(NONE, |numbers| numbers.len() as u64);
                own.extend(len.to_le_bytes());
                own.extend(bytemuck::cast_slice::<T, u8>(&result.unwrap_or_default()));
            }
        }
    }
    if size == 1 {
        return Ok(Some(all));
    }
    let told = communicator.gather(&own)?;
    let mut ranks: Vec<&[u8]> = told.iter().map(Vec::as_slice).collect();
    let (mut whole, mut is_some) = (Vec::new(), true);
    if rank == 0 {
        for batch in 0..count {
            let rest = &mut ranks[batch % size];
            let Some((len, after)) = rest.split_first_chunk() else { break };
            let len = u64::from_le_bytes(*len);
            is_some &= len != NONE;
            let bytes = if len == NONE { 0 } else { len as usize * size_of::<T>() };
            let (numbers, after) = after.split_at(bytes);
            *rest = after;
            whole.extend_from_slice(numbers);
        }
        whole.push(u8::from(is_some));
    }
    let mut whole = communicator.share(&whole)?;
    let is_some = whole.pop() == Some(1);
    Ok(is_some.then(|| bytemuck::pod_collect_to_vec(&whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::threads::group;

    #[test]
    fn every_rank_has_all_results_in_order() {
        for (size, count) in [(1_usize, 5_usize), (2, 5), (3, 3), (4, 2), (3, 0), (2, 1)] {
            for none_at in [usize::MAX, count.saturating_sub(1)] {
                let work = |rank: crate::distributed::threads::ThreadRank| {
                    let mut computed = Vec::new();
                    let all = pollster::block_on(shared_batches(&rank, count, async |batch| {
                        computed.push(batch);
                        Ok((batch != none_at).then(|| vec![batch as f64 / 3.0; batch]))
                    }));
                    (all.unwrap(), computed)
                };
                let results: Vec<_> = std::thread::scope(|scope| {
                    let threads: Vec<_> = group(size).into_iter().map(|rank| scope.spawn(move || work(rank))).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
                });
                let expected: Vec<f64> = (0..count).flat_map(|batch| vec![batch as f64 / 3.0; batch]).collect();
                let is_none = none_at < count;
                for (rank, (all, computed)) in results.into_iter().enumerate() {
                    assert_eq!(all, (!is_none).then(|| expected.clone()), "{size} ranks, {count} batches");
                    assert_eq!(computed, (rank..count).step_by(size).collect::<Vec<_>>());
                }
            }
        }
    }
}
