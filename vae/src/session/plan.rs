//! A description of a run before it starts, as lines of text or as a JSON object.

use nn::state::LoadReport;
use serde_json::{Value, json};
use vae_core::config::{Config, Normalise, describe_loss};
use vae_core::data::Dataset;
use vae_core::learn::Summary;
use vae_core::objective::number;
use vae_run::transfer::{Frozen, LoadedEncoder};

use crate::device::Chosen;
use crate::say;

/// What is known before training.
pub struct Plan<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The size of the model.
    pub summary: &'a Summary,
    /// The weights that the encoder starts from, or why they are missing.
    pub encoder: Option<Result<&'a LoadedEncoder, &'a String>>,
    /// The frozen weights.
    pub frozen: Option<&'a Frozen>,
    /// The device.
    pub chosen: &'a Chosen,
    /// The images, or why they are missing.
    pub data: Result<&'a Dataset, String>,
    /// The time that reading them took, in seconds.
    pub seconds: f64,
}

impl Plan<'_> {
    /// Prints the plan as text.
    pub fn print(&self) {
        let (config, summary) = (self.config, self.summary);
        let (model, train) = (&config.model, &config.train);
        say!("{}, seed {}", config.name, config.seed);
        say!("  device     {}", self.chosen.words);
        say!("  data       {}", self.data_line());
        self.data.iter().flat_map(|dataset| &dataset.notes).for_each(|note| say!("             {note}"));
        let halves = match summary.decoder_parameters {
            0 => String::new(),
            decoder => {
                let discriminator = match summary.discriminator_parameters {
                    0 => String::new(),
                    count => format!(", discriminator {}", with_thousands(count)),
                };
                let encoder = with_thousands(summary.encoder_parameters);
                format!(" (encoder {encoder}, decoder {}{discriminator})", with_thousands(decoder))
            }
        };
        say!("  model      {}, {} parameters{halves}", model.words(), with_thousands(summary.parameters));
        if summary.trainable_parameters != summary.parameters {
            say!("             {} of them trained", with_thousands(summary.trainable_parameters));
        }
        self.encoder_words().iter().for_each(|words| say!("  encoder    {words}"));
        self.frozen.iter().for_each(|frozen| say!("  frozen     {frozen}"));
        say!("  loss       {}", describe_loss(config));
        config.kl_weight_hint().iter().for_each(|hint| say!("  hint       {hint} (docs/kl-weight.md)"));
        let images = self.data.as_ref().ok().map(|dataset| dataset.train.count());
        let optional = |name: &str, value: f64| if value > 0.0 { format!(", {name} {value}") } else { String::new() };
        let patience = match train.early_stopping {
            0 => String::new(),
            patience => format!(", stopping after {patience} without improvement"),
        };
        say!(
            "  optimiser  Adam {}/{}, learning rate {} ({}), batches of {}{}{}{}{}{}, {} epoch{}{patience}",
            train.beta1,
            train.beta2,
            train.learning_rate,
            train.schedule,
            with_thousands(images.map_or(train.batch_size, |images| images.min(train.batch_size))),
            if images.is_some_and(|images| images < train.batch_size) {
                format!(" (all images; train.batch_size = {} is more)", train.batch_size)
            } else {
                String::new()
            },
            if train.shards > 1 { format!(" in {} shards", train.shards) } else { String::new() },
            if train.accumulate > 1 { format!(", {} for each step", train.accumulate) } else { String::new() },
            optional("weight decay", train.weight_decay),
            optional("gradient clipped at", train.clip),
            train.epochs,
            if train.epochs == 1 { "" } else { "s" }
        );
    }

    fn encoder_words(&self) -> Option<String> {
        self.encoder.map(|encoder| encoder.map_or_else(String::clone, LoadedEncoder::to_string))
    }

    fn data_line(&self) -> String {
        let [channels, size, _] = self.summary.input_shape;
        let kind = self.config.data.kind;
        let shape = format!("{channels}×{size}×{size}");
        match &self.data {
            Err(missing) => format!("{kind}, {shape}; not found: {missing}"),
            Ok(dataset) => format!(
                "{kind}: {} training, {} validation, {} test images; {shape}, {}",
                with_thousands(dataset.train.count()),
                with_thousands(dataset.validation.count()),
                with_thousands(dataset.test.count()),
                range(self.config.data.normalise, dataset)
            ),
        }
    }

    /// Prints a table of the layers.
    pub fn print_layers(&self) {
        let width = self.summary.layers.iter().map(|row| row.name.len()).max().unwrap_or(0);
        say!("\n  {:width$}  {:>16}  {:>12}", "layer", "output", "parameters");
        for row in &self.summary.layers {
            let shape = row.output.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
            say!("  {:width$}  {shape:>16}  {:>12}", row.name, with_thousands(row.parameters));
        }
        say!("  {:width$}  {:>16}  {:>12}", "all", "", with_thousands(self.summary.parameters));
    }

    /// The plan as a JSON object.
    pub fn json(&self) -> Value {
        let config = self.config;
        let Chosen { device, words, .. } = self.chosen;
        let mut plan = json!({
            "recipe": config.name, "device": self.chosen.choice(), "device_name": device.name(), "device_words": words,
            "threads": self.chosen.threads(), "seed": config.seed,
        });
        let data = match &self.data {
            Err(missing) => {
                json!({ "kind": config.data.kind, "found": false, "missing": missing, "seconds": self.seconds })
            }
            Ok(dataset) => json!({
                "kind": config.data.kind, "found": true, "seconds": self.seconds,
                "train": dataset.train.count(), "validation": dataset.validation.count(), "test": dataset.test.count(),
                "normalise": config.data.normalise, "mean": dataset.transform.mean, "std": dataset.transform.std,
                "notes": dataset.notes,
            }),
        };
        let summary = serde_json::to_value(self.summary).unwrap_or_default();
        if let (Value::Object(plan), Value::Object(summary)) = (&mut plan, summary) {
            plan.extend(summary);
            let effective = config.model.is_vae().then(|| number(config.effective_beta()));
            plan.insert("effective_beta".into(), effective.into());
            plan.insert("kl_weight_hint".into(), config.kl_weight_hint().into());
            self.encoder_words().into_iter().for_each(|words| drop(plan.insert("encoder".into(), words.into())));
            if let Some(Ok(LoadedEncoder { filled, .. })) = self.encoder {
                let LoadReport { loaded, missing, misfit, skipped } = filled;
                let lists = json!({ "loaded": loaded, "missing": missing, "misfit": misfit, "skipped": skipped });
                plan.insert("encoder_tensors".into(), lists);
            }
            if let Some(Frozen { tensors, sha256 }) = self.frozen {
                plan.insert("frozen".into(), json!({ "tensors": tensors, "sha256": sha256 }));
            }
            plan.insert("data".into(), data);
            plan.insert("config".into(), serde_json::to_value(config).unwrap_or_default());
        }
        plan
    }
}

fn range(normalise: Normalise, dataset: &Dataset) -> String {
    let list = |numbers: &[f64]| numbers.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(", ");
    match normalise {
        Normalise::Unit => "unit: pixels in [0, 1]".into(),
        Normalise::Symmetric => "symmetric: pixels in [−1, 1]".into(),
        Normalise::Standard => {
            format!("standard: mean {}, deviation {}", list(&dataset.transform.mean), list(&dataset.transform.std))
        }
    }
}

/// Formats a number with commas between thousands.
pub fn with_thousands(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups = vec![&digits[..first]];
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.into_iter().filter(|group| !group.is_empty()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::with_thousands;

    #[test]
    fn thousands_are_separated() {
        let words = [0, 12, 123, 1_234, 23_910_275, 100_000].map(with_thousands);
        assert_eq!(words, ["0", "12", "123", "1,234", "23,910,275", "100,000"]);
    }
}
