// The index of the largest number along one dimension:  y[o, i] = the first s with the largest x[o, s, i].
// Grid: one invocation for each number of y.

struct Params {
    outer: u32,
    size: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn argmax(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.outer * p.inner {
        return;
    }
    let first = item / p.inner * p.size * p.inner + item % p.inner;
    var most = x[first];
    var place = 0u;
    for (var s = 1u; s < p.size; s++) {
        let here = x[first + s * p.inner];
        if here > most {
            most = here;
            place = s;
        }
    }
    y[item] = f32(place);
}
