//! The pictures of the epochs of a run, as PNGs in bounded memory. When there are too many, every second epoch is dropped, and from
//! then on only every second one is kept. The latest pictures are always there.

use vae_figures::preview::Preview;

/// The largest number of epochs.
const EPOCHS: usize = 100;
/// The largest size of all PNGs, in bytes. The latest are kept even if they alone are larger.
const BYTES: usize = 64 << 20;

/// The pictures after an epoch. A model may have only some of them.
#[derive(Debug)]
struct Shown {
    epoch: u64,
    reconstructions: Option<Vec<u8>>,
    samples: Option<Vec<u8>>,
    map: Option<Vec<u8>>,
}

/// The pictures of a run.
#[derive(Debug)]
pub(super) struct Pictures {
    /// In the order of their epochs: 1, 1 + `every`, 1 + 2·`every`, …, and the latest.
    all: Vec<Shown>,
    every: u64,
}

impl Default for Pictures {
    fn default() -> Pictures {
        Pictures { all: Vec::new(), every: 1 }
    }
}

impl Pictures {
    /// Adds the pictures after an epoch, if the model has given any.
    pub(super) fn add(&mut self, epoch: u64, shown: &Preview) {
        if !shown.is_empty() {
            let (reconstructions, samples, map) = (shown.reconstructions(), shown.samples(), shown.map());
            self.push(Shown { epoch, reconstructions, samples, map });
        }
    }

    fn push(&mut self, shown: Shown) {
        let latest = shown.epoch;
        self.thin(latest);
        self.all.push(shown);
        while self.is_full() && self.all.len() > 2 {
            self.every *= 2;
            self.thin(latest);
        }
        if self.is_full() && self.all.len() > 1 {
            self.all.remove(0);
        }
    }

    /// Drops all but every `every`th epoch and the latest.
    fn thin(&mut self, latest: u64) {
        let every = self.every;
        self.all.retain(|shown| shown.epoch % every == 1 % every || shown.epoch == latest);
    }

    fn is_full(&self) -> bool {
        self.all.len() > EPOCHS || self.bytes() > BYTES
    }

    /// The epochs whose pictures are here.
    pub(super) fn epochs(&self) -> Vec<u64> {
        self.all.iter().map(|shown| shown.epoch).collect()
    }

    /// The reconstructions after an epoch, or the latest.
    pub(super) fn reconstructions(&self, epoch: Option<u64>) -> Option<Vec<u8>> {
        self.after(epoch)?.reconstructions.clone()
    }

    /// The samples after an epoch, or the latest.
    pub(super) fn samples(&self, epoch: Option<u64>) -> Option<Vec<u8>> {
        self.after(epoch)?.samples.clone()
    }

    /// The map of two latents after an epoch, or the latest.
    pub(super) fn map(&self, epoch: Option<u64>) -> Option<Vec<u8>> {
        self.after(epoch)?.map.clone()
    }

    fn after(&self, epoch: Option<u64>) -> Option<&Shown> {
        match epoch {
            Some(epoch) => self.all.iter().find(|shown| shown.epoch == epoch),
            None => self.all.last(),
        }
    }

    fn bytes(&self) -> usize {
        let size = |png: &Option<Vec<u8>>| png.as_ref().map_or(0, Vec::len);
        self.all.iter().map(|shown| size(&shown.reconstructions) + size(&shown.samples) + size(&shown.map)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(epoch: u64, bytes: usize) -> Shown {
        let part = |bytes| Some(vec![epoch as u8; bytes]);
        Shown { epoch, reconstructions: part(bytes - bytes / 3), samples: None, map: part(bytes / 3) }
    }

    /// Adds a picture of this size as [`Pictures::add`] does.
    fn add(pictures: &mut Pictures, epoch: u64, bytes: usize) {
        pictures.push(shown(epoch, bytes));
    }

    #[test]
    fn the_pictures_of_earlier_epochs_stay() {
        let mut pictures = Pictures::default();
        (1..=3).for_each(|epoch| add(&mut pictures, epoch, 5));
        assert_eq!(pictures.epochs(), [1, 2, 3]);
        assert_eq!(pictures.reconstructions(Some(2)), Some(vec![2; 4]));
        assert_eq!(pictures.reconstructions(None), Some(vec![3; 4]));
        assert_eq!([pictures.map(Some(1)), pictures.map(None)], [Some(vec![1; 1]), Some(vec![3; 1])]);
        assert_eq!((pictures.reconstructions(Some(4)), pictures.samples(Some(2))), (None, None));
        pictures.add(4, &Preview::default());
        assert_eq!(pictures.epochs(), [1, 2, 3]);
    }

    #[test]
    fn memory_is_bounded_and_the_whole_run_is_covered() {
        for bytes in [1, 3 << 20] {
            let mut pictures = Pictures::default();
            for epoch in 1..=1_000 {
                add(&mut pictures, epoch, bytes);
                assert!(pictures.all.len() <= EPOCHS && pictures.bytes() <= BYTES);
                assert_eq!(pictures.epochs().last(), Some(&epoch));
            }
            let (epochs, most) = (pictures.epochs(), (BYTES / bytes).min(EPOCHS));
            assert!(epochs.len() >= most / 2 && epochs[0] == 1, "{epochs:?}");
            let gaps: Vec<u64> = epochs.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(gaps[..gaps.len() - 1].iter().all(|gap| *gap == pictures.every), "{epochs:?}");
        }
        let mut pictures = Pictures::default();
        (1..=2).for_each(|epoch| add(&mut pictures, epoch, BYTES + 1));
        assert_eq!(pictures.epochs(), [2]);
    }
}
