//! The latent explorer without a server: a worker asks it what the page of `vae explore` asks the server.

use std::path::Path;
use std::sync::Arc;

use tensor::Device;
use vae_core::data::{Augmentation, Dataset, Images, Split};
use vae_core::{Error, Result};
use vae_explore::{Answer, Explorer, Question};
use vae_run::LoadedRun;

/// Test images that an exported page brings along.
#[derive(Clone, Debug, Default)]
pub struct TestImages {
    /// The pixels of images of the model's shape, plane by plane and image after image.
    pub pixels: Vec<u8>,
    /// The label of each image.
    pub labels: Vec<u16>,
    /// The names of the labels.
    pub class_names: Vec<String>,
}

/// An explorer of a checkpoint.
pub struct Exploration {
    explorer: Explorer,
}

impl Exploration {
    /// Opens a checkpoint. Without `images`, those of built-in data sets are used, and those of other data sets are missing.
    ///
    /// # Errors
    /// If the checkpoint is damaged, the model has no latents, or the images do not have its shape.
    pub fn open(name: &str, checkpoint: &[u8], images: Option<TestImages>) -> Result<Exploration> {
        let mut run = LoadedRun::of_checkpoint(name, checkpoint, |_| {}, Device::Cpu)?;
        if let Some(TestImages { pixels, labels, class_names }) = images {
            let [channels, height, width] = run.predictor.transform.shape();
            if pixels.len() != labels.len() * channels * height * width {
                let what = format!("the {} test images of this page do not have the model's shape", labels.len());
                return Err(Error::config(what));
            }
            let images = Arc::new(named(Images::new(pixels, labels, channels, [height, width]), class_names)?);
            let all = Split::new(images.clone(), (0..images.count()).collect());
            let none = Split::new(images, Vec::new());
            let transform = run.predictor.transform.clone();
            let augmentation = Augmentation::new(&run.predictor.config);
            let (validation, notes) = (none.clone(), Vec::new());
            let dataset = Dataset { train: none, validation, test: all, transform, augmentation, notes };
            let epoch = run.epoch;
            run = LoadedRun::of_parts(Path::new(name), run.predictor, dataset, Vec::new());
            run.epoch = epoch;
        }
        Ok(Exploration { explorer: Explorer::new(run)? })
    }

    /// Answers a request: its path with the query, and its body.
    ///
    /// # Errors
    /// If the request is wrong.
    pub fn answer(&self, request: &str, body: Vec<u8>) -> Result<Answer> {
        self.explorer.answer(Question::parse(request, body)?)
    }
}

/// Images whose labels have names, if there are any.
pub(crate) fn named(images: Images, names: Vec<String>) -> Result<Images> {
    match names.len() {
        0 => Ok(images),
        count if count < images.classes() => {
            Err(Error::config(format!("there are {} labels, but {count} names of labels", images.classes())))
        }
        _ => Ok(images.with_class_names(names)),
    }
}
