//! The figures of a run: of a step, of an epoch. Reconstruction and KL are unweighted sums, means over images; `total`
//! is what was minimised.

use serde_json::{Map, Value, json};

/// A loss and its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// What is minimised.
    pub total: f64,
    /// Summed over pixels, mean over images.
    pub reconstruction: f64,
    /// In nats, summed over latents, mean over images.
    pub kl: f64,
}

impl Losses {
    /// Adds the means of a batch, each image counting once.
    pub fn add(&mut self, batch: &Losses, images: usize) {
        let n = images as f64;
        self.total += batch.total * n;
        self.reconstruction += batch.reconstruction * n;
        self.kl += batch.kl * n;
    }

    /// The means over images, after the sums.
    pub fn mean(&self, images: usize) -> Losses {
        let n = images as f64;
        Losses { total: self.total / n, reconstruction: self.reconstruction / n, kl: self.kl / n }
    }

    /// Whether all of it is finite.
    pub fn is_finite(&self) -> bool {
        self.total.is_finite() && self.reconstruction.is_finite() && self.kl.is_finite()
    }

    fn json(&self) -> Map<String, Value> {
        let entries = [("total", self.total), ("reconstruction", self.reconstruction), ("kl", self.kl)];
        entries.into_iter().map(|(name, x)| (name.to_owned(), number(x))).collect()
    }
}

/// Where an epoch stands, after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Images of this step.
    pub images: usize,
    /// The step's losses.
    pub losses: Losses,
    /// The step's learning rate.
    pub learning_rate: f64,
}

impl Progress {
    /// The step, counted from 1 through the whole run.
    pub fn number(&self) -> usize {
        (self.epoch - 1) * self.steps + self.step
    }

    /// The step's line in `steps.jsonl`.
    pub fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert("epoch".into(), json!(self.epoch));
        line.insert("step".into(), json!(self.number()));
        line.extend(self.losses.json());
        line.insert("learning_rate".into(), number(self.learning_rate));
        Value::Object(line)
    }
}

/// What the validation images say.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// With z drawn.
    pub losses: Losses,
    /// The KL of each latent, in nats: those near 0 are unused.
    pub kl_per_dim: Vec<f64>,
    /// The mean squared error of a pixel in [0, 1], with z = mu.
    pub mse: f64,
}

/// All of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Over the training images, while the weights moved.
    pub train: Losses,
    /// Over the validation images, after the epoch.
    pub validation: Validation,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Of training and validation together.
    pub seconds: f64,
    /// Training images a second, validation aside.
    pub images_per_second: f64,
}

impl Epoch {
    /// The epoch's line in `metrics.jsonl`.
    pub fn json(&self) -> Value {
        let mut validation = self.validation.losses.json();
        validation.insert("kl_per_dim".into(), self.validation.kl_per_dim.iter().map(|&kl| number(kl)).collect());
        validation.insert("mse".into(), number(self.validation.mse));
        json!({
            "epoch": self.epoch,
            "train": self.train.json(),
            "validation": validation,
            "learning_rate": number(self.learning_rate),
            "seconds": number((self.seconds * 1e3).round() / 1e3),
            "images_per_second": number((self.images_per_second * 10.0).round() / 10.0),
        })
    }
}

/// A number as JSON has it; NaN and infinities, which it has not, as words.
pub fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_count_once_whatever_their_batch() {
        let mut sums = Losses::default();
        sums.add(&Losses { total: 3.0, reconstruction: 1.0, kl: 2.0 }, 64);
        sums.add(&Losses { total: 68.0, reconstruction: 66.0, kl: 2.0 }, 1);
        assert_eq!(sums.mean(65), Losses { total: 4.0, reconstruction: 2.0, kl: 2.0 });
    }

    #[test]
    fn a_line_holds_what_it_should_and_words_for_what_is_no_number() {
        let losses = Losses { total: 1.5, reconstruction: 1.0, kl: f64::NAN };
        let validation = Validation { losses, kl_per_dim: vec![0.25, f64::INFINITY], mse: 0.125 };
        let epoch = Epoch {
            epoch: 1,
            train: losses,
            validation,
            learning_rate: 1e-3,
            seconds: 2.0004,
            images_per_second: 9.96,
        };
        let parts = [
            r#"{"epoch":1,"train":{"total":1.5,"reconstruction":1.0,"kl":"NaN"},"#,
            r#""validation":{"total":1.5,"reconstruction":1.0,"kl":"NaN","kl_per_dim":[0.25,"inf"],"mse":0.125},"#,
            r#""learning_rate":0.001,"seconds":2.0,"images_per_second":10.0}"#,
        ];
        assert_eq!(epoch.json().to_string(), parts.concat());
    }
}
