//! A PyTorch module for an exported model: Python code that needs nothing but PyTorch. Its function `load(path)` returns
//! the model with methods that take and return pixels.
//!
//! The code is in the folder `pytorch`. `model.py` loads a file, `vae.py`, `vq.py`, `ladder.py` and `classifier.py` contain what a
//! model does, and the others the layers of its encoder and decoder. Each of these files can be imported on its own. The
//! exported file consists of those that a kind of model needs, without their imports of each other.

use vae_core::config::{Config, ModelKind};

/// The line after the imports of a file.
const START: &str = "\n# ---- exported ----\n";

const MODEL: &str = include_str!("pytorch/model.py");
const VAE: &str = include_str!("pytorch/vae.py");
const VQ: &str = include_str!("pytorch/vq.py");
const CLASSIFIER: &str = include_str!("pytorch/classifier.py");
const LADDER: &str = include_str!("pytorch/ladder.py");
const DENSE: &str = include_str!("pytorch/dense.py");
const CONVOLUTIONAL: &str = include_str!("pytorch/convolutional.py");
const RESNET_ENCODER: &str = include_str!("pytorch/resnet_encoder.py");
const RESNET_DECODER: &str = include_str!("pytorch/resnet_decoder.py");
const VGG_ENCODER: &str = include_str!("pytorch/vgg_encoder.py");
const SKIP: &str = include_str!("pytorch/skip.py");

/// Returns the Python code for models of this kind.
pub fn module(config: &Config) -> String {
    let model = match config.model.kind {
        ModelKind::Classifier => CLASSIFIER,
        ModelKind::Vq | ModelKind::Fsq => VQ,
        ModelKind::Ladder => LADDER,
        _ => VAE,
    };
    let layers: &[&str] = match config.model.body() {
        _ if config.model.kind == ModelKind::Classifier => &[RESNET_ENCODER],
        ModelKind::Resnet18 | ModelKind::Resnet50 => &[RESNET_ENCODER, RESNET_DECODER],
        ModelKind::Vgg11 | ModelKind::Vgg16 | ModelKind::Alexnet => &[RESNET_ENCODER, RESNET_DECODER, VGG_ENCODER],
        ModelKind::Basic | ModelKind::Conv3 => &[CONVOLUTIONAL],
        ModelKind::Skip => &[SKIP],
        ModelKind::Dense => &[DENSE],
        ModelKind::Ladder => &[],
        kind @ (ModelKind::Classifier | ModelKind::Vq | ModelKind::Fsq) => {
            unreachable!("{kind} has the layers of another kind")
        }
    };
    let parts = [model].into_iter().chain(layers.iter().copied());
    parts.fold(MODEL.to_owned(), |code, part| {
        let (_, part) = part.split_once(START).expect("each file has this line");
        code + part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_consists_of_what_its_kind_needs() {
        let files =
            [VAE, VQ, CLASSIFIER, LADDER, DENSE, CONVOLUTIONAL, RESNET_ENCODER, RESNET_DECODER, VGG_ENCODER, SKIP];
        let exported = |file: &str| file.split_once(START).unwrap().1.to_owned();
        for (kind, encoder, expected) in [
            (ModelKind::Resnet18, ModelKind::Basic, &[VAE, RESNET_ENCODER, RESNET_DECODER][..]),
            (ModelKind::Resnet50, ModelKind::Basic, &[VAE, RESNET_ENCODER, RESNET_DECODER]),
            (ModelKind::Vgg16, ModelKind::Basic, &[VAE, RESNET_ENCODER, RESNET_DECODER, VGG_ENCODER]),
            (ModelKind::Basic, ModelKind::Basic, &[VAE, CONVOLUTIONAL]),
            (ModelKind::Conv3, ModelKind::Basic, &[VAE, CONVOLUTIONAL]),
            (ModelKind::Skip, ModelKind::Basic, &[VAE, SKIP]),
            (ModelKind::Dense, ModelKind::Basic, &[VAE, DENSE]),
            (ModelKind::Ladder, ModelKind::Basic, &[LADDER]),
            (ModelKind::Vq, ModelKind::Basic, &[VQ, CONVOLUTIONAL]),
            (ModelKind::Vq, ModelKind::Resnet18, &[VQ, RESNET_ENCODER, RESNET_DECODER]),
            (ModelKind::Vq, ModelKind::Skip, &[VQ, SKIP]),
            (ModelKind::Fsq, ModelKind::Basic, &[VQ, CONVOLUTIONAL]),
            (ModelKind::Classifier, ModelKind::Basic, &[CLASSIFIER, RESNET_ENCODER]),
        ] {
            let mut config = Config::default();
            (config.model.kind, config.model.encoder) = (kind, encoder);
            let code = module(&config);
            assert!(code.starts_with(MODEL), "{kind}");
            for file in files {
                assert_eq!(code.contains(&exported(file)), expected.contains(&file), "{kind}: {}", &file[..60]);
            }
        }
    }
}
