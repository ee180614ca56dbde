//! The losses of a step or an epoch, on the host. Parts such as reconstruction and KL are unweighted: sums over pixels
//! or latents, means over images.

use serde_json::{Map, Value, json};

/// The value of a loss and of its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// The minimised value: the weighted sum of the parts.
    pub total: f64,
    /// The parts and further metrics, unweighted means over images: `reconstruction`, summed over pixels, and `kl`,
    /// `mi`, `tc`, `dw_kl` in nats. [`part_unit`] has the units of the others.
    pub parts: Vec<(&'static str, f64)>,
}

impl Losses {
    /// Adds the means of a batch, multiplied by its number of images.
    pub fn add(&mut self, batch: &Losses, images: usize) {
        let n = images as f64;
        self.total += batch.total * n;
        if self.parts.is_empty() {
            self.parts = batch.parts.iter().map(|&(name, _)| (name, 0.0)).collect();
        }
        self.parts.iter_mut().zip(&batch.parts).for_each(|((_, sum), (_, part))| *sum += part * n);
    }

    /// Returns the sums of [`Losses::add`] divided by the number of images.
    pub fn mean(&self, images: usize) -> Losses {
        let n = images as f64;
        Losses { total: self.total / n, parts: self.parts.iter().map(|&(name, sum)| (name, sum / n)).collect() }
    }

    /// Returns whether the total and all parts are finite.
    pub fn is_finite(&self) -> bool {
        self.total.is_finite() && self.parts.iter().all(|(_, part)| part.is_finite())
    }

    /// Returns the part with this name.
    pub fn part(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(known, _)| *known == name).map(|&(_, part)| part)
    }

    /// Reads the losses from a JSON object that [`Losses::json`] wrote. The keys of other metrics are skipped.
    pub fn from_json(map: &Map<String, Value>) -> Option<Losses> {
        let parts = map.iter().filter(|(key, _)| !["total", "kl_per_dim", "mse"].contains(&key.as_str()));
        let parts = parts.map(|(name, x)| Some((part_name(name), parse_number(x)?))).collect::<Option<_>>()?;
        Some(Losses { total: parse_number(map.get("total")?)?, parts })
    }

    /// Returns the losses as a JSON object: the total, then the parts.
    pub fn json(&self) -> Map<String, Value> {
        let entries = std::iter::once(("total", self.total)).chain(self.parts.iter().copied());
        entries.map(|(name, x)| (name.to_owned(), number(x))).collect()
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fine = self.part("cross_entropy").is_some() || self.total.abs() < 1.0; // small values need more digits
        write!(f, "{:8.*}", if fine { 4 } else { 2 }, self.total)?;
        for (i, &(name, part)) in self.parts.iter().enumerate() {
            write!(f, "{} {} ", if i == 0 { " =" } else { "," }, part_label(name))?;
            match name {
                "reconstruction" => write!(f, "{part:8.2}")?,
                "cross_entropy" | "sigma" | "discriminator" | "label_information" | "generator" | "exp_elbo"
                | "mmd" | "off_diagonal" | "diagonal" => write!(f, "{part:8.4}")?,
                "accuracy" => write!(f, "{:6.2} %", 100.0 * part)?,
                _ => write!(f, "{part:6.2}")?,
            }
        }
        Ok(())
    }
}

/// Returns the display name of a part.
pub fn part_label(name: &str) -> String {
    match name {
        "kl" | "mi" | "tc" | "iwae" | "mmd" => name.to_uppercase(),
        "dw_kl" => "DW-KL".into(),
        "kl_penalty" => "KL penalty".into(),
        "off_diagonal" => "off-diagonal".into(),
        "exp_elbo" => "exp ELBO of fakes".into(),
        "kl_fake" => "KL of fakes".into(),
        _ => name.replace('_', " "),
    }
}

/// Returns the name of a part as a static string.
pub fn part_name(name: &str) -> &'static str {
    const KNOWN: [&str; 22] = [
        "iwae",
        "reconstruction",
        "kl",
        "kl_penalty",
        "mi",
        "tc",
        "dw_kl",
        "cross_entropy",
        "accuracy",
        "commitment",
        "perplexity",
        "codes_used",
        "sigma",
        "off_diagonal",
        "diagonal",
        "mmd",
        "discriminator",
        "features",
        "generator",
        "exp_elbo",
        "kl_fake",
        "label_information",
    ];
    // A learner outside this crate may have other names. Leaking a few short strings is harmless.
    KNOWN.iter().find(|known| **known == name).copied().unwrap_or_else(|| name.to_owned().leak())
}

/// Returns the unit of a part.
pub fn part_unit(name: &str) -> &'static str {
    PART_UNITS.iter().find(|(part, _)| *part == name).map_or("nats per image", |(_, unit)| unit)
}

/// The units of the parts that are not nats per image.
pub const PART_UNITS: [(&str, &str); 10] = [
    ("accuracy", "share of the images"),
    ("perplexity", "codes"),
    ("codes_used", "codes"),
    ("commitment", "squared distance per image"),
    ("sigma", "of pixels as the model sees them"),
    ("off_diagonal", "squared covariances"),
    ("diagonal", "squared covariances"),
    ("mmd", "squared distance of kernel means"),
    ("features", "half the squared distance of features"),
    ("exp_elbo", "exponential of a bound, 0 to 1"),
];

/// Returns a number as JSON. NaN and infinities, which JSON does not have, become strings.
pub fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}

/// Returns the value of JSON that [`number`] wrote.
pub fn parse_number(x: &Value) -> Option<f64> {
    x.as_f64().or_else(|| x.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_count_equally_in_batches_of_different_size() {
        let losses = |total, kl| Losses { total, parts: vec![("reconstruction", total - kl), ("kl", kl)] };
        let mut sums = Losses::default();
        sums.add(&losses(3.0, 2.0), 64);
        sums.add(&losses(68.0, 2.0), 1);
        assert_eq!(sums.mean(65), losses(4.0, 2.0));
    }

    #[test]
    fn losses_are_displayed_with_names() {
        let sigma = Losses { total: -700.0, parts: vec![("kl", 20.0), ("sigma", 0.09125)] }.to_string();
        assert_eq!(sigma, " -700.00 = KL  20.00, sigma   0.0912");
        let losses = |total, parts: &[(&'static str, f64)]| Losses { total, parts: parts.to_vec() }.to_string();
        let vae = losses(104.3, &[("reconstruction", 99.125), ("kl", 5.0), ("dw_kl", -0.5)]);
        assert_eq!(vae, "  104.30 = reconstruction    99.12, KL   5.00, DW-KL  -0.50");
        let classifier = losses(0.0512, &[("cross_entropy", 0.0512), ("accuracy", 0.985)]);
        assert_eq!(classifier, "  0.0512 = cross entropy   0.0512, accuracy  98.50 %");
    }

    #[test]
    fn json_gives_back_every_loss_and_skips_other_metrics() {
        let losses = Losses {
            total: f64::NEG_INFINITY,
            parts: vec![("reconstruction", 1.5), ("kl", f64::INFINITY), ("own_part", -2.0)],
        };
        let mut map = losses.json();
        assert_eq!(map["kl"], json!("inf"));
        assert_eq!(Losses::from_json(&map), Some(losses));
        for other in ["kl_per_dim", "mse"] {
            map.insert(other.into(), json!([1.0]));
        }
        assert_eq!(Losses::from_json(&map).unwrap().parts.len(), 3);
        map.insert("tc".into(), json!("much"));
        assert_eq!(Losses::from_json(&map), None);
        assert_eq!(Losses::from_json(&Map::new()), None);
        assert_eq!((parse_number(&json!("NaN")).map(f64::is_nan), parse_number(&json!(null))), (Some(true), None));
    }

    #[test]
    fn one_part_that_is_not_finite_makes_all_losses_not_finite() {
        let losses = |total, part| Losses { total, parts: vec![("kl", 1.0), ("mi", part)] };
        assert!(losses(1.0, 2.0).is_finite());
        assert!(!losses(f64::NAN, 2.0).is_finite() && !losses(1.0, f64::INFINITY).is_finite());
    }

    #[test]
    fn parts_have_labels_units_and_digits() {
        let labels = ["kl", "mi", "tc", "mmd", "dw_kl", "off_diagonal", "cross_entropy"].map(part_label);
        assert_eq!(labels, ["KL", "MI", "TC", "MMD", "DW-KL", "off-diagonal", "cross entropy"]);
        let units = ["accuracy", "perplexity", "commitment", "sigma", "tc"].map(part_unit);
        let [squared, pixels] = ["squared distance per image", "of pixels as the model sees them"];
        assert_eq!(units, ["share of the images", "codes", squared, pixels, "nats per image"]);
        let total = |total| Losses { total, parts: Vec::new() }.to_string();
        assert_eq!([0.5, -0.5, 1.0, 12.345].map(total), ["  0.5000", " -0.5000", "    1.00", "   12.35"]);
        assert_eq!(["diagonal", "mmd"].map(part_unit), ["squared covariances", "squared distance of kernel means"]);
        let large = Losses { total: 3.0, parts: vec![("cross_entropy", 3.0)] };
        assert_eq!(large.to_string(), "  3.0000 = cross entropy   3.0000");
    }
}
