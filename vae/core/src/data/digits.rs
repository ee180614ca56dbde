//! The 10,000 test digits of MNIST, compiled into the program. They are real data without a download. `digits/NOTICE`
//! states their licence.

use std::sync::Arc;

use crate::config::split_sizes;
use crate::data::{Split, idx, random_split};
use crate::error::{Error, Result};
use crate::random::Purpose;

const IMAGES: &[u8] = include_bytes!("../../digits/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../digits/t10k-labels-idx1-ubyte.gz");

/// Returns the splits: 8,334 training, 833 validation and 833 test digits. The seed decides the assignment.
///
/// # Errors
/// If the program's copy of the digits is damaged.
pub fn splits(seed: u64) -> Result<[Split; 3]> {
    let digits =
        idx::read(IMAGES, LABELS).map_err(|(_, what)| Error::config(format!("the digits in this program: {what}")))?;
    let counts = split_sizes(digits.count());
    Ok(random_split(Arc::new(digits), counts, &mut Purpose::Split.stream(seed, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_disjoint_and_complete_and_depend_on_the_seed() {
        let [train, validation, test] = splits(1).unwrap();
        assert_eq!([train.count(), validation.count(), test.count()], [8_334, 833, 833]);
        let mut all = [train.indices(), validation.indices(), test.indices()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
        assert_eq!(splits(1).unwrap()[0].indices(), train.indices());
        assert_ne!(splits(2).unwrap()[0].indices(), train.indices());
    }

    #[test]
    fn every_class_has_about_a_tenth_of_the_images() {
        let [train, ..] = splits(1).unwrap();
        let mut seen = [0; 10];
        (0..train.count()).for_each(|place| seen[train.label(place)] += 1);
        assert!(seen.iter().all(|&n| (650..1_100).contains(&n)), "{seen:?}");
    }
}
