//! Compiled kernels and bind groups, each created once.
//!
//! Layouts are explicit: group 0 has the buffers that are read, then those that are written; group 1 has the parameters.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tensor::{Kernel, Launch, Span};
use wgpu::{BufferBindingType, PipelineCompilationOptions, ShaderStages};

use crate::disk_cache::DiskCache;
use crate::fault::Fault;
use crate::pool::Pool;
use crate::recorder::Recorded;

/// The caches. Every launch looks something up here, so a hit neither allocates nor formats.
#[derive(Default)]
pub(crate) struct Pipelines {
    modules: HashMap<ModuleKey, wgpu::ShaderModule>,
    kernels: HashMap<usize, Vec<Variant>>, // by the kernel's address
    layouts: Vec<Layout>,
    spans: Vec<Span>, // of the current launch: reads, then writes
    checked: bool,    // compile every kernel with checks
    cache: Option<DiskCache>,
    saved: u64, // pipelines in the file of the cache
    pub(crate) pipelines: u64,
    pub(crate) bind_groups: u64,
}

/// The most bind groups of a layout. Sizes that vary without end would otherwise make ever more of them.
const MOST_GROUPS: usize = 1 << 14;

/// What a module is compiled from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ModuleKey {
    sources: (usize, usize), // address and length of the kernel's sources
    f16: u32,                // the buffers that hold f16, as bits
    unchecked: bool,
}

impl ModuleKey {
    fn of(kernel: &Kernel, f16: u32, all_checked: bool) -> ModuleKey {
        let sources = (kernel.wgsl.as_ptr() as usize, kernel.wgsl.len());
        ModuleKey { sources, f16, unchecked: kernel.unchecked && !all_checked }
    }
}

/// What a pipeline is made of.
pub(crate) struct Source {
    kernel: &'static Kernel,
    constants: Box<[(&'static str, f64)]>,
    f16: u32,
    module: wgpu::ShaderModule,
    layout: usize,
    pipeline_layout: wgpu::PipelineLayout,
    cache: Option<wgpu::PipelineCache>,
}

/// A kernel compiled with certain constants, for buffers of certain types.
struct Variant {
    constants: Box<[(&'static str, f64)]>,
    f16: u32, // the buffers that hold f16, as bits
    pipeline: wgpu::ComputePipeline,
    layout: usize,
    name: Arc<str>,
}

/// The layout and the bind groups of all kernels with the same numbers of buffers.
struct Layout {
    reads: usize,
    writes: usize,
    bindings: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
    groups: HashMap<Box<[Span]>, wgpu::BindGroup>,
}

/// The pipeline and the bind group of a launch.
pub(crate) struct PreparedLaunch {
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) group: wgpu::BindGroup,
    pub(crate) name: Arc<str>,
}

impl Pipelines {
    pub(crate) fn new(checked: bool) -> Pipelines {
        Pipelines { checked, ..Pipelines::default() }
    }

    /// Keeps compiled kernels in a file of this folder, if the driver offers that.
    pub(crate) fn cache_in(&mut self, device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) {
        self.cache = DiskCache::open(device, info, folder);
    }

    /// Writes the file of the cache if there are new kernels.
    pub(crate) fn save(&mut self) {
        if let (Some(cache), true) = (&self.cache, self.pipelines > self.saved) {
            cache.save();
            self.saved = self.pipelines;
        }
    }

    /// Sources of the kernels of these launches that are not compiled yet.
    pub(crate) fn missing(
        &mut self,
        device: &wgpu::Device,
        fault: &Fault,
        params: &wgpu::BindGroupLayout,
        launches: &[Recorded],
    ) -> Vec<Source> {
        let mut missing: Vec<Source> = Vec::new();
        for Recorded { kernel, constants, f16, buffers, .. } in launches {
            let compiled =
                self.kernels.get(&address(kernel)).is_some_and(|all| all.iter().any(|v| v.is(constants, *f16)));
            let found = |s: &Source| std::ptr::eq(s.kernel, *kernel) && s.f16 == *f16 && same(&s.constants, constants);
            if !compiled && !missing.iter().any(found) {
                missing.push(self.source(device, fault, params, kernel, constants, *f16, *buffers));
            }
        }
        missing
    }

    /// Stores a pipeline that was compiled from a source.
    pub(crate) fn insert(&mut self, source: Source, pipeline: wgpu::ComputePipeline) {
        let Source { kernel, constants, f16, layout, .. } = source;
        let words = constants.iter().map(|(name, value)| format!(" {name}={value}"));
        let name = if f16 == 0 { String::from(kernel.entry) } else { format!("{} f16={f16:b}", kernel.entry) };
        let name = std::iter::once(name).chain(words).collect::<String>().into();
        self.kernels.entry(address(kernel)).or_default().push(Variant { constants, f16, pipeline, layout, name });
        self.pipelines += 1;
    }

    pub(crate) fn prepare(
        &mut self,
        device: &wgpu::Device,
        fault: &Fault,
        params: &wgpu::BindGroupLayout,
        pool: &Pool,
        launch: &Launch<'_>,
    ) -> PreparedLaunch {
        let (address, f16) = (address(launch.kernel), launch.f16());
        let found = self.kernels.get(&address).and_then(|all| all.iter().position(|v| v.is(launch.constants, f16)));
        let at = match found {
            Some(at) => at,
            None => {
                let buffers = [launch.reads.len(), launch.writes.len()];
                let source = self.source(device, fault, params, launch.kernel, launch.constants, f16, buffers);
                let pipeline = fault.while_doing(format!("kernel {}", launch.kernel.entry), || source.compile(device));
                self.insert(source, pipeline);
                self.kernels[&address].len() - 1
            }
        };
        let variant = &self.kernels[&address][at];
        let layout = &mut self.layouts[variant.layout];
        let entry = launch.kernel.entry;
        assert_eq!(
            (layout.reads, layout.writes),
            (launch.reads.len(), launch.writes.len()),
            "kernel {entry}: its buffers, read and written, are as many in every launch"
        );

        self.spans.clear();
        self.spans.extend_from_slice(launch.reads);
        self.spans.extend_from_slice(launch.writes);
        let group = match layout.groups.get(self.spans.as_slice()) {
            Some(group) => group.clone(),
            None => {
                if layout.groups.len() >= MOST_GROUPS {
                    layout.groups.clear(); // recorded launches have their own references
                }
                self.bind_groups += 1;
                let group = bind(device, &layout.bindings, pool, entry, &self.spans);
                layout.groups.insert(self.spans.as_slice().into(), group.clone());
                group
            }
        };
        PreparedLaunch { pipeline: variant.pipeline.clone(), group, name: variant.name.clone() }
    }

    /// Removes the bind groups of buffers that were trimmed.
    pub(crate) fn trim(&mut self, pool: &Pool) {
        for layout in &mut self.layouts {
            layout.groups.retain(|spans, _| !spans.iter().any(|span| pool.is_gone(span.buffer)));
        }
    }

    /// The source of a pipeline. A module that several kernels share is created once.
    fn source(
        &mut self,
        device: &wgpu::Device,
        fault: &Fault,
        params: &wgpu::BindGroupLayout,
        kernel: &'static Kernel,
        constants: &[(&'static str, f64)],
        f16: u32,
        [reads, writes]: [usize; 2],
    ) -> Source {
        let entry = kernel.entry;
        let layout = self.layout(device, params, reads, writes);
        let key = ModuleKey::of(kernel, f16, self.checked);
        let module = self.modules.entry(key).or_insert_with(|| {
            fault.while_doing(format!("kernel {entry}"), || {
                let source = wgpu::ShaderSource::Wgsl(kernel.source(f16).into());
                let module = wgpu::ShaderModuleDescriptor { label: Some(entry), source };
                match key.unchecked {
                    false => device.create_shader_module(module),
                    // SAFETY: a kernel is marked `unchecked` only if it stays inside its spans, its loops end, and no divisor is 0. The
                    // tests run all of them with checks and compare their results with a reference.
                    true => unsafe {
                        device.create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked())
                    },
                }
            })
        });
        Source {
            kernel,
            constants: constants.into(),
            f16,
            module: module.clone(),
            layout,
            pipeline_layout: self.layouts[layout].pipeline.clone(),
            cache: self.cache.as_ref().map(|disk| disk.cache.clone()),
        }
    }

    fn layout(&mut self, device: &wgpu::Device, params: &wgpu::BindGroupLayout, reads: usize, writes: usize) -> usize {
        if let Some(at) = self.layouts.iter().position(|l| (l.reads, l.writes) == (reads, writes)) {
            return at;
        }
        let entries: Vec<_> = (0..reads + writes)
            .map(|i| wgpu::BindGroupLayoutEntry {
                binding: i as u32,
                visibility: ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: BufferBindingType::Storage { read_only: i < reads },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let bindings = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("buffers"), entries: &entries });
        let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("buffers and params"),
            bind_group_layouts: &[Some(&bindings), Some(params)],
            immediate_size: 0,
        });
        self.layouts.push(Layout { reads, writes, bindings, pipeline, groups: HashMap::new() });
        self.layouts.len() - 1
    }
}

impl Variant {
    fn is(&self, constants: &[(&str, f64)], f16: u32) -> bool {
        self.f16 == f16 && same(&self.constants, constants)
    }
}

impl Source {
    /// Compiles the kernel, which takes a driver up to a second.
    pub(crate) fn compile(&self, device: &wgpu::Device) -> wgpu::ComputePipeline {
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.kernel.entry),
            layout: Some(&self.pipeline_layout),
            module: &self.module,
            entry_point: Some(self.kernel.entry),
            compilation_options: PipelineCompilationOptions {
                constants: &self.constants,
                zero_initialize_workgroup_memory: false, // every kernel writes before it reads
            },
            cache: self.cache.as_ref(),
        })
    }
}

/// Compiles on all cores. After each, `watch` is called with the number of kernels that are compiled and of all.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn compile_all(
    sources: &[Source],
    device: &wgpu::Device,
    _: &Fault, // knows of a refusal when it happens
    watch: &(dyn Fn(usize, usize) + Sync),
) -> Vec<wgpu::ComputePipeline> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let compiled: Vec<OnceLock<_>> = sources.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while let Some((source, slot)) = sources.iter().zip(&compiled).nth(next.fetch_add(1, Ordering::Relaxed)) {
            slot.get_or_init(|| source.compile(device));
            watch(done.fetch_add(1, Ordering::Relaxed) + 1, sources.len());
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(sources.len());
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    compiled.into_iter().map(|slot| slot.into_inner().expect("every one was compiled")).collect()
}

/// A browser compiles in another process, one kernel after the other. Its answer about errors comes when a kernel is compiled.
#[cfg(target_arch = "wasm32")]
pub(crate) async fn compile_all(
    sources: &[Source],
    device: &wgpu::Device,
    fault: &Fault,
    watch: &(dyn Fn(usize, usize) + Sync),
) -> Vec<wgpu::ComputePipeline> {
    let begin = |source: &Source| {
        let errors = device.push_error_scope(wgpu::ErrorFilter::Validation);
        (source.compile(device), errors.pop())
    };
    let begun: Vec<_> = sources.iter().map(begin).collect();
    let mut compiled = Vec::with_capacity(sources.len());
    for (pipeline, error) in begun {
        error.await.into_iter().for_each(|error| fault.report(error));
        compiled.push(pipeline);
        watch(compiled.len(), sources.len());
    }
    compiled
}

/// A kernel is a static, so its address identifies it.
fn address(kernel: &'static Kernel) -> usize {
    std::ptr::from_ref(kernel) as usize
}

/// Compares values first, since they differ more often than names, and by bits, so that a NaN equals itself.
fn same(a: &[(&str, f64)], b: &[(&str, f64)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.1.to_bits() == y.1.to_bits() && x.0 == y.0)
}

fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    pool: &Pool,
    entry: &str,
    spans: &[Span],
) -> wgpu::BindGroup {
    let entries: Vec<_> = spans
        .iter()
        .enumerate()
        .map(|(i, span)| {
            // Rounded up to a whole vec4 of f32, since some shaders read vec4s. Buffers are multiples of 256 bytes.
            let size = wgpu::BufferSize::new(span.bytes().next_multiple_of(16).max(16));
            let buffer = wgpu::BufferBinding { buffer: pool.get(span.buffer), offset: span.offset(), size };
            wgpu::BindGroupEntry { binding: i as u32, resource: wgpu::BindingResource::Buffer(buffer) }
        })
        .collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(entry), layout, entries: &entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_checked_if_that_was_asked_for() {
        assert_eq!([false, true].map(|checked| Pipelines::new(checked).checked), [false, true]);
    }

    /// Kernels of one file share a module only if they have the same checks.
    #[test]
    fn a_checked_kernel_never_runs_in_the_module_of_an_unchecked_one() {
        static WGSL: [&str; 1] = [""];
        let kernel = |unchecked| Kernel { wgsl: &WGSL, entry: "a", unchecked, any_dtype: false };
        let kernels = [false, true].map(kernel);
        let keys = |all_checked| kernels.each_ref().map(|kernel| ModuleKey::of(kernel, 0, all_checked));
        assert_eq!(keys(false).map(|key| key.unchecked), [false, true]);
        let [one, other] = keys(true);
        assert!(one == other && !one.unchecked);
    }
}
