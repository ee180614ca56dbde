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

    /// Returns the device of the batch.
    pub fn device(&self) -> Device {
        self.images.device()
    }
}
