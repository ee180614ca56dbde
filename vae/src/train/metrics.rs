//! The figures of a run: of a step, of an epoch. Parts, such as reconstruction and KL, are unweighted sums, means over
//! images; `total` is what was minimised.

use serde_json::{Map, Value, json};

/// A loss and its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// What is minimised: the weighted sum of the parts.
    pub total: f64,
    /// What it is made of, and what is told beside it, unweighted, means over images: `reconstruction`, summed over pixels, `kl`,
    /// `mi`, `tc`, `dw_kl`, in nats.
    pub parts: Vec<(&'static str, f64)>,
}

impl Losses {
    /// Adds the means of a batch, each image counting once.
    pub fn add(&mut self, batch: &Losses, images: usize) {
        let n = images as f64;
        self.total += batch.total * n;
        if self.parts.is_empty() {
            self.parts = batch.parts.iter().map(|&(name, _)| (name, 0.0)).collect();
        }
        self.parts.iter_mut().zip(&batch.parts).for_each(|((_, sum), (_, part))| *sum += part * n);
    }

    /// The means over images, after the sums.
    pub fn mean(&self, images: usize) -> Losses {
        let n = images as f64;
        Losses { total: self.total / n, parts: self.parts.iter().map(|&(name, sum)| (name, sum / n)).collect() }
    }

    /// Whether all of it is finite.
    pub fn is_finite(&self) -> bool {
        self.total.is_finite() && self.parts.iter().all(|(_, part)| part.is_finite())
    }

    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(known, _)| *known == name).map(|&(_, part)| part)
    }

    /// What [`Losses::json`] wrote, but for what is not a loss.
    fn of_json(map: &Map<String, Value>) -> Option<Losses> {
        let parts = map.iter().filter(|(key, _)| !["total", "kl_per_dim", "mse"].contains(&key.as_str()));
        let parts = parts.map(|(name, x)| Some((part_name(name), of_number(x)?))).collect::<Option<_>>()?;
        Some(Losses { total: of_number(map.get("total")?)?, parts })
    }

    fn json(&self) -> Map<String, Value> {
        let entries = std::iter::once(("total", self.total)).chain(self.parts.iter().copied());
        entries.map(|(name, x)| (name.to_owned(), number(x))).collect()
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fine = self.part("cross_entropy").is_some() || self.total.abs() < 1.0; // hundredths of a nat matter
        write!(f, "{:8.*}", if fine { 4 } else { 2 }, self.total)?;
        for (i, &(name, part)) in self.parts.iter().enumerate() {
            write!(f, "{} {} ", if i == 0 { " =" } else { "," }, part_words(name))?;
            match name {
                "reconstruction" => write!(f, "{part:8.2}")?,
                "cross_entropy" => write!(f, "{part:8.4}")?,
                "accuracy" => write!(f, "{:6.2} %", 100.0 * part)?,
                _ => write!(f, "{part:6.2}")?,
            }
        }
        Ok(())
    }
}

/// A part's name as a person writes it.
pub(crate) fn part_words(name: &str) -> String {
    match name {
        "kl" | "mi" | "tc" => name.to_uppercase(),
        "dw_kl" => "DW-KL".into(),
        _ => name.replace('_', " "),
    }
}

/// The name of a part, for as long as the program runs.
pub(crate) fn part_name(name: &str) -> &'static str {
    const KNOWN: [&str; 9] =
        ["reconstruction", "kl", "mi", "tc", "dw_kl", "cross_entropy", "accuracy", "commitment", "perplexity"];
    // Of a learner of somebody's own: a few letters.
    KNOWN.iter().find(|known| **known == name).copied().unwrap_or_else(|| name.to_owned().leak())
}

/// What a part is measured in.
pub(crate) fn part_unit(name: &str) -> &'static str {
    match name {
        "accuracy" => "share of the images",
        "perplexity" => "codes",
        "commitment" => "squared distance an image",
        _ => "nats an image",
    }
}

/// Where an epoch stands, after a step.
#[derive(Clone, Debug)]
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
    /// The KL of each latent, in nats: those near 0 are unused. Empty for a model without a posterior.
    pub kl_per_dim: Vec<f64>,
    /// The mean squared error of a pixel in [0, 1], without noise: z = mu. None for a model that gives no images.
    pub mse: Option<f64>,
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
    /// The epoch of a line of `metrics.jsonl`.
    pub fn of_json(line: &Value) -> Option<Epoch> {
        let validation = line["validation"].as_object()?;
        let per_dim = validation.get("kl_per_dim").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Some(Epoch {
            epoch: line["epoch"].as_u64()? as usize,
            train: Losses::of_json(line["train"].as_object()?)?,
            validation: Validation {
                losses: Losses::of_json(validation)?,
                kl_per_dim: per_dim.iter().map(of_number).collect::<Option<_>>()?,
                mse: validation.get("mse").and_then(of_number),
            },
            learning_rate: of_number(&line["learning_rate"])?,
            seconds: of_number(&line["seconds"])?,
            images_per_second: of_number(&line["images_per_second"])?,
        })
    }

    /// The epoch's line in `metrics.jsonl`.
    pub fn json(&self) -> Value {
        let mut validation = self.validation.losses.json();
        if !self.validation.kl_per_dim.is_empty() {
            validation.insert("kl_per_dim".into(), self.validation.kl_per_dim.iter().map(|&kl| number(kl)).collect());
        }
        if let Some(mse) = self.validation.mse {
            validation.insert("mse".into(), number(mse));
        }
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

/// What [`number`] wrote.
fn of_number(x: &Value) -> Option<f64> {
    x.as_f64().or_else(|| x.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_count_once_whatever_their_batch() {
        let losses = |total, kl| Losses { total, parts: vec![("reconstruction", total - kl), ("kl", kl)] };
        let mut sums = Losses::default();
        sums.add(&losses(3.0, 2.0), 64);
        sums.add(&losses(68.0, 2.0), 1);
        assert_eq!(sums.mean(65), losses(4.0, 2.0));
    }

    #[test]
    fn losses_are_told_in_a_person_s_words() {
        let losses = |total, parts: &[(&'static str, f64)]| Losses { total, parts: parts.to_vec() }.to_string();
        let vae = losses(104.3, &[("reconstruction", 99.125), ("kl", 5.0), ("dw_kl", -0.5)]);
        assert_eq!(vae, "  104.30 = reconstruction    99.12, KL   5.00, DW-KL  -0.50");
        let classifier = losses(0.0512, &[("cross_entropy", 0.0512), ("accuracy", 0.985)]);
        assert_eq!(classifier, "  0.0512 = cross entropy   0.0512, accuracy  98.50 %");
    }

    #[test]
    fn a_line_holds_what_it_should_and_words_for_what_is_no_number() {
        let losses = Losses { total: 1.5, parts: vec![("reconstruction", 1.0), ("kl", f64::NAN)] };
        let validation = Validation { losses: losses.clone(), kl_per_dim: vec![0.25, f64::INFINITY], mse: Some(0.125) };
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
        let again = Epoch::of_json(&serde_json::from_str(&parts.concat()).unwrap()).unwrap();
        assert_eq!(again.json(), epoch.json());
        assert_eq!(Epoch::of_json(&json!({ "epoch": 1 })), None);
    }
}
