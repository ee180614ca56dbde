//! The feature maps of a network: the output of each stage of encoder and decoder for one image, without noise (z =
//! mu).

use autograd::no_grad;
use nn::{ForwardContext, Trace};
use tensor::Tensor;

use crate::error::Result;
use crate::learn::{Batch, Learner};
use crate::objective::{END, ScheduleContext};

/// The feature maps at the end of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The name of the stage in the model: `encoder.stem`, `encoder.layer1`, … `decoder.layer1`.
    pub name: String,
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// The values, in the order of `shape`.
    pub maps: Vec<f32>,
}

/// Returns the stages of the network for an image, `[1, channels, size, size]`, in order. A conditional model uses
/// `label`. A model of linear layers has no stages.
///
/// # Errors
/// If the device fails.
pub async fn stages(model: &dyn Learner, image: &Tensor, label: usize) -> Result<Vec<Stage>> {
    let trace = Trace::default();
    let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
    let schedule = ScheduleContext { epochs: END, images: 1 };
    // An evaluation runs the decoder twice. The trace keeps the last run, which is the reconstruction from z = mu.
    no_grad(|| model.evaluate(&Batch::of_images(image.clone(), vec![label], schedule, 0, vec![0]), &ctx));
    let mut stages = Vec::new();
    for (name, maps) in trace.stages() {
        let [_, channels, height, width] = maps.shape().nchw("stages");
        stages.push(Stage { name, shape: [channels, height, width], maps: maps.value().read().await? });
    }
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use autograd::Var;
    use pollster::block_on;
    use tensor::Generator;

    use super::*;
    use crate::config::{Config, Settings};
    use crate::{learn, model};

    fn config(settings: &[&str]) -> Config {
        let mut all = Settings::default();
        ["model.width=2", "model.z_dim=3"].iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        config
    }

    fn described(settings: &[&str]) -> String {
        let config = config(settings);
        let (channels, size) = (config.channels(), config.image_size());
        let image = Generator::new(1).uniform_tensor([1, channels, size, size], 0.0, 1.0);
        let stages = block_on(stages(&*learn::build(&config), &image, 3)).unwrap();
        assert!(stages.iter().all(|stage| stage.maps.len() == stage.shape.iter().product::<usize>()));
        let words = stages.iter().map(|Stage { name, shape: [c, h, w], .. }| format!("{name} {c}x{h}x{w}"));
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_stage_is_there_with_its_name_and_shape() {
        let encoder = "encoder.stem 2x16x16, encoder.layer1 2x16x16, encoder.layer2 4x8x8, encoder.layer3 8x4x4, \
                       encoder.layer4 16x2x2";
        let decoder = "decoder.layer4 8x4x4, decoder.layer3 4x8x8, decoder.layer2 2x16x16, decoder.layer1 2x16x16";
        let both = format!("{encoder}, {decoder}");
        assert_eq!(described(&["model.kind=resnet18"]), both);
        assert_eq!(described(&["model.conditional=true", "model.batch_norm=false"]), both);
        assert_eq!(described(&["loss.kind=vae-gan", "loss.discriminator_channels=2"]), both);
        assert_eq!(described(&["loss.kind=soft-intro"]), both);
        assert_eq!(described(&["model.kind=vq", "model.encoder=resnet18"]), both);
        assert_eq!(
            described(&["model.kind=alexnet", "data.image_size=64"]),
            "encoder.stage1 2x7x7, encoder.stage2 6x3x3, encoder.stage3 8x1x1, decoder.layer4 8x8x8, decoder.layer3 4x16x16, \
             decoder.layer2 2x32x32, decoder.layer1 2x32x32"
        );
        assert_eq!(described(&["model.kind=classifier"]), encoder);
        assert_eq!(
            described(&["model.kind=resnet50", "data.channels=3"]),
            "encoder.stem 2x16x16, encoder.layer1 8x16x16, encoder.layer2 16x8x8, encoder.layer3 32x4x4, \
             encoder.layer4 64x2x2, decoder.layer4 32x4x4, decoder.layer3 16x8x8, decoder.layer2 8x16x16, \
             decoder.layer1 2x16x16"
        );
        assert!(
            described(&["model.stem=7x7-pool", "data.image_size=64"])
                .starts_with("encoder.stem 2x16x16, encoder.layer1")
        );
        assert_eq!(
            described(&["model.kind=skip"]),
            "encoder.down1 2x16x16, encoder.down2 4x8x8, encoder.down3 8x4x4, encoder.down4 16x2x2, decoder.up1 16x2x2, \
             decoder.up2 8x4x4, decoder.up3 4x8x8, decoder.up4 2x16x16, decoder.up5 1x32x32"
        );
        assert_eq!(
            described(&["model.kind=basic", "model.widths=3,4", "data.image_size=28"]),
            "encoder.conv1 3x14x14, encoder.conv2 4x7x7, decoder.conv1 4x14x14, decoder.conv2 3x28x28"
        );
        assert_eq!(
            described(&["model.kind=conv3", "model.widths=3,4,5", "model.down=pool"]),
            "encoder.conv1 3x16x16, encoder.conv2 4x8x8, encoder.conv3 5x4x4, decoder.conv1 4x8x8, decoder.conv2 3x16x16"
        );
        assert_eq!(described(&["model.kind=dense"]), "");
    }

    /// The feature maps are those of z = mu, as in the reconstruction.
    #[test]
    fn the_decoder_s_maps_are_without_noise() {
        let config = config(&["model.kind=resnet18"]);
        let image = Generator::new(1).uniform_tensor([1, 1, 32, 32], 0.0, 1.0);
        let stages = block_on(stages(&*learn::build(&config), &image, 0)).unwrap();
        let (vae, trace) = (model::build(&config), Trace::default());
        let ctx = ForwardContext { trace: Some(&trace), ..ForwardContext::eval() };
        let (mu, _) = vae.encode(&Var::constant(image), &ctx);
        vae.decode(&mu, &ctx);
        for (stage, (name, maps)) in stages.iter().zip(trace.stages()) {
            assert_eq!((&stage.name, &stage.maps[..]), (&name, maps.value().data()));
        }
        assert_eq!(stages.len(), 9);
    }
}
