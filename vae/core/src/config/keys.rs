//! The keys of a configuration, described at run time. The macro `keys!` defines a struct of the configuration, its defaults,
//! and the description of each key, from one place: the field's documentation, its default and its range.

use super::{Crop, SplitBy};

/// A key, such as `loss.beta`.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name in files and on the command line.
    pub name: String,
    /// What it means. The first sentence stands for itself.
    pub doc: String,
    /// What values it takes.
    pub kind: Kind,
    /// Which of these values are allowed.
    pub range: Range,
    /// Its default, as TOML writes it; none where it depends on other keys.
    pub default: Option<String>,
}

/// A table of a configuration and its keys.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name in files; empty for the keys that are in no table.
    pub name: &'static str,
    /// What it is about.
    pub doc: String,
    /// Its keys, in the order of the file.
    pub keys: Vec<Key>,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number, 0 or more.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Boolean,
    /// Text, such as a name or a path.
    Text,
    /// A list of whole numbers.
    Integers,
    /// One of these words. Each has a sentence that explains it.
    Word(&'static [(&'static str, &'static str)]),
    /// One of these words, or a number of pixels.
    WordOrPixels(&'static [(&'static str, &'static str)]),
}

impl Key {
    /// The first sentence of the documentation.
    pub fn summary(&self) -> &str {
        self.doc.find(". ").map_or(&self.doc, |end| &self.doc[..=end])
    }
}

impl Kind {
    /// The words to choose from; empty for other kinds.
    pub fn words(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Word(words) | Kind::WordOrPixels(words) => words,
            _ => &[],
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Boolean => "boolean",
            Kind::Text => "text",
            Kind::Integers => "list of integers",
            Kind::Word(_) => "word",
            Kind::WordOrPixels(_) => "word or integer",
        })
    }
}

/// The numbers that a key allows: an interval, or some single numbers, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower end of the interval.
    pub low: Option<Bound>,
    /// The upper end of the interval.
    pub high: Option<Bound>,
    /// Single numbers that are allowed besides the interval; if there is no interval, instead of it.
    pub also: &'static [f64],
}

/// An end of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The number.
    pub value: f64,
    /// Whether the number itself is allowed.
    pub included: bool,
}

/// Any number of the key's kind.
pub(super) const ANY: Range = Range { low: None, high: None, also: &[] };

/// Numbers of this size or larger.
pub(super) const fn at_least(value: f64) -> Range {
    Range { low: Some(Bound { value, included: true }), ..ANY }
}

/// Numbers larger than this.
pub(super) const fn above(value: f64) -> Range {
    Range { low: Some(Bound { value, included: false }), ..ANY }
}

/// Only these numbers.
pub(super) const fn one_of(also: &'static [f64]) -> Range {
    Range { also, ..ANY }
}

impl Range {
    /// These numbers, but none larger than this.
    pub(super) const fn at_most(self, value: f64) -> Range {
        Range { high: Some(Bound { value, included: true }), ..self }
    }

    /// These numbers, but only those smaller than this.
    pub(super) const fn below(self, value: f64) -> Range {
        Range { high: Some(Bound { value, included: false }), ..self }
    }

    /// These numbers, and some more.
    pub(super) const fn or(self, also: &'static [f64]) -> Range {
        Range { also, ..self }
    }

    /// Whether any number is allowed.
    pub fn is_any(&self) -> bool {
        *self == ANY
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let low = self.low.map(|low| match low.included {
            true => format!("at least {}", low.value),
            false => format!("above {}", low.value),
        });
        let high = self.high.map(|high| match high.included {
            true => format!("at most {}", high.value),
            false => format!("below {}", high.value),
        });
        let interval = [low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let parts = self.also.iter().map(f64::to_string).chain([interval].into_iter().filter(|text| !text.is_empty()));
        f.write_str(&parts.collect::<Vec<_>>().join(", or "))
    }
}

/// A type of values that a key can have.
pub(super) trait Setting {
    /// What values these are.
    fn kind() -> Kind;

    /// The value as TOML writes it; none if it is not set.
    fn text(&self) -> Option<String>;

    /// Whether the value is missing, and is left out of files.
    fn is_unset(&self) -> bool {
        false
    }
}

macro_rules! settings {
    ($($type:ty: $kind:expr, $text:expr;)+) => {$(
        impl Setting for $type {
            fn kind() -> Kind {
                $kind
            }

            fn text(&self) -> Option<String> {
                let text: fn(&$type) -> String = $text;
                Some(text(self))
            }
        }
    )+};
}

settings! {
    usize: Kind::Integer, |value| value.to_string();
    u64: Kind::Integer, |value| value.to_string();
    f64: Kind::Float, |value| format!("{value:?}");
    bool: Kind::Boolean, |value| value.to_string();
    String: Kind::Text, |value| format!("{value:?}");
    Vec<usize>: Kind::Integers, |value| format!("{value:?}");
    Crop: Kind::WordOrPixels(Crop::WORDS), |value| format!("\"{value}\"");
    SplitBy: Kind::Text, |value| format!("{:?}", value.to_string());
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }

    fn text(&self) -> Option<String> {
        self.as_ref().and_then(T::text)
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

/// Describes a key of the type `T`, of which `default` is the default. The documentation may have several lines.
pub(super) fn key<T: Setting>(table: &str, name: &str, doc: &str, default: &T, range: Range) -> Key {
    Key {
        name: if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") },
        doc: one_line(doc),
        kind: T::kind(),
        range: if T::kind() == Kind::Integer && range.is_any() { at_least(0.0) } else { range },
        default: default.text(),
    }
}

/// Makes one line of a documentation comment.
pub(super) fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Defines a struct of the configuration: documentation, type, default and range of each key. Then follow the tables inside
/// it, if it has any.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $key_doc:literal])+ $key:ident: $type:ty = $default:expr $(, $range:expr)?;)+
            $(tables { $($(#[doc = $table_doc:literal])+ $table:ident: $table_type:ty;)+ })?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[doc = $key_doc])+
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                #[serde(skip_serializing_if = "crate::config::keys::Setting::is_unset")]
                pub $key: $type,
            )+
            $($($(#[doc = $table_doc])+ pub $table: $table_type,)+)?
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($key: $default,)+ $($($table: <$table_type>::default(),)+)? }
            }
        }

        impl $name {
            /// The description of each key, for a table of this name.
            pub(super) fn keys(table: &str) -> Vec<$crate::config::keys::Key> {
                #[allow(unused_imports)]
                use $crate::config::keys::{ANY, above, at_least, key, one_of};
                let defaults = $name::default();
                vec![$(key(
                    table,
                    stringify!($key),
                    concat!($($key_doc, "\n"),+),
                    &defaults.$key,
                    [$($range,)? ANY][0],
                )),+]
            }

            $(
                /// The tables inside this one.
                pub(super) fn tables() -> Vec<$crate::config::keys::Section> {
                    vec![$($crate::config::keys::Section {
                        name: stringify!($table),
                        doc: $crate::config::keys::one_line(concat!($($table_doc, "\n"),+)),
                        keys: <$table_type>::keys(stringify!($table)),
                    }),+]
                }
            )?
        }
    };
}

pub(super) use keys;
