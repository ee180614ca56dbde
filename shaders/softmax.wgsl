// logsumexp along one dimension: y[o, i] = m + ln Σ_s e^(x[o, s, i] − m), where m is the largest x, so that nothing overflows.
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
fn logsumexp(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
             @builtin(local_invocation_index) local: u32) {
    let item = item_number(group, groups, local);
    if item >= p.outer * p.inner {
        return;
    }
    let first = item / p.inner * p.size * p.inner + item % p.inner;
    var m = -3.4028234e38;
    for (var s = 0u; s < p.size; s++) {
        let here = x[first + s * p.inner];
        m = select(m, here, here > m);
    }
    m = min(m, 3.4028234e38); // ∞ − ∞ is NaN, where the result is ∞
    var sum = 0.0;
    for (var s = 0u; s < p.size; s++) {
        sum += exp_(vec4(x[first + s * p.inner] - m)).x;
    }
    y[item] = m + log_(vec4(sum)).x;
}
