// Sums from the start of a dimension, y[o, s, i] = Σ_{t ≤ s} x[o, t, i], or from its end.
// Grid: one invocation for each line along the dimension.

struct Params {
    outer: u32,
    size: u32,
    inner: u32,
}

override FROM_END: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn cumsum(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.outer * p.inner {
        return;
    }
    let first = item / p.inner * p.size * p.inner + item % p.inner;
    var sum = 0.0;
    for (var s = 0u; s < p.size; s++) {
        let at = first + select(s, p.size - 1u - s, FROM_END) * p.inner;
        sum += x[at];
        y[at] = sum;
    }
}
