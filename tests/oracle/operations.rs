//! One operation on one device: its value within 1e-5, each gradient within 1e-4.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use autograd::{Act, Conv, ConvTranspose, Interpolation, Pool, Var};
use nn::loss;
use reference::place::fetch;
use reference::{Array, score};
use serde_json::Value;
use tensor::{Device, Tensor};
use vae::scores::frechet::Features;

use crate::file::{File, agree};

const VALUE: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

pub(crate) fn check(file: &File, device: &Device) -> Result<()> {
    let op = file.op.as_deref().context("metadata has neither op nor train")?;
    let differentiable = |name: &str| file.tensors.contains_key(&format!("grad.{name}"));
    let variable = |(name, value): (&str, &Tensor)| {
        let value = value.upload(device);
        let var = if differentiable(name) { Var::leaf(value) } else { Var::constant(value) };
        (name.to_owned(), var)
    };
    let inputs = Inputs { vars: file.under("in.").map(variable).collect(), attrs: &file.attrs };
    let y = run(op, &inputs)?;
    agree("out", y.value(), file.get("out")?, VALUE)?;
    if file.under("grad.").next().is_none() {
        return Ok(());
    }
    let gradients = y.backward_with(file.get("seed")?.upload(device));
    for (name, expected) in file.under("grad.") {
        let got = gradients.of(inputs.var(name)?).with_context(|| format!("no gradient of {name}"))?;
        agree(&format!("grad.{name}"), got, expected, GRADIENT)?;
    }
    Ok(())
}

/// The inputs and attributes of a case, by name.
struct Inputs<'a> {
    vars: BTreeMap<String, Var>,
    attrs: &'a Value,
}

impl Inputs<'_> {
    fn var(&self, name: &str) -> Result<&Var> {
        self.vars.get(name).with_context(|| format!("no input {name}"))
    }

    fn attr(&self, name: &str) -> Result<&Value> {
        self.attrs.get(name).with_context(|| format!("no attribute {name} in {}", self.attrs))
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.attr(name)?.as_str().with_context(|| format!("attribute {name} is not text"))
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.attr(name)?.as_bool().with_context(|| format!("attribute {name} is neither true nor false"))
    }

    fn real(&self, name: &str) -> Result<f32> {
        Ok(self.attr(name)?.as_f64().with_context(|| format!("attribute {name} is not a number"))? as f32)
    }

    fn whole(&self, name: &str) -> Result<usize> {
        whole(self.attr(name)?).with_context(|| format!("attribute {name}"))
    }

    fn wholes(&self, name: &str) -> Result<Vec<usize>> {
        let list = self.attr(name)?.as_array().with_context(|| format!("attribute {name} is not a list"))?;
        list.iter().map(whole).collect()
    }

    fn pool(&self) -> Result<Pool> {
        Ok(Pool { kernel: self.whole("kernel")?, stride: self.whole("stride")?, padding: self.whole("padding")? })
    }
}

fn whole(value: &Value) -> Result<usize> {
    Ok(usize::try_from(value.as_u64().context("not a whole number")?)?)
}

fn run(op: &str, i: &Inputs) -> Result<Var> {
    Ok(match op {
        "matmul" => i.var("a")?.matmul(i.var("b")?),
        "linear" => i.var("x")?.matmul_nt(i.var("weight")?) + i.var("bias")?,
        "conv2d" => {
            let conv = Conv { stride: i.whole("stride")?, padding: i.whole("padding")? };
            i.var("x")?.conv2d(i.var("weight")?, i.vars.get("bias"), conv)
        }
        "conv_transpose2d" => {
            let (stride, padding) = (i.whole("stride")?, i.whole("padding")?);
            let conv = ConvTranspose { stride, padding, output_padding: i.whole("output_padding")? };
            i.var("x")?.conv_transpose2d(i.var("weight")?, i.vars.get("bias"), conv)
        }
        "batch_norm2d" => {
            let (weight, bias) = (i.var("weight")?, i.var("bias")?);
            i.var("x")?.batch_norm(weight, bias, None, Act::Identity, i.real("eps")?, None)
        }
        "batch_norm2d_eval" => {
            let var = i.var("running_var")?.value().abs().add_scalar(0.1);
            let mean = i.var("running_mean")?.value();
            let (weight, bias) = (i.var("weight")?, i.var("bias")?);
            i.var("x")?.batch_norm_eval(mean, &var, weight, bias, None, Act::Identity, i.real("eps")?)
        }
        "interpolate" => {
            let how = match i.text("mode")? {
                "nearest" => Interpolation::Nearest,
                "bilinear" => Interpolation::Bilinear { align_corners: i.flag("align_corners")? },
                other => bail!("unknown mode {other}"),
            };
            let size = i.wholes("size")?;
            i.var("x")?.interpolate([size[0], size[1]], how)
        }
        "max_pool2d" => i.var("x")?.max_pool2d(i.pool()?),
        "avg_pool2d" => i.var("x")?.avg_pool2d(i.pool()?),
        "global_avg_pool2d" => i.var("x")?.global_avg_pool2d(),
        "add_broadcast" => i.var("a")? + i.var("b")?,
        "mul_broadcast" => i.var("a")? * i.var("b")?,
        "div_broadcast" => i.var("a")? / i.var("b")?.abs().add_scalar(0.5),
        "sum" => i.var("x")?.sum(&i.wholes("dims")?, i.flag("keepdim")?),
        "mean" => i.var("x")?.mean(&i.wholes("dims")?, i.flag("keepdim")?),
        "logsumexp" => i.var("x")?.logsumexp(i.whole("dim")?),
        "log_softmax" => i.var("x")?.log_softmax(i.whole("dim")?),
        "relu" => i.var("x")?.relu(),
        "leaky_relu" => i.var("x")?.leaky_relu(i.real("slope")?),
        "sigmoid" => i.var("x")?.sigmoid(),
        "tanh" => i.var("x")?.tanh(),
        "exp" => i.var("x")?.exp(),
        "log" => i.var("x")?.abs().add_scalar(0.1).log(),
        "softplus" => i.var("x")?.softplus(),
        "concat" => Var::concat(&[i.var("a")?, i.var("b")?], i.whole("dim")?),
        "slice" => i.var("x")?.slice(i.whole("dim")?, i.whole("start")?, i.whole("length")?),
        "transpose" => {
            let dims = i.wholes("dims")?;
            i.var("x")?.transpose(dims[0], dims[1])
        }
        "mse_loss" => {
            let (x, target) = (i.var("x")?, i.var("target")?.value());
            match i.text("reduction")? {
                "sum" => over_all_images(loss::sse(x, target), x),
                "mean" => loss::mse(x, target),
                other => bail!("unknown reduction {other}"),
            }
        }
        "bce_with_logits" => {
            let (x, target) = (i.var("x")?, i.var("target")?.value().sigmoid());
            let pixels = x.value().count() / x.shape()[0];
            match i.text("reduction")? {
                "sum" => over_all_images(loss::bce(x, &target), x),
                "mean" => loss::bce(x, &target).mul_scalar(1.0 / pixels as f32),
                other => bail!("unknown reduction {other}"),
            }
        }
        "gaussian_kl" => loss::gaussian_kl(i.var("mu")?, i.var("logvar")?).mean_all(),
        "latent_terms" => {
            let (mu, logvar) = (i.var("mu")?, i.var("logvar")?);
            let z = mu.reparameterise(logvar, i.var("eps")?.value());
            let estimator = serde_json::from_value(i.text("estimator")?.into())?;
            let terms = vae::objective::latent_terms(&z, mu, logvar, estimator, i.whole("dataset_size")?);
            Var::concat(&[&terms.mi, &terms.tc, &terms.dw_kl].map(|term| term.reshape([1])).each_ref(), 0)
        }
        "frechet" => {
            let (a, b) = (i.var("a")?, i.var("b")?);
            let ours = vae::scores::frechet::frechet_distance(&features(a)?, &features(b)?);
            both(score::frechet(&exact(a), &exact(b)), ours)?
        }
        "laplacian_variance" => {
            let x = exact(i.var("x")?);
            let [_, _, height, width] = x.shape.nchw("image");
            both(
                score::laplacian_variance(&x),
                vae::image_quality::laplacian::laplacian_variance_of_luma(&x.data, [height, width]),
            )?
        }
        _ => bail!("unknown op {op}"),
    })
}

/// The sum over all images of a loss, which in this library is a mean.
fn over_all_images(loss: Var, x: &Var) -> Var {
    loss.mul_scalar(x.shape()[0] as f32)
}

/// One row per image.
fn features(x: &Var) -> Result<Features> {
    let [_, width] = x.shape().matrix("features");
    Ok(Features { width, numbers: fetch(x.value()).data().to_vec() })
}

/// Returns the reference's value if both agree.
fn both(reference: f64, ours: f64) -> Result<Var> {
    ensure!((reference - ours).abs() <= 1e-6 * reference.abs(), "the reference says {reference}, we say {ours}");
    Ok(number(ours))
}

fn exact(x: &Var) -> Array {
    Array::of(&fetch(x.value()))
}

fn number(value: f64) -> Var {
    Var::constant(Tensor::new(&[value as f32], [1]))
}
