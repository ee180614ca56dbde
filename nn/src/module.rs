//! The traits of layers and models, and what a forward pass needs to know.
//!
//! The state dict, the optimiser, freezing and counting all use the one method `visit`. It visits tensors in the order of declaration.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{self, Display};
use std::rc::Rc;

use autograd::{BatchGroup, Buffer, Param, Var};
use tensor::{Device, Shape, Tensor};

/// Anything that has parameters.
pub trait Module {
    /// Passes each parameter, buffer and submodule to the visitor, with its name. [`module!`](crate::module!) writes this method from the names of
    /// the fields.
    fn visit(&self, v: &mut Visitor);

    /// The name of its type without path and parameters, for a [`summary`](crate::summary()).
    fn kind(&self) -> &'static str {
        let name = std::any::type_name::<Self>();
        let name = name.split_once('<').map_or(name, |(name, _)| name);
        name.rsplit_once("::").map_or(name, |(_, name)| name)
    }
}

/// A module that maps one value to one value. Each layer documents its shapes.
pub trait Layer: Module {
    /// The result of the layer.
    ///
    /// # Panics
    /// If the layer does not accept the shape of `x`.
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var;
}

/// A tensor of a module.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    /// A parameter, which an optimiser updates.
    Param(&'a Param),
    /// A buffer, which its layer updates.
    Buffer(&'a Buffer),
}

/// Visits a module and calls a function with the dotted path of each tensor.
pub struct Visitor<'a> {
    path: String,
    entered: &'a mut dyn FnMut(&str, &'static str),
    found: &'a mut dyn FnMut(&str, Slot),
}

impl Visitor<'_> {
    /// A submodule, parameter or buffer called `name`.
    pub fn child(&mut self, name: &str, child: &dyn Module) {
        let above = self.path.len();
        if above > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        (self.entered)(&self.path, child.kind());
        child.visit(self);
        self.path.truncate(above);
    }
}

/// A parameter is a module of one tensor, which has the module's name.
impl Module for Param {
    fn visit(&self, v: &mut Visitor) {
        (v.found)(&v.path, Slot::Param(self));
    }
}

/// A buffer is a module of one tensor, which has the module's name.
impl Module for Buffer {
    fn visit(&self, v: &mut Visitor) {
        (v.found)(&v.path, Slot::Buffer(self));
    }
}

/// What is not there has no tensors.
impl<M: Module> Module for Option<M> {
    fn visit(&self, v: &mut Visitor) {
        self.iter().for_each(|module| module.visit(v));
    }

    fn kind(&self) -> &'static str {
        self.as_ref().map_or("", M::kind)
    }
}

/// Modules named 0, 1, 2, … as in PyTorch's `ModuleList`.
impl<M: Module> Module for Vec<M> {
    fn visit(&self, v: &mut Visitor) {
        self.iter().enumerate().for_each(|(i, module)| v.child(&i.to_string(), module));
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, v: &mut Visitor) {
        (**self).visit(v);
    }

    fn kind(&self) -> &'static str {
        (**self).kind()
    }
}

/// Implements [`Module`] for a struct from the names of its fields, in this order. Each becomes a child of that name. After `..` comes
/// a field whose tensors have no level of their own in the names. Fields that are not modules are left out.
///
/// ```
/// # use {nn::{Conv2d, Linear}, tensor::Generator};
/// struct Encoder {
///     trunk: Trunk,
///     head: Option<Linear>,
///     size: usize,
/// }
/// nn::module!(Encoder { ..trunk, head });
///
/// struct Trunk {
///     convs: Vec<Conv2d>,
/// }
/// nn::module!(Trunk { convs });
///
/// let rng = &mut Generator::new(1);
/// let trunk = Trunk { convs: vec![Conv2d::new(rng, 3, 8, 3).no_bias()] };
/// let encoder = Encoder { trunk, head: Some(Linear::new(rng, 8, 2)), size: 32 };
/// let names: Vec<String> = nn::parameters(&encoder).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["convs.0.weight", "head.weight", "head.bias"]);
/// ```
#[macro_export]
macro_rules! module {
    ($type:ty {}) => {
        impl $crate::Module for $type {
            fn visit(&self, _: &mut $crate::Visitor) {}
        }
    };
    ($type:ty { $($(..$flat:ident)? $($field:ident)?),+ }) => {
        impl $crate::Module for $type {
            fn visit(&self, v: &mut $crate::Visitor) {
                $(
                    $($crate::Module::visit(&self.$flat, v);)?
                    $(v.child(stringify!($field), &self.$field);)?
                )+
            }
        }
    };
}

/// Calls `found` with the dotted path of every tensor of a module, in order of declaration.
pub fn visit(module: &dyn Module, found: impl FnMut(&str, Slot)) {
    visit_modules(module, |_, _| {}, found);
}

/// The same, and calls `entered` with the path and the kind of the module and every submodule before their tensors.
pub(crate) fn visit_modules(
    module: &dyn Module,
    mut entered: impl FnMut(&str, &'static str),
    mut found: impl FnMut(&str, Slot),
) {
    entered("", module.kind());
    module.visit(&mut Visitor { path: String::new(), entered: &mut entered, found: &mut found });
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

/// The number of elements of all parameters of a module. A parameter that has two names counts once, and running statistics do not count.
pub fn count(module: &dyn Module) -> usize {
    let mut seen = HashSet::new();
    let all = parameters(module);
    all.iter().filter(|(_, param)| seen.insert(param.id())).map(|(_, param)| param.shape().count()).sum()
}

/// Freezes or unfreezes every parameter and running statistic of a module. A frozen parameter is a constant in computations. A batch
/// norm with frozen statistics uses its running statistics, as in evaluation.
pub fn freeze(module: &dyn Module, frozen: bool) {
    visit(module, |_, slot| match slot {
        Slot::Param(param) => param.freeze(frozen),
        Slot::Buffer(buffer) => buffer.freeze(frozen),
    });
}

/// The result of `compute`, in which these parameters are constants. So a loss can train one of two players and not the other. What was
/// frozen before stays so.
///
/// This holds for the forward pass. What a [`checkpoint`](autograd::checkpoint) computes again in the backward pass is computed after it,
/// so these parameters do get gradients from there.
pub fn with_constants<'a, T>(parameters: impl IntoIterator<Item = &'a Param>, compute: impl FnOnce() -> T) -> T {
    let free: Vec<&Param> = parameters.into_iter().filter(|parameter| !parameter.is_frozen()).collect();
    free.iter().for_each(|parameter| parameter.freeze(true));
    let _free_again = FreeAgain(free); // also if `compute` panics
    compute()
}

struct FreeAgain<'a>(Vec<&'a Param>);

impl Drop for FreeAgain<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|parameter| parameter.freeze(false));
    }
}

/// Moves every parameter and running statistic of a module from the CPU to a device.
///
/// # Panics
/// If one of them is on another device.
pub fn upload(module: &dyn Module, device: &Device) {
    // A parameter that has two names is there already at the second.
    let moved = |value: Tensor| if value.device() == *device { value } else { value.upload(device) };
    visit(module, |_, slot| match slot {
        Slot::Param(param) => param.set(moved(param.value())),
        Slot::Buffer(buffer) => buffer.set(moved(buffer.value())),
    });
}

/// The mode of a forward pass, training or evaluation (PyTorch's `train()` and `eval()`, as an argument), and the training step.
#[derive(Clone, Debug, Default)]
pub struct ForwardContext<'a> {
    /// Whether this is training: batch norm then uses the statistics of the batch, and dropout is active.
    pub train: bool,
    /// The seed of dropout's masks, which also depend on `step`.
    pub seed: u64,
    /// The number of the training step.
    pub step: u64,
    /// Records the results of layers, if given.
    pub trace: Option<&'a Trace>,
    /// Whether a training pass leaves buffers as they are, such as running statistics: a pass over images that are no data.
    pub keep_buffers: bool,
    /// The other parts of a batch, if this is one of several that batch norm sees as one.
    pub group: Option<Rc<dyn BatchGroup>>,
}

impl<'a> ForwardContext<'a> {
    /// The context of a training step with this number, in a run with this seed.
    pub fn train(seed: u64, step: u64) -> ForwardContext<'a> {
        ForwardContext { train: true, seed, step, ..ForwardContext::default() }
    }

    /// The context of an evaluation.
    pub fn eval() -> ForwardContext<'a> {
        ForwardContext::default()
    }

    /// Records the result of the layer that owns `param`, if there is a trace.
    pub fn record_output(&self, param: &Param, result: &Var) {
        if let Some(trace) = self.trace {
            trace.results.borrow_mut().push((param.id(), result.value().clone()));
            if let Some(hook) = &trace.hook {
                (hook.0)(param.id(), result.value());
            }
        }
    }

    /// Records the feature maps, `[batch, channels, height, width]`, at the end of a stage of a network, if there is a trace.
    pub fn record_stage(&self, name: impl Display, maps: &Var) {
        let Some(trace) = self.trace else { return };
        let (name, mut stages) = (name.to_string(), trace.stages.borrow_mut());
        match stages.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) => *before = maps.clone(),
            None => stages.push((name, maps.clone())),
        }
    }
}

/// The results of layers and stages in a forward pass (as PyTorch's forward hooks give them).
#[derive(Debug, Default)]
pub struct Trace {
    pub(crate) results: RefCell<Vec<(u64, Tensor)>>,
    stages: RefCell<Vec<(String, Var)>>,
    pub(crate) hook: Option<ForwardHook>,
}

/// Takes the id of a layer's parameter and the layer's result.
type OnResult = dyn Fn(u64, &Tensor);

/// A function that is called with each result of a layer.
pub(crate) struct ForwardHook(pub(crate) Box<OnResult>);

impl fmt::Debug for ForwardHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForwardHook")
    }
}

impl Trace {
    /// The shape of the last result of the layer that owns `param`.
    pub fn shape_of(&self, param: &Param) -> Option<Shape> {
        self.results.borrow().iter().rev().find(|(id, _)| *id == param.id()).map(|(_, result)| *result.shape())
    }

    /// Each stage by name, in the order of their first runs, with the feature maps of its last run.
    pub fn stages(&self) -> Vec<(String, Var)> {
        self.stages.borrow().clone()
    }

    /// Every recorded result of a layer, in order, with the id of its parameter.
    pub fn results(self) -> Vec<(u64, Tensor)> {
        self.results.into_inner()
    }
}
