// One step of an optimiser, in place, for two parameters, or for nine where a kernel may use 28 buffers; tensor/src/ops/optimizer.rs
// has the formulas. Nothing changes if the gradient monitor has seen a number that is not finite.
// Grid: one invocation for every four numbers. In `optimizer` those of the second parameter follow those of the first; in
// `optimizer_many` each parameter has its own workgroups. The last four numbers may reach into the padding of the buffers.

// The numbers of a step that are the same for all parameters.
struct Numbers {
    beta1: f32,
    beta2: f32,
    gain1: f32, // 1 − β₁, from f64
    gain2: f32,
    rate: f32, // lr, for Adam lr / (1 − β₁ᵗ)
    correction: f32, // 1 / √(1 − β₂ᵗ)
    eps: f32,
    decay: f32, // λ, if λ·p is added to the gradient
    @size(16) shrink: f32, // 1 − lr·λ, if the parameter itself is decayed
}

override RULE: u32 = 0u; // 0: Adam, 1: SGD, 2: RMSprop, 3: Lion

struct Params {
    numbers: Numbers,
    quads0: u32,
    quads1: u32,
    monitor: u32, // index of the monitor's latest result
}

struct Many {
    numbers: Numbers,
    monitor: u32,
    parts: array<vec4<u32>, 9>, // of each parameter: its first workgroup, and its numbers divided by four
}

@group(0) @binding(0) var<storage, read> monitor: array<f32>;
@group(0) @binding(1) var<storage, read> gradient0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parameter0: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> state0: array<vec4<f32>>; // m, then v
@group(0) @binding(5) var<storage, read_write> parameter1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> state1: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@group(0) @binding(1) var<storage, read> many_gradient0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> many_gradient1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> many_gradient2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> many_gradient3: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> many_gradient4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> many_gradient5: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> many_gradient6: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> many_gradient7: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> many_gradient8: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> many_parameter0: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> many_state0: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read_write> many_parameter1: array<vec4<f32>>;
@group(0) @binding(13) var<storage, read_write> many_state1: array<vec4<f32>>;
@group(0) @binding(14) var<storage, read_write> many_parameter2: array<vec4<f32>>;
@group(0) @binding(15) var<storage, read_write> many_state2: array<vec4<f32>>;
@group(0) @binding(16) var<storage, read_write> many_parameter3: array<vec4<f32>>;
@group(0) @binding(17) var<storage, read_write> many_state3: array<vec4<f32>>;
@group(0) @binding(18) var<storage, read_write> many_parameter4: array<vec4<f32>>;
@group(0) @binding(19) var<storage, read_write> many_state4: array<vec4<f32>>;
@group(0) @binding(20) var<storage, read_write> many_parameter5: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read_write> many_state5: array<vec4<f32>>;
@group(0) @binding(22) var<storage, read_write> many_parameter6: array<vec4<f32>>;
@group(0) @binding(23) var<storage, read_write> many_state6: array<vec4<f32>>;
@group(0) @binding(24) var<storage, read_write> many_parameter7: array<vec4<f32>>;
@group(0) @binding(25) var<storage, read_write> many_state7: array<vec4<f32>>;
@group(0) @binding(26) var<storage, read_write> many_parameter8: array<vec4<f32>>;
@group(0) @binding(27) var<storage, read_write> many_state8: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> many: Many;

struct Moved {
    parameter: vec4<f32>,
    m: vec4<f32>,
    v: vec4<f32>,
}

// Adam keeps two tensors. The other rules keep one, m, and v is the same.
fn moved(gradient: vec4<f32>, factor: f32, before: Moved, n: Numbers) -> Moved {
    let g = factor * gradient + n.decay * before.parameter;
    let p = n.shrink * before.parameter;
    switch RULE {
        case 1u: {
            let m = n.beta1 * before.m + g;
            return Moved(p - n.rate * (n.gain1 * g + n.gain2 * m), m, m);
        }
        case 2u: {
            let m = n.beta1 * before.m + n.gain1 * g * g;
            return Moved(p - n.rate * g / (sqrt(m) + n.eps), m, m);
        }
        case 3u: {
            let m = n.beta2 * before.m + n.gain2 * g;
            return Moved(p - n.rate * sign(n.beta1 * before.m + n.gain1 * g), m, m);
        }
        default: {
            let m = n.beta1 * before.m + n.gain1 * g;
            let v = n.beta2 * before.v + n.gain2 * g * g;
            return Moved(p - n.rate * m / (sqrt(v) * n.correction + n.eps), m, v);
        }
    }
}

// The place of v in a parameter's state.
fn second(quads: u32, i: u32) -> u32 {
    return select(i, quads + i, RULE == 0u);
}

@compute @workgroup_size(256)
fn optimizer(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if monitor[p.monitor + 2u] != 0.0 {
        return;
    }
    let factor = monitor[p.monitor + 1u];
    if i < p.quads0 {
        let after = moved(gradient0[i], factor, Moved(parameter0[i], state0[i], state0[second(p.quads0, i)]), p.numbers);
        parameter0[i] = after.parameter;
        state0[i] = after.m;
        state0[second(p.quads0, i)] = after.v;
    } else if i - p.quads0 < p.quads1 {
        let j = i - p.quads0;
        let after = moved(gradient1[j], factor, Moved(parameter1[j], state1[j], state1[second(p.quads1, j)]), p.numbers);
        parameter1[j] = after.parameter;
        state1[j] = after.m;
        state1[second(p.quads1, j)] = after.v;
    }
}

@compute @workgroup_size(256)
fn optimizer_many(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
             @builtin(local_invocation_index) local: u32) {
    let number = group_number(group, groups);
    var part = 0u;
    for (var next = 1u; next < 9u; next++) {
        part = select(part, next, number >= many.parts[next].x);
    }
    let quads = many.parts[part].y;
    let i = (number - many.parts[part].x) * GROUP + local;
    if i >= quads || monitor[many.monitor + 2u] != 0.0 {
        return;
    }
    let factor = monitor[many.monitor + 1u];
    switch part {
        case 0u: {
            let after = moved(many_gradient0[i], factor, Moved(many_parameter0[i], many_state0[i], many_state0[second(quads, i)]), many.numbers);
            many_parameter0[i] = after.parameter;
            many_state0[i] = after.m;
            many_state0[second(quads, i)] = after.v;
        }
        case 1u: {
            let after = moved(many_gradient1[i], factor, Moved(many_parameter1[i], many_state1[i], many_state1[second(quads, i)]), many.numbers);
            many_parameter1[i] = after.parameter;
            many_state1[i] = after.m;
            many_state1[second(quads, i)] = after.v;
        }
        case 2u: {
            let after = moved(many_gradient2[i], factor, Moved(many_parameter2[i], many_state2[i], many_state2[second(quads, i)]), many.numbers);
            many_parameter2[i] = after.parameter;
            many_state2[i] = after.m;
            many_state2[second(quads, i)] = after.v;
        }
        case 3u: {
            let after = moved(many_gradient3[i], factor, Moved(many_parameter3[i], many_state3[i], many_state3[second(quads, i)]), many.numbers);
            many_parameter3[i] = after.parameter;
            many_state3[i] = after.m;
            many_state3[second(quads, i)] = after.v;
        }
        case 4u: {
            let after = moved(many_gradient4[i], factor, Moved(many_parameter4[i], many_state4[i], many_state4[second(quads, i)]), many.numbers);
            many_parameter4[i] = after.parameter;
            many_state4[i] = after.m;
            many_state4[second(quads, i)] = after.v;
        }
        case 5u: {
            let after = moved(many_gradient5[i], factor, Moved(many_parameter5[i], many_state5[i], many_state5[second(quads, i)]), many.numbers);
            many_parameter5[i] = after.parameter;
            many_state5[i] = after.m;
            many_state5[second(quads, i)] = after.v;
        }
        case 6u: {
            let after = moved(many_gradient6[i], factor, Moved(many_parameter6[i], many_state6[i], many_state6[second(quads, i)]), many.numbers);
            many_parameter6[i] = after.parameter;
            many_state6[i] = after.m;
            many_state6[second(quads, i)] = after.v;
        }
        case 7u: {
            let after = moved(many_gradient7[i], factor, Moved(many_parameter7[i], many_state7[i], many_state7[second(quads, i)]), many.numbers);
            many_parameter7[i] = after.parameter;
            many_state7[i] = after.m;
            many_state7[second(quads, i)] = after.v;
        }
        default: {
            let after = moved(many_gradient8[i], factor, Moved(many_parameter8[i], many_state8[i], many_state8[second(quads, i)]), many.numbers);
            many_parameter8[i] = after.parameter;
            many_state8[i] = after.m;
            many_state8[second(quads, i)] = after.v;
        }
    }
}
