//! The figures of a run: of a step, of an epoch.

use serde_json::{Map, Value, json};

use crate::objective::{Losses, number, of_number};
use crate::predict::Validation;

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

#[cfg(test)]
mod tests {
    use super::*;

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
