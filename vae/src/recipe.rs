//! Recipes: configurations with a name, as commented TOML files inside the program.

/// A configuration that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// What `--recipe` calls it.
    pub name: &'static str,
    /// The file.
    pub toml: &'static str,
}

/// All of them; the first is what runs when none is named.
pub const RECIPES: &[Recipe] = &[
    Recipe { name: "quickstart", toml: include_str!("../recipes/quickstart.toml") },
    Recipe { name: "beta-resnet18", toml: include_str!("../recipes/beta-resnet18.toml") },
];

impl Recipe {
    /// The recipe of this name.
    pub fn named(name: &str) -> Option<&'static Recipe> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// What it is, in a line: the file's first comment.
    pub fn description(&self) -> &'static str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};

    #[test]
    fn every_recipe_is_a_valid_configuration_and_says_what_it_is() {
        for recipe in RECIPES {
            let mut settings = Settings::default();
            settings.file(recipe.toml, recipe.name).unwrap();
            let config: Config = settings.resolve().unwrap();
            config.check().unwrap();
            assert_eq!(config.name, recipe.name);
            assert!(recipe.toml.starts_with("# ") && recipe.description().ends_with('.'), "{}", recipe.description());
        }
    }
}
