//! Compiled kernels and bind groups, each created once.
//!
//! Layouts are explicit: group 0 has the buffers that are read, then those that are written; group 1 has the parameters.

use std::collections::HashMap;
use std::sync::Arc;

use tensor::{Kernel, Launch, Span};
use wgpu::{BufferBindingType, PipelineCompilationOptions, ShaderStages};

use crate::fault::Fault;
use crate::pool::Pool;

/// The caches. Every launch looks something up here, so a hit neither allocates nor formats.
#[derive(Default)]
pub(crate) struct Pipelines {
    modules: HashMap<(usize, usize), wgpu::ShaderModule>, // by address and length of the kernel's sources
    kernels: HashMap<usize, Vec<Variant>>,                // by the kernel's address
    layouts: Vec<Layout>,
    spans: Vec<Span>, // of the current launch: reads, then writes
    checked: bool,    // compile every kernel with checks
    pub(crate) pipelines: u64,
    pub(crate) bind_groups: u64,
}

/// A kernel compiled with certain constants.
struct Variant {
    constants: Box<[(&'static str, f64)]>,
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

    pub(crate) fn prepare(
        &mut self,
        device: &wgpu::Device,
        fault: &Fault,
        params: &wgpu::BindGroupLayout,
        pool: &Pool,
        launch: &Launch<'_>,
    ) -> PreparedLaunch {
        let address = std::ptr::from_ref::<Kernel>(launch.kernel) as usize;
        let found =
            self.kernels.get(&address).and_then(|all| all.iter().position(|v| same(&v.constants, launch.constants)));
        let at = match found {
            Some(at) => at,
            None => {
                let variant = self.compile(device, fault, params, launch);
                let all = self.kernels.entry(address).or_default();
                all.push(variant);
                all.len() - 1
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

    fn compile(
        &mut self,
        device: &wgpu::Device,
        fault: &Fault,
        params: &wgpu::BindGroupLayout,
        launch: &Launch<'_>,
    ) -> Variant {
        self.pipelines += 1;
        let Kernel { wgsl, entry, unchecked } = launch.kernel;
        let layout = self.layout(device, params, launch.reads.len(), launch.writes.len());
        let module = self.modules.entry((wgsl.as_ptr() as usize, wgsl.len())).or_insert_with(|| {
            fault.while_doing(format!("kernel {entry}"), || {
                let source = wgpu::ShaderSource::Wgsl(wgsl.concat().into());
                let module = wgpu::ShaderModuleDescriptor { label: Some(entry), source };
                match *unchecked && !self.checked {
                    false => device.create_shader_module(module),
                    // SAFETY: a kernel is marked `unchecked` only if it stays inside its spans and its loops end. The tests run all
                    // of them with checks and compare their results with a reference.
                    true => unsafe {
                        device.create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked())
                    },
                }
            })
        });
        let pipeline = fault.while_doing(format!("kernel {entry}"), || {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&self.layouts[layout].pipeline),
                module,
                entry_point: Some(entry),
                compilation_options: PipelineCompilationOptions {
                    constants: launch.constants,
                    zero_initialize_workgroup_memory: false, // every kernel writes before it reads
                },
                cache: None,
            })
        });
        let constants = launch.constants.iter().map(|(name, value)| format!(" {name}={value}"));
        let name = std::iter::once(String::from(*entry)).chain(constants).collect::<String>().into();
        Variant { constants: launch.constants.into(), pipeline, layout, name }
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
        .map(|(i, span)| wgpu::BindGroupEntry {
            binding: i as u32,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: pool.get(span.buffer),
                offset: 4 * span.start as u64,
                // Rounded up to a whole vec4, since some shaders read vec4s. Buffers are multiples of 256 bytes.
                size: wgpu::BufferSize::new((4 * span.len as u64).next_multiple_of(16).max(16)),
            }),
        })
        .collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(entry), layout, entries: &entries })
}
