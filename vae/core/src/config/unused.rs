//! Refuses keys of `[loss]` that the objective does not read. They would have no effect, and look as if they had one.

use super::check::rule;
use super::{Config, KlScheduleKind};
use crate::error::Result;

/// A key, and the words of it that make the objective read others.
type Reader = (&'static str, &'static [&'static str]);

/// Keys of `[loss]`, and their readers. `beta` is missing: for losses that do not read it, their rules say what takes its place. So
/// are `variance` and `sigma`, which have a rule of their own.
const READERS: [(&[&str], &[Reader]); 17] = [
    (&["k1", "k2"], &[("loss.kind", &["weighted"])]),
    (&["alpha"], &[("loss.kind", &["tc", "mmd"])]),
    (&["gamma"], &[("loss.kind", &["tc", "factor", "csvae"]), ("loss.schedule", &["capacity"])]),
    (&["estimator"], &[("loss.kind", &["tc"])]),
    (&["samples", "bounds", "gradient"], &[("loss.kind", &["iwae"])]),
    (&["dip", "lambda_od", "lambda_d"], &[("loss.kind", &["dip"])]),
    (&["lambda"], &[("loss.kind", &["mmd"])]),
    (&["subspace"], &[("loss.kind", &["csvae"])]),
    (&["discriminator_width", "discriminator_layers"], &[("loss.kind", &["factor", "csvae"])]),
    (&["discriminator_rate"], &[("loss.kind", &["factor", "csvae", "vae-gan"])]),
    (&["adversarial", "discriminator_channels", "feature_layer", "spectral_norm"], &[("loss.kind", &["vae-gan"])]),
    (&["beta_neg"], &[("loss.kind", &["soft-intro"])]),
    (&["warmup"], &[("loss.schedule", &["linear", "capacity"])]),
    (&["cycles"], &[("loss.schedule", &["cyclical"])]),
    (&["free_bits"], &[("loss.schedule", &["free-bits"])]),
    (&["capacity"], &[("loss.schedule", &["capacity"])]),
    (&["commitment"], &[("model.kind", &["vq"])]),
];

impl Config {
    /// Checks that the objective reads every key of `[loss]` that does not have its default.
    pub(super) fn check_unused(&self) -> Result<()> {
        let (all, defaults) = (self.leaves(), Config::default().leaves());
        for (keys, readers) in READERS {
            let now: Vec<String> = readers.iter().filter_map(|(key, _)| self.value(key)).collect();
            let is_read = readers.iter().zip(&now).any(|((_, words), now)| words.contains(&now.as_str()));
            for ((key, value), (_, default)) in all.iter().zip(&defaults) {
                let is_ours = key.strip_prefix("loss.").is_some_and(|name| keys.contains(&name));
                rule(is_read || !is_ours || value == default, || {
                    let value = value.strip_suffix(".0").unwrap_or(value);
                    let owners = readers.iter().map(|(key, words)| format!("{key} = \"{}\"", words.join("\", \"")));
                    let uses = if readers.len() + readers[0].1.len() == 2 { "uses" } else { "use" };
                    format!(
                        "{key} = {value}: only {} {uses} it, not \"{}\"; leave it out, or at its default, {}",
                        owners.collect::<Vec<_>>().join(" and "),
                        now[0],
                        default.strip_suffix(".0").unwrap_or(default)
                    )
                })?;
            }
        }
        let (beta, schedule) = (self.loss.beta, self.loss.schedule);
        rule(schedule != KlScheduleKind::Capacity || beta == 1.0, || {
            format!(
                "loss.beta = {beta}: with loss.schedule = \"capacity\" the KL has the weight loss.gamma; leave loss.beta at 1"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::told;

    #[test]
    fn a_key_that_nothing_reads_is_refused() {
        let (factor, capacity) = ("loss.kind=factor", "loss.schedule=capacity");
        for (settings, says) in [
            (
                &["loss.gamma=2"][..],
                "loss.gamma = 2: only loss.kind = \"tc\", \"factor\", \"csvae\" and loss.schedule = \"capacity\" use it, not \"beta\"; \
                 leave it out, or at its default, 1",
            ),
            (&["loss.alpha=0.5"], "loss.alpha = 0.5: only loss.kind = \"tc\", \"mmd\" use it, not \"beta\""),
            (&[factor, "loss.alpha=2"], "use it, not \"factor\"; leave it out, or at its default, 1"),
            (
                &["loss.warmup=2"],
                "loss.warmup = 2: only loss.schedule = \"linear\", \"capacity\" use it, not \"constant\"",
            ),
            (
                &[capacity, "loss.cycles=2"],
                "loss.cycles = 2: only loss.schedule = \"cyclical\" uses it, not \"capacity\"; leave it out, or at its default, 4",
            ),
            (&["loss.free_bits=1"], "loss.free_bits = 1: only loss.schedule = \"free-bits\" uses it"),
            (&["loss.capacity=5"], "loss.capacity = 5: only loss.schedule = \"capacity\" uses it"),
            (&[capacity, "loss.beta=2"], "with loss.schedule = \"capacity\" the KL has the weight loss.gamma"),
            (
                &["loss.commitment=1"],
                "loss.commitment = 1: only model.kind = \"vq\" uses it, not \"resnet18\"; leave it out, or at its default, 0.25",
            ),
        ] {
            let told = told(settings);
            assert!(told.contains(says) && !told.contains("  "), "{settings:?}: {told}");
        }
        for settings in [
            &[capacity, "loss.gamma=2", "loss.capacity=9", "loss.warmup=2"][..],
            &[factor, "loss.gamma=2", "loss.beta=2", "loss.discriminator_rate=1e-3"],
            &["loss.kind=mmd", "loss.alpha=0.5"],
            &["model.kind=vq", "loss.commitment=1"],
            &["loss.schedule=free-bits", "loss.free_bits=1"],
            &["loss.schedule=cyclical", "loss.cycles=2"],
        ] {
            assert!(told(settings).contains("mean over images"), "{settings:?}: {}", told(settings));
        }
    }
}
