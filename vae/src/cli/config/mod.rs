//! `vae config`: the keys of a configuration, their meaning, and the schema of recipe files.

mod schema;

use std::process::ExitCode;

use anyhow::Result;
use vae_core::config::{Config, Key, Kind, Section, Settings, unknown_key};
use vae_core::recipe::RECIPES;

use crate::say;

/// A test runs every line that starts with `  vae config`.
const EXAMPLES: &str = "\
Examples:
  vae config                                 every key
  vae config loss                            the keys of a table
  vae config loss.beta                       one key: what it means, and which recipes set it
  vae config --schema > vae.schema.json      for editors; a recipe names it in its first line: #:schema vae.schema.json

Exit codes: 0 done, 2 bad usage or an unknown key.";

/// The width of explanations.
const WIDTH: usize = 100;

/// Lists the keys of a configuration with their types, defaults, ranges and meanings.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A key such as loss.beta, or a table such as loss [default: all]
    #[arg(value_name = "KEY|TABLE")]
    key: Option<String>,
    /// Print a JSON Schema of recipe files
    #[arg(long, conflicts_with = "key")]
    schema: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let sections = Config::sections();
    match args.key.as_deref() {
        _ if args.schema => say!("{}", serde_json::to_string_pretty(&schema::schema(&sections))?),
        None => say!("{}", sections.iter().map(list).collect::<Vec<_>>().join("\n\n")),
        Some(name) => {
            if let Some(section) = sections.iter().find(|section| section.name == name) {
                say!("{}", list(section));
                return Ok(ExitCode::SUCCESS);
            }
            let key = sections.iter().flat_map(|section| &section.keys).find(|key| key.name == name);
            say!("{}", explain(key.ok_or_else(|| unknown_key("vae config", name))?)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The keys of a table: name, type, range and default in a line, the first sentence of the documentation below it.
fn list(section: &Section) -> String {
    let title = match section.name {
        "" => section.doc.clone(),
        name => format!("[{name}]  {}", section.doc),
    };
    let width = section.keys.iter().map(|key| key.name.len()).max().unwrap_or(0);
    let line = |key: &Key| format!("\n  {:width$}  {}\n      {}", key.name, values(key), key.summary());
    title + &section.keys.iter().map(line).collect::<String>()
}

/// The type, the range or the words, and the default of a key.
fn values(key: &Key) -> String {
    let mut parts = vec![key.kind.to_string()];
    if !key.kind.words().is_empty() {
        parts.push(key.kind.words().iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "));
    }
    if !key.range.is_any() {
        let each = if key.kind == Kind::Integers { "each " } else { "" };
        parts.push(format!("{each}{}", key.range));
    }
    let depends = if key.name.starts_with("prior.") { "depends on the kind of prior" } else { "depends on data.kind" };
    let default = key.default.as_deref().unwrap_or(depends);
    format!("{}; default {default}", parts.join(": "))
}

/// All that is known about a key.
fn explain(key: &Key) -> Result<String> {
    let mut text = format!("{}  {}\n\n{}\n", key.name, values(key), wrapped(&key.doc, WIDTH, ""));
    let words = key.kind.words();
    if !words.is_empty() {
        let width = words.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
        let indent = " ".repeat(width + 4);
        text += "\nWords:\n";
        for (word, doc) in words {
            let doc = wrapped(doc, WIDTH, &indent);
            text += &format!("  {word:width$}  {}\n", doc.trim_start());
        }
    }
    let recipes = recipes(&key.name)?;
    if !recipes.is_empty() {
        text += "\nSet by these recipes:\n";
        let width = recipes.iter().map(|(value, _)| value.chars().count()).max().unwrap_or(0);
        let indent = " ".repeat(width + 4);
        for (value, names) in &recipes {
            let names = wrapped(&names.join(", "), WIDTH, &indent);
            text += &format!("  {value:width$}  {}\n", names.trim_start());
        }
    }
    let example = example(key, &recipes);
    let variable = format!("VAE_{}", key.name.replace('.', "_").to_uppercase());
    text += &format!("\nExample: train --set {}={example}, or {variable}={example} in the environment.", key.name);
    Ok(text)
}

/// The values that recipes give a key, each with the names of the recipes.
fn recipes(key: &str) -> Result<Vec<(String, Vec<&'static str>)>> {
    let mut values: Vec<(String, Vec<&str>)> = Vec::new();
    for recipe in RECIPES {
        let mut settings = Settings::default();
        settings.file(recipe.toml, recipe.name)?;
        let Some(value) = settings.get(key) else { continue };
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, names)) => names.push(recipe.name),
            None => values.push((value, vec![recipe.name])),
        }
    }
    Ok(values)
}

/// A value to try, as the command line takes it: the default is no example if there is another.
fn example(key: &Key, recipes: &[(String, Vec<&str>)]) -> String {
    let default = key.default.as_deref().unwrap_or_default();
    let words = key.kind.words().iter().map(|(word, _)| format!("\"{word}\""));
    let set = recipes.iter().map(|(value, _)| value.clone());
    let other = set.chain(words).find(|value| value != default && !value.is_empty());
    let value = other.unwrap_or_else(|| match key.kind {
        Kind::Boolean => (default != "true").to_string(),
        Kind::Integers => "32,64".into(),
        Kind::Text if key.name == "data.split" => "8:1:1".into(),
        Kind::Text => "NAME".into(),
        Kind::Integer => {
            let least = key.range.low.map_or(0, |low| low.value as u64);
            (default.parse().unwrap_or(0_u64) + 1).max(least).to_string()
        }
        // All whose default is 0 are off by default, and take a small number.
        _ => default.parse().ok().filter(|&number: &f64| number > 0.0).map_or(0.1, |number| number / 2.0).to_string(),
    });
    value.replace([' ', '"', '[', ']'], "")
}

/// Words in lines of this width, at most, each after the indentation.
fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_valid_setting_and_not_the_default() {
        for key in Config::sections().iter().flat_map(|section| &section.keys) {
            let value = example(key, &recipes(&key.name).unwrap());
            let mut settings = Settings::default();
            settings.assignment(&format!("{}={value}", key.name)).unwrap();
            let written = settings.get(&key.name).unwrap();
            assert_ne!(Some(&written), key.default.as_ref(), "{}", key.name);
            if let (Ok(number), Some(low)) = (written.parse::<f64>(), key.range.low) {
                assert!(number >= low.value && key.range.high.is_none_or(|high| number <= high.value), "{}", key.name);
            }
        }
    }

    #[test]
    fn a_key_is_explained_with_its_words_and_recipes() {
        let sections = Config::sections();
        let explained = |name: &str| {
            let key = sections.iter().flat_map(|section| &section.keys).find(|key| key.name == name);
            explain(key.unwrap()).unwrap()
        };
        let kind = explained("loss.kind");
        assert!(kind.contains("\n  tc          The β-TC-VAE, which") && kind.contains("\n  \"tc\"   "), "{kind}");
        let beta = explained("loss.beta");
        for words in
            ["loss.beta  float: at least 0.0; default 1.0\n", "quickstart", "train --set loss.beta=", "VAE_LOSS_BETA="]
        {
            assert!(beta.replace("at least 0;", "at least 0.0;").contains(words), "{words}: {beta}");
        }
        assert!(beta.lines().all(|line| line.chars().count() <= WIDTH), "{beta}");
    }
}
