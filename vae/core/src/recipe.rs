//! Recipes: named configurations. They are commented TOML files that are compiled into the program.

/// A named configuration.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The name, as the flag `--recipe` takes it.
    pub name: &'static str,
    /// The contents of the TOML file.
    pub toml: &'static str,
}

/// All recipes. The first is the default.
pub const RECIPES: &[Recipe] = &[
    Recipe { name: "quickstart", toml: include_str!("../recipes/quickstart.toml") },
    Recipe { name: "beta-resnet18", toml: include_str!("../recipes/beta-resnet18.toml") },
    Recipe { name: "sigma-vae", toml: include_str!("../recipes/sigma-vae.toml") },
    Recipe { name: "vae-mnist", toml: include_str!("../recipes/vae-mnist.toml") },
    Recipe { name: "iwae-mnist", toml: include_str!("../recipes/iwae-mnist.toml") },
    Recipe { name: "miwae-mnist", toml: include_str!("../recipes/miwae-mnist.toml") },
    Recipe { name: "mnist-dense", toml: include_str!("../recipes/mnist-dense.toml") },
    Recipe { name: "mnist-cnn", toml: include_str!("../recipes/mnist-cnn.toml") },
    Recipe { name: "basic-vae", toml: include_str!("../recipes/basic-vae.toml") },
    Recipe { name: "resnet18-vae", toml: include_str!("../recipes/resnet18-vae.toml") },
    Recipe { name: "resnet18-vae-nobn", toml: include_str!("../recipes/resnet18-vae-nobn.toml") },
    Recipe { name: "resnet18-vae-sigmoid", toml: include_str!("../recipes/resnet18-vae-sigmoid.toml") },
    Recipe { name: "resnet50-vae", toml: include_str!("../recipes/resnet50-vae.toml") },
    Recipe { name: "cifar10-classifier", toml: include_str!("../recipes/cifar10-classifier.toml") },
    Recipe { name: "beta-resnet18-pretrained", toml: include_str!("../recipes/beta-resnet18-pretrained.toml") },
    Recipe { name: "beta-resnet18-frozen", toml: include_str!("../recipes/beta-resnet18-frozen.toml") },
    Recipe { name: "mnist-classifier", toml: include_str!("../recipes/mnist-classifier.toml") },
    Recipe { name: "tc-dogs", toml: include_str!("../recipes/tc-dogs.toml") },
    Recipe { name: "tc-celeba", toml: include_str!("../recipes/tc-celeba.toml") },
    Recipe { name: "tc-chairs", toml: include_str!("../recipes/tc-chairs.toml") },
    Recipe { name: "tc-mnist", toml: include_str!("../recipes/tc-mnist.toml") },
    Recipe { name: "dip-vae", toml: include_str!("../recipes/dip-vae.toml") },
    Recipe { name: "wae-mmd", toml: include_str!("../recipes/wae-mmd.toml") },
    Recipe { name: "factor-vae", toml: include_str!("../recipes/factor-vae.toml") },
    Recipe { name: "csvae", toml: include_str!("../recipes/csvae.toml") },
    Recipe { name: "vae-gan", toml: include_str!("../recipes/vae-gan.toml") },
    Recipe { name: "soft-intro-vae", toml: include_str!("../recipes/soft-intro-vae.toml") },
    Recipe { name: "vamp", toml: include_str!("../recipes/vamp.toml") },
    Recipe { name: "ladder", toml: include_str!("../recipes/ladder.toml") },
    Recipe { name: "vq", toml: include_str!("../recipes/vq.toml") },
    Recipe { name: "fsq", toml: include_str!("../recipes/fsq.toml") },
    Recipe { name: "pegasus", toml: include_str!("../recipes/pegasus.toml") },
];

impl Recipe {
    /// Returns the recipe with this name.
    pub fn named(name: &str) -> Option<&'static Recipe> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// Returns a one-line description: the first comment of the file.
    pub fn description(&self) -> &'static str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};

    #[test]
    fn every_file_is_a_recipe() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        // A subdirectory and `claims.toml` describe papers; they are not recipes.
        for path in paths.filter(|path| path.is_file() && !path.ends_with("claims.toml")) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(Recipe::named(name).is_some(), "{name} is not listed");
        }
    }

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
