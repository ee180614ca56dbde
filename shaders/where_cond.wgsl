// y = a where c ≠ 0, b elsewhere.
// Grid: one invocation for every four numbers.

struct Params {
    quads: u32,
}

@group(0) @binding(0) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn where_cond(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i < p.quads {
        y[i] = select(a[i], b[i], c[i] == vec4(0.0)); // a driver's c != 0 may be false for NaN
    }
}
