// Binary cross-entropy of logits l and targets x, summed over each row of l:  y[n] = Σ_d max(l, 0) − x·l + ln(1 + e^−|l|).
// Its gradient:  dl[n, d] = dy[n]·(1/(1 + e⁻ˡ) − x).  `repeats` rows of l, one after the other, have the same row of x.
// Grid: one workgroup for each row in `bce_with_logits`, one invocation for each number of l in `bce_with_logits_gradient`.

struct Params {
    rows: u32,
    size: u32,
    repeats: u32,
}

@group(1) @binding(0) var<uniform> p: Params;

// bce_with_logits
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// bce_with_logits_gradient
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> logits_of: array<f32>;
@group(0) @binding(2) var<storage, read> targets_of: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;

@compute @workgroup_size(256)
fn bce_with_logits(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                   @builtin(local_invocation_index) local: u32) {
    let row = min(group_number(group, groups), p.rows - 1u);
    let first = row * p.size;
    let first_target = row / p.repeats * p.size;
    var sum = 0.0;
    for (var i = local; i < p.size; i += GROUP) {
        let l = logits[first + i];
        sum += (max(l, 0.0) - targets[first_target + i] * l) + log_1p(exp_(vec4(-abs(l)))).x;
    }
    let total = summed(vec2(sum, 0.0), local).x;
    if local == 0u {
        y[row] = total;
    }
}

@compute @workgroup_size(256)
fn bce_with_logits_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                            @builtin(local_invocation_index) local: u32) {
    let i = item_number(group, groups, local);
    if i >= p.rows * p.size {
        return;
    }
    let row = i / p.size;
    let target_number = row / p.repeats * p.size + i % p.size;
    dlogits[i] = dy[row] * (logistic(vec4(logits_of[i])).x - targets_of[target_number]);
}
