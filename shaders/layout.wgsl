// Moves numbers without changing them: y[to + Σ index·to_steps] = x[from + Σ index·from_steps] for every index below the sizes.
// permute, concat, slice and its adjoint all have this form. There is also filling, y = value, and conversion between f32 and f16.
// Grid: one invocation for each number that is moved, or for every four that are filled or converted.

struct Params {
    sizes: array<vec4<u32>, 2>, // outermost first, padded in front by 1
    from_steps: array<vec4<u32>, 2>,
    to_steps: array<vec4<u32>, 2>,
    from_start: u32,
    to_start: u32,
    count: u32,
}

struct Convert {
    quads: u32,
}

struct Fill {
    value: f32,
    quads: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T0>;
@group(0) @binding(1) var<storage, read_write> y: array<T1>;
@group(1) @binding(0) var<uniform> p: Params;

@group(0) @binding(0) var<storage, read> from_quads: array<vec4<T0>>;
@group(0) @binding(1) var<storage, read_write> to_quads: array<vec4<T1>>;
@group(1) @binding(0) var<uniform> convert: Convert;

@group(0) @binding(0) var<storage, read_write> filled: array<vec4<T0>>;
@group(1) @binding(0) var<uniform> fill: Fill;

@compute @workgroup_size(256)
fn layout_move(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i >= p.count {
        return;
    }
    var rest = i;
    var at_x = p.from_start;
    var at_y = p.to_start;
    for (var d = 8u; d > 0u && rest > 0u; d--) {
        let size = p.sizes[(d - 1u) / 4u][(d - 1u) % 4u];
        let index = rest % size;
        rest /= size;
        at_x += index * p.from_steps[(d - 1u) / 4u][(d - 1u) % 4u];
        at_y += index * p.to_steps[(d - 1u) / 4u][(d - 1u) % 4u];
    }
    y[at_y] = T1(x[at_x]);
}

@compute @workgroup_size(256)
fn layout_convert(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                  @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < convert.quads {
        to_quads[i] = vec4<T1>(from_quads[i]);
    }
}

@compute @workgroup_size(256)
fn layout_fill(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < fill.quads {
        filled[i] = vec4(T0(fill.value));
    }
}
