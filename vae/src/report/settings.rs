//! A run's configuration as a table, with the keys first that differ from its recipe, and the command that repeats the run.

use serde::Serialize;
use vae_core::config::{Config, Settings};
use vae_core::recipe::Recipe;

use crate::console::shell_quote;

/// Keys that do not change the results of a run, except for rounding: the device, and the places of files.
const PLACES: [&str; 4] = ["device", "data.dir", "data.cache", "train.checkpoint_minutes"];

/// A key of the configuration and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The key, such as `loss.beta`.
    pub key: String,
    /// The value in TOML syntax.
    pub value: String,
    /// The value of the recipe or the default, if it differs.
    pub instead_of: Option<String>,
}

/// A key whose value is not the same in all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The key, such as `loss.beta`.
    pub key: String,
    /// One value per run; `None` if a run does not have the key.
    pub values: Vec<Option<String>>,
}

/// The configuration to compare a run with: the recipe with the run's name, or else the defaults. Settings that follow from the
/// kind of the images are taken from this run.
fn usual(config: &Config) -> Config {
    let mut settings = Settings::default();
    if let Some(recipe) = Recipe::named(&config.name) {
        settings.file(recipe.toml, recipe.name).expect("a recipe of ours");
    }
    let kind = settings.clone().resolve().expect("a recipe of ours").data.kind;
    if kind != config.data.kind {
        settings.flag("data.kind", &config.data.kind.to_string(), "data.kind").expect("a kind of images");
    }
    let mut usual = settings.resolve().expect("a recipe of ours");
    usual.data.kind = kind;
    usual
}

/// All keys; those that differ from the recipe come first.
pub(super) fn settings(config: &Config) -> Vec<Setting> {
    let usual = usual(config).leaves();
    let setting = |(key, value): (String, String)| {
        let instead = usual.iter().find(|(known, _)| *known == key);
        let instead = instead.map_or_else(|| "unset".to_owned(), |(_, usual)| usual.clone());
        let differs = instead != value && !(PLACES.contains(&key.as_str()) || key == "name");
        Setting { key, value, instead_of: differs.then_some(instead) }
    };
    let mut settings: Vec<Setting> = config.leaves().into_iter().map(setting).collect();
    settings.sort_by_key(|setting| setting.instead_of.is_none()); // stable: otherwise the order of keys is kept
    settings
}

/// The command that repeats a run. `path` is its folder.
pub(super) fn command(config: &Config, path: &str) -> String {
    if Recipe::named(&config.name).is_none() {
        return format!("train --recipe {}", shell_quote(&format!("{path}/config.toml")));
    }
    let mut words = vec!["train".to_owned(), "--recipe".into(), shell_quote(&config.name)];
    words.extend(["--device".to_owned(), config.device.to_string()]);
    if config.data.dir != Config::default().data.dir {
        words.extend(["--data-dir".to_owned(), shell_quote(&config.data.dir)]);
    }
    for Setting { key, value, .. } in settings(config).into_iter().filter(|setting| setting.instead_of.is_some()) {
        words.extend(["--set".to_owned(), shell_quote(&format!("{key}={}", value.trim_matches('"')))]);
    }
    words.join(" ")
}

/// The keys in which the runs differ, without those that do not change results.
pub(super) fn differences(configs: &[Config]) -> Vec<Difference> {
    let all: Vec<Vec<(String, String)>> = configs.iter().map(Config::leaves).collect();
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in all.iter().flatten() {
        if !keys.contains(&key) && !PLACES.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let value = |leaves: &[(String, String)], key: &str| {
        leaves.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    };
    let row = |key: &String| Difference { key: key.clone(), values: all.iter().map(|run| value(run, key)).collect() };
    keys.into_iter().map(row).filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(recipe: &str, settings: &[&str]) -> Config {
        let mut all = Settings::default();
        all.file(Recipe::named(recipe).unwrap().toml, recipe).unwrap();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        all.resolve().unwrap()
    }

    #[test]
    fn changed_settings_come_first_and_are_in_the_command() {
        let told = settings(&config("quickstart", &["loss.beta=4", "device=cpu", "train.epochs=7"]));
        let first: Vec<_> =
            told[..3].iter().map(|s| (s.key.as_str(), s.value.as_str(), s.instead_of.as_deref())).collect();
        assert_eq!(
            first,
            [("loss.beta", "4.0", Some("1.0")), ("train.epochs", "7", Some("5")), ("name", "\"quickstart\"", None)]
        );
        assert_eq!(told.len(), config("quickstart", &[]).leaves().len());
        let plain = config("quickstart", &["device=cpu"]);
        assert!(settings(&plain).iter().all(|setting| setting.instead_of.is_none()));
        assert_eq!(command(&plain, "x"), "train --recipe quickstart --device cpu");
    }

    #[test]
    fn the_command_repeats_the_run() {
        for (recipe, changed) in [
            ("quickstart", &["model.z_dim=3", "loss.schedule=linear", "data.dir=my data"][..]),
            ("mnist-cnn", &["data.kind=cifar10", "model.widths=4,6", "seed=9"]),
            ("basic-vae", &["data.kind=mnist", "data.image_size=64"]),
        ] {
            let config = config(recipe, changed);
            let told = command(&config, "x");
            let mut again = Settings::default();
            again.file(Recipe::named(recipe).unwrap().toml, recipe).unwrap();
            let mut words = told.split(" --").skip(2);
            for word in &mut words {
                let (flag, value) = word.split_once(' ').unwrap();
                let value = value.trim_matches('\'');
                match flag {
                    "set" => again.assignment(value).unwrap(),
                    "device" => again.flag("device", value, flag).unwrap(),
                    "data-dir" => again.flag("data.dir", value, flag).unwrap(),
                    _ => panic!("{told}"),
                }
            }
            assert_eq!(again.resolve().unwrap(), config, "{told}");
        }
        let mut own = config("quickstart", &[]);
        own.name = "my own".into();
        assert_eq!(command(&own, "runs/a b"), "train --recipe 'runs/a b/config.toml'");
    }

    #[test]
    fn runs_differ_only_in_keys_that_change_results() {
        let runs = [
            config("quickstart", &["device=cpu"]),
            config("quickstart", &["loss.beta=4", "device=gpu"]),
            config("quickstart", &["data.classes=3"]),
        ];
        let rows = differences(&runs);
        let words = |values: [Option<&str>; 3]| values.map(|value| value.map(str::to_owned)).to_vec();
        assert_eq!(
            rows,
            [
                Difference { key: "loss.beta".into(), values: words([Some("1.0"), Some("4.0"), Some("1.0")]) },
                Difference { key: "data.classes".into(), values: words([None, None, Some("3")]) },
            ]
        );
        assert_eq!(differences(&runs[..1]), []);
    }
}
