//! What every layer and model is: something that can be visited and, mostly, run.
//!
//! One `visit` serves the state dict, the optimiser, freezing and counting, in the order of declaration.

use std::cell::RefCell;
use std::fmt::Display;

use autograd::{Buffer, Param, Var};
use tensor::{Device, Shape, Tensor};

/// Anything that holds parameters.
pub trait Module {
    /// Names each parameter, buffer and part in turn.
    fn visit(&self, v: &mut Visitor);
}

/// A module from one value to one value; each says the shapes that it takes and gives.
pub trait Layer: Module {
    /// The layer's result.
    ///
    /// # Panics
    /// If `x` has a shape that the layer does not take.
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var;
}

/// A tensor of a module.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    /// Moved by gradients.
    Param(&'a Param),
    /// Kept by the layer itself.
    Buffer(&'a Buffer),
}

/// Walks a module and calls back with each tensor's dotted path.
pub struct Visitor<'a> {
    path: String,
    found: &'a mut dyn FnMut(&str, Slot),
}

impl Visitor<'_> {
    /// A parameter called `name`.
    pub fn param(&mut self, name: &str, param: &Param) {
        self.below(name, |v| (v.found)(&v.path, Slot::Param(param)));
    }

    /// A buffer called `name`.
    pub fn buffer(&mut self, name: &str, buffer: &Buffer) {
        self.below(name, |v| (v.found)(&v.path, Slot::Buffer(buffer)));
    }

    /// A part called `name`.
    pub fn child(&mut self, name: &str, child: &dyn Module) {
        self.below(name, |v| child.visit(v));
    }

    fn below(&mut self, name: &str, visit: impl FnOnce(&mut Self)) {
        let above = self.path.len();
        if above > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        visit(self);
        self.path.truncate(above);
    }
}

/// Calls `found` with the dotted path of every tensor of a module, in order of declaration.
pub fn visit(module: &dyn Module, mut found: impl FnMut(&str, Slot)) {
    module.visit(&mut Visitor { path: String::new(), found: &mut found });
}

/// Every parameter of a module, by name, in order of declaration.
pub fn parameters(module: &dyn Module) -> Vec<(String, Param)> {
    let mut all = Vec::new();
    visit(module, |path, slot| {
        if let Slot::Param(param) = slot {
            all.push((path.to_owned(), param.clone()));
        }
    });
    all
}

/// How many numbers a module's parameters hold. Running statistics are not counted.
pub fn count(module: &dyn Module) -> usize {
    parameters(module).iter().map(|(_, param)| param.shape().count()).sum()
}

/// Freezes every parameter and running statistic of a module, or lets them change again. A frozen parameter is a constant to
/// what uses it, a batch norm with frozen statistics evaluates.
pub fn freeze(module: &dyn Module, frozen: bool) {
    visit(module, |_, slot| match slot {
        Slot::Param(param) => param.freeze(frozen),
        Slot::Buffer(buffer) => buffer.freeze(frozen),
    });
}

/// Moves every parameter and running statistic of a module, which are on the CPU, to a device.
///
/// # Panics
/// If one is elsewhere.
pub fn upload(module: &dyn Module, device: &Device) {
    visit(module, |_, slot| match slot {
        Slot::Param(param) => param.set(param.value().upload(device)),
        Slot::Buffer(buffer) => buffer.set(buffer.value().upload(device)),
    });
}

/// What a forward pass is for: training or evaluation (PyTorch's `train()` and `eval()`, as an argument), and which step.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardContext<'a> {
    /// Whether batch norm normalises by the batch's statistics and dropout drops; otherwise the pass evaluates.
    pub train: bool,
    /// Draws dropout's masks, together with `step`.
    pub seed: u64,
    /// The number of the training step.
    pub step: u64,
    /// Notes what passes by, if given.
    pub trace: Option<&'a Trace>,
}

impl<'a> ForwardContext<'a> {
    /// A pass of training: the step of this number, of a run with this seed.
    pub fn train(seed: u64, step: u64) -> ForwardContext<'a> {
        ForwardContext { train: true, seed, step, trace: None }
    }

    /// A pass of evaluation.
    pub fn eval() -> ForwardContext<'a> {
        ForwardContext::default()
    }

    /// Notes the result of the layer that owns `param`, if anybody listens.
    pub fn record_output(&self, param: &Param, result: &Var) {
        if let Some(trace) = self.trace {
            trace.results.borrow_mut().push((param.id(), result.value().clone()));
        }
    }

    /// Notes the maps, `[batch, channels, height, width]`, that a stage of a network ends with, if anybody listens.
    pub fn record_stage(&self, name: impl Display, maps: &Var) {
        let Some(trace) = self.trace else { return };
        let (name, mut stages) = (name.to_string(), trace.stages.borrow_mut());
        match stages.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) => *before = maps.clone(),
            None => stages.push((name, maps.clone())),
        }
    }
}

/// What layers and stages made in a pass.
#[derive(Debug, Default)]
pub struct Trace {
    results: RefCell<Vec<(u64, Tensor)>>,
    stages: RefCell<Vec<(String, Var)>>,
}

impl Trace {
    /// The shape of the last result of the layer that owns `param`.
    pub fn shape_of(&self, param: &Param) -> Option<Shape> {
        self.results.borrow().iter().rev().find(|(id, _)| *id == param.id()).map(|(_, result)| *result.shape())
    }

    /// Each stage by name, in the order in which they ran first, and the maps of its last run.
    pub fn stages(&self) -> Vec<(String, Var)> {
        self.stages.borrow().clone()
    }

    /// Every result of a layer, in order, with the id of its parameter.
    pub fn results(self) -> Vec<(u64, Tensor)> {
        self.results.into_inner()
    }
}
