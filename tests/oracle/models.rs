//! Models with the same weights as PyTorch's: the outputs for a batch, the loss, and the norm of every parameter's gradient.
//! `models.py` in this folder writes the files.

use anyhow::{Context, Result, ensure};
use autograd::{Param, Var};
use nn::{ForwardContext, Module};
use reference::place::fetch;
use serde_json::Value;
use tensor::{Device, Generator, Tensor};
use vae::config::{Config, ModelKind, Settings};
use vae::model::{self, Classifier};

use crate::file::{File, agree};
use crate::training::fill;

const OUTPUT: f64 = 5e-5;
const NORM: f64 = 1e-3;
/// The outputs of a file must vary by this over images and over pixels, relative to the largest number. A network whose ReLUs are
/// all 0 would agree whatever its layers are.
const SPREAD: f64 = 400.0 * OUTPUT;

pub(crate) fn replay(file: &File, device: &Device) -> Result<()> {
    let meta = file.model.as_ref().context("no metadata")?;
    let config = config(meta)?;
    let x = Var::constant(file.get("x")?.upload(device));
    let training = meta["training"].as_bool().context("metadata: no training")?;
    let ctx = if training { ForwardContext::train(0, 0) } else { ForwardContext::eval() };
    let mut wrong = Vec::new();
    let mut compare = |name: &str, got: &Var| {
        let expected = file.get(name)?;
        wrong.extend(agree(name, got.value(), expected, OUTPUT).err().map(|error| format!("{error:#}")));
        let [over_images, over_pixels] = spread(expected);
        if name != "loss" && (over_images < SPREAD || (name == "xhat" && over_pixels < SPREAD)) {
            wrong.push(format!(
                "{name} varies by {over_images:e} over images and {over_pixels:e} over pixels, so it tests nothing"
            ));
        }
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
        let xhat = model.decode(&mu.reparameterise(&logvar, &file.get("eps")?.upload(device)), &ctx);
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

/// The standard deviations of outputs `[batch, …]` over images and over the numbers of an image, relative to the largest number.
fn spread(x: &Tensor) -> [f64; 2] {
    let batch = x.shape().first().copied().unwrap_or(1);
    let (numbers, len) = (x.data(), x.count() / batch);
    let at = |image: usize, place: usize| f64::from(numbers[image * len + place]);
    let largest = numbers.iter().map(|&x| f64::from(x).abs()).fold(0.0, f64::max);
    let variance = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64
    };
    let over_images = (0..len).map(|place| variance(&(0..batch).map(|image| at(image, place)).collect::<Vec<_>>()));
    let over_pixels = (0..batch).map(|image| variance(&(0..len).map(|place| at(image, place)).collect::<Vec<_>>()));
    let [a, b] = [over_images.sum::<f64>() / len as f64, over_pixels.sum::<f64>() / batch as f64];
    [a, b].map(|variance| variance.sqrt() / largest)
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
