//! The metrics of a step and of an epoch.

use serde_json::{Map, Value, json};

use crate::objective::{Losses, number, parse_number};
use crate::predict::Validation;

/// The progress of an epoch after a step.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The number of steps in this epoch so far.
    pub step: usize,
    /// The number of the step, counted from 1 over the whole run. Epochs have different numbers of steps if the images have changed.
    pub number: usize,
    /// The number of steps per epoch.
    pub steps: usize,
    /// The number of images in this step.
    pub images: usize,
    /// The losses of this step.
    pub losses: Losses,
    /// The learning rate of this step.
    pub learning_rate: f64,
}

impl Progress {
    /// Returns the step's line of `steps.jsonl`.
    pub fn json(&self) -> Value {
        let mut line = Map::new();
        line.insert("epoch".into(), json!(self.epoch));
        line.insert("step".into(), json!(self.number));
        line.extend(self.losses.json());
        line.insert("learning_rate".into(), number(self.learning_rate));
        Value::Object(line)
    }
}

/// The metrics of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The mean losses over the training images while the weights changed.
    pub train: Losses,
    /// The losses of the validation images after the epoch.
    pub validation: Validation,
    /// The learning rate.
    pub learning_rate: f64,
    /// The duration of training and validation in seconds.
    pub seconds: f64,
    /// Training images per second, without validation.
    pub images_per_second: f64,
}

impl Epoch {
    /// Reads an epoch from a line of `metrics.jsonl`.
    pub fn from_json(line: &Value) -> Option<Epoch> {
        let validation = line["validation"].as_object()?;
        let per_dim = validation.get("kl_per_dim").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Some(Epoch {
            epoch: line["epoch"].as_u64()? as usize,
            train: Losses::from_json(line["train"].as_object()?)?,
            validation: Validation {
                losses: Losses::from_json(validation)?,
                kl_per_dim: per_dim.iter().map(parse_number).collect::<Option<_>>()?,
                mse: validation.get("mse").and_then(parse_number),
            },
            learning_rate: parse_number(&line["learning_rate"])?,
            seconds: parse_number(&line["seconds"])?,
            images_per_second: parse_number(&line["images_per_second"])?,
        })
    }

    /// Returns the epoch's line of `metrics.jsonl`.
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
    fn a_line_contains_every_metric_and_writes_nan_and_infinity_as_strings() {
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
        let again = Epoch::from_json(&serde_json::from_str(&parts.concat()).unwrap()).unwrap();
        assert_eq!(again.json(), epoch.json());
        assert_eq!(Epoch::from_json(&json!({ "epoch": 1 })), None);
    }

    #[test]
    fn a_step_is_numbered_over_the_whole_run() {
        let losses = Losses { total: 2.5, parts: vec![("kl", 0.5)] };
        let progress = Progress { epoch: 3, step: 2, number: 22, steps: 10, images: 4, losses, learning_rate: 0.25 };
        let line = r#"{"epoch":3,"step":22,"total":2.5,"kl":0.5,"learning_rate":0.25}"#;
        assert_eq!(progress.json().to_string(), line);
    }

    #[test]
    fn a_classifier_s_epoch_has_no_kl_of_latents_and_no_error_of_pixels() {
        let losses = Losses { total: 1.0, parts: vec![("cross_entropy", 1.0)] };
        let validation = Validation { losses: losses.clone(), kl_per_dim: Vec::new(), mse: None };
        let epoch =
            Epoch { epoch: 2, train: losses, validation, learning_rate: 0.5, seconds: 1.5, images_per_second: 40.0 };
        let json = epoch.json();
        assert_eq!(json["validation"].as_object().unwrap().len(), 2);
        assert_eq!(Epoch::from_json(&json), Some(epoch));
    }
}
