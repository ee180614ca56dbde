//! Exchange of weights with PyTorch: files of `vae export` have PyTorch's names, shapes and types, and importing and exporting
//! changes no bit. A frozen encoder is a constant: it has no history and no gradient, and no number of it changes.
//! `load_ours.py` in this folder loads an exported file into PyTorch.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use autograd::Var;
use nn::optim::Optimizer;
use nn::{ForwardContext, Module, Trace, state};
use pollster::block_on;
use reference::place::gpu;
use safetensors::SafeTensors;
use tensor::{Device, Generator, GradientMonitor, Tensor};
use vae::config::{Config, ModelKind, Settings};
use vae::learn::{self, Batch};
use vae::model::{self, Classifier};
use vae::objective::ScheduleContext;
use vae::run::export::{self, Part};
use vae::run::transfer::Frozen;

use crate::file::{File, agree};
use crate::{check_all, files, folder, models, training};

/// Relative to the tensor's largest element.
const OUTPUT: f64 = 1e-5;

fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    ["model.width=2", "model.z_dim=3"]
        .iter()
        .chain(settings)
        .for_each(|setting| all.assignment(setting).expect("a setting"));
    all.resolve().expect("a configuration")
}

/// A model's tensors in a file.
fn checkpoint(model: &dyn Module) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("best.safetensors");
    let bytes = block_on(state::save(model, &[])).expect("a state");
    std::fs::write(&path, bytes).expect("a file");
    (dir, path)
}

/// `names_resnet18.txt` lists the tensors of PyTorch's model of the same size.
#[test]
fn exported_names_shapes_and_types_are_pytorch_s() {
    let config = config(&["data.channels=1"]);
    let (_dir, path) = checkpoint(&*learn::build(&config));
    let mut ours = BTreeSet::new();
    for (word, part) in [("model", Part::Model), ("encoder", Part::Encoder), ("decoder", Part::Decoder)] {
        let bytes = export::part(&config, None, &path, part).expect("a part");
        for (name, view) in SafeTensors::deserialize(&bytes).expect("safetensors").tensors() {
            let dtype = format!("{:?}", view.dtype()).replace('F', "float").replace('I', "int");
            ours.insert(format!("{word} {name} {dtype} {:?}", view.shape()));
        }
        let (_, format) = state::contents(&bytes, "format").expect("safetensors");
        assert_eq!(format.as_deref(), Some("pt"));
    }
    let text = std::fs::read_to_string(folder().join("names_resnet18.txt")).expect("the names");
    let theirs: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let (more, less): (Vec<_>, Vec<_>) = (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
    assert!(more.is_empty() && less.is_empty(), "only ours: {more:?}; only PyTorch's: {less:?}");
    assert_eq!(theirs.len(), 496);
}

/// PyTorch's weights → our model → a checkpoint → an exported file gives the same bytes, and that file gives the same outputs.
#[test]
fn weights_and_outputs_survive_import_and_export() {
    let mut files = files().expect("golden files");
    files.retain(|(_, file)| file.model.is_some());
    check_all("exported models", &files, there_and_back);
}

fn there_and_back(file: &File, device: &Device) -> Result<()> {
    let meta = file.model.as_ref().context("no metadata")?;
    let config = models::config(meta)?;
    let model = learn::build(&config);
    nn::upload(&*model, device);
    training::fill(&*model, file)?;
    let (_dir, path) = checkpoint(&*model);
    let bytes = export::part(&config, None, &path, Part::Model)?;
    let exported = SafeTensors::deserialize(&bytes)?;
    for (name, tensor) in file.under("init.") {
        let view = exported.tensor(name)?;
        let theirs: Vec<u8> = tensor.data().iter().flat_map(|x| x.to_le_bytes()).collect();
        ensure!((view.shape(), view.data()) == (&tensor.shape()[..], &theirs[..]), "{name} has changed");
    }
    let tensors = exported.names().into_iter().filter(|name| !name.ends_with("num_batches_tracked")).count();
    ensure!(tensors == file.under("init.").count(), "{tensors} tensors went out, another number came in");
    let training = meta["training"].as_bool().context("metadata: no training")?;
    let (ctx, x) = (
        if training { ForwardContext::train(0, 0) } else { ForwardContext::eval() },
        Var::constant(file.get("x")?.upload(device)),
    );
    if config.model.kind == ModelKind::Classifier {
        let model = Classifier::new(&mut Generator::new(2), &config);
        nn::upload(&model, device);
        block_on(state::load(&model, &bytes))?;
        return agree("logits", model.logits(&x, &ctx).value(), file.get("logits")?, OUTPUT);
    }
    let model = model::build(&config);
    nn::upload(&*model, device);
    block_on(state::load(&*model, &bytes))?;
    let (mu, logvar) = model.encode(&x, &ctx);
    let xhat = model.decode(&mu.reparameterise(&logvar, &file.get("eps")?.upload(device)), &ctx);
    [("mu", mu), ("logvar", logvar), ("xhat", xhat)]
        .iter()
        .try_for_each(|(name, got)| agree(name, got.value(), file.get(name)?, OUTPUT))
}

/// Frozen weights and statistics keep their bytes, values up to the encoder's output have no history, and the encoder's
/// parameters have no gradient. All other parameters have one.
#[test]
fn a_frozen_encoder_is_a_constant() {
    for device in [Device::Cpu, gpu()] {
        for (settings, held) in [
            (&[][..], 0),
            (&["model.freeze_encoder=true"], 100),
            (&["model.freeze_encoder=true", "model.freeze_heads=true"], 104),
        ] {
            let model = learn::build(&config(settings));
            nn::upload(&*model, &device);
            let params = nn::parameters(&*model);
            let (mut adam, mut monitor) = (Optimizer::adam(), GradientMonitor::new(1, &device));
            let before = Frozen::of(&*model).expect("a hash");
            assert_eq!(before.as_ref().map_or(0, |frozen| frozen.tensors), held);
            let other = learn::build(&config(&[settings, &["seed=2"]].concat()));
            assert!(held == 0 || Frozen::of(&*other).expect("a hash") != before, "other numbers, the same hash");
            for step in 0..3 {
                let images = Generator::new(step).uniform_tensor([4, 1, 32, 32], 0.0, 1.0).upload(&device);
                let batch = Batch::of_step(images, vec![0; 4], ScheduleContext { epochs: 0.0, images: 4 }, 1, step);
                let trace = Trace::default();
                let total = model
                    .forward(&batch, &ForwardContext { trace: Some(&trace), ..ForwardContext::train(1, step) })
                    .terms
                    .total;
                let stages = trace.stages();
                assert_eq!(stages.len(), 9);
                for (name, maps) in stages {
                    let constant = held > 0 && name.starts_with("encoder.");
                    assert_eq!(maps.has_gradient(), !constant, "{name} with {held} tensors held");
                }
                let mut gradients = total.backward();
                for (name, param) in &params {
                    assert_eq!(gradients.get(param).is_some(), !param.is_frozen(), "{name}");
                }
                let all: Vec<&Tensor> = params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
                monitor.observe(0, &all, &[total.value()], None);
                adam.step_with(&params, &mut gradients, 1e-3, &monitor);
            }
            assert_eq!(Frozen::of(&*model).expect("a hash"), before);
            for (name, param) in &params {
                assert_eq!(adam.has_state(param), !param.is_frozen(), "{name}");
            }
        }
    }
}
