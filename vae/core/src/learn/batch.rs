//! What a learner is given at once: images, what they show, and noise that is theirs.

use tensor::{Device, Tensor};

use crate::objective::ScheduleContext;
use crate::random::{Purpose, image_noise};

/// Images, on the device that computes.
pub struct Batch {
    /// `[batch, channels, size, size]`, as the model sees them.
    pub images: Tensor,
    /// What is to be given back: the images, unless those are noisy and the target is not.
    pub target: Tensor,
    /// What each shows.
    pub labels: Vec<usize>,
    /// When it comes, and out of how many images.
    pub schedule: ScheduleContext,
    noise: Noise,
}

/// What noise is drawn by.
enum Noise {
    Step { seed: u64, step: u64 },
    Images { seed: u64, images: Vec<usize> },
}

impl Batch {
    /// A batch of a training step: its noise is the step's.
    pub fn of_step(images: Tensor, labels: Vec<usize>, schedule: ScheduleContext, seed: u64, step: u64) -> Batch {
        Batch { target: images.clone(), images, labels, schedule, noise: Noise::Step { seed, step } }
    }

    /// A batch whose noise belongs to each image: `members` says where they are in the files they came from.
    pub fn of_images(
        images: Tensor,
        labels: Vec<usize>,
        schedule: ScheduleContext,
        seed: u64,
        members: Vec<usize>,
    ) -> Batch {
        Batch { target: images.clone(), images, labels, schedule, noise: Noise::Images { seed, images: members } }
    }

    /// Normal numbers for each image, `[batch, width]`: the same whenever they are asked for.
    pub fn noise(&self, width: usize) -> Tensor {
        let noise = match &self.noise {
            Noise::Step { seed, step } => {
                Purpose::TrainNoise.stream(*seed, *step).normal_tensor([self.labels.len(), width])
            }
            Noise::Images { seed, images } => image_noise(*seed, images, width),
        };
        noise.upload(&self.device())
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        self.images.device()
    }
}
