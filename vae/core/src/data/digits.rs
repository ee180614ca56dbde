//! MNIST's 10,000 test digits, inside the program: real data without a download. Their terms are in `data/NOTICE`.

use std::sync::Arc;

use crate::config::split_sizes;
use crate::data::{Split, deal, idx};
use crate::error::{Error, Result};
use crate::random::Purpose;

const IMAGES: &[u8] = include_bytes!("../../digits/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../digits/t10k-labels-idx1-ubyte.gz");

/// 8,334 digits to train on, 833 to validate, 833 to test, dealt by the seed.
///
/// # Errors
/// If the program's own copy of them is damaged.
pub fn splits(seed: u64) -> Result<[Split; 3]> {
    let digits =
        idx::read(IMAGES, LABELS).map_err(|(_, what)| Error::config(format!("the digits in this program: {what}")))?;
    let counts = split_sizes(digits.count());
    Ok(deal(Arc::new(digits), counts, &mut Purpose::Split.stream(seed, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_disjoint_complete_and_the_seeds() {
        let [train, validation, test] = splits(1).unwrap();
        assert_eq!([train.count(), validation.count(), test.count()], [8_334, 833, 833]);
        let mut all = [train.members(), validation.members(), test.members()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        assert_eq!(splits(1).unwrap()[0].members(), train.members());
        assert_ne!(splits(2).unwrap()[0].members(), train.members());
    }

    #[test]
    fn they_are_digits() {
        let [train, ..] = splits(1).unwrap();
        let mut seen = [0; 10];
        (0..train.count()).for_each(|place| seen[train.label(place)] += 1);
        assert!(seen.iter().all(|&n| (650..1_100).contains(&n)), "{seen:?}");
    }
}
