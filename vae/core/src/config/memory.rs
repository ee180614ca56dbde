//! An estimate of the memory that training needs, made before any of it is allocated.
//!
//! - Each weight is stored ten times: the weight, its gradient, Adam's two moments, and a checkpoint that is being
//!   written, which holds the weight and the moments twice. `train.ema` adds three copies, and early stopping, which
//!   keeps the best weights, adds one.
//! - The feature maps of a batch, or of one of its shards, are counted as often as the backward pass needs them, and half as often with
//!   `train.activation_checkpointing`.

use super::{Config, DataKind, Down, LossKind, ModelKind, ModelPrior};
use crate::error::{Error, Result};

const GIB: f64 = (1_u64 << 30) as f64;

impl Config {
    /// Checks that training by so many processes fits into `available` bytes of memory of each.
    ///
    /// # Errors
    /// If [`Config::memory`] is larger. The message names the keys to lower.
    pub fn check_memory(&self, available: u64, processes: usize) -> Result<()> {
        let need = self.memory(processes);
        if need <= available as f64 {
            return Ok(());
        }
        let model = &self.model;
        let sizes = match model.body() {
            ModelKind::Resnet18
            | ModelKind::Resnet50
            | ModelKind::Vgg11
            | ModelKind::Vgg16
            | ModelKind::Alexnet
            | ModelKind::Skip
            | ModelKind::Ladder => format!("model.width ({})", model.width),
            ModelKind::Basic | ModelKind::Conv3 => format!("model.widths ({:?})", model.conv_widths()),
            _ => format!("model.hidden ({}), model.layers ({})", model.hidden, model.layers),
        };
        let sizes = match self.loss.kind {
            LossKind::VaeGan => {
                format!("{sizes}, loss.discriminator_channels ({:?})", self.loss.discriminator_channels)
            }
            _ => sizes,
        };
        let loss = &self.loss;
        let others: String = [
            ("data.classes", self.label_inputs()),
            ("loss.samples", if loss.kind == LossKind::Iwae { loss.samples } else { 0 }),
            ("loss.bounds", if loss.kind == LossKind::Iwae { loss.bounds } else { 0 }),
            ("model.pseudo_inputs", if model.prior == ModelPrior::Vamp { model.pseudo_inputs } else { 0 }),
            ("model.codes", if model.kind == ModelKind::Vq { model.codes } else { 0 }),
            ("model.z_dim", if model.is_vae() { model.z_dim } else { 0 }),
        ]
        .into_iter()
        .filter(|&(_, value)| value > 0)
        .map(|(key, value)| format!(", {key} ({value})"))
        .collect();
        Err(Error::config(format!(
            "this run needs about {:.1} GiB of memory, but only {:.1} GiB are free; \
             lower some of train.batch_size ({}), data.image_size ({}), {sizes}{others}",
            need / GIB,
            available as f64 / GIB,
            self.train.batch_size,
            self.image_size()
        )))
    }

    /// Returns an estimate of the memory that training by so many processes needs in each of them, in bytes.
    pub fn memory(&self, processes: usize) -> f64 {
        let shards = self.train.shards.max(1);
        // A process computes its shards in turn, or all together if batch norm has the statistics of the whole batch.
        let together = if self.train.sync_batch_norm { shards.div_ceil(processes.max(1)) } else { 1 };
        let batch = (self.train.batch_size / shards * together).min(self.train_images().unwrap_or(usize::MAX)) as f64;
        let (weights, maps) = self.weights_and_maps();
        let pixels = (self.channels() as f64) * (self.image_size() as f64).powi(2);
        let pairs = match self.loss.kind {
            LossKind::Tc => batch,        // of images and posteriors
            LossKind::Mmd => 3.0 * batch, // of latents, of draws from the prior, and of both
            _ => 0.0,
        };
        let latents = 8.0 * (1.0 + pairs) * self.model.z_dim as f64;
        let train = &self.train;
        let pseudo_inputs = if self.model.prior == ModelPrior::Vamp { self.model.pseudo_inputs as f64 } else { 0.0 };
        let (weights, latents) =
            (weights + pseudo_inputs * pixels, latents + 16.0 * pseudo_inputs * self.model.z_dim as f64);
        let batch = batch + pseudo_inputs; // of images that are encoded
        let maps = if train.activation_checkpointing { 0.5 * maps } else { maps };
        let copies = 10.0 + if train.ema > 0.0 { 3.0 } else { 0.0 } + if train.early_stopping > 0 { 1.0 } else { 0.0 };
        // The gradients of the shards are added by a tree. A sum is kept for each of its levels.
        let copies = copies + f64::from(shards.ilog2());
        // The encoder sees an image once, the decoder, about half of the maps, once for each draw. With a second player there are draws
        // from the prior too.
        let decoded = match self.loss.kind {
            LossKind::VaeGan => 2.0,    // the decoder makes three images for each one
            LossKind::SoftIntro => 3.0, // encoder and decoder see three each
            _ => 0.5 * (1.0 + self.draws() as f64),
        };
        // A conditional encoder sees a plane for each label: a copy that is expanded, one that is filled, and one beside the image.
        let planes = 3.0 * self.label_inputs() as f64 * (self.image_size() as f64).powi(2);
        4.0 * (copies * weights + batch * (planes + decoded * (maps + 8.0 * pixels + latents))) + self.images()
    }

    /// Returns estimates of the size of the weights, and of all feature maps and pixels of one image, in bytes.
    pub fn weight_and_image_bytes(&self) -> [f64; 2] {
        let (weights, maps) = self.weights_and_maps();
        [4.0 * weights, 4.0 * (maps + self.channels() as f64 * (self.image_size() as f64).powi(2))]
    }

    /// Returns the size in bytes of images that are kept in memory, scaled to the model's size or with one bit per
    /// pixel. Pictures of `folder` are counted when they are listed. The other data sets are small.
    fn images(&self) -> f64 {
        let (train, others) = match self.data.kind {
            DataKind::Stl10 => (105_000, 8_000),
            DataKind::StanfordDogs => (12_000, 8_580),
            DataKind::Celeba => (162_770, 39_829),
            DataKind::Chairs => (71_982, 14_384),
            DataKind::Dsprites => return 737_280.0 * 512.0,
            _ => return 0.0,
        };
        let train = if self.data.limit == 0 { train } else { train.min(self.data.limit) };
        (train + others) as f64 * self.channels() as f64 * (self.image_size() as f64).powi(2)
    }

    /// Returns the number of weights, and the number of values that a step keeps of one image besides its pixels and
    /// latents.
    fn weights_and_maps(&self) -> (f64, f64) {
        let (model, area) = (&self.model, (self.image_size() as f64).powi(2));
        let w = model.width as f64;
        match model.kind {
            ModelKind::Classifier => (2_730.0 * w * w, 7.0 * w * area),
            ModelKind::Vq | ModelKind::Fsq => {
                let (weights, maps) = self.body_weights_and_maps(0.0);
                let (codes, width) = (model.code_count() as f64, model.code_length() as f64);
                // The running averages of the codes, the distance of each position to each code, and the nearest codes.
                let places = area / (model.divisor() as f64).powi(2);
                let book = if model.kind == ModelKind::Vq { 2.0 * codes * width } else { codes };
                (weights + book, maps + places * (4.0 * codes + 8.0 * width))
            }
            _ => {
                let (weights, maps) = self.body_weights_and_maps(self.decoder_inputs() as f64);
                let (discriminator, features) = self.discriminator_weights_and_maps();
                (weights + discriminator, maps + features)
            }
        }
    }

    /// Returns the same for the discriminator. That of `factor` and of `csvae` sees the latents up to three times, that of `vae-gan` six images for each one.
    fn discriminator_weights_and_maps(&self) -> (f64, f64) {
        let loss = &self.loss;
        match loss.kind {
            LossKind::Factor | LossKind::Csvae => {
                let (width, layers) = (loss.discriminator_width as f64, loss.discriminator_layers as f64);
                (width * (self.model.z_dim as f64 + (layers - 1.0) * width), 6.0 * width * layers)
            }
            LossKind::VaeGan => {
                let (mut side, mut inputs) = (self.image_size() as f64, self.channels() as f64);
                let (mut weights, mut maps) = (0.0, 0.0);
                for &channels in &loss.discriminator_channels {
                    side /= 2.0;
                    weights += 16.0 * inputs * channels as f64;
                    maps += 12.0 * channels as f64 * side * side;
                    inputs = channels as f64;
                }
                (weights + inputs * side * side, maps)
            }
            _ => (0.0, 0.0),
        }
    }

    /// Returns the same for an encoder and a decoder with `z` latents.
    fn body_weights_and_maps(&self, z: f64) -> (f64, f64) {
        let (model, area) = (&self.model, (self.image_size() as f64).powi(2));
        let w = model.width as f64;
        match model.body() {
            ModelKind::Resnet18 => (5_500.0 * w * w + 24.0 * w * z, 14.0 * w * area), // 22.5 million at width 64, z 0
            ModelKind::Resnet50 => (11_500.0 * w * w + 96.0 * w * z, 50.0 * w * area),
            // The decoder of resnet18 has half of its weights and maps.
            ModelKind::Vgg11 => (5_020.0 * w * w + 24.0 * w * z, 12.0 * w * area),
            ModelKind::Vgg16 => (6_360.0 * w * w + 24.0 * w * z, 16.0 * w * area),
            ModelKind::Alexnet => (3_370.0 * w * w + 16.0 * w * z, 8.0 * w * area),
            ModelKind::Skip => (1_910.0 * w * w + (108.0 + area / 16.0) * w * z, 14.0 * w * area),
            ModelKind::Basic | ModelKind::Conv3 => {
                let widths = model.conv_widths();
                let pairs = widths.windows(2).map(|pair| pair[0] as f64 * pair[1] as f64).sum::<f64>();
                let last = widths.last().map_or(0.0, |&last| last as f64);
                let flat = last * area / 4_f64.powi(widths.len() as i32);
                let kept = if model.down == Down::Pool { 12.0 } else { 5.0 };
                let maps = widths.iter().zip(0..).map(|(&w, i)| kept * w as f64 * area / 4_f64.powi(i)).sum::<f64>();
                let kernels = match model.body() {
                    ModelKind::Basic => 18.0 * pairs + 9.0 * last * last,
                    _ => 25.0 * pairs, // 3×3 and 4×4
                };
                (kernels + 3.0 * flat * z, maps)
            }
            ModelKind::Ladder => {
                let sizes = model.groups.len() as i32;
                // The groups on maps of each size, and the squares of their channels and their numbers of values.
                let each = model.groups.iter().enumerate().map(|(i, &count)| {
                    let doublings = sizes - 1 - i as i32;
                    let (channels, side) = (w * 2_f64.powi(doublings), area / 4_f64.powi(doublings + 1));
                    (count as f64, channels * channels, channels * side)
                });
                // A group: a cell and the convolution that joins s and h; a size: a cell, and convolutions down and up.
                each.fold((0.0, 0.0), |(weights, maps), (count, squares, values)| {
                    (weights + squares * (36.0 * count + 24.0), maps + values * (16.0 * count + 14.0))
                })
            }
            _ => {
                let (hidden, layers) = (model.hidden as f64, model.layers as f64);
                let pixels = self.encoder_channels() as f64 * area;
                (hidden * (2.0 * pixels + 3.0 * z + 2.0 * (layers - 1.0) * hidden), 6.0 * hidden * layers)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::config;
    use crate::learn::build;

    #[test]
    fn a_run_that_does_not_fit_is_refused() {
        config(&["model.width=64"]).check_memory(8 << 30, 1).unwrap();
        for absurd in
            ["model.width=1000000000", "model.z_dim=4000000000000", "data.image_size=160000000", "model.width=4096"]
        {
            config(&[absurd]).check_memory(64 << 30, 1).unwrap_err();
        }
        config(&["train.batch_size=9000000000000000000"]).check_memory(16 << 30, 1).unwrap_err(); // all 8,334 images at once
        let large = ["model.kind=dense", "train.batch_size=8192", "loss.kind=tc"];
        config(&large[..2]).check_memory(16 << 30, 1).unwrap();
        config(&large).check_memory(16 << 30, 1).unwrap_err(); // 8192² pairs of 128 latents
        for (kind, absurd) in [
            ("resnet50", "model.width=2048"),
            ("skip", "model.width=8192"),
            ("basic", "model.widths=10,400000"),
            ("conv3", "model.widths=4000000000000"),
            ("dense", "model.hidden=10000000"),
            ("dense", "model.layers=9000000000000"),
        ] {
            let refused = config(&[&format!("model.kind={kind}"), absurd]).check_memory(64 << 30, 1).unwrap_err();
            let key = absurd.split('=').next().unwrap();
            assert!(refused.to_string().contains(key), "{refused}");
        }
        // Keys of one kind of model or loss are named where they are used.
        let says = |settings: &[&str]| config(settings).check_memory(1 << 20, 1).unwrap_err().to_string();
        assert!(says(&[]).contains("model.z_dim (") && !says(&[]).contains("loss.samples"));
        assert!(says(&["loss.kind=iwae", "loss.samples=50"]).contains("loss.samples (50), loss.bounds (1)"));
        let vq = says(&["model.kind=vq"]);
        assert!(vq.contains("model.codes (") && !vq.contains("model.z_dim"), "{vq}");
    }

    #[test]
    fn accumulated_batches_need_the_memory_of_one_and_checkpoints_that_of_half() {
        let need = |settings: &[&str]| config(settings).memory(1);
        let (one, whole) = ("train.batch_size=64", "train.batch_size=256");
        assert_eq!(need(&[one, "train.accumulate=4"]), need(&[one]));
        let [shards, weights] = [need(&[whole, "train.shards=4"]), 4.0 * config(&[one]).weights_and_maps().0];
        assert_eq!(shards, need(&[one]) + 2.0 * weights);
        let together = config(&[whole, "train.shards=4", "train.sync_batch_norm=true"]);
        let of = |processes| together.memory(processes) - 2.0 * weights;
        assert_eq!([of(1), of(4)], [need(&[whole]), need(&[one])]);
        let (kept, again) = (need(&[whole]), need(&[whole, "train.activation_checkpointing=true"]));
        let maps = 4.0 * 256.0 * config(&[whole]).weights_and_maps().1;
        assert_eq!(kept - again, 0.5 * maps);
    }

    #[test]
    fn images_in_memory_and_planes_of_labels_are_counted() {
        let need = |settings: &[&str]| config(settings).memory(1);
        let (few, all) = (need(&["data.kind=celeba", "data.limit=1000"]), need(&["data.kind=celeba"]));
        assert_eq!(all - few, 161_770.0 * 3.0 * 64.0 * 64.0);
        let labelled = ["model.conditional=true", "data.classes=1000"];
        let more = need(&labelled) - need(&["model.conditional=true", "data.classes=1"]);
        assert!(more > 64.0 * 999.0 * 4.0 * 3.0 * 32.0 * 32.0, "three planes for each label and image: {more}");
        let refused = config(&["model.conditional=true", "data.classes=65536"]).check_memory(32 << 30, 1).unwrap_err();
        assert!(refused.to_string().contains("data.classes (65536)"), "{refused}");
        let refused = config(&["data.kind=celeba", "data.image_size=512"]).check_memory(64 << 30, 1).unwrap_err();
        assert!(refused.to_string().contains("data.image_size (512)"), "{refused}");
    }

    #[test]
    fn estimated_weights_are_within_a_quarter() {
        for kind in [
            "vgg11",
            "vgg16",
            "alexnet",
            "resnet18",
            "resnet50",
            "basic",
            "conv3",
            "skip",
            "dense",
            "classifier",
            "vq",
            "fsq",
        ] {
            for setting in ["model.z_dim=20", "model.z_dim=512"] {
                let config = config(&[&format!("model.kind={kind}"), setting, "data.image_size=64"]);
                let mut truth = 0.0;
                nn::visit(&*build(&config), |_, slot| {
                    truth += match slot {
                        nn::Slot::Param(param) => param.shape().count(),
                        nn::Slot::Buffer(buffer) => buffer.shape().count(), // a codebook is a buffer
                    } as f64;
                });
                let estimate = config.weights_and_maps().0;
                assert!((estimate / truth - 1.0).abs() < 0.25, "{kind}, {setting}: {estimate} for {truth}");
            }
        }
    }

    #[test]
    fn estimated_weights_of_a_ladder_are_within_a_quarter() {
        for (groups, z) in [("2,1,1", 352), ("1", 256), ("1,1,1,1,1", 341), ("6", 1536)] {
            let groups = format!("model.groups={groups}");
            let config = config(&["model.kind=ladder", &groups, &format!("model.z_dim={z}"), "data.image_size=32"]);
            let (estimate, truth) = (config.weights_and_maps().0, nn::count(&*build(&config)) as f64);
            assert!((estimate / truth - 1.0).abs() < 0.25, "{groups}: {estimate} for {truth}");
        }
    }
}
