//! The groups of latents of the hierarchical model `ladder`: their shapes, and the rules of its keys. With n numbers in
//! `model.groups`, group counts g_1 … g_n, and images of side S:
//!
//! ```text
//! sides   S/2ⁿ, …, S/4, S/2           places   P = Σ_i g_i·(S/2^(n+1−i))²        channels of each latent map   model.z_dim / P
//! ```

use super::check::rule;
use super::model::MOST_GROUPS;
use super::{Config, LossKind, ModelKind, ModelPrior};
use crate::error::Result;

impl Config {
    /// Returns the shape of each group of a VAE's latents, channels × rows × columns, in the order in which they are drawn. Only
    /// `ladder` has more than one group.
    pub fn latent_groups(&self) -> Vec<[usize; 3]> {
        if self.model.kind != ModelKind::Ladder {
            return vec![[self.model.z_dim, 1, 1]];
        }
        let channels = self.model.z_dim / self.ladder_places().max(1);
        self.ladder_sides().flat_map(|(side, count)| std::iter::repeat_n([channels, side, side], count)).collect()
    }

    /// Returns whether the posterior of some latents depends on draws of others.
    pub fn is_hierarchical(&self) -> bool {
        self.model.kind == ModelKind::Ladder
    }

    /// The side of the maps of each size, and the number of groups on them.
    fn ladder_sides(&self) -> impl Iterator<Item = (usize, usize)> {
        let (size, groups) = (self.image_size(), &self.model.groups);
        groups.iter().enumerate().map(move |(i, &count)| (size >> (groups.len() - i), count))
    }

    /// The number of positions that the maps of all groups have together.
    fn ladder_places(&self) -> usize {
        let places = |(side, count): (usize, usize)| count.saturating_mul(side).saturating_mul(side);
        self.ladder_sides().map(places).fold(0, usize::saturating_add)
    }

    /// Checks the keys of `ladder`.
    pub(super) fn check_ladder(&self) -> Result<()> {
        let (model, loss) = (&self.model, &self.loss);
        let groups = &model.groups;
        let all = groups.iter().fold(0, |all: usize, &count| all.saturating_add(count));
        rule((1..=MOST_GROUPS).contains(&all) && groups.iter().all(|&count| count >= 1), || {
            format!(
                "model.groups = {groups:?}: give each size at least one group, and all sizes together at most {MOST_GROUPS}"
            )
        })?;
        if model.kind != ModelKind::Ladder {
            return Ok(());
        }
        let kind = "model.kind = \"ladder\"";
        let (places, z) = (self.ladder_places(), model.z_dim);
        rule(z.is_multiple_of(places), || {
            let sides = self.ladder_sides().map(|(side, count)| format!("{count} × {side}×{side}"));
            format!(
                "model.z_dim = {z}: the maps of model.groups = {groups:?} have {} = {places} places; set a multiple, such as {}",
                sides.collect::<Vec<_>>().join(" + "),
                z.div_ceil(places).max(1) * places
            )
        })?;
        rule(matches!(loss.kind, LossKind::Beta | LossKind::Weighted), || {
            format!(
                "{kind} works with loss.kind = \"beta\" or \"weighted\", not \"{}\"; change one of the two",
                loss.kind
            )
        })?;
        rule(model.prior == ModelPrior::Standard, || {
            format!("{kind} has the prior N(0, I) in each group; leave model.prior at \"standard\"")
        })?;
        rule(!model.conditional, || format!("{kind} has no place for labels; set model.conditional = false"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::config;

    #[test]
    fn groups_have_the_shapes_of_their_maps() {
        let groups = |settings: &[&str]| config(settings).latent_groups();
        assert_eq!(groups(&["model.z_dim=7"]), [[7, 1, 1]]);
        let ladder = ["model.kind=ladder", "model.groups=2,1", "data.image_size=16", "model.z_dim=192"];
        assert_eq!(groups(&ladder), [[2, 4, 4], [2, 4, 4], [2, 8, 8]]); // 2·16 + 64 = 96 places
        config(&ladder).check().unwrap();
        assert!(config(&ladder).is_hierarchical() && !config(&[]).is_hierarchical());
    }

    #[test]
    fn each_rule_names_its_key_and_the_remedy() {
        let ladder = ["model.kind=ladder", "model.groups=2,1", "data.image_size=16", "model.z_dim=96"];
        for (settings, says) in [
            (&["model.z_dim=100"][..], "have 2 × 4×4 + 1 × 8×8 = 96 places; set a multiple, such as 192"),
            (&["model.z_dim=1"], "set a multiple, such as 96"),
            (
                &["model.groups=7,6"],
                "model.groups = [7, 6]: give each size at least one group, and all sizes together at most 12",
            ),
            (&["data.image_size=1099511627776"], "places; set a multiple"),
            (&["data.image_size=18"], "ladder with 2 sizes of maps needs a multiple of 4; the next one is 20"),
            (&["loss.kind=iwae"], "works with loss.kind = \"beta\" or \"weighted\", not \"iwae\""),
            (&["loss.kind=tc"], "not \"tc\""),
            (&["model.prior=vamp"], "leave model.prior at \"standard\""),
            (&["model.conditional=true"], "set model.conditional = false"),
        ] {
            let message = config(&[&ladder[..], settings].concat()).check().unwrap_err().to_string();
            assert!(message.contains(says), "{settings:?}: {message}");
        }
        let many = format!("model.groups={}", ["1"; 64].join(","));
        for settings in [&["model.groups=7,6"][..], &["model.kind=ladder", &many, "data.image_size=4096"]] {
            let message = config(settings).check().unwrap_err().to_string();
            assert!(message.contains("model.groups"), "{message}");
        }
    }
}
