//! A step of the losses with two players has PyTorch's losses, and each player PyTorch's gradients of its own loss, though we take one
//! backward pass for all. `adversarial.py` wrote the numbers.

use std::path::Path;

use anyhow::Result;
use nn::{ForwardContext, Slot};
use reference::place::{everywhere, fetch};
use vae::config::Settings;
use vae::learn::{self, Batch};
use vae::objective::{END, ScheduleContext};

use crate::file::{File, agree};

const TOLERANCE: f64 = 2e-5;

/// Compares a step of this kind of loss with the golden file's. `parts` are its metrics.
fn compare(kind: &str, more: &[&str], parts: &[&str], noise: usize) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/adversarial.safetensors");
    let file = File::read(Path::new(path)).expect("a golden file");
    let get = |name: &str| file.get(&format!("{kind}/{name}"));
    let mut settings = Settings::default();
    ["model.kind=dense", "model.hidden=5", "model.z_dim=2", "model.output=sigmoid", "data.image_size=8"]
        .iter()
        .chain(&["data.normalise=unit", "loss.reconstruction=bce", "loss.beta=0.3", &format!("loss.kind={kind}")[..]])
        .chain(more)
        .for_each(|setting| settings.assignment(setting).expect("a setting"));
    let config = settings.resolve().expect("a configuration");
    config.check().expect("a valid configuration");
    everywhere(|device| {
        let learner = learn::build(&config);
        nn::visit(&*learner, |name, slot| {
            let value = get(name).unwrap_or_else(|error| panic!("{error:#}"));
            match slot {
                Slot::Param(param) => param.set(value.upload(device)),
                Slot::Buffer(buffer) => buffer.set(value.upload(device)),
            }
        });
        let images = get("x").expect("images").upload(device);
        let batch = Batch::of_step(images, vec![0; 3], ScheduleContext { epochs: END, images: 3 }, 1, 1);
        let all = || -> Result<()> {
            agree("the noise", &fetch(&batch.noise(noise)), get("noise")?, TOLERANCE)?;
            let terms = learner.forward(&batch, &ForwardContext::train(1, 1)).terms;
            for part in parts {
                let value = terms.part(part).unwrap_or_else(|| panic!("no part {part}"));
                agree(part, &fetch(value.value()), get(part)?, TOLERANCE)?;
            }
            let gradients = terms.total.backward();
            for (name, param) in nn::parameters(&*learner) {
                let gradient = gradients.get(&param).unwrap_or_else(|| panic!("{name} has no gradient"));
                agree(&format!("d.{name}"), &fetch(gradient), get(&format!("d.{name}"))?, TOLERANCE)?;
            }
            Ok(())
        };
        all().unwrap_or_else(|error| panic!("{error:#}"));
    });
}

#[test]
fn oracle_vae_gan() {
    let more = ["loss.adversarial=0.7", "loss.discriminator_channels=3,4", "loss.feature_layer=1"];
    compare("vae-gan", &more, &["features", "kl", "generator", "reconstruction"], 4);
}

#[test]
fn oracle_soft_intro_vae() {
    compare("soft-intro", &["loss.beta_neg=4"], &["reconstruction", "kl", "exp_elbo", "kl_fake"], 6);
}
