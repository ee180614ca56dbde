//! The parameters of launches. They are collected on the host, uploaded by one write before a submission, and bound at group 1,
//! binding 0, with an offset for each launch.

use wgpu::{BufferUsages, ShaderStages};

/// The most words of parameters in one launch.
pub(crate) const WORDS: usize = 64;

/// The size of the uniform that a shader sees.
const BYTES: usize = 4 * WORDS;

/// One buffer with a slot for each launch of a submission. A slot has 256 bytes, the largest offset alignment of any device.
pub(crate) struct Params {
    words: Vec<u32>,
    stride: usize, // words from one launch to the next
    buffer: wgpu::Buffer,
    layout: wgpu::BindGroupLayout,
    group: wgpu::BindGroup,
}

impl Params {
    pub(crate) fn new(device: &wgpu::Device, launches: usize) -> Params {
        let stride = BYTES.max(device.limits().min_uniform_buffer_offset_alignment as usize);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: (launches * stride) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("params"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: None,
                },
                count: None,
            }],
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("params"),
            layout: &layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: 0,
                    size: wgpu::BufferSize::new(BYTES as u64),
                }),
            }],
        });
        Params { words: Vec::with_capacity(launches * stride / 4), stride: stride / 4, buffer, layout, group }
    }

    /// Adds the parameters of one launch and returns their offset in bytes.
    pub(crate) fn push(&mut self, params: &[u32]) -> u32 {
        let start = self.words.len();
        self.words.extend_from_slice(params);
        self.words.resize(start + self.stride, 0);
        4 * start as u32
    }

    /// Uploads all parameters before the next submission, and clears the list.
    pub(crate) fn upload(&mut self, queue: &wgpu::Queue) {
        queue.write_buffer(&self.buffer, 0, bytemuck::cast_slice(&self.words));
        self.words.clear();
    }

    pub(crate) fn layout(&self) -> &wgpu::BindGroupLayout {
        &self.layout
    }

    pub(crate) fn group(&self) -> &wgpu::BindGroup {
        &self.group
    }
}
