//! The sources of settings: defaults < recipe < `VAE_*` environment variables < flags. Later sources override earlier
//! ones. Each setting is checked on its own, so that a message names the wrong setting and its source.

use toml::{Table, Value};

use super::{Config, Crop};
use crate::error::{Error, Result};

/// Settings that override the defaults. Later settings override earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    table: Table,
}

impl Settings {
    /// Adds all settings of a TOML file. Messages call the file `source`.
    ///
    /// # Errors
    /// If the text is not valid TOML, with the line, or as [`Settings::assignment`].
    pub fn file(&mut self, text: &str, source: &str) -> Result<()> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Error::config(format!("{source}, line {line}: {}", one_line(error.message())))
        })?;
        let mut leaves = Vec::new();
        flatten(&table, "", &mut leaves);
        leaves.into_iter().try_for_each(|(key, value)| self.put(&key, value, source, &key))
    }

    /// Adds one setting, written `key=value` as in `--set`.
    ///
    /// # Errors
    /// If the key does not exist, with the nearest key that does, or if the value does not have the type of the key or
    /// is not one of its words.
    pub fn assignment(&mut self, text: &str) -> Result<()> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::config(format!(
                "--set {text}: write it as key=value, for example --set model.z_dim=32"
            )));
        };
        self.text(key.trim(), value.trim(), "--set", key.trim())
    }

    /// Adds one setting from a command-line flag that has its own name.
    ///
    /// # Errors
    /// As [`Settings::assignment`].
    pub fn flag(&mut self, key: &str, value: &str, flag: &str) -> Result<()> {
        self.text(key, value, flag, key)
    }

    /// Adds a setting for every variable that begins with `VAE_`: `VAE_MODEL_Z_DIM=8` is `model.z_dim = 8`. Variables
    /// that are not keys, such as `VAE_OUT`, are skipped.
    ///
    /// # Errors
    /// As [`Settings::assignment`].
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with("VAE_")).collect();
        variables.sort();
        for (name, value) in variables {
            if NOT_KEYS.contains(&name.as_str()) {
                continue;
            }
            let keys = known_keys();
            let names = keys.iter().map(|(key, _)| variable(key));
            match keys.iter().find(|(key, _)| variable(key) == name) {
                Some((key, _)) => self.text(key, &value, "environment", &name)?,
                None => return Err(unknown("environment", &name, names)),
            }
        }
        Ok(())
    }

    /// Returns the configuration: the defaults with all settings. [`Config::check`] then checks whether it can be
    /// trained.
    ///
    /// # Errors
    /// If a value is invalid for its key.
    pub fn resolve(self) -> Result<Config> {
        let mut config: Config =
            Value::Table(self.table).try_into().map_err(|e: toml::de::Error| Error::config(one_line(e.message())))?;
        config.data.image_size = Some(config.image_size());
        config.data.channels = Some(config.channels());
        config.data.crop = config.data.crop.or(config.data.kind.crop());
        Ok(config)
    }

    /// Returns the value of a key in TOML syntax, if a setting gives it.
    pub fn get(&self, key: &str) -> Option<String> {
        let path = |table: &Table| {
            key.split('.').try_fold(Value::Table(table.clone()), |value, part| value.get(part).cloned())
        };
        path(&self.table).map(|value| value.to_string())
    }

    /// Adds a setting that is written as text. The key determines its type.
    fn text(&mut self, key: &str, text: &str, source: &str, written: &str) -> Result<()> {
        let Some((_, example)) = known_keys().into_iter().find(|(known, _)| known == key) else {
            return Err(unknown_key(source, written));
        };
        let value = match example {
            Value::Integer(_) => text.replace('_', "").parse().ok().map(Value::Integer),
            Value::Float(_) => text.replace('_', "").parse().ok().map(Value::Float),
            Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
            Value::Array(_) => whole_numbers(text),
            _ => Some(Value::String(text.trim_matches('"').to_owned())),
        };
        match value {
            Some(value) => self.put(key, value, source, written),
            None => Err(mismatch(source, written, &format!("{text:?}"), &example)),
        }
    }

    /// Adds a setting. It fails if the key is unknown or the value is invalid for it.
    fn put(&mut self, key: &str, value: Value, source: &str, written: &str) -> Result<()> {
        let Some((_, example)) = known_keys().into_iter().find(|(known, _)| known == key) else {
            return Err(unknown_key(source, written));
        };
        let value = match (&example, value) {
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (Value::String(_), Value::Integer(whole)) => Value::String(whole.to_string()), // data.crop = 148
            (_, value) => value,
        };
        if example.type_str() != value.type_str() {
            return Err(mismatch(source, written, &value.to_string(), &example));
        }
        if matches!(value, Value::Integer(whole) if whole < 0) {
            return Err(mismatch(source, written, &value.to_string(), &example));
        }
        let mut alone = Table::new();
        insert(&mut alone, key, value.clone());
        if let Err(error) = Value::Table(alone).try_into::<Config>() {
            return Err(Error::config(format!("{source}: {written} = {value}: {}", one_line(error.message()))));
        }
        insert(&mut self.table, key, value);
        Ok(())
    }
}

impl Config {
    /// Returns every key that is set with its value in TOML syntax, in the order of the file.
    pub fn leaves(&self) -> Vec<(String, String)> {
        let table = Table::try_from(self).expect("a configuration is a table");
        let mut leaves = Vec::new();
        flatten(&table, "", &mut leaves);
        leaves.into_iter().map(|(key, value)| (key, value.to_string())).collect()
    }

    /// Returns the value of a key such as `loss.beta` in the syntax of `--set`, or `None` if the key is unknown or not
    /// set.
    pub fn value(&self, key: &str) -> Option<String> {
        let table = Table::try_from(self).expect("a configuration is a table");
        let mut leaves = Vec::new();
        flatten(&table, "", &mut leaves);
        leaves.into_iter().find(|(known, _)| known == key).map(|(_, value)| match value {
            Value::String(word) => word,
            Value::Float(number) => number.to_string(),
            value => value.to_string(),
        })
    }
}

/// Variables that begin with `VAE_` but are not keys. The command line reads them, except that the crate `gpu` reads
/// `VAE_GPU`, the program `vae-mpi` reads `VAE_MPI_TIMEOUT`, and tests use `VAE_FAULT`.
const NOT_KEYS: &[&str] = &["VAE_FAULT", "VAE_GPU", "VAE_MPI_TIMEOUT", "VAE_OUT", "VAE_RECIPE", "VAE_THREADS"];

/// Returns every key with a value of its type.
fn known_keys() -> Vec<(String, Value)> {
    let mut full = Config::default();
    // Keys that are not set would be missing from the list.
    let data = &mut full.data;
    (data.image_size, data.channels, data.classes, data.crop) = (Some(32), Some(1), Some(1), Some(Crop::None));
    (full.prior.epochs, full.prior.width, full.prior.blocks) = (Some(1), Some(64), Some(2));
    let table = Table::try_from(full).expect("a configuration is a table");
    let mut keys = Vec::new();
    flatten(&table, "", &mut keys);
    keys
}

fn flatten(table: &Table, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(inner, &path, out),
            _ => out.push((path, value.clone())),
        }
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            insert(inner.as_table_mut().expect("sections hold keys; known keys never clash"), rest, value);
        }
    }
}

/// Parses `32,64` or `[32, 64]`.
fn whole_numbers(text: &str) -> Option<Value> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let numbers = inner.split(',').map(str::trim).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().ok().map(Value::Integer)).collect::<Option<_>>().map(Value::Array)
}

fn variable(key: &str) -> String {
    format!("VAE_{}", key.replace('.', "_").to_uppercase())
}

/// Returns the error for a key that does not exist. The message names the nearest key that does, or a key of the table that is
/// written instead of a key.
pub fn unknown_key(source: &str, written: &str) -> Error {
    let inside = known_keys().into_iter().find(|(known, _)| known.starts_with(&format!("{written}.")));
    if let Some((key, _)) = inside {
        return Error::config(format!("{source}: {written} is a table of keys; set one of them, such as {key}"));
    }
    unknown(source, written, known_keys().into_iter().map(|(known, _)| known))
}

fn unknown(source: &str, written: &str, known: impl Iterator<Item = String>) -> Error {
    match nearest(written, known) {
        Some(near) => Error::config(format!("{source}: unknown key {written}; did you mean {near}?")),
        None => Error::config(format!("{source}: unknown key {written}")),
    }
}

fn mismatch(source: &str, written: &str, value: &str, example: &Value) -> Error {
    let digits = value.trim_matches('"');
    let wanted = match example {
        Value::Integer(_) if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => {
            "a whole number of at most 9223372036854775807" // 2⁶³ − 1, the largest of TOML
        }
        Value::Integer(_) => "a whole number, 0 or more",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "whole numbers, such as 32,64",
        _ => "a word",
    };
    Error::config(format!("{source}: {written} must be {wanted}, not {}", one_line(value)))
}

/// The largest length of a word that is compared with keys. No key is longer, and the time of a comparison is the
/// product of both lengths.
const LONGEST_KEY: usize = 100;

/// Returns the candidate with the smallest edit distance. A difference of only the section counts as one letter.
fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    if word.len() > LONGEST_KEY {
        return None;
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
    candidates.min_by_key(|candidate| {
        let whole = distance(&word.to_lowercase(), &candidate.to_lowercase());
        whole.min(distance(&last(word), &last(candidate)) + 1)
    })
}

/// Returns the number of letters to insert, delete or replace to change `a` into `b` (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<()>) -> String {
        result.expect_err("this should have been refused").to_string()
    }

    #[test]
    fn later_layers_win() {
        let mut settings = Settings::default();
        settings.file("seed = 5\n[model]\nz_dim = 4\nwidth = 8\n[loss]\nbeta = 2", "file").unwrap();
        settings.environment([("VAE_MODEL_Z_DIM".into(), "6".into()), ("HOME".into(), "/".into())]).unwrap();
        settings.assignment("loss.beta=4").unwrap();
        settings.flag("seed", "7", "--seed").unwrap();
        let config = settings.resolve().unwrap();
        assert_eq!((config.seed, config.model.z_dim, config.model.width, config.loss.beta), (7, 6, 8, 4.0));
        assert_eq!(config.train.epochs, 5);
    }

    #[test]
    fn a_resolved_configuration_resolves_to_itself() {
        let mut settings = Settings::default();
        settings.assignment("data.kind=cifar10").unwrap();
        settings.assignment("model.stem=7x7-pool").unwrap();
        settings.assignment("train.learning_rate=0.1e-3").unwrap();
        let config = settings.resolve().unwrap();
        assert_eq!((config.data.channels, config.data.image_size, config.data.crop), (Some(3), Some(32), None));
        let mut chairs = Settings::default();
        chairs.assignment("data.kind=chairs").unwrap();
        let chairs = chairs.resolve().unwrap().data;
        assert_eq!((chairs.channels, chairs.image_size, chairs.crop), (Some(1), Some(64), Some(Crop::Pixels(400))));
        let mut again = Settings::default();
        again.file(&config.to_toml(), "again").unwrap();
        assert_eq!(again.resolve().unwrap(), config);
    }

    #[test]
    fn lists_are_read_from_flags_and_files() {
        for (text, widths) in
            [("32,64", &[32, 64][..]), ("[8, 16, 32]", &[8, 16, 32]), ("7", &[7]), ("", &[]), ("[]", &[])]
        {
            let mut settings = Settings::default();
            settings.assignment(&format!("model.widths={text}")).unwrap();
            assert_eq!(settings.resolve().unwrap().model.widths, widths, "{text}");
        }
        let mut settings = Settings::default();
        settings.file("[model]\nwidths = [4, 8]\n[data]\nkind = \"celeba\"\ncrop = 128", "file").unwrap();
        assert_eq!(settings.clone().resolve().unwrap().data.crop, Some(Crop::Pixels(128)));
        assert_eq!(settings.clone().resolve().unwrap().model.widths, [4, 8]);
        for wrong in ["a,b", "1.5", "-3", "3;4"] {
            let message = refused(settings.assignment(&format!("model.widths={wrong}")));
            assert!(message.contains("model.widths") && !message.contains('\n'), "{message}");
        }
        assert!(refused(settings.file("[model]\nwidths = 4", "my.toml")).contains("must be whole numbers"));
    }

    #[test]
    fn the_nearest_key_is_suggested() {
        let mut settings = Settings::default();
        assert_eq!(
            refused(settings.assignment("model.zdim=8")),
            "--set: unknown key model.zdim; did you mean model.z_dim?"
        );
        assert!(
            refused(settings.file("[train]\nlearningrate = 1", "my.toml"))
                .contains("did you mean train.learning_rate?")
        );
        let env = settings.environment([("VAE_MODEL_ZDIM".into(), "8".into())]);
        assert!(refused(env).contains("did you mean VAE_MODEL_Z_DIM?"));
    }

    #[test]
    fn the_message_for_a_wrong_value_names_its_key() {
        let mut settings = Settings::default();
        for (text, says) in [
            ("model.z_dim=many", "must be a whole number"),
            ("model.z_dim=-1", "must be a whole number"),
            ("model.z_dim=1.5", "must be a whole number"),
            ("loss.beta=two", "must be a number"),
            ("model.batch_norm=yes", "must be true or false"),
            ("model.stem=5x5", "`3x3`"),
            ("seed=18446744073709551615", "must be a whole number of at most 9223372036854775807, not"),
            ("seed=", "must be a whole number, 0 or more"),
            ("model", "key=value"),
            ("data.crop=0", "a number of pixels"),
            ("data.crop=center", "`centre`"),
            ("loss=3", "--set: loss is a table of keys; set one of them, such as loss."),
            ("los=3", "did you mean"),
            ("beta=3", "did you mean loss.beta?"),
        ] {
            let message = refused(settings.assignment(text));
            assert!(message.contains(says) && !message.contains('\n'), "{text}: {message}");
        }
        assert!(refused(settings.file("[model]\nz_dim = ", "my.toml")).starts_with("my.toml, line 2:"));
        assert!(refused(settings.file("[model]\nz_dim = \"8\"", "my.toml")).contains("whole number"));
    }
}
