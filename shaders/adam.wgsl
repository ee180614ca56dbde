// One step of Adam, in place, for two parameters; tensor/src/ops/adam.rs has the formula. Nothing changes if the gradient monitor has
// seen a number that is not finite.
// Grid: one invocation for every four numbers, first of the first parameter, then of the second. The last four of each may reach into
// the padding of the buffers.

struct Params {
    beta1: f32,
    beta2: f32,
    gain1: f32, // 1 − β₁, from f64
    gain2: f32,
    rate: f32, // lr / (1 − β₁ᵗ)
    correction: f32, // 1 / √(1 − β₂ᵗ)
    eps: f32,
    decay: f32,
    quads0: u32,
    quads1: u32,
    monitor: u32, // index of the monitor's latest result
}

@group(0) @binding(0) var<storage, read> monitor: array<f32>;
@group(0) @binding(1) var<storage, read> gradient0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parameter0: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> moments0: array<vec4<f32>>; // m, then v
@group(0) @binding(5) var<storage, read_write> parameter1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> moments1: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

struct Moved {
    parameter: vec4<f32>,
    m: vec4<f32>,
    v: vec4<f32>,
}

fn moved(gradient: vec4<f32>, before: Moved) -> Moved {
    let g = monitor[p.monitor + 1u] * gradient + p.decay * before.parameter;
    let m = p.beta1 * before.m + p.gain1 * g;
    let v = p.beta2 * before.v + p.gain2 * g * g;
    return Moved(before.parameter - p.rate * m / (sqrt(v) * p.correction + p.eps), m, v);
}

@compute @workgroup_size(256)
fn adam(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if monitor[p.monitor + 2u] != 0.0 {
        return;
    }
    if i < p.quads0 {
        let after = moved(gradient0[i], Moved(parameter0[i], moments0[i], moments0[p.quads0 + i]));
        parameter0[i] = after.parameter;
        moments0[i] = after.m;
        moments0[p.quads0 + i] = after.v;
    } else if i - p.quads0 < p.quads1 {
        let j = i - p.quads0;
        let after = moved(gradient1[j], Moved(parameter1[j], moments1[j], moments1[p.quads1 + j]));
        parameter1[j] = after.parameter;
        moments1[j] = after.m;
        moments1[p.quads1 + j] = after.v;
    }
}
