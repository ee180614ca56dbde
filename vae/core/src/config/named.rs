//! Enumerations whose values have a name in files and on the command line: `model.stem = "7x7-pool"` is `Stem::Large`.

/// Defines an enumeration whose values have a name each, and a sentence that explains it.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $value_doc:literal])+ $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[doc = $value_doc])+ #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The names, each with its documentation.
            pub const WORDS: &'static [(&'static str, &'static str)] = &[$(($text, concat!($($value_doc),+))),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $($name::$variant => $text),+ })
            }
        }

        impl crate::config::keys::Setting for $name {
            fn kind() -> crate::config::keys::Kind {
                crate::config::keys::Kind::Word($name::WORDS)
            }

            fn text(&self) -> Option<String> {
                Some(format!("\"{self}\""))
            }
        }
    };
}

pub(super) use named;
