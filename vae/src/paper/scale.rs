//! Runs that are smaller than the paper's: a share of its epochs and of the channels of its models.
//!
//! ```text
//! seconds = images · epochs / speed · width^1.3
//! ```
//!
//! The arithmetic of a convolution falls with the square of its channels, but narrow ones are computed less efficiently. Between
//! the full width and a quarter of it the measured speeds of ResNet-18 and of three convolutions differ by factors of 6.7 and 6.1,
//! hence the power. Dense models have no width here.

use serde::{Deserialize, Serialize};
use vae_core::config::{Config, ModelKind};

/// The power of the width in the time of a step.
pub const POWER: f64 = 1.3;
/// The fewest channels of a layer, and the fewest epochs, that a scale leaves.
const FEWEST_CHANNELS: usize = 8;
const FEWEST_EPOCHS: usize = 4;

/// The shares of the paper's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The share of its epochs.
    pub epochs: f64,
    /// The share of its channels.
    pub width: f64,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale { epochs: 1.0, width: 1.0 }
    }
}

/// The channels of each layer that the width scales; none for a model without convolutions.
pub fn channels(config: &Config) -> Vec<usize> {
    match config.model.kind {
        ModelKind::Basic | ModelKind::Conv3 => config.model.conv_widths().to_vec(),
        ModelKind::Dense | ModelKind::Vq | ModelKind::Fsq => Vec::new(),
        _ => vec![config.model.width],
    }
}

impl Scale {
    /// Changes a configuration to this scale.
    pub fn apply(&self, config: &mut Config) {
        let epochs = &mut config.train.epochs;
        *epochs = ((*epochs as f64 * self.epochs).round() as usize).max(FEWEST_EPOCHS.min(*epochs));
        if self.width == 1.0 {
            return;
        }
        let scaled = |of: usize| ((of as f64 * self.width).round() as usize).max(FEWEST_CHANNELS.min(of));
        match config.model.kind {
            ModelKind::Basic | ModelKind::Conv3 => {
                config.model.widths = config.model.conv_widths().iter().map(|&of| scaled(of)).collect();
            }
            ModelKind::Dense | ModelKind::Vq | ModelKind::Fsq => {}
            _ => config.model.width = scaled(config.model.width),
        }
    }
}

/// The time of a step of a model, as a share of that of a wider one.
pub fn share_of_time(narrow: &Config, wide: &Config) -> f64 {
    match (channels(narrow).first(), channels(wide).first()) {
        (Some(&narrow), Some(&wide)) => (narrow as f64 / wide as f64).powf(POWER),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(kind: ModelKind, scale: Scale) -> Config {
        let mut config = Config::default();
        (config.model.kind, config.model.width, config.train.epochs) = (kind, 64, 50);
        scale.apply(&mut config);
        config
    }

    #[test]
    fn a_scale_changes_epochs_and_channels() {
        let quarter = Scale { epochs: 0.3, width: 0.25 };
        assert_eq!(scaled(ModelKind::Conv3, quarter).model.widths, [16, 32, 64]);
        let residual = scaled(ModelKind::Resnet18, quarter);
        assert_eq!((residual.model.width, residual.train.epochs), (16, 15));
        let dense = scaled(ModelKind::Dense, quarter);
        assert_eq!((dense.train.epochs, channels(&dense).len(), share_of_time(&dense, &dense)), (15, 0, 1.0));
        let least = scaled(ModelKind::Resnet18, Scale { epochs: 0.001, width: 0.001 });
        assert_eq!((least.model.width, least.train.epochs), (8, 4));
        let whole = scaled(ModelKind::Resnet18, Scale::default());
        assert_eq!((whole.model.width, whole.train.epochs), (64, 50));
        let share = share_of_time(&residual, &whole);
        assert!((share - 0.25_f64.powf(1.3)).abs() < 1e-12, "{share}");
    }
}
