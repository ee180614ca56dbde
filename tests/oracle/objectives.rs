//! Objectives agree with PyTorch's, in value and gradients, on the CPU and on a GPU. `objectives.py` wrote the numbers.

use std::path::Path;

use anyhow::Result;
use autograd::{Param, Var};
use nn::ForwardContext;
use reference::place::{everywhere, fetch};
use tensor::Device;
use vae::config::{Config, Settings};
use vae::objective::Objective;

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
