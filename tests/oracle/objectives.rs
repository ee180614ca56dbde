//! Objectives agree with PyTorch's, in value and gradients, on the CPU and on a GPU. `objectives.py` wrote the numbers.

use std::path::Path;

use anyhow::Result;
use autograd::{Param, Var};
use nn::ForwardContext;
use reference::place::{everywhere, fetch};
use tensor::Device;
use vae::config::{Config, Settings};
use vae::objective::{END, Objective, ScheduleContext};

use crate::file::{File, agree};

const TOLERANCE: f64 = 1e-5;

fn golden() -> File {
    File::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/objectives.safetensors"))).expect("a golden file")
}

fn config(assignments: &[&str]) -> Config {
    let mut settings = Settings::default();
    assignments.iter().for_each(|assignment| settings.assignment(assignment).expect("a setting"));
    settings.resolve().expect("a configuration")
}

/// Compares a loss and its gradients by the variables and by the parameters with the golden file's.
fn compare(file: &File, name: &str, gradients: &str, loss: &Var, of: &[(&str, &Var)], params: &[(&str, Param)]) {
    let all = || -> Result<()> {
        agree(name, &fetch(loss.value()), file.get(&format!("{name}/loss"))?, TOLERANCE)?;
        let found = loss.backward();
        for (key, var) in of {
            let gradient = fetch(found.of(var).expect("a gradient"));
            agree(&format!("{gradients}/d.{key}"), &gradient, file.get(&format!("{gradients}/d.{key}"))?, TOLERANCE)?;
        }
        for (key, param) in params {
            let gradient = fetch(found.get(param).expect("a gradient"));
            agree(&format!("{gradients}/d.{key}"), &gradient, file.get(&format!("{gradients}/d.{key}"))?, TOLERANCE)?;
        }
        Ok(())
    };
    all().unwrap_or_else(|error| panic!("{error:#}"));
}

/// The Gaussian likelihood of the configuration for the golden images. `start` replaces the parameter of a learned variance.
fn gaussian(file: &File, device: &Device, name: &str, variance: &str, start: Option<&str>) {
    let config = config(&["loss.reconstruction=gaussian", &format!("loss.variance={variance}")]);
    let (objective, tensor) = (Objective::new(&config), |name: &str| file.get(name).expect(name).upload(device));
    nn::upload(&objective, device);
    let params: Vec<(&str, Param)> = nn::parameters(&objective).into_iter().map(|(_, param)| ("s", param)).collect();
    params.iter().zip(start).for_each(|((_, s), start)| s.set(tensor(start)));
    let decoded = Var::leaf(tensor("decoded"));
    let (loss, _) = objective.reconstruction_term(&decoded, &tensor("x"), &ForwardContext::train(1, 0));
    compare(file, name, name, &loss, &[("decoded", &decoded)], &params);
}

#[test]
fn oracle_sigma_vae() {
    let file = golden();
    everywhere(|device| {
        gaussian(&file, device, "learned/0", "learned", Some("learned/0/s"));
        gaussian(&file, device, "learned/1", "learned", Some("learned/1/s"));
        gaussian(&file, device, "optimal", "optimal", None);
    });
}

/// The bound of a linear decoder of binary pixels, for the golden posteriors and noise.
fn bound(file: &File, device: &Device, [bounds, samples]: [usize; 2], gradient: &str) {
    let counts = [format!("loss.bounds={bounds}"), format!("loss.samples={samples}")];
    let gradient_key = format!("loss.gradient={gradient}");
    let bce = ["loss.kind=iwae", "loss.reconstruction=bce", "model.output=sigmoid", &gradient_key];
    let config = config(&[&bce[..], &[&counts[0], &counts[1]]].concat());
    config.check().expect("a valid configuration");
    let objective = Objective::new(&config);
    let tensor = |name: &str| file.get(&format!("iwae/{name}")).expect(name).upload(device);
    let [mu, logvar, weight, bias] = ["mu", "logvar", "weight", "bias"].map(|name| Var::leaf(tensor(name)));
    let name = format!("iwae/{bounds}x{samples}");
    let eps = tensor(&format!("{bounds}x{samples}/eps"));
    let draws = objective.draw(&mu, &logvar, &eps.reshape([3, eps.count() / 3]));
    let logits = (draws.z.matmul_nt(&weight) + &bias).reshape([3 * bounds * samples, 1, 2, 3]);
    let (x, schedule) = (tensor("x").reshape([3, 1, 2, 3]), ScheduleContext { epochs: END, images: 3 });
    let terms = objective.loss(&logits, &x, &draws, [&mu, &logvar], schedule, &ForwardContext::train(1, 0));
    let leaves = [("mu", &mu), ("logvar", &logvar), ("weight", &weight), ("bias", &bias)];
    compare(file, &name, &format!("{name}/{gradient}"), &terms.total, &leaves, &[]);
}

#[test]
fn oracle_importance_weighted_bounds() {
    let file = golden();
    everywhere(|device| {
        for counts in [[1, 1], [1, 5], [2, 3], [4, 1]] {
            bound(&file, device, counts, "plain");
            bound(&file, device, counts, "dreg");
        }
    });
}
