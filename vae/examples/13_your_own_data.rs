//! 13. Training on your own images.
//!
//!     cargo run -p vae --example 13_your_own_data
//!
//! A type that provides bytes of images implements `vae::data::Source`: it returns one image at a time and may be called from
//! any thread. In this example nothing is stored: each image is a bright blob, computed from its index on request. (A folder of
//! image files needs no code: `--set data.kind=folder`.)
//!
//! Next: `14_your_own_model.rs`.

use pollster::block_on;
use tensor::Device;
use vae::Result;
use vae::config::Settings;
use vae::data::{Dataset, Images, Source, Split};
use vae::learn;
use vae::train::Trainer;

const SIZE: usize = 16;

/// Images of a blob, whose position follows from the image's index.
#[derive(Debug)]
struct Blobs;

impl Blobs {
    fn centre(index: usize) -> [f32; 2] {
        [index * 37 % 101, index * 61 % 97].map(|x| 3.0 + x as f32 / 10.0)
    }
}

impl Source for Blobs {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        let [cy, cx] = Blobs::centre(index);
        for (i, byte) in out.iter_mut().enumerate() {
            let [dy, dx] = [(i / SIZE) as f32 - cy, (i % SIZE) as f32 - cx];
            *byte = (255.0 * (-(dy * dy + dx * dx) / 6.0).exp()) as u8;
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        0
    }
}

/// `count` images, labelled by the half in which the blob is.
fn blobs(count: usize) -> Split {
    let label = |i: usize| u16::from(Blobs::centre(i)[1] > SIZE as f32 / 2.0);
    Split::all(Images::new(Blobs, (0..count).map(label).collect(), 1, [SIZE, SIZE]).with_class_names(["left", "right"]))
}

fn main() -> Result<()> {
    let mut settings = Settings::default();
    for setting in
        ["model.kind=dense", "model.hidden=64", "model.z_dim=4", "data.image_size=16", "train.learning_rate=0.003"]
    {
        settings.assignment(setting)?;
    }
    let config = settings.resolve()?;
    config.check()?;

    let dataset = Dataset::new(&config, [blobs(4096), blobs(512), blobs(512)])?; // training, validation, test
    let model = learn::build(&config);
    let mut trainer = Trainer::from_learner(config, dataset, model, Device::Cpu);
    let before = block_on(trainer.validate())?;
    for epoch in 1..=10 {
        block_on(trainer.epoch(epoch, &mut |_| true))?;
    }
    let after = block_on(trainer.validate())?;
    println!("validation: {:.1} before, {:.1} after ten epochs", before.losses.total, after.losses.total);
    println!("KL of each latent: {:.2?}", after.kl_per_dim);
    println!("A KL of 0 means that the latent carries no information about the image.");
    assert!(after.losses.total < 0.5 * before.losses.total);
    Ok(())
}
