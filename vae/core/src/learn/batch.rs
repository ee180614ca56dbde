//! The input of a learner: images, labels, and noise.

use tensor::{Device, Tensor};

use crate::objective::ScheduleContext;
use crate::random::{Purpose, image_noise};

/// A batch of images on the device that computes.
pub struct Batch {
    /// The model input, `[batch, channels, size, size]`.
    pub images: Tensor,
    /// The reconstruction target: the images, or without their noise if `data.noise_target` is `clean`.
    pub target: Tensor,
    /// The label of each image.
    pub labels: Vec<usize>,
    /// The time of the batch and the size of its split.
    pub schedule: ScheduleContext,
    noise: Noise,
}

/// What the noise depends on.
enum Noise {
    Step { seed: u64, step: u64 },
    Images { seed: u64, images: Vec<usize> },
}

impl Batch {
    /// Creates a training batch. Its noise depends on the step.
    pub fn of_step(images: Tensor, labels: Vec<usize>, schedule: ScheduleContext, seed: u64, step: u64) -> Batch {
        Batch { target: images.clone(), images, labels, schedule, noise: Noise::Step { seed, step } }
    }

    /// Creates a batch whose noise depends on each image. `members` are the indices of the images in their
    /// [`Images`](crate::data::Images).
    pub fn of_images(
        images: Tensor,
        labels: Vec<usize>,
        schedule: ScheduleContext,
        seed: u64,
        members: Vec<usize>,
    ) -> Batch {
        Batch { target: images.clone(), images, labels, schedule, noise: Noise::Images { seed, images: members } }
    }

    /// Returns standard normal noise, `[batch, width]`. Repeated calls return the same numbers.
    pub fn noise(&self, width: usize) -> Tensor {
        let noise = match &self.noise {
            Noise::Step { seed, step } => {
                Purpose::TrainNoise.stream(*seed, *step).normal_tensor([self.labels.len(), width])
            }
            Noise::Images { seed, images } => image_noise(*seed, images, width),
        };
        noise.upload(&self.device())
    }

    /// Returns places in latents `[batch, width]`, whole numbers `[batch·width]`: the value of a latent for an image is taken from
    /// another image, which a random permutation of the images chooses, one for each latent. Repeated calls return the same places.
    pub fn permutation(&self, width: usize) -> Tensor {
        let count = self.labels.len();
        let keys = |stream: u64, seed: u64, rows: usize| {
            Purpose::Permutation.stream(seed, stream).uniform_tensor([rows, width], 0.0, 1.0).data().to_vec()
        };
        let keys: Vec<f32> = match &self.noise {
            Noise::Step { seed, step } => keys(*step, *seed, count),
            Noise::Images { seed, images } => images.iter().flat_map(|&image| keys(image as u64, *seed, 1)).collect(),
        };
        let mut places = vec![0.0; count * width];
        for latent in 0..width {
            // The images in the order of their keys are a permutation.
            let mut images: Vec<usize> = (0..count).collect();
            images.sort_by(|&a, &b| keys[a * width + latent].total_cmp(&keys[b * width + latent]));
            for (image, from) in images.into_iter().enumerate() {
                places[image * width + latent] = (from * width + latent) as f32;
            }
        }
        Tensor::new(&places, [count * width]).upload(&self.device())
    }

    /// Returns the device of the batch.
    pub fn device(&self) -> Device {
        self.images.device()
    }
}
