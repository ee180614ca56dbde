//! The losses of a split, batch after batch. Several processes (ranks) share the batches: rank r of N evaluates the batches r, r + N,
//! r + 2N, …, and rank 0 adds up the results of all in the order of batches. The sums therefore have the bits of one process.
//!
//! The results of a batch are sent as f64 numbers:
//!
//! ```text
//! images, total, P, P parts, 1 if there are squares, squares, width, rows, rows·width numbers
//! ```

use std::time::Duration;

use super::{Predictor, Validation};
use crate::data::Split;
use crate::distributed::Communicator;
use crate::error::Result;
use crate::learn::Evaluation;
use crate::objective::{Losses, part_name};

/// The results of a batch, or the sums over several.
#[derive(Default)]
struct Sums {
    images: usize,
    losses: Losses,
    /// The KL of each latent of each image, image after image, and the number of latents. In sums there is one row.
    kl: Vec<f64>,
    width: usize,
    /// The sum of squared errors over all pixels.
    squares: Option<f64>,
}

impl Sums {
    /// Adds the results of the next batch.
    fn add(&mut self, batch: &Sums) {
        self.images += batch.images;
        self.losses.add(&batch.losses, batch.images);
        self.width = batch.width;
        self.kl.resize(self.width, 0.0);
        for row in batch.kl.chunks_exact(self.width.max(1)) {
            self.kl.iter_mut().zip(row).for_each(|(sum, kl)| *sum += kl);
        }
        if let Some(squares) = batch.squares {
            *self.squares.get_or_insert(0.0) += squares;
        }
    }

    fn numbers(&self) -> Vec<f64> {
        let mut numbers = vec![self.images as f64, self.losses.total, self.losses.parts.len() as f64];
        numbers.extend(self.losses.parts.iter().map(|(_, part)| part));
        numbers.extend([f64::from(u8::from(self.squares.is_some())), self.squares.unwrap_or(0.0)]);
        numbers.extend([self.width as f64, self.kl.len() as f64]);
        numbers.extend(&self.kl);
        numbers
    }

    /// Reads the next results from numbers, with these names of the parts of a loss.
    fn next(numbers: &mut impl Iterator<Item = f64>, names: &[&'static str]) -> Option<Sums> {
        let images = numbers.next()? as usize;
        let mut losses = Losses { total: numbers.next()?, parts: Vec::new() };
        for i in 0..numbers.next()? as usize {
            losses.parts.push((names.get(i).copied().unwrap_or_default(), numbers.next()?));
        }
        let (has_squares, squares) = (numbers.next()? == 1.0, numbers.next()?);
        let (width, len) = (numbers.next()? as usize, numbers.next()? as usize);
        let kl: Vec<f64> = numbers.take(len).collect();
        Some(Sums { images, losses, kl, width, squares: has_squares.then_some(squares) })
    }
}

/// The numbers as bytes, and back.
fn to_bytes(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> impl Iterator<Item = f64> {
    bytes.chunks_exact(8).map(|number| f64::from_le_bytes(number.try_into().expect("eight bytes")))
}

impl Predictor {
    /// Returns the losses as [`evaluate`](Predictor::evaluate) does, on every one of several processes, which share the work.
    ///
    /// # Errors
    /// As `evaluate`, or if another process has ended.
    pub async fn evaluate_together(
        &self,
        split: &Split,
        places: &[usize],
        communicator: &dyn Communicator,
    ) -> Result<Validation> {
        let (rank, size) = (communicator.rank(), communicator.size());
        let (mut sums, mut own) = (Sums::default(), Vec::new());
        for batch in places.chunks(self.config.train.batch_size).skip(rank).step_by(size) {
            let results = self.evaluate_batch(split, batch).await?;
            match size {
                1 => sums.add(&results),
                _ => own.push(results),
            }
            communicator.alive(Duration::ZERO);
        }
        if size > 1 {
            sums = exchange(&own, communicator)?;
        }
        let n = places.len();
        let pixels = self.transform.shape().iter().product::<usize>();
        Ok(Validation {
            losses: sums.losses.mean(n),
            kl_per_dim: sums.kl.iter().map(|sum| sum / n as f64).collect(),
            mse: sums.squares.map(|squares| squares / (n * pixels) as f64),
        })
    }

    async fn evaluate_batch(&self, split: &Split, places: &[usize]) -> Result<Sums> {
        let x = self.batch(split, places)?;
        let Evaluation { terms, kl_per_dim, reconstruction, .. } = self.forward(split, places, &x);
        let mut sums = Sums { images: places.len(), losses: terms.read().await?, ..Sums::default() };
        if let Some(per_dim) = kl_per_dim {
            sums.width = per_dim.shape()[1];
            sums.kl = per_dim.value().read().await?.into_iter().map(f64::from).collect();
        }
        if let Some(reconstruction) = reconstruction {
            let (truth, guess) = (self.to_unit(&x).await?, self.to_pixels(&reconstruction).await?);
            let errors = truth.iter().zip(&guess).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            sums.squares = Some(errors.sum::<f64>());
        }
        Ok(sums)
    }
}

/// Returns the sums over the batches of all ranks. Rank 0 has the first batch, and so the names of the parts of a loss.
fn exchange(own: &[Sums], communicator: &dyn Communicator) -> Result<Sums> {
    let names: Vec<&str> = own.iter().take(1).flat_map(|sums| &sums.losses.parts).map(|&(name, _)| name).collect();
    let names = communicator.share(names.join("\n").as_bytes())?;
    let names = String::from_utf8_lossy(&names);
    let names: Vec<&'static str> = names.lines().map(part_name).collect();
    let numbers: Vec<f64> = own.iter().flat_map(Sums::numbers).collect();
    let all = communicator.gather(&to_bytes(&numbers))?;
    let mut ranks: Vec<_> = all.iter().map(|bytes| from_bytes(bytes)).collect();
    let mut sums = Sums::default();
    // Rank 0 has as many batches as any other, and the last round may be incomplete.
    while let Some(first) = ranks.first_mut().and_then(|numbers| Sums::next(numbers, &names)) {
        sums.add(&first);
        ranks.iter_mut().skip(1).map_while(|numbers| Sums::next(numbers, &names)).for_each(|batch| sums.add(&batch));
    }
    let sums = communicator.share(&to_bytes(&sums.numbers()))?;
    Ok(Sums::next(&mut from_bytes(&sums), &names).unwrap_or_default())
}
