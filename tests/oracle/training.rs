//! A training run replayed from stored weights, images and noise: the loss of each step, and of the first step the
//! reconstruction, the latents, the running statistics and every gradient.
//!
//! Later losses have a larger tolerance: where a gradient is zero by construction, Adam turns its rounding errors into steps of
//! full size. Such gradients (of a convolution's bias in front of a batch norm, which subtracts it again) must be small
//! relative to the model's largest.

use anyhow::{Context, Result, ensure};
use nn::optim::Optimizer;
use nn::{ForwardContext, Slot, state};
use pollster::block_on;
use reference::place::fetch;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use tensor::{Device, GradientMonitor, Tensor};
use vae::config::{Config, DecoderConv, LossKind, ModelKind, Output, Reconstruction, Reduction, Stem, Upsampling};
use vae::model::{self, Vae};
use vae::objective::{END, Objective, ScheduleContext};

use crate::file::{File, agree};

const FIRST_LOSSES: f64 = 1e-5;
const LATER_LOSSES: f64 = 2e-3;
const RUNNING: f64 = 1e-5;
const RECONSTRUCTION: f64 = 5e-5;
const GRADIENT: f64 = 1e-3;
const ZERO_GRADIENT: f64 = 1e-5;

pub(crate) fn replay(file: &File, device: &Device) -> Result<()> {
    let meta = file.train.as_ref().context("no metadata")?;
    let config = config(meta)?;
    let model = model::build(&config);
    nn::upload(&*model, device);
    fill(&*model, file)?; // the weights are loaded onto the model's device
    let params = nn::parameters(&*model);
    let objective = Objective::new(&config);
    let (mut adam, monitor) = (Optimizer::adam(), GradientMonitor::new(1, device));
    let losses = file.get("losses")?;
    let mut wrong = Vec::new();
    let mut note = |result: Result<()>| wrong.extend(result.err().map(|error| format!("{error:#}")));

    let steps = whole(meta, "steps")?;
    ensure!(losses.shape()[..] == [steps, 3], "losses are {} for {steps} steps", losses.shape());
    for step in 0..steps {
        let (x, eps) =
            (file.get(&format!("x.{step}"))?.upload(device), file.get(&format!("eps.{step}"))?.upload(device));
        let ctx = ForwardContext::train(0, step as u64);
        let (mu, logvar) = model.encode(&autograd::Var::constant(x.clone()), &ctx);
        let z = mu.reparameterise(&logvar, &eps);
        let xhat = model.decode(&z, &ctx);
        let moment = ScheduleContext { epochs: END, images: x.shape()[0] };
        let terms = objective.terms(&xhat, &x, [&z, &mu, &logvar], moment, &ctx);
        let got: Vec<f32> = terms.watched().into_iter().map(|loss| fetch(loss).data()[0]).collect();
        let tolerance = if step == 0 { FIRST_LOSSES } else { LATER_LOSSES };
        note(agree(
            &format!("losses of step {step}"),
            &Tensor::new(&got, [1, 3]),
            &losses.slice(0, step, 1),
            tolerance,
        ));
        let mut gradients = terms.total.backward();
        if step == 0 {
            for (name, got) in [("xhat.0", &xhat), ("mu.0", &mu), ("logvar.0", &logvar)] {
                note(agree(name, got.value(), file.get(name)?, RECONSTRUCTION));
            }
            note(running(&*model, file));
            let largest = file.under("grad.").map(|(_, g)| largest(g)).fold(0.0, f64::max);
            for (name, param) in &params {
                let expected = file.get(&format!("grad.{name}"))?;
                let got = gradients.get(param).with_context(|| format!("no gradient of {name}"))?;
                if is_zero_by_construction(name, file) {
                    let most = self::largest(got);
                    let small = most <= ZERO_GRADIENT * largest;
                    note(
                        small
                            .then_some(())
                            .with_context(|| format!("grad.{name} is {most:e}, not 0 beside {largest:e}")),
                    );
                } else {
                    note(agree(&format!("grad.{name}"), got, expected, GRADIENT));
                }
            }
            ensure!(file.under("grad.").count() == params.len(), "the file has gradients of other parameters");
        }
        adam.step_with(&params, &mut gradients, real(meta, "lr")?, &monitor);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// The configuration of the file's model and loss.
fn config(meta: &Value) -> Result<Config> {
    let mut config = Config::default();
    config.model.kind = ModelKind::Resnet18;
    config.model.z_dim = whole(meta, "z")?;
    config.model.width = whole(meta, "width")?;
    config.model.stem = Stem::Small;
    config.model.upsample = Upsampling::Bilinear;
    config.model.decoder_conv = DecoderConv::Transposed;
    config.model.batch_norm = true;
    config.model.output = Output::Linear;
    config.data.channels = Some(whole(meta, "channels")?);
    config.data.image_size = Some(whole(meta, "size")?);
    config.loss.kind = LossKind::Beta;
    config.loss.reconstruction = Reconstruction::Sse;
    config.loss.reduction = Reduction::Sum;
    config.loss.beta = real(meta, "beta")?;
    Ok(config)
}

fn whole(meta: &Value, key: &str) -> Result<usize> {
    let value = meta.get(key).and_then(Value::as_u64).with_context(|| format!("train metadata has no {key}"))?;
    Ok(usize::try_from(value)?)
}

fn real(meta: &Value, key: &str) -> Result<f64> {
    meta.get(key).and_then(Value::as_f64).with_context(|| format!("train metadata has no {key}"))
}

/// Loads the stored weights as a state dict.
pub(crate) fn fill(model: &dyn nn::Module, file: &File) -> Result<()> {
    let bytes: Vec<(&str, &Tensor, Vec<u8>)> = file
        .under("init.")
        .map(|(name, tensor)| (name, tensor, tensor.data().iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        (*name, TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes).expect("bytes fit the shape"))
    });
    let bytes = safetensors::serialize(views, None)?;
    Ok(block_on(state::load(model, &bytes))?)
}

/// Compares the running statistics after the first step.
fn running(model: &dyn Vae, file: &File) -> Result<()> {
    let mut wrong = Vec::new();
    let mut seen = 0;
    nn::visit(model, |name, slot| {
        if let Slot::Buffer(buffer) = slot {
            seen += 1;
            let name = format!("running.0.{name}");
            let result = file.get(&name).and_then(|expected| agree(&name, &buffer.value(), expected, RUNNING));
            wrong.extend(result.err().map(|error| error.to_string()));
        }
    });
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    ensure!(seen == file.under("running.0.").count(), "the file has other running statistics");
    Ok(())
}

fn largest(x: &Tensor) -> f64 {
    fetch(x).data().iter().fold(0.0, |largest, x| f64::max(largest, f64::from(x.abs())))
}

/// Whether a parameter is the bias of a convolution in front of a batch norm: `conv2.bias` if there is a `bn2`, `0.bias` if `1`
/// is a norm.
fn is_zero_by_construction(name: &str, file: &File) -> bool {
    let Some(layer) = name.strip_suffix(".bias") else { return false };
    let (above, own) = layer.rsplit_once('.').unwrap_or(("", layer));
    let norm = match own.strip_prefix("conv") {
        Some(number) => format!("bn{number}"),
        None if own == "0" => "1".to_owned(),
        None => return false,
    };
    file.tensors.contains_key(&format!("init.{above}.{norm}.running_mean"))
}
