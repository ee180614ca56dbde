//! The JSON Schema (draft 7) of recipe files, by which editors complete, explain and check keys.

use serde_json::{Map, Value, json};
use vae_core::config::{Bound, Key, Kind, Range, Section};

/// The schema of all tables.
pub(super) fn schema(sections: &[Section]) -> Value {
    let mut properties = Map::new();
    for section in sections {
        let prefix = format!("{}.", section.name);
        let keys = section.keys.iter();
        let keys: Map<String, Value> =
            keys.map(|key| (key.name.trim_start_matches(&prefix).to_owned(), property(key))).collect();
        match section.name {
            "" => properties.extend(keys),
            name => drop(properties.insert(name.into(), object(&section.doc, keys))),
        }
    }
    let mut schema = object("The configuration of a run: a recipe of vae.", properties);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema
}

fn object(doc: &str, properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "description": doc, "additionalProperties": false, "properties": properties })
}

fn property(key: &Key) -> Value {
    let mut property = match key.kind {
        Kind::Integer => numbers("integer", &key.range),
        Kind::Float => numbers("number", &key.range),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Integers => json!({ "type": "array", "items": numbers("integer", &key.range) }),
        Kind::Word(words) => one_of(words),
        Kind::WordOrPixels(words) => json!({ "anyOf": [
            one_of(words),
            { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            { "type": "string", "pattern": "^[1-9][0-9]*$" },
        ] }),
    };
    property["description"] = json!(key.doc);
    // What TOML writes for a default is JSON too.
    if let Some(default) = key.default.as_ref().and_then(|default| serde_json::from_str::<Value>(default).ok()) {
        property["default"] = default;
    }
    property
}

/// Words to choose from, and where the editor Even Better TOML looks for what they mean.
fn one_of(words: &[(&str, &str)]) -> Value {
    let (words, docs): (Vec<&str>, Vec<&str>) = words.iter().map(|(word, doc)| (*word, doc.trim())).unzip();
    json!({ "type": "string", "enum": words, "x-taplo": { "docs": { "enumValues": docs } } })
}

/// Numbers of a JSON type in a range.
fn numbers(kind: &str, range: &Range) -> Value {
    let number = |value: f64| if value.fract() == 0.0 { json!(value as i64) } else { json!(value) };
    let mut interval = json!({ "type": kind });
    let mut set = |bound: Option<Bound>, included: &str, excluded: &str| {
        if let Some(bound) = bound {
            interval[if bound.included { included } else { excluded }] = number(bound.value);
        }
    };
    set(range.low, "minimum", "exclusiveMinimum");
    set(range.high, "maximum", "exclusiveMaximum");
    if range.also.is_empty() {
        return interval;
    }
    let also = json!({ "type": kind, "enum": range.also.iter().map(|&value| number(value)).collect::<Vec<_>>() });
    match range.low.is_none() && range.high.is_none() {
        true => also,
        false => json!({ "anyOf": [also, interval] }),
    }
}

#[cfg(test)]
mod tests {
    use vae_core::config::{Config, Settings};
    use vae_core::recipe::RECIPES;

    use super::*;

    /// Whether a schema accepts a value: as much of JSON Schema as the one above uses. Anything else is a panic.
    fn accepts(schema: &Value, value: &Value) -> bool {
        schema.as_object().unwrap().iter().all(|(keyword, wanted)| match keyword.as_str() {
            "type" => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" => value.is_number(),
                "integer" => value.is_i64() || value.is_u64(),
                kind => panic!("{kind}"),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "anyOf" => wanted.as_array().unwrap().iter().any(|schema| accepts(schema, value)),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|number| number > wanted.as_f64().unwrap()),
            "exclusiveMaximum" => value.as_f64().is_none_or(|number| number < wanted.as_f64().unwrap()),
            "pattern" => {
                assert_eq!(wanted, "^[1-9][0-9]*$");
                let text = value.as_str().unwrap_or("1");
                text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0')
            }
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| accepts(wanted, item))),
            "properties" => value.as_object().is_none_or(|object| {
                object.iter().all(|(key, value)| wanted.get(key).is_none_or(|schema| accepts(schema, value)))
            }),
            "additionalProperties" => {
                assert_eq!(wanted, false);
                value.as_object().is_none_or(|object| object.keys().all(|key| schema["properties"].get(key).is_some()))
            }
            "$schema" | "description" | "default" | "x-taplo" => true,
            keyword => panic!("{keyword}"),
        })
    }

    fn json(toml: &str) -> Value {
        serde_json::to_value(toml.parse::<toml::Table>().unwrap()).unwrap()
    }

    #[test]
    fn the_schema_accepts_every_recipe_and_every_resolved_configuration() {
        let schema = schema(&Config::sections());
        for recipe in RECIPES {
            assert!(accepts(&schema, &json(recipe.toml)), "{}", recipe.name);
            let mut settings = Settings::default();
            settings.file(recipe.toml, recipe.name).unwrap();
            assert!(accepts(&schema, &json(&settings.resolve().unwrap().to_toml())), "{}", recipe.name);
        }
        assert!(accepts(&schema, &json("data.crop = \"148\"")) && accepts(&schema, &json("data.images = 0")));
    }

    #[test]
    fn the_schema_refuses_what_the_program_does() {
        let schema = schema(&Config::sections());
        for toml in [
            "los.beta = 1",
            "[loss]\nbeat = 1",
            "loss.beta = \"1\"",
            "loss.beta = -1",
            "loss.kind = \"gamma\"",
            "loss.warmup = 0",
            "train.beta1 = 1.0",
            "train.epochs = 1.5",
            "data.channels = 2",
            "data.images = 11",
            "data.crop = \"0\"",
            "data.crop = 0",
            "model.widths = [32, 0]",
            "model.widths = 32",
            "model.batch_norm = 1",
            "seed = -1",
        ] {
            assert!(!accepts(&schema, &json(toml)), "{toml}");
            let mut settings = Settings::default();
            let read = settings.file(toml, "x");
            assert!(read.and_then(|()| settings.resolve()?.check()).is_err(), "{toml}");
        }
    }
}
