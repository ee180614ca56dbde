//! WGSL compute shaders on any GPU, through wgpu.
