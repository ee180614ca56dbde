//! Models with the same weights as PyTorch's: the outputs for a batch, the loss, and the norm of every parameter's gradient.
//! `models.py` in this folder writes the files.

use anyhow::{Context, Result, ensure};
use autograd::{Param, Var};
use nn::{ForwardContext, Module};
use reference::place::fetch;
use serde_json::Value;
use tensor::{Device, Generator, Tensor};
use vae::config::{Config, ModelKind, Settings};
use vae::model::{self, Classifier, reparameterise};

use crate::file::{File, agree};
use crate::training::fill;

const OUTPUT: f64 = 5e-5;
const NORM: f64 = 1e-3;

pub(crate) fn replay(file: &File, device: &Device) -> Result<()> {
    let meta = file.model.as_ref().context("no metadata")?;
    let config = config(meta)?;
    let x = Var::constant(file.get("x")?.upload(device));
    let training = meta["training"].as_bool().context("metadata: no training")?;
    let ctx = if training { ForwardContext::train(0, 0) } else { ForwardContext::eval() };
    let mut wrong = Vec::new();
    let mut compare = |name: &str, got: &Var| {
        wrong.extend(agree(name, got.value(), file.get(name)?, OUTPUT).err().map(|error| format!("{error:#}")));
        anyhow::Ok(())
    };
    let (params, loss): (Vec<(String, Param)>, Var) = if config.model.kind == ModelKind::Classifier {
        let model = Classifier::new(&mut Generator::new(1), &config);
        let params = filled(&model, file, device)?;
        let logits = model.logits(&x, &ctx);
        compare("logits", &logits)?;
        (params, nn::loss::cross_entropy(&logits, &file.get("labels")?.upload(device)))
    } else {
        let model = model::build(&config);
        let params = filled(&*model, file, device)?;
        let (mu, logvar) = model.encode(&x, &ctx);
        let xhat = model.decode(&reparameterise(&mu, &logvar, &file.get("eps")?.upload(device)), &ctx);
        for (name, got) in [("mu", &mu), ("logvar", &logvar), ("xhat", &xhat)] {
            compare(name, got)?;
        }
        (params, nn::loss::sse(&xhat, x.value()) + nn::loss::gaussian_kl(&mu, &logvar).mean_all())
    };
    compare("loss", &loss)?;
    let gradients = loss.backward();
    let norm = |x: &Tensor| x.data().iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let largest = file.under("norm.").map(|(_, x)| norm(x)).fold(0.0, f64::max);
    for (name, param) in &params {
        let expected = norm(file.get(&format!("norm.{name}"))?);
        let got = norm(&fetch(gradients.get(param).with_context(|| format!("no gradient of {name}"))?));
        // A bias in front of a batch norm has only a gradient of rounding errors.
        if (got - expected).abs() > NORM * expected + 1e-5 * largest {
            wrong.push(format!("the gradient of {name} has norm {got:e}, the file's {expected:e}"));
        }
    }
    ensure!(file.under("norm.").count() == params.len(), "the file has other parameters");
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// The model's parameters after loading the file's weights on the device.
fn filled(model: &dyn Module, file: &File, device: &Device) -> Result<Vec<(String, Param)>> {
    nn::upload(model, device);
    fill(model, file)?;
    Ok(nn::parameters(model))
}

pub(crate) fn config(meta: &Value) -> Result<Config> {
    let mut settings = Settings::default();
    for setting in meta["settings"].as_array().context("metadata: no settings")? {
        settings.assignment(setting.as_str().context("a setting is no text")?)?;
    }
    Ok(settings.resolve()?)
}
